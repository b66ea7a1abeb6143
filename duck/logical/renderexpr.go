package logical

import (
	"strings"

	"github.com/pondmesh/pond/duck/lexer"
)

// expr is an expression, parenthesised where it is composed.
func (r *renderer) expr(x Expr, ref func(int) string) string {
	if r.err != nil {
		return "NULL"
	}
	switch x := x.(type) {
	case *Ref:
		return ref(x.Index)
	case *Const:
		return r.value(x.Value)
	case *Cast:
		if x.Try {
			return "TRY_CAST(" + r.expr(x.X, ref) + " AS " + r.typ(x.T) + ")"
		}
		return r.cast(r.expr(x.X, ref), x.T)
	case *Compare:
		return "(" + r.operand(x.Left, x.Right, ref) + " " + string(x.Op) + " " + r.operand(x.Right, x.Left, ref) + ")"
	case *Between:
		return r.between(x, ref)
	case *Logic:
		word := " AND "
		if x.Or {
			word = " OR "
		}
		return "(" + strings.Join(r.exprs(x.Args, ref), word) + ")"
	case *Case:
		return r.caseOf(x, ref)
	case *Op:
		return r.op(x, ref)
	case *Func:
		return r.function(x, ref)
	case *UnknownExpr:
		r.fail("%s", x.Why)
	case *AggExpr, *WindowExpr, *UnnestExpr:
		r.fail("%T within an expression", x)
	case nil:
		r.fail("an expression that is missing")
	}
	return "NULL"
}

// operand renders a side of a comparison. A number or string needs no cast to keep
// its type beside a value of the same type.
func (r *renderer) operand(x, other Expr, ref func(int) string) string {
	c, ok := x.(*Const)
	if _, both := other.(*Const); ok && !both && !c.Value.Null && c.T.Same(other.Type()) {
		switch {
		case c.T.ID == "VARCHAR" && c.T.Alias == "":
			return lexer.QuoteText(c.Value.Text)
		case c.T.ID == "INTEGER" || c.T.ID == "BIGINT":
			return c.Value.Text
		}
	}
	return r.expr(x, ref)
}

func (r *renderer) between(x *Between, ref func(int) string) string {
	v := r.expr(x.X, ref)
	low, high := r.operand(x.Low, x.X, ref), r.operand(x.High, x.X, ref)
	if x.LowIncluded && x.HighIncluded {
		return "(" + v + " BETWEEN " + low + " AND " + high + ")"
	}
	ge, le := " > ", " < "
	if x.LowIncluded {
		ge = " >= "
	}
	if x.HighIncluded {
		le = " <= "
	}
	if facts(x.X).Volatile {
		r.fail("a range test of a volatile value")
	}
	return "(" + v + ge + low + " AND " + v + le + high + ")"
}

func (r *renderer) caseOf(x *Case, ref func(int) string) string {
	var s strings.Builder
	s.WriteString("CASE")
	for _, w := range x.Whens {
		s.WriteString(" WHEN " + r.expr(w.If, ref) + " THEN " + r.expr(w.Then, ref))
	}
	s.WriteString(" ELSE " + r.expr(x.Else, ref) + " END")
	return r.exact(s.String(), x.T)
}

// exact casts to a type that DuckDB might infer differently when it binds the text
// again. A cast to the type that a value already has costs nothing.
func (r *renderer) exact(s string, t Type) string {
	if t.ID == "NULL" || !t.Nameable() {
		return s
	}
	return r.cast(s, t)
}

func (r *renderer) op(x *Op, ref func(int) string) string {
	args := func() string { return strings.Join(r.exprs(x.Args, ref), ", ") }
	one := func(i int) string {
		if i >= len(x.Args) {
			r.fail("%s of %d arguments", x.Kind, len(x.Args))
			return "NULL"
		}
		return r.expr(x.Args[i], ref)
	}
	switch x.Kind {
	case "OPERATOR_NOT":
		return "(NOT " + one(0) + ")"
	case "OPERATOR_IS_NULL":
		return "(" + one(0) + " IS NULL)"
	case "OPERATOR_IS_NOT_NULL":
		return "(" + one(0) + " IS NOT NULL)"
	case "COMPARE_IN", "COMPARE_NOT_IN":
		if len(x.Args) < 2 {
			r.fail("IN of %d arguments", len(x.Args))
			return "NULL"
		}
		list := make([]string, len(x.Args)-1)
		for i, a := range x.Args[1:] {
			list[i] = r.operand(a, x.Args[0], ref)
		}
		word := " IN ("
		if x.Kind == "COMPARE_NOT_IN" {
			word = " NOT IN ("
		}
		return "(" + one(0) + word + strings.Join(list, ", ") + "))"
	case "OPERATOR_COALESCE":
		return r.exact("COALESCE("+args()+")", x.T)
	case "OPERATOR_TRY":
		return "TRY(" + one(0) + ")"
	}
	r.fail("operator %s", x.Kind)
	return "NULL"
}

// infix operators may be written between their arguments.
var infix = wordSet("+ - * / // % || & | << >> ^ ** ~~ !~~ ~~* !~~* ~~~")

var wholeNumbers = wordSet("TINYINT SMALLINT INTEGER BIGINT HUGEINT UTINYINT USMALLINT UINTEGER UBIGINT UHUGEINT")

func (r *renderer) function(x *Func, ref func(int) string) string {
	if x.Lambda != nil {
		return r.lambda(x, ref)
	}
	switch x.Name {
	case "struct_pack", "struct_insert", "struct_update", "union_value":
		return r.named(x, ref)
	case "+", "-", "*":
		if x.T.ID == "DECIMAL" && len(x.Args) == 2 {
			return r.decimal(x, ref)
		}
	case "array_slice", "list_slice":
		if left, ok := r.slice(x.Args, ref); ok {
			return left
		}
	case "error", "constant_or_null":
		return r.exact(r.call(x.Name, r.exprs(x.Args, ref)), x.T)
	}
	list := r.exprs(x.Args, ref)
	if x.Name == "/" && wholeNumbers[x.T.ID] && len(list) == 2 {
		// Bound with the setting integer_division; where this is bound again it may be off.
		return "(" + list[0] + " // " + list[1] + ")"
	}
	if infix[x.Name] && len(list) == 2 {
		return r.typed("("+list[0]+" "+x.Name+" "+list[1]+")", x.T)
	}
	return r.typed(r.call(x.Name, list), x.T)
}

// typed is exact where the type has a width of its own to be worked out.
func (r *renderer) typed(s string, t Type) string {
	if t.ID == "DECIMAL" {
		return r.exact(s, t)
	}
	return s
}

func (r *renderer) call(name string, args []string) string {
	if strings.HasPrefix(name, "__internal") || local[name] {
		r.fail("the function %s", name)
	}
	return funcName(name) + "(" + strings.Join(args, ", ") + ")"
}

// local functions speak of the session, of the query's text or of how values are
// held in memory.
var local = wordSet(`alias stats vector_type current_query current_query_id current_transaction_id current_connection_id
txid_current nextval currval setseed write_log getvariable in_search_path`)

// slice writes a slice whose bounds were left out: they are empty lists, which
// only the syntax with brackets gives.
func (r *renderer) slice(args []Expr, ref func(int) string) (string, bool) {
	list := r.exprs(args, ref)
	missing := false
	for i, a := range args {
		if c, ok := a.(*Const); ok && i > 0 && c.T.ID == "LIST" && !c.Value.Null && len(c.Value.Children) == 0 {
			list[i], missing = "", true
			if i == 2 && len(list) == 4 {
				list[i] = "-"
			}
		}
	}
	if !missing || len(list) < 3 {
		return "", false
	}
	return "(" + list[0] + ")[" + strings.Join(list[1:], ":") + "]", true
}

// named are the functions whose arguments' names count.
func (r *renderer) named(x *Func, ref func(int) string) string {
	list := r.exprs(x.Args, ref)
	for i := range list {
		name := aliasOf(x.Args[i])
		switch {
		case x.Name == "struct_pack" || x.Name == "union_value":
			if i >= len(x.T.Fields) {
				r.fail("%s of %d fields", x.Name, len(x.T.Fields))
				return "NULL"
			}
			name = x.T.Fields[i].Name
		case i == 0:
			continue
		}
		if name == "" {
			r.fail("%s without a name", x.Name)
		}
		list[i] = lexer.QuoteName(name) + " := " + list[i]
	}
	return r.call(x.Name, list)
}

// lambda gives the parameters names of their own and writes captured expressions
// where the body uses them.
func (r *renderer) lambda(x *Func, ref func(int) string) string {
	l := x.Lambda
	plain := 1
	if l.Initial {
		plain = 2
	}
	if len(x.Args) < plain {
		r.fail("%s of %d arguments", x.Name, len(x.Args))
		return "NULL"
	}
	params := make([]string, l.Params)
	for i := range params {
		params[i] = "p" + r.next()
	}
	body := r.expr(l.Body, func(i int) string {
		switch {
		case i < l.Params && i >= 0:
			return params[l.Params-1-i]
		case i-l.Params+plain < len(x.Args) && i >= 0:
			return r.expr(x.Args[i-l.Params+plain], ref)
		}
		r.fail("a lambda's column %d", i)
		return "NULL"
	})
	list := r.exprs(x.Args[:plain], ref)
	call := []string{list[0], "lambda " + strings.Join(params, ", ") + ": " + body}
	return r.call(x.Name, append(call, list[1:]...))
}

func (r *renderer) agg(a *AggExpr, ref func(int) string) string {
	list := r.exprs(a.Args, ref)
	s := funcName(a.Name) + "("
	switch {
	case a.Name == "count_star":
		s = "count(*"
	case a.Distinct:
		s += "DISTINCT "
	}
	s += strings.Join(list, ", ")
	if len(a.Order) > 0 {
		s += " ORDER BY " + r.keys(a.Order, ref)
	}
	s += ")"
	if a.Filter != nil {
		s += " FILTER (WHERE " + r.expr(a.Filter, ref) + ")"
	}
	return s
}
