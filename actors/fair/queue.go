package fair

import (
	"slices"

	"github.com/pondmesh/pond/actors/plan"
)

// Limits bound the jobs that one node drives.
type Limits struct {
	Jobs    int // at once
	Quick   int // more, of those that a client waits for
	User    int // of one user's, of both; 0: as many as there is place for
	Waiting int // that wait for a place
}

// Entrant is a job that is to be driven.
type Entrant struct {
	ID   plan.JobID
	User string
	// Attended: a client waits for it, so that a quick place will do.
	Attended bool
	// Begun: another node has driven it, and is gone. It gets a place at once, beyond
	// the limits: else work that is done would wait behind work that is not.
	Begun bool
	// Kept: it has been taken in before, so that the queue is never too full for it.
	Kept bool
}

// Queue decides which jobs a node drives, and which wait for a place. Users take turns;
// the jobs of one user keep their order. While all places are taken, jobs that a client
// waits for have some quick ones beside them. Every other place that falls free is
// taken over by the oldest of those, so that neither kind waits for ever while jobs
// end. It is not safe for concurrent use.
type Queue struct {
	limits  Limits
	held    int     // places, without the quick ones
	quick   []*Turn // that hold a quick place, the oldest first: at most limits.Quick
	moved   bool    // the last place that fell free was taken over from a quick one
	waiting int     // over all lines
	round   []*line // of users whose jobs wait, in the order of their turns
	users   map[string]*line
	steps   int64 // quick places given so far
}

// line is a user's jobs.
type line struct {
	user   string
	held   int // places, quick ones among them
	quick  int
	served int64 // Queue.steps when a quick place was last given to it
	turns  []*Turn
}

// Turn is a job in a Queue: it waits, holds a place, and has left at last.
type Turn struct {
	Entrant
	line     *line
	admitted bool
	quick    bool
	left     bool
}

// Admitted reports whether the job has a place, or had one.
func (t *Turn) Admitted() bool { return t.admitted }

// NewQueue returns an empty queue.
func NewQueue(limits Limits) *Queue { return &Queue{limits: limits, users: map[string]*line{}} }

// Limits are those that it keeps.
func (q *Queue) Limits() Limits { return q.limits }

// Enter takes in a job, which is admitted at once or waits; nil: as many wait as may.
func (q *Queue) Enter(e Entrant) *Turn {
	u := q.users[e.User]
	if u == nil {
		u = &line{user: e.User}
	}
	t := &Turn{Entrant: e, line: u}
	if q.Full(e) {
		return nil
	}
	q.users[e.User] = u
	if e.Begun {
		q.admit(t)
		q.held++
		return t
	}
	if len(u.turns) == 0 {
		q.round = append(q.round, u)
	}
	u.turns = append(u.turns, t)
	q.waiting++
	q.fill()
	return t
}

// Full reports whether there is neither a place for a job nor room to wait for one.
func (q *Queue) Full(e Entrant) bool {
	if e.Begun || e.Kept || q.waiting < q.limits.Waiting {
		return false
	}
	free := q.held < q.limits.Jobs || e.Attended && len(q.quick) < q.limits.Quick
	u := q.users[e.User]
	return !free || u != nil && !q.may(u)
}

// Leave gives up a job's turn, and its place if it has one. It returns those that are
// admitted now. Again is harmless.
func (q *Queue) Leave(t *Turn) []*Turn {
	if t.left {
		return nil
	}
	t.left = true
	switch {
	case !t.admitted:
		q.unqueue(t)
	case t.quick:
		q.unquick(t)
		t.line.held--
	default:
		q.held--
		t.line.held--
	}
	admitted := q.fill()
	if l := t.line; l.held == 0 && len(l.turns) == 0 {
		delete(q.users, l.user)
	}
	return admitted
}

// fill gives the places that are free.
func (q *Queue) fill() (admitted []*Turn) {
	for q.held < q.limits.Jobs {
		next := q.next()
		switch {
		case len(q.quick) > 0 && (next == nil || !q.moved):
			q.unquick(q.quick[0])
			q.moved = true
		case next != nil:
			q.unqueue(next)
			q.admit(next)
			q.again(next.line)
			admitted = append(admitted, next)
			q.moved = false
		default:
			return admitted
		}
		q.held++
	}
	for len(q.quick) < q.limits.Quick {
		next := q.nextQuick()
		if next == nil {
			break
		}
		q.unqueue(next)
		q.admit(next)
		q.steps++
		next.quick, next.line.served = true, q.steps
		next.line.quick++
		q.quick = append(q.quick, next)
		admitted = append(admitted, next)
	}
	return admitted
}

// next is the job whose turn it is; nil: none may have a place.
func (q *Queue) next() *Turn {
	for _, l := range q.round {
		if q.may(l) {
			return l.turns[0]
		}
	}
	return nil
}

// nextQuick is the job that a quick place is for: of the user who has the fewest of
// them, and then of the one who has not been given one for longest.
func (q *Queue) nextQuick() (next *Turn) {
	for _, l := range q.round {
		if !q.may(l) || next != nil && (l.quick > next.line.quick || l.quick == next.line.quick && l.served >= next.line.served) {
			continue
		}
		if i := slices.IndexFunc(l.turns, func(t *Turn) bool { return t.Attended }); i >= 0 {
			next = l.turns[i]
		}
	}
	return next
}

// may reports whether a user may have one more place.
func (q *Queue) may(l *line) bool { return q.limits.User <= 0 || l.held < q.limits.User }

func (q *Queue) admit(t *Turn) {
	t.admitted = true
	t.line.held++
}

// again moves a user whose turn it was behind the others.
func (q *Queue) again(l *line) {
	if i := slices.Index(q.round, l); i >= 0 {
		q.round = append(slices.Delete(q.round, i, i+1), l)
	}
}

// unqueue takes a job out of its line.
func (q *Queue) unqueue(t *Turn) {
	l := t.line
	i := slices.Index(l.turns, t)
	l.turns = slices.Delete(l.turns, i, i+1)
	q.waiting--
	if len(l.turns) == 0 {
		q.round = slices.DeleteFunc(q.round, func(o *line) bool { return o == l })
	}
}

func (q *Queue) unquick(t *Turn) {
	t.quick = false
	t.line.quick--
	q.quick = slices.DeleteFunc(q.quick, func(o *Turn) bool { return o == t })
}

// Place is where a waiting job stands, from 1, if users take their turns and nobody
// else comes; 0: it does not wait.
func (q *Queue) Place(t *Turn) int {
	own := slices.Index(t.line.turns, t)
	if own < 0 {
		return 0
	}
	place, before := 1, true
	for _, l := range q.round {
		switch {
		case l == t.line:
			place, before = place+own, false
		case before:
			place += min(len(l.turns), own+1)
		default:
			place += min(len(l.turns), own)
		}
	}
	return place
}

// Waiting is how many jobs wait for a place.
func (q *Queue) Waiting() int { return q.waiting }

// HeldUp reports whether a waiting job waits for others of its user, not for a place.
func (q *Queue) HeldUp(t *Turn) bool { return !q.may(t.line) }
