package logical

import (
	"encoding/json"
	"errors"
	"math/big"
	"strings"
	"testing"

	"pgregory.net/rapid"
)

func of(id string, fields ...Type) Type {
	t := Type{ID: id}
	for i, f := range fields {
		t.Fields = append(t.Fields, Field{Name: string(rune('a' + i)), Type: f})
	}
	return t
}

// TestTypes: a type is written as CAST takes it, or said to have no name.
func TestTypes(t *testing.T) {
	integer, nameless := Type{ID: "INTEGER"}, Type{ID: "STRUCT", Fields: []Field{{Type: Type{ID: "INTEGER"}}}}
	for _, c := range []struct {
		t    Type
		want string
		name bool
	}{
		{integer, "INTEGER", true},
		{Type{ID: "VARCHAR", Alias: "JSON"}, "JSON", true},
		{Type{ID: "NULL"}, `"NULL"`, true},
		{Type{ID: "STRING_LITERAL"}, "VARCHAR", true},
		{Type{ID: "INTEGER_LITERAL"}, "INTEGER", true},
		{Type{ID: "DECIMAL", Width: 38, Scale: 10}, "DECIMAL(38,10)", true},
		{of("LIST", of("LIST", integer)), "INTEGER[][]", true},
		{Type{ID: "ARRAY", Size: 3, Fields: of("LIST", integer).Fields}, "INTEGER[3]", true},
		{of("STRUCT", integer, of("LIST", Type{ID: "DATE"})), `STRUCT("a" INTEGER, "b" DATE[])`, true},
		{Type{ID: "STRUCT", Fields: []Field{{Name: `x"y`, Type: integer}}}, `STRUCT("x""y" INTEGER)`, true},
		{of("UNION", integer), `UNION("a" INTEGER)`, true},
		{of("MAP", integer, nameless), "", false},
		{of("MAP", integer, integer), "MAP(INTEGER, INTEGER)", true},
		{Type{ID: "ENUM", Values: []string{"it's", ""}}, "ENUM('it''s', '')", true},
		{Type{ID: "ENUM"}, "", false},
		{nameless, "", false},
		{of("LIST", nameless), "", false},
		{of("LIST"), "?[]", false},
		{of("MAP", integer), "MAP", false},
		{of("STRUCT"), "", false},
		{Type{ID: "AGGREGATE_STATE", Opaque: true}, "", false},
		{of("LIST", Type{ID: "ANY", Opaque: true}), "", false},
	} {
		if got := c.t.String(); c.want != "" && got != c.want || c.t.Nameable() != c.name {
			t.Errorf("%+v: %s, has a name: %v", c.t, got, c.t.Nameable())
		}
	}
}

// TestScalarText: what DuckDB stores becomes the text that it reads, or is refused.
func TestScalarText(t *testing.T) {
	dec := func(w, s int) Type { return Type{ID: "DECIMAL", Width: w, Scale: s} }
	enum := Type{ID: "ENUM", Values: []string{"a", "it's"}}
	const refused = "refused"
	for _, c := range []struct {
		t          Type
		text, want string
	}{
		{dec(4, 1), "-5", "-0.5"}, {dec(4, 0), "-5", "-5"}, {dec(3, 3), "0", "0.000"}, {dec(38, 2), "-1 18446744073709551615", "-0.01"}, {dec(38, 0), "1 0", "18446744073709551616"},
		{dec(4, 1), "x", refused}, {dec(38, 1), "1 x", refused}, {dec(38, 1), "", refused},
		{Type{ID: "HUGEINT"}, "-9223372036854775808 0", "-170141183460469231731687303715884105728"}, {Type{ID: "HUGEINT"}, "7", "7"},
		{Type{ID: "UHUGEINT"}, "18446744073709551615 18446744073709551615", "340282366920938463463374607431768211455"}, {Type{ID: "UHUGEINT"}, "-1 0", refused},
		{Type{ID: "DOUBLE"}, "-Infinity", "-inf"}, {Type{ID: "FLOAT"}, "NaN", "nan"}, {Type{ID: "DOUBLE"}, "1e308", "1e308"},
		{Type{ID: "UUID"}, "-9223372036854775808 0", "00000000-0000-0000-0000-000000000000"}, {Type{ID: "UUID"}, "9223372036854775807 18446744073709551615", "ffffffff-ffff-ffff-ffff-ffffffffffff"},
		{Type{ID: "UUID"}, "0 1", "80000000-0000-0000-0000-000000000001"}, {Type{ID: "UUID"}, "9223372036854775808 0", refused}, {Type{ID: "UUID"}, "", refused},
		{Type{ID: "INTERVAL"}, "1 -2 3", "1 months -2 days 3 microseconds"}, {Type{ID: "INTERVAL"}, "1 2", refused},
		{enum, "1", "it's"}, {enum, "2", refused}, {enum, "-1", refused}, {enum, "a", refused},
		{Type{ID: "BIT"}, "\x04\x0f", "1111"}, {Type{ID: "BIT"}, "\x00A\x01", "0100000100000001"}, {Type{ID: "BIT"}, "\x08A", refused}, {Type{ID: "BIT"}, "\x00", refused}, {Type{ID: "BIT"}, "", refused},
		{Type{ID: "TIME"}, "-1", refused}, {Type{ID: "TIME"}, "1", "00:00:00.000001"}, {Type{ID: "TIME_NS"}, "86399999999999", "23:59:59.999999999"},
		{Type{ID: "TIME WITH TIME ZONE"}, "57599", "00:00:00+00:00:00"}, {Type{ID: "TIME WITH TIME ZONE"}, "0", "00:00:00+15:59:59"}, {Type{ID: "TIME WITH TIME ZONE"}, "115198", "00:00:00-15:59:59"},
		{Type{ID: "TIMESTAMP_NS"}, "-1", "1969-12-31 23:59:59.999999999"}, {Type{ID: "TIMESTAMP_S"}, "-62167219201", "0002-12-31 (BC) 23:59:59"}, {Type{ID: "TIMESTAMP"}, "1.5", refused},
		{Type{ID: "DATE"}, "-2147483647", "-infinity"}, {Type{ID: "DATE"}, "2932897", "10000-01-01"}, {Type{ID: "NEW"}, "1", refused},
	} {
		got, ok := scalarText(Value{Type: c.t, Text: c.text})
		if !ok {
			got = refused
		}
		if got != c.want {
			t.Errorf("%s %q: %s, not %s", c.t.ID, c.text, got, c.want)
		}
	}
}

// TestWide: 128 bits in two halves are one number, for all of them.
func TestWide(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		high, low := rapid.Int64().Draw(t, "high"), rapid.Uint64().Draw(t, "low")
		want := new(big.Int).Add(new(big.Int).Mul(big.NewInt(high), new(big.Int).Exp(big.NewInt(2), big.NewInt(64), nil)), new(big.Int).SetUint64(low))
		text := big.NewInt(high).String() + " " + new(big.Int).SetUint64(low).String()
		if got, ok := wide(text, false); !ok || got.Cmp(want) != 0 {
			t.Fatalf("%s: %s, not %s", text, got, want)
		}
		scale := rapid.IntRange(0, 38).Draw(t, "scale")
		s, ok := decimalText(Value{Type: Type{ID: "DECIMAL", Width: 38, Scale: scale}, Text: text})
		whole, fraction, _ := strings.Cut(s, ".")
		if back, is := new(big.Int).SetString(whole+fraction, 10); !ok || !is || back.Cmp(want) != 0 || len(fraction) != scale || strings.TrimPrefix(whole, "-") == "" {
			t.Fatalf("%s of scale %d: %s", text, scale, s)
		}
	})
}

// TestFilters: a condition that a scan may leave untested is none, and makes all of an
// OR none; one that is not known is told.
func TestFilters(t *testing.T) {
	const one, isNull, optional = `{"filter_type":"CONSTANT_COMPARISON","comparison_type":"COMPARE_EQUAL","constant":{"type":{"id":"INTEGER"},"is_null":false,"value":1}}`,
		`{"filter_type":"IS_NULL"}`, `{"filter_type":"OPTIONAL_FILTER","child_filter":{"filter_type":"NEW"}}`
	both := func(kind string, list ...string) string {
		return `{"filter_type":"CONJUNCTION_` + kind + `","child_filters":[` + strings.Join(list, ",") + `]}`
	}
	within := func(name, at, filter string) string {
		return `{"filter_type":"STRUCT_EXTRACT","child_name":"` + name + `","child_idx":` + at + `,"child_filter":` + filter + `}`
	}
	for text, want := range map[string]string{
		one: "(x = 1)", isNull: "(x IS NULL)", `{"filter_type":"IS_NOT_NULL"}`: "(x IS NOT NULL)", optional: "none", `{"filter_type":"BLOOM_FILTER"}`: "none",
		both("AND", one, isNull): "((x = 1) AND (x IS NULL))", both("AND", one, optional): "(x = 1)", both("AND", optional): "none", both("AND"): "none",
		both("OR", one, isNull): "((x = 1) OR (x IS NULL))", both("OR", one, optional): "none", both("OR", one, both("AND", optional, isNull)): "((x = 1) OR (x IS NULL))",
		both("AND", one, both("OR", isNull, optional)):                     "(x = 1)",
		within("a", "0", one):                                              `(struct_extract(x, CAST('a' AS VARCHAR)) = 1)`,
		within("", "1", isNull):                                            `(struct_extract_at(x, CAST(2 AS BIGINT)) IS NULL)`,
		within("a", "0", optional):                                         "none",
		`{"filter_type":"IN_FILTER","values":[]}`:                          "unknown",
		`{"filter_type":"NEW"}`:                                            "unknown",
		`{"filter_type":"STRUCT_EXTRACT"}`:                                 "unknown",
		`{"filter_type":"CONSTANT_COMPARISON","comparison_type":"NEARLY"}`: "unknown",
		both("OR", one, `{"filter_type":"NEW"}`):                           "unknown",
	} {
		var o object
		d := json.NewDecoder(strings.NewReader(text))
		d.UseNumber()
		if err := d.Decode(&o); err != nil {
			t.Fatal(text, err)
		}
		got := "none"
		if x := (&decoder{}).filter(o, &Ref{Typed: Typed{T: of("STRUCT", Type{ID: "INTEGER"}, Type{ID: "INTEGER"})}}); x != nil {
			var err error
			if got, err = RenderExpr(x, func(int) string { return "x" }); errors.Is(err, ErrUnrendered) {
				got = "unknown"
			}
		}
		if strings.ReplaceAll(got, "CAST(1 AS INTEGER)", "1") != want {
			t.Errorf("%s: %s, not %s", text, got, want)
		}
	}
}

// TestRenderRefuses: an expression that cannot be what it says is an error that names it,
// never text that means something else.
func TestRenderRefuses(t *testing.T) {
	x, integer := &Ref{}, Typed{T: Type{ID: "INTEGER"}}
	str := func(s string) Expr { return constant(textValue(s)) }
	for want, e := range map[string]Expr{
		"missing":                      &Cast{Typed: integer},
		"AggExpr within":               &Logic{Args: []Expr{&AggExpr{Name: "sum"}}},
		"WindowExpr within":            &Cast{Typed: integer, X: &WindowExpr{}},
		"OPERATOR_NOT of 0":            &Op{Kind: "OPERATOR_NOT"},
		"IN of 1":                      &Op{Kind: "COMPARE_IN", Args: []Expr{x}},
		"operator OPERATOR_NEW":        &Op{Kind: "OPERATOR_NEW", Args: []Expr{x}},
		"the function getvariable":     &Func{Name: "getvariable", Args: []Expr{str("a")}},
		"the function __internal_sum":  &Func{Name: "__internal_sum", Args: []Expr{x}},
		"a range test of a volatile":   &Between{X: &Func{Name: "random"}, Low: x, High: x, LowIncluded: true},
		"struct_pack of 0":             &Func{Name: "struct_pack", Args: []Expr{x}},
		"struct_insert without a name": &Func{Name: "struct_insert", Args: []Expr{x, x}},
		"list_transform of 0":          &Func{Name: "list_transform", Lambda: &Lambda{Params: 1}},
		"a lambda's column 2":          &Func{Name: "list_transform", Args: []Expr{x}, Lambda: &Lambda{Params: 1, Body: &Ref{Index: 2}}},
		"a lambda's column -1":         &Func{Name: "list_transform", Args: []Expr{x}, Lambda: &Lambda{Params: 1, Body: &Ref{Index: -1}}},
		"a constant of type NEW":       constant(Value{Type: Type{ID: "NEW"}, Text: "1"}),
		"a struct of 0 of 2":           constant(Value{Type: of("MAP", integer.T, integer.T), Children: []Value{{}}}),
		"a union of 1 children":        constant(Value{Type: of("UNION", integer.T), Children: []Value{{}}}),
		`a union of tag "1"`:           constant(Value{Type: of("UNION", integer.T), Children: []Value{{Type: Type{ID: "UTINYINT"}, Text: "1"}, {Null: true}}}),
		"a struct of 0 of 1":           constant(Value{Type: of("STRUCT", integer.T)}),
	} {
		if s, err := RenderExpr(e, func(int) string { return "x" }); !errors.Is(err, ErrUnrendered) || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %q, %v", want, s, err)
		}
	}
}

// TestHiveKeys: the folders of a path that name a column and a value, but not its file.
func TestHiveKeys(t *testing.T) {
	for path, want := range map[string]string{
		"/a/year=2020/month=01/x.parquet": "year month", "year=1/a=b.parquet": "year", "a=b": "", "": "", "/=x/y": "", "/a=b=c/y": "a", "/k=/y": "k",
	} {
		if got := strings.Join(hiveKeys(path), " "); got != want {
			t.Errorf("%q: %q, not %q", path, got, want)
		}
	}
}

// TestExtractPath: a pushed extract leads through structs with names, or nowhere.
func TestExtractPath(t *testing.T) {
	integer := Type{ID: "INTEGER"}
	typ := of("STRUCT", integer, of("STRUCT", integer, integer), of("LIST", integer), Type{ID: "STRUCT", Fields: []Field{{Type: integer}}})
	step := func(at string, below string) string {
		return `{"index":` + at + `,"index_type":"` + map[bool]string{true: pushedExtract, false: "FULL"}[below != ""] + `","child_indexes":[` + below + `]}`
	}
	for text, want := range map[string]string{
		step("0", step("0", "")): "a", step("0", step("1", step("1", ""))): "b b", step("0", step("4", "")): "", step("0", step("-1", "")): "",
		step("0", step("2", step("0", ""))): "", step("0", step("3", step("0", ""))): "", step("0", step("0", "")+","+step("1", "")): "", step("0", ""): "",
	} {
		o, err := parse([]byte(text))
		if err != nil {
			t.Fatal(text, err)
		}
		if got := strings.Join(extractPath(typ, o), " "); got != want {
			t.Errorf("%s: %q, not %q", text, got, want)
		}
	}
}
