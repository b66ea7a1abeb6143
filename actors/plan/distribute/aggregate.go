package distribute

import (
	"fmt"

	"github.com/pondmesh/pond/actors/plan"
	"github.com/pondmesh/pond/duck/logical"
)

// aggregate groups. Aggregates that can be put together from parts are worked
// out by task first; for others the rows go to the task of their group.
func (p *planner) aggregate(op *logical.Aggregate) (*rel, error) {
	keep := nondeterministicOp(op) || len(op.Groups) == 0 && atOnceOf(op)
	in, err := p.plan(op.Inputs[0], keep)
	if err != nil {
		return nil, err
	}
	keep = keep && in.stable
	if logical.FactsOf(op.Groups...).Volatile {
		in = p.gather(in, "groups by what is volatile", keep)
	}
	return p.grouped(op, in, keep)
}

func (p *planner) grouped(op *logical.Aggregate, in *rel, keep bool) (*rel, error) {
	if in.n <= 1 || op.Plain() && len(op.Groups) > 0 && covered(in.hashedBy, op.Groups) {
		return local(op, in, keep && in.n <= 1), nil
	}
	splits, ok := decomposeAll(op.Aggs)
	switch {
	case ok && distinctSets(op):
		return p.partials(op, in, splits, keep)
	case !op.Plain():
		return p.sets(op, in, keep)
	case len(op.Groups) > 0:
		out, err := p.exchange(in, op.Groups, p.parts, keep)
		if err != nil {
			return nil, err
		}
		return local(op, out, keep), nil
	}
	return p.ungrouped(op, in, keep)
}

// local aggregates completely, over rows that have each group in one task.
func local(op *logical.Aggregate, in *rel, inOrder bool) *rel {
	out := settled(op, in.with(over(op, in)))
	out.stable, out.sorted, out.inOrder = false, false, in.inOrder || inOrder
	out.rows = in.groups(op.Groups)
	for i, g := range op.Groups {
		out.guess(i, in.valuesIn(g))
	}
	if op.Plain() {
		at := make([]int, len(op.Groups))
		for i, g := range op.Groups {
			at[i] = column(g)
		}
		in.mapped(out, picked(at)).notUnique()
		out.unique = [][]int{seq(len(op.Groups))}
	}
	return out
}

func decomposeAll(aggs []*logical.AggExpr) ([]split, bool) {
	out := make([]split, len(aggs))
	for i, a := range aggs {
		var ok bool
		if out[i], ok = decompose(a); !ok {
			return nil, false
		}
	}
	return out, true
}

// partials aggregates by task, sends a row a group to the group's task, and
// puts those together. Of grouping sets, which set a row is of is one more key.
func (p *planner) partials(op *logical.Aggregate, in *rel, splits []split, keep bool) (*rel, error) {
	part, keys, at := p.partial(op, in, splits, keep)
	cols := part.op.Head().Columns
	var all *rel
	var err error
	switch {
	case keys == 0:
		all = p.gather(part, fmt.Sprintf("puts the partial results of %s together", plan.Count(in.n, "task")), keep)
	case p.decide(op, p.o.Partitions == 0 && part.bytes() < gatherBytes):
		all = p.gather(part, fmt.Sprintf("puts the partial results of %s together", plan.Count(in.n, "task")), keep)
	default:
		if all, err = p.exchange(part, refs(cols, seq(keys)...), p.parts, keep); err != nil {
			return nil, err
		}
	}
	merged := merge(all, splits, keys, at)
	merged.inOrder = merged.inOrder || keep
	merged.rows = in.groups(op.Groups)
	return finish(op, merged, splits, at), nil
}

// gatherBytes bounds the partial results of a grouped aggregate that one task
// merges, unless a number of partitions is asked for.
const gatherBytes = 1 << 20

// partial is each task's own groups: its columns are the keys, then the parts of
// aggregate i from at[i] up to at[i+1].
func (p *planner) partial(op *logical.Aggregate, in *rel, splits []split, keep bool) (r *rel, keys int, at []int) {
	g := logical.Aggregate{Node: logical.Node{Kind: "LOGICAL_AGGREGATE", Inputs: []logical.Operator{in.op}}, Groups: op.Groups, Sets: op.Sets}
	column := func(t logical.Type) logical.Expr {
		g.Columns = append(g.Columns, logical.Column{Type: t})
		return ref(g.Columns, len(g.Columns)-1)
	}
	var list []logical.Expr
	for _, x := range op.Groups {
		list = append(list, column(x.Type()))
	}
	var parts [][]logical.Expr
	for _, s := range splits {
		var cols []logical.Expr
		for _, a := range s.partial {
			g.Aggs = append(g.Aggs, a)
			cols = append(cols, column(a.T))
		}
		parts = append(parts, s.shaped(cols))
	}
	if !op.Plain() { // behind the groups: GROUPING()s, and which set it is
		g.Grouping = append(append([][]int{}, op.Grouping...), seq(len(op.Groups)))
		for range g.Grouping {
			list = append(list, column(bigint))
		}
	}
	keys = len(list)
	for _, cols := range parts {
		at = append(at, len(list))
		list = append(list, cols...)
	}
	r = in.with(&g)
	p.unfinished[&g] = true
	r.rows = min(in.groups(op.Groups)*float64(max(in.n, 1)), in.rows)
	for i, g := range op.Groups {
		r.guess(i, in.valuesIn(g))
	}
	if !inPlace(list, len(g.Columns)) {
		r = project(r, list)
	}
	r.stable, r.sorted, r.inOrder = keep, false, in.inOrder || keep
	return r, keys, append(at, len(list))
}

// inPlace is true of all n columns, in order.
func inPlace(list []logical.Expr, n int) bool {
	for i, x := range list {
		if c, ok := x.(*logical.Ref); !ok || c.Index != i {
			return false
		}
	}
	return len(list) == n
}

// merge puts parts together; the columns are the same as before.
func merge(in *rel, splits []split, keys int, at []int) *rel {
	cols := in.op.Head().Columns
	g := logical.Aggregate{Node: logical.Node{Kind: "LOGICAL_AGGREGATE", Inputs: []logical.Operator{in.op}}, Groups: refs(cols, seq(keys)...)}
	g.Columns = append(g.Columns, cols[:keys]...)
	list := refs(cols, seq(keys)...)
	for i, s := range splits {
		sent := refs(cols, seq(at[i+1])[at[i]:]...)
		var merged []logical.Expr
		for _, a := range s.merge(sent) {
			g.Aggs = append(g.Aggs, a)
			g.Columns = append(g.Columns, logical.Column{Type: a.T})
			merged = append(merged, ref(g.Columns, len(g.Columns)-1))
		}
		list = append(list, s.settled(merged, sent)...)
	}
	out := in.with(&g)
	out.stable, out.sorted = false, false
	in.mapped(out, func(c int) []int {
		if c < keys {
			return []int{c}
		}
		return nil
	})
	if inPlace(list, len(g.Columns)) {
		return out
	}
	return project(out, list)
}

// finish makes the aggregate's columns of merged parts.
func finish(op *logical.Aggregate, in *rel, splits []split, at []int) *rel {
	cols := in.op.Head().Columns
	list := refs(cols, seq(len(op.Groups))...)
	for i, s := range splits {
		list = append(list, s.result(refs(cols, seq(at[i+1])[at[i]:]...)))
	}
	for i := range op.Grouping {
		list = append(list, cast(ref(cols, len(op.Groups)+i), op.Columns[len(op.Groups)+len(op.Aggs)+i].Type))
	}
	out := in
	if !inPlace(list, len(cols)) {
		out = project(in, list)
	}
	if op.Plain() {
		out.unique = [][]int{seq(len(op.Groups))}
	}
	return out
}

// sets works each grouping set out apart, over rows that are kept, and unites
// them.
func (p *planner) sets(op *logical.Aggregate, in *rel, keep bool) (*rel, error) {
	read := p.again(in, label(in.op)+", for grouping sets", keep)
	var all *rel
	for _, s := range op.Sets {
		one := &logical.Aggregate{Node: logical.Node{Kind: op.Kind, Inputs: op.Inputs}, Aggs: op.Aggs}
		list := make([]logical.Expr, len(op.Columns))
		for i, c := range op.Columns[:len(op.Groups)] {
			list[i] = null(c.Type)
		}
		for k, g := range s {
			one.Groups = append(one.Groups, op.Groups[g])
			one.Columns = append(one.Columns, op.Columns[g])
			list[g] = ref(op.Columns, g)
			list[g].(*logical.Ref).Index = k
		}
		for i := range op.Aggs {
			c := op.Columns[len(op.Groups)+i]
			one.Columns = append(one.Columns, c)
			list[len(op.Groups)+i] = &logical.Ref{Typed: logical.Typed{T: c.Type}, Index: len(s) + i}
		}
		for i, g := range op.Grouping {
			at := len(op.Groups) + len(op.Aggs) + i
			list[at] = cast(constInt(fmt.Sprint(groupingOf(g, s))), op.Columns[at].Type)
		}
		r, err := p.grouped(one, read(), keep)
		if err != nil {
			return nil, err
		}
		r = project(r, list)
		if all == nil {
			all = r
		} else {
			all = p.both(all, r)
		}
	}
	all.unique = nil
	return all, nil
}

// distinctSets reports whether GROUPING() of all groups tells the sets apart.
func distinctSets(op *logical.Aggregate) bool {
	const most = 60 // arguments of GROUPING
	seen := map[string]bool{}
	for _, s := range op.Sets {
		in := make([]bool, len(op.Groups))
		for _, g := range s {
			in[g] = true
		}
		key := fmt.Sprint(in)
		if seen[key] {
			return false
		}
		seen[key] = true
	}
	return op.Plain() || len(op.Groups) <= most
}

// groupingOf is the value of GROUPING(args) in a set: a bit for each argument
// that is not in it, the first one highest.
func groupingOf(args, set []int) uint64 {
	var v uint64
	for _, a := range args {
		v <<= 1
		in := false
		for _, s := range set {
			in = in || s == a
		}
		if !in {
			v |= 1
		}
	}
	return v
}

// both is the rows of two pieces.
func (p *planner) both(a, b *rel) *rel {
	op := &logical.SetOp{Node: logical.Node{Kind: "LOGICAL_UNION", Columns: a.op.Head().Columns}, Op: logical.Union, All: true}
	return p.unionAll(op, a, b, false)
}
