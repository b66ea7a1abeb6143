//go:build duckdb_arrow

package chaos_test

import (
	"context"
	"errors"
	"flag"
	"maps"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/pondmesh/pond"
	"github.com/pondmesh/pond/chaos"
)

// The soak is run by hand, with -timeout 0: 1000 kills take a quarter of an hour on
// two cores.
var (
	kills = flag.Int("kills", 0, "how many engine processes TestKillEngines kills")
	seed  = flag.Uint64("seed", 0, "of TestKillEngines; 0: one of its own")
)

const (
	killEvery  = 400 * time.Millisecond // a process is killed about so often
	soakJobMax = 5 * time.Minute        // a job that takes longer hangs
	crashesOf  = 4                      // one of so many kills looks like a crash of DuckDB's own
	soakNodes  = 3
	killsTold  = 100 // how it stands is told each time that so many more were killed
)

// Whatever engine processes are killed while queries and sorts run, at any moment, the
// answers are DuckDB's, and no node dies.
func TestKillEngines(t *testing.T) {
	if *kills == 0 {
		t.Skip("a soak: run with -kills 1000 -timeout 0, and -tpch with a folder of TPC-H's tables")
	}
	if *seed == 0 {
		*seed = rand.Uint64()
	}
	t.Logf("seed %d", *seed)
	_, c := newCluster(t, soakNodes)
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	var s soak
	var clients sync.WaitGroup
	killer, done := context.WithCancel(ctx)
	jobs, views := drawnJobs(t), drawnViews(t)
	for i, n := range c.Nodes() {
		cl := &soakClient{t: t, s: &s, session: n.Session(), oracle: newOracle(t), random: rand.New(rand.NewPCG(*seed, uint64(i))), out: t.TempDir()}
		clients.Go(func() {
			for killer.Err() == nil && !t.Failed() && !cl.prepare(ctx, views) {
			}
			for killer.Err() == nil && !t.Failed() {
				cl.job(ctx, jobs[cl.random.IntN(len(jobs))])
			}
		})
	}
	begun := time.Now()
	s.kill(t, killer, c, *kills, rand.New(rand.NewPCG(*seed, 1<<32)))
	done()
	clients.Wait()
	t.Logf("%d engine processes killed at work in %v, %d of them as if they crashed: %d answers right, %d jobs hit too often",
		s.kills, time.Since(begun).Round(time.Second), s.crashes, s.right.Load(), s.failed.Load())
	if s.kills < *kills {
		t.Errorf("%d kills of %d: %v", s.kills, *kills, chaos.ErrNotFired)
	}
	if s.failed.Load() > s.right.Load() {
		t.Error("most jobs failed: they need a smaller -tpch, or a machine that is less busy")
	}
	alive(t, ctx, c)
	noneRunning(t, ctx, c)
}

// soak counts what happened.
type soak struct {
	kills, crashes int
	right, failed  atomic.Int64
}

// kill kills engine processes that work, at random, until it has killed so many.
func (s *soak) kill(t *testing.T, ctx context.Context, c *chaos.Cluster, n int, random *rand.Rand) {
	before := map[int]int{}
	for s.kills < n && ctx.Err() == nil && !t.Failed() {
		select {
		case <-ctx.Done():
		case <-time.After(killEvery/2 + rand.N(killEvery)):
		}
		now, busy := engineTimes(t, c), []int(nil)
		for pid, ticks := range now {
			if was, ok := before[pid]; ok && ticks > was {
				busy = append(busy, pid)
			}
		}
		if before = now; len(busy) == 0 {
			continue
		}
		slices.Sort(busy)
		sig := syscall.SIGKILL
		if random.IntN(crashesOf) == 0 {
			sig = syscall.SIGSEGV
		}
		if syscall.Kill(busy[random.IntN(len(busy))], sig) == nil {
			s.kills++
			if sig != syscall.SIGKILL {
				s.crashes++
			}
			if s.kills%killsTold == 0 {
				t.Logf("%d killed: %d answers right, %d jobs hit too often", s.kills, s.right.Load(), s.failed.Load())
			}
		}
	}
}

// engineTimes are the engine processes of all nodes, with the ticks of the processor
// that each has used.
func engineTimes(t *testing.T, c *chaos.Cluster) map[int]int {
	t.Helper()
	out := map[int]int{}
	for _, n := range c.Nodes() {
		engines, err := n.Engines()
		must(t, err)
		maps.Copy(out, engines)
	}
	return out
}

// soakClient runs one job after another.
type soakClient struct {
	t       *testing.T
	s       *soak
	session *pond.Session
	oracle  *chaos.Oracle
	random  *rand.Rand
	out     string // folder of files that are sorted
	done    int
}

// prepare makes the views that jobs read, in the pond's session and in the oracle. It
// may have to be tried again: the process that made one may have been killed.
func (c *soakClient) prepare(ctx context.Context, views []string) bool {
	for _, sql := range views {
		if err := c.oracle.Exec(ctx, sql); err != nil {
			c.t.Error(err)
			return false
		}
		if _, err := c.session.SQL(ctx, sql); err != nil {
			c.t.Logf("%s: %v", sql, err)
			return false
		}
	}
	return true
}

// job runs one, and compares its answer.
func (c *soakClient) job(ctx context.Context, j drawn) {
	bounded, cancel := context.WithTimeout(ctx, soakJobMax)
	defer cancel()
	c.done++
	dir := filepath.Join(c.out, strconv.Itoa(c.done))
	defer os.RemoveAll(dir)
	rows, err := c.session.SQL(bounded, j.statement(dir), pond.Force(true), pond.Reuse(false), pond.Partitions(6))
	if err == nil {
		err = j.check(ctx, c.oracle, rows, dir)
	}
	switch {
	case err == nil:
		c.s.right.Add(1)
	case errors.Is(err, pond.ErrCrash), errors.Is(err, pond.ErrUnavailable):
		c.s.failed.Add(1)
		c.t.Logf("%s: %v", j.name, err)
	default:
		c.t.Errorf("%s: %v", j.name, err)
	}
}
