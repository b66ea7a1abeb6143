package logical

import (
	"fmt"

	"github.com/pondmesh/pond/duck/lexer"
)

// tooMany is DuckDB's own error for a scalar subquery of several rows.
const tooMany = "More than one row returned by a subquery used as an expression - scalar subqueries can only return a single row.\n\n" +
	"Use \"SET scalar_subquery_error_on_multiple_rows=false\" to revert to previous behavior of returning a random row."

// single is a left join, in which a second match is an error: where the right
// side may have one, matches are counted.
func (r *renderer) single(op *Join, left, right *block) *block {
	plain := *op
	plain.Type = Left
	keys, equal := rightColumns(op.Conds)
	if keys != nil && uniqueOn(op.Inputs[1], keys) {
		return r.joinSides(&plain, left, right)
	}
	if !equal {
		left, right = r.item(r.numbered(left)), r.item(right)
		return r.counted(left, right, r.on(op.Conds, left, right), op.LeftProject, op.RightProject)
	}
	// All matches of a row are the right rows of one group.
	in := *r.reopen(right)
	groups := make([]Expr, len(op.Conds))
	for i, c := range op.Conds {
		groups[i] = c.Right
	}
	partition := ""
	for i, g := range r.exprs(groups, in.ref(r)) {
		partition += []string{"PARTITION BY ", ", "}[min(i, 1)] + g
	}
	in.cols, in.open = extend(in.cols, "count(*) OVER ("+partition+")"), false
	left, counted := r.item(left), r.item(&in)
	b := joined(left, counted, "LEFT JOIN", r.on(op.Conds, left, counted))
	values := counted.cols[:len(counted.cols)-1]
	b.cols = extend(pickAll(left.cols, op.LeftProject), r.only(counted.cols[len(values)], pickAll(values, op.RightProject))...)
	b.open = false
	return b
}

// numbered is the rows with a number each, as last column.
func (r *renderer) numbered(in *block) *block {
	b := *r.reopen(in)
	b.cols, b.open = extend(b.cols, "row_number() OVER ()"), false
	return &b
}

// counted joins numbered rows on any condition, and counts each one's matches.
func (r *renderer) counted(left, right *block, on string, leftProject, rightProject []int) *block {
	b := joined(left, right, "LEFT JOIN", on)
	number := left.cols[len(left.cols)-1]
	values := pickAll(right.cols, rightProject)
	cols := pickAll(left.cols[:len(left.cols)-1], leftProject)
	b.cols = extend(append(cols[:len(cols):len(cols)], values...), "count(*) OVER (PARTITION BY "+number+")")
	b.open = false
	out := r.reopen(b)
	n := len(cols)
	matches := out.cols[len(out.cols)-1]
	out.cols = extend(out.cols[:n], r.only(matches, out.cols[n:len(out.cols)-1])...)
	out.open = false
	return out
}

// only is the values, or an error if there are several.
func (r *renderer) only(matches string, values []string) []string {
	out := make([]string, len(values))
	for i, v := range values {
		out[i] = fmt.Sprintf("CASE WHEN %s > 1 THEN error(%s) ELSE %s END", matches, lexer.QuoteText(tooMany), v)
	}
	return out
}

// rightColumns is the right side's columns that conditions hold equal to
// something, nil if one is no plain column; and whether all conditions are
// equalities.
func rightColumns(conds []JoinCond) (keys map[int]bool, equal bool) {
	keys = map[int]bool{}
	for _, c := range conds {
		if c.Op != Eq && c.Op != NotDistinct {
			return nil, false
		}
		ref, ok := c.Right.(*Ref)
		if !ok {
			keys = nil
		}
		if keys != nil {
			keys[ref.Index] = true
		}
	}
	return keys, true
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
			if op.Project != nil && (c < 0 || c >= len(op.Project)) {
				return false
			}
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
