package distribute

import (
	"github.com/pondmesh/pond/duck/logical"
)

// window adds columns that look at other rows of the same partition: rows go to
// the task of their partition keys' hash. Functions over different partitions
// are added one set after another.
func (p *planner) window(op *logical.Window) (*rel, error) {
	in, err := p.plan(op.Inputs[0], true)
	if err != nil {
		return nil, err
	}
	width, start := op.Inputs[0].Head().Width(), in
	at := make([]int, len(op.Exprs)) // where each function's column comes out
	done := make([]bool, len(op.Exprs))
	next := width
	for i := range op.Exprs {
		if done[i] {
			continue
		}
		step := logical.Window{Node: logical.Node{Kind: op.Kind, Columns: append([]logical.Column{}, in.op.Head().Columns...)}}
		for j := i; j < len(op.Exprs); j++ {
			if !done[j] && samePartitions(op.Exprs[i], op.Exprs[j]) {
				step.Exprs = append(step.Exprs, op.Exprs[j])
				step.Columns = append(step.Columns, op.Columns[width+j])
				at[j], done[j] = next, true
				next++
			}
		}
		if in, err = p.windows(&step, in, in == start); err != nil {
			return nil, err
		}
	}
	order := seq(width)
	order = append(order, at...)
	for i, c := range order {
		if i != c {
			return project(in, refs(in.op.Head().Columns, order...)), nil
		}
	}
	return in, nil
}

// windows adds functions that have their partitions in common.
func (p *planner) windows(op *logical.Window, in *rel, first bool) (*rel, error) {
	keys := op.Exprs[0].Partitions
	keep := first && in.stable
	switch {
	case in.n <= 1:
	case len(keys) == 0:
		in = p.gather(in, "a window over all rows, without PARTITION BY", keep)
	case covered(in.hashedBy, keys):
		keep = false
	case logical.FactsOf(keys...).Volatile:
		in = p.gather(in, "a window over partitions that are volatile", keep)
	default:
		var err error
		if in, err = p.exchange(in, keys, p.parts, keep); err != nil {
			return nil, err
		}
	}
	op.Inputs = []logical.Operator{in.op}
	out := settled(op, in.with(op))
	out.stable, out.sorted, out.inOrder = false, false, in.inOrder || keep
	return in.mapped(out, picked(nil)), nil
}

// samePartitions reports whether two functions have the same partition keys, in
// whatever order.
func samePartitions(a, b *logical.WindowExpr) bool {
	if len(a.Partitions) != len(b.Partitions) {
		return false
	}
	has := map[string]bool{}
	for _, x := range a.Partitions {
		has[text(x)] = true
	}
	for _, x := range b.Partitions {
		if !has[text(x)] {
			return false
		}
	}
	return true
}

// text is an expression as SQL, to compare.
func text(x logical.Expr) string {
	s, err := logical.RenderExpr(x, logical.ColumnName)
	if err != nil {
		return "?" + err.Error()
	}
	return s
}
