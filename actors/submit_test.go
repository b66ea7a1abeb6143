//go:build duckdb_arrow

package actors_test

import (
	"errors"
	"strings"
	"testing"

	"github.com/pondmesh/pond"
)

// A job that nobody can record is refused, and does not go on: no node would know
// of it after the one that drives it.
func TestSubmitUnrecorded(t *testing.T) {
	ctx, n, s := startNode(t)
	if err := n.CloseStore(); err != nil {
		t.Fatal(err)
	}
	_, err := s.Query("SELECT sum(a.range * b.range) AS s FROM range(3000000) a, range(3000000) b").Submit(ctx)
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
