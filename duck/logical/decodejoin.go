package logical

// join reads the three operators that are one struct in DuckDB too. The side
// that is read for the distinct values goes first: DelimGets in it belong to a
// join further out.
func (d *decoder) join(n Node, o object) Operator {
	children := o.list("children")
	if len(children) != 2 {
		return d.unknown(n, "not two inputs")
	}
	j := &Join{Node: n, Type: joinType(o.text("join_type")), Asof: n.Kind == "LOGICAL_ASOF_JOIN", Flipped: o.flag("delim_flipped"),
		LeftProject: o.positions("left_projection_map"), RightProject: o.positions("right_projection_map")}
	j.Inputs = make([]Operator, 2)
	first, second := 0, 1
	if j.Flipped {
		first, second = 1, 0
	}
	j.Inputs[first] = d.operator(asObject(children[first]))
	if n.Kind == "LOGICAL_DELIM_JOIN" {
		d.delims = append(d.delims, j)
	}
	j.Inputs[second] = d.operator(asObject(children[second]))
	if n.Kind == "LOGICAL_DELIM_JOIN" {
		d.delims = d.delims[:len(d.delims)-1]
		d.scope = j.Inputs[first].Head().bindings
		j.Delim = d.exprs(o.list("duplicate_eliminated_columns"))
	}
	left, right := j.Inputs[0].Head().bindings, j.Inputs[1].Head().bindings
	for _, c := range o.list("conditions") {
		c := asObject(c)
		op, ok := compareOps[c.text("comparison")]
		if !ok {
			return d.unknown(j.Node, "a comparison that is not known: "+c.text("comparison"))
		}
		cond := JoinCond{Op: op}
		d.scope = left
		cond.Left = d.expr(c.object("left"))
		d.scope = right
		cond.Right = d.expr(c.object("right"))
		j.Conds = append(j.Conds, cond)
	}
	d.scope = joinBindings(j.Type, left, right, j.LeftProject, j.RightProject, o)
	j.Residual = d.optional(o.object("predicate"))
	var ok bool
	if j.Columns, ok = joinColumns(j.Type, j.Inputs, j.LeftProject, j.RightProject); !ok {
		return d.unknown(j.Node, "a join or projection that is not known")
	}
	return j
}

func joinType(s string) JoinType {
	if s == "OUTER" {
		return Full
	}
	return JoinType(s)
}

// joinColumns is a join's output.
func joinColumns(t JoinType, in []Operator, leftProject, rightProject []int) ([]Column, bool) {
	left, right := pickAll(in[0].Head().Columns, leftProject), pickAll(in[1].Head().Columns, rightProject)
	if leftProject != nil && len(left) != len(leftProject) || rightProject != nil && len(right) != len(rightProject) {
		return nil, false
	}
	switch t {
	case Semi, Anti:
		return left, true
	case RightSemi, RightAnti:
		return right, true
	case Mark:
		return append(append([]Column{}, left...), Column{Type: Type{ID: "BOOLEAN"}}), true
	case Inner, Left, Right, Full, Single:
		return append(append([]Column{}, left...), right...), true
	}
	return nil, false
}

// setOp pairs the inputs of a union. There may be more than two, or only one if
// the others were found empty.
func (d *decoder) setOp(n Node, o object) Operator {
	all := n.Inputs
	if len(all) == 1 {
		all = append(all, &EmptyResult{Node{Kind: "LOGICAL_EMPTY_RESULT", Columns: all[0].Head().Columns}})
	}
	op := &SetOp{Node: n, Op: SetKind(n.Kind[len("LOGICAL_"):]), All: o.flag("setop_all")}
	for i, right := range all[1:] {
		if len(right.Head().Columns) != len(all[0].Head().Columns) {
			return d.unknown(n, "inputs that do not fit")
		}
		left := all[0]
		if i > 0 {
			pair := *op
			left = &pair
		}
		op.Inputs, op.Columns = []Operator{left, right}, all[0].Head().Columns
	}
	return op
}

// binary reads operators of two inputs or, if they are unions, more; but for
// comparison joins.
func (d *decoder) binary(n Node, o object) Operator {
	if n.Kind == "LOGICAL_UNION" && len(n.Inputs) > 0 {
		return d.setOp(n, o)
	}
	if len(n.Inputs) != 2 {
		return nil
	}
	left, right := n.Inputs[0].Head().Columns, n.Inputs[1].Head().Columns
	switch n.Kind {
	case "LOGICAL_ANY_JOIN":
		j := &AnyJoin{Node: n, Type: joinType(o.text("join_type")),
			LeftProject: o.positions("left_projection_map"), RightProject: o.positions("right_projection_map")}
		d.scope = append(append([]binding{}, pickAll(n.Inputs[0].Head().bindings, j.LeftProject)...),
			pickAll(n.Inputs[1].Head().bindings, j.RightProject)...)
		j.Cond = d.expr(o.object("condition"))
		var ok bool
		if j.Columns, ok = joinColumns(j.Type, j.Inputs, j.LeftProject, j.RightProject); !ok {
			return d.unknown(n, "a join or projection that is not known")
		}
		return j
	case "LOGICAL_CROSS_PRODUCT":
		n.Columns = append(append(n.Columns, left...), right...)
		return &CrossProduct{n}
	case "LOGICAL_POSITIONAL_JOIN":
		n.Columns = append(append(n.Columns, left...), right...)
		return &PositionalJoin{n}
	case "LOGICAL_EXCEPT", "LOGICAL_INTERSECT":
		return d.setOp(n, o)
	case "LOGICAL_MATERIALIZED_CTE":
		n.Columns = right
		return &MaterializedCTE{Node: n, ID: o.number("table_index"), Name: o.text("ctename"), Materialize: o.text("materialize")}
	case "LOGICAL_RECURSIVE_CTE":
		n.Columns = left
		if len(left) != len(right) {
			return d.unknown(n, "inputs that do not fit")
		}
		d.scope = bindings(o.number("table_index"), len(left))
		return &RecursiveCTE{Node: n, ID: o.number("table_index"), Name: o.text("ctename"), All: o.flag("union_all"),
			Keys: d.exprs(o.list("key_targets")), Recurring: o.flag("ref_recurring")}
	}
	return nil
}
