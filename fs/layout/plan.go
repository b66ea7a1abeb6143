package layout

import (
	"cmp"
	"slices"
	"time"

	"github.com/pondmesh/pond/fs/replica"
)

// Candidate is a node as whoever plans sees it. One whose weight is not known, 0, keeps
// that which it has as a member, or is given the least.
type Candidate struct {
	Member
	Gone   time.Duration // for how long it has not answered; 0: it does
	Here   time.Duration // for how long it has answered without a pause
	Leaves bool          // it wants to go, and stays until what it has is elsewhere
}

// Patience is how long a state must last before data moves because of it, so that nodes
// that come and go move none.
type Patience struct {
	Gone time.Duration // of a member that does not answer, before others are given what it has
	Here time.Duration // of a node that answers, before it is given anything
}

// Waits is the patience of a pond.
func Waits() Patience { return Patience{Gone: 5 * time.Minute, Here: time.Minute} }

// Braked reports whether more than a third of the members do not answer: then something
// else is wrong than their disks, and nothing is moved or dropped until they are back.
func (l *Layout) Braked(answers func(replica.Node) bool) bool {
	return l.brakedWith(0, answers)
}

// brakedWith is Braked with so many more members, which answer.
func (l *Layout) brakedWith(more int, answers func(replica.Node) bool) bool {
	v := l.Current()
	if v == nil {
		return true
	}
	gone := 0
	for _, m := range v.Members {
		if !answers(m.Node) {
			gone++
		}
	}
	return 3*gone > len(v.Members)+more
}

// Plan is the members that there should be, for Change; nil: those that there are, or it
// is no time for a change. seen are all nodes that are known, and all members: one that
// was never heard of is gone since whoever plans has listened.
//
// Dead members go at once when their time is over, and nobody else comes or goes before
// the last change is carried out: a node that leaves is a member without weight until
// its uploads are elsewhere, and is let go then. While the brake holds, nobody goes; those
// that come in place of many that are dead release it: where they are as many as that takes,
// they come before the last change is carried out, which waits for the dead. Once as many
// versions are in force as may be, the dead go, and nobody comes.
func (l *Layout) Plan(seen []Candidate, p Patience) []Member {
	v := l.Current()
	if v == nil {
		return founders(seen)
	}
	by := map[replica.Node]Candidate{}
	for _, c := range seen {
		by[c.Node] = c
	}
	answers := func(n replica.Node) bool { c, ok := by[n]; return ok && c.Gone == 0 }
	braked := l.Braked(answers)
	settled := len(l.Versions) == 1
	var next []Member
	for _, m := range v.Members {
		c, known := by[m.Node]
		switch {
		case known && c.Gone >= p.Gone && c.Gone > 0 && !braked:
		case !known || c.Gone > 0 || !settled || braked:
			next = append(next, m)
		case !c.Leaves:
			next = append(next, c.weighing(m.Weight))
		case m.Weight > 0:
			next = append(next, Member{Node: m.Node, Zone: m.Zone})
		}
	}
	room := versionsMax - len(l.Versions) // for other versions; without any, only the dead may go
	if come := l.newcomers(seen, p); settled || braked && room > 0 && !l.brakedWith(len(come), answers) {
		next = append(next, come...)
	}
	slices.SortFunc(next, func(a, b Member) int { return compare(a.Node, b.Node) })
	last := room == 1 // it is carried out before others can come
	if slices.Equal(next, v.Members) || check(v.Copies, next) != nil || last && slices.ContainsFunc(next, func(m Member) bool { return !answers(m.Node) }) {
		return nil
	}
	return next
}

// newcomers are no members yet, and have been here for long enough.
func (l *Layout) newcomers(seen []Candidate, p Patience) (out []Member) {
	for _, c := range seen {
		if !l.Current().Has(c.Node) && c.Gone == 0 && c.Here >= p.Here && !c.Leaves {
			out = append(out, c.weighing(0))
		}
	}
	return out
}

// weighing is the candidate as a member, which had that weight; 0: it was none.
func (c Candidate) weighing(had float64) Member {
	m := c.Member
	m.Weight = cmp.Or(m.Weight, had, 1)
	return m
}

// founders are the members of the first version: all that answer.
func founders(seen []Candidate) (out []Member) {
	for _, c := range seen {
		if c.Gone == 0 && !c.Leaves {
			out = append(out, c.weighing(0))
		}
	}
	slices.SortFunc(out, func(a, b Member) int { return compare(a.Node, b.Node) })
	return out
}
