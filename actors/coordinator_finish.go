package actors

import (
	"context"
	"time"

	"github.com/asynkron/protoactor-go/actor"

	"github.com/pondmesh/pond/actors/api"
	"github.com/pondmesh/pond/actors/peers"
	"github.com/pondmesh/pond/actors/plan"
	"github.com/pondmesh/pond/actors/publish"
	"github.com/pondmesh/pond/actors/sched"
	"github.com/pondmesh/pond/actors/wire"
	"github.com/pondmesh/pond/mesh"
)

// publish makes the winners' files visible and clears up behind them, beside the
// actor.
func (c *coordinator) publish(ctx actor.Context, p sched.Publish) {
	root, self, id, out := ctx.ActorSystem().Root, ctx.Self(), c.hosted.spec.ID, c.output
	c.n.goes.Go(func() {
		files, err := out.Publish(c.n.ctx, p.Winners)
		if err == nil {
			c.n.jobs.discard(id, out)
		}
		root.Send(self, &publishedMsg{try: p.Try, files: files, err: err})
	})
}

// finish is the end of the job: the one status that stays.
func (c *coordinator) finish(ctx actor.Context, f *sched.Finish) {
	if c.finished {
		return
	}
	c.unplan()                    // of a job that is cancelled while DuckDB plans it
	if f.Status == sched.Fenced { // a newer term drives the job: nothing is said about it from here
		c.stop()
		c.finished = true
		return
	}
	s := c.status()
	c.measure(s)
	s.Ended = time.Now().UnixMilli()
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
	c.finished = true
	c.hosted.ended()
	c.stopTicker()
	c.log.Info("job ended", "state", s.State, "rows", s.Rows, "took", time.Since(c.start), "err", f.Err)
	rec := &api.Record{Spec: c.hosted.spec, Term: c.term, Status: s}
	if c.replanned() {
		rec.Job = c.job
	}
	if c.output != nil { // files have appeared: that is not to be forgotten
		c.n.jobs.record(rec)
	}
	members := make([]mesh.Member, 0, len(c.nodes))
	for _, m := range c.nodes {
		members = append(members, m)
	}
	header := c.header()
	header.DeadlineUnixMs = 0
	c.hosted.topic.set(s)
	c.n.jobs.ends()
	c.n.goes.Go(func() { c.n.jobs.wrapUp(rec, members, header, c.output) })
}

// record keeps the end of a job here.
func (j *jobs) record(rec *api.Record) {
	if err := j.n.records.Put(rec); err != nil {
		j.n.log.Warn("recording a job's end", "job", rec.Spec.ID, "err", err)
	}
}

// wrapUp records that a job is over and tells the other nodes.
func (j *jobs) wrapUp(rec *api.Record, members []mesh.Member, header *wire.Header, out *publish.Output) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(j.n.ctx), recordTimeout)
	defer cancel()
	j.record(rec)
	for _, m := range members {
		if err := j.n.wire.Send(ctx, m.ActorsAddr(), &wire.Stop{Header: header}); err != nil {
			j.n.log.Debug("closing a job", "job", rec.Spec.ID, "node", m.ID, "err", err)
		}
	}
	if rec.Status.State != api.Succeeded { // else publish has cleared up
		j.discard(rec.Spec.ID, out)
	}
	homes, _ := j.n.peers.Homes(rec.Spec.ID)
	_ = peers.Each(ctx, len(homes), func(ctx context.Context, i int) error {
		if err := j.putRecord(ctx, homes[i], rec); err != nil {
			j.n.log.Debug("recording a job's end", "job", rec.Spec.ID, "addr", homes[i], "err", err)
		}
		return nil
	})
}

// discard removes a job's staging folder. Published files stay.
func (j *jobs) discard(id plan.JobID, out *publish.Output) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(j.n.ctx), recordTimeout)
	defer cancel()
	if err := out.Discard(ctx); err != nil {
		j.n.log.Warn("removing staged files", "job", id, "err", err)
	}
}

// result says where the last stage's rows are.
func (c *coordinator) result() *api.ResultInfo {
	if c.job.Result.Write != nil {
		return &api.ResultInfo{}
	}
	r := &api.ResultInfo{}
	for _, w := range c.d.Segments(len(c.job.Stages) - 1) {
		r.Parts = append(r.Parts, api.ResultPart{Addr: c.holder(w), Segment: w.Output.Segment, Rows: w.Output.Rows})
	}
	return r
}

// publishStatus lets watchers know how the job stands.
func (c *coordinator) publishStatus(now bool) {
	if c.finished || !c.dirty && !now || !now && time.Since(c.shown) < statusEvery {
		return
	}
	c.dirty, c.shown = false, time.Now()
	c.hosted.topic.set(c.status())
}

func (c *coordinator) status() *api.JobStatus {
	s := c.hosted.spec.Status()
	s.State, s.Coordinator, s.Term = api.Running, string(c.n.id), c.term
	if c.d == nil {
		return s
	}
	if w := c.job.Result.Write; w != nil {
		s.Output = w.Path
	}
	for _, st := range c.d.Status() {
		s.Stages = append(s.Stages, api.StageStatus{
			Index: st.Index, Name: st.Name, Tasks: st.Tasks, Running: st.Running, Done: st.Done, Reused: st.Reused, Retries: st.Retries, Dropped: st.Dropped,
			Rows: st.Rows, RawBytes: st.RawBytes, Bytes: st.Bytes, Spill: st.Spilled, CPU: st.CPUMillis, Wall: c.wall(st.Index, st.Running > 0),
		})
	}
	return s
}
