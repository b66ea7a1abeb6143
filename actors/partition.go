package actors

import (
	"context"
	"errors"
	"fmt"
	"runtime/debug"
	"time"

	"github.com/asynkron/protoactor-go/actor"

	"github.com/pondmesh/pond/actors/plan"
	"github.com/pondmesh/pond/actors/wire"

	"google.golang.org/protobuf/proto"
)

// attempt is one task attempt as it was granted.
type attempt struct {
	job      plan.JobID
	term     uint64
	key      attemptKey
	stageID  plan.StageID
	memory   int64
	version  uint64
	lineage  uint64
	threads  int
	deadline int64 // Unix milliseconds; 0: none
	packets  *packetCache
}

func (a *attempt) id() plan.AttemptID {
	return plan.AttemptID{Task: plan.TaskID{Stage: a.stageID, Partition: a.key.partition}, Attempt: a.key.attempt}
}

// attemptOutcome is what came of an attempt, to be reported.
type attemptOutcome struct {
	report *wire.Done
	failed *wire.Failed
}

// message is the report, addressed.
func (o *attemptOutcome) message(h *wire.Header) proto.Message {
	if o.failed != nil {
		o.failed.Header = h
		return o.failed
	}
	o.report.Header = h
	return o.report
}

// refused is the outcome of an attempt whose report cannot be told.
func (o *attemptOutcome) refused(why error) *attemptOutcome {
	task := o.failed.GetTask()
	if o.report != nil {
		task = o.report.GetTask()
	}
	te := &plan.Error{Kind: plan.KindInternal, Op: "report", Text: "the attempt's report was refused: " + why.Error()}
	return &attemptOutcome{failed: &wire.Failed{Task: task, Error: wire.ToProto(te)}}
}

type cancelMsg struct{ reason error }

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
		root.Send(worker, &endedMsg{job: a.job, key: a.key, out: out})
	})
}

// runAttempt runs an attempt to its end and says how it went.
func (n *Node) runAttempt(ctx context.Context, a *attempt) (out *attemptOutcome) {
	if a.deadline > 0 {
		var cancel context.CancelFunc
		ctx, cancel = context.WithDeadlineCause(ctx, time.UnixMilli(a.deadline), plan.ErrDeadline)
		defer cancel()
	}
	start := time.Now()
	defer func() {
		if r := recover(); r != nil {
			n.log.Error("a task attempt panicked", "job", a.job, "attempt", a.id(), "panic", r, "stack", string(debug.Stack()))
			out = n.failure(a, &plan.Error{Kind: plan.KindInternal, Text: fmt.Sprintf("panic: %v", r)})
		}
	}()
	done, err := n.runTask(ctx, a)
	if err != nil {
		if cause := context.Cause(ctx); cause != nil {
			err = cause
		}
		n.log.Debug("attempt failed", "job", a.job, "attempt", a.id(), "err", err)
		return n.failure(a, err)
	}
	done.WallMs = time.Since(start).Milliseconds()
	done.Task, done.Lineage = a.key.task(a.stageID), a.lineage
	return &attemptOutcome{report: done}
}

func (n *Node) failure(a *attempt, err error) *attemptOutcome {
	te := *plan.AsError(err)
	if te.Op == "" {
		te.Op = "run"
	}
	if te.Subject == "" {
		te.Subject = fmt.Sprintf("stage %d task %d", a.key.stage, a.key.partition)
	}
	te.Node = string(n.id)
	if errors.Is(err, context.Canceled) {
		te.Kind = plan.KindCancelled
	}
	return &attemptOutcome{failed: &wire.Failed{Task: a.key.task(a.stageID), Error: wire.ToProto(&te)}}
}
