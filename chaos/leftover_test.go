//go:build duckdb_arrow

package chaos_test

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/pondmesh/pond"
	"github.com/pondmesh/pond/chaos"
)

// stagings are the staging folders beside a target.
func stagings(dir string) []string {
	found, _ := filepath.Glob(filepath.Join(dir, ".*.pond-*"))
	for i, f := range found {
		found[i] = f[strings.LastIndex(f, "-")+1:]
	}
	slices.Sort(found)
	return found
}

// awaitStagings wants just the staging folders of these jobs to be there.
func awaitStagings(t *testing.T, ctx context.Context, dir string, jobs ...string) {
	t.Helper()
	slices.Sort(jobs)
	must(t, chaos.Await(ctx, func(context.Context) error {
		if have := stagings(dir); !slices.Equal(have, jobs) {
			return fmt.Errorf("jobs %q stage in %s, not %q", have, dir, jobs)
		}
		return nil
	}))
}

// What a coordinator that died has staged is cleared by whoever writes there next,
// and by its node when that starts again; what a live job stages never is. The dead
// job is listed as what it is.
func TestLeftStagings(t *testing.T) {
	long(t)
	ctx, c := newCluster(t, 2)
	root := t.TempDir()
	out := filepath.Join(root, "out")
	begin := func(n *chaos.Node) *pond.Job {
		job := submitWrite(t, ctx, n, heavy, out)
		must(t, chaos.Await(ctx, func(ctx context.Context) error {
			s, err := job.Status(ctx)
			if err == nil && s.State != "running" {
				err = fmt.Errorf("job %s is %s", s.ID, s.State)
			}
			return err
		}))
		return job
	}
	coordinatorOf := func(job *pond.Job) *chaos.Node {
		s, err := job.Status(ctx)
		must(t, err)
		return c.Node(s.Coordinator)
	}
	// Two jobs of two coordinators, if the ring will have it so; one dies.
	dead := begin(c.Nodes()[0])
	victim := coordinatorOf(dead)
	var live *pond.Job
	for live == nil {
		job := begin(c.Others(victim.ID())[0])
		if coordinatorOf(job) != victim {
			live = job
			break
		}
		must(t, job.Cancel(ctx))
	}
	survivor := c.Others(victim.ID())[0]
	must(t, victim.Kill9(ctx))
	must(t, c.AwaitMembers(ctx, 1))
	live = survivor.Session().Job(live.ID())
	awaitStagings(t, ctx, root, dead.ID(), live.ID())

	// Another job that writes there clears the dead one's, not the live one's.
	next := begin(survivor)
	awaitStagings(t, ctx, root, next.ID(), live.ID())
	must(t, chaos.Await(ctx, func(ctx context.Context) error {
		jobs, err := survivor.Session().Jobs(ctx)
		for _, s := range jobs {
			if s.ID == dead.ID() && s.State == "lost" && s.Error != nil {
				return nil
			}
		}
		return fmt.Errorf("the dead job is not listed as lost: %v, %v", jobs, err)
	}))
	must(t, next.Cancel(ctx))
	must(t, live.Cancel(ctx))
	awaitStagings(t, ctx, root)

	// A node that starts again clears what it left itself.
	must(t, victim.Restart(ctx))
	must(t, c.AwaitMembers(ctx, 2))
	last := begin(victim)
	owner := coordinatorOf(last)
	must(t, owner.Kill9(ctx))
	awaitStagings(t, ctx, root, last.ID())
	must(t, owner.Restart(ctx))
	awaitStagings(t, ctx, root)
	notes, err := os.ReadDir(filepath.Join(owner.Dir(), "staged"))
	if err != nil || len(notes) > 0 {
		t.Errorf("notes are left: %v, %v", notes, err)
	}
}
