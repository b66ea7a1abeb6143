package sim

import (
	"context"
	"errors"
	"slices"
	"strings"

	"github.com/pondmesh/pond/fs/register"
	"github.com/pondmesh/pond/mesh"
)

// Times of registers, in milliseconds, as package registers has them.
const (
	patience    = 10_000
	changeMax   = 60_000
	resendFirst = 200
	resendMax   = 2000
	backoffMax  = 200
	lookEvery   = 1000
	keeperGrace = 15_000
)

// registers are those of the pond as one process uses them. They wait in the proc that
// runs.
type registers struct{ l *life }

func (r registers) Get(_ context.Context, k register.Key) ([]byte, uint64, error) {
	op := r.l.proposer.Get(k)
	return r.l.operate(op, op.Start())
}

func (r registers) CAS(_ context.Context, k register.Key, id register.ChangeID, expect uint64, data []byte) (uint64, []byte, error) {
	op := r.l.proposer.CAS(k, id, expect, data)
	got, version, err := r.l.operate(op, op.Start())
	return version, got, err
}

func (l *life) operate(op *register.Operation, first []register.Request) ([]byte, uint64, error) {
	if l.dead {
		return nil, 0, errOver
	}
	if err := l.conduct(l.w.current, op, first, patience); err != nil {
		return nil, 0, err
	}
	v, err := op.Result()
	return v.Data, v.Version, err
}

// operation is a register.Operation or a register.Change.
type operation interface {
	Step(register.Reply) ([]register.Request, register.Status)
	Resend() []register.Request
	Again() []register.Request
}

// conductor carries the requests of an operation out and the replies back.
type conductor struct {
	l      *life
	op     operation
	over   bool
	outbid bool
	resend int64
	wake   func()
}

// conduct runs an operation until it is done, or for so long.
func (l *life) conduct(p *proc, op operation, first []register.Request, limit int64) error {
	c := &conductor{l: l, op: op, resend: resendFirst, wake: p.waker()}
	c.send(first)
	l.w.after(l, c.resend, c.again)
	l.w.after(l, limit, c.wake)
	err := p.park()
	c.over = true
	return err
}

func (c *conductor) send(out []register.Request) {
	for _, r := range out {
		c.l.w.carry(c.l, nodeOf(r.To), func(o *life) {
			o.answer(r, func(reply register.Reply) {
				c.l.w.back(o, c.l, func() { c.step(reply) })
			})
		})
	}
}

func (c *conductor) step(r register.Reply) {
	if c.over {
		return
	}
	out, s := c.op.Step(r)
	c.send(out)
	switch {
	case s == register.Done:
		c.over = true
		c.wake()
	case s == register.Outbid && !c.outbid:
		c.outbid = true
		c.l.w.after(c.l, 1+c.l.w.rng.Int64N(backoffMax), func() {
			if c.outbid = false; !c.over {
				c.send(c.op.Again())
			}
		})
	}
}

func (c *conductor) again() {
	if c.over {
		return
	}
	if !c.outbid {
		c.send(c.op.Resend())
	}
	c.resend = min(2*c.resend, resendMax)
	c.l.w.after(c.l, c.resend, c.again)
}

// answer has the node's keeper answer, once what it promises is on its disk.
func (l *life) answer(r register.Request, reply func(register.Reply)) {
	out, wr := l.acceptor.Step(r)
	if wr != nil {
		l.n.disk.keep(*wr)
	}
	reply(out)
}

// nodeOf is the node of a keeper.
func nodeOf(k register.KeeperID) mesh.NodeID {
	node, _, _ := strings.Cut(string(k), "/")
	return mesh.NodeID(node)
}

// caretaker is what a process remembers that looks after the roster.
type caretaker struct {
	deadSince map[register.KeeperID]int64
	mending   bool // the roster changes, or may be about to
}

// keepRoster has this process know the roster, and mends it when it is its turn.
func (l *life) keepRoster(p *proc) {
	for p.sleep(lookEvery/2+l.w.rng.Int64N(lookEvery)) == nil {
		l.proposer.Learn(l.acceptor.Roster())
		roster := l.proposer.Roster()
		switch {
		case roster.Version > 0 && l.leads(roster):
			l.mend(p, roster)
		case len(l.view.Members) > 1:
			m := l.view.Members[l.w.rng.IntN(len(l.view.Members))]
			l.ask(p, m.ID)
		}
		l.install()
	}
}

// keeperOf is what a node says of its keeper.
type keeperOf struct {
	id     register.KeeperID
	roster register.Roster
}

// ask asks a node who it is, and learns of its roster.
func (l *life) ask(p *proc, id mesh.NodeID) (keeperOf, error) {
	k, err := call(p, id, suspectTime, func(o *life, reply func(keeperOf, error)) {
		reply(keeperOf{o.acceptor.ID(), o.proposer.Roster()}, nil)
	})
	if err == nil {
		l.proposer.Learn(k.roster)
	}
	return k, err
}

// install has the own keeper know the roster.
func (l *life) install() {
	if r := l.proposer.Roster(); r.Newer(l.acceptor.Roster()) {
		l.answer(register.Request{Kind: register.Install, To: l.acceptor.ID(), Next: r}, func(register.Reply) {})
	}
}

// leads reports whether this node is the one that mends the roster.
func (l *life) leads(r register.Roster) bool {
	for _, leaving := range []bool{false, true} {
		for _, id := range r.All() {
			if m, ok := l.view.Find(nodeOf(id)); ok && (m.State == mesh.Leaving) == leaving {
				return id == l.acceptor.ID()
			}
		}
	}
	return false
}

func (l *life) mend(p *proc, roster register.Roster) {
	l.care.mending = true
	defer func() { l.care.mending = false }()
	var next []register.KeeperID
	if !roster.Joint() {
		if next = register.Plan(roster, l.candidates(p, roster)); next == nil || l.proposer.Roster().Version != roster.Version {
			return
		}
		if roster.Version == 1 && l.begun(p, roster) != nil {
			return
		}
	}
	l.w.logf("%s changes the keepers from %v to %v", l.n.id, roster.Keepers, next)
	c, first := l.proposer.Change(l.w.changeID(), next)
	if l.conduct(p, c, first, changeMax) == nil && c.Result() == nil {
		l.w.stats.Rosters++
	}
}

// begun writes the first roster into its register.
func (l *life) begun(p *proc, roster register.Roster) error {
	op := l.proposer.CAS(register.RosterKey, "founded", 0, roster.Encode())
	if err := l.conduct(p, op, op.Start(), patience); err != nil {
		return err
	}
	if _, err := op.Result(); !errors.Is(err, register.ErrConflict) {
		return err
	}
	return nil // another is further
}

// candidates are the keepers that the roster may have.
func (l *life) candidates(p *proc, roster register.Roster) (out []register.Candidate) {
	members := l.view.Members
	found := make([]*keeperOf, len(members))
	if all(p, len(members), func(p *proc, i int) {
		if k, err := l.ask(p, members[i].ID); err == nil {
			found[i] = &k
		}
	}) != nil {
		return nil
	}
	seen := map[mesh.NodeID]bool{}
	for i, m := range members {
		if k := found[i]; k != nil {
			seen[m.ID] = true
			leaves := m.State == mesh.Leaving
			if !leaves || slices.Contains(roster.Keepers, k.id) {
				out = append(out, register.Candidate{ID: k.id, Fit: !leaves, Leaves: leaves})
			}
		}
	}
	for _, id := range roster.Keepers {
		switch since, dead := l.care.deadSince[id]; {
		case seen[nodeOf(id)]:
			delete(l.care.deadSince, id)
		case !dead:
			l.care.deadSince[id] = l.w.now
			out = append(out, register.Candidate{ID: id})
		case l.w.now-since < keeperGrace:
			out = append(out, register.Candidate{ID: id})
		}
	}
	return out
}
