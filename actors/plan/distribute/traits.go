package distribute

import (
	"sort"

	"github.com/pondmesh/pond/duck/logical"
)

// anyVolatile reports whether something in the tree gives another value each
// time it is asked.
func anyVolatile(root logical.Operator) bool {
	found := false
	logical.Walk(root, func(op logical.Operator) bool {
		found = found || volatileOp(op)
		return !found
	})
	return found
}

func volatileOp(op logical.Operator) bool {
	switch op := op.(type) {
	case *logical.Sample:
		return op.Options.Seed < 0
	case *logical.Get:
		if op.Sample != nil && op.Sample.Seed < 0 {
			return true
		}
	case *logical.Unknown:
		return true
	}
	f := logical.FactsOf(logical.Exprs(op)...)
	return f.Volatile || f.Unknown
}

// nondeterministic reports whether the rows that the tree yields may depend on the order
// in which it is given rows.
func nondeterministic(root logical.Operator) bool {
	found := false
	logical.Walk(root, func(op logical.Operator) bool {
		found = found || nondeterministicOp(op)
		return !found
	})
	return found
}

func nondeterministicOp(op logical.Operator) bool {
	switch op := op.(type) {
	case *logical.Limit, *logical.TopN, *logical.Sample, *logical.PositionalJoin:
		return true
	case *logical.Distinct:
		return op.On || !allRefs(op.Targets, op.Width())
	case *logical.Aggregate:
		for _, a := range op.Aggs {
			if orderCounts(a) {
				return true
			}
		}
	case *logical.Window:
		for _, w := range op.Exprs {
			if w.Aggregate && !orderAggs[w.Name] && len(w.Orders) == 0 || w.Name == "rank" || w.Name == "dense_rank" || w.Name == "percent_rank" || w.Name == "cume_dist" {
				continue
			}
			return true
		}
	case *logical.Join:
		return op.Asof
	case *logical.Get:
		return op.Sample != nil
	}
	return false
}

// orderAggs are aggregates whose value may depend on the order of the rows.
var orderAggs = set("first", "last", "any_value", "arbitrary", "list", "array_agg", "string_agg", "group_concat", "listagg",
	"arg_min", "arg_max", "argmin", "argmax", "min_by", "max_by", "arg_min_null", "arg_max_null", "arg_min_nulls_last", "arg_max_nulls_last",
	"mode", "approx_quantile", "reservoir_quantile", "approx_top_k", "json_group_array", "json_group_object", "json_group_structure")

// orderCounts is true of an aggregate whose value may hang on the order of its
// rows: an ORDER BY of its own leaves that of ties open.
func orderCounts(a *logical.AggExpr) bool { return orderAggs[a.Name] }

// allRefs is true of a list of all n columns, in whatever order.
func allRefs(list []logical.Expr, n int) bool {
	seen := map[int]bool{}
	for _, x := range list {
		r, ok := x.(*logical.Ref)
		if !ok {
			return false
		}
		seen[r.Index] = true
	}
	return len(seen) == n
}

func set(names ...string) map[string]bool {
	out := map[string]bool{}
	for _, n := range names {
		out[n] = true
	}
	return out
}

func sortedKeys[T any](m map[string]T) []string {
	keys := make([]string, 0, len(m))
	for k := range m {
		keys = append(keys, k)
	}
	sort.Strings(keys)
	return keys
}

// rounds reports whether an operator adds up floating point numbers: in another
// order their sum may be another.
func rounds(op logical.Operator) bool {
	switch op := op.(type) {
	case *logical.Aggregate:
		for _, a := range op.Aggs {
			if real(a.T) && a.Name != "min" && a.Name != "max" {
				return true
			}
		}
	case *logical.Window:
		for _, w := range op.Exprs {
			if w.Aggregate && real(w.T) && w.Name != "min" && w.Name != "max" {
				return true
			}
		}
	}
	return false
}

func real(t logical.Type) bool { return t.ID == "DOUBLE" || t.ID == "FLOAT" }
