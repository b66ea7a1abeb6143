package logical

import (
	"fmt"
	"strings"
)

// mark adds the result of IN. Conditions that hold for two NULLs choose the rows
// that a left row is compared with (they come from correlation); the others
// compare. No rendered subquery is correlated: DuckDB decorrelates some wrongly.
func (r *renderer) mark(op *Join, left, right *block) *block {
	var same, compared []JoinCond
	for _, c := range op.Conds {
		if c.Op == NotDistinct {
			same = append(same, c)
		} else {
			compared = append(compared, c)
		}
	}
	switch {
	case len(compared) == 0:
		return r.markExists(op, left, right)
	case len(same) > 0 && len(compared) == 1:
		return r.markGroups(op, same, compared[0], left, right)
	case len(same) > 0:
		r.fail("a correlated mark join on several conditions")
		return left
	}
	b, in := *r.reopen(left), *r.reopen(right)
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
	b.cols, b.open = extend(pickAll(b.cols, op.LeftProject), "("+test+")"), false
	return &b
}

// extend is append that leaves its list alone.
func extend(list []string, more ...string) []string {
	return append(list[:len(list):len(list)], more...)
}

// keyed is the right side's rows with its sides of the conditions as first
// columns, and the conditions on those.
func (r *renderer) keyed(conds []JoinCond, right *block) (*block, []JoinCond) {
	in := *r.reopen(right)
	out := make([]JoinCond, len(conds))
	cols := make([]string, len(conds))
	for i, c := range conds {
		cols[i] = r.expr(c.Right, in.ref(r))
		out[i] = JoinCond{Op: c.Op, Left: c.Left, Right: &Ref{Typed{T: c.Right.Type()}, i}}
	}
	in.cols, in.open = cols, false
	return &in, out
}

func (r *renderer) on(conds []JoinCond, left, right *block) string {
	list := r.conds(conds, left, right)
	if len(list) == 0 {
		return "true"
	}
	return strings.Join(list, " AND ")
}

// markExists is whether the keys occur on the right at all.
func (r *renderer) markExists(op *Join, left, right *block) *block {
	in, conds := r.keyed(op.Conds, right)
	in.cols, in.distinct = extend(in.cols, "true"), "DISTINCT "
	left, found := r.item(left), r.item(in)
	b := joined(left, found, "LEFT JOIN", r.on(conds, left, found))
	hit := found.cols[len(found.cols)-1]
	b.cols, b.open = extend(pickAll(left.cols, op.LeftProject), "("+hit+" IS NOT NULL)"), false
	return b
}

// markGroups compares a left row with the right rows of its group. For = it
// looks the value up; any other comparison is with the least or greatest value.
// Without a hit the answer is NULL if the row's value is, or one of the group's.
func (r *renderer) markGroups(op *Join, same []JoinCond, compared JoinCond, left, right *block) *block {
	if facts(compared.Right).Volatile {
		r.fail("a mark join on a volatile value")
	}
	// The right side is read twice: as a table then, for it may be large or volatile.
	name := "marked_" + r.next()
	def := right.sql(nil)
	again := func() *block { return r.view(name, len(right.cols)) }
	groups, conds := r.keyed(append(same[:len(same):len(same)], compared), again())
	y := groups.cols[len(same)]
	groups.cols = extend(groups.cols[:len(same)], "count(*)", "count("+y+")", "min("+y+")", "max("+y+")")
	positions := make([]string, len(same))
	for i := range positions {
		positions[i] = fmt.Sprint(i + 1)
	}
	groups.tail = " GROUP BY " + strings.Join(positions, ", ")
	left, g := r.item(left), r.item(groups)
	b := joined(left, g, "LEFT JOIN", r.on(conds[:len(same)], left, g))
	all, some, low, high := g.cols[len(same)], g.cols[len(same)+1], g.cols[len(same)+2], g.cols[len(same)+3]
	x := r.expr(compared.Left, left.ref(r))
	var hit string
	switch compared.Op {
	case Eq:
		in, conds := r.keyed(append(same[:len(same):len(same)], compared), again())
		in.cols, in.distinct = extend(in.cols, "true"), "DISTINCT "
		found := r.item(in)
		b = joined(b, found, "LEFT JOIN", r.on(conds, left, found))
		hit = found.cols[len(found.cols)-1]
	case Gt, Ge:
		hit = x + " " + string(compared.Op) + " " + low
	case Lt, Le:
		hit = x + " " + string(compared.Op) + " " + high
	case Ne:
		hit = "(" + x + " <> " + low + " OR " + x + " <> " + high + ")"
	default:
		r.fail("a mark join with %s", compared.Op)
	}
	mark := fmt.Sprintf("CASE WHEN %s THEN true WHEN %s IS NULL THEN false WHEN %s IS NULL OR %s < %s THEN NULL ELSE false END",
		hit, all, x, some, all)
	b.cols, b.open = extend(pickAll(left.cols, op.LeftProject), mark), false
	b.with = []string{name + columnList(len(right.cols)) + " AS MATERIALIZED (" + def + ")"}
	return b
}
