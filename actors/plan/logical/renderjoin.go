package logical

import (
	"fmt"
	"strings"
)

// pair is a join without a condition.
func (r *renderer) pair(inputs []Operator, word string) *block {
	left, right := r.item(r.operator(inputs[0])), r.item(r.operator(inputs[1]))
	return joined(left, right, word, "")
}

// joined is both sides' columns from a JOIN.
func joined(left, right *block, word, on string) *block {
	from := left.from + " " + word + " " + right.from
	if right.joins {
		from = left.from + " " + word + " (" + right.from + ")"
	}
	if on != "" {
		from += " ON " + on
	}
	return &block{cols: append(left.cols[:len(left.cols):len(left.cols)], right.cols...), from: from, joins: true, open: true}
}

// join renders the sides, or, if one reads distinct values of the other, that
// other as a table first.
func (r *renderer) join(op *Join) *block {
	if op.DelimID == 0 {
		return r.joinSides(op, r.operator(op.Inputs[0]), r.operator(op.Inputs[1]))
	}
	first := 0
	if op.Flipped {
		first = 1
	}
	outer := r.operator(op.Inputs[first])
	name := "outer_" + fmt.Sprint(op.DelimID)
	distinct := r.delim(op, name)
	sides := [2]*block{}
	sides[first] = r.view(name, len(outer.cols))
	sides[1-first] = r.operator(op.Inputs[1-first])
	b := *r.joinSides(op, sides[0], sides[1])
	b.with = append([]string{
		name + columnList(len(outer.cols)) + " AS MATERIALIZED (" + outer.sql(nil) + ")",
		DelimName(op.DelimID) + columnList(len(op.Delim)) + " AS MATERIALIZED (" + distinct.sql(nil) + ")",
	}, b.with...)
	return &b
}

func (r *renderer) delim(op *Join, view string) *block {
	in := op.Inputs[0]
	if op.Flipped {
		in = op.Inputs[1]
	}
	b := r.view(view, in.Head().Width())
	b.cols = r.exprs(op.Delim, b.ref(r))
	b.distinct, b.open = "DISTINCT ", false
	return b
}

var joinWords = map[JoinType]string{Inner: "JOIN", Left: "LEFT JOIN", Right: "RIGHT JOIN", Full: "FULL JOIN", Semi: "SEMI JOIN",
	Anti: "ANTI JOIN"}

func (r *renderer) joinSides(op *Join, left, right *block) *block {
	switch op.Type {
	case Mark:
		return r.mark(op, left, right)
	case Single:
		return r.single(op, left, right)
	case RightSemi, RightAnti:
		return r.rightSemi(op, left, right)
	}
	left, right = r.item(left), r.item(right)
	word := joinWords[op.Type]
	if word == "" {
		r.fail("a join of type %s", op.Type)
	}
	if op.Asof {
		word = "ASOF " + word
	}
	on := r.conds(op.Conds, left, right)
	b := joined(left, right, word, "")
	b.cols = outputOf(op.Type, left, right, op.LeftProject, op.RightProject)
	if op.Residual != nil {
		on = append(on, r.expr(op.Residual, b.ref(r)))
	}
	if len(on) == 0 {
		on = []string{"true"}
	}
	b.from += " ON " + strings.Join(on, " AND ")
	return b
}

func outputOf(t JoinType, left, right *block, leftProject, rightProject []int) []string {
	cols := pickAll(left.cols, leftProject)
	if t == Semi || t == Anti {
		return cols
	}
	return append(cols[:len(cols):len(cols)], pickAll(right.cols, rightProject)...)
}

func (r *renderer) conds(list []JoinCond, left, right *block) []string {
	var out []string
	for _, c := range list {
		out = append(out, r.expr(c.Left, left.ref(r))+" "+string(c.Op)+" "+r.expr(c.Right, right.ref(r)))
	}
	return out
}

// rightSemi is a semi or anti join with its sides swapped.
func (r *renderer) rightSemi(op *Join, left, right *block) *block {
	left, right = r.item(left), r.item(right)
	word := "SEMI JOIN"
	if op.Type == RightAnti {
		word = "ANTI JOIN"
	}
	b := joined(right, left, word, strings.Join(r.conds(op.Conds, left, right), " AND "))
	b.cols = pickAll(right.cols, op.RightProject)
	return b
}

// mark adds what IN says. Conditions that hold for two NULLs choose the rows
// that a left row is compared with (they come from correlation); the others
// compare.
func (r *renderer) mark(op *Join, left, right *block) *block {
	var same, compared []JoinCond
	for _, c := range op.Conds {
		if c.Op == NotDistinct {
			same = append(same, c)
		} else {
			compared = append(compared, c)
		}
	}
	if len(compared) == 0 {
		return r.markExists(op, left, right)
	}
	b := *r.reopen(left)
	in := *r.item(right)
	in.where = r.conds(same, &b, &in)
	probe, list := make([]string, len(compared)), make([]string, len(compared))
	for i, c := range compared {
		probe[i], list[i] = r.expr(c.Left, b.ref(r)), r.expr(c.Right, in.ref(r))
		if len(compared) > 1 && c.Op != Eq {
			r.fail("a mark join on several conditions with %s", c.Op)
		}
	}
	in.cols, in.open = list, false
	test := probe[0] + " " + string(compared[0].Op) + " ANY (" + in.sql(nil) + ")"
	if len(compared) > 1 {
		test = "(" + strings.Join(probe, ", ") + ") IN (" + in.sql(nil) + ")"
	}
	cols := pickAll(b.cols, op.LeftProject)
	b.cols, b.open = append(cols[:len(cols):len(cols)], "("+test+")"), false
	return &b
}

// markExists is whether the keys occur on the right at all.
func (r *renderer) markExists(op *Join, left, right *block) *block {
	in := *r.reopen(right)
	keys := make([]Expr, len(op.Conds))
	conds := make([]JoinCond, len(op.Conds))
	for i, c := range op.Conds {
		keys[i] = c.Right
		conds[i] = JoinCond{Op: c.Op, Left: c.Left, Right: &Ref{Typed{T: c.Right.Type()}, i}}
	}
	in.cols = append(r.exprs(keys, in.ref(r)), "true")
	in.distinct, in.open = "DISTINCT ", false
	left, found := r.item(left), r.item(&in)
	on := r.conds(conds, left, found)
	if len(on) == 0 {
		on = []string{"true"}
	}
	b := joined(left, found, "LEFT JOIN", strings.Join(on, " AND "))
	hit := found.cols[len(found.cols)-1]
	cols := pickAll(left.cols, op.LeftProject)
	b.cols, b.open = append(cols[:len(cols):len(cols)], "("+hit+" IS NOT NULL)"), false
	return b
}

// single is a left join if the right side cannot match twice, else a scalar
// subquery: with its own error for a second row.
func (r *renderer) single(op *Join, left, right *block) *block {
	if keys, ok := rightColumns(op.Conds); ok && uniqueOn(op.Inputs[1], keys) {
		plain := *op
		plain.Type = Left
		return r.joinSides(&plain, left, right)
	}
	b := *r.reopen(left)
	in := *r.item(right)
	in.where = r.conds(op.Conds, &b, &in)
	return r.scalar(&b, &in, op.LeftProject, op.RightProject)
}

func (r *renderer) scalar(b, in *block, leftProject, rightProject []int) *block {
	values := pickAll(in.cols, rightProject)
	cols := pickAll(b.cols, leftProject)
	cols = cols[:len(cols):len(cols)]
	in.open = false
	if len(values) == 1 {
		in.cols = values
		b.cols, b.open = append(cols, "("+in.sql(nil)+")"), false
		return b
	}
	fields := make([]string, len(values))
	for i, v := range values {
		fields[i] = ColumnName(i) + " := " + v
	}
	in.cols = []string{"struct_pack(" + strings.Join(fields, ", ") + ")"}
	b.cols, b.open = append(cols, "("+in.sql(nil)+")"), false
	out := r.reopen(b)
	last := out.cols[len(out.cols)-1]
	out.cols = out.cols[: len(out.cols)-1 : len(out.cols)-1]
	for i := range values {
		out.cols = append(out.cols, "struct_extract("+last+", '"+ColumnName(i)+"')")
	}
	out.open = false
	return out
}

// rightColumns is the right side's columns that conditions hold equal to
// something; false if there are other conditions.
func rightColumns(conds []JoinCond) (map[int]bool, bool) {
	out := map[int]bool{}
	for _, c := range conds {
		ref, ok := c.Right.(*Ref)
		if !ok || c.Op != Eq && c.Op != NotDistinct {
			return nil, false
		}
		out[ref.Index] = true
	}
	return out, true
}

// uniqueOn reports whether no two rows of op agree in all of the columns.
func uniqueOn(op Operator, columns map[int]bool) bool {
	below := map[int]bool{}
	switch op := op.(type) {
	case *Aggregate:
		for i := range op.Groups {
			if !columns[i] {
				return false
			}
		}
		return op.Plain()
	case *Projection:
		for i, x := range op.Exprs {
			if ref, ok := x.(*Ref); ok && columns[i] {
				below[ref.Index] = true
			}
		}
		return uniqueOn(op.Inputs[0], below)
	case *Filter:
		for c := range columns {
			if op.Project != nil {
				c = op.Project[c]
			}
			below[c] = true
		}
		return uniqueOn(op.Inputs[0], below)
	case *Distinct:
		return !op.On && len(columns) == op.Width()
	}
	return false
}

// anyJoin is a join on any condition.
func (r *renderer) anyJoin(op *AnyJoin) *block {
	left, right := r.operator(op.Inputs[0]), r.operator(op.Inputs[1])
	if op.Type == Single {
		b, in := *r.reopen(left), *r.item(right)
		both := &block{cols: outputOf(Inner, &b, &in, op.LeftProject, op.RightProject)}
		in.where = []string{r.expr(op.Cond, both.ref(r))}
		return r.scalar(&b, &in, op.LeftProject, op.RightProject)
	}
	left, right = r.item(left), r.item(right)
	word := joinWords[op.Type]
	if word == "" {
		r.fail("a join of type %s on any condition", op.Type)
	}
	both := &block{cols: outputOf(Inner, left, right, op.LeftProject, op.RightProject)}
	b := joined(left, right, word, r.expr(op.Cond, both.ref(r)))
	b.cols = outputOf(op.Type, left, right, op.LeftProject, op.RightProject)
	return b
}
