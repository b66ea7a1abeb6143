package distribute

import (
	"fmt"
	"strings"

	"github.com/pondmesh/pond/duck/logical"
)

// plan is the piece for a subtree. need: whoever reads it cares for the order
// of its rows.
func (p *planner) plan(op logical.Operator, need bool) (*rel, error) {
	if m := p.made[op]; m != nil {
		if !need {
			return p.remade(m), nil
		}
		p.passed = true
	}
	r, err := p.operator(op, need)
	if err != nil {
		return nil, err
	}
	out := *r
	out.of = op
	return &out, nil
}

func (p *planner) operator(op logical.Operator, need bool) (*rel, error) {
	switch op := op.(type) {
	case *logical.Get:
		return p.get(op, need)
	case *logical.DummyScan, *logical.EmptyResult, *logical.Values:
		return p.constant(op)
	case *logical.Filter, *logical.Projection, *logical.Unnest, *logical.Pivot:
		return p.rowwise(op, need)
	case *logical.Aggregate:
		return p.aggregate(op)
	case *logical.Distinct:
		return p.distinct(op)
	case *logical.Window:
		return p.window(op)
	case *logical.Order:
		return p.order(op, need)
	case *logical.TopN:
		return p.topN(op)
	case *logical.Limit:
		return p.limit(op)
	case *logical.Sample:
		return p.sampled(op)
	case *logical.Join, *logical.AnyJoin, *logical.CrossProduct:
		return p.join(op, need)
	case *logical.PositionalJoin:
		return p.positional(op)
	case *logical.SetOp:
		return p.setOp(op, need)
	case *logical.MaterializedCTE:
		return p.cte(op, need)
	case *logical.RecursiveCTE:
		return p.recursive(op)
	case *logical.CTERef:
		if read := p.ctes[op.CTE]; read != nil && !op.Recurring {
			return read(), nil
		}
	case *logical.DelimGet:
		if read := p.delims[op.ID]; read != nil {
			return read(), nil
		}
	}
	return nil, &errSingleTask{fmt.Sprintf("%s cannot be run apart", strings.ToLower(op.Head().Kind))}
}

// constant is rows that stand in the query.
func (p *planner) constant(op logical.Operator) (*rel, error) {
	r := &rel{op: op, rows: 1, stable: true}
	switch op := op.(type) {
	case *logical.Values:
		if len(op.Inputs) == 1 {
			if _, ok := op.Inputs[0].(*logical.DummyScan); !ok {
				return nil, &errSingleTask{"VALUES refer to other rows"}
			}
		}
		r.rows = float64(len(op.Rows))
	case *logical.EmptyResult:
		r.rows = 0
	}
	return settled(op, r), nil
}

// rowwise is an operator that looks at one row at a time.
func (p *planner) rowwise(op logical.Operator, need bool) (*rel, error) {
	in, err := p.plan(op.Head().Inputs[0], need)
	if err != nil {
		return nil, err
	}
	out := settled(op, in.with(over(op, in)))
	switch op := op.(type) {
	case *logical.Filter:
		for _, x := range op.Conds {
			out.rows *= selectivity(x)
		}
		return in.mapped(out, picked(op.Project)), nil
	case *logical.Projection:
		at := make([]int, len(op.Exprs))
		for i, x := range op.Exprs {
			at[i] = column(x)
			out.guess(i, in.valuesIn(x))
		}
		return in.mapped(out, picked(at)), nil
	case *logical.Unnest:
		out.rows *= 4
		return in.mapped(out, picked(nil)).notUnique(), nil
	case *logical.Pivot:
		groups := op.Groups
		return in.mapped(out, func(c int) []int {
			if c < groups {
				return []int{c}
			}
			return nil
		}), nil
	}
	return out, nil
}

// selectivity is a guess of the share of rows that a condition keeps.
func selectivity(x logical.Expr) float64 {
	switch x := x.(type) {
	case *logical.Logic:
		s := 1.0
		if x.Or {
			s = 0
			for _, a := range x.Args {
				s += selectivity(a)
			}
			return min(s, 1)
		}
		for _, a := range x.Args {
			s *= selectivity(a)
		}
		return s
	case *logical.Compare:
		if x.Op == logical.Eq {
			return 0.1
		}
		return 0.5
	case *logical.Op:
		if x.Kind == "OPERATOR_IS_NOT_NULL" {
			return 1
		}
		return 0.3
	}
	return 0.3
}

// distinct drops duplicates: those of a task first, then of all.
func (p *planner) distinct(op *logical.Distinct) (*rel, error) {
	keep := op.On || !allRefs(op.Targets, op.Width())
	in, err := p.plan(op.Inputs[0], keep)
	if err != nil {
		return nil, err
	}
	keep = keep && in.stable
	targets := op.Targets
	if !op.On && allRefs(op.Targets, op.Width()) {
		targets = refs(op.Columns, seq(op.Width())...)
	}
	local := func(in *rel) *rel {
		out := settled(op, in.with(over(op, in)))
		out.stable, out.sorted, out.inOrder = false, false, in.inOrder || keep && in.n <= 1
		return in.mapped(out, picked(nil))
	}
	if in.n <= 1 || covered(in.hashedBy, targets) {
		return local(in), nil
	}
	if len(targets) == 0 {
		return local(p.gather(in, "keeps one row of all", keep)), nil
	}
	part := in
	if !op.On && !keep {
		part = local(in)
		p.unfinished[part.op] = true
	}
	out, err := p.exchange(part, targets, p.parts, keep)
	if err != nil {
		return nil, err
	}
	out = local(out)
	out.inOrder = out.inOrder || keep
	if cols := columnsOf(targets); cols != nil {
		out.unique = append(out.unique, cols)
	}
	return out, nil
}

// columnsOf is the columns that expressions are; nil when one is none.
func columnsOf(list []logical.Expr) []int {
	out := []int{}
	for _, x := range list {
		c := column(x)
		if c < 0 {
			return nil
		}
		out = append(out, c)
	}
	return out
}

// covered reports whether rows that agree in all of keys are certainly in one
// task.
func covered(hashedBy []slot, keys []logical.Expr) bool {
	if hashedBy == nil {
		return false
	}
	have := map[int]bool{}
	for _, k := range keys {
		if c := column(k); c >= 0 {
			have[c] = true
		}
	}
	for _, s := range hashedBy {
		found := false
		for _, c := range s {
			found = found || have[c]
		}
		if !found {
			return false
		}
	}
	return true
}

func seq(n int) []int {
	out := make([]int, n)
	for i := range out {
		out[i] = i
	}
	return out
}

// sampled draws rows. Without a seed each row may be drawn for itself; else it
// is the order of all rows that decides.
func (p *planner) sampled(op *logical.Sample) (*rel, error) {
	in, err := p.plan(op.Inputs[0], true)
	if err != nil {
		return nil, err
	}
	if !strings.HasPrefix(strings.ToLower(op.Options.Method), "bernoulli") || !op.Options.Percent || op.Options.Seed >= 0 {
		in = p.gather(in, "a sample is drawn of all rows", true)
	}
	out := settled(op, in.with(over(op, in)))
	out.inOrder = in.stable && in.n <= 1
	return in.mapped(out, picked(nil)), nil
}

// positional pairs the n-th rows.
func (p *planner) positional(op *logical.PositionalJoin) (*rel, error) {
	ins := make([]*rel, 2)
	for i := range ins {
		in, err := p.plan(op.Inputs[i], true)
		if err != nil {
			return nil, err
		}
		ins[i] = p.gather(in, "rows are paired by their position", true)
	}
	out := &rel{op: over(op, ins...), n: 1, rows: max(ins[0].rows, ins[1].rows), stable: true, inOrder: true}
	return out, nil
}

// opaque runs a subtree as it is in one task, over what can be run apart of it.
func (p *planner) opaque(op logical.Operator, why string) (*rel, error) {
	ins := make([]*rel, len(op.Head().Inputs))
	for i, c := range op.Head().Inputs {
		in, err := p.plan(c, true)
		if err != nil {
			return nil, err
		}
		ins[i] = p.gather(in, why, true)
	}
	return &rel{op: over(op, ins...), n: 1, rows: 1000, inOrder: true}, nil
}

// label is a name for a piece, for people.
func label(op logical.Operator) string {
	switch op := op.(type) {
	case *logical.Get:
		return op.Func
	case *logical.Aggregate:
		return "aggregate"
	case *logical.Join, *logical.AnyJoin:
		return "join"
	case *logical.CrossProduct:
		return "cross join"
	case *logical.Order:
		return "sort"
	case *logical.TopN:
		return fmt.Sprintf("top %d", op.Limit)
	case *logical.Projection, *logical.Filter:
		if len(op.Head().Inputs) == 1 {
			if inner := label(op.Head().Inputs[0]); inner != "" {
				return inner
			}
		}
	case *logical.View:
		return "scan"
	}
	kind := strings.ToLower(strings.TrimPrefix(op.Head().Kind, "LOGICAL_"))
	return strings.ReplaceAll(kind, "_", " ")
}
