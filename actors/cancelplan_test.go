//go:build duckdb_arrow

package actors_test

import (
	"context"
	"errors"
	"testing"

	"github.com/pondmesh/pond"
	"github.com/pondmesh/pond/actors/prepare"
)

// endless is a DuckDB that plans a query for as long as it may.
type endless struct {
	prepare.DuckDB
	began, ended chan struct{}
}

func (e *endless) Plan(ctx context.Context, _ prepare.PlanRequest) (prepare.Planned, error) {
	e.began <- struct{}{}
	<-ctx.Done()
	e.ended <- struct{}{}
	return prepare.Planned{}, context.Cause(ctx)
}

// A job whose client goes away while it is planned is not planned any further.
func TestCancelEndsPlanning(t *testing.T) {
	ctx, n, s := startNode(t)
	e := &endless{began: make(chan struct{}, 1), ended: make(chan struct{}, 1)}
	n.SetDuckDB(func(d prepare.DuckDB) prepare.DuckDB {
		e.DuckDB = d
		return e
	})
	client, leave := context.WithCancel(ctx)
	left := make(chan error, 1)
	go func() {
		_, err := s.Query("SELECT 1").Submit(client, pond.Force(true))
		left <- err
	}()
	wait := func(c chan struct{}, what string) {
		t.Helper()
		select {
		case <-c:
		case <-ctx.Done():
			t.Fatalf("planning has not %s", what)
		}
	}
	wait(e.began, "begun")
	leave()
	wait(e.ended, "ended, and the client has gone")
	if err := <-left; !errors.Is(err, context.Canceled) {
		t.Errorf("the client: %v", err)
	}
}
