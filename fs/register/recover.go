package register

import (
	"fmt"
	"hash/fnv"
	"maps"
	"slices"
	"strings"
)

// How far a recovery goes ahead of what those that are lost may have come to.
const (
	recoveryGap = 1 << 20 // versions of the roster
	ballotGap   = 1 << 40 // numbers of ballots
	givenUpMax  = 64      // keepers that a roster names as given up: the latest
)

// recovering begins the name of the keeper of a closed roster: nobody has it.
const recovering = "recovering/"

// Recovery makes a roster of keepers that live where most are gone for good, so that no
// Change comes to an end. It is for an operator to ask for: what only the lost keepers
// have is lost with them, whoever was told that it is chosen, and lost keepers that go on
// by themselves are another pond. What the living hold is kept, of each key the value of
// the highest ballot. Its requests are sent, and the replies given to Step, as a Change's.
//
//	close     all that live install a roster of which nobody is a keeper: from here no
//	          operation has a quorum, and what they hold stays as it is
//	list      the keys of each
//	carry     each key: read from all, written to all of the new keepers
//	open      the new roster is installed
//
// One that ends halfway leaves the roster closed; another recovery, by whomever, begins
// anew. Of two at once the one with the higher version ends, and the other with
// ErrConflict.
type Recovery struct {
	p      *Proposer
	live   []KeeperID
	closed Roster
	final  Roster
	step   recoveryStep

	seq     uint64 // of close, list and open
	got     map[KeeperID]bool
	listing            // of listHeld
	todo    []Key      // to be carried
	carry   []*carried // that are, at most rewriteMax

	status Status
	err    error
}

type recoveryStep uint8

const (
	closeOld recoveryStep = iota
	listHeld
	carryHeld
	carryRoster
	openNew
)

// carried is one key on its way to the new keepers.
type carried struct {
	key    Key
	kind   Kind // Read, then Accept
	seq    uint64
	value  Value
	top    Ballot // of value
	ballot Ballot // of Accept
	got    map[KeeperID]bool
}

// Recover makes next the keepers, of those that live. The id is that of an operation:
// two recoveries are told apart by it.
func (p *Proposer) Recover(id ChangeID, live, next []KeeperID) (*Recovery, []Request) {
	h := fnv.New32a()
	_, _ = h.Write([]byte(id))
	was := p.roster
	c := &Recovery{p: p, live: slices.Clone(live), listing: newListing()}
	c.closed = Roster{Pond: was.Pond, Version: was.Version + recoveryGap + uint64(h.Sum32()%recoveryGap), Keepers: []KeeperID{KeeperID(recovering + string(id))},
		Floor: was.Floor + ballotGap, GivenUp: was.givenUp(live)}
	c.final = c.closed
	c.final.Version++
	c.final.Keepers = slices.Clone(next)
	return c, c.begin(closeOld)
}

// givenUp are the keepers that are of no more use when only those live.
func (r Roster) givenUp(live []KeeperID) []KeeperID {
	out := slices.Clone(r.GivenUp)
	for _, k := range r.All() {
		if !slices.Contains(live, k) && !slices.Contains(out, k) && !strings.HasPrefix(string(k), recovering) {
			out = append(out, k)
		}
	}
	return out[max(0, len(out)-givenUpMax):]
}

// Roster is the one that the recovery makes.
func (c *Recovery) Roster() Roster { return c.final }

// Held is how many registers the living hold, the roster's own left out.
func (c *Recovery) Held() int { return len(c.keys) }

// Result is nil once the recovery is Done and made, ErrConflict when another was before
// it. Before, it says how far it came.
func (c *Recovery) Result() error {
	if c.status == Done {
		return c.err
	}
	what := [...]string{"not all have heard of it", "not all have told their keys", fmt.Sprintf("%d registers are to be carried over", len(c.todo)+len(c.carry)),
		"the roster's own register is to be written", "not all new keepers have heard that they are"}[c.step]
	return fmt.Errorf("%w: the recovery has not ended: %s", ErrUnknown, what)
}

// begin starts a step of all that live.
func (c *Recovery) begin(s recoveryStep) []Request {
	c.step, c.got = s, map[KeeperID]bool{}
	c.p.seq++
	c.seq = c.p.seq
	return c.Resend()
}

// Resend gives those requests again that have not been answered.
func (c *Recovery) Resend() (out []Request) {
	switch {
	case c.status == Done:
		return nil
	case c.step == carryHeld || c.step == carryRoster:
		for _, k := range c.carry {
			out = append(out, c.unanswered(k)...)
		}
		return out
	}
	for _, k := range c.live {
		if !c.got[k] {
			out = append(out, c.request(k))
		}
	}
	return out
}

// Again is for an Operation that is Outbid, which a recovery never is.
func (c *Recovery) Again() []Request { return c.Resend() }

func (c *Recovery) request(to KeeperID) Request {
	switch c.step {
	case closeOld:
		return Request{Kind: Install, To: to, Next: c.closed, Seq: c.seq}
	case openNew:
		return Request{Kind: Install, To: to, Next: c.final, Seq: c.seq}
	}
	return Request{Kind: List, To: to, Roster: c.closed.Version, Key: c.after[to], Seq: c.seq}
}

// Step takes a reply and gives the next requests.
func (c *Recovery) Step(r Reply) ([]Request, Status) {
	switch {
	case c.status == Done:
	case r.Refused == WrongRoster && r.Roster.Version > c.closed.Version && r.Roster.Version != c.final.Version:
		c.p.Learn(r.Roster)
		c.end(fmt.Errorf("%w: another recovery has version %d of the roster, this one %d", ErrConflict, r.Roster.Version, c.closed.Version))
	case r.Refused == WrongKeeper:
		c.end(fmt.Errorf("%w: keeper %s is not there any more", ErrConflict, r.From))
	case c.step == carryHeld || c.step == carryRoster:
		return c.carryOn(r), c.status
	default:
		return c.collect(r), c.status
	}
	return nil, c.status
}

// collect counts the answers of a step of all that live.
func (c *Recovery) collect(r Reply) []Request {
	switch {
	case r.Seq != c.seq || r.Refused != Taken:
		return nil
	case c.step == listHeld && !c.listed(r):
		return []Request{c.request(r.From)}
	}
	c.got[r.From] = true
	all := func(set []KeeperID) bool {
		return !slices.ContainsFunc(set, func(k KeeperID) bool { return !c.got[k] })
	}
	switch {
	case c.step == closeOld && all(c.live):
		c.p.Learn(c.closed)
		return c.begin(listHeld)
	case c.step == listHeld && all(c.live):
		delete(c.keys, RosterKey) // the two of the keepers themselves
		delete(c.keys, FoundingKey)
		c.step, c.todo = carryHeld, slices.Sorted(maps.Keys(c.keys))
		return c.carryNext()
	case c.step == openNew && all(c.final.Keepers):
		c.p.Learn(c.final)
		c.end(nil)
	}
	return nil
}

// carryNext takes up the next keys; when all are carried, the roster's own register is
// written, and then the roster is opened.
func (c *Recovery) carryNext() (out []Request) {
	for len(c.todo) > 0 && len(c.carry) < rewriteMax {
		k := &carried{key: c.todo[0]}
		c.todo, c.carry = c.todo[1:], append(c.carry, k)
		out = append(out, c.ask(k, Read)...)
	}
	switch {
	case len(c.carry) > 0:
		return out
	case c.step == carryRoster:
		return c.begin(openNew)
	}
	c.step = carryRoster
	k := &carried{key: RosterKey, value: Value{Version: c.final.Version, Data: c.final.Encode()}} // its version is the roster's
	c.carry = []*carried{k}
	return c.ask(k, Accept)
}

// ask begins to read or to write a key.
func (c *Recovery) ask(k *carried, kind Kind) []Request {
	if k.kind = kind; kind == Accept {
		k.ballot = c.p.ballot()
	}
	c.p.seq++
	k.seq, k.got = c.p.seq, map[KeeperID]bool{}
	return c.unanswered(k)
}

// asked are those that have to answer.
func (c *Recovery) asked(k *carried) []KeeperID {
	if k.kind == Accept {
		return c.final.Keepers
	}
	return c.live
}

func (c *Recovery) unanswered(k *carried) (out []Request) {
	for _, to := range c.asked(k) {
		if k.got[to] {
			continue
		}
		r := Request{Kind: k.kind, To: to, Roster: c.closed.Version, Key: k.key, Ballot: k.ballot, Seq: k.seq}
		if k.kind == Accept {
			r.Value = k.value
		}
		out = append(out, r)
	}
	return out
}

// carryOn goes on with the key that a reply is about.
func (c *Recovery) carryOn(r Reply) []Request {
	c.p.n = max(c.p.n, r.Promised.N, r.Accepted.N)
	i := slices.IndexFunc(c.carry, func(k *carried) bool { return k.seq == r.Seq })
	if i < 0 {
		return nil
	}
	k := c.carry[i]
	switch {
	case r.Refused == LowBallot:
		return c.ask(k, Accept)
	case r.Refused != Taken:
		return nil
	}
	if k.kind == Read && r.Accepted.Compare(k.top) > 0 {
		k.top, k.value = r.Accepted, r.Value
	}
	k.got[r.From] = true
	if slices.ContainsFunc(c.asked(k), func(id KeeperID) bool { return !k.got[id] }) {
		return nil
	}
	if k.kind == Read && k.top != (Ballot{}) {
		return c.ask(k, Accept)
	}
	c.carry = slices.Delete(c.carry, i, i+1) // it is written, or nothing was ever accepted
	return c.carryNext()
}

func (c *Recovery) end(err error) { c.status, c.err = Done, err }
