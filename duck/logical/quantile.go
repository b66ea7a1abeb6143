package logical

import (
	"encoding/json"
	"strings"
)

func constant(v Value) *Const { return &Const{Typed{T: v.Type}, v} }

func textValue(s string) Value { return Value{Type: Type{ID: "VARCHAR"}, Text: s} }

func listValue(list []Value, element Type) Value {
	return Value{Type: Type{ID: "LIST", Fields: []Field{{Type: element}}}, Children: list}
}

// quantile is the fractions that a quantile is asked for, and, of the reservoir
// kind, its sample size. Descending order is negative fractions: that is how
// DuckDB's binder says it too.
func (d *decoder) quantile(name string, o object) ([]Expr, bool) {
	data := o.object("function_data")
	number := Type{ID: "DOUBLE"}
	if name == "approx_quantile" {
		number.ID = "FLOAT"
	}
	var list []Value
	for _, q := range data.list("quantiles") {
		switch q := q.(type) {
		case json.Number:
			list = append(list, Value{Type: number, Text: q.String()})
		case map[string]any:
			list = append(list, d.value(q, nil))
		}
	}
	if len(list) == 0 || len(list) != len(data.list("quantiles")) {
		return nil, false
	}
	if data.flag("desc") {
		for i := range list {
			list[i].Text = negate(list[i].Text)
		}
	}
	if name == "median" {
		return nil, len(list) == 1 && !data.flag("desc")
	}
	var out []Expr
	given := o.list("original_arguments")
	if len(given) > 1 && asObject(given[1]).text("id") == "LIST" {
		out = append(out, constant(listValue(list, list[0].Type)))
	} else if len(list) == 1 {
		out = append(out, constant(list[0]))
	} else {
		return nil, false
	}
	if n, ok := data["sample_size"].(json.Number); ok {
		out = append(out, constant(Value{Type: Type{ID: "INTEGER"}, Text: n.String()}))
	}
	return out, true
}

func negate(text string) string {
	if rest, ok := strings.CutPrefix(text, "-"); ok {
		return rest
	}
	return "-" + text
}
