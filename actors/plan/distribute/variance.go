package distribute

import "github.com/pondmesh/pond/duck/logical"

// The variance family is put together as DuckDB puts its threads' parts
// together (Chan et al.): of each part the count n, the mean and the sum q of
// squared distances from it. A sum of squares would cancel out.
//
// What is sent is a list of one such part; merged it is a list of all, which the
// result reduces to one.

var partType = logical.Type{ID: "STRUCT", Fields: []logical.Field{{Name: "n", Type: double}, {Name: "mean", Type: double}, {Name: "q", Type: double}}}

// variances are the results, of n and q. Of no values at all n is NULL, and so
// are they.
var variances = map[string]func(n, q logical.Expr) logical.Expr{
	"var_pop":     func(n, q logical.Expr) logical.Expr { return arith("/", q, n) },
	"var_samp":    sample,
	"variance":    sample,
	"stddev_pop":  func(n, q logical.Expr) logical.Expr { return root(arith("/", q, n)) },
	"stddev_samp": func(n, q logical.Expr) logical.Expr { return root(sample(n, q)) },
	"stddev":      func(n, q logical.Expr) logical.Expr { return root(sample(n, q)) },
}

// sample is q / (n-1); of a single value NULL.
func sample(n, q logical.Expr) logical.Expr {
	alone := &logical.Compare{Typed: logical.Typed{T: boolType}, Op: logical.Gt, Left: n, Right: constDouble("1")}
	return choose(alone, arith("/", q, arith("-", n, constDouble("1"))), double)
}

func variance(a *logical.AggExpr) split {
	list := logical.Type{ID: "LIST", Fields: []logical.Field{{Type: partType}}}
	lists := logical.Type{ID: "LIST", Fields: []logical.Field{{Type: list}}}
	x := a.Args[0]
	mean, spread := call("avg", double, x), call("var_pop", double, x)
	mean.Filter, spread.Filter = a.Filter, a.Filter
	return split{
		partial: []*logical.AggExpr{countOf(a, x), mean, spread},
		shape: func(c []logical.Expr) []logical.Expr {
			n := cast(c[0], double)
			part := function("list_value", list, function("struct_pack", partType, n, c[1], arith("*", c[2], n)))
			some := &logical.Compare{Typed: logical.Typed{T: boolType}, Op: logical.Gt, Left: c[0], Right: constInt("0")}
			return []logical.Expr{choose(some, part, list)}
		},
		merge: func(c []logical.Expr) []*logical.AggExpr {
			all := call("list", lists, c[0])
			all.Filter = &logical.Op{Typed: logical.Typed{T: boolType}, Kind: "OPERATOR_IS_NOT_NULL", Args: []logical.Expr{c[0]}}
			return []*logical.AggExpr{all}
		},
		settle: func(c []logical.Expr) []logical.Expr { return []logical.Expr{function("flatten", list, c[0])} },
		result: func(c []logical.Expr) logical.Expr {
			all := reduce(c[0])
			return finite(a.Name, variances[a.Name](field(all, "n"), field(all, "q")))
		},
	}
}

// finite is x, or the named aggregate's own error if that is infinite or no number:
// DuckDB's variances are out of range then, as is that of two such values.
func finite(name string, x logical.Expr) logical.Expr {
	ok := function("isfinite", boolType, x)
	odd := &logical.Op{Typed: logical.Typed{T: boolType}, Kind: "OPERATOR_NOT", Args: []logical.Expr{ok}}
	two := function("list_value", logical.Type{ID: "LIST", Fields: []logical.Field{{Type: double}}}, x, x)
	return &logical.Case{Typed: logical.Typed{T: double}, Whens: []logical.When{{If: odd, Then: function("list_aggregate", double, two, constText(name))}}, Else: x}
}

// reduce adds the parts of a list up.
func reduce(list logical.Expr) logical.Expr {
	b, a := &logical.Ref{Typed: logical.Typed{T: partType}, Index: 0}, &logical.Ref{Typed: logical.Typed{T: partType}, Index: 1}
	n := arith("+", field(a, "n"), field(b, "n"))
	d := arith("-", field(b, "mean"), field(a, "mean"))
	share := arith("/", field(b, "n"), n)
	mean := arith("+", field(a, "mean"), arith("*", d, share))
	q := arith("+", arith("+", field(a, "q"), field(b, "q")), arith("*", arith("*", arith("*", d, d), field(a, "n")), share))
	return &logical.Func{Typed: logical.Typed{T: partType}, Name: "list_reduce", Args: []logical.Expr{list},
		Lambda: &logical.Lambda{Params: 2, Body: function("struct_pack", partType, n, mean, q)}}
}

func function(name string, t logical.Type, args ...logical.Expr) *logical.Func {
	return &logical.Func{Typed: logical.Typed{T: t}, Name: name, Args: args}
}

func arith(op string, a, b logical.Expr) logical.Expr {
	f := function(op, double, a, b)
	f.Operator = true
	return f
}

func root(x logical.Expr) logical.Expr { return function("sqrt", double, x) }

func field(x logical.Expr, name string) logical.Expr {
	return function("struct_extract", double, x, constText(name))
}

func constText(s string) logical.Expr {
	text := logical.Type{ID: "VARCHAR"}
	return &logical.Const{Typed: logical.Typed{T: text}, Value: logical.Value{Type: text, Text: s}}
}

// choose is x where the condition holds, else NULL.
func choose(cond, x logical.Expr, t logical.Type) logical.Expr {
	return &logical.Case{Typed: logical.Typed{T: t}, Whens: []logical.When{{If: cond, Then: x}}, Else: null(t)}
}

func constDouble(n string) logical.Expr {
	return &logical.Const{Typed: logical.Typed{T: double}, Value: logical.Value{Type: double, Text: n}}
}
