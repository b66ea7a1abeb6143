package actors

import (
	"context"
	"errors"
	"time"

	"github.com/apache/arrow-go/v18/arrow"
	"github.com/asynkron/protoactor-go/actor"

	"github.com/pondmesh/pond/actors/api"
	"github.com/pondmesh/pond/actors/exec"
	"github.com/pondmesh/pond/actors/fair"
	"github.com/pondmesh/pond/actors/given"
	"github.com/pondmesh/pond/actors/plan"
	"github.com/pondmesh/pond/actors/report"
)

// attempt is one task attempt as it was granted.
type attempt struct {
	exec.Attempt
	deadline int64 // Unix milliseconds; 0: none
	packets  *given.Packets
	hold     *fair.Hold
}

func (a *attempt) key() attemptKey { return attemptKey{a.Stage, a.ID.Task.Partition, a.ID.Attempt} }

// partition is the actor of one attempt. It owns the attempt's context; the
// work itself runs in a goroutine of its own, because an actor that is busy
// with DuckDB would not hear that it is to stop.
type partition struct {
	n      *Node
	worker *actor.PID
	a      *attempt
	cancel context.CancelCauseFunc
}

func (p *partition) Receive(c actor.Context) {
	switch m := c.Message().(type) {
	case *actor.Started:
		p.start(c)
	case *cancelMsg:
		p.cancel(m.reason)
	case *actor.Stopping, *actor.Restarting:
		p.cancel(plan.ErrCancelled)
	}
}

func (p *partition) start(c actor.Context) {
	ctx, cancel := context.WithCancelCause(p.n.ctx)
	p.cancel = cancel
	root, worker, n, a := c.ActorSystem().Root, p.worker, p.n, p.a
	n.goes.Go(func() {
		defer cancel(nil)
		out := n.runAttempt(ctx, a)
		root.Send(worker, &endedMsg{job: a.Job, key: a.key(), out: out, hold: a.hold})
	})
}

// packetsOf are those of a job's term, whose coordinator's router has that address.
func (n *Node) packetsOf(job plan.JobID, term uint64, router string) *given.Packets {
	addr := ""
	for _, m := range n.mesh.View().Members {
		if m.ActorsAddr() == router {
			addr = m.APIAddr()
		}
	}
	ask := func(stage int, version uint64) (*api.Packet, error) {
		switch addr {
		case "":
			return nil, &plan.Error{Kind: plan.KindUnavailable, Op: "fetch the stage of", Subject: string(job), Text: "its coordinator is not in this node's view"}
		case n.APIAddr():
			return n.packet(n.ctx, job, term, stage, version)
		}
		return n.api.At(addr).Packet(n.ctx, job, term, stage, version)
	}
	fetch := func(stage int, version uint64) (*api.Packet, error) {
		p, err := ask(stage, version)
		if err == nil {
			p.Prefer(n.APIAddr())
		}
		if errors.Is(err, plan.ErrFenced) || errors.Is(err, plan.ErrNotFound) { // of this attempt, not of the job
			err = &plan.Error{Kind: plan.KindCancelled, Op: "fetch the stage of", Subject: string(job), Text: "who granted the task does not drive the job any more"}
		}
		return p, err
	}
	return given.New(job, given.Source{
		Fetch: func(stage int, version uint64, done func(*api.Packet, error)) {
			n.goes.Go(func() { done(fetch(stage, version)) })
		},
		Schema: func(ctx context.Context, addr, segment string) (*arrow.Schema, error) {
			return n.api.At(addr).Schema(ctx, segment)
		},
	}, n.rules)
}

// runAttempt runs an attempt to its end and says how it went.
func (n *Node) runAttempt(ctx context.Context, a *attempt) *report.Report {
	if a.deadline > 0 {
		var cancel context.CancelFunc
		ctx, cancel = context.WithDeadlineCause(ctx, time.UnixMilli(a.deadline), plan.ErrDeadline)
		defer cancel()
	}
	out, err := n.machine.Run(ctx, a.Attempt, a.packets.For(a.ID.Task.Partition, a.Lineage))
	if err == nil {
		var done *report.Report
		if done, err = report.Done(a.Attempt, out); err == nil {
			n.metrics.TaskDone(max(out.Segment.Bytes, out.Files.Bytes), out.Spilled, out.CPU.Seconds())
			return done
		}
	}
	if cause := context.Cause(ctx); cause != nil {
		err = cause
	}
	n.metrics.TaskFailed()
	n.log.Debug("attempt failed", "job", a.Job, "attempt", a.ID, "err", err)
	return report.Failed(a.Attempt, string(n.id), err)
}
