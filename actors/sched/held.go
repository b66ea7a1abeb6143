package sched

import (
	"slices"

	"github.com/pondmesh/pond/actors/plan"
)

func (d *Decider) onHeld(e Held) {
	n := d.node(e.Node, e.Boot)
	if n == nil {
		return
	}
	for i := range e.Segments {
		h := &e.Segments[i]
		t := d.task(h.Task)
		switch s := d.byID[h.Task.Stage]; {
		case s != nil && !s.shaped() && h.Task.Partition >= 0 && !(s.durable && h.Reused):
			s.found = append(s.found, finding{n, *h})
		case t == nil || h.Tasks > 0 && h.Tasks != len(t.stage.tasks) || t.stage.durable && h.Reused:
			// Of another shape, or published by another job: not ours.
		case t.state == done:
			d.holdsToo(t, n, h)
		case !s.leaf() && !s.open && (s.lineage == 0 || h.Lineage != s.lineage):
			t.stage.found = append(t.stage.found, finding{n, *h})
		default:
			d.accept(t, n, h)
		}
	}
	if d.begun {
		d.takeWholeSets()
	}
}

// holdsToo adds a holder of the winner; any other attempt of this job has lost.
func (d *Decider) holdsToo(t *task, n *node, h *HeldSegment) {
	if t.won == h.Attempt && t.out.Segment == h.Output.Segment {
		if d.addHolder(t, n) {
			d.name(t)
		}
		return
	}
	d.refuse(n, h)
}

// addHolder notes that a node holds the winner too, unless that is known.
func (d *Decider) addHolder(t *task, n *node) bool {
	if t.stage.durable || slices.Contains(t.holders, n) {
		return false
	}
	t.holders = append(t.holders, n)
	n.segments = append(n.segments, t)
	return true
}

// name has attempts from now on read inputs that name all holders of a task's output.
func (d *Decider) name(t *task) {
	d.seq++
	t.heldSeq, t.unnamed = d.seq, false
	t.stage.changes++
}

// accept makes a held segment the winner of a task that has none, if it may be.
func (d *Decider) accept(t *task, n *node, h *HeldSegment) {
	if d.acceptable(t, h.Attempt, h) && (t.stage.leaf() || h.Lineage == t.stage.lineage) {
		d.win(t, h.Attempt, n, *h)
		return
	}
	d.refuse(n, h)
}

// acceptable: nothing is known against the output.
func (d *Decider) acceptable(t *task, number int, h *HeldSegment) bool {
	return t.state != done && number > 0 && d.mayWin(t, winnerID{number, h.Output.Segment, h.Output.Sum}) && (h.Reused || !slices.Contains(t.dead, number)) &&
		(h.Output.Segment == "" || h.Output.Segment != t.refused)
}

// refuse releases what will never be read. What other jobs made is theirs.
func (d *Decider) refuse(n *node, h *HeldSegment) {
	if !h.Reused {
		d.emit(Release{plan.AttemptID{Task: h.Task, Attempt: h.Attempt}, h.Output.Segment, n.id})
	}
}

// judge takes or refuses the outputs found of a stage, now that its lineage is known.
func (d *Decider) judge(s *stage) {
	found := s.found
	s.found = nil
	for i := range found {
		f := &found[i]
		switch t := d.task(f.held.Task); {
		case t == nil || f.held.Tasks > 0 && f.held.Tasks != len(s.tasks):
			d.refuse(f.node, &f.held)
		case t.state == done:
			d.holdsToo(t, f.node, &f.held)
		default:
			d.accept(t, f.node, &f.held)
		}
	}
}

// takeWholeSets completes stages with the outputs found of them, if some lineage
// has one for every task: those outputs agree with one another, and if nothing else
// was made of the same inputs, nothing else needs to agree with them. Of other stages
// the inputs have to be complete before anything is taken: see judge.
func (d *Decider) takeWholeSets() {
	for _, s := range d.stages {
		if len(s.found) > 0 && !s.opened && s.done == 0 && d.enclosed(s) {
			d.takeWholeSet(s)
		}
	}
}

// enclosed reports whether all that reads a stage before s, however far, is before s too,
// or s itself.
func (d *Decider) enclosed(s *stage) bool {
	before := make([]bool, s.index+1)
	before[s.index] = true
	for i := s.index; i >= 0; i-- {
		for _, p := range d.stages[i].deps {
			before[p.index] = before[p.index] || before[i]
		}
	}
	for i, p := range d.stages[:s.index] {
		if before[i] && slices.ContainsFunc(p.uses, func(u *stage) bool {
			return (u.index > s.index || !before[u.index]) && !u.status.Dropped
		}) {
			return false
		}
	}
	return true
}

// doubt takes back a whole set that was taken, now that something else reads what it was
// made of: it is to be judged.
func (d *Decider) doubt(s *stage) {
	for t := range s.all() {
		if t.state != done {
			continue
		}
		for _, n := range t.holders {
			s.found = append(s.found, finding{n, HeldSegment{Task: t.id(), Attempt: t.won, Tasks: len(s.tasks), Reused: t.reused, Lineage: t.lineage, Output: t.out}})
		}
		d.lose(t)
	}
	s.lineage = 0
}

func (d *Decider) takeWholeSet(s *stage) {
	type set struct {
		lineage uint64
		size    int // tasks
	}
	type key struct {
		set
		partition int
	}
	seen, count := map[key]bool{}, map[set]int{}
	for _, f := range s.found {
		k := key{set{f.held.Lineage, f.held.Tasks}, f.held.Task.Partition}
		if s.shaped() {
			k.size = len(s.tasks)
		}
		if f.held.Lineage == 0 || seen[k] || k.partition >= k.size {
			continue
		}
		seen[k] = true
		if count[k.set]++; count[k.set] == k.size {
			if !s.shaped() {
				d.makeTasks(s, k.size)
			}
			s.lineage = k.lineage
			d.judge(s)
			return
		}
	}
}
