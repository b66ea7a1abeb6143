package register

import (
	"errors"
	"maps"
	"slices"
)

// Change replaces the roster by one of other keepers: its requests are sent, and the
// replies given to Step, as an Operation's. One that nobody ends, another ends: it
// starts with Finish.
//
//	propose the joint roster   under the old one; from here it cannot be undone
//	install it                 until the old one has no quorum any more
//	list the keys              of a majority of the old keepers
//	write each key again       under the joint roster
//	propose the settled one    under the joint roster
//	install it                 until the joint one has no quorum any more
type Change struct {
	p     *Proposer
	id    ChangeID
	step  changeStep
	joint Roster
	final Roster

	op   *Operation // of the steps that have one
	seq  uint64
	got  map[KeeperID]bool
	keys map[Key]bool // to be written again

	status Status
	err    error
}

type changeStep uint8

const (
	proposeJoint changeStep = iota
	installJoint
	listKeys
	rewriteKeys
	proposeFinal
	installFinal
)

// Change starts to make next the keepers. The id is that of an operation. While another
// change is under way, it is that one which is ended.
func (p *Proposer) Change(id ChangeID, next []KeeperID) (*Change, []Request) {
	if p.roster.Joint() {
		return p.Finish(id, p.roster)
	}
	c := &Change{p: p, id: id, joint: p.roster.to(next)}
	c.final = c.joint.settled()
	c.op = p.CAS(RosterKey, id, p.roster.Version, c.joint.Encode())
	return c, c.op.Start()
}

// Finish goes on with a change whose joint roster was proposed.
func (p *Proposer) Finish(id ChangeID, joint Roster) (*Change, []Request) {
	p.Learn(joint)
	c := &Change{p: p, id: id, joint: joint, final: joint.settled()}
	return c, c.begin(installJoint)
}

// Result is nil once the change is Done and made, ErrConflict when another was before
// it. Before, it is what is known when nobody waits any longer.
func (c *Change) Result() error {
	if c.status == Done {
		return c.err
	}
	if c.op != nil {
		_, err := c.op.Result()
		return err
	}
	return ErrUnknown
}

// Resend gives those requests again that have not been answered.
func (c *Change) Resend() (out []Request) {
	if c.op != nil {
		return c.op.Resend()
	}
	for _, k := range c.joint.All() {
		if !c.got[k] {
			out = append(out, c.request(k))
		}
	}
	return out
}

// Again gives the requests of another try, after Outbid.
func (c *Change) Again() []Request { return c.op.Again() }

func (c *Change) request(to KeeperID) Request {
	switch c.step {
	case installJoint:
		return Request{Kind: Install, To: to, Next: c.joint, Seq: c.seq}
	case installFinal:
		return Request{Kind: Install, To: to, Next: c.final, Seq: c.seq}
	}
	return Request{Kind: List, To: to, Roster: c.joint.Version, Seq: c.seq}
}

// begin starts a step that has no operation.
func (c *Change) begin(s changeStep) []Request {
	c.step, c.op, c.got = s, nil, map[KeeperID]bool{}
	c.p.seq++
	c.seq = c.p.seq
	return c.Resend()
}

// Step takes a reply and gives the next requests.
func (c *Change) Step(r Reply) ([]Request, Status) {
	if c.status == Done {
		return nil, Done
	}
	if c.op == nil {
		return c.collect(r), c.status
	}
	out, s := c.op.Step(r)
	if s == Done {
		out, s = c.operated(), c.status
	}
	return out, s
}

// collect counts the answers of a step without an operation.
func (c *Change) collect(r Reply) []Request {
	switch {
	case r.Seq != c.seq:
		return nil
	case r.Refused == WrongRoster && r.Roster.Version > c.joint.Version: // another has finished the change
		c.p.Learn(r.Roster)
		c.end(nil)
		return nil
	case r.Refused == WrongRoster:
		return []Request{{Kind: Install, To: r.From, Next: c.joint}, c.request(r.From)}
	case r.Refused != Taken:
		return nil
	}
	c.got[r.From] = true
	for _, k := range r.Keys {
		c.keys[k] = true
	}
	has := func(k KeeperID) bool { return c.got[k] }
	switch {
	case c.step == installJoint && c.joint.Quorum(has):
		c.p.Learn(c.joint)
		c.keys = map[Key]bool{RosterKey: true}
		return c.begin(listKeys)
	case c.step == listKeys && majority(c.joint.Keepers, has):
		return c.rewriteNext()
	case c.step == installFinal && majority(c.joint.Next, has):
		c.p.Learn(c.final)
		c.end(nil)
	}
	return nil
}

// rewriteNext writes the next key again; when all are, the settled roster is proposed.
func (c *Change) rewriteNext() []Request {
	if len(c.keys) == 0 {
		c.step = proposeFinal
		c.op = c.p.CAS(RosterKey, c.id+"'", c.joint.Version, c.final.Encode())
		return c.op.Start()
	}
	c.step = rewriteKeys
	k := slices.Min(slices.Collect(maps.Keys(c.keys)))
	delete(c.keys, k)
	c.op = c.p.rewrite(k)
	return c.op.Start()
}

// operated goes on after an operation.
func (c *Change) operated() []Request {
	v, err := c.op.Result()
	// Another may have finished this change while this one was at it.
	if now, e := DecodeRoster(v.Data); c.step == proposeFinal && e == nil && now.Version > c.joint.Version && errors.Is(err, ErrConflict) {
		c.p.Learn(now)
		c.end(nil)
		return nil
	}
	switch {
	case err != nil:
		c.end(err)
		return nil
	case c.op.roster.Version > c.joint.Version:
		c.end(nil)
		return nil
	case c.step == proposeJoint:
		return c.begin(installJoint)
	case c.step == rewriteKeys:
		return c.rewriteNext()
	}
	return c.begin(installFinal)
}

func (c *Change) end(err error) { c.status, c.err = Done, err }
