package sched

import (
	"fmt"

	"github.com/pondmesh/pond/actors/plan"
)

// onPull gives a node tasks: ready ones first, then second attempts of
// stragglers. When there are fewer tasks than slots in the pond each node gets
// its share of them, so that one quick node does not take all.
func (d *Decider) onPull(e Pull) {
	n := d.node(e.Node, e.Boot)
	if n == nil || !n.usable() {
		return
	}
	n.hungry = false
	want := min(e.Slots, n.free())
	if !d.begun || d.publish.active || d.now < n.restUntil {
		want = 0
	}
	left, all := want, d.fairShareOver() || d.choosy()
	for ; left > 0 && d.ready > 0 && (all || len(n.running) < d.fairShare(n)); left-- {
		t := d.pick(n)
		if t == nil {
			break
		}
		if !d.run(t, n) {
			return
		}
	}
	for ; left > 0 && n.reserved == nil; left-- {
		t := d.pickStraggler(n)
		if t == nil || !d.run(t, n) {
			break
		}
	}
	if left > 0 || want == 0 {
		d.starve(n)
	}
}

// fairShare is how many tasks n may have when all nodes pull.
func (d *Decider) fairShare(n *node) int {
	return ((d.running+d.ready)*n.slots + d.slots - 1) / d.slots
}

// fairShareOver: some node has not claimed its share for so long that others may.
func (d *Decider) fairShareOver() bool {
	return d.now-max(d.lastRun, d.readyAt) >= fairShareMillis
}

// usual is the memory of a first attempt.
func (d *Decider) usual(n *node, s *stage) int64 {
	m := d.cfg.MemoryPerTask
	if m <= 0 {
		m = n.memory / int64(max(n.slots, 1))
	}
	return min(max(m, s.plan.Memory), n.memory)
}

// need is the memory that t is granted on n.
func (d *Decider) need(t *task, n *node) int64 {
	return min(max(t.memory, d.usual(n, t.stage)), n.memory)
}

// pick chooses a ready task for n; nil if there is none for it now. The last open stage goes first. A task that n has no room for keeps n
// waiting: smaller ones never overtake it for ever.
func (d *Decider) pick(n *node) *task {
	if t := n.reserved; t != nil {
		if t.state == ready && t.stage.open {
			if n.fits(d.need(t, n)) {
				return t
			}
			return nil
		}
		t.reserved, n.reserved = nil, nil
	}
	for _, s := range d.open {
		if s.ready == 0 || !n.can(s) {
			continue
		}
		if t := d.pickLarge(s, n); t != nil {
			return t
		}
		if n.reserved != nil || !n.fits(d.usual(n, s)) {
			return nil
		}
		if t := d.pickUsual(s, n); t != nil {
			return t
		}
	}
	return nil
}

// pickUsual: tasks whose input n holds, then those with no preference, then
// those that another node should have taken by now.
func (d *Decider) pickUsual(s *stage, n *node) *task {
	mine := func(t *task) bool { return !d.avoids(t, n) }
	if h := s.local[n]; h != nil {
		if t := take(h, mine); t != nil {
			return t
		}
	}
	if t := take(&s.queue, mine); t != nil {
		return t
	}
	return take(&s.elsewhere, func(t *task) bool {
		p := t.prefer
		return !d.avoids(t, n) && (p == n || !p.usable() || p.free() <= 0 || d.now-t.since >= localityMillis)
	})
}

// pickLarge chooses among the tasks that ran out of memory. When n is the node
// for one but has no room now, n is reserved: it gets nothing else until its
// attempts have ended.
func (d *Decider) pickLarge(s *stage, n *node) *task {
	return take(&s.large, func(t *task) bool {
		if d.avoids(t, n) || d.roomier(t, n) || n.reserved != nil {
			return false
		}
		if n.fits(d.need(t, n)) {
			return true
		}
		if t.reserved == nil {
			t.reserved, n.reserved = n, t
		}
		return false
	})
}

// avoids: t failed on n, and may wait a little for a node that it did not fail on.
func (d *Decider) avoids(t *task, n *node) bool {
	if len(t.failedOn) == 0 || d.now-t.since >= avoidMillis {
		return false
	}
	failed, others := false, d.able(t.stage)
	for _, f := range t.failedOn {
		failed = failed || f == n
		if f.usable() {
			others--
		}
	}
	return failed && others > 0
}

// roomier: t may wait a little for another node, that has more memory than n
// when n has too little, or room now when n has not.
func (d *Decider) roomier(t *task, n *node) bool {
	fits := n.fits(d.need(t, n))
	if d.now-t.since >= roomMillis || fits && t.memory <= n.memory {
		return false
	}
	for _, o := range d.order {
		if o == n || !o.usable() || !o.can(t.stage) {
			continue
		}
		if t.memory > n.memory && o.memory > n.memory {
			return true
		}
		if !fits && o.memory >= n.memory && o.free() > 0 && o.fits(d.need(t, o)) {
			return true
		}
	}
	return false
}

// take pops the first ready task that ok likes, among a few. Queues keep entries
// of tasks that are no longer ready, or ready in another queue; those are dropped
// here.
func take(h *heap[*task], ok func(*task) bool) *task {
	var skipped []*task
	var found *task
	for found == nil && h.len() > 0 && len(skipped) < placeTriesMax {
		t := h.pop()
		switch {
		case t.state != ready || (t.memory > 0) != (h == &t.stage.large):
		case ok(t):
			found = t
		default:
			skipped = append(skipped, t)
		}
	}
	for _, t := range skipped {
		h.push(t)
	}
	return found
}

// run starts an attempt. It reports false when that ended the job instead.
func (d *Decider) run(t *task, n *node) bool {
	if why := t.exhausted(); why != "" {
		d.fail(&plan.Error{Kind: plan.KindUnavailable, Op: "run", Subject: t.id().String(), Text: why,
			Hint: "the nodes, or the network between them, are not stable enough for this job"})
		return false
	}
	st := &t.stage.status
	if t.attempts > 0 {
		st.Retries++
	}
	t.attempts++
	speculative, memory := t.state == running, d.need(t, n)
	if speculative {
		t.speculations++
	}
	a, alone := d.place(t, t.last+1, n, memory), memory >= n.memory
	d.lastRun = d.now
	d.emit(Run{
		Attempt: t.attemptID(a.number), Node: n.id, Boot: n.boot, Stage: t.stage.index, Partition: t.partition,
		Memory: memory, Threads: d.threads(t.stage, n, alone), Alone: alone, Version: t.stage.version(), Lineage: a.lineage, Speculative: speculative,
	})
	return true
}

// exhausted says which bound keeps a task from being run once more.
func (t *task) exhausted() string {
	switch {
	case t.nodeLosses > nodeLossesMax:
		return fmt.Sprintf("its node was lost %d times while it ran", t.nodeLosses)
	case t.vanishings > vanishingsMax:
		return fmt.Sprintf("its node did not know of it %d times: the node's log may say why", t.vanishings)
	case t.fetchFailures > fetchFailuresMax:
		return fmt.Sprintf("found its input lost %d times", t.fetchFailures)
	case t.stage.outdated > wholeRerunsMax:
		return fmt.Sprintf("what it reads had other rows each time that it was lost and made again, and all that had read it was taken back %d times", t.stage.outdated)
	case t.remakes > remakesMax:
		return fmt.Sprintf("its output was lost %d times", t.remakes)
	case t.attempts >= attemptsPerTaskMax:
		return fmt.Sprintf("was tried %d times", t.attempts)
	}
	return ""
}

// pickStraggler chooses a task that takes much longer than its siblings did, and
// does not run on n, for a second attempt there.
func (d *Decider) pickStraggler(n *node) *task {
	for _, s := range d.open {
		if !n.fits(d.usual(n, s)) || !n.can(s) {
			continue
		}
		if t := d.straggler(s, n); t != nil {
			return t
		}
	}
	return nil
}

// straggler looks at the longest-running attempts of s. n is nil for any node.
func (d *Decider) straggler(s *stage, n *node) *task {
	if d.cfg.NoSpeculation || s.runtimes.count == 0 || 2*s.done < len(s.tasks) {
		return nil
	}
	limit := max(d.cfg.SpeculationMillis, int64(d.cfg.SpeculationFactor*float64(s.runtimes.median())))
	a := s.oldest
	for tries := 0; a != nil && tries < placeTriesMax && d.now-a.start > limit; tries++ {
		t := a.task
		if len(t.live) == 1 && t.speculations < speculationsMax && a.node != n && t.memory == 0 && (n == nil && d.able(s) > 1 || n != nil && !d.avoids(t, n)) {
			return t
		}
		a = a.newer
	}
	return nil
}
