package sched

import "slices"

func (d *Decider) onHeld(e Held) {
	n := d.node(e.Node, e.Boot)
	if n == nil {
		return
	}
	for i := range e.Segments {
		h := &e.Segments[i]
		t := d.task(h.Task)
		switch {
		case t == nil || h.Tasks > 0 && h.Tasks != len(t.stage.tasks) || t.stage.durable && h.Reused:
			// Of another shape, or published by another job: not ours.
		case t.state == done:
			d.holdsToo(t, n, h)
		case t.stage.moving && !t.stage.open:
			t.stage.found = append(t.stage.found, finding{t, n, *h})
		default:
			d.accept(t, n, h)
		}
	}
	if d.begun {
		d.takeWholeSet()
	}
}

// holdsToo adds a holder of the winner; any other attempt of this job has lost.
func (d *Decider) holdsToo(t *task, n *node, h *HeldSegment) {
	if t.won == h.Attempt && t.out.Segment == h.Output.Segment {
		if !t.stage.durable && !slices.Contains(t.holders, n) {
			t.holders = append(t.holders, n)
			n.segments = append(n.segments, t)
			t.stage.changes++
		}
		return
	}
	d.refuse(t, n, h)
}

// accept makes a held segment the winner of a task that has none, if it may be.
func (d *Decider) accept(t *task, n *node, h *HeldSegment) {
	if d.acceptable(t, h.Attempt, h) && (!t.stage.moving || h.Lineage == t.stage.lineage) {
		d.win(t, h.Attempt, n, *h)
		return
	}
	d.refuse(t, n, h)
}

// acceptable: nothing is known against the output.
func (d *Decider) acceptable(t *task, number int, h *HeldSegment) bool {
	return t.state != done && number > 0 && d.mayWin(t, winnerID{number, h.Output.Segment}) && (h.Reused || !slices.Contains(t.dead, number)) &&
		(h.Output.Segment == "" || h.Output.Segment != t.refused)
}

// refuse releases what will never be read. What other jobs made is theirs.
func (d *Decider) refuse(t *task, n *node, h *HeldSegment) {
	if !h.Reused {
		d.emit(Release{t.attemptID(h.Attempt), h.Output.Segment, n.id})
	}
}

// judge takes or refuses what was found of a moving stage, now that its lineage
// is known.
func (d *Decider) judge(s *stage) {
	found := s.found
	s.found = nil
	for i := range found {
		f := &found[i]
		switch {
		case f.node.gone:
		case f.task.state == done:
			d.holdsToo(f.task, f.node, &f.held)
		default:
			d.accept(f.task, f.node, &f.held)
		}
	}
}

// takeWholeSet completes the last stage, when it is moving, with what was found of
// it, if some lineage is there for every task: those outputs agree with one
// another, and nothing else needs to agree with them.
func (d *Decider) takeWholeSet() {
	s := d.stages[len(d.stages)-1]
	if !s.moving || s.opened || s.done > 0 {
		return
	}
	type key struct {
		lineage   uint64
		partition int
	}
	seen, count := map[key]bool{}, map[uint64]int{}
	for _, f := range s.found {
		k := key{f.held.Lineage, f.task.partition}
		if f.node.gone || seen[k] {
			continue
		}
		seen[k] = true
		if count[k.lineage]++; count[k.lineage] == len(s.tasks) {
			s.lineage = k.lineage
			d.judge(s)
			return
		}
	}
}
