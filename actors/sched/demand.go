package sched

import (
	"fmt"
	"hash/fnv"
	"slices"
	"strconv"
)

// updateDemand recomputes which stages are wanted and which of those are open, until
// nothing changes: opening one may complete it with segments found before.
func (d *Decider) updateDemand() {
	for d.dirty && d.finish == nil {
		d.dirty = false
		d.computeDemand()
		for _, s := range d.stages {
			can := s.wanted && s.ripe()
			if s.open && !can {
				d.closeStage(s)
			}
			if !s.open && can {
				d.openStage(s)
			}
			if !s.wanted {
				d.stopStage(s)
			}
			if d.finish != nil {
				return
			}
		}
	}
	if d.last().complete() {
		d.complete()
	}
}

// computeDemand walks backwards: the last stage is wanted until it is complete,
// any other while a wanted one reads it and it is not complete itself.
func (d *Decider) computeDemand() {
	for i := len(d.stages) - 1; i >= 0; i-- {
		s := d.stages[i]
		before := s.wanted
		s.wanted = i == len(d.stages)-1 || slices.ContainsFunc(s.uses, func(u *stage) bool { return u.wanted })
		if s.wanted = s.wanted && !s.complete(); s.wanted && !before {
			d.spreadInputs(s)
		}
	}
}

// openStage lets a stage's tasks run. What it reads may be other rows than when it was
// last open, or than those that held segments were made of: what read those is made
// again.
func (d *Decider) openStage(s *stage) {
	if s.plan.Tasks.Fit != nil && !s.opened {
		if d.fit(s); d.finish != nil {
			return
		}
	}
	if !s.leaf() {
		if l := s.hashInputs(); l != s.lineage || !s.opened {
			s.lineage = l
			d.sweep(s, func(l uint64) bool { return l == s.lineage })
		}
		d.judge(s)
		if d.finish != nil || s.complete() {
			return
		}
	}
	s.open = true
	i, _ := slices.BinarySearchFunc(d.open, s, func(a, b *stage) int { return b.index - a.index })
	d.open = slices.Insert(d.open, i, s)
	first := !s.opened
	s.opened = true
	if first {
		d.locate(s)
	}
	d.arrive(s.ready)
	if first {
		for t := range s.all() {
			if t.state == waiting {
				d.requeue(t)
			}
		}
	}
}

func (d *Decider) closeStage(s *stage) {
	s.open = false
	d.ready -= s.ready
	d.open = slices.DeleteFunc(d.open, func(o *stage) bool { return o == s })
}

// stopStage stops what runs of a stage that nobody wants any more.
func (d *Decider) stopStage(s *stage) {
	for s.oldest != nil {
		t := s.oldest.task
		d.stop(s.oldest)
		if len(t.live) == 0 {
			d.requeue(t)
		}
	}
}

// arrive notes that n tasks came to be able to start.
func (d *Decider) arrive(n int) {
	if n > 0 && d.ready == 0 {
		d.readyAt = d.now
	}
	d.ready += n
	d.arrivals += int64(n)
}

// set moves a task to another state, and keeps every count.
func (d *Decider) set(t *task, to state) {
	s := t.stage
	switch t.state {
	case ready:
		s.ready--
		if s.open {
			d.ready--
		}
		if t.reserved != nil {
			t.reserved.reserved, t.reserved = nil, nil
		}
	case running:
		s.running--
	case done:
		d.dirty = d.dirty || s.complete()
		s.done--
		s.account(&t.out, -1)
		if t.reused {
			s.status.Reused--
		}
	}
	t.state = to
	switch to {
	case ready:
		s.ready++
		if s.open {
			d.arrive(1)
		}
	case running:
		s.running++
	case done:
		s.done++
		d.dirty = d.dirty || s.complete()
		s.account(&t.out, 1)
		if t.reused {
			s.status.Reused++
		}
	}
}

func (s *stage) account(o *Output, sign int64) {
	s.status.Rows += sign * o.Rows
	s.status.RawBytes += sign * o.RawBytes
	s.status.Bytes += sign * o.Bytes
	s.status.Spilled += sign * o.Spilled
	s.status.CPUMillis += sign * o.CPUMillis
}

// requeue makes a task ready, or waiting when its stage was never open.
func (d *Decider) requeue(t *task) {
	s := t.stage
	if !s.opened {
		d.set(t, waiting)
		return
	}
	t.since = d.now
	d.set(t, ready)
	switch {
	case t.memory > 0:
		s.large.push(t)
	case t.prefer != nil && t.prefer.usable() && len(t.failedOn) == 0:
		h := s.local[t.prefer]
		if h == nil {
			h = &heap[*task]{less: heavier}
			s.local[t.prefer] = h
		}
		h.push(t)
		s.elsewhere.push(t)
	default:
		s.queue.push(t)
	}
}

// rest makes a task ready after a while.
func (d *Decider) rest(t *task, millis int64) {
	d.set(t, resting)
	t.wake = d.now + millis
	d.seq++
	d.timers.push(timer{t.wake, d.seq, t})
}

// win makes an output the one that counts. The first commit wins: other attempts
// are stopped.
func (d *Decider) win(t *task, number int, n *node, h HeldSegment) {
	if a := t.attempt(number); a != nil && !h.Reused {
		d.unplace(a) // its report is under way, or lost; a copy may be heard of before it
	}
	for len(t.live) > 0 {
		d.stop(t.live[0])
	}
	s := t.stage
	is := winnerID{number, h.Output.Segment, h.Output.Sum}
	if t.changes(is) {
		d.outdate(s)
	}
	t.prior = is
	d.seq++
	t.won, t.seq, t.heldSeq, t.lineage, t.reused, t.out = number, d.seq, d.seq, h.Lineage, h.Reused, h.Output
	if !h.Reused {
		t.last = max(t.last, number)
	}
	t.unnamed = false
	t.maker = n.id
	t.holders = t.holders[:0]
	if !s.durable {
		t.holders = append(t.holders, n)
		n.segments = append(n.segments, t)
	}
	s.changes++
	t.copyTries = 0
	d.set(t, done)
	d.spread(t)
}

// outdate takes back everything that was made, however indirectly, of a stage
// whose rows have just changed. That nobody wants some of it now does not save
// it: all of it meets in the last stage.
func (d *Decider) outdate(s *stage) {
	touched := map[*stage]bool{s: true}
	for _, u := range d.stages[s.index+1:] {
		if !slices.ContainsFunc(u.deps, func(p *stage) bool { return touched[p] }) {
			continue
		}
		touched[u] = true
		if u.lineage = 0; u.open {
			d.closeStage(u)
			d.dirty = true
		}
		if u.done > 0 || u.running > 0 {
			u.outdated++
			d.sweep(u, func(uint64) bool { return false })
		}
	}
}

// mayWin: an output that nobody asked for now may count. One that would outdate
// others is only welcome where a new one would have to be made anyway.
func (d *Decider) mayWin(t *task, is winnerID) bool {
	return !d.begun || t.stage.wanted || !t.changes(is)
}

// lose takes back a done task: nobody holds its output any more, or it must not
// be read. Whether it is made again is a matter of demand.
func (d *Decider) lose(t *task) {
	t.stage.changes++
	d.requeue(t)
	t.holders, t.out, t.reused = nil, Output{}, false
}

// discard is lose for an output that is still there, but must not be read: it is
// corrupt, or made of rows that have changed. Then another job may still want it,
// if it made it.
func (d *Decider) discard(t *task, corrupt bool) {
	for _, n := range t.holders {
		if t.reused && !corrupt {
			break
		}
		d.emit(Release{t.attemptID(t.won), t.out.Segment, n.id})
	}
	if t.stage.durable {
		d.emit(Release{t.attemptID(t.won), t.out.Segment, t.maker})
	}
	t.refused = t.out.Segment
	if !t.reused {
		t.dead = append(t.dead, t.won)
	}
	if corrupt {
		t.lost()
		d.distrust(t)
	}
	d.lose(t)
}

// lost counts that nobody holds a finished task's output any more, or nobody readably.
func (t *task) lost() {
	t.remakes++
	t.stage.status.Lost++
}

// distrust makes a task avoid a node whose disk has twice in a row lost the task's
// output.
func (d *Decider) distrust(t *task) {
	if n := d.nodes[t.maker]; n != nil && t.spoiledOn == t.maker && !slices.Contains(t.failedOn, n) {
		t.failedOn = append(t.failedOn, n)
	}
	t.spoiledOn = t.maker
}

// hashInputs is the lineage of tasks that start now: how the stage is cut, and what it
// reads, which is complete. Of a producer that the plan takes for deterministic that is
// the sums of its rows: made again, by this coordinator or another, it is the same as long
// as they are. Of any other it is which attempts made it. It is never 0.
func (s *stage) hashInputs() uint64 {
	h := fnv.New64a()
	if shares := s.plan.Tasks.Specs; shares != nil {
		fmt.Fprint(h, shares)
	}
	var b []byte
	for _, p := range s.deps {
		b = append(append(b[:0], p.plan.ID...), 0)
		h.Write(b)
		for t := range p.all() {
			if b = b[:0]; p.unstable {
				b = strconv.AppendInt(b, int64(t.won), 10)
				b = append(append(append(b, 0), t.out.Segment...), 0)
			} else {
				b = append(strconv.AppendUint(b, t.out.Sum, 16), 0)
			}
			h.Write(b)
		}
	}
	return max(h.Sum64(), 1)
}

// sweep discards outputs made from inputs whose lineage is not valid.
func (d *Decider) sweep(s *stage, valid func(lineage uint64) bool) {
	for t := range s.all() {
		if t.state == done && !valid(t.lineage) {
			d.discard(t, false)
		}
		for k := len(t.live) - 1; k >= 0; k-- {
			if !valid(t.live[k].lineage) {
				d.stop(t.live[k])
			}
		}
		if t.state == running && len(t.live) == 0 {
			d.requeue(t)
		}
	}
}
