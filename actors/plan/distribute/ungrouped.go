package distribute

import (
	"fmt"

	"github.com/pondmesh/pond/duck/logical"
)

// ungrouped computes one row of aggregates if not all can be merged from parts.
// Each kind is computed in its own way over the same rows, and the resulting single
// rows are put side by side.
func (p *planner) ungrouped(op *logical.Aggregate, in *rel, keep bool) (*rel, error) {
	kinds, order := map[string][]int{}, []string{}
	for i, a := range op.Aggs {
		k := kindOf(a)
		if kinds[k] == nil {
			order = append(order, k)
		}
		kinds[k] = append(kinds[k], i)
	}
	read := func() *rel { return in }
	if len(order) > 1 {
		read = p.again(in, label(in.op)+", for several aggregates", keep)
	}
	var all *rel
	var at []int
	for _, k := range order {
		one := &logical.Aggregate{Node: logical.Node{Kind: op.Kind, Inputs: op.Inputs}}
		for _, i := range kinds[k] {
			one.Aggs, one.Columns = append(one.Aggs, op.Aggs[i]), append(one.Columns, op.Columns[i])
			at = append(at, i)
		}
		r, err := p.ungroupedKind(k, one, read(), keep)
		if err != nil {
			return nil, err
		}
		all = beside(all, r)
	}
	places := make([]int, len(at))
	for c, i := range at {
		places[i] = c
	}
	return project(all, refs(all.op.Head().Columns, places...)), nil
}

const (
	inParts = "parts"
	atOnce  = "rows"
)

// kindOf is how an aggregate without groups is worked out: from parts, over
// distinct values of the same arguments, or over all rows at once.
func kindOf(a *logical.AggExpr) string {
	if _, ok := decompose(a); ok {
		return inParts
	}
	if a.Distinct && len(a.Order) == 0 {
		plain := *a
		plain.Distinct, plain.Filter = false, nil
		if _, ok := decompose(&plain); ok && !orderCounts(a) {
			k := "distinct "
			for _, x := range a.Args {
				k += text(x) + ", "
			}
			if a.Filter != nil {
				k += " where " + text(a.Filter)
			}
			return k
		}
	}
	return atOnce
}

func (p *planner) ungroupedKind(kind string, op *logical.Aggregate, in *rel, keep bool) (*rel, error) {
	switch kind {
	case inParts:
		return p.grouped(op, in, keep)
	case atOnce:
		why := fmt.Sprintf("%s without groups cannot be put together from parts", op.Aggs[0].Name)
		return local(op, p.gather(in, why, keep), keep), nil
	}
	return p.ungroupedDistinct(op, in)
}

// ungroupedDistinct sends each value of the arguments to one task, which counts
// it once.
func (p *planner) ungroupedDistinct(op *logical.Aggregate, in *rel) (*rel, error) {
	if f := op.Aggs[0].Filter; f != nil {
		in = filtered(in, f)
	}
	values := p.dedup(project(in, op.Aggs[0].Args))
	cols := values.op.Head().Columns
	keys := refs(cols, seq(len(cols))...)
	if in.n > 1 && !covered(values.hashedBy, keys) {
		var err error
		if values, err = p.exchange(values, keys, p.parts, false); err != nil {
			return nil, err
		}
		values = p.dedup(values)
	}
	plain := &logical.Aggregate{Node: logical.Node{Kind: op.Kind, Inputs: []logical.Operator{values.op}, Columns: op.Columns}}
	for _, a := range op.Aggs {
		one := *a
		one.Distinct, one.Filter, one.Args = false, nil, keys
		plain.Aggs = append(plain.Aggs, &one)
	}
	checked, ok := checkedSums(plain).(*logical.Projection)
	if !ok {
		return p.grouped(plain, values, false)
	}
	out, err := p.grouped(checked.Inputs[0].(*logical.Aggregate), values, false)
	if err != nil {
		return nil, err
	}
	return project(out, checked.Exprs), nil
}

func filtered(in *rel, cond logical.Expr) *rel {
	op := &logical.Filter{Node: logical.Node{Kind: "LOGICAL_FILTER", Inputs: []logical.Operator{in.op}, Columns: in.op.Head().Columns}, Conds: []logical.Expr{cond}}
	return in.mapped(in.with(op), picked(nil))
}

// beside is two single rows as one; a may be none.
func beside(a, b *rel) *rel {
	if a == nil {
		return b
	}
	cols := append(append([]logical.Column{}, a.op.Head().Columns...), b.op.Head().Columns...)
	op := &logical.CrossProduct{Node: logical.Node{Kind: "LOGICAL_CROSS_PRODUCT", Columns: cols}}
	return &rel{op: over(op, a, b), n: together(a, b), rows: 1, inOrder: a.inOrder || b.inOrder}
}

// atOnceOf reports whether something is worked out over all rows at once: in
// their order then, so that rounding is DuckDB's too.
func atOnceOf(op *logical.Aggregate) bool {
	for _, a := range op.Aggs {
		if kindOf(a) == atOnce {
			return true
		}
	}
	return false
}
