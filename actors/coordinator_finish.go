package actors

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/asynkron/protoactor-go/actor"

	"github.com/pondmesh/pond/actors/api"
	"github.com/pondmesh/pond/actors/peers"
	"github.com/pondmesh/pond/actors/plan"
	"github.com/pondmesh/pond/actors/publish"
	"github.com/pondmesh/pond/actors/sched"
	"github.com/pondmesh/pond/actors/terms"
	"github.com/pondmesh/pond/actors/wire"
	"github.com/pondmesh/pond/fs/faults"
	"github.com/pondmesh/pond/mesh"
	"github.com/pondmesh/pond/mesh/delay"
)

const (
	decideTimeout = time.Minute     // how long keepers are waited for, for one decision
	decidePause   = time.Second     // before an end is put to the vote again
	withdrawTries = 5               // before a job fails of which it is not known whether it has published
	recordPause   = 5 * time.Second // before an end is recorded again
)

// publish makes the winners' files visible, beside the actor. First it is decided
// that they may be: from then on the job is not cancelled, and a newer term can only
// publish the same.
func (c *coordinator) publish(ctx actor.Context, p sched.Publish) {
	root, self, out, term := ctx.ActorSystem().Root, ctx.Self(), c.output, c.hosted.Term
	rows := c.d.Rows()
	c.publishing = true
	c.n.goes.Go(func() {
		m := &publishedMsg{try: p.Try}
		c.n.cfg.Faults.At(faults.Publish)
		m.err = decide(c.n.ctx, term, terms.Publish, rows, nil)
		if m.err == nil {
			m.files, m.err = out.Publish(c.n.ctx, p.Winners)
			c.n.cfg.Faults.At(faults.Published)
		}
		root.Send(self, m)
	})
}

// decide decides for all terms of a job to come, within decideTimeout.
func decide(ctx context.Context, term *terms.Term, d terms.Decision, rows int64, cause error) error {
	ctx, stop := context.WithTimeout(ctx, decideTimeout)
	defer stop()
	return term.Decide(ctx, d, rows, cause)
}

// unsure warns of files that a predecessor may have published.
func unsure(f *sched.Finish) *sched.Finish {
	e := *plan.AsError(f.Err)
	e.Hint = "its files may have been published: look whether they are there before running the job again"
	return &sched.Finish{Status: f.Status, Err: &e, Rows: f.Rows}
}

// tooLarge refuses a result, or files, of which the last stage's tasks have made more
// than this node allows, as soon as they have. What is decided to be published is.
func (c *coordinator) tooLarge() error {
	switch {
	case c.publishing:
		return nil
	case c.job.Result.Write != nil:
		return c.n.limits().CheckOutput(c.d.Bytes())
	}
	return c.n.limits().CheckResult(c.d.Bytes())
}

// finish is the end of the job: the one status that stays. An end that another term
// may see otherwise is decided first.
func (c *coordinator) finish(ctx actor.Context, f *sched.Finish) {
	if c.finished {
		return
	}
	if c.unplan != nil {
		c.unplan() // of a job that is cancelled while DuckDB plans it
	}
	c.finished = true
	c.stopTicker()
	c.n.jobs.Leave(c.hosted)
	mayBe := f.Status != sched.Succeeded && c.hosted.Term.MayPublish()
	switch {
	case f.Status == sched.Fenced:
		c.fenced()
	case mayBe && c.output != nil:
		c.withdraw(ctx, f, 1)
	case mayBe:
		c.decideEnd(ctx, unsure(f))
	default:
		c.decideEnd(ctx, f)
	}
}

// decideEnd has the end decided, if it must be.
func (c *coordinator) decideEnd(ctx actor.Context, f *sched.Finish) {
	if d := c.voteOf(f); d != terms.None {
		c.vote(ctx, d, f, 0)
		return
	}
	c.conclude(f)
}

// withdraw keeps a driver of an earlier term from publishing, beside the actor, since this
// one is about to end the job otherwise. That one may have been paused on its way to it,
// and may have published while this one ran tasks anew: these failed for want of the folder
// that goes with it.
func (c *coordinator) withdraw(ctx actor.Context, f *sched.Finish, try int) {
	root, self, out, term := ctx.ActorSystem().Root, ctx.Self(), c.output, c.hosted.Term
	c.n.goes.Go(func() {
		if try > 1 && delay.For(c.n.ctx, decidePause) != nil {
			return
		}
		bounded, stop := context.WithTimeout(c.n.ctx, outputTimeout)
		defer stop()
		m := &withdrawnMsg{end: f, try: try}
		if m.err = term.Claim(bounded); m.err == nil { // what is staged may be a newer term's
			m.files, m.published, m.err = out.Withdraw(bounded)
		}
		root.Send(self, m)
	})
}

func (c *coordinator) onWithdrawn(ctx actor.Context, m *withdrawnMsg) {
	switch {
	case errors.Is(m.err, plan.ErrFenced):
		c.fenced()
		return
	case m.err != nil && m.try < withdrawTries:
		c.log.Warn("whether a predecessor has published the files cannot be told yet", "err", m.err)
		s := c.status()
		s.Waiting = &api.Waiting{For: "where it writes to, to tell whether its files are published: " + plan.AsError(m.err).Text}
		c.hosted.Tell(s)
		c.withdraw(ctx, m.end, m.try+1)
		return
	case m.err != nil:
		m.end = unsure(m.end)
	case m.published:
		c.log.Info("a predecessor has published the files", "this driver ended by", m.end.Err)
		c.files = m.files
		m.end = &sched.Finish{Status: sched.Succeeded, Rows: c.hosted.Term.Inherited().Rows}
	}
	c.decideEnd(ctx, m.end)
}

// vote has an end decided, beside the actor, after a pause.
func (c *coordinator) vote(ctx actor.Context, d terms.Decision, f *sched.Finish, pause time.Duration) {
	root, self, term := ctx.ActorSystem().Root, ctx.Self(), c.hosted.Term
	c.n.goes.Go(func() {
		if delay.For(c.n.ctx, pause) == nil {
			root.Send(self, &decidedMsg{d, f, decide(c.n.ctx, term, d, f.Rows, f.Err)})
		}
	})
}

// voteOf is what has to be decided for a job to end so. A job without files needs no
// vote: its rows are right in whichever term, and nothing is left of it otherwise. Nor
// does what is wrong with a job that has published nothing: any term comes to the same.
func (c *coordinator) voteOf(f *sched.Finish) terms.Decision {
	switch {
	case !c.writes():
		return terms.None
	case f.Status == sched.Succeeded:
		return terms.Succeeded
	case f.Status == sched.Cancelled:
		return terms.Cancelled
	case c.publishing:
		return terms.Failed
	}
	switch plan.KindOf(f.Err) {
	case plan.KindUser, plan.KindCrash, plan.KindDenied, plan.KindNotFound:
		return terms.None
	}
	return terms.Failed
}

// writes reports whether the job leaves files. One that is not planned may.
func (c *coordinator) writes() bool { return c.output != nil || c.job == nil && c.target() != nil }

// target is what the job writes; nil: rows.
func (c *coordinator) target() *plan.Write {
	switch p := c.hosted.Spec.Plan; {
	case c.job != nil:
		return c.job.Result.Write
	case p != nil:
		return p.Sink.Write
	}
	return nil
}

// onDecided ends the job as was decided. Without enough keepers nothing is known of
// other terms, so the job goes on until there are, and says what it waits for.
func (c *coordinator) onDecided(ctx actor.Context, m *decidedMsg) {
	switch {
	case m.err == nil:
		c.conclude(m.end)
	case errors.Is(m.err, plan.ErrFenced):
		c.fenced()
	case m.end.Status == sched.Succeeded:
		c.log.Warn("the files are published, and too few keepers know", "err", m.err)
		c.decideLate(m.end)
		c.conclude(m.end)
	default:
		c.log.Warn("the job's end is not decided yet", "state", m.end.Status, "err", m.err)
		s := c.status()
		s.Waiting = &api.Waiting{For: waitsFor(m.end)}
		c.hosted.Tell(s)
		c.vote(ctx, m.vote, m.end, decidePause)
	}
}

// decideLate goes on asking keepers for a decision that is carried out already. Until
// they have made it, a successor may look at what was staged for what has become of it.
func (c *coordinator) decideLate(end *sched.Finish) {
	out, term, n := c.handOver(), c.hosted.Term, c.n
	out.Yield()
	n.goes.Go(func() {
		for delay.For(n.ctx, decidePause) == nil {
			if err := decide(n.ctx, term, terms.Succeeded, end.Rows, nil); err == nil || errors.Is(err, plan.ErrFenced) {
				out.Release()
				return
			}
		}
	})
}

// waitsFor says what an end waits for that is not decided.
func waitsFor(end *sched.Finish) string {
	text := "most keepers of the registers, to decide its end (pondnode members shows them)"
	if end.Err == nil {
		return text
	}
	return fmt.Sprintf("%s; on its coordinator it ended by: %s", text, plan.AsError(end.Err).Text)
}

// handOver is the output for its taker to end: the coordinator's own stop leaves it alone.
func (c *coordinator) handOver() *publish.Output {
	out := c.output
	c.output = nil
	return out
}

// fenced: a newer term drives the job. Nothing is said about it from here.
func (c *coordinator) fenced() {
	c.log.Info("another node drives the job now")
	c.handOver().Release()
	c.n.jobs.Fence(c.hosted.Spec.ID, c.term+1)
}

// conclude makes the end known.
func (c *coordinator) conclude(f *sched.Finish) {
	s := c.status()
	if c.d != nil {
		c.tally.Measure(c.d, s.Stages)
	}
	s.Ended = time.Now().UnixMilli()
	if _, last, ok := c.tally.Ran(); ok {
		s.EngineEnded = c.start.UnixMilli() + last
	}
	switch f.Status {
	case sched.Succeeded:
		s.State, s.Rows = api.Succeeded, f.Rows
		s.Files = c.files
		s.Result = c.result()
	case sched.Cancelled:
		s.State, s.Error = api.Cancelled, api.FromError(f.Err)
	default:
		s.State, s.Error = api.Failed, api.FromError(f.Err)
	}
	c.log.Info("job ended", "state", s.State, "rows", s.Rows, "took", time.Since(c.start), "err", f.Err)
	c.count(s)
	rec := *c.hosted.Record
	rec.Status = s
	if c.replanned() {
		rec.Job = c.job
	}
	members := c.crew.All()
	header := c.header()
	header.DeadlineUnixMs = 0
	out := c.handOver()
	if out == nil {
		c.tell(s)
		c.n.goes.Go(func() { c.n.wrapUp(&rec, members, header, nil) })
		return
	}
	c.n.goes.Go(func() { // files have appeared: that is on record before anybody hears of it
		c.n.wrapUp(&rec, members, header, out)
		c.n.cfg.Faults.At(faults.Ended)
		c.tell(s)
	})
}

// count adds an ended job to the node's metrics.
func (c *coordinator) count(s *api.JobStatus) {
	retries := 0
	for _, st := range s.Stages {
		retries += st.Retries
	}
	c.n.metrics.JobEnded(string(s.State), retries)
}

// tell makes an end known to the job's watchers.
func (c *coordinator) tell(s *api.JobStatus) {
	c.n.jobs.End(c.hosted, s)
}

// wrapUp records that a job is over and tells the other nodes.
func (n *Node) wrapUp(rec *api.Record, members []mesh.Member, header *wire.Header, out *publish.Output) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(n.ctx), recordTimeout)
	defer cancel()
	if n.jobs.RecordEnd(ctx, rec) {
		n.discard(rec.Spec.ID, out) // nobody will look there for what became of the job
	} else {
		n.log.Warn("the end of a job is recorded on too few nodes: what it staged stays until it is", "job", rec.Spec.ID)
		n.recordLate(rec, out)
	}
	_ = peers.Each(ctx, len(members), func(ctx context.Context, i int) error {
		if err := n.wire.Send(ctx, members[i].ActorsAddr(), &wire.Stop{Header: header}); err != nil {
			n.log.Debug("closing a job", "job", rec.Spec.ID, "node", members[i].ID, "err", err)
		}
		return nil
	})
}

// recordLate goes on recording the end of a job that has staged files. Until most of its
// homes know, a successor may look at these for what has become of it.
func (n *Node) recordLate(rec *api.Record, out *publish.Output) {
	if out == nil {
		return
	}
	out.Yield()
	n.goes.Go(func() {
		for delay.For(n.ctx, recordPause) == nil {
			ctx, cancel := context.WithTimeout(n.ctx, recordTimeout)
			done := n.jobs.RecordEnd(ctx, rec)
			cancel()
			if done {
				out.Release()
				return
			}
		}
	})
}

// discard removes a job's staging folder. Published files stay.
func (n *Node) discard(id plan.JobID, out *publish.Output) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(n.ctx), recordTimeout)
	defer cancel()
	if err := out.Discard(ctx); err != nil {
		n.log.Warn("removing staged files", "job", id, "err", err)
		out.Release()
	}
}

// result says where the last stage's rows are.
func (c *coordinator) result() *api.ResultInfo {
	if c.target() != nil {
		return &api.ResultInfo{}
	}
	r := &api.ResultInfo{Job: c.hosted.Spec.ID}
	for _, w := range c.d.Segments(len(c.job.Stages) - 1) {
		p := api.ResultPart{Segment: w.Output.Segment, Rows: w.Output.Rows}
		if addrs := c.crew.Holders(w); len(addrs) > 0 {
			p.Addr, p.Others = addrs[0], addrs[1:]
		}
		r.Parts = append(r.Parts, p)
	}
	return r
}

// publishStatus lets watchers know how the job stands.
func (c *coordinator) publishStatus(now bool) {
	if c.finished || !c.dirty && !now || !now && time.Since(c.shown) < statusEvery {
		return
	}
	c.dirty, c.shown = false, time.Now()
	c.hosted.Tell(c.status())
}

func (c *coordinator) status() *api.JobStatus {
	s := c.hosted.Spec.Status()
	s.State, s.Coordinator, s.Term = api.Running, string(c.n.id), c.term
	if w := c.target(); w != nil {
		s.Output = w.Path
	}
	if c.d == nil {
		return s
	}
	if first, _, ok := c.tally.Ran(); ok {
		s.Started = c.start.UnixMilli() + first
	}
	if copies := c.d.Copies(); copies != plan.NoCopies {
		s.Copies = copies
	}
	s.Stages = c.tally.Stages(c.d, c.now())
	return s
}
