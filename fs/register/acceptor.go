package register

import (
	"errors"
	"fmt"
	"slices"
)

// Kind is what a request asks.
type Kind uint8

const (
	// Read tells what is accepted, and promises nothing.
	Read Kind = iota + 1
	// Prepare promises not to take lower ballots.
	Prepare
	// Accept takes a value.
	Accept
	// Install makes a newer roster the acceptor's own.
	Install
	// List tells the keys that come after Key, a page of them.
	List
)

// Request is a message to a keeper.
type Request struct {
	Kind   Kind
	To     KeeperID
	Roster uint64 // the version that the sender counts on; of Install: none
	Key    Key
	Ballot Ballot // of Prepare and Accept
	Value  Value  // of Accept
	Next   Roster // of Install
	Seq    uint64 // of the operation's step: a reply carries it back, and stale ones are dropped
}

// Check refuses a request beyond the bounds: no proposer makes one.
func (r Request) Check() error {
	switch {
	case len(r.Key) > KeyMax || len(r.To) > KeyMax || len(r.Ballot.Proposer) > KeyMax:
		return errors.New("register: a name of a request is too long")
	case len(r.Value.Data) > DataMax || len(r.Value.Recent) > recentMax:
		return errors.New("register: the value of a request is too large")
	case r.Kind < Read || r.Kind > List:
		return fmt.Errorf("register: a request of kind %d", r.Kind)
	case r.Kind == Install:
		return r.Next.check()
	}
	for _, id := range r.Value.Recent {
		if len(id) > KeyMax {
			return errors.New("register: the id of a change is too long")
		}
	}
	return nil
}

// Refusal is why a request was refused.
type Refusal uint8

const (
	// Taken: the request was not refused.
	Taken Refusal = iota
	// WrongKeeper: another keeper lives here.
	WrongKeeper
	// WrongRoster: the acceptor counts on another roster; the reply has it.
	WrongRoster
	// LowBallot: a higher ballot was promised; the reply has it.
	LowBallot
)

// Reply is a keeper's answer.
type Reply struct {
	From     KeeperID // as it was addressed
	Seq      uint64
	Refused  Refusal
	Roster   Roster // of WrongRoster: the acceptor's own
	Promised Ballot // of LowBallot
	Accepted Ballot // of Read and Prepare: of Value
	Value    Value
	Key      Key   // of List: that of the request
	Keys     []Key // of List
	More     bool  // of List: there are keys after these
}

// Cell is what an acceptor knows of one register.
type Cell struct {
	Promised Ballot // Accepted <= Promised
	Accepted Ballot
	Value    Value // of Accepted
}

// Write is what must be durable before the reply that came with it is sent: a cell, or
// the roster.
type Write struct {
	Key    Key
	Cell   Cell
	Roster *Roster // nil: a cell is written
}

// State is all that an acceptor keeps.
type State struct {
	ID     KeeperID
	Roster Roster
	Cells  map[Key]Cell
}

// Acceptor is one keeper's memory of the registers. It is not safe for concurrent use.
type Acceptor struct {
	s       State
	pageMax int // keys of a reply to List
}

// NewAcceptor goes on from s, which it owns: what its store has, or, of a new keeper,
// an id that was never used.
func NewAcceptor(s State) *Acceptor {
	if s.Cells == nil {
		s.Cells = map[Key]Cell{}
	}
	return &Acceptor{s, pageMax}
}

// ID is the keeper's.
func (a *Acceptor) ID() KeeperID { return a.s.ID }

// Roster is the one that the acceptor counts on.
func (a *Acceptor) Roster() Roster { return a.s.Roster }

// Step answers a request. A reply is sent only when the write that came with it, and
// those of all steps before, are durable; when one fails, the acceptor must not be used
// any more.
func (a *Acceptor) Step(r Request) (Reply, *Write) {
	reply := Reply{From: r.To, Seq: r.Seq}
	switch {
	case r.To != a.s.ID:
		reply.Refused = WrongKeeper
		return reply, nil
	case r.Kind == Install:
		return reply, a.install(r.Next)
	case r.Roster != a.s.Roster.Version:
		reply.Refused, reply.Roster = WrongRoster, a.s.Roster
		return reply, nil
	}
	cell := a.s.Cells[r.Key]
	switch r.Kind {
	case Read:
		reply.Accepted, reply.Value = cell.Accepted, cell.Value
	case List:
		reply.Key = r.Key
		reply.Keys, reply.More = a.page(r.Key)
	case Prepare:
		// A ballot is prepared once by its proposer; again is a copy of the message.
		if r.Ballot.Compare(cell.Promised) < 0 {
			reply.Refused, reply.Promised = LowBallot, cell.Promised
			return reply, nil
		}
		cell.Promised = r.Ballot
		reply.Accepted, reply.Value = cell.Accepted, cell.Value
		return reply, a.write(r.Key, cell)
	case Accept:
		if r.Ballot.Compare(cell.Promised) < 0 {
			reply.Refused, reply.Promised = LowBallot, cell.Promised
			return reply, nil
		}
		return reply, a.write(r.Key, Cell{Promised: r.Ballot, Accepted: r.Ballot, Value: r.Value})
	}
	return reply, nil
}

// page is the next keys after one.
func (a *Acceptor) page(after Key) (keys []Key, more bool) {
	for k := range a.s.Cells {
		if k > after {
			keys = append(keys, k)
		}
	}
	slices.Sort(keys)
	n := min(len(keys), a.pageMax)
	return keys[:n], n < len(keys)
}

func (a *Acceptor) write(k Key, c Cell) *Write {
	a.s.Cells[k] = c
	return &Write{Key: k, Cell: c}
}

// install takes a newer roster. An older one is one's own already, and another pond's
// is refused by its version.
func (a *Acceptor) install(r Roster) *Write {
	if !r.Newer(a.s.Roster) {
		return nil
	}
	a.s.Roster = r
	return &Write{Roster: &r}
}
