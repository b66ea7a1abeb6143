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
	if op.DelimID == 0 || !readsDelim(op) {
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

// readsDelim reports whether the reader of the distinct values is in this piece.
func readsDelim(op *Join) bool {
	found := false
	Walk(op, func(op2 Operator) bool {
		get, ok := op2.(*DelimGet)
		found = found || ok && get.ID == op.DelimID
		return !found
	})
	return found
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
		for _, c := range op.Conds { // else DuckDB does not see an inequality of the two sides
			if len(facts(c.Left).Columns) == 0 || len(facts(c.Right).Columns) == 0 {
				r.fail("an ASOF join by a constant")
			}
		}
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

// anyJoin is a join on any condition.
func (r *renderer) anyJoin(op *AnyJoin) *block {
	left, right := r.operator(op.Inputs[0]), r.operator(op.Inputs[1])
	if op.Type == Single {
		left, right = r.item(r.numbered(left)), r.item(right)
		plain := *left
		plain.cols = left.cols[:len(left.cols)-1]
		both := &block{cols: outputOf(Inner, &plain, right, op.LeftProject, op.RightProject)}
		return r.counted(left, right, r.expr(op.Cond, both.ref(r)), op.LeftProject, op.RightProject)
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
