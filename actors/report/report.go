// Package report is what a node tells a job's coordinator of an attempt that has ended,
// what it made or why it failed: written and delivered on the one side, read on the other.
//
// Whatever becomes of a report, its attempt ends: one that is refused, here or there, is
// told as a failure instead. It refuses to know where a coordinator is.
//
// Read report.go, then courier.go and read.go.
package report

import (
	"context"
	"errors"
	"fmt"
	"log/slog"

	"google.golang.org/protobuf/proto"

	"github.com/pondmesh/pond/actors/exec"
	"github.com/pondmesh/pond/actors/plan"
	"github.com/pondmesh/pond/actors/wire"
	"github.com/pondmesh/pond/shuffle"
)

// Report is the outcome of an attempt, to be told.
type Report struct { // one of both
	done   *wire.Done
	failed *wire.Failed
}

// message is the report, addressed, and asks for tasks for that many slots.
func (r *Report) message(h *wire.Header, slots int32) proto.Message {
	if r.failed != nil {
		r.failed.Header, r.failed.Slots = h, slots
		return r.failed
	}
	r.done.Header, r.done.Slots = h, slots
	return r.done
}

// refused is the outcome of an attempt whose report cannot be told.
func (r *Report) refused(why error) *Report {
	task := r.failed.GetTask()
	if r.done != nil {
		task = r.done.GetTask()
	}
	te := &plan.Error{Kind: plan.KindInternal, Op: "report", Text: "the attempt's report was refused: " + why.Error()}
	return &Report{failed: &wire.Failed{Task: task, Error: wire.ToProto(te)}}
}

// Done tells what an attempt made.
func Done(a exec.Attempt, out *exec.Outcome) (*Report, error) {
	d := &wire.Done{Task: wire.NewTask(a.ID, a.Stage, a.Lineage), SpillBytes: out.Spilled, CpuMs: out.CPU.Milliseconds()}
	if f := out.Files; f.Manifest != "" {
		d.Files = &wire.Files{Manifest: f.Manifest, Count: f.Count, Rows: f.Rows, Bytes: f.Bytes}
		return &Report{done: d}, nil
	}
	h := out.Segment
	id, err := shuffle.ParseSegmentID(h.Segment)
	if err != nil {
		return nil, err
	}
	d.Segment = &wire.Segment{Id: id[:], Rows: h.Rows, RawBytes: h.RawBytes, Bytes: h.Bytes, Partitions: int32(h.Partitions), Sum: h.Sum, Copies: out.Copies}
	if len(h.PartitionRows) == h.Partitions && h.Partitions <= wire.PartitionsInlineMax {
		d.Segment.StatsInline, d.Segment.PartitionRows, d.Segment.PartitionBytes = true, h.PartitionRows, h.PartitionBytes
	}
	return &Report{done: d}, nil
}

// Failed tells why an attempt on a node failed.
func Failed(a exec.Attempt, node string, err error) *Report {
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
	return &Report{failed: &wire.Failed{Task: wire.NewTask(a.ID, a.Stage, a.Lineage), Error: wire.ToProto(&pe)}}
}

// Tell delivers the report, and asks for tasks for that many slots. A report that is refused, here or there, would leave
// its attempt unheard of for ever: the attempt is reported as failed instead.
func (r *Report) Tell(deliver func(proto.Message) ([]*wire.Run, error), h *wire.Header, slots int32, log *slog.Logger) ([]*wire.Run, error) {
	runs, err := deliver(r.message(h, slots))
	switch {
	case err == nil, FencedOff(err):
		return runs, err
	case errors.Is(err, plan.ErrUnavailable): // the coordinator will miss the attempt, and run another
		log.Warn("a report was not delivered", "err", err)
		return runs, err
	}
	log.Error("a report was refused", "err", err)
	return deliver(r.refused(err).message(h, slots))
}

// FencedOff reports whether a coordinator no longer takes reports of the job.
func FencedOff(err error) bool {
	return errors.Is(err, plan.ErrFenced) || errors.Is(err, plan.ErrNotFound)
}
