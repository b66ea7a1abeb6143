package sim

import (
	"errors"
	"fmt"
	"maps"

	"github.com/pondmesh/pond/actors/api"
	"github.com/pondmesh/pond/actors/fair"
	"github.com/pondmesh/pond/actors/plan"
)

// What a run has shown against the pond.
var (
	ErrDiffers = errors.New("the answer is not the oracle's")
	ErrFailed  = errors.New("the job did not succeed")
	ErrHung    = errors.New("the job has not ended in time")
	ErrUnclean = errors.New("an invariant is broken")
)

// checks remember what was seen, to tell what must not follow.
type checks struct {
	disks   uint64
	drivers map[string]driver // by job and term
	records map[string]uint64 // the term of a node's record of a job, by node and job
	obeyed  map[string]uint64 // the highest term that a process has obeyed, by process and job
	changes int
}

func unclean(format string, args ...any) error {
	return fmt.Errorf(format+": %w", append(args, ErrUnclean)...)
}

// noteDriver: a term that was voted for has one driver.
func (c *checks) noteDriver(w *world, id plan.JobID, term uint64, d driver) {
	key := fmt.Sprint(id, " ", term)
	if old, ok := c.drivers[key]; ok && old != d {
		w.stats.TwoFirsts++
	}
	if old, ok := c.drivers[key]; ok && old != d && term > 1 {
		w.breaks(unclean("term %d of %s has two drivers, %v and %v", term, id, old, d))
	}
	c.drivers[key] = d
}

// noteRecord: the term of a record never goes back, unless its disk was lost.
func (c *checks) noteRecord(w *world, n *node, rec *api.Record) {
	key := fmt.Sprint(n.disk.owner, " ", rec.Spec.ID)
	if rec.Status == nil && rec.Term < c.records[key] {
		w.breaks(unclean("the record of %s on %s goes back from term %d to %d", rec.Spec.ID, n.id, c.records[key], rec.Term))
	}
	c.records[key] = max(c.records[key], rec.Term)
}

// noteObeyed: a process does nothing for a driver once it has worked for a later one; it
// forgets that when it drops the job, term 0.
func (c *checks) noteObeyed(w *world, l *life, id plan.JobID, term uint64) {
	key := fmt.Sprint(l.n.id, " ", l.boot, " ", id)
	if term > 0 && term < c.obeyed[key] {
		w.breaks(unclean("%s goes back from term %d of %s to %d", l.n.id, c.obeyed[key], id, term))
	}
	c.obeyed[key] = term
}

// noteSlot: an ordinary slot is not given to a job while another has work and holds fewer,
// counting those of its user first. Called before the slot counts as the job's.
func (c *checks) noteSlot(l *life, h *fair.Hold) {
	held := maps.Clone(l.pulled)
	for _, o := range l.work {
		held[l.w.job(o.id).user] += len(o.running)
	}
	j := l.work[h.Job()]
	user := l.w.job(j.id).user
	for _, o := range sorted(l.work) {
		other := l.w.job(o.id)
		waits := o != j && o.hungry && !other.small() && !h.Quick()
		if waits && (held[other.user] < held[user] || other.user == user && o.holds() < j.holds()) {
			l.w.breaks(unclean("%s gives a slot to %s, which holds %d, and %s waits with %d", l.n.id, j.id, j.holds(), o.id, o.holds()))
		}
	}
}

// noteReport: a driver hears reports of its own term alone.
func (c *checks) noteReport(w *world, id plan.JobID, of, term uint64) {
	if of != term {
		w.breaks(unclean("the driver of term %d of %s takes a report of term %d", term, id, of))
	}
}

// noteEnd: a job ends in one way, and what it has published goes with that.
func (c *checks) noteEnd(w *world, j *job, s *api.JobStatus) {
	j.ends[s.State] = true
	w.progress()
	switch {
	case j.folder == nil:
		return
	case len(j.ends) > 1:
		w.breaks(unclean("job %s has ended in several ways: %v", j.spec.ID, j.ends))
	case s.State == api.Succeeded && len(j.folder.published) == 0:
		w.breaks(unclean("job %s has succeeded and published nothing", j.spec.ID))
	case s.State != api.Succeeded && len(j.folder.published) > 0:
		w.breaks(unclean("job %s is %s and has published", j.spec.ID, s.State))
	}
}

// checkEnd: all that was published is whole, and was published once.
func (w *world) checkEnd() {
	if w.broken != nil {
		return
	}
	for _, j := range w.jobs {
		switch f := j.folder; {
		case f == nil:
		case len(f.published) > 1:
			w.breaks(unclean("job %s has published %d times", j.spec.ID, len(f.published)))
		case len(f.published) == 1 && j.ends[api.Cancelled]:
			w.breaks(unclean("job %s is cancelled and has published", j.spec.ID))
		case len(f.published) == 1:
			if err := j.differs(f.published[0]); err != nil {
				w.breaks(err)
			}
		}
	}
}
