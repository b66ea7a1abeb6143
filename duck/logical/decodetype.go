package logical

import (
	"encoding/json"
	"fmt"
)

// typ reads a type object: its id, and what more there is to the type.
func (d *decoder) typ(o object) Type {
	if !d.enter() {
		return Type{Opaque: true}
	}
	defer d.leave()
	info := o.object("type_info")
	t := Type{ID: o.text("id"), Alias: info.text("alias")}
	if info.object("extension_info") != nil {
		t.Opaque = true
	}
	switch t.ID {
	case "DECIMAL":
		t.Width, t.Scale = info.number("width"), info.number("scale")
		if t.Width < 1 || t.Width > decimalMax || t.Scale < 0 || t.Scale > t.Width {
			return Type{ID: t.ID, Opaque: true}
		}
	case "LIST", "ARRAY":
		t.Size = max(info.number("size"), 0)
		t.Fields = []Field{{Type: d.typ(info.object("child_type"))}}
	case "MAP":
		t.Fields = d.typ(info.object("child_type")).Fields
	case "STRUCT":
		t.Fields = d.fields(info)
	case "UNION":
		// The first member is the tag, which SQL does not mention.
		if t.Fields = d.fields(info); len(t.Fields) > 0 {
			t.Fields = t.Fields[1:]
		}
	case "ENUM":
		t.Values = info.texts("values")
	case "", "INVALID", "UNKNOWN", "ANY", "USER", "TEMPLATE", "POINTER", "VALIDITY", "TABLE", "AGGREGATE_STATE", "LAMBDA", "CHAR":
		t.Opaque = true
	}
	return t
}

func (d *decoder) fields(info object) []Field {
	var out []Field
	for _, f := range info.list("child_types") {
		o := asObject(f)
		out = append(out, Field{Name: o.text("first"), Type: d.typ(o.object("second"))})
	}
	return out
}

// value reads a constant. Within nested values a type is left out where the
// parent's says it.
func (d *decoder) value(o object, parent *Type) Value {
	if !d.enter() {
		return Value{Null: true}
	}
	defer d.leave()
	var v Value
	if t := o.object("type"); t != nil {
		v.Type = d.typ(t)
	} else if parent != nil {
		v.Type = *parent
	}
	if v.Null = o.flag("is_null") || o == nil; v.Null {
		return v
	}
	switch raw := o["value"].(type) {
	case string:
		v.Text = raw
	case bool:
		v.Text = fmt.Sprint(raw)
	case json.Number:
		v.Text = raw.String()
	case map[string]any:
		d.inner(&v, object(raw))
	default:
		v.Type.Opaque = true
	}
	return v
}

// inner reads values that are objects: nested ones, intervals and 128-bit
// integers. Text of the latter two is their numbers with spaces between.
func (d *decoder) inner(v *Value, raw object) {
	switch v.Type.ID {
	case "INTERVAL":
		v.Text = fmt.Sprintf("%v %v %v", raw["months"], raw["days"], raw["micros"])
	case "STRUCT", "UNION", "LIST", "MAP", "ARRAY":
		for i, c := range raw.list("children") {
			v.Children = append(v.Children, d.value(asObject(c), v.Type.member(i)))
		}
	default:
		v.Text = fmt.Sprintf("%v %v", raw["upper"], raw["lower"])
	}
}

// member returns the type of the i-th stored child of a nested value: the first
// of a union is its tag, those of a map are its entries.
func (t *Type) member(i int) *Type {
	switch t.ID {
	case "LIST", "ARRAY":
		i = 0
	case "MAP":
		return &Type{ID: "STRUCT", Fields: t.Fields}
	case "UNION":
		if i == 0 {
			return &Type{ID: "UTINYINT"}
		}
		i--
	}
	if i < 0 || i >= len(t.Fields) {
		return nil
	}
	return &t.Fields[i].Type
}
