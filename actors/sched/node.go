package sched

import (
	"slices"

	"github.com/pondmesh/pond/mesh/offers"
)

// node is one boot of a node, from NodeUp until it is lost.
type node struct {
	id       NodeID
	boot     Boot
	slots    int
	memory   int64
	offers   offers.Set
	running  []*attempt
	used     int64   // bytes granted to them
	segments []*task // won here; some may be held no longer

	uncopied     []*task // it holds them, and is to copy them, the last first; some may need it no longer
	copying      copying // what it was asked to copy
	copyFailures int     // of that in a row
	copyAfter    int64   // it is asked for nothing before

	leaving, gone bool
	rank          int // scratch of locate: the index in Decider.order

	hungry    bool // its last Pull was not filled
	listed    bool // in Decider.hungry
	offeredAt int64
	strikes   int   // failures since its last success
	restUntil int64 // gets nothing before
	reserved  *task // gets nothing else
}

func (n *node) usable() bool { return !n.gone && !n.leaving && n.slots > 0 }

func (n *node) free() int { return n.slots - len(n.running) }

func (n *node) fits(memory int64) bool { return n.used+memory <= n.memory }

func (d *Decider) onNodeUp(e NodeUp) {
	if n := d.nodes[e.Node]; n != nil {
		if n.boot == e.Boot {
			d.retire(n)
			n.size(e)
			d.enlist(n)
			return
		}
		d.drop(n)
	}
	n := &node{id: e.Node, boot: e.Boot, offeredAt: d.now - offerMillis + firstOfferMillis}
	n.size(e)
	d.nodes[n.id] = n
	d.order = append(d.order, n)
	d.enlist(n)
}

func (n *node) size(e NodeUp) {
	n.slots, n.memory, n.offers = max(e.Slots, 0), e.Memory, e.Offers
	if n.memory <= 0 {
		n.memory = int64(n.slots) * memoryPerSlot
	}
}

// enlist counts a node among those that take tasks, if it is one.
func (d *Decider) enlist(n *node) {
	for _, s := range d.stages {
		s.learn(n)
	}
	if !n.usable() {
		return
	}
	d.usable++
	d.slots += n.slots
	d.running += len(n.running)
	d.largest = max(d.largest, n.memory)
	d.starve(n)
	d.offered = -1
}

func (d *Decider) onLeaving(e NodeLeaving) {
	n := d.nodes[e.Node]
	if n == nil || n.leaving {
		return
	}
	d.retire(n)
	n.leaving = true
}

// retire undoes enlist.
func (d *Decider) retire(n *node) {
	if !n.usable() {
		return
	}
	d.usable--
	d.slots -= n.slots
	d.running -= len(n.running)
	if n.reserved != nil {
		n.reserved.reserved, n.reserved = nil, nil
	}
}

// drop forgets a node with all that it ran and held.
func (d *Decider) drop(n *node) {
	d.retire(n)
	n.gone = true
	delete(d.nodes, n.id)
	d.order = slices.DeleteFunc(d.order, func(o *node) bool { return o == n })
	for len(n.running) > 0 {
		a := n.running[0]
		a.task.nodeLosses++
		d.giveUp(a)
	}
	for _, t := range n.segments {
		i := slices.Index(t.holders, n)
		if i < 0 {
			continue
		}
		t.holders = slices.Delete(t.holders, i, i+1)
		t.stage.changes++
		if t.copyTries = 0; len(t.holders) == 0 && t.state == done {
			t.lost()
			d.lose(t)
		}
		d.spread(t)
	}
	n.segments = nil
	for _, s := range d.stages {
		s.found = slices.DeleteFunc(s.found, func(f finding) bool { return f.node == n })
	}
}

// giveUp ends an attempt that its node will never report on. It may yet turn out
// to have committed: it is not dead.
func (d *Decider) giveUp(a *attempt) {
	t := a.task
	d.unplace(a)
	if len(t.live) == 0 {
		d.requeue(t)
	}
}

func (d *Decider) onAlive(e Alive) {
	n := d.node(e.Node, e.Boot)
	if n == nil {
		return
	}
	d.seq++
	for _, r := range e.Running {
		if a := d.ofRunning(n, r); a != nil {
			a.seen, a.missing = d.seq, -1
		}
	}
	for i := len(n.running) - 1; i >= 0; i-- {
		a := n.running[i]
		switch {
		case a.seen == d.seq:
		case a.missing < 0:
			a.missing = d.now
		case d.now-a.missing >= missingMillis && d.now-a.start >= missingMillis:
			a.task.vanishings++
			d.giveUp(a)
		}
	}
}

// ofRunning is the attempt that a node says it runs. One that this Decider did not start (a
// predecessor's, or one on a node that had been given up) is attached to, if it may win;
// nil: it is stopped, or nothing can be said of it yet.
func (d *Decider) ofRunning(n *node, r Running) *attempt {
	s, t := d.byID[r.Attempt.Task.Stage], d.task(r.Attempt.Task)
	if t != nil {
		if a := t.attempt(r.Attempt.Attempt); a != nil && a.node == n {
			return a
		}
	}
	wanted := s != nil && (!d.begun || s.wanted)
	switch {
	case wanted && (t == nil && !s.shaped() || t != nil && d.adoptable(t, r.Attempt.Attempt) && !s.leaf() && s.lineage == 0):
		return nil // whether it reads what it should is known when the stage opens
	case wanted && t != nil && d.adoptable(t, r.Attempt.Attempt) && r.Lineage == s.lineage:
		a := d.place(t, r.Attempt.Attempt, n, d.usual(n, s))
		a.attached = true
		return a
	}
	d.emit(Stop{r.Attempt, n.id})
	return nil
}

// adoptable reports whether an attempt may run that this Decider does not know to.
func (d *Decider) adoptable(t *task, number int) bool {
	return number > 0 && t.state != done && len(t.live) == 0 && !slices.Contains(t.dead, number)
}

// place puts an attempt on a node.
func (d *Decider) place(t *task, number int, n *node, memory int64) *attempt {
	d.seq++
	if d.began < 0 {
		d.began = d.now
	}
	a := &attempt{task: t, number: number, node: n, memory: memory, lineage: t.stage.lineage, start: d.now, seq: d.seq, missing: -1}
	t.last = max(t.last, number)
	t.live = append(t.live, a)
	t.stage.link(a)
	n.running = append(n.running, a)
	n.used += memory
	d.attempts++
	if n.usable() {
		d.running++
	}
	if t.state != running {
		d.set(t, running)
	}
	return a
}

// unplace takes an attempt off its node. The caller says what becomes of the
// task.
func (d *Decider) unplace(a *attempt) {
	t, n, s := a.task, a.node, a.task.stage
	t.live = slices.DeleteFunc(t.live, func(o *attempt) bool { return o == a })
	s.unlink(a)
	n.running = slices.DeleteFunc(n.running, func(o *attempt) bool { return o == a })
	n.used -= a.memory
	d.attempts--
	if n.usable() {
		d.running--
	}
}

// stop ends an attempt that must not count any more.
func (d *Decider) stop(a *attempt) {
	d.unplace(a)
	a.task.dead = append(a.task.dead, a.number)
	d.emit(Stop{a.task.attemptID(a.number), a.node.id})
}

// starve notes that a node could take more than there was.
func (d *Decider) starve(n *node) {
	n.hungry = true
	if !n.listed {
		n.listed = true
		d.hungry = append(d.hungry, n)
	}
}

// offer tells hungry nodes of tasks that have become ready since they pulled, as
// many nodes as it takes to run them.
func (d *Decider) offer() {
	if d.ready == 0 || d.arrivals == d.offered {
		return
	}
	d.offered = d.arrivals
	want := d.ready
	if i := slices.IndexFunc(d.hungry, func(n *node) bool { return n.id == d.cfg.Near }); i > 0 {
		near := d.hungry[i]
		d.hungry = slices.Insert(slices.Delete(d.hungry, i, i+1), 0, near)
	}
	for left := len(d.hungry); want > 0 && left > 0; left-- {
		n := d.hungry[0]
		d.hungry = d.hungry[1:]
		n.listed = false
		if !n.hungry || !n.usable() {
			continue
		}
		if !d.useful(n) {
			d.starve(n)
			continue
		}
		if share := d.fairShare(n) - len(n.running); share > 0 && d.offerTo(n) {
			want -= min(share, n.free())
		} else {
			d.starve(n)
		}
	}
}

func (d *Decider) offerTo(n *node) bool {
	if !n.usable() || n.free() <= 0 || d.now < n.restUntil {
		return false
	}
	n.hungry, n.offeredAt = false, d.now
	d.emit(Offer{n.id})
	return true
}

// tickOffers offers the remaining work again: an Offer may have been lost, a rest or
// a wait may have ended, a straggler may have appeared.
func (d *Decider) tickOffers() {
	work := d.ready > 0
	for _, s := range d.open {
		work = work || d.straggler(s, nil) != nil
	}
	if !work {
		return
	}
	// Whom the work is for is decided when they pull, so all are asked in turn.
	for range min(len(d.order), offersPerTickMax) {
		d.nextOffer = (d.nextOffer + 1) % len(d.order)
		if n := d.order[d.nextOffer]; d.now-n.offeredAt >= offerMillis && (d.ready == 0 || d.useful(n)) {
			d.offerTo(n)
		}
	}
}
