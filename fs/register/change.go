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

	ops     []*Operation // of the steps that have some; only of rewriteKeys more than one
	seq     uint64       // of the others
	got     map[KeeperID]bool
	listing       // of listKeys
	todo    []Key // of rewriteKeys: to be written again

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
	return c, c.operate(p.CAS(RosterKey, id, p.roster.Version, c.joint.Encode()))
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
	for _, o := range c.ops {
		_, err := o.Result()
		return err
	}
	return ErrUnknown
}

// Resend gives those requests again that have not been answered.
func (c *Change) Resend() (out []Request) {
	for _, o := range c.ops {
		out = append(out, o.Resend()...)
	}
	if len(c.ops) > 0 || c.status == Done {
		return out
	}
	for _, k := range c.joint.All() {
		if !c.got[k] {
			out = append(out, c.request(k))
		}
	}
	return out
}

// Again gives the requests of another try, after Outbid.
func (c *Change) Again() (out []Request) {
	for _, o := range c.ops {
		if o.status == Outbid {
			out = append(out, o.Again()...)
		}
	}
	return out
}

func (c *Change) request(to KeeperID) Request {
	switch c.step {
	case installJoint:
		return Request{Kind: Install, To: to, Next: c.joint, Seq: c.seq}
	case installFinal:
		return Request{Kind: Install, To: to, Next: c.final, Seq: c.seq}
	}
	return Request{Kind: List, To: to, Roster: c.joint.Version, Key: c.after[to], Seq: c.seq}
}

// begin starts a step that has no operation.
func (c *Change) begin(s changeStep) []Request {
	c.step, c.ops, c.got = s, nil, map[KeeperID]bool{}
	c.p.seq++
	c.seq = c.p.seq
	return c.Resend()
}

// operate starts an operation.
func (c *Change) operate(o *Operation) []Request {
	c.ops = append(c.ops, o)
	return o.Start()
}

// Step takes a reply and gives the next requests.
func (c *Change) Step(r Reply) ([]Request, Status) {
	switch {
	case c.status == Done:
		return nil, Done
	case len(c.ops) == 0:
		return c.collect(r), c.status
	}
	i := slices.IndexFunc(c.ops, func(o *Operation) bool { return o.seq == r.Seq })
	if i < 0 {
		return nil, Waiting
	}
	o := c.ops[i]
	out, s := o.Step(r)
	if s == Done {
		c.ops = slices.Delete(c.ops, i, i+1)
		out, s = c.operated(o), c.status
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
	if c.step == listKeys && !c.listed(r) {
		return []Request{c.request(r.From)}
	}
	c.got[r.From] = true
	has := func(k KeeperID) bool { return c.got[k] }
	switch {
	case c.step == installJoint && c.joint.Quorum(has):
		c.p.Learn(c.joint)
		c.listing = newListing(RosterKey)
		return c.begin(listKeys)
	case c.step == listKeys && majority(c.joint.Keepers, has):
		c.step, c.todo = rewriteKeys, slices.Sorted(maps.Keys(c.keys))
		return c.rewriteNext()
	case c.step == installFinal && majority(c.joint.Next, has):
		c.p.Learn(c.final)
		c.end(nil)
	}
	return nil
}

// rewriteNext writes the next keys again; when all are, the settled roster is proposed.
func (c *Change) rewriteNext() (out []Request) {
	for len(c.todo) > 0 && len(c.ops) < rewriteMax {
		out = append(out, c.operate(c.p.rewrite(c.todo[0]))...)
		c.todo = c.todo[1:]
	}
	if len(c.ops) > 0 {
		return out
	}
	c.step = proposeFinal
	return c.operate(c.p.CAS(RosterKey, c.id+"'", c.joint.Version, c.final.Encode()))
}

// operated goes on after an operation.
func (c *Change) operated(o *Operation) []Request {
	v, err := o.Result()
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
	case o.roster.Version > c.joint.Version:
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
