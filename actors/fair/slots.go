package fair

import (
	"cmp"

	"github.com/pondmesh/pond/actors/plan"
)

// QuickMillis is how long a task may have the quick slot to itself.
const QuickMillis = 2_000

// Slots are a node's slots and the jobs that share them. Times are milliseconds of one
// clock, which does not go back. It is not safe for concurrent use.
type Slots struct {
	ordinary int // how many there are
	free     int // ordinary ones that nobody holds: 0 <= free <= ordinary
	lane     bool
	quick    *Hold // of the quick slot; nil while it is free, or there is none
	out      int   // holds not given back
	jobs     map[plan.JobID]*job
	users    map[string]*user // those that have a job
	seq      int64
}

// party shares slots with others of its kind.
type party struct {
	held  int   // slots
	used  int64 // milliseconds of slots, up to since; one that begins is given as many as the least of the others has
	since int64
	seq   int64 // the older goes first when nothing else decides
}

type user struct {
	party
	name string
	jobs map[plan.JobID]*job
	even float64 // milliseconds that a job which always had work would have used, as far as one has: see charge
	late bool    // one of its jobs waits so long, or lacks so much, that small ones do not come first; set by turn
}

type job struct {
	party
	id    plan.JobID
	user  *user
	wants bool  // its coordinator may have a task
	small bool  // one task, for which the quick slot will do
	asked int64 // when it wanted one first since it was served last
}

// Hold is a slot that is held for a job: asked for, then filled, then given back.
type Hold struct {
	job   *job
	quick bool
	since int64
	given bool
}

// Job is the job that the slot is held for.
func (h *Hold) Job() plan.JobID { return h.job.id }

// Quick reports whether it is the quick slot now.
func (h *Hold) Quick() bool { return h.quick }

// New returns that many free slots, and a quick one beside them if lane.
func New(slots int, lane bool) *Slots {
	return &Slots{ordinary: slots, free: slots, lane: lane && slots > 0, jobs: map[plan.JobID]*job{}, users: map[string]*user{}}
}

// Want notes that a job of a user has work.
func (s *Slots) Want(id plan.JobID, by string, small bool, now int64) {
	j := s.jobs[id]
	if j == nil {
		j = s.add(id, by, now)
	}
	j.small = small
	if j.wants {
		return
	}
	j.asked = now
	if j.held == 0 { // what it did not use while it had no work is not owed to it
		j.user.charge(0, now)
		lift(&j.party, j.user.jobs, now)
		j.used = max(j.used, int64(j.user.even)) // or those that begin would always be before one that waits
	}
	if !j.user.active() {
		lift(&j.user.party, s.users, now)
	}
	j.wants = true
}

func (s *Slots) add(id plan.JobID, by string, now int64) *job {
	u := s.users[by]
	if u == nil {
		s.seq++
		u = &user{party: party{seq: s.seq, since: now}, name: by, jobs: map[plan.JobID]*job{}}
		s.users[by] = u
	}
	s.seq++
	j := &job{party: party{seq: s.seq, since: now}, id: id, user: u}
	s.jobs[id], u.jobs[id] = j, j
	return j
}

// Rest notes that a job has no work for now.
func (s *Slots) Rest(id plan.JobID) {
	if j := s.jobs[id]; j != nil {
		j.wants = false
	}
}

// Wants reports whether a job has work.
func (s *Slots) Wants(id plan.JobID) bool { return s.jobs[id] != nil && s.jobs[id].wants }

// Forget drops a job. Slots that are held for it are given back as before.
func (s *Slots) Forget(id plan.JobID) {
	j := s.jobs[id]
	if j == nil {
		return
	}
	delete(s.jobs, id)
	delete(j.user.jobs, id)
	j.wants = false
	s.leave(j.user)
}

// leave drops a user who has neither a job nor a slot any more.
func (s *Slots) leave(u *user) {
	if len(u.jobs) == 0 && u.held == 0 && s.users[u.name] == u {
		delete(s.users, u.name)
	}
}

// Next holds a slot for the job whose turn it is; nil if there is none, or no slot.
func (s *Slots) Next(now int64) *Hold {
	j := s.turn(now)
	if j == nil {
		return nil
	}
	return s.hold(j, now)
}

// Again holds an ordinary slot for a job if it is its turn; else nil.
func (s *Slots) Again(id plan.JobID, now int64) *Hold {
	j := s.turn(now)
	if j == nil || j.id != id || s.free == 0 {
		return nil
	}
	return s.hold(j, now)
}

func (s *Slots) hold(j *job, now int64) *Hold {
	h := &Hold{job: j, since: now, quick: s.free == 0}
	if h.quick {
		s.quick = h
	} else {
		s.free--
	}
	s.out++
	j.asked = now
	j.charge(1, now)
	j.user.charge(1, now)
	return h
}

// Give gives a slot back. Again is harmless.
func (s *Slots) Give(h *Hold, now int64) {
	if h.given {
		return
	}
	h.given = true
	s.out--
	h.job.user.charge(-1, now) // while the job counts as active
	h.job.charge(-1, now)
	s.leave(h.job.user)
	switch q := s.quick; {
	case q == h:
		s.quick = nil
	case q != nil && now-q.since > QuickMillis:
		q.quick, s.quick = false, nil // it takes over the slot that is given back
	default:
		s.free++
	}
}

// Idle reports whether no slot is held.
func (s *Slots) Idle() bool { return s.out == 0 }

// turn is the job that is served next; nil if there is no slot for any.
func (s *Slots) turn(now int64) (next *job) {
	small := s.free == 0
	if small && (!s.lane || s.quick != nil) {
		return nil
	}
	for _, u := range s.users {
		u.late = false
	}
	for _, j := range s.jobs {
		if j.wants && !j.small && (now-j.asked > QuickMillis || int64(j.user.even)-j.usedBy(now) > QuickMillis) {
			j.user.late = true
		}
	}
	for _, j := range s.jobs {
		if j.wants && (j.small && j.held == 0 || !j.small && !small) && (next == nil || j.before(next, now)) {
			next = j
		}
	}
	return next
}

func (j *job) before(o *job, now int64) bool {
	if j.user != o.user {
		return j.user.compare(&o.user.party, now) < 0
	}
	if j.small != o.small && j.held == o.held && !j.user.late {
		return j.small
	}
	return j.party.compare(&o.party, now) < 0
}

// charge is that of its party. What its jobs have used is shared out evenly among those
// that are active. Jobs that waited for a long task of one that has left have no claim to
// what that had more than they, but for QuickMillis: else all that begin would wait for it.
func (u *user) charge(slots int, now int64) {
	before, active, most := u.used, 0, int64(0)
	for _, j := range u.jobs {
		if j.active() {
			active, most = active+1, max(most, j.usedBy(now))
		}
	}
	u.party.charge(slots, now)
	u.even += float64(u.used-before) / float64(max(active, 1))
	u.even = min(u.even, float64(most+QuickMillis))
}

func (u *user) active() bool {
	if u.held > 0 {
		return true
	}
	for _, j := range u.jobs {
		if j.wants {
			return true
		}
	}
	return false
}

func (j *job) active() bool { return j.held > 0 || j.wants }

func (p *party) share() *party { return p }

// charge adds to the slots that are held.
func (p *party) charge(slots int, now int64) {
	p.used, p.since = p.usedBy(now), now
	p.held += slots
}

func (p *party) usedBy(now int64) int64 { return p.used + int64(p.held)*(now-p.since) }

func (p *party) compare(o *party, now int64) int {
	return cmp.Or(cmp.Compare(p.held, o.held), cmp.Compare(p.usedBy(now), o.usedBy(now)), cmp.Compare(p.seq, o.seq))
}

// lift raises what a party has used to the least that any active one has.
func lift[K comparable, P interface {
	active() bool
	share() *party
}](p *party, all map[K]P, now int64) {
	least, found := int64(0), false
	for _, o := range all {
		if q := o.share(); o.active() && q != p && (!found || q.usedBy(now) < least) {
			least, found = q.usedBy(now), true
		}
	}
	p.charge(0, now)
	if found {
		p.used = max(p.used, least)
	}
}
