//go:build duckdb_arrow

package chaos_test

import (
	"context"
	"fmt"
	"path/filepath"
	"testing"

	"github.com/pondmesh/pond"
	"github.com/pondmesh/pond/chaos"
)

// awaitDone waits for a job's end, as this node tells of it.
func awaitDone(t *testing.T, ctx context.Context, n *chaos.Node, id string) *pond.Status {
	t.Helper()
	var last *pond.Status
	must(t, chaos.Await(ctx, func(ctx context.Context) error {
		s, err := n.Session().Job(id).Status(ctx)
		if err == nil && !s.Done() {
			err = fmt.Errorf("job %s is %s in term %d", id, s.State, s.Term)
		}
		last = s
		return err
	}))
	return last
}

// A job goes on when its coordinator dies, at any moment of its life: what was
// committed is kept, and its output appears once.
func TestKillCoordinator(t *testing.T) {
	long(t)
	for _, at := range []struct {
		name string
		when chaos.Trigger
	}{
		{"when it is taken", func(*pond.Status) bool { return true }},
		{"in the first stage", chaos.HalfDone(0)},
		{"in the last stage", chaos.HalfDone(1)},
	} {
		t.Run(at.name, func(t *testing.T) {
			ctx, c := newCluster(t, 4)
			out := filepath.Join(t.TempDir(), "out")
			job := submitWrite(t, ctx, c.Nodes()[0], heavy, out)
			s, err := job.Status(ctx)
			must(t, err)
			victim := c.Node(s.Coordinator)
			for s, err = range victim.Session().Job(job.ID()).Watch(ctx) {
				if must(t, err); at.when(s) {
					break
				}
			}
			if s.Done() {
				t.Fatal("the job was over before its coordinator died")
			}
			must(t, victim.Kill9(ctx))
			end := awaitDone(t, ctx, c.Others(victim.ID())[0], job.ID())
			if end.State != "succeeded" || end.Term < 2 || end.Coordinator == victim.ID() {
				t.Fatalf("after its coordinator died the job is %+v", end)
			}
			must(t, newOracle(t).CompareQueries(ctx, "SELECT * FROM '"+out+"/*.parquet'", groupByOracle(t)))
			awaitStagings(t, ctx, filepath.Dir(out))
			noneRunning(t, ctx, c)
		})
	}
}
