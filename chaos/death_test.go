//go:build duckdb_arrow

package chaos_test

import (
	"context"
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/pondmesh/pond/actors/api"
	"github.com/pondmesh/pond/chaos"
)

// worker picks a node that does not coordinate the job, and that has made some
// of its segments: whose death hurts.
func worker(ctx context.Context, c *chaos.Cluster, s *api.JobStatus) (*chaos.Node, error) {
	coordinator := c.Node(s.Coordinator)
	if coordinator == nil {
		return nil, fmt.Errorf("the job's coordinator %q is no node of the cluster", s.Coordinator)
	}
	held, err := c.Held(ctx, coordinator, string(s.ID))
	if err != nil {
		return nil, err
	}
	for _, n := range c.Others(s.Coordinator) {
		if slices.ContainsFunc(held[n.ID()], func(h api.Held) bool { return h.Job == s.ID }) {
			return n, nil
		}
	}
	return nil, fmt.Errorf("no worker holds a segment: %w", chaos.ErrNotFired)
}

// faultFree is how long the job takes when nothing happens, for comparison.
func faultFree(t *testing.T, ctx context.Context, c *chaos.Cluster) time.Duration {
	t.Helper()
	job := at(t, ctx, c, submit(t, ctx, groupBy(t, c.Nodes()[0].Session(), heavy)))
	return follow(t, ctx, job).Took
}

// bounded wants a run to have taken at most twice the time of one without a
// fault, and what it takes to notice one.
func bounded(t *testing.T, r *chaos.Report, free time.Duration) {
	t.Helper()
	if most := 2*free + 15*time.Second; r.Took > most {
		t.Errorf("the job took %v with a fault and %v without: at most %v is right", r.Took, free, most)
	}
}

func TestKillWorker(t *testing.T) {
	long(t)
	for _, c := range []struct {
		name  string
		stage int
	}{{"in the shuffle", 0}, {"after the shuffle", 1}} {
		t.Run(c.name, func(t *testing.T) {
			ctx, cl := newCluster(t, 3)
			var victim *chaos.Node
			job := at(t, ctx, cl, submit(t, ctx, groupBy(t, cl.Nodes()[0].Session(), heavy)))
			r := follow(t, ctx, job, &chaos.Fault{Name: "kill -9", When: chaos.HalfDone(c.stage), Do: func(ctx context.Context, s *api.JobStatus) (err error) {
				if victim, err = worker(ctx, cl, s); err != nil {
					return err
				}
				return victim.Kill9(ctx)
			}})
			if len(r.Fired) != 1 || victim.Running() {
				t.Fatal("nobody was killed")
			}
			// What the victim alone held was made again, by the others.
			if r.Status.Stages[0].Retries == 0 {
				t.Errorf("no task was run again, although its output died: %v", r)
			}
			compare(t, ctx, job, groupByOracle(t))
			noneRunning(t, ctx, cl)
			must(t, cl.AwaitMembers(ctx, 2))
		})
	}
}

// freeze stops a worker, and lets it go on after a while, or at the test's end.
func freeze(t *testing.T, c *chaos.Cluster, when chaos.Trigger, during time.Duration) (*chaos.Fault, func() *chaos.Node) {
	var victim *chaos.Node
	thawed := make(chan struct{})
	f := &chaos.Fault{Name: "SIGSTOP", When: when, Do: func(ctx context.Context, s *api.JobStatus) (err error) {
		if victim, err = worker(ctx, c, s); err != nil {
			return err
		}
		if err := victim.Stop(); err != nil {
			return err
		}
		time.AfterFunc(during, func() {
			if err := victim.Cont(); err != nil {
				t.Error(err)
			}
			close(thawed)
		})
		return nil
	}}
	return f, func() *chaos.Node { <-thawed; return victim }
}

// A worker that is frozen for longer than others wait is taken for dead; when
// it goes on it is a new boot, and what it still computes counts for nothing.
// Nobody waits for it.
func TestFreezeWorker(t *testing.T) {
	long(t)
	for name, when := range map[string]chaos.Trigger{"in the shuffle": chaos.HalfDone(0), "before it is read": chaos.Done(0, dataFiles)} {
		t.Run(name, func(t *testing.T) {
			ctx, c := newCluster(t, 3)
			boots := map[string]string{}
			for _, n := range c.Nodes() {
				boot, err := n.Boot(ctx)
				must(t, err)
				boots[n.ID()] = boot
			}
			const during = 20 * time.Second
			fault, thawed := freeze(t, c, when, during)
			job := at(t, ctx, c, submit(t, ctx, groupBy(t, c.Nodes()[0].Session(), heavy)))
			r := follow(t, ctx, job, fault)
			if waited := r.Took - r.Fired[0].At; waited > during-time.Second {
				t.Errorf("the job ended %v after the worker froze: it waited for it", waited)
			}
			compare(t, ctx, job, groupByOracle(t))

			victim := thawed()
			must(t, c.AwaitMembers(ctx, 3))
			if now, err := victim.Boot(ctx); err != nil || now == boots[victim.ID()] {
				t.Errorf("the frozen node is still boot %s (%v)", now, err)
			}
			noneRunning(t, ctx, c)
			again := submit(t, ctx, groupBy(t, victim.Session(), light))
			follow(t, ctx, again)
			compare(t, ctx, again, groupByOracle(t))
		})
	}
}

// Jobs that are submitted while a frozen node is still taken for alive do not
// wait for it either.
func TestSubmitWhileFrozen(t *testing.T) {
	long(t)
	ctx, c := newCluster(t, 3)
	frozen := c.Nodes()[2]
	must(t, frozen.Stop())
	defer frozen.Cont()
	for _, n := range c.Others(frozen.ID()) {
		short, cancel := context.WithTimeout(ctx, 15*time.Second)
		job := submit(t, short, groupBy(t, n.Session(), light))
		follow(t, short, job)
		compare(t, short, job, groupByOracle(t))
		cancel()
	}
}

// A node that leaves while a job runs finishes what it runs, and the job does
// not notice, wherever it stands and whichever node it is.
func TestLeaveDuringJob(t *testing.T) {
	long(t)
	for _, how := range []struct {
		name        string
		when        chaos.Trigger
		coordinator bool
		command     bool
	}{
		{"SIGTERM to a worker", chaos.HalfDone(0), false, false},
		{"pondnode leave of a worker with results", chaos.HalfDone(1), false, true},
		{"pondnode leave of the coordinator", chaos.HalfDone(0), true, true},
	} {
		t.Run(how.name, func(t *testing.T) {
			ctx, c := newCluster(t, 3)
			var left *chaos.Node
			var command *chaos.Process
			job := at(t, ctx, c, submit(t, ctx, groupBy(t, c.Nodes()[0].Session(), heavy)))
			r := follow(t, ctx, job, &chaos.Fault{Name: how.name, When: how.when, Do: func(ctx context.Context, s *api.JobStatus) (err error) {
				if left, err = worker(ctx, c, s); err != nil {
					return err
				}
				if how.coordinator {
					left = c.Node(s.Coordinator)
				}
				if !how.command {
					return left.Term()
				}
				command, err = chaos.Spawn(ctx, "", binary, "leave", "--peer", left.Addr())
				return err
			}})
			compare(t, ctx, job, groupByOracle(t))
			for _, s := range r.Status.Stages {
				if s.Retries > 0 {
					t.Errorf("stage %d: %d tasks were run twice, because a node left in order", s.Index, s.Retries)
				}
			}
			e, err := left.Exit(ctx)
			must(t, err)
			if e.Code != 0 {
				t.Errorf("the node that left: %v", e)
			}
			if command != nil {
				if e, err := command.Wait(ctx); err != nil || e.Code != 0 {
					t.Errorf("pondnode leave: %v %v", e, err)
				}
			}
			must(t, c.AwaitMembers(ctx, 2))
			noneRunning(t, ctx, c)
			// Whoever comes later finds the job.
			s, err := c.Others()[0].Session().Job(job.ID()).Status(ctx)
			if err != nil || s.State != api.Succeeded {
				t.Errorf("after the leave the job is %+v, %v", s, err)
			}
		})
	}
}
