package distribute

import (
	"github.com/pondmesh/pond/actors/plan"
	"github.com/pondmesh/pond/duck/logical"
)

// setOp combines rows of the same columns.
func (p *planner) setOp(op *logical.SetOp, need bool) (*rel, error) {
	if op.Op == logical.Union {
		return p.union(op, need)
	}
	ins := make([]*rel, 2)
	for i, c := range op.Inputs {
		var err error
		if ins[i], err = p.plan(c, false); err != nil {
			return nil, err
		}
	}
	if max(ins[0].n, ins[1].n) > 1 {
		for i := range ins {
			var err error
			keys := refs(ins[i].op.Head().Columns, seq(op.Width())...)
			if !op.All && ins[i].n > 1 {
				ins[i] = p.dedup(ins[i])
			}
			if ins[i], err = p.exchange(ins[i], keys, p.parts, false); err != nil {
				return nil, err
			}
		}
	}
	out := &rel{op: over(op, ins...), n: together(ins[0], ins[1]), rows: ins[0].rows}
	out.hashedBy = append(out.hashedBy, ins[0].hashedBy...)
	return settled(op, out), nil
}

// dedup drops a task's duplicates.
func (p *planner) dedup(r *rel) *rel {
	cols := r.op.Head().Columns
	op := &logical.Distinct{Node: logical.Node{Kind: "LOGICAL_DISTINCT", Inputs: []logical.Operator{r.op}, Columns: cols},
		Targets: refs(cols, seq(len(cols))...)}
	out := r.with(op)
	out.stable, out.sorted = false, false
	return r.mapped(out, picked(nil))
}

// union is the rows of both sides. Sides in as many tasks are united task by
// task; others are kept and read one after another.
func (p *planner) union(op *logical.SetOp, need bool) (*rel, error) {
	ins := make([]*rel, 2)
	for i, c := range op.Inputs {
		var err error
		if ins[i], err = p.plan(c, need); err != nil {
			return nil, err
		}
	}
	keep := need && ins[0].stable && ins[1].stable
	out := p.unionAll(op, ins[0], ins[1], keep)
	if op.All {
		return out, nil
	}
	out.stable = false
	if out.n <= 1 {
		return p.dedup(out), nil
	}
	cols := out.op.Head().Columns
	keys := refs(cols, seq(len(cols))...)
	if covered(out.hashedBy, keys) {
		return p.dedup(out), nil
	}
	out, err := p.exchange(p.dedup(out), keys, p.parts, false)
	if err != nil {
		return nil, err
	}
	return p.dedup(out), nil
}

func samePlaces(a, b []slot) bool {
	if a == nil || len(a) != len(b) {
		return false
	}
	for i := range a {
		if len(a[i]) == 0 || len(b[i]) == 0 || a[i][0] != b[i][0] {
			return false
		}
	}
	return true
}

// unionAll is the rows of both sides.
func (p *planner) unionAll(op *logical.SetOp, a, b *rel, keep bool) *rel {
	all := *op
	all.All = true
	var out *rel
	switch {
	case a.n <= 1 && b.n <= 1:
		out = &rel{op: over(&all, a, b), n: together(a, b), stable: keep, inOrder: a.inOrder || b.inOrder}
	case a.n == b.n && !keep:
		out = &rel{op: over(&all, a, b), n: a.n, inOrder: a.inOrder || b.inOrder}
		if samePlaces(a.hashedBy, b.hashedBy) {
			out.hashedBy = a.hashedBy
		}
	default:
		n := max(a.n, 1) + max(b.n, 1)
		if n > plan.MaxPartitions {
			why := "a union of too many parts"
			a, b, n = p.gather(a, why, keep), p.gather(b, why, keep), 2
		}
		first, second := p.cut(a, label(a.op), single, keep), p.cut(b, label(b.op), single, keep)
		second.twin = 1 // it may well be the same, yet its rows count twice
		out = p.read([]*draft{first, second}, plan.ReadSegments, n, keep)
	}
	out.rows = a.rows + b.rows
	return out
}
