package distribute

import (
	"fmt"

	"github.com/pondmesh/pond/actors/plan"
	"github.com/pondmesh/pond/duck/logical"
)

// Compiled is a query as a job, and the state to plan the rest of it again once
// the sizes of finished stages are known.
type Compiled struct {
	*plan.Job
	q     *Query
	facts Facts
	o     Options
	// sides are the drafts of stages that carry all rows of an operator of the
	// tree, as they are: by stage.
	sides map[int]*draft
	ways  map[logical.Operator]way
}

// Size is the size of a stage's output.
type Size struct {
	Tasks       int
	Rows, Bytes int64
	// Part: it is still at work, but so far that it is to be kept. Rows and Bytes
	// do not count.
	Part bool
}

// way is how an operator was planned.
type way struct {
	how         string
	left, right float64 // bytes of a join's sides, or of what a sort sorts, as far as was known
}

// The strategies of a join that differ in cost. Others leave no choice.
const (
	shuffled  = "both sides are shuffled"
	sendRight = "the right side is sent to all tasks"
	sendLeft  = "the left side is sent to all tasks"
)

// keepBroadcast is how many times BroadcastBytes a side may measure that was made
// to be broadcast, before another way is looked for.
const keepBroadcast = 4

// Surprising reports whether the size of a stage's output would have suggested
// another plan, had it been known.
func (p *Compiled) Surprising(stage int, bytes int64) bool {
	d := p.sides[stage]
	if d == nil || p.o.BroadcastBytes < 0 {
		return false
	}
	if d.ex.Kind == plan.Single {
		return bytes > keepBroadcast*p.o.BroadcastBytes
	}
	return bytes <= p.o.BroadcastBytes
}

// Replan plans the query again around the output of finished stages: sizes, by
// index of the stage. The new job holds the old stages, some no longer needed, and
// after them new ones that say why they were added. It is nil if no join would
// change its strategy, and also if the result could then mix rows of two
// evaluations of something nondeterministic.
func (p *Compiled) Replan(sizes map[int]Size) (*Compiled, error) {
	again := newPlanner(p.q, p.facts, p.o)
	again.before, again.old = p.ways, p.Job
	for i, size := range sizes {
		d := p.sides[i]
		if d == nil || d.ex.Kind == plan.Single && p.Stages[i].Tasks.Fit != nil {
			continue // segments of tasks that may be cut otherwise another time are not to be counted
		}
		m := &made{draft: *d, tasks: size.Tasks}
		if !size.Part {
			m.draft.rows = float64(size.Rows)
			m.width = float64(size.Bytes) / float64(max(size.Rows, 1))
		}
		if other := again.made[d.of]; other == nil || other.draft.index > i {
			again.made[d.of] = m
		}
	}
	next, err := again.distribute()
	if err != nil {
		return nil, fmt.Errorf("plan: replan: %w", err)
	}
	why := changed(p.ways, next.ways)
	if why == "" || len(next.Stages) == len(p.Stages) || again.passed || !next.Once(len(p.Stages)) {
		return nil, nil
	}
	for _, s := range next.Stages[len(p.Stages):] {
		s.Replanned = why
	}
	for i, d := range p.sides {
		if next.sides[i] == nil {
			next.sides[i] = d
		}
	}
	return next, nil
}

// changed says which join is to run in another way than before; empty when none.
func changed(before, now map[logical.Operator]way) string {
	why := ""
	for op, w := range now {
		b, ok := before[op]
		if !ok || b.how == w.how || !costs(b.how) || !costs(w.how) {
			continue
		}
		// The first in the order of their texts: any order that is always the same.
		if text := fmt.Sprintf("of a join %s instead of that %s: they are %s and %s, were guessed to be %s and %s",
			w.how, b.how, size(w.left), size(w.right), size(b.left), size(b.right)); why == "" || text < why {
			why = text
		}
	}
	return why
}

func costs(how string) bool { return how == shuffled || how == sendRight || how == sendLeft }

func size(bytes float64) string {
	for _, unit := range []string{"bytes", "kB", "MB", "GB"} {
		if bytes < 1000 {
			return fmt.Sprintf("%.3g %s", bytes, unit)
		}
		bytes /= 1000
	}
	return fmt.Sprintf("%.3g TB", bytes)
}

// made is an operator's rows that a stage has made, or is about to.
type made struct {
	draft draft
	tasks int
	width float64 // bytes of a row; 0: not known
}

// remade reads finished output where it lies, each row once.
func (p *planner) remade(m *made) *rel {
	d := &m.draft
	var out *rel
	switch {
	case d.ex.Kind == plan.Hash:
		out = p.readHashed(d, &rel{unique: d.unique}, d.keys)
	case m.tasks <= 1:
		out = p.read([]*draft{d}, plan.ReadPartition, 1, false)
	default:
		out = p.read([]*draft{d}, plan.ReadSegments, m.tasks, false)
	}
	out.unique, out.of, out.made, out.width = d.unique, d.of, m, m.width
	return out
}

// all reads the whole finished output in each task.
func (p *planner) all(m *made, n int) *rel {
	out := p.read([]*draft{&m.draft}, plan.ReadAll, n, false)
	out.unique, out.width = m.draft.unique, m.width
	return out
}

// decide settles a choice that rests on a guess. When the query is planned again
// the first choice stands, since another would waste the output made for it.
func (p *planner) decide(op logical.Operator, guess bool) bool {
	if w, ok := p.before[op]; ok {
		guess = w.how != ""
	}
	w := p.ways[op]
	if guess {
		w.how = "at once"
	}
	p.ways[op] = w
	return guess
}
