package logical

import (
	"fmt"
	"math/big"
	"strconv"
	"strings"

	"github.com/pondmesh/pond/duck/lexer"
)

// value is a constant, of its very type.
func (r *renderer) value(v Value) string {
	t := v.Type
	if v.Null {
		return r.null(t)
	}
	switch t.ID {
	case "BOOLEAN":
		return v.Text
	case "TINYINT", "SMALLINT", "INTEGER", "BIGINT", "UTINYINT", "USMALLINT", "UINTEGER", "UBIGINT", "INTEGER_LITERAL":
		if strings.HasPrefix(v.Text, "-") {
			return "CAST('" + v.Text + "' AS " + t.String() + ")"
		}
		return "CAST(" + v.Text + " AS " + t.String() + ")"
	case "LIST", "ARRAY", "MAP", "STRUCT", "UNION":
		return r.nestedValue(v)
	}
	text, ok := scalarText(v)
	if !ok {
		r.fail("a constant of type %s", t)
		return "NULL"
	}
	return r.cast(lexer.QuoteText(text), t)
}

// number is a count, as a sample's size must be written.
func (r *renderer) number(v Value) string {
	text, ok := scalarText(v)
	if _, err := strconv.ParseFloat(text, 64); !ok || err != nil {
		r.fail("a size of %q", text)
	}
	return text
}

// scalarText returns the text that DuckDB casts to the value.
func scalarText(v Value) (string, bool) {
	switch v.Type.ID {
	case "VARCHAR", "STRING_LITERAL", "BLOB":
		return v.Text, true
	case "FLOAT", "DOUBLE":
		return floatText(v.Text), true
	case "TINYINT", "SMALLINT", "INTEGER", "BIGINT", "UTINYINT", "USMALLINT", "UINTEGER", "UBIGINT":
		return v.Text, true
	case "HUGEINT", "UHUGEINT":
		n, ok := wide(v.Text, v.Type.ID == "UHUGEINT")
		return n.String(), ok
	case "DECIMAL":
		return decimalText(v)
	case "UUID":
		return uuidText(v.Text)
	case "INTERVAL":
		p := strings.Fields(v.Text)
		if len(p) != 3 {
			return "", false
		}
		return p[0] + " months " + p[1] + " days " + p[2] + " microseconds", true
	case "ENUM":
		i, err := strconv.Atoi(v.Text)
		if err != nil || i < 0 || i >= len(v.Type.Values) {
			return "", false
		}
		return v.Type.Values[i], true
	case "BIT":
		return bitText(v.Text)
	}
	return timeText(v)
}

func floatText(s string) string {
	s = strings.Replace(s, "Infinity", "inf", 1)
	return strings.Replace(s, "NaN", "nan", 1)
}

// wide reads a 128-bit integer: its upper and lower half.
func wide(text string, unsigned bool) (*big.Int, bool) {
	upper, lower, ok := strings.Cut(text, " ")
	high, ok1 := new(big.Int).SetString(upper, 10)
	low, ok2 := new(big.Int).SetString(lower, 10)
	if !ok {
		n, is := new(big.Int).SetString(text, 10)
		if !is {
			n = new(big.Int)
		}
		return n, is
	}
	if !ok1 || !ok2 || unsigned && high.Sign() < 0 {
		return new(big.Int), false
	}
	return high.Lsh(high, 64).Add(high, low), true
}

func decimalText(v Value) (string, bool) {
	n, ok := wide(v.Text, false)
	if !ok {
		return "", false
	}
	digits := new(big.Int).Abs(n).String()
	if pad := v.Type.Scale + 1 - len(digits); pad > 0 {
		digits = strings.Repeat("0", pad) + digits
	}
	if v.Type.Scale > 0 {
		at := len(digits) - v.Type.Scale
		digits = digits[:at] + "." + digits[at:]
	}
	if n.Sign() < 0 {
		digits = "-" + digits
	}
	return digits, true
}

// uuidText undoes DuckDB's storage, a signed integer whose sign is flipped so
// that it sorts.
func uuidText(text string) (string, bool) {
	n, ok := wide(text, false)
	if !ok {
		return "", false
	}
	n.Add(n, new(big.Int).Lsh(big.NewInt(1), 127))
	s := fmt.Sprintf("%032x", n)
	if n.Sign() < 0 || len(s) != 32 {
		return "", false
	}
	return s[:8] + "-" + s[8:12] + "-" + s[12:16] + "-" + s[16:20] + "-" + s[20:], true
}

// bitText reads a bit string as it is stored: how many bits of the first byte
// are padding, then the bytes. What is not text never gets here.
func bitText(raw string) (string, bool) {
	if len(raw) < 2 || raw[0] > 7 {
		return "", false
	}
	var s strings.Builder
	for i := 1; i < len(raw); i++ {
		fmt.Fprintf(&s, "%08b", raw[i])
	}
	return s.String()[raw[0]:], true
}

func (r *renderer) nestedValue(v Value) string {
	t := v.Type
	items := make([]string, len(v.Children))
	for i, c := range v.Children {
		if c.Type.ID == "" {
			c.Type = *orEmpty(t.member(i))
		}
		if t.ID != "UNION" {
			items[i] = r.value(c)
		}
	}
	switch t.ID {
	case "LIST", "ARRAY":
		return r.exact("["+strings.Join(items, ", ")+"]", t)
	case "MAP":
		return r.mapValue(v)
	case "UNION":
		return r.unionValue(v)
	}
	if len(items) != len(t.Fields) {
		r.fail("a struct of %d of %d fields", len(items), len(t.Fields))
		return "NULL"
	}
	if len(items) > 0 && t.Fields[0].Name == "" {
		return funcName("row") + "(" + strings.Join(items, ", ") + ")"
	}
	for i := range items {
		items[i] = lexer.QuoteName(t.Fields[i].Name) + " := " + items[i]
	}
	return "struct_pack(" + strings.Join(items, ", ") + ")"
}

func orEmpty(t *Type) *Type {
	if t == nil {
		return &Type{Opaque: true}
	}
	return t
}

// mapValue is a list of entries, each a struct of a key and a value.
func (r *renderer) mapValue(v Value) string {
	keys, values := make([]string, len(v.Children)), make([]string, len(v.Children))
	for i, e := range v.Children {
		if len(e.Children) != 2 {
			r.fail("a map whose entries are not pairs")
			return "NULL"
		}
		keys[i], values[i] = r.value(e.Children[0]), r.value(e.Children[1])
	}
	return r.exact("map(["+strings.Join(keys, ", ")+"], ["+strings.Join(values, ", ")+"])", v.Type)
}

// unionValue is the tag, then a value of each member.
func (r *renderer) unionValue(v Value) string {
	if len(v.Children) != len(v.Type.Fields)+1 {
		r.fail("a union of %d children", len(v.Children))
		return "NULL"
	}
	tag, err := strconv.Atoi(v.Children[0].Text)
	if err != nil || tag < 0 || tag >= len(v.Type.Fields) {
		r.fail("a union of tag %q", v.Children[0].Text)
		return "NULL"
	}
	return r.exact("union_value("+lexer.QuoteName(v.Type.Fields[tag].Name)+" := "+r.value(v.Children[tag+1])+")", v.Type)
}
