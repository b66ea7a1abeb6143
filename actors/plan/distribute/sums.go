package distribute

import (
	"fmt"

	"github.com/pondmesh/pond/duck/logical"
)

// meanName is a function of package duck's engines: it divides as DuckDB's avg does.
const meanName = "pond_mean"

// average is the sum by the count: what DuckDB keeps too.
func average(a *logical.AggExpr) (split, bool) {
	if len(a.Args) != 1 || a.T.ID != "DOUBLE" {
		return split{}, false
	}
	x := a.Args[0]
	of := x.Type()
	t := of
	switch of.ID {
	case "TINYINT", "SMALLINT", "INTEGER", "BIGINT", "HUGEINT", "UTINYINT", "USMALLINT", "UINTEGER", "BOOLEAN":
		t = hugeint
	case "DECIMAL":
		t = logical.Type{ID: "DECIMAL", Width: maxDigits, Scale: of.Scale}
	case "DOUBLE":
	default:
		return split{}, false
	}
	sum := call("sum", t, x)
	sum.Filter = a.Filter
	return split{
		partial: []*logical.AggExpr{sum, countOf(a, x)},
		merge: func(c []logical.Expr) []*logical.AggExpr {
			return []*logical.AggExpr{call("sum", t, c[0]), call("sum", hugeint, c[1])}
		},
		result: func(c []logical.Expr) logical.Expr {
			if of.ID == "DOUBLE" {
				return arith("/", c[0], cast(c[1], double))
			}
			return function(meanName, double, c[0], cast(c[1], bigint), constBool(short(of)))
		},
	}, true
}

// short is true of numbers whose sums DuckDB keeps in 64 bits.
func short(t logical.Type) bool {
	const digits = 4 // of decimals in 16 bits
	return t.ID == "TINYINT" || t.ID == "SMALLINT" || t.ID == "DECIMAL" && t.Width <= digits
}

// DuckDB checks each number that it adds to a sum of 128 bits, but not the sums of its
// threads, or of partial results, when it adds those up: they wrap around, and so are
// off by 2^128. Where numbers are large enough for that, an approximate sum beside
// the exact one tells.

// maxDigits are those of the widest decimal. Of decimals of wideDigits there cannot be
// enough rows for a sum that 128 bits do not hold.
const (
	maxDigits  = 38
	wideDigits = 18
)

// wideSum is true of sums and averages that may wrap around. Of distinct values there
// is no approximate sum: those that are apart may be near.
func wideSum(a *logical.AggExpr) bool {
	if len(a.Args) != 1 || a.Distinct || a.Name != "sum" && a.Name != "avg" && a.Name != "mean" {
		return false
	}
	t := stripCasts(a.Args[0]).Type()
	return t.ID == "HUGEINT" || t.ID == "DECIMAL" && t.Width > wideDigits
}

// checkSums is the tree with its wide sums checked.
func checkSums(op logical.Operator) logical.Operator {
	ins := make([]logical.Operator, len(op.Head().Inputs))
	same := true
	for i, in := range op.Head().Inputs {
		ins[i] = checkSums(in)
		same = same && ins[i] == in
	}
	if !same {
		op = logical.WithInputs(op, ins)
	}
	if a, ok := op.(*logical.Aggregate); ok {
		return checkedSums(a)
	}
	return op
}

// checkedSums is an aggregate whose wide sums are checked: a projection over one with
// approximate sums, and counts of what averages are of, behind the others.
func checkedSums(op *logical.Aggregate) logical.Operator {
	groups, aggs := len(op.Groups), len(op.Aggs)
	more := *op
	more.Aggs = append([]*logical.AggExpr{}, op.Aggs...)
	more.Columns = append([]logical.Column{}, op.Columns[:groups+aggs]...)
	add := func(a *logical.AggExpr) logical.Expr {
		more.Aggs, more.Columns = append(more.Aggs, a), append(more.Columns, logical.Column{Type: a.T})
		return ref(more.Columns, len(more.Columns)-1)
	}
	list := refs(op.Columns, seq(len(op.Columns))...)
	for i, a := range op.Aggs {
		if !wideSum(a) {
			continue
		}
		about := call("sum", double, cast(a.Args[0], double))
		about.Filter = a.Filter
		x, sum := list[groups+i], cast(list[groups+i], double)
		near := add(about)
		if a.Name != "sum" {
			sum = arith("*", sum, cast(add(countOf(a, a.Args[0])), double))
		}
		list[groups+i] = inRange(x, sum, near, a.Args[0].Type().Scale)
	}
	if len(more.Aggs) == aggs {
		return op
	}
	for i := range op.Grouping {
		more.Columns = append(more.Columns, op.Columns[groups+aggs+i])
		list[groups+aggs+i] = ref(more.Columns, len(more.Columns)-1)
	}
	return &logical.Projection{Node: logical.Node{Kind: "LOGICAL_PROJECTION", Inputs: []logical.Operator{&more}, Columns: op.Columns}, Exprs: list}
}

// inRange is x, or DuckDB's error for a sum out of range where the sum is far from what
// it is near to. Digits after the point are not counted among those that 128 bits hold.
func inRange(x, sum, near logical.Expr, scale int) logical.Expr {
	off := function("abs", double, arith("-", sum, near))
	far := &logical.Compare{Typed: logical.Typed{T: boolType}, Op: logical.Gt, Left: off, Right: constDouble(fmt.Sprintf("1e%d", maxDigits-1-scale))}
	return &logical.Case{Typed: logical.Typed{T: x.Type()}, Whens: []logical.When{{If: far, Then: cast(overflow(), x.Type())}}, Else: x}
}

// overflow is an error whenever it is computed.
func overflow() logical.Expr {
	number := func(n string) logical.Expr {
		return &logical.Const{Typed: logical.Typed{T: hugeint}, Value: logical.Value{Type: hugeint, Text: n}}
	}
	f := function("+", hugeint, number("170141183460469231731687303715884105727"), number("1"))
	f.Operator = true
	return f
}

func constBool(b bool) logical.Expr {
	return &logical.Const{Typed: logical.Typed{T: boolType}, Value: logical.Value{Type: boolType, Text: fmt.Sprint(b)}}
}
