//go:build duckdb_arrow

package chaos_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/pondmesh/pond"
	"github.com/pondmesh/pond/actors/api"
	"github.com/pondmesh/pond/chaos"
)

// worker picks a node that does not coordinate the job, and that has made some
// of its segments: whose death hurts.
func worker(ctx context.Context, c *chaos.Cluster, s *pond.Status) (*chaos.Node, error) {
	coordinator := c.Node(s.Coordinator)
	if coordinator == nil {
		return nil, fmt.Errorf("the job's coordinator %q is no node of the cluster", s.Coordinator)
	}
	held, err := c.Held(ctx, coordinator, s.ID)
	if err != nil {
		return nil, err
	}
	for _, n := range c.Others(s.Coordinator) {
		if slices.ContainsFunc(held[n.ID()], func(h api.Held) bool { return string(h.Job) == s.ID }) {
			return n, nil
		}
	}
	return nil, fmt.Errorf("no worker holds a segment: %w", chaos.ErrNotFired)
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
			r := follow(t, ctx, job, &chaos.Fault{Name: "kill -9", When: chaos.HalfDone(c.stage), Do: func(ctx context.Context, s *pond.Status) (err error) {
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

// A worker that is frozen for longer than others wait is taken for dead; when
// it goes on it is a new boot, and what it still computes counts for nothing.
// Nobody waits for it.
func TestFreezeWorker(t *testing.T) {
	long(t)
	for _, f := range []struct {
		name string
		when chaos.Trigger
		long time.Duration // 0: until the job has ended
	}{
		{"in the shuffle", chaos.HalfDone(0), 0},
		{"before it is read", chaos.Done(0, dataFiles), 15 * time.Second},
	} {
		t.Run(f.name, func(t *testing.T) {
			ctx, c := newCluster(t, 3)
			var victim *chaos.Node
			var boot string
			job := at(t, ctx, c, submit(t, ctx, groupBy(t, c.Nodes()[0].Session(), heavy)))
			follow(t, ctx, job, &chaos.Fault{Name: "SIGSTOP", When: f.when, For: f.long, Undo: func() error { return victim.Cont() },
				Do: func(ctx context.Context, s *pond.Status) (err error) {
					if victim, err = worker(ctx, c, s); err != nil {
						return err
					}
					if boot, err = victim.Boot(ctx); err != nil {
						return err
					}
					return victim.Stop()
				}})
			compare(t, ctx, job, groupByOracle(t))

			must(t, c.AwaitMembers(ctx, 3))
			if now, err := victim.Boot(ctx); err != nil || now == boot {
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
		job := submit(t, ctx, groupBy(t, n.Session(), light))
		follow(t, ctx, job)
		compare(t, ctx, job, groupByOracle(t))
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
			if s, err := job.Status(ctx); how.coordinator { // it leaves: another tells of the job
				must(t, err)
				job = c.Others(s.Coordinator)[0].Session().Job(job.ID())
			}
			r := follow(t, ctx, job, &chaos.Fault{Name: how.name, When: how.when, Do: func(ctx context.Context, s *pond.Status) (err error) {
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
			if err != nil || s.State != "succeeded" {
				t.Errorf("after the leave the job is %+v, %v", s, err)
			}
		})
	}
}

// Two of three nodes die: the coordinator's own does the rest. What died with a
// result is told as lost, and made again.
func TestKillAllWorkers(t *testing.T) {
	long(t)
	ctx, c := newCluster(t, 3)
	kill := func(ctx context.Context, s *pond.Status) error {
		for _, n := range c.Others(s.Coordinator) {
			if err := n.Kill9(ctx); err != nil {
				return err
			}
		}
		return nil
	}
	job := at(t, ctx, c, submit(t, ctx, groupBy(t, c.Nodes()[0].Session(), heavy)))
	r := follow(t, ctx, job, &chaos.Fault{Name: "kill -9 of every worker", When: chaos.HalfDone(0), Do: kill})
	compare(t, ctx, job, groupByOracle(t))
	must(t, c.AwaitMembers(ctx, 1))

	survivor := c.Node(r.Status.Coordinator)
	for _, n := range c.Nodes() {
		if n != survivor {
			must(t, n.Restart(ctx))
		}
	}
	must(t, c.AwaitMembers(ctx, 3))
	df := groupBy(t, survivor.Session(), light)
	job = at(t, ctx, c, submit(t, ctx, df))
	r = follow(t, ctx, job)
	must(t, kill(ctx, r.Status))
	// The reader finds out that they are dead, and has the rows made anew.
	compare(t, ctx, job, groupByOracle(t))
	must(t, c.AwaitMembers(ctx, 1))
	again := submit(t, ctx, groupBy(t, c.Node(r.Status.Coordinator).Session(), light))
	follow(t, ctx, again)
	compare(t, ctx, again, groupByOracle(t))
}

// Every worker is restarted, one after another, while a job runs: as on an
// upgrade.
func TestRollingRestart(t *testing.T) {
	long(t)
	ctx, c := newCluster(t, 3)
	job := at(t, ctx, c, submit(t, ctx, groupBy(t, c.Nodes()[0].Session(), heavy)))
	follow(t, ctx, job, &chaos.Fault{Name: "restart every worker", When: chaos.Done(0, 2), Do: func(ctx context.Context, s *pond.Status) error {
		for _, n := range c.Others(s.Coordinator) {
			if err := errors.Join(n.Kill9(ctx), n.Restart(ctx)); err != nil {
				return err
			}
		}
		return nil
	}})
	compare(t, ctx, job, groupByOracle(t))
	must(t, c.AwaitMembers(ctx, 3))
	noneRunning(t, ctx, c)
}
