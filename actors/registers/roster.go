package registers

import (
	"context"
	"errors"
	"fmt"
	"maps"
	mrand "math/rand/v2"
	"slices"
	"sync"
	"time"

	"github.com/pondmesh/pond/actors/api"
	"github.com/pondmesh/pond/fs/register"
)

// How the roster is looked after.
const (
	lookEvery  = time.Second     // at what others know
	surveyMax  = 32              // nodes asked at once
	changeMax  = 2 * time.Minute // of one change, all keys written again
	leaveEvery = 200 * time.Millisecond
	nudgeEvery = 100 * time.Millisecond // at most; as long as there is no roster, at least
)

// keep looks after the roster until Close: it founds the pond, hears what others know,
// and mends the roster where this node is the one to do so.
func (r *Registers) keep() {
	k := &caretaker{Registers: r, started: time.Now(), met: map[string]string{}, deadSince: map[register.KeeperID]time.Time{}}
	for {
		members, changed := r.cfg.View()
		k.look(r.ctx, members)
		if !r.pause(nudgeEvery, nil) {
			return
		}
		if r.Roster().Version > 0 && !r.pause(lookEvery-nudgeEvery, changed) {
			return
		}
	}
}

// pause waits, for no longer than until the view changes or there is something to do; it
// reports false when the registers end.
func (r *Registers) pause(d time.Duration, changed <-chan struct{}) bool {
	wake := r.wake
	if changed == nil {
		wake = nil
	}
	select {
	case <-r.ctx.Done():
		return false
	case <-time.After(d):
	case <-changed:
	case <-wake:
	}
	return true
}

// follow keeps the addresses of nodes, until Close.
func (r *Registers) follow() {
	for {
		members, changed := r.cfg.View()
		r.note(members)
		select {
		case <-r.ctx.Done():
			return
		case <-changed:
		}
	}
}

// note keeps the addresses of those who are alive, and of keepers who were.
func (r *Registers) note(members []Member) {
	r.mu.Lock()
	defer r.mu.Unlock()
	addrs := map[string]string{}
	for _, k := range r.p.Roster().All() {
		if a := r.addrs[NodeOf(k)]; a != "" {
			addrs[NodeOf(k)] = a
		}
	}
	for _, m := range members {
		addrs[m.Node] = m.Addr
	}
	r.addrs = addrs
	maps.DeleteFunc(r.links, func(node string, l *link) bool { return addrs[node] == "" && l.idle() })
}

// idle reports that nothing waits or is under way.
func (l *link) idle() bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.senders == 0 && len(l.waiting) == 0
}

// caretaker is what the roster's loop remembers; its goroutine's alone.
type caretaker struct {
	*Registers
	installed uint64                          // version of the roster that the own keeper has
	deadSince map[register.KeeperID]time.Time // keepers that do not answer
	started   time.Time
	met       map[string]string // nodes that it was told to join, by address
}

// look does what there is to do now.
func (k *caretaker) look(ctx context.Context, members []Member) {
	roster := k.Roster()
	if roster.Version == 0 {
		k.found(ctx, members)
		roster = k.Roster()
	}
	k.install(ctx, roster)
	if roster.Version == 0 {
		return
	}
	if k.leads(roster, members) {
		k.mend(ctx, roster, members)
		return
	}
	if others := k.others(members); len(others) > 0 {
		m := others[mrand.N(len(others))]
		_, _ = k.ask(ctx, m.Node, &api.RegisterCall{}) // it has told of its roster, or says nothing
	}
}

func (k *caretaker) others(members []Member) []Member {
	return slices.DeleteFunc(slices.Clone(members), func(m Member) bool { return m.Node == k.cfg.Node })
}

// install has the own keeper know the roster, so that the node knows it after a restart
// and founds no other pond.
func (k *caretaker) install(ctx context.Context, roster register.Roster) {
	if roster.Version <= k.installed {
		return
	}
	if _, err := k.cfg.Keeper.Answer(ctx, []register.Request{{Kind: register.Install, To: k.self, Next: roster}}); err != nil {
		k.cfg.Log.Error("registers: this node's keeper cannot note who the keepers are", "err", err)
		return
	}
	k.installed = roster.Version
	k.cfg.Log.Info("registers: the keepers are", "roster", roster.Version, "keepers", roster.Keepers, "next", roster.Next)
}

// leads reports whether this node is the one that mends the roster: its keeper is the
// first of the roster's whose node is to stay, or, if there is none, of those alive. Two
// nodes that both think so do no harm.
func (k *caretaker) leads(roster register.Roster, members []Member) bool {
	for _, leaving := range []bool{false, true} {
		for _, id := range roster.All() {
			i := slices.IndexFunc(members, func(m Member) bool { return m.Node == NodeOf(id) })
			if i >= 0 && members[i].Leaving == leaving {
				return id == k.self
			}
		}
	}
	return false
}

// mend changes the roster if it is not as it should be.
func (k *caretaker) mend(ctx context.Context, roster register.Roster, members []Member) {
	ctx, cancel := context.WithTimeout(ctx, changeMax)
	defer cancel()
	if roster.Joint() {
		k.change(ctx, nil)
		return
	}
	next := register.Plan(roster, k.candidates(roster, members, k.survey(ctx, members)))
	if next == nil || k.Roster().Version != roster.Version {
		return
	}
	k.cfg.Log.Info("registers: changing the keepers", "from", roster.Keepers, "to", next)
	if err := k.begun(ctx, roster); err != nil {
		k.cfg.Log.Warn("registers: the keepers are not changed yet", "err", err)
		return
	}
	k.change(ctx, next)
}

// begun writes the first roster into its own register, from which changes go on. It may
// be repeated.
func (k *caretaker) begun(ctx context.Context, roster register.Roster) error {
	if roster.Version > 1 {
		return nil
	}
	id := register.ChangeID("founded " + roster.Pond)
	_, err := k.operate(ctx, func() *register.Operation { return k.p.CAS(register.RosterKey, id, 0, roster.Encode()) })
	if errors.Is(err, register.ErrConflict) {
		return nil // another is further
	}
	return err
}

// change makes next the keepers, or ends a change that is under way.
func (k *caretaker) change(ctx context.Context, next []register.KeeperID) {
	k.mu.Lock()
	c, first := k.p.Change(NewChange(), next)
	k.mu.Unlock()
	k.run(ctx, c, first)
	k.mu.Lock()
	err := c.Result()
	k.mu.Unlock()
	if err != nil {
		k.cfg.Log.Warn("registers: the change of keepers has not ended", "err", err)
	}
	k.nudge()
}

// survey asks all members who they are; those who do not answer are left out.
func (r *Registers) survey(ctx context.Context, members []Member) map[string]*api.RegisterReply {
	var mu sync.Mutex
	out := map[string]*api.RegisterReply{}
	turns := make(chan struct{}, surveyMax)
	var all sync.WaitGroup
	for _, m := range members {
		turns <- struct{}{}
		all.Go(func() {
			defer func() { <-turns }()
			if reply, err := r.ask(ctx, m.Node, &api.RegisterCall{}); err == nil && reply.Node == m.Node {
				mu.Lock()
				defer mu.Unlock()
				out[m.Node] = reply
			}
		})
	}
	all.Wait()
	return out
}

// candidates are the keepers that the roster may have, by what the survey found.
func (k *caretaker) candidates(roster register.Roster, members []Member, found map[string]*api.RegisterReply) (out []register.Candidate) {
	now := time.Now()
	seen := map[string]bool{}
	for _, m := range members {
		reply := found[m.Node]
		if reply == nil {
			continue
		}
		seen[m.Node] = true
		ours := reply.Roster.Version == 0 || reply.Roster.Pond == roster.Pond
		if reply.Keeper != "" && ours && (!m.Leaving || slices.Contains(roster.Keepers, reply.Keeper)) {
			out = append(out, register.Candidate{ID: reply.Keeper, Zone: m.Zone, Fit: !m.Leaving, Leaves: m.Leaving})
		}
	}
	for _, id := range roster.Keepers {
		if seen[NodeOf(id)] { // it is fit, or certainly of no use any more
			delete(k.deadSince, id)
			continue
		}
		if k.deadSince[id].IsZero() {
			k.deadSince[id] = now
		}
		if now.Sub(k.deadSince[id]) < k.cfg.Grace {
			out = append(out, register.Candidate{ID: id})
		}
	}
	maps.DeleteFunc(k.deadSince, func(id register.KeeperID, _ time.Time) bool { return !slices.Contains(roster.Keepers, id) })
	return out
}

// Leave waits until the node's keeper has handed over, if there is one to hand over to
// that does not keep the registers yet.
// The node has said that it leaves before.
func (r *Registers) Leave(ctx context.Context) error {
	poll := time.NewTicker(leaveEvery)
	defer poll.Stop()
	for {
		members, changed := r.cfg.View()
		keepers := r.Keepers()
		heir := slices.ContainsFunc(members, func(m Member) bool { return !m.Leaving && !slices.Contains(keepers, m.Node) })
		if roster := r.Roster(); !slices.Contains(roster.All(), r.self) || !heir && !roster.Joint() {
			return nil
		}
		r.nudge()
		select {
		case <-changed:
		case <-poll.C:
		case <-ctx.Done():
			return fmt.Errorf("registers: the keeper of node %s has not handed over: %w", r.cfg.Node, ctx.Err())
		}
	}
}
