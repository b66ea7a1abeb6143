package actors

import (
	"context"
	"fmt"
	"time"

	"github.com/asynkron/protoactor-go/actor"

	"github.com/pondmesh/pond/actors/api"
	"github.com/pondmesh/pond/actors/fair"
	"github.com/pondmesh/pond/actors/plan"
	"github.com/pondmesh/pond/actors/sched"
	"github.com/pondmesh/pond/actors/setup"
	"github.com/pondmesh/pond/actors/terms"
)

// quickJobs is the part of the jobs that a node drives at once by which it may drive
// more, of those that a client waits for.
const quickJobs = 4

// waitTick is how often a job that waits looks at its deadline and its client. One that
// waits for as long is recorded as waiting.
const waitTick = time.Second

func limitsOf(c *setup.Config) fair.Limits {
	return fair.Limits{Jobs: c.JobsMax, Quick: (c.JobsMax + quickJobs - 1) / quickJobs, User: c.UserJobsMax, Waiting: c.QueueMax}
}

// enter gives a job a place, or has it wait; nil: as many wait as may. The lock is held.
func (j *jobs) enter(rec *api.Record, term *terms.Term) *fair.Turn {
	e := entrant(rec.Spec)
	e.Kept = term.Number() > 1
	e.Begun = e.Kept && (rec.Wait != api.Waits || term.Inherited().Decision != terms.None)
	return j.queue.Enter(e)
}

func entrant(s *api.JobSpec) fair.Entrant {
	return fair.Entrant{ID: s.ID, User: s.Status().User, Attended: s.Options.LeaseMillis > 0}
}

// leave gives up a job's place. Those who get it hear so.
func (j *jobs) leave(r *hostedJob) {
	j.mu.Lock()
	defer j.mu.Unlock()
	j.leaves(r)
}

// leaves is leave with the lock held.
func (j *jobs) leaves(r *hostedJob) {
	for _, t := range j.queue.Leave(r.turn) {
		if next := j.byID[t.ID]; next != nil && next.turn == t {
			j.n.wire.System().Root.Send(next.pid, &admittedMsg{})
		}
	}
}

func (j *jobs) admitted(r *hostedJob) bool {
	j.mu.Lock()
	defer j.mu.Unlock()
	return r.turn.Admitted()
}

// full is the error of a job that there is no room for here; nil for one that there is.
func (j *jobs) full(e fair.Entrant) error {
	j.mu.Lock()
	defer j.mu.Unlock()
	if !j.queue.Full(e) || j.byID[e.ID] != nil {
		return nil
	}
	return j.busy()
}

// busy is the error of a job that the queue has no room for.
func (j *jobs) busy() error {
	l := j.queue.Limits()
	return &plan.Error{Kind: plan.KindBusy, Op: "submit", Node: string(j.n.id),
		Text: fmt.Sprintf("%d jobs wait for this node, which drives %d at once: it takes no more", j.queue.Waiting(), l.Jobs),
		Hint: "submit it later, or to another node; the node's --jobs-max and --queue-max set the bounds"}
}

// waits is how a job waits; nil: it does not. The lock is held.
func (j *jobs) waits(r *hostedJob) *api.Waiting {
	place := j.queue.Place(r.turn)
	if place == 0 {
		return nil
	}
	l := j.queue.Limits()
	w := &api.Waiting{Place: place, Of: j.queue.Waiting(), For: fmt.Sprintf("a place among the %d jobs that its node drives at once (--jobs-max)", l.Jobs)}
	if j.queue.HeldUp(r.turn) {
		w.For = fmt.Sprintf("an end of one of the %d jobs of its user that its node drives at once (--user-jobs-max)", l.User)
	}
	return w
}

// see is a job's status, with its place while it waits, and a channel that closes when
// there is a newer one.
func (j *jobs) see(r *hostedJob) (*api.JobStatus, <-chan struct{}) {
	s, changed := r.topic.get()
	if s.State != api.Queued {
		return s, changed
	}
	j.mu.Lock()
	defer j.mu.Unlock()
	return j.placed(r, s), changed
}

// placed adds its place to the status of a job that may wait. The lock is held.
func (j *jobs) placed(r *hostedJob, s *api.JobStatus) *api.JobStatus {
	if s.State != api.Queued {
		return s
	}
	now := *s
	now.Waiting = j.waits(r)
	return &now
}

// refuse records that a job was refused, before its submitter hears so: else a home
// would run it.
func (j *jobs) refuse(ctx context.Context, rec *api.Record, why error) {
	ended := *rec
	ended.Status = rec.Spec.Status()
	ended.Status.State, ended.Status.Ended, ended.Status.Error = api.Failed, time.Now().UnixMilli(), api.FromError(why)
	ended.Status.Term = rec.Term
	j.recordEnd(&ended)
	homes, _ := j.n.peers.Homes(rec.Spec.ID)
	j.putAll(ctx, &ended, homes).majority()
}

// recordWait tells a job's homes how it waits, so that one that takes it over knows.
func (j *jobs) recordWait(r *hostedJob, wait api.Wait) {
	ctx, stop := context.WithTimeout(j.n.ctx, recordTimeout)
	defer stop()
	rec := *r.rec
	rec.Wait = wait
	homes, _ := j.n.peers.Homes(rec.Spec.ID)
	j.putEach(ctx, &rec, homes)
}

// await is a look at a job that waits to be driven.
func (c *coordinator) await(ctx actor.Context) {
	if d := c.hosted.spec.Options.DeadlineMillis; d > 0 && time.Now().UnixMilli() > c.hosted.spec.Submitted+d {
		c.finish(ctx, &sched.Finish{Status: sched.Failure, Err: &plan.Error{Kind: plan.KindDeadline, Op: "job", Subject: string(c.hosted.spec.ID),
			Text: "its time was up while it waited for a node to drive it", Hint: "give more time, or submit it when less is going on: pondnode jobs"}})
		return
	}
	if !c.waited {
		c.waited = true
		c.n.goes.Go(func() { c.n.jobs.recordWait(c.hosted, api.Waits) })
	}
	c.holdLease(ctx)
}

// onAdmitted begins the job's planning, once.
func (c *coordinator) onAdmitted(ctx actor.Context) {
	if c.finished || c.unplan != nil {
		return
	}
	if c.waited {
		c.n.goes.Go(func() { c.n.jobs.recordWait(c.hosted, api.Waited) })
	}
	c.ticker.Reset(tickInterval)
	c.plan(ctx)
}

// waiting is how many jobs wait for this node to drive them.
func (j *jobs) waiting() int {
	j.mu.Lock()
	defer j.mu.Unlock()
	return j.queue.Waiting()
}
