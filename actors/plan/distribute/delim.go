package distribute

import "github.com/pondmesh/pond/duck/logical"

// delim plans a join whose one side is a correlated subquery: the other side is
// kept in pieces by the correlated values, the subquery reads the distinct ones
// of each piece, and both meet there.
func (p *planner) delim(j *joining, op *logical.Join) error {
	first, second := 0, 1
	if op.Flipped {
		first, second = 1, 0
	}
	leftWidth := op.Inputs[0].Head().Width()
	if op.LeftProject != nil {
		leftWidth = len(op.LeftProject)
	}
	j.outputs(op.LeftProject, op.RightProject, leftWidth)
	outer, err := p.plan(op.Inputs[first], false)
	if err != nil {
		return err
	}
	var read func() *rel
	switch {
	case outer.n <= 1 || len(op.Delim) == 0 || covered(outer.hashedBy, op.Delim):
		read = p.again(outer, "outer of a subquery", false)
	default:
		keys := compared(op, op.Inputs[second])
		d, err := p.hashed(outer, keys, p.parts, false)
		if err != nil {
			return err
		}
		read = func() *rel { return p.readHashed(d, outer, keys) }
	}
	p.delims[op.DelimID] = func() *rel {
		r := read()
		out := p.dedup(project(r, op.Delim))
		if r.hashedBy == nil && r.n > 1 { // keys that are no columns: they are now
			out.hashedBy = nil
		}
		out.rows = r.rows / 2
		return out
	}
	inner, err := p.plan(op.Inputs[second], false)
	if err != nil {
		return err
	}
	plain := *op
	plain.Delim, plain.DelimID, plain.Flipped = nil, 0, false
	j.op = &plain
	j.left, j.right = read(), inner
	if op.Flipped {
		j.left, j.right = j.right, j.left
	}
	return nil
}

// compared are those of the correlated values that the subquery joins other
// rows on, if there are any: then those rows and the outer ones meet in one
// place. Else they are all.
func compared(op *logical.Join, inner logical.Operator) []logical.Expr {
	found := map[int]bool{}
	logical.Walk(inner, func(o logical.Operator) bool {
		var keys []key
		switch j := o.(type) {
		case *logical.Join:
			keys = keysOf(j)
		case *logical.AnyJoin:
			keys = equalities(j)
		}
		for _, k := range keys {
			in := o.Head().Inputs
			l, r := trace(in[0], column(k.left), op.DelimID), trace(in[1], column(k.right), op.DelimID)
			if l >= 0 && r < 0 {
				found[l] = true
			} else if r >= 0 && l < 0 {
				found[r] = true
			}
		}
		return len(found) == 0 // those of the first join that has some
	})
	var out []logical.Expr
	for i, x := range op.Delim {
		if found[i] {
			out = append(out, x)
		}
	}
	if len(out) == 0 {
		return op.Delim
	}
	return out
}

// trace returns the index of the correlated value that a column holds; -1: none.
func trace(op logical.Operator, c, id int) int {
	for c >= 0 {
		switch o := op.(type) {
		case *logical.DelimGet:
			if o.ID != id {
				return -1
			}
			return c
		case *logical.Projection:
			op, c = o.Inputs[0], column(o.Exprs[c])
		case *logical.Filter:
			if o.Project != nil {
				c = o.Project[c]
			}
			op = o.Inputs[0]
		case *logical.CrossProduct:
			if w := o.Inputs[0].Head().Width(); c < w {
				op = o.Inputs[0]
			} else {
				op, c = o.Inputs[1], c-w
			}
		default:
			return -1
		}
	}
	return -1
}
