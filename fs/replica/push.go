package replica

import (
	"errors"
	"fmt"
	"slices"
	"strings"
)

// Node is a node's id.
type Node string

// Class is how many copies an upload is to have.
type Class struct {
	Want int // copies, at least 1
	Min  int // that are enough for the upload to be used, 1 to Want: fewer is an error
}

// Outcome is what a node said of an upload that was sent to it.
type Outcome int

// What a node may say.
const (
	Stored      Outcome = iota // it is there, durably
	Had                        // it was there already, with the same checksums
	Full                       // the node has no room
	Busy                       // the node takes no more at once: later it may
	Unreachable                // no answer, or the connection broke or stalled
	Refused                    // the node will not: another upload has that id, or it may not
)

func (o Outcome) String() string {
	return [...]string{"stored", "had", "full", "busy", "unreachable", "refused"}[o]
}

func (o Outcome) holds() bool { return o == Stored || o == Had }

// Said is what one node said.
type Said struct {
	Node    Node
	Outcome Outcome
}

// Errors of a Push.
var (
	// ErrTooFew: too few nodes could take a copy.
	ErrTooFew = errors.New("too few copies")
	// ErrConflict: a node has other bytes under the same id.
	ErrConflict = errors.New("another upload has this id")
)

// How often a node is asked that takes no more at once; and how often all of them together
// while the upload cannot be used without one of their copies. A copy more than that a
// repair makes as well.
const (
	busyTriesMax = 3
	busyTriesAll = 40
)

// Push is the sending of one upload, which its sender has whole, to the nodes that are
// to hold it. The sender may be one of them.
type Push struct {
	class      Class
	candidates []Node       // not asked yet, the best first
	busy       map[Node]int // how often each said that it is
	later      []Node       // busy ones, to be asked once no other is left
	said       []Said       // what each node said last, the holders among them
	conflict   bool
}

// NewPush begins the sending to the first of the candidates that take it. holders have
// it already.
func NewPush(class Class, holders, candidates []Node) *Push {
	p := &Push{class: class, busy: map[Node]int{}}
	for _, n := range holders {
		p.set(Said{n, Had})
	}
	for _, n := range candidates {
		if !slices.Contains(holders, n) && !slices.Contains(p.candidates, n) {
			p.candidates = append(p.candidates, n)
		}
	}
	return p
}

// Next is the chain of nodes to send the upload through next: the first gets it from the
// sender, and each passes it on while it comes. None: the push has ended, with Holders
// that are enough or with Err.
func (p *Push) Next() (chain []Node) {
	if p.conflict {
		return nil
	}
	missing := p.class.Want - len(p.Holders())
	if missing > 0 && len(p.candidates) == 0 {
		p.candidates, p.later = p.later, nil
	}
	n := min(max(missing, 0), len(p.candidates))
	chain, p.candidates = p.candidates[:n:n], p.candidates[n:]
	return chain
}

// Heard takes what the nodes of a chain said. One of which nothing was heard, for it
// comes after a node that failed, was not to blame and is asked again.
func (p *Push) Heard(chain []Node, said []Said) {
	var again []Node
	for _, n := range chain {
		i := slices.IndexFunc(said, func(s Said) bool { return s.Node == n })
		switch {
		case i < 0 && len(said) == 0:
			p.set(Said{n, Unreachable})
			said = append(said, Said{n, Unreachable}) // the first is to blame, the others are not
		case i < 0:
			again = append(again, n)
		default:
			p.hear(said[i])
		}
	}
	p.candidates = append(again, p.candidates...)
}

func (p *Push) hear(s Said) {
	p.set(s)
	switch s.Outcome {
	case Refused:
		p.conflict = true
	case Busy:
		p.busy[s.Node]++
		if p.busy[s.Node] < busyTriesMax || len(p.Holders()) < p.class.Min && p.waits() < busyTriesAll {
			p.later = append(p.later, s.Node)
		}
	}
}

// waits is how often all nodes together said that they are busy.
func (p *Push) waits() (n int) {
	for _, times := range p.busy {
		n += times
	}
	return n
}

func (p *Push) set(s Said) {
	if i := slices.IndexFunc(p.said, func(o Said) bool { return o.Node == s.Node }); i >= 0 {
		p.said[i] = s
		return
	}
	p.said = append(p.said, s)
}

// Holders are the nodes that have the upload, in the order in which they said so.
func (p *Push) Holders() (out []Node) {
	for _, s := range p.said {
		if s.Outcome.holds() {
			out = append(out, s.Node)
		}
	}
	return out
}

// Short reports whether the upload has enough copies to be used, but fewer than it is
// to have: a repair is due.
func (p *Push) Short() bool {
	n := len(p.Holders())
	return p.Err() == nil && n >= p.class.Min && n < p.class.Want
}

// Err is nil while there are, or may yet be, enough copies.
func (p *Push) Err() error {
	switch {
	case p.conflict:
		return fmt.Errorf("%w: %s", ErrConflict, p.told())
	case len(p.Holders()) >= p.class.Min, len(p.candidates)+len(p.later) > 0:
		return nil
	}
	return fmt.Errorf("%w: %d of %d, at least %d: %s", ErrTooFew, len(p.Holders()), p.class.Want, p.class.Min, p.told())
}

// told is what each node said, for people.
func (p *Push) told() string {
	var words []string
	for _, s := range p.said {
		words = append(words, fmt.Sprintf("%s %s", s.Node, s.Outcome))
	}
	if len(words) == 0 {
		return "there is no node to hold it"
	}
	return strings.Join(words, ", ")
}
