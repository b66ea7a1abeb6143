package jobs

import (
	"context"
	"fmt"
	"time"

	"github.com/pondmesh/pond/actors/api"
	"github.com/pondmesh/pond/actors/fair"
	"github.com/pondmesh/pond/actors/plan"
	"github.com/pondmesh/pond/actors/terms"
)

// enter gives a job a place, or has it wait; nil: as many wait as may. The lock is held.
func (j *Jobs) enter(rec *api.Record, term *terms.Term) *fair.Turn {
	e := entrant(rec.Spec)
	e.Kept = term.Number() > 1
	e.Begun = e.Kept && (rec.Wait != api.Waits || term.Inherited().Decision != terms.None)
	return j.queue.Enter(e)
}

func entrant(s *api.JobSpec) fair.Entrant {
	return fair.Entrant{ID: s.ID, User: s.Submitter(), Attended: s.Options.LeaseMillis > 0}
}

// Leave gives up a job's place. Those who get it hear so.
func (j *Jobs) Leave(r *Job) {
	j.mu.Lock()
	defer j.mu.Unlock()
	j.leaves(r)
}

// leaves is Leave with the lock held.
func (j *Jobs) leaves(r *Job) {
	for _, t := range j.queue.Leave(r.turn) {
		if next := j.byID[t.ID]; next != nil && next.turn == t {
			next.Send(&Admitted{})
		}
	}
}

// Admitted reports whether a job has a place: else its driver hears once it has.
func (j *Jobs) Admitted(r *Job) bool {
	j.mu.Lock()
	defer j.mu.Unlock()
	return r.turn.Admitted()
}

// Full is the error of a job that there is no room for here; nil for one that there is.
func (j *Jobs) Full(e fair.Entrant) error {
	j.mu.Lock()
	defer j.mu.Unlock()
	if !j.queue.Full(e) || j.byID[e.ID] != nil {
		return nil
	}
	return j.busy()
}

// busy is the error of a job that the queue has no room for.
func (j *Jobs) busy() error {
	l := j.queue.Limits()
	return &plan.Error{Kind: plan.KindBusy, Op: "submit", Node: string(j.Peers.Self),
		Text: fmt.Sprintf("%d jobs wait for this node, which drives %d at once: it takes no more", j.queue.Waiting(), l.Jobs),
		Hint: "submit it later, or to another node; the node's --jobs-max and --queue-max set the bounds"}
}

// waits is how a job waits; nil: it does not. The lock is held.
func (j *Jobs) waits(r *Job) *api.Waiting {
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
func (j *Jobs) see(r *Job) (*api.JobStatus, <-chan struct{}) {
	s, changed := r.Status()
	if s.State != api.Queued {
		return s, changed
	}
	j.mu.Lock()
	defer j.mu.Unlock()
	return j.placed(r, s), changed
}

// placed adds its place to the status of a job that may wait. The lock is held.
func (j *Jobs) placed(r *Job, s *api.JobStatus) *api.JobStatus {
	if s.State != api.Queued {
		return s
	}
	now := *s
	now.Waiting = j.waits(r)
	return &now
}

// refuse records that a job was refused, before its submitter hears so: else a home
// would run it.
func (j *Jobs) refuse(ctx context.Context, rec *api.Record, why error) {
	ended := *rec
	ended.Status = rec.Spec.Status()
	ended.Status.State, ended.Status.Ended, ended.Status.Error = api.Failed, time.Now().UnixMilli(), api.FromError(why)
	ended.Status.Term = rec.Term
	j.recordEnd(&ended)
	homes, _ := j.Peers.Homes(rec.Spec.ID)
	j.putAll(ctx, &ended, homes).majority()
}

// RecordWait tells a job's homes how it waits, so that one that takes it over knows.
func (j *Jobs) RecordWait(r *Job, wait api.Wait) {
	ctx, stop := context.WithTimeout(j.Context, recordTimeout)
	defer stop()
	rec := *r.Record
	rec.Wait = wait
	homes, _ := j.Peers.Homes(rec.Spec.ID)
	j.putEach(ctx, &rec, homes)
}

// Waiting is how many jobs wait for this node to drive them.
func (j *Jobs) Waiting() int {
	j.mu.Lock()
	defer j.mu.Unlock()
	return j.queue.Waiting()
}
