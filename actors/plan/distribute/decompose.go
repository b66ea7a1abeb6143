package distribute

import (
	"slices"

	"github.com/pondmesh/pond/duck/logical"
)

// split is an aggregate in two: what each task works out of its rows, how that
// is put together, and the value that comes of it.
//
//	rows ── partial, shape ──▶ a row a task and group ── merge ──▶ a row a group ── result ──▶ value
//
// Merging yields columns of the same types again.
type split struct {
	partial []*logical.AggExpr
	// shape is the columns that are sent, of those of partial; nil: the same.
	shape func(cols []logical.Expr) []logical.Expr
	merge func(cols []logical.Expr) []*logical.AggExpr
	// settle turns merged columns back into the columns that were sent; nil: casts do.
	settle func(cols []logical.Expr) []logical.Expr
	result func(cols []logical.Expr) logical.Expr
}

// shaped is the split's columns as they are sent.
func (s *split) shaped(cols []logical.Expr) []logical.Expr {
	if s.shape == nil {
		return cols
	}
	return s.shape(cols)
}

// settled is merged columns as they were sent.
func (s *split) settled(merged, sent []logical.Expr) []logical.Expr {
	if s.settle != nil {
		return s.settle(merged)
	}
	out := make([]logical.Expr, len(sent))
	for i := range out {
		out[i] = cast(merged[i], sent[i].Type())
	}
	return out
}

var (
	boolType   = logical.Type{ID: "BOOLEAN"}
	bigint     = logical.Type{ID: "BIGINT"}
	hugeint    = logical.Type{ID: "HUGEINT"}
	double     = logical.Type{ID: "DOUBLE"}
	mergesSelf = set("sum", "min", "max", "bool_and", "bool_or", "bit_and", "bit_or", "bit_xor", "product", "any_value")
)

// decompose splits an aggregate; false when its value cannot be put together
// from parts, or not exactly: a compensated sum (fsum, favg) keeps its compensation
// to itself.
func decompose(a *logical.AggExpr) (split, bool) {
	if len(a.Order) > 0 {
		return split{}, false
	}
	if a.Distinct && !slices.Contains([]string{"min", "max", "bool_and", "bool_or", "bit_and", "bit_or"}, a.Name) {
		return split{}, false
	}
	plain := *a
	plain.Distinct = false
	a = &plain
	switch a.Name {
	case "count", "count_star", "count_if", "countif", "regr_count":
		return summed(a), true
	case "avg", "mean":
		return average(a)
	case "first", "arbitrary", "last":
		return firstOf(a), len(a.Args) == 1
	case "arg_min", "arg_max", "min_by", "max_by", "argmin", "argmax":
		return extreme(a)
	}
	if variances[a.Name] != nil && len(a.Args) == 1 && a.Args[0].Type().ID == "DOUBLE" {
		return variance(a), true
	}
	if mergesSelf[a.Name] && len(a.Args) == 1 {
		return split{
			partial: []*logical.AggExpr{a},
			merge:   func(c []logical.Expr) []*logical.AggExpr { return []*logical.AggExpr{call(a.Name, a.T, c[0])} },
			result:  func(c []logical.Expr) logical.Expr { return cast(c[0], a.T) },
		}, true
	}
	return split{}, false
}

func call(name string, t logical.Type, args ...logical.Expr) *logical.AggExpr {
	return &logical.AggExpr{Typed: logical.Typed{T: t}, Name: name, Args: args}
}

func cast(x logical.Expr, t logical.Type) logical.Expr {
	if x.Type().Same(t) || !t.Nameable() {
		return x
	}
	return &logical.Cast{Typed: logical.Typed{T: t}, X: x}
}

func constInt(n string) logical.Expr {
	return &logical.Const{Typed: logical.Typed{T: bigint}, Value: logical.Value{Type: bigint, Text: n}}
}

// countOf counts a's rows.
func countOf(a *logical.AggExpr, args ...logical.Expr) *logical.AggExpr {
	name := "count_star"
	if len(args) > 0 {
		name = "count"
	}
	c := call(name, bigint, args...)
	c.Filter = a.Filter
	return c
}

// summed are counts. Sums of BIGINT are HUGEINT: what cast back is a count.
func summed(a *logical.AggExpr) split {
	return split{
		partial: []*logical.AggExpr{a},
		merge:   func(c []logical.Expr) []*logical.AggExpr { return []*logical.AggExpr{call("sum", hugeint, c[0])} },
		result:  func(c []logical.Expr) logical.Expr { return cast(c[0], a.T) },
	}
}

// firstOf is the first (or last) of the parts that had any row.
func firstOf(a *logical.AggExpr) split {
	return split{
		partial: []*logical.AggExpr{a, countOf(a)},
		merge: func(c []logical.Expr) []*logical.AggExpr {
			f := call(a.Name, a.T, c[0])
			f.Filter = &logical.Compare{Typed: logical.Typed{T: boolType}, Op: logical.Gt, Left: c[1], Right: constInt("0")}
			return []*logical.AggExpr{f, call("sum", hugeint, c[1])}
		},
		result: func(c []logical.Expr) logical.Expr { return cast(c[0], a.T) },
	}
}

// extreme is the value beside the least (greatest) key. Both are kept; rows
// whose value is NULL do not count.
func extreme(a *logical.AggExpr) (split, bool) {
	if len(a.Args) != 2 {
		return split{}, false
	}
	x, y := a.Args[0], a.Args[1]
	name := "min"
	if a.Name == "arg_max" || a.Name == "max_by" || a.Name == "argmax" {
		name = "max"
	}
	best := call(name, y.Type(), y)
	best.Filter = &logical.Op{Typed: logical.Typed{T: boolType}, Kind: "OPERATOR_IS_NOT_NULL", Args: []logical.Expr{x}}
	if a.Filter != nil {
		best.Filter = &logical.Logic{Typed: logical.Typed{T: boolType}, Args: []logical.Expr{best.Filter, a.Filter}}
	}
	return split{
		partial: []*logical.AggExpr{a, best},
		merge: func(c []logical.Expr) []*logical.AggExpr {
			return []*logical.AggExpr{call(a.Name, a.T, c[0], c[1]), call(name, y.Type(), c[1])}
		},
		result: func(c []logical.Expr) logical.Expr { return cast(c[0], a.T) },
	}, true
}
