package register

import (
	"fmt"
)

// Proposer makes the operations of one process. It is not safe for concurrent use.
type Proposer struct {
	name   string
	n      uint64 // the highest ballot number seen
	seq    uint64 // of the last step of an operation
	roster Roster
}

// NewProposer makes a proposer that counts on a roster until it hears of a newer one.
// name is used once: it holds the node and its boot.
func NewProposer(name string, r Roster) *Proposer { return &Proposer{name: name, roster: r} }

// Roster is the newest that the proposer has heard of.
func (p *Proposer) Roster() Roster { return p.roster }

// Learn tells it of a roster.
func (p *Proposer) Learn(r Roster) {
	if r.Newer(p.roster) {
		p.roster = r
	}
}

// ballot is one that nobody used, higher than all seen.
func (p *Proposer) ballot() Ballot {
	p.n = max(p.n, p.roster.Floor) + 1
	return Ballot{N: p.n, Proposer: p.name}
}

// Status is how an operation stands.
type Status uint8

const (
	// Waiting: for replies.
	Waiting Status = iota
	// Outbid: another proposer is at it. Wait a random while, then call Again.
	Outbid
	// Done: Result has the outcome.
	Done
)

// Operation is one read or change of one register. Its requests are sent, and the
// replies given to Step, until it is Done or its owner has waited long enough.
type Operation struct {
	p      *Proposer
	key    Key
	change *change // nil: the register is read
	firm   bool    // the value is written again, even one that all have

	roster Roster
	kind   Kind // of the requests out: Read, Prepare or Accept
	ballot Ballot
	value  Value // of Accept
	seq    uint64
	got    map[KeeperID]Reply
	outbid map[KeeperID]bool
	risky  bool // an Accept of the change was sent: it may be chosen whatever follows

	status Status
	err    error // when done
}

// change is what an operation makes of a value of the expected version.
type change struct {
	id     ChangeID
	expect uint64
	data   []byte
}

// refused is why a change whose id current does not have is not made.
func (c *change) refused(current Value) error {
	if current.Version > c.expect+uint64(len(current.Recent)) {
		return fmt.Errorf("%w: %w: %d changes ago it may have been this one", ErrConflict, ErrUnknown, current.Version-c.expect-1)
	}
	return ErrConflict
}

// Get reads a register.
func (p *Proposer) Get(k Key) *Operation {
	return &Operation{p: p, key: k, kind: Read}
}

// CAS gives a register new data, if its version is expect. A retry, by this proposer
// or another, has the same id.
func (p *Proposer) CAS(k Key, id ChangeID, expect uint64, data []byte) *Operation {
	return &Operation{p: p, key: k, kind: Prepare, change: &change{id, expect, data}}
}

// rewrite has a quorum of the roster accept a register's value anew.
func (p *Proposer) rewrite(k Key) *Operation {
	return &Operation{p: p, key: k, kind: Prepare, firm: true}
}

// Start gives the first requests.
func (o *Operation) Start() []Request { return o.begin(o.kind) }

// Again gives the requests of another try, after Outbid.
func (o *Operation) Again() []Request { return o.begin(Prepare) }

// Resend gives those requests again that have not been answered; it starts anew when
// the roster has changed meanwhile: perhaps none of the old one answers any more.
func (o *Operation) Resend() (out []Request) {
	switch {
	case o.status != Waiting:
		return nil
	case o.p.roster.Version > o.roster.Version && o.kind == Accept:
		return o.begin(Prepare)
	case o.p.roster.Version > o.roster.Version:
		return o.begin(o.kind)
	}
	return o.unanswered()
}

func (o *Operation) unanswered() (out []Request) {
	for _, k := range o.roster.All() {
		if _, ok := o.got[k]; !ok && !o.outbid[k] {
			out = append(out, o.request(k))
		}
	}
	return out
}

// Result is the outcome of an operation that is Done: the register's value, and
// ErrConflict if it was not changed for its version, which is ErrUnknown too when that
// version is so old that this change may have followed it. Before, it is what is known when
// nobody waits any longer: ErrUnknown or ErrMinority, with how many have answered.
func (o *Operation) Result() (Value, error) {
	if o.status == Done {
		return o.value, o.err
	}
	err := ErrMinority
	if o.risky {
		err = ErrUnknown
	}
	return Value{}, fmt.Errorf("%w: %d of %d keepers answered, for register %q", err, len(o.got)+len(o.outbid), len(o.roster.All()), o.key)
}

// begin starts a phase under the newest roster.
func (o *Operation) begin(kind Kind) []Request {
	if o.kind = kind; kind == Prepare {
		o.ballot = o.p.ballot()
	}
	if kind != Accept {
		o.roster = o.p.roster
	}
	o.p.seq++
	o.seq = o.p.seq
	o.status, o.got, o.outbid = Waiting, map[KeeperID]Reply{}, map[KeeperID]bool{}
	return o.unanswered()
}

func (o *Operation) request(to KeeperID) Request {
	r := Request{Kind: o.kind, To: to, Roster: o.roster.Version, Key: o.key, Ballot: o.ballot, Seq: o.seq}
	if o.kind == Accept {
		r.Value = o.value
	}
	return r
}

// Step takes a reply and gives the next requests.
func (o *Operation) Step(r Reply) ([]Request, Status) {
	o.p.n = max(o.p.n, r.Promised.N, r.Accepted.N)
	if o.status != Waiting || r.Seq != o.seq {
		return nil, o.status
	}
	switch r.Refused {
	case WrongRoster:
		return o.otherRoster(r), o.status
	case LowBallot:
		if o.outbid[r.From] = true; !o.roster.Quorum(func(k KeeperID) bool { return !o.outbid[k] }) {
			o.status = Outbid
		}
		return nil, o.status
	case WrongKeeper: // never answers as the one that is meant
		return nil, o.status
	}
	o.got[r.From] = r
	if !o.roster.Quorum(func(k KeeperID) bool { _, ok := o.got[k]; return ok }) {
		return nil, o.status
	}
	return o.quorum(), o.status
}

// otherRoster goes on under a newer roster, or brings an acceptor up to this one.
func (o *Operation) otherRoster(r Reply) []Request {
	switch {
	case r.Roster.Version > 0 && o.roster.Version > 0 && r.Roster.Pond != o.roster.Pond:
		return nil // a keeper of another pond is none of this
	case r.Roster.Version > o.roster.Version:
		o.p.Learn(r.Roster)
		if o.kind == Accept {
			return o.begin(Prepare)
		}
		return o.begin(o.kind)
	case r.Roster.Version < o.roster.Version:
		install := Request{Kind: Install, To: r.From, Next: o.roster}
		return []Request{install, o.request(r.From)}
	}
	return nil
}

// quorum goes on once enough have answered.
func (o *Operation) quorum() []Request {
	current, agreed := o.latest()
	switch {
	case o.kind == Accept:
		o.status = Done
		return nil
	case o.kind == Read && agreed:
		o.status, o.value = Done, current
		return nil
	case o.kind == Read:
		return o.begin(Prepare) // what some have may be chosen or not: that is settled by writing it
	}
	// From here the value is written, changed or as it is: only what is chosen is told.
	o.value, o.err = current, nil
	if c := o.change; c != nil && !current.has(c.id) {
		if current.Version == c.expect {
			o.value, o.risky = current.change(c.id, c.data), true
		} else {
			o.err = c.refused(current)
		}
	}
	return o.begin(Accept)
}

// latest is the value of the highest ballot among the answers, and whether a quorum
// has it: then it is chosen.
func (o *Operation) latest() (v Value, agreed bool) {
	var top Ballot
	for _, k := range o.roster.All() { // in order: a run replays
		if r := o.got[k]; r.Accepted.Compare(top) > 0 {
			top, v = r.Accepted, r.Value
		}
	}
	return v, o.roster.Quorum(func(k KeeperID) bool {
		r, ok := o.got[k]
		return ok && r.Accepted == top
	})
}
