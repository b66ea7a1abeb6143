package actors

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/apache/arrow-go/v18/arrow"
	"github.com/asynkron/protoactor-go/actor"

	"github.com/pondmesh/pond/actors/api"
	"github.com/pondmesh/pond/actors/exec"
	"github.com/pondmesh/pond/actors/fair"
	"github.com/pondmesh/pond/actors/given"
	"github.com/pondmesh/pond/actors/plan"
	"github.com/pondmesh/pond/actors/wire"
	"github.com/pondmesh/pond/shuffle"

	"google.golang.org/protobuf/proto"
)

// attempt is one task attempt as it was granted.
type attempt struct {
	exec.Attempt
	deadline int64 // Unix milliseconds; 0: none
	packets  *given.Packets
	hold     *fair.Hold
}

func (a *attempt) key() attemptKey { return attemptKey{a.Stage, a.ID.Task.Partition, a.ID.Attempt} }

func (a *attempt) task() *wire.Task { return wire.NewTask(a.ID, a.Stage) }

// attemptOutcome is the outcome of an attempt, to be reported.
type attemptOutcome struct {
	report *wire.Done
	failed *wire.Failed
}

// message is the report, addressed, and asks for tasks for that many slots.
func (o *attemptOutcome) message(h *wire.Header, slots int32) proto.Message {
	if o.failed != nil {
		o.failed.Header, o.failed.Slots = h, slots
		return o.failed
	}
	o.report.Header, o.report.Slots = h, slots
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
	fetch := func(stage int, version uint64) (*api.Packet, error) {
		switch addr {
		case "":
			return nil, &plan.Error{Kind: plan.KindUnavailable, Op: "fetch the stage of", Subject: string(job), Text: "its coordinator is not in this node's view"}
		case n.APIAddr():
			return n.packet(n.ctx, job, term, stage, version)
		}
		return n.api.At(addr).Packet(n.ctx, job, term, stage, version)
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
func (n *Node) runAttempt(ctx context.Context, a *attempt) *attemptOutcome {
	if a.deadline > 0 {
		var cancel context.CancelFunc
		ctx, cancel = context.WithDeadlineCause(ctx, time.UnixMilli(a.deadline), plan.ErrDeadline)
		defer cancel()
	}
	out, err := n.machine.Run(ctx, a.Attempt, a.packets.For(a.ID.Task.Partition))
	if err == nil {
		var done *wire.Done
		if done, err = doneOf(a, out); err == nil {
			n.metrics.TaskDone(max(out.Segment.Bytes, out.Files.Bytes), out.Spilled, out.CPU.Seconds())
			return &attemptOutcome{report: done}
		}
	}
	if cause := context.Cause(ctx); cause != nil {
		err = cause
	}
	n.metrics.TaskFailed()
	n.log.Debug("attempt failed", "job", a.Job, "attempt", a.ID, "err", err)
	return &attemptOutcome{failed: failedOf(a, string(n.id), err)}
}

// doneOf is an outcome for the wire.
func doneOf(a *attempt, out *exec.Outcome) (*wire.Done, error) {
	d := &wire.Done{Task: a.task(), Lineage: a.Lineage, SpillBytes: out.Spilled, CpuMs: out.CPU.Milliseconds()}
	if f := out.Files; f.Manifest != "" {
		d.Files = &wire.Files{Manifest: f.Manifest, Count: f.Count, Rows: f.Rows, Bytes: f.Bytes}
		return d, nil
	}
	h := out.Segment
	id, err := shuffle.ParseSegmentID(h.Segment)
	if err != nil {
		return nil, err
	}
	d.Segment = &wire.Segment{Id: id[:], Rows: h.Rows, RawBytes: h.RawBytes, Bytes: h.Bytes, Partitions: int32(h.Partitions)}
	if len(h.PartitionRows) == h.Partitions && h.Partitions <= wire.PartitionsInlineMax {
		d.Segment.StatsInline, d.Segment.PartitionRows, d.Segment.PartitionBytes = true, h.PartitionRows, h.PartitionBytes
	}
	return d, nil
}

// failedOf is why an attempt on a node failed, for the wire.
func failedOf(a *attempt, node string, err error) *wire.Failed {
	pe := *plan.AsError(err)
	if pe.Op == "" {
		pe.Op = "run"
	}
	if pe.Subject == "" {
		pe.Subject = fmt.Sprintf("stage %d task %d", a.Stage, a.ID.Task.Partition)
	}
	pe.Node = node
	if errors.Is(err, context.Canceled) {
		pe.Kind = plan.KindCancelled
	}
	return &wire.Failed{Task: a.task(), Error: wire.ToProto(&pe)}
}
