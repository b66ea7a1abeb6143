//go:build duckdb_arrow

package actors_test

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/pondmesh/pond"
	"github.com/pondmesh/pond/actors"
)

// A job that nobody can record is refused, and does not go on: no node would know
// of it after the one that drives it.
func TestSubmitUnrecorded(t *testing.T) {
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	n, err := actors.Start(ctx, actors.Config{Dir: t.TempDir(), Memory: 256 << 20, Slots: 2})
	if err != nil {
		t.Fatal(err)
	}
	defer n.Close()
	s, err := pond.Connect(n.Addr())
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	if err := n.CloseStore(); err != nil {
		t.Fatal(err)
	}
	_, err = s.Query("SELECT sum(a.range * b.range) AS s FROM range(3000000) a, range(3000000) b").Submit(ctx)
	if !errors.Is(err, pond.ErrUnavailable) || !strings.Contains(err.Error(), "no node could take the job") {
		t.Errorf("Submit: %v", err)
	}
	jobs, err := n.Jobs(ctx)
	if err != nil {
		t.Fatal(err)
	}
	for _, j := range jobs {
		if !j.State.Ended() {
			t.Errorf("job %s is %s", j.ID, j.State)
		}
	}
	if len(jobs) != 1 {
		t.Errorf("%d jobs", len(jobs))
	}
}
