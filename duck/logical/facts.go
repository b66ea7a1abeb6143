package logical

// Facts describes expressions as far as that is possible without running them.
type Facts struct {
	// Columns are the input's columns that are used.
	Columns map[int]bool
	// Volatile: another call gives another value (random, uuid, nextval).
	Volatile bool
	// Errors: it may fail on purpose (error).
	Errors bool
	// Unknown: something in it is not known, so nothing is certain.
	Unknown bool
}

// volatile are the functions that DuckDB itself calls volatile. What is the
// same throughout a query (now, current_date) is a constant in the plan.
var volatile = wordSet(`random setseed uuid gen_random_uuid uuidv4 uuidv7 nextval currval txid_current write_log
sleep_ms pg_sleep current_query current_query_id current_transaction_id current_connection_id getvariable stats`)

// FactsOf collects the facts of a list of expressions.
func FactsOf(list ...Expr) Facts {
	f := Facts{Columns: map[int]bool{}}
	for _, x := range list {
		f.add(x, true)
	}
	return f
}

func facts(x Expr) Facts { return FactsOf(x) }

// add adds what x is; refs are to the input's columns unless they are within a
// lambda, whose captures are arguments too.
func (f *Facts) add(x Expr, input bool) {
	switch x := x.(type) {
	case nil:
		return
	case *Ref:
		if input {
			f.Columns[x.Index] = true
		}
	case *UnknownExpr:
		f.Unknown = true
	case *Func:
		f.Volatile = f.Volatile || volatile[x.Name]
		f.Errors = f.Errors || x.Name == "error"
		if x.Lambda != nil {
			f.add(x.Lambda.Body, false)
		}
	}
	for _, c := range Children(x) {
		f.add(c, input)
	}
}

// Children are an expression's direct parts, but for the body of a lambda.
func Children(x Expr) []Expr {
	switch x := x.(type) {
	case *Func:
		return x.Args
	case *Cast:
		return []Expr{x.X}
	case *Compare:
		return []Expr{x.Left, x.Right}
	case *Between:
		return []Expr{x.X, x.Low, x.High}
	case *Logic:
		return x.Args
	case *Case:
		var out []Expr
		for _, w := range x.Whens {
			out = append(out, w.If, w.Then)
		}
		return append(out, x.Else)
	case *Op:
		return x.Args
	case *UnnestExpr:
		return []Expr{x.List}
	case *AggExpr:
		return append(append(present(x.Filter), x.Args...), keyExprs(x.Order)...)
	case *WindowExpr:
		out := append(present(x.Filter, x.Offset, x.Default, x.Frame.StartExpr, x.Frame.EndExpr), x.Args...)
		out = append(append(out, x.Partitions...), keyExprs(x.ArgOrder)...)
		return append(out, keyExprs(x.Orders)...)
	}
	return nil
}

func present(list ...Expr) []Expr {
	var out []Expr
	for _, x := range list {
		if x != nil {
			out = append(out, x)
		}
	}
	return out
}

func keyExprs(keys []OrderKey) []Expr {
	out := make([]Expr, len(keys))
	for i, k := range keys {
		out[i] = k.X
	}
	return out
}

// Exprs are the expressions that an operator evaluates over its input's columns
// (a join's over the left's or the right's).
func Exprs(op Operator) []Expr {
	switch op := op.(type) {
	case *Values:
		var out []Expr
		for _, row := range op.Rows {
			out = append(out, row...)
		}
		return out
	case *Filter:
		return op.Conds
	case *Projection:
		return op.Exprs
	case *Aggregate:
		return append(append([]Expr{}, op.Groups...), asExprs(op.Aggs)...)
	case *Distinct:
		return append(append([]Expr{}, op.Targets...), keyExprs(op.Order)...)
	case *Window:
		return asExprs(op.Exprs)
	case *Unnest:
		return op.Lists
	case *Order:
		return keyExprs(op.Keys)
	case *TopN:
		return keyExprs(op.Keys)
	case *Limit:
		return present(op.Limit.X, op.Offset.X)
	case *Join:
		out := present(append([]Expr{op.Residual}, op.Delim...)...)
		for _, c := range op.Conds {
			out = append(out, c.Left, c.Right)
		}
		return out
	case *AnyJoin:
		return []Expr{op.Cond}
	case *Get:
		var out []Expr
		for _, f := range op.Filters {
			out = append(out, f.X)
		}
		return out
	case *RecursiveCTE:
		return op.Keys
	case *Pivot:
		return asExprs(op.Aggs)
	}
	return nil
}

// Walk calls f for every operator of the tree, inputs after the operator, until
// f returns false for a subtree.
func Walk(op Operator, f func(Operator) bool) {
	if !f(op) {
		return
	}
	for _, in := range op.Head().Inputs {
		Walk(in, f)
	}
}
