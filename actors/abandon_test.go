//go:build duckdb_arrow

package actors_test

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/pondmesh/pond/actors/api"
)

// A client that goes away while it submits leaves no job behind, neither running
// nor waiting, whenever it goes.
func TestAbandonedSubmit(t *testing.T) {
	ctx, n, s := startNode(t)
	poll := time.NewTicker(time.Millisecond)
	defer poll.Stop()
	jobs := func() []api.JobStatus {
		select {
		case <-poll.C:
		case <-ctx.Done():
			t.Fatal("the jobs do not end")
		}
		list, err := n.Jobs(ctx)
		if err != nil {
			t.Fatal(err)
		}
		return list
	}
	const clients = 8
	for i := range clients {
		client, leave := context.WithCancel(ctx)
		left := make(chan error, 1)
		go func() {
			job, err := s.Query("SELECT sum(a.range * b.range) AS s FROM range(3000000) a, range(3000000) b").Submit(client)
			if err == nil { // it was quicker
				err = job.Cancel(ctx)
			}
			left <- err
		}()
		for len(jobs()) <= i {
		}
		leave()
		if err := <-left; err != nil && !errors.Is(err, context.Canceled) {
			t.Fatal(err)
		}
	}
	for ended := 0; ended < clients; {
		ended = 0
		for _, s := range jobs() {
			if s.State == api.Cancelled {
				ended++
			}
		}
	}
}
