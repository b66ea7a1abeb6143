package replica

import (
	"errors"
	"fmt"
	"slices"
	"strings"
)

// Finding is what came of asking a node for an upload's bytes.
type Finding int

// What may come of it.
const (
	Got     Finding = iota // the bytes came, and their checksums are right
	Absent                 // the node does not have it
	Corrupt                // it has it, damaged: that copy is no copy any more
	Silent                 // no answer, or the connection broke or stalled
	Slow                   // no bytes yet: another is asked beside it
	Deleted                // the node has its tombstone
)

func (f Finding) String() string {
	return [...]string{"read", "absent", "corrupt", "silent", "slow", "deleted"}[f]
}

// Errors of a Fetch.
var (
	// ErrUnavailable: a node that may have a copy does not answer now.
	ErrUnavailable = errors.New("no copy can be reached")
	// ErrLost: every node that there is has answered, those that had no copy twice, and
	// none has a good one.
	ErrLost = errors.New("every copy is lost")
	// ErrDeleted: nothing refers to it any more, and its copies are being removed. Some
	// may be left, and are not to be read: what still asks for it is mistaken, or late.
	ErrDeleted = errors.New("it was deleted")
)

// atOnceMax is how many nodes are asked beside one another.
const atOnceMax = 2

// Fetch is the reading of one upload from whoever has it.
type Fetch struct {
	rounds [][]Node // whom to ask: those that were said to hold it, those that should, all others
	asked  map[Node]Finding
	open   map[Node]bool // asked, and not heard of but for Slow
	done   bool
	gone   bool // Deleted was heard
	twice  bool // those that had none are being asked again
}

// NewFetch begins the reading. holders were written down when the copies were made,
// owners are those that should have one now, and all are the pond's nodes, in the order
// in which they are to be asked.
func NewFetch(holders, owners, all []Node) *Fetch {
	f := &Fetch{asked: map[Node]Finding{}, open: map[Node]bool{}}
	seen := map[Node]bool{}
	for _, round := range [][]Node{holders, owners, all} {
		var fresh []Node
		for _, n := range round {
			if !seen[n] {
				seen[n] = true
				fresh = append(fresh, n)
			}
		}
		f.rounds = append(f.rounds, fresh)
	}
	return f
}

// Next is the node to ask now; "": none, until something is heard, or at all: Err says.
func (f *Fetch) Next() Node {
	if f.done || f.gone || len(f.open) >= atOnceMax || len(f.open) > f.slow() {
		return ""
	}
	for i, round := range f.rounds {
		if len(round) > 0 {
			n := round[0]
			f.rounds[i] = round[1:]
			f.open[n] = true
			return n
		}
	}
	return ""
}

// Take begins with a node out of turn.
func (f *Fetch) Take(n Node) {
	for i, round := range f.rounds {
		f.rounds[i] = slices.DeleteFunc(slices.Clone(round), func(o Node) bool { return o == n })
	}
	f.open[n] = true
}

// Return says that a node that was asked is asked no more, and has not failed: it is the
// next to be asked, if another is needed.
func (f *Fetch) Return(n Node) {
	if !f.open[n] {
		return
	}
	delete(f.open, n)
	delete(f.asked, n)
	f.rounds[0] = append([]Node{n}, f.rounds[0]...)
}

// slow is how many of the nodes that are asked have been slow.
func (f *Fetch) slow() (n int) {
	for node := range f.open {
		if f.asked[node] == Slow {
			n++
		}
	}
	return n
}

// Heard takes what came of asking a node.
func (f *Fetch) Heard(n Node, what Finding) {
	f.asked[n] = what
	if what == Slow {
		return
	}
	delete(f.open, n)
	f.done, f.gone = f.done || what == Got, f.gone || what == Deleted
	if !f.done && !f.twice && f.exhausted() {
		f.again()
	}
}

// exhausted reports whether all have been asked and heard.
func (f *Fetch) exhausted() bool {
	return len(f.open) == 0 && !slices.ContainsFunc(f.rounds, func(r []Node) bool { return len(r) > 0 })
}

// again has those be asked once more that had no copy, if that is what all hangs on: a
// copy may have moved from one that was yet to be asked to one that had been.
func (f *Fetch) again() {
	var absent []Node
	for n, what := range f.asked {
		switch what {
		case Silent:
			return
		case Absent:
			absent = append(absent, n)
		}
	}
	slices.Sort(absent)
	f.rounds, f.twice = append(f.rounds, absent), true
}

// Done reports whether the bytes have come.
func (f *Fetch) Done() bool { return f.done }

// Corrupt are the nodes whose copy is damaged: it is to be put aside, and another made.
func (f *Fetch) Corrupt() (out []Node) {
	for n, what := range f.asked {
		if what == Corrupt {
			out = append(out, n)
		}
	}
	slices.Sort(out)
	return out
}

// Err is nil while the bytes have come, or may yet come.
func (f *Fetch) Err() error {
	if f.done || !f.gone && !f.exhausted() {
		return nil
	}
	cause := ErrLost
	var words []string
	for n, what := range f.asked {
		words = append(words, fmt.Sprintf("%s: %s", n, what))
		if what == Silent {
			cause = ErrUnavailable
		}
	}
	if f.gone {
		cause = ErrDeleted
	}
	if len(words) == 0 {
		return fmt.Errorf("%w: there is no node to ask", ErrUnavailable)
	}
	slices.Sort(words)
	return fmt.Errorf("%w (%s)", cause, strings.Join(words, ", "))
}
