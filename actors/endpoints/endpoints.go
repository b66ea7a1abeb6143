// Package endpoints decides which node of a pond a client asks: the one that
// answered last, and when it does not answer any more, which other and when.
//
// It is pure: it refuses to dial, to wait and to read the clock. Its caller tells it
// what came of each attempt (Answered, Failed) and what it has heard of the members
// (Learn); a Try is one request, from its first attempt to its last.
package endpoints

import (
	"slices"
	"time"
)

// Bounds.
const (
	pauseFirst = 100 * time.Millisecond // before a node that failed is asked again, doubled up to
	pauseMax   = 3 * time.Second
	knownMax   = 32 // nodes, given and learned; others that are learned are left out
)

// Set is the nodes that a client knows.
type Set struct {
	nodes    []node
	at       string    // the node to ask: answered last, or is the first
	answered time.Time // when one did, last; zero: none ever has
}

// node is one of them. until and why are meaningful while fails > 0.
type node struct {
	addr  string
	given bool // by the user: never forgotten
	fails int  // in a row
	until time.Time
	why   error
}

// New is the nodes that a user has named, in order of preference. The same one
// twice is one.
func New(addrs []string) *Set {
	s := &Set{}
	for _, a := range addrs {
		if s.find(a) == nil {
			s.nodes = append(s.nodes, node{addr: a, given: true})
		}
	}
	if len(s.nodes) > 0 {
		s.at = s.nodes[0].addr
	}
	return s
}

func (s *Set) find(addr string) *node {
	if i := slices.IndexFunc(s.nodes, func(n node) bool { return n.addr == addr }); i >= 0 {
		return &s.nodes[i]
	}
	return nil
}

// At is the node to ask first.
func (s *Set) At() string { return s.at }

// Known reports whether any node has ever answered.
func (s *Set) Known() bool { return !s.answered.IsZero() }

// Learn takes the members that a node knows to be alive. Those learned before that
// are not among them are forgotten.
func (s *Set) Learn(alive []string) {
	s.nodes = slices.DeleteFunc(s.nodes, func(n node) bool { return !n.given && n.addr != s.at && !slices.Contains(alive, n.addr) })
	for _, a := range alive {
		if len(s.nodes) == knownMax {
			return
		}
		if s.find(a) == nil {
			s.nodes = append(s.nodes, node{addr: a})
		}
	}
}

// Answered notes that a node answers: it is asked from now on.
func (s *Set) Answered(addr string, now time.Time) {
	if n := s.find(addr); n != nil {
		n.fails = 0
		s.at, s.answered = addr, now
	}
}

// Failed notes that a node did not answer, and why.
func (s *Set) Failed(addr string, why error, now time.Time) {
	n := s.find(addr)
	if n == nil {
		return
	}
	pause := pauseMax
	if n.fails < 5 {
		pause = min(pauseFirst<<n.fails, pauseMax)
	}
	n.fails++
	n.why, n.until = why, now.Add(pause)
}

// Failure is a node that does not answer.
type Failure struct {
	Addr string
	Why  error
}

// Failures are the nodes that do not answer.
func (s *Set) Failures() []Failure {
	var out []Failure
	for _, n := range s.nodes {
		if n.fails > 0 {
			out = append(out, Failure{n.addr, n.why})
		}
	}
	return out
}

// Other is a node to ask whether the fault is that of addr, or everybody's; "" if no
// other is known.
func (s *Set) Other(addr string) string {
	best := (*node)(nil)
	for i := range s.nodes {
		if n := &s.nodes[i]; n.addr != addr && (best == nil || n.fails < best.fails) {
			best = n
		}
	}
	if best == nil {
		return ""
	}
	return best.addr
}

// Try is one request. It is given up when no node has answered anything for as long
// as patience, or at once when each has failed and none has ever answered: then
// the addresses are wrong rather than nodes gone.
type Try struct {
	set      *Set
	patience time.Duration
	asked    []string  // in vain
	since    time.Time // the first of them, or when another request was answered since
}

// Try begins a request. Without patience it asks no other node than the one that
// has answered.
func (s *Set) Try(patience time.Duration) *Try { return &Try{set: s, patience: patience} }

// Failed is Set.Failed for a node that this request asked.
func (t *Try) Failed(addr string, why error, now time.Time) {
	t.set.Failed(addr, why, now)
	t.asked = append(t.asked, addr)
	if len(t.asked) == 1 || t.set.answered.After(t.since) {
		t.since = now
	}
	if len(t.asked) > knownMax { // which of them no longer matters
		t.asked = t.asked[1:]
	}
}

// Next is the node to ask, after a pause; false: give up.
func (t *Try) Next(now time.Time) (addr string, pause time.Duration, ok bool) {
	if len(t.asked) == 0 && t.set.at != "" && t.set.find(t.set.at).fails == 0 {
		return t.set.at, 0, true
	}
	n := t.best()
	switch {
	case n == nil:
		return "", 0, false
	case len(t.asked) == 0: // another request has found it silent: the first attempt is this one's own
		return n.addr, 0, true
	case !t.set.Known():
		return n.addr, 0, !slices.Contains(t.asked, n.addr)
	case t.patience == 0:
		return n.addr, 0, false
	}
	left := t.patience - now.Sub(t.since)
	if left <= 0 {
		return "", 0, false
	}
	if n.fails > 0 {
		pause = max(0, min(n.until.Sub(now), left))
	}
	return n.addr, pause, true
}

// best is the node with the fewest failures, of these the one that may be asked
// soonest; the one to ask before others.
func (t *Try) best() *node {
	s := t.set
	if t.patience == 0 && s.Known() {
		return s.find(s.at)
	}
	best := s.find(s.at)
	for i := range s.nodes {
		n := &s.nodes[i]
		if best == nil || !s.Known() && t.fresher(n, best) || s.Known() && n.sooner(best) {
			best = n
		}
	}
	return best
}

// fresher reports whether this request has asked best, and not n.
func (t *Try) fresher(n, best *node) bool {
	return slices.Contains(t.asked, best.addr) && !slices.Contains(t.asked, n.addr)
}

// sooner reports whether n is to be asked before another.
func (n *node) sooner(other *node) bool {
	if n.fails == 0 || other.fails == 0 {
		return n.fails == 0 && other.fails > 0
	}
	return n.until.Before(other.until)
}
