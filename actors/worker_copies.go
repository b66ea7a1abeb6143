package actors

import (
	"context"
	"time"

	"github.com/asynkron/protoactor-go/actor"

	"github.com/pondmesh/pond/actors/plan"
	"github.com/pondmesh/pond/actors/wire"
	"github.com/pondmesh/pond/shuffle"
)

// copying is a segment that is being sent to other nodes.
type copying struct{ end context.CancelFunc }

// onCopy has a segment held by other nodes too. What cannot be done now, its coordinator
// asks for again.
func (w *worker) onCopy(c actor.Context, m *wire.Copy) {
	id := plan.JobID(m.GetHeader().GetJob())
	j := w.jobs[id]
	if j == nil || m.GetHeader().GetTerm() < j.term || j.copying != nil {
		return
	}
	ctx, end := context.WithCancel(w.n.ctx)
	j.copying = &copying{end}
	root, self, n := c.ActorSystem().Root, c.Self(), w.n
	sent := &sentMsg{job: id, by: j.copying, copied: &wire.Copied{Task: m.GetTask(), Segment: m.GetSegment()}}
	n.goes.Go(func() {
		defer end()
		segment := shuffle.SegmentID(m.GetSegment()).String()
		nodes, err := n.copier.Copy(ctx, plan.StageID(m.GetTask().GetStageId()), segment, int(m.GetWant()))
		if err != nil && ctx.Err() == nil {
			n.log.Warn("a segment is not copied", "job", id, "attempt", m.GetTask().AttemptID(), "segment", segment, "err", err)
		}
		sent.copied.Nodes = nodes
		root.Send(self, sent)
	})
}

// onSent tells a job's coordinator what became of a copy.
func (w *worker) onSent(m *sentMsg) {
	j := w.jobs[m.job]
	if j == nil || j.copying != m.by {
		return
	}
	if j.copying = nil; !j.orphaned.IsZero() {
		return
	}
	m.copied.Header = w.header(j)
	n, addr := w.n, j.addr
	n.goes.Go(func() {
		if err := n.wire.Send(n.ctx, addr, m.copied); err != nil {
			n.log.Debug("telling of a copy", "job", m.job, "to", addr, "err", err)
		}
	})
}

// onCopied keeps a copy of a job's segment while the job is open. A job that is not known
// here is waited for, as if its coordinator were gone.
func (w *worker) onCopied(c actor.Context, id plan.JobID) {
	switch {
	case w.jobs[id] != nil:
	case w.leaving, len(w.jobs) >= jobsPerWorkerMax:
		w.n.segments.Unpin(id)
	default:
		w.newJob(id).orphaned = time.Now()
	}
}
