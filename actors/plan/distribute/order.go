package distribute

import (
	"fmt"
	"math"

	"github.com/pondmesh/pond/actors/plan"
	"github.com/pondmesh/pond/duck/logical"
)

const (
	sortBytes = 8 << 20 // sorted in one task, unless a number of partitions is asked for
)

// order sorts. Rows go to ranges of the keys, which a sample of them bounds;
// each task sorts its own.
func (p *planner) order(op *logical.Order, need bool) (*rel, error) {
	in, err := p.plan(op.Inputs[0], false)
	if err != nil {
		return nil, err
	}
	if !need { // nobody looks at the order
		out := in.with(in.op)
		if op.Project != nil {
			return project(in, refs(in.op.Head().Columns, op.Project...)), nil
		}
		return in.mapped(out, picked(nil)), nil
	}
	n := p.ranges(op, in)
	switch {
	case in.n <= 1:
	case p.decide(op, n == 1 || p.o.Partitions == 0 && in.bytes() < sortBytes):
		in = p.gather(in, "sorts what is too little to be sorted apart", false)
	default:
		if in, err = p.byRange(in, op.Keys, n); err != nil {
			return nil, err
		}
	}
	out := settled(op, in.with(over(op, in)))
	out.stable, out.sorted = true, true
	return in.mapped(out, picked(op.Project)), nil
}

// ranges is how many ranges a sort's rows are cut in. When the query is planned again it is
// as many as before, whatever their measured size.
func (p *planner) ranges(op *logical.Order, in *rel) int {
	w := p.ways[op]
	w.left = in.bytes()
	if before, ok := p.before[op]; ok {
		w.left = before.left
	}
	p.ways[op] = w
	if p.o.Partitions > 0 {
		return p.parts
	}
	return max(p.parts, p.o.sizing().SortTasksFor(int64(min(w.left, float64(p.input)))))
}

// byRange cuts rows at n - 1 sampled bounds of their sort keys.
func (p *planner) byRange(r *rel, keys []logical.OrderKey, n int) (*rel, error) {
	ex := plan.Exchange{Kind: plan.Range, Partitions: n}
	for _, k := range keys {
		s, err := logical.RenderExpr(k.X, logical.ColumnName)
		if err != nil {
			return nil, err
		}
		ex.Keys, ex.Order = append(ex.Keys, s), append(ex.Order, direction(k))
	}
	ex.Keys, ex.Order = append(ex.Keys, plan.BlobKey), append(ex.Order, "ASC NULLS LAST")
	if !p.cheap(r.op) {
		r = p.again(r, label(r.op), false)() // its rows are needed twice
	}
	sample := p.cut(r, "sample of sort keys", single, false)
	sample.before, sample.after = "SELECT "+ex.SortKey()+" AS c0 FROM (", ")"+plan.SampleClause(n, r.n)
	sample.nondeterministic = true // which rows are drawn hangs on the order they come in
	bounds := p.bounds(sample, n)
	d := p.cut(r, label(r.op)+" → range", ex, false)
	d.bounds = bounds
	out := p.read([]*draft{d}, plan.ReadPartition, n, false)
	out.unique = r.unique
	return out, nil
}

// bounds is the stage that finds the keys at which a sample falls into n equal
// parts.
func (p *planner) bounds(sample *draft, n int) *draft {
	col := []logical.Column{{Name: "k", Type: logical.Type{ID: "BLOB"}}}
	v := p.leaf(&leaf{from: []*draft{sample}, how: plan.ReadPartition, why: fmt.Sprintf("finds the bounds of %d ranges", n)}, col)
	d := p.cut(&rel{op: v, n: 1}, "bounds of sort keys", single, false)
	d.ordered = true
	before, after := plan.BoundsSQL("c0", n)
	d.before, d.after = before+"(", ")"+after
	return d
}

func direction(k logical.OrderKey) string {
	s := "ASC"
	if k.Desc {
		s = "DESC"
	}
	if k.NullsFirst {
		return s + " NULLS FIRST"
	}
	return s + " NULLS LAST"
}

// cheap reports whether a piece is better computed twice than kept: rows of files.
func (p *planner) cheap(root logical.Operator) bool {
	ok := true
	logical.Walk(root, func(op logical.Operator) bool {
		switch op := op.(type) {
		case *logical.View:
			ok = ok && p.leaves[op].scan != nil
		case *logical.Filter, *logical.Projection:
			ok = ok && !volatileOp(op)
		default:
			ok = false
		}
		return ok
	})
	return ok
}

// topN keeps the first rows of each task, then of those.
func (p *planner) topN(op *logical.TopN) (*rel, error) {
	in, err := p.plan(op.Inputs[0], false)
	if err != nil {
		return nil, err
	}
	if most, ok := firstRows(op.Limit, op.Offset); in.n > 1 && ok {
		first := *op
		first.Limit, first.Offset = most, 0
		part := in.with(over(&first, in))
		p.unfinished[part.op] = true
		part.rows = min(part.rows, float64(first.Limit)*float64(in.n))
		in = p.gather(part, fmt.Sprintf("keeps %s of those that %s kept", plan.Count(int(op.Limit), "row"), plan.Count(in.n, "task")), false)
	}
	in = p.gather(in, "keeps the first rows of all", false)
	out := settled(op, in.with(over(op, in)))
	out.rows, out.stable, out.sorted = min(in.rows, float64(op.Limit)), true, true
	return in.mapped(out, picked(nil)), nil
}

// firstRows is how many rows of each task a limit may keep, if DuckDB can count so
// far.
func firstRows(limit, offset uint64) (uint64, bool) {
	return limit + offset, limit <= math.MaxInt64 && offset <= math.MaxInt64-limit
}

// limit keeps rows in the order of the input: the first of each task, then of
// those.
func (p *planner) limit(op *logical.Limit) (*rel, error) {
	in, err := p.plan(op.Inputs[0], true)
	if err != nil {
		return nil, err
	}
	most, ok := firstRows(op.Limit.Rows, op.Offset.Rows)
	if op.Limit.Kind != logical.BoundRows || op.Offset.Kind != logical.BoundRows && op.Offset.Kind != logical.NoBound || !ok {
		in = p.gather(in, "how many rows are kept depends on all of them", true)
	} else if in.n > 1 {
		first := *op
		first.Limit.Rows, first.Offset = most, logical.Bound{Kind: logical.NoBound}
		part := in.with(over(&first, in))
		part.inOrder = part.inOrder || in.stable
		part.rows = min(part.rows, float64(first.Limit.Rows)*float64(in.n))
		in = p.gather(part, fmt.Sprintf("keeps %s of those that %s kept", plan.Count(int(op.Limit.Rows), "row"), plan.Count(in.n, "task")), true)
	}
	out := settled(op, in.with(over(op, in)))
	out.inOrder = out.inOrder || in.stable
	if op.Limit.Kind == logical.BoundRows {
		out.rows = min(in.rows, float64(op.Limit.Rows))
	}
	return in.mapped(out, picked(nil)), nil
}
