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

// What a coordinator that died has staged is its successor's, and nobody else clears
// it: not whoever writes there next, nor its own node when that starts again. When
// the job ends it goes, and the dead node's note of it too.
func TestLeftStagings(t *testing.T) {
	long(t)
	ctx, c := newCluster(t, 3)
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
	job := begin(c.Nodes()[0])
	s, err := job.Status(ctx)
	must(t, err)
	victim := c.Node(s.Coordinator)
	survivor := c.Others(victim.ID())[0]
	must(t, victim.Kill9(ctx))
	must(t, c.AwaitMembers(ctx, 2))
	must(t, victim.Restart(ctx))
	must(t, c.AwaitMembers(ctx, 3))
	next := begin(survivor)
	must(t, chaos.Await(ctx, func(ctx context.Context) error {
		s, err := survivor.Session().Job(job.ID()).Status(ctx)
		if err == nil && (s.Term < 2 || s.State != "running") {
			err = fmt.Errorf("job %s is %s in term %d", s.ID, s.State, s.Term)
		}
		return err
	}))
	awaitStagings(t, ctx, root, job.ID(), next.ID())
	must(t, survivor.Session().Job(next.ID()).Cancel(ctx))
	must(t, survivor.Session().Job(job.ID()).Cancel(ctx))
	awaitStagings(t, ctx, root)

	must(t, chaos.Await(ctx, func(context.Context) error {
		notes, err := os.ReadDir(filepath.Join(victim.Dir(), "staged"))
		if err == nil && len(notes) > 0 {
			err = fmt.Errorf("notes are left: %v", notes)
		}
		return err
	}))
}
