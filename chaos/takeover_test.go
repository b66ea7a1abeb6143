//go:build duckdb_arrow

package chaos_test

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/pondmesh/pond"
	"github.com/pondmesh/pond/chaos"
)

var (
	takeovers    = flag.Int("takeovers", 0, "how many jobs lose their coordinator in TestTakeovers; 0: one of each kind")
	takeoverSeed = flag.Uint64("takeover-seed", uint64(time.Now().UnixNano()), "of the moments")
)

// A death is what happens to a job's coordinator, and to others with it. It returns
// what makes the pond whole again.
type death struct {
	name string
	do   func(ctx context.Context, c *chaos.Cluster, asked, coordinator *chaos.Node, id string) error
}

var deaths = []death{
	{"the coordinator", func(ctx context.Context, _ *chaos.Cluster, _, coordinator *chaos.Node, _ string) error {
		return coordinator.Kill9(ctx)
	}},
	{"the node that was asked and the coordinator", func(ctx context.Context, _ *chaos.Cluster, asked, coordinator *chaos.Node, _ string) error {
		if asked == coordinator {
			return asked.Kill9(ctx)
		}
		return errors.Join(asked.Kill9(ctx), coordinator.Kill9(ctx))
	}},
	{"the coordinator and its successor", func(ctx context.Context, c *chaos.Cluster, _, coordinator *chaos.Node, id string) error {
		if err := coordinator.Kill9(ctx); err != nil {
			return err
		}
		var next *chaos.Node
		if err := chaos.Await(ctx, func(ctx context.Context) error {
			s, err := c.Others(coordinator.ID())[0].Session().Job(id).Status(ctx)
			if err == nil && s.Term < 2 && !s.Done() {
				err = fmt.Errorf("job %s is still in term %d", id, s.Term)
			}
			if err == nil {
				next = c.Node(s.Coordinator)
			}
			return err
		}); err != nil || next == nil || next == coordinator {
			return err
		}
		return next.Kill9(ctx)
	}},
	{"the coordinator for 30 seconds", func(ctx context.Context, _ *chaos.Cluster, _, coordinator *chaos.Node, _ string) error {
		if err := coordinator.Stop(); err != nil {
			return err
		}
		time.AfterFunc(30*time.Second, func() { _ = coordinator.Cont() })
		return nil
	}},
	{"all nodes", func(ctx context.Context, c *chaos.Cluster, _, _ *chaos.Node, _ string) error {
		for _, n := range c.Nodes() {
			if err := n.Kill9(ctx); err != nil {
				return err
			}
		}
		return nil
	}},
}

// A job goes on when its coordinator dies or sleeps, at any moment of its life and
// with whom it will: what was committed is kept, and its rows are appended once.
func TestTakeovers(t *testing.T) {
	long(t)
	t.Logf("seed %d", *takeoverSeed)
	rng := rand.New(rand.NewPCG(*takeoverSeed, 0))
	count := *takeovers
	if count == 0 {
		count = len(deaths)
	}
	_, c := newCluster(t, 5)
	var took []time.Duration
	for i := range count {
		d := deaths[i%len(deaths)]
		asked := c.Nodes()[rng.IntN(len(c.Nodes()))]
		progress := rng.Float64()
		ok := t.Run(fmt.Sprintf("%d %s at %.2f", i, d.name, progress), func(t *testing.T) {
			took = append(took, takeover(t, c, d, asked, progress))
		})
		if !ok {
			return
		}
	}
	slices.Sort(took)
	t.Logf("%d jobs were taken over; in the next term after p50 %v, at most %v (detection included)", len(took), took[len(took)/2], took[len(took)-1])
}

// takeover runs one job, lets a death happen when it has come so far, and returns how
// long it took until another term was heard of.
func takeover(t *testing.T, c *chaos.Cluster, d death, asked *chaos.Node, progress float64) time.Duration {
	ctx := testContext(t)
	out := filepath.Join(t.TempDir(), "out")
	job := submitFile(t, ctx, asked, appendFile(t, heavy/2, out))
	s, err := job.Status(ctx)
	must(t, err)
	coordinator := c.Node(s.Coordinator)
	for s, err = range coordinator.Session().Job(job.ID()).Watch(ctx) {
		if must(t, err); s.Done() || share(s) >= progress {
			break
		}
	}
	begun := time.Now()
	must(t, d.do(ctx, c, asked, coordinator, job.ID()))
	over := s.Done()
	if dead := len(c.Others()); dead == 0 {
		for _, n := range c.Nodes() {
			must(t, n.Restart(ctx))
		}
	}
	var next time.Duration
	witness := c.Others(coordinator.ID(), asked.ID())[0]
	must(t, chaos.Await(ctx, func(ctx context.Context) error {
		now, err := witness.Session().Job(job.ID()).Status(ctx)
		if err != nil {
			return err
		}
		if next == 0 && (now.Term > s.Term || now.Done()) {
			next = time.Since(begun)
		}
		if s = now; !s.Done() {
			return fmt.Errorf("job %s is %s in term %d", s.ID, s.State, s.Term)
		}
		return nil
	}))
	if s.State != "succeeded" {
		t.Fatalf("the job ended so: %+v, %+v", s, s.Error)
	}
	t.Logf("term %d; the next was heard of after %v; over before: %t", s.Term, next.Round(time.Millisecond), over)
	must(t, newOracle(t).CompareQueries(ctx, "SELECT * FROM '"+out+"/*.parquet'", groupByOracle(t)))
	for _, n := range c.Nodes() {
		_ = n.Cont()
		if !n.Running() {
			must(t, n.Restart(ctx))
		}
	}
	must(t, c.AwaitMembers(ctx, len(c.Nodes())))
	awaitStagings(t, ctx, filepath.Dir(out))
	noneRunning(t, ctx, c)
	return next
}

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

// share is how much of a job's tasks are done.
func share(s *pond.Status) float64 {
	done, all := 0, 0
	for _, st := range s.Stages {
		done, all = done+st.Done, all+max(st.Tasks, 1)
	}
	return float64(done) / float64(max(all, 1))
}

// appendFile is jobFile, whose rows are added to the folder.
func appendFile(t *testing.T, work int, dir string) string {
	t.Helper()
	file := jobFile(t, work, dir)
	b, err := os.ReadFile(file)
	must(t, err)
	must(t, os.WriteFile(file, []byte(strings.Replace(string(b), "mode: overwrite", "mode: append", 1)), 0o644))
	return file
}
