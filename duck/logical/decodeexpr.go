package logical

import (
	"slices"
	"strings"
)

var compareOps = map[string]CompareOp{
	"COMPARE_EQUAL": Eq, "COMPARE_NOTEQUAL": Ne, "COMPARE_LESSTHAN": Lt, "COMPARE_GREATERTHAN": Gt,
	"COMPARE_LESSTHANOREQUALTO": Le, "COMPARE_GREATERTHANOREQUALTO": Ge,
	"COMPARE_DISTINCT_FROM": IsDistinct, "COMPARE_NOT_DISTINCT_FROM": NotDistinct,
}

var boolean = Type{ID: "BOOLEAN"}

func (d *decoder) exprs(list []any) []Expr {
	var out []Expr
	for _, e := range list {
		out = append(out, d.expr(asObject(e)))
	}
	return out
}

// optional is an expression that may be missing.
func (d *decoder) optional(o object) Expr {
	if o == nil {
		return nil
	}
	return d.expr(o)
}

func (d *decoder) expr(o object) Expr {
	if !d.enter() {
		return &UnknownExpr{Why: "bounds"}
	}
	defer d.leave()
	t := Typed{Alias: o.text("alias"), T: boolean}
	if r := o.object("return_type"); r != nil {
		t.T = d.typ(r)
	}
	kind := o.text("type")
	switch o.text("expression_class") {
	case "BOUND_REF":
		return &Ref{t, o.number("index")}
	case "BOUND_COLUMN_REF":
		return d.columnRef(t, o)
	case "BOUND_CONSTANT":
		v := d.value(o.object("value"), nil)
		t.T = v.Type
		return &Const{t, v}
	case "BOUND_CAST":
		return &Cast{Typed: t, X: d.expr(o.object("child")), Try: o.flag("try_cast")}
	case "BOUND_COMPARISON":
		op, ok := compareOps[kind]
		if !ok {
			break
		}
		return &Compare{t, op, d.expr(o.object("left")), d.expr(o.object("right"))}
	case "BOUND_BETWEEN":
		return &Between{t, d.expr(o.object("input")), d.expr(o.object("lower")), d.expr(o.object("upper")),
			o.flag("lower_inclusive"), o.flag("upper_inclusive")}
	case "BOUND_CONJUNCTION":
		return &Logic{t, kind == "CONJUNCTION_OR", d.exprs(o.list("children"))}
	case "BOUND_CASE":
		c := &Case{Typed: t, Else: d.expr(o.object("else_expr"))}
		for _, w := range o.list("case_checks") {
			w := asObject(w)
			c.Whens = append(c.Whens, When{d.expr(w.object("when_expr")), d.expr(w.object("then_expr"))})
		}
		return c
	case "BOUND_OPERATOR":
		return &Op{t, kind, d.exprs(o.list("children"))}
	case "BOUND_UNNEST":
		return &UnnestExpr{t, d.expr(o.object("child"))}
	case "BOUND_FUNCTION":
		return d.function(t, o)
	case "BOUND_AGGREGATE":
		return d.aggExpr(t, o)
	case "BOUND_WINDOW":
		return d.window(t, o)
	}
	return &UnknownExpr{t, o.text("expression_class") + " " + kind}
}

// columnRef resolves a column that DuckDB left by its binding, as it does below
// a function that is called for each row of its input.
func (d *decoder) columnRef(t Typed, o object) Expr {
	b := o.object("binding")
	at := slices.Index(d.scope, binding{b.number("table_index"), b.number("column_index")})
	if at < 0 {
		return &UnknownExpr{t, "a column that is not in scope"}
	}
	return &Ref{t, at}
}

// function reads a call. What the function keeps beyond its arguments is put
// back among them, as the user wrote it.
func (d *decoder) function(t Typed, o object) Expr {
	f := &Func{Typed: t, Name: o.text("name"), Args: d.exprs(o.list("children")), Operator: o.flag("is_operator")}
	if c := o.text("catalog_name"); c != "" && c != "system" {
		return &UnknownExpr{t, "function " + c + "." + f.Name}
	}
	if !o.flag("has_serialize") {
		return f
	}
	data := o.object("function_data")
	switch f.Name {
	case "+", "-", "*", "row", "struct_pack", "union_value", "struct_insert", "struct_update", "equi_width_bins":
		return f // all in the arguments and their names
	case "date_part", "datepart":
		var parts []Value
		for _, f := range t.T.Fields { // as the user wrote them: hour, hours and h are one part
			parts = append(parts, textValue(f.Name))
		}
		f.Args = append([]Expr{constant(listValue(parts, Type{ID: "VARCHAR"}))}, f.Args...)
		return f
	case "list_aggr", "list_aggregate", "array_aggr", "array_aggregate", "aggregate":
		agg, ok := d.expr(data.object("bind_data").object("aggr_expr")).(*AggExpr)
		if ok && len(f.Args) == 2 && len(agg.Args) > 0 && agg.Order == nil {
			f.Args = append(f.Args, agg.Args[1:]...)
			return f
		}
	}
	if l := data.object("lambda_expr"); l != nil {
		return d.lambda(f, data)
	}
	if strings.HasPrefix(f.Name, "icu_collate_") {
		return f // its name says all
	}
	if data.object("bind_data") == nil && len(data) == 1 && strings.HasPrefix(f.Name, "list_") {
		return f
	}
	return &UnknownExpr{t, "function " + f.Name + " with data of its own"}
}

func (d *decoder) lambda(f *Func, data object) Expr {
	l := &Lambda{Index: data.flag("has_index"), Initial: data.flag("has_initial"), Params: 1}
	switch f.Name {
	case "list_reduce", "array_reduce", "reduce":
		l.Params = 2
	case "list_transform", "array_transform", "list_apply", "array_apply", "apply", "list_filter", "array_filter", "filter":
	default:
		return &UnknownExpr{f.Typed, "function " + f.Name + " with a lambda"}
	}
	if l.Index {
		l.Params++
	}
	l.Body = d.expr(data.object("lambda_expr"))
	f.Lambda = l
	return f
}

// aggExpr reads an aggregate; see function.
func (d *decoder) aggExpr(t Typed, o object) Expr {
	a := &AggExpr{Typed: t, Name: o.text("name"), Args: d.exprs(o.list("children")), Distinct: o.text("aggregate_type") == "DISTINCT",
		Filter: d.optional(o.object("filter")), Order: d.orders(o.object("order_bys").list("orders"))}
	if c := o.text("catalog_name"); c != "" && c != "system" {
		return &UnknownExpr{t, "aggregate " + c + "." + a.Name}
	}
	if o.flag("has_serialize") {
		extra, ok := d.aggData(a.Name, o)
		if !ok {
			return &UnknownExpr{t, "aggregate " + a.Name + " with data of its own"}
		}
		a.Args = append(a.Args, extra...)
	}
	a.Name = publicAgg(a.Name)
	return a
}

// publicAgg is the aggregate that SQL may call for one that the optimiser uses.
func publicAgg(name string) string {
	if name == "sum_no_overflow" {
		return "sum"
	}
	return name
}

// aggData is the arguments that an aggregate took out of its call.
func (d *decoder) aggData(name string, o object) ([]Expr, bool) {
	data := o.object("function_data")
	switch name {
	case "sum", "sum_no_overflow":
		return nil, true
	case "string_agg", "group_concat", "listagg":
		return []Expr{constant(textValue(data.text("separator")))}, true
	case "bitstring_agg":
		low, high := d.value(data.object("min"), nil), d.value(data.object("max"), nil)
		if low.Null || high.Null {
			return nil, low.Null && high.Null
		}
		return []Expr{constant(low), constant(high)}, true
	case "quantile", "quantile_cont", "quantile_disc", "median", "approx_quantile", "reservoir_quantile":
		return d.quantile(name, o)
	}
	return nil, false
}

// window reads a window function; see aggExpr.
func (d *decoder) window(t Typed, o object) Expr {
	w := &WindowExpr{Typed: t, Args: d.exprs(o.list("children")), Offset: d.optional(o.object("offset_expr")),
		Default: d.optional(o.object("default_expr")), Distinct: o.flag("distinct"), Filter: d.optional(o.object("filters")),
		ArgOrder: d.orders(o.list("arg_orders")), IgnoreNulls: o.flag("ignore_nulls"),
		Partitions: d.exprs(o.list("partitions")), Orders: d.orders(o.list("orders")),
		Frame: Frame{Start: o.text("start"), End: o.text("end"), StartExpr: d.optional(o.object("start_expr")),
			EndExpr: d.optional(o.object("end_expr")), Exclude: o.text("exclude_clause")}}
	kind := o.text("type")
	if kind != "WINDOW_AGGREGATE" {
		w.Name = windowNames[kind]
		if w.Name == "" {
			return &UnknownExpr{t, kind}
		}
		return w
	}
	w.Name, w.Aggregate = o.text("name"), true
	if c := o.text("catalog_name"); c != "" && c != "system" {
		return &UnknownExpr{t, "aggregate " + c + "." + w.Name}
	}
	if o.flag("has_serialize") {
		extra, ok := d.aggData(w.Name, o)
		if !ok {
			return &UnknownExpr{t, "aggregate " + w.Name + " with data of its own"}
		}
		w.Args = append(w.Args, extra...)
	}
	w.Name = publicAgg(w.Name)
	return w
}

var windowNames = map[string]string{
	"WINDOW_ROW_NUMBER": "row_number", "WINDOW_RANK": "rank", "WINDOW_RANK_DENSE": "dense_rank", "WINDOW_NTILE": "ntile",
	"WINDOW_PERCENT_RANK": "percent_rank", "WINDOW_CUME_DIST": "cume_dist", "WINDOW_FIRST_VALUE": "first_value",
	"WINDOW_LAST_VALUE": "last_value", "WINDOW_NTH_VALUE": "nth_value", "WINDOW_LEAD": "lead", "WINDOW_LAG": "lag",
	"WINDOW_FILL": "fill",
}
