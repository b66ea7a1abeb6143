package distribute

import (
	"github.com/pondmesh/pond/duck/logical"
)

// cte works its left side out once for all that refer to it, or for each of them
// where that moves less.
func (p *planner) cte(op *logical.MaterializedCTE, need bool) (*rel, error) {
	def, err := p.plan(op.Inputs[0], ordered(op.Inputs[0]))
	if err != nil {
		return nil, err
	}
	readers := 0
	logical.Walk(op.Inputs[1], func(o logical.Operator) bool {
		if r, ok := o.(*logical.CTERef); ok && r.CTE == op.ID {
			readers++
		}
		return true
	})
	if readers == 1 || p.repeats(def, readers) {
		p.ctes[op.ID] = func() *rel { c := *def; return &c }
	} else {
		p.ctes[op.ID] = p.again(def, "with "+op.Name, def.sorted)
	}
	return p.plan(op.Inputs[1], need)
}

// passedOn is the cost of a byte passed from one stage to another, in bytes read
// from a file: it is encoded, stored, sent and decoded.
const passedOn = 3

// repeats reports whether it is cheaper that each of the readers computes a piece
// than that they share its stored rows. The rows must be the same each time: sums
// are excluded too, since their last digits may differ.
func (p *planner) repeats(r *rel, readers int) bool {
	if r.made != nil || anyVolatile(r.op) || nondeterministic(r.op) {
		return false
	}
	plain := true
	logical.Walk(r.op, func(op logical.Operator) bool {
		switch op := op.(type) {
		case *logical.View, *logical.Filter, *logical.Projection, *logical.Unnest, *logical.Values, *logical.DummyScan, *logical.EmptyResult,
			*logical.Join, *logical.AnyJoin, *logical.CrossProduct:
		case *logical.SetOp:
			plain = plain && op.Op == logical.Union && op.All
		default:
			plain = false
		}
		return plain
	})
	if !plain {
		return false
	}
	in, n := 0.0, float64(readers)
	for _, l := range p.leavesOf(r.op) {
		in += l.bytes()
	}
	return n*in <= in+(1+n)*passedOn*r.bytes()
}

// bytes guesses what reading a leaf costs.
func (l *leaf) bytes() (sum float64) {
	for _, d := range l.from {
		sum += passedOn * d.rows * rowWidth(d.root.Head().Columns)
	}
	if l.scan != nil {
		for _, us := range l.scan.scan.Splits {
			for _, u := range us {
				sum += float64(u.Bytes)
			}
		}
	}
	return sum
}

// ordered reports whether a subtree's rows come in an order that someone asked
// for.
func ordered(op logical.Operator) bool {
	for {
		switch o := op.(type) {
		case *logical.Order, *logical.TopN:
			return true
		case *logical.Filter, *logical.Projection, *logical.Limit:
			op = o.Head().Inputs[0]
		default:
			return false
		}
	}
}

// recursive runs a recursive CTE in one task. What in it does not refer to the
// recursion is worked out apart.
func (p *planner) recursive(op *logical.RecursiveCTE) (*rel, error) {
	why := "a recursive query"
	tables := map[int]bool{op.ID: true}
	var replace func(o logical.Operator) (logical.Operator, error)
	replace = func(o logical.Operator) (logical.Operator, error) {
		if !refers(o, tables) {
			r, err := p.plan(o, true)
			if err != nil {
				return nil, err
			}
			return p.gather(r, why, true).op, nil
		}
		switch c := o.(type) {
		case *logical.CTERef:
			return o, nil
		case *logical.MaterializedCTE, *logical.DelimGet:
			return nil, &errSingleTask{"a recursive query over other such"}
		case *logical.RecursiveCTE:
			if c != op {
				return nil, &errSingleTask{"a recursive query within another"}
			}
		case *logical.Join:
			if c.DelimID != 0 {
				return nil, &errSingleTask{"a recursive query with a correlated subquery"}
			}
		}
		ins := make([]logical.Operator, len(o.Head().Inputs))
		for i, in := range o.Head().Inputs {
			var err error
			if ins[i], err = replace(in); err != nil {
				return nil, err
			}
		}
		return logical.WithInputs(o, ins), nil
	}
	root, err := replace(op)
	if err != nil {
		return nil, err
	}
	return &rel{op: root, n: 1, rows: 1000}, nil
}

// refers reports whether a subtree reads one of the CTEs.
func refers(root logical.Operator, ctes map[int]bool) bool {
	found := false
	logical.Walk(root, func(op logical.Operator) bool {
		switch op := op.(type) {
		case *logical.CTERef:
			found = found || ctes[op.CTE]
		case *logical.RecursiveCTE:
			found = found || ctes[op.ID]
		}
		return !found
	})
	return found
}
