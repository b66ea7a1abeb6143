package logical

import (
	"strconv"
	"strings"
)

// filter is a scan's condition on x as an expression; nil when it is none: what
// is optional is tested again further up.
func (d *decoder) filter(o object, x Expr) Expr {
	if !d.enter() {
		return nil
	}
	defer d.leave()
	t := Typed{T: boolean}
	switch kind := o.text("filter_type"); kind {
	case "OPTIONAL_FILTER", "DYNAMIC_FILTER", "BLOOM_FILTER":
		return nil
	case "IS_NULL":
		return &Op{t, "OPERATOR_IS_NULL", []Expr{x}}
	case "IS_NOT_NULL":
		return &Op{t, "OPERATOR_IS_NOT_NULL", []Expr{x}}
	case "CONSTANT_COMPARISON":
		op, ok := compareOps[o.text("comparison_type")]
		if ok {
			return &Compare{t, op, x, constant(d.value(o.object("constant"), nil))}
		}
	case "IN_FILTER":
		in := &Op{t, "COMPARE_IN", []Expr{x}}
		for _, v := range o.list("values") {
			in.Args = append(in.Args, constant(d.value(asObject(v), nil)))
		}
		return in
	case "CONJUNCTION_AND", "CONJUNCTION_OR":
		return d.filters(o, x, kind == "CONJUNCTION_OR")
	case "STRUCT_EXTRACT":
		if f := o.object("child_filter"); f != nil {
			return d.filter(f, field(x, o.text("child_name"), o.number("child_idx")))
		}
	case "EXPRESSION_FILTER":
		return d.expr(o.object("expr"))
	}
	return &UnknownExpr{t, "filter " + o.text("filter_type")}
}

// filters joins conditions. An optional one is true: within OR it makes all so.
func (d *decoder) filters(o object, x Expr, or bool) Expr {
	l := &Logic{Typed: Typed{T: boolean}, Or: or}
	for _, c := range o.list("child_filters") {
		a := d.filter(asObject(c), x)
		if a == nil && or {
			return nil
		}
		if a != nil {
			l.Args = append(l.Args, a)
		}
	}
	switch len(l.Args) {
	case 0:
		return nil
	case 1:
		return l.Args[0]
	}
	return l
}

// field is a struct's field, by name or, of a struct without names, by position.
func field(x Expr, name string, at int) Expr {
	f := &Func{Name: "struct_extract", Args: []Expr{x, constant(textValue(name))}}
	if t := x.Type(); at >= 0 && at < len(t.Fields) {
		f.T = t.Fields[at].Type
	}
	if name == "" {
		f.Name = "struct_extract_at"
		f.Args[1] = constant(Value{Type: Type{ID: "BIGINT"}, Text: strconv.Itoa(at + 1)})
	}
	return f
}

// hiveKeys is the keys of the key=value folders in a path.
func hiveKeys(path string) []string {
	var out []string
	parts := strings.Split(path, "/")
	for _, p := range parts[:len(parts)-1] {
		if k, _, ok := strings.Cut(p, "="); ok && k != "" {
			out = append(out, k)
		}
	}
	return out
}
