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
		next, err := successor(ctx, c, coordinator, id)
		if err != nil || next == nil || next == coordinator {
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
	{"the coordinator until it has a successor", func(ctx context.Context, c *chaos.Cluster, _, coordinator *chaos.Node, id string) error {
		if err := coordinator.Stop(); err != nil {
			return err
		}
		_, err := successor(ctx, c, coordinator, id)
		return errors.Join(err, coordinator.Cont())
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

// successor is the node that takes the job over from its coordinator; nil if the job
// ended first.
func successor(ctx context.Context, c *chaos.Cluster, coordinator *chaos.Node, id string) (next *chaos.Node, err error) {
	err = chaos.Await(ctx, func(ctx context.Context) error {
		s, err := c.Others(coordinator.ID())[0].Session().Job(id).Status(ctx)
		if err == nil && s.Term < 2 && !s.Done() {
			err = fmt.Errorf("job %s is still in term %d", id, s.Term)
		}
		if err == nil {
			next = c.Node(s.Coordinator)
		}
		return err
	})
	return next, err
}

// A work is a job that is to be taken over.
type work struct {
	name string
	// begin hands it in by a session of all nodes, which asks the one that is given
	// first. What it returns looks at what the job has made.
	begin func(t *testing.T, ctx context.Context, s *pond.Session, asked *chaos.Node) (*pond.Job, func(ctx context.Context) error)
}

// works are one that appends to a folder, twice as often as others since doubled rows
// are its own to make, sorts and queries.
func works(t *testing.T) []work {
	appends := work{"append", func(t *testing.T, ctx context.Context, _ *pond.Session, asked *chaos.Node) (*pond.Job, func(context.Context) error) {
		out := filepath.Join(t.TempDir(), "out")
		job := submitFile(t, ctx, asked, appendFile(t, heavy/2, out))
		return job, func(ctx context.Context) error {
			awaitStagings(t, ctx, filepath.Dir(out))
			return newOracle(t).CompareQueries(ctx, "SELECT * FROM '"+out+"/*.parquet'", groupByOracle(t))
		}
	}}
	all, views := []work{appends}, drawnViews(t)
	for _, j := range drawnJobs(t) {
		all = append(all, work{j.name, func(t *testing.T, ctx context.Context, s *pond.Session, _ *chaos.Node) (*pond.Job, func(context.Context) error) {
			dir, o := filepath.Join(t.TempDir(), "out"), newOracle(t)
			for _, sql := range views {
				must(t, o.Exec(ctx, sql))
				_, err := s.SQL(ctx, sql)
				must(t, err)
			}
			job, err := s.Submit(ctx, j.statement(dir), pond.Force(true), pond.Reuse(false), pond.Partitions(12))
			must(t, err)
			return job, func(ctx context.Context) error {
				var rows *pond.Rows
				if j.sort == "" {
					var err error
					if rows, err = job.Rows(ctx); err != nil {
						return err
					}
				}
				return j.check(ctx, o, rows, dir)
			}
		}})
	}
	return all
}

// A job goes on when its coordinator dies or sleeps, at any moment of its life and
// with whom it will: what was committed is kept, its answer is the oracle's, and its
// rows are appended once.
func TestTakeovers(t *testing.T) {
	long(t)
	t.Logf("seed %d", *takeoverSeed)
	rng := rand.New(rand.NewPCG(*takeoverSeed, 0))
	count := *takeovers
	if count == 0 {
		count = len(deaths)
	}
	_, c := newCluster(t, 5)
	took, jobs := map[string][]time.Duration{}, works(t)
	for i := range count {
		d, w := deaths[i%len(deaths)], jobs[0]
		if i >= len(deaths) && rng.IntN(3) > 0 {
			w = jobs[rng.IntN(len(jobs))]
		}
		asked := c.Nodes()[rng.IntN(len(c.Nodes()))]
		ok := t.Run(fmt.Sprintf("%d %s without %s", i, w.name, d.name), func(t *testing.T) {
			next, fired := takeover(t, c, d, w, asked, progress(rng))
			if fired {
				took[d.name] = append(took[d.name], next)
			}
		})
		if !ok {
			return
		}
	}
	fired := 0
	for _, d := range deaths {
		all := took[d.name]
		if fired += len(all); len(all) == 0 {
			continue
		}
		slices.Sort(all)
		t.Logf("%s: %d jobs; in the next term after p50 %v, p99 %v, at most %v (detection included)", d.name, len(all), all[len(all)/2], all[len(all)*99/100], all[len(all)-1])
	}
	least := 1 // of a few, most may come late by chance
	if *takeovers > 0 {
		least = count / 2
	}
	if fired < least {
		t.Errorf("%d deaths of %d came before their job's end: %v", fired, count, chaos.ErrNotFired)
	}
}

// progress is how much of a job is done when its coordinator dies: often nothing, or all
// that is left to tasks, before what they made is published.
func progress(rng *rand.Rand) float64 {
	switch rng.IntN(5) {
	case 0:
		return 0
	case 1:
		return 1
	}
	return rng.Float64()
}

// takeover runs one job, lets a death happen when it has come so far, and returns how
// long it took until another term was heard of, and whether the job still ran.
func takeover(t *testing.T, c *chaos.Cluster, d death, w work, asked *chaos.Node, done float64) (next time.Duration, fired bool) {
	ctx := testContext(t)
	addrs := []string{asked.Addr()}
	for _, n := range c.Others(asked.ID()) {
		addrs = append(addrs, n.Addr())
	}
	session, err := pond.Connect(strings.Join(addrs, ","))
	must(t, err)
	defer session.Close()
	job, check := w.begin(t, ctx, session, asked)
	s, err := job.Status(ctx)
	must(t, err)
	coordinator := c.Node(s.Coordinator)
	for s, err = range coordinator.Session().Job(job.ID()).Watch(ctx) {
		if must(t, err); s.Done() || chaos.Share(s) >= done {
			break
		}
	}
	begun, before := time.Now(), s
	must(t, d.do(ctx, c, asked, coordinator, job.ID()))
	if dead := len(c.Others()); dead == 0 {
		for _, n := range c.Nodes() {
			must(t, n.Restart(ctx))
		}
	}
	witness := c.Others(coordinator.ID(), asked.ID())[0]
	must(t, chaos.Await(ctx, func(ctx context.Context) error {
		now, err := witness.Session().Job(job.ID()).Status(ctx)
		if err != nil {
			return err
		}
		if next == 0 && (now.Term > before.Term || now.Done()) {
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
	fired = !before.Done()
	t.Logf("%.2f done; term %d; the next was heard of after %v; still ran: %t", done, s.Term, next.Round(time.Millisecond), fired)
	must(t, check(ctx))
	for _, n := range c.Nodes() {
		_ = n.Cont()
		if !n.Running() {
			must(t, n.Restart(ctx))
		}
	}
	must(t, c.AwaitMembers(ctx, len(c.Nodes())))
	noneRunning(t, ctx, c)
	return next, fired
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

// appendFile is jobFile, whose rows are added to the folder.
func appendFile(t *testing.T, work int, dir string) string {
	t.Helper()
	file := jobFile(t, work, dir)
	b, err := os.ReadFile(file)
	must(t, err)
	must(t, os.WriteFile(file, []byte(strings.Replace(string(b), "mode: overwrite", "mode: append", 1)), 0o644))
	return file
}
