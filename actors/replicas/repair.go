package replicas

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"sync"
	"time"

	"github.com/pondmesh/pond/fs"
	"github.com/pondmesh/pond/fs/layout"
	"github.com/pondmesh/pond/fs/repair"
	"github.com/pondmesh/pond/fs/replica"
	"github.com/pondmesh/pond/mesh/delay"
)

// Bounds of a round.
const (
	roundEvery  = 30 * time.Second // and sooner when something has happened
	movingEvery = 5 * time.Second  // while a change of the layout is carried out
	idleEvery   = 5 * time.Minute  // of a node that holds nothing, in a pond that does not either, as far as it knows
	roundMax    = 30 * time.Minute
	nudgeEvery  = time.Second // at most
	asksMax     = 16          // nodes asked at once
	copiesMax   = 4           // uploads copied here at once
	roundCopies = 1024        // uploads copied in a round
	repairRate  = 64 << 20    // bytes a second that a node copies for repair
	repairBurst = 8 << 20
)

// Follow begins to keep this node's copies as they are to be: it takes part in the layout,
// compares what it holds with others, and reads what it has. It ends with Close.
func (r *Replicas) Follow(registers Registers) {
	r.registers = registers
	r.known.begun = time.Now()
	r.spawn(r.rounds)
	r.spawn(r.scrubs)
}

// nudge has a round begin soon.
func (r *Replicas) nudge() {
	select {
	case r.wake <- struct{}{}:
	default:
	}
}

func (r *Replicas) rounds() {
	for {
		if !r.rest(r.interval()) {
			return
		}
		ctx, cancel := context.WithTimeout(r.ctx, roundMax)
		if err := r.round(ctx); err != nil && r.ctx.Err() == nil {
			r.log.Warn("looking after copies", "err", err)
		}
		cancel()
		r.done.rounds.Add(1)
	}
}

// interval is how long a round is waited for.
func (r *Replicas) interval() time.Duration {
	r.mu.Lock()
	defer r.mu.Unlock()
	switch l := &r.known.layout; {
	case l.Current() == nil && r.known.read:
		return idleEvery
	case len(l.Versions) > 1, l.Current() != nil && !l.AllSeen():
		return movingEvery
	}
	return roundEvery
}

// rest waits for d, or until there is something to do; it is false when the node ends.
func (r *Replicas) rest(d time.Duration) bool {
	var changed <-chan struct{}
	if l := r.Layout(); l.Current() != nil {
		changed = r.cfg.View().Superseded()
	}
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-r.ctx.Done():
		return false
	case <-t.C:
	case <-r.wake:
	case <-changed:
	}
	return delay.For(r.ctx, nudgeEvery) == nil
}

// round brings this node's copies closer to what they are to be.
func (r *Replicas) round(ctx context.Context) error {
	l, version, unread := r.readLayout(ctx)
	if unread != nil { // what is known goes on
		l = r.Layout()
	}
	mine, err := r.sums()
	if err != nil {
		return err
	}
	if l.Current() == nil && len(mine) == 0 {
		return unread
	}
	heard := r.askAll(ctx, r.toAsk(&l), mine)
	r.age(heard)
	if unread == nil && (l.Current() == nil || r.first(&l)) {
		if err := r.look(ctx, l, version); err != nil {
			r.log.Warn("the layout of copies is not changed", "err", err)
		}
	}
	if l = r.Layout(); l.Current() == nil {
		return unread
	}
	return errors.Join(unread, r.mend(ctx, &l, mine, heard))
}

// askAll asks some nodes what they hold. Those that answer are in what it returns.
func (r *Replicas) askAll(ctx context.Context, nodes []replica.Node, mine map[layout.Group]*sum) map[replica.Node]*said {
	text := writeSums(mine)
	heard, turns := map[replica.Node]*said{}, make(chan struct{}, asksMax)
	var mu sync.Mutex
	var all sync.WaitGroup
	for _, n := range nodes {
		turns <- struct{}{}
		all.Go(func() {
			defer func() { <-turns }()
			s, err := r.askNode(ctx, n, mine, text)
			if err != nil {
				r.log.Debug("asking what a node holds", "node", n, "err", err)
				return
			}
			mu.Lock()
			defer mu.Unlock()
			heard[n] = s
		})
	}
	all.Wait()
	return heard
}

// toAsk are all nodes that this one shares groups with, and those that told it what they
// hold; whoever looks after the layout asks all.
func (r *Replicas) toAsk(l *layout.Layout) (out []replica.Node) {
	everybody := l.Current() == nil || r.first(l)
	seen := map[replica.Node]bool{r.self(): true}
	add := func(n replica.Node) {
		if !seen[n] {
			seen[n] = true
			out = append(out, n)
		}
	}
	if everybody {
		for _, m := range r.cfg.View().Members {
			add(replica.Node(m.ID))
		}
		return out
	}
	for _, v := range l.Versions {
		for _, m := range v.Members {
			if _, ok := r.member(m.Node); ok {
				add(m.Node)
			}
		}
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	for n, at := range r.known.told {
		if time.Since(at) > answerMax {
			delete(r.known.told, n)
			continue
		}
		add(n)
	}
	return out
}

// mend does what there is to do about each group.
func (r *Replicas) mend(ctx context.Context, l *layout.Layout, mine map[layout.Group]*sum, heard map[replica.Node]*said) error {
	stale, err := r.doubt()
	if err != nil {
		return err
	}
	braked := l.Braked(r.answers)
	if braked {
		r.log.Warn("more than a third of the nodes that hold copies do not answer: none is moved", "answer", len(heard)+1)
	}
	number, synced, short, checks := l.Current().Number, true, int64(0), []repair.ID{}
	behind := stale || r.ack().Synced < number && !allHeard(r.self(), l, heard)
	round := newJobs(ctx, r)
	for _, g := range concerned(behind, mine, heard) {
		places := l.Places(g)
		own := newInventory(stale)
		if mine[g] != nil {
			if own, err = r.inventory(g, stale); err != nil {
				return errors.Join(err, round.wait())
			}
		}
		told := map[replica.Node]repair.Inventory{r.self(): own}
		for n, s := range heard {
			if _, has := s.sums[g]; has || slices.Contains(places, n) {
				told[n] = s.inventory(g, own)
			}
		}
		if repair.Short(r.self(), l, g, told) {
			short++
		}
		do, done := repair.Decide(r.self(), l, g, told, braked)
		synced = synced && done
		for _, a := range do {
			if a.Kind == repair.Check {
				checks = append(checks, a.ID)
				continue
			}
			round.add(a, g)
		}
	}
	r.done.short.Store(short)
	err = round.wait()
	r.vouch(ctx, stale, checks, len(heard))
	if synced {
		r.mu.Lock()
		r.known.mine.Synced = max(r.known.mine.Synced, number)
		r.mu.Unlock()
	}
	return err
}

// allHeard reports whether all members have told what they hold: then this node has all
// that it is given of groups of which nobody has anything.
func allHeard(self replica.Node, l *layout.Layout, heard map[replica.Node]*said) bool {
	return !slices.ContainsFunc(l.Current().Members, func(m layout.Member) bool {
		s := heard[m.Node]
		return m.Node != self && (s == nil || s.Stale)
	})
}

// concerned are the groups of which somebody has something; all if this node is behind:
// it has yet to say that it has all that a version gives it, and cannot tell for all at
// once.
func concerned(behind bool, mine map[layout.Group]*sum, heard map[replica.Node]*said) []layout.Group {
	some := map[layout.Group]bool{}
	for g := range layout.Group(layout.Groups) {
		if behind {
			some[g] = true
		}
	}
	for g := range mine {
		some[g] = true
	}
	for _, s := range heard {
		for g := range s.sums {
			some[g] = true
		}
	}
	return slices.Sorted(maps.Keys(some))
}

// jobs are what a round does, some of it at once.
type jobs struct {
	ctx    context.Context
	r      *Replicas
	turns  chan struct{}
	all    sync.WaitGroup
	copies int
	mu     sync.Mutex
	errs   []error
}

func newJobs(ctx context.Context, r *Replicas) *jobs {
	return &jobs{ctx: ctx, r: r, turns: make(chan struct{}, copiesMax)}
}

// add does a, or has it be done beside.
func (j *jobs) add(a repair.Action, g layout.Group) {
	if a.Kind == repair.Copy {
		if j.copies++; j.copies > roundCopies {
			j.r.nudge()
			return
		}
	}
	select {
	case j.turns <- struct{}{}:
	case <-j.ctx.Done():
		return
	}
	j.all.Go(func() {
		defer func() { <-j.turns }()
		if err := j.r.act(j.ctx, a, g); err != nil {
			j.mu.Lock()
			defer j.mu.Unlock()
			j.errs = append(j.errs[:min(len(j.errs), 7)], fmt.Errorf("%s %s: %w", a.Kind, a.ID, err))
		}
	})
}

func (j *jobs) wait() error {
	j.all.Wait()
	return errors.Join(j.errs...)
}

func (r *Replicas) act(ctx context.Context, a repair.Action, g layout.Group) error {
	id := fs.UploadID(a.ID)
	switch a.Kind {
	case repair.Copy:
		return r.copyHere(ctx, id, a.From)
	case repair.Drop:
		return r.drop(ctx, id, g)
	case repair.Bury:
		return r.bury(id, a.At)
	}
	return nil
}

// copyHere holds an upload that others have.
func (r *Replicas) copyHere(ctx context.Context, id fs.UploadID, from []replica.Node) error {
	if info, err := r.store.Stat(id); err == nil && info.Kind == kindCached {
		return r.keep(id)
	}
	err := r.fetchAs(ctx, id, nodeIDs(from), kindCopy, true)
	if err == nil {
		r.log.Info("a copy was made", "upload", id, "from", from)
	}
	return err
}

// drop deletes a surplus copy, once each owner has read its own and found it right.
func (r *Replicas) drop(ctx context.Context, id fs.UploadID, g layout.Group) error {
	if r.cache.inUse(id) {
		return nil
	}
	l := r.Layout()
	owners := l.Owners(g)
	for _, n := range owners {
		s, err := r.stateAt(ctx, n, id)
		if err != nil {
			return err
		}
		if !s.Held {
			return nil
		}
	}
	if l = r.Layout(); !l.MayDrop(r.self(), g) || !slices.Equal(owners, l.Owners(g)) {
		return nil
	}
	r.log.Info("a surplus copy is dropped", "upload", id, "owners", owners)
	err := r.store.Delete(id)
	if err == nil {
		r.done.dropped.Add(1)
	}
	return err
}

// bury keeps a tombstone and deletes the copy.
func (r *Replicas) bury(id fs.UploadID, at time.Time) error {
	had, unheld := r.store.Stat(id)
	var err error
	if r.cfg.Times.Expired(at, time.Now()) {
		err = r.store.Delete(id)
	} else {
		r.cache.gone(id)
		err = r.store.Bury(at, id)
	}
	if err == nil && unheld == nil && had.Kind == kindCopy {
		r.done.collected.Add(1)
		r.done.collectedBytes.Add(had.Size)
	}
	return err
}

// Delete condemns uploads for good: this node keeps their tombstones durably, and others
// hear of them. It is for those that nothing refers to.
func (r *Replicas) Delete(ids ...fs.UploadID) error {
	now := time.Now()
	for _, id := range ids {
		if err := r.bury(id, now); err != nil {
			return fmt.Errorf("replicas: %w", err)
		}
	}
	r.nudge()
	return nil
}

// vouch ends the doubt of a node that was away, once each of its copies is vouched for.
func (r *Replicas) vouch(ctx context.Context, stale bool, checks []repair.ID, heard int) {
	most := heard > 0 && 2*heard >= len(r.cfg.View().Members)-1 || len(r.cfg.View().Members) == 1
	if !most {
		return
	}
	if stale && len(checks) > 0 {
		ids := make([]fs.UploadID, len(checks))
		for i, id := range checks {
			ids[i] = fs.UploadID(id)
		}
		if r.cfg.Judge == nil {
			return
		}
		if err := r.cfg.Judge(ctx, ids); err != nil {
			r.log.Warn("copies of a node that was away cannot be judged yet", "uploads", len(ids), "err", err)
			return
		}
	}
	if err := r.believe(time.Now()); err != nil {
		r.log.Warn("noting that others were heard", "err", err)
	}
}
