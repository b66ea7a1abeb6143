package stmt

import (
	"math"
	"math/big"
	"strings"
	"testing"
	"time"

	"github.com/pondmesh/pond/actors/plan"
	"github.com/pondmesh/pond/duck/lexer"
)

func TestBind(t *testing.T) {
	for _, test := range []struct {
		sql  string
		p    Params
		want string // or, after "!", what the error says
	}{
		{"SELECT 1", Params{}, "SELECT 1"},
		{"SELECT $1 + $2, $1", Params{List: []any{1, -2}}, "SELECT (1) + (-2), (1)"},
		{"SELECT 1-?, ?", Params{List: []any{-2, "x"}}, "SELECT 1-(-2), 'x'"},
		{"SELECT ?2, ?1", Params{List: []any{1, 2}}, "SELECT (2), (1)"},
		{"SELECT $a, $B_2 FROM t", Params{Named: map[string]any{"a": nil, "b_2": true}}, "SELECT NULL, TRUE FROM t"},
		{"SELECT '$1 ?', \"?\", $$ $1 $$, $q$ ? $q$ /* $1 */ -- ?", Params{}, "SELECT '$1 ?', \"?\", $$ $1 $$, $q$ ? $q$ /* $1 */ -- ?"},
		{"SELECT $1::DATE", Params{List: []any{"2001-02-03"}}, "SELECT '2001-02-03'::DATE"},
		{"SELECT ?", Params{List: []any{"x'; DROP TABLE t; --"}}, "SELECT 'x''; DROP TABLE t; --'"},
		{"SELECT ?", Params{List: []any{`\'; SELECT 2; --`}}, `SELECT '\''; SELECT 2; --'`},
		{"SELECT $1", Params{List: []any{"$2 ?"}}, "SELECT '$2 ?'"},
		{"SELECT ?", Params{}, "!no value for ?: 0 of 1"},
		{"SELECT $2", Params{List: []any{1}}, "!no value for $2"},
		{"SELECT $x", Params{List: []any{1}}, "!no value for $x"},
		{"SELECT $1", Params{List: []any{1, 2}}, "!than the statement has parameters: 2, not 1"},
		{"SELECT 1", Params{Named: map[string]any{"x": 1}}, "!there is no $x in the statement"},
		{"SELECT ?, $1", Params{List: []any{1, 2}}, "!both ? and $1"},
		{"SELECT $a, $1", Params{List: []any{1}, Named: map[string]any{"a": 1}}, "!with names and without: $a"},
		{"SELECT ?", Params{List: []any{"a\x00b"}}, "!NUL"},
		{"SELECT ?", Params{List: []any{"a\xffb"}}, "!UTF-8"},
		{"SELECT ?", Params{List: []any{struct{}{}}}, "!a struct {} is no SQL value"},
		{"SELECT '", Params{}, "SELECT '"},
		{"SELECT $", Params{}, "SELECT $"},
	} {
		got, err := Bind(test.sql, test.p)
		says, fails := strings.CutPrefix(test.want, "!")
		switch {
		case fails && (err == nil || !strings.Contains(err.Error(), says) || plan.KindOf(err) != plan.KindUser || plan.AsError(err).Hint == ""):
			t.Errorf("%s: got %q, %v, want an error and a hint: %s", test.sql, got, err, says)
		case !fails && (err != nil || got != test.want):
			t.Errorf("%s: got %q, %v, want %q", test.sql, got, err, test.want)
		}
	}
}

func TestConstant(t *testing.T) {
	type name string
	type octet byte
	n := 7
	for _, test := range []struct {
		v    any
		want string
	}{
		{int64(math.MinInt64), "CAST('-9223372036854775808' AS BIGINT)"},
		{uint64(math.MaxUint64), "CAST('18446744073709551615' AS UBIGINT)"},
		{int32(math.MaxInt32), "(2147483647)"},
		{1.5, "CAST('1.5' AS DOUBLE)"},
		{math.Inf(-1), "CAST('-Inf' AS DOUBLE)"},
		{float32(0.1), "CAST('0.1' AS FLOAT)"},
		{new(big.Int).Lsh(big.NewInt(1), 100), "CAST('1267650600228229401496703205376' AS HUGEINT)"},
		{[]byte("a\x00'"), "from_hex('610027')"},
		{[]byte(nil), "NULL"},
		{[2]byte{1, 2}, "from_hex('0102')"},
		{[]octet{0xab, 0}, "from_hex('ab00')"},
		{[]byte{}, "from_hex('')"},
		{(*big.Int)(nil), "NULL"},
		{int32(math.MinInt32), "CAST('-2147483648' AS BIGINT)"},
		{float32(math.MaxFloat32), "CAST('3.4028235e+38' AS FLOAT)"},
		{math.Copysign(0, -1), "CAST('-0' AS DOUBLE)"},
		{[][]*int{{&n, nil}, nil}, "[[(7), NULL], NULL]"},
		{time.Date(12024, 2, 29, 23, 59, 59, 999999000, time.UTC), "CAST('12024-02-29 23:59:59.999999' AS TIMESTAMP)"},
		{-time.Microsecond, "to_microseconds(CAST('-1' AS BIGINT))"},
		{name("n"), "'n'"},
		{&n, "(7)"},
		{(*int)(nil), "NULL"},
		{[]string{"a", "it's"}, "['a', 'it''s']"},
		{[]any{1, nil, []int{}}, "[(1), NULL, []]"},
		{90 * time.Second, "to_microseconds(CAST('90000000' AS BIGINT))"},
		{time.Date(2001, 2, 3, 4, 5, 6, 7000, time.FixedZone("", 3600)), "CAST('2001-02-03 03:05:06.000007' AS TIMESTAMP)"},
		{time.Date(2001, 2, 3, 4, 5, 6, 7, time.UTC), "CAST('2001-02-03 04:05:06.000000007' AS TIMESTAMP_NS)"},
		{time.Date(-43, 3, 15, 0, 0, 0, 0, time.UTC), "CAST('0044-03-15 (BC) 00:00:00.000000' AS TIMESTAMP)"},
	} {
		if got, err := Constant(test.v); err != nil || got != test.want {
			t.Errorf("%T %v: %s, %v, want %s", test.v, test.v, got, err, test.want)
		}
	}
	for v, says := range map[any]string{complex(1, 2): "complex128", [1]any{struct{}{}}: "struct", name("a\x00"): "NUL", [1]string{"\xff"}: "UTF-8", new(chan int): "chan"} {
		if got, err := Constant(v); err == nil || !strings.Contains(err.Error(), says) {
			t.Errorf("%T: %s, %v", v, got, err)
		}
	}
	var deep any = 1
	for range 2 * nestingMax {
		deep = []any{deep}
	}
	if _, err := Constant(deep); err == nil {
		t.Error("a list without end is taken")
	}
}

func TestParseParams(t *testing.T) {
	for typed, want := range map[string]string{
		"42": "(42)", "-1.5e3": "(-1.5e3)", "0": "(0)", "0.5": "(0.5)", "007": "'007'", "1.": "'1.'", "1e": "'1e'", "1e+-5": "'1e+-5'", "--5": "'--5'",
		"true": "TRUE", "NULL": "NULL", "": "''", "'42'": "'42'", "'it''s'": "'it''s'", "it's": "'it''s'", "'a' || 'b'": "'''a'' || ''b'''",
		"2001-02-03": "'2001-02-03'", "1; DROP TABLE t": "'1; DROP TABLE t'", "'a=b'": "'a=b'", "1=2": "'1=2'", "$$x$$": "'$$x$$'",
	} {
		p, err := ParseParams([]string{typed})
		if err != nil || len(p.List) != 1 {
			t.Errorf("%q: %+v, %v", typed, p, err)
			continue
		}
		if got, err := Constant(p.List[0]); err != nil || got != want {
			t.Errorf("%q: %s, %v, want %s", typed, got, err, want)
		}
	}
	p, err := ParseParams([]string{"Day=2001-02-03", "n=5", "x=a=b", "e="})
	if err != nil || p.Named["day"] != "2001-02-03" || p.Named["n"] != literal("5") || p.Named["x"] != "a=b" || p.Named["e"] != "" || len(p.List) > 0 {
		t.Errorf("%+v, %v", p, err)
	}
	for _, bad := range [][]string{{"a=1", "A=2"}, {"a=1", "2"}} {
		if _, err := ParseParams(bad); err == nil {
			t.Errorf("%q are taken", bad)
		}
	}
}

// TestParamsOfScripts: each statement has its own part of the values.
func TestParamsOfScripts(t *testing.T) {
	p := Params{Named: map[string]any{"a": 1, "b": 2}}
	if got := p.For("SELECT $a, $a, $c"); len(got.Named) != 1 || got.Named["a"] != 1 {
		t.Errorf("%+v", got)
	}
	if err := p.CheckUsed([]string{"SELECT $a", "SELECT 1", "SELECT $b"}); err != nil {
		t.Error(err)
	}
	if err := p.CheckUsed([]string{"SELECT $a", "SELECT '$b'"}); err == nil || !strings.Contains(err.Error(), "$b") {
		t.Error(err)
	}
	counted := Params{List: []any{1}}
	if got := counted.For("SELECT 1"); len(got.List) != 0 {
		t.Errorf("%+v", got)
	}
	if counted.CheckUsed([]string{"SELECT ?", "SELECT 1"}) != nil || counted.CheckUsed([]string{"SELECT 1"}) == nil {
		t.Error("values without names")
	}
}

// FuzzBind: whatever a text holds, it is one constant of the statement, and the same
// text.
func FuzzBind(f *testing.F) {
	for _, s := range []string{"", "'", "''", "\\'", "$$", "$1", "--", "/*", "\n;", "é"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		got, err := Bind("SELECT ?, 1", Params{List: []any{s}})
		if err != nil {
			return // NUL, or no UTF-8
		}
		toks, err := lexer.Lex(got)
		toks = lexer.Solid(toks)
		if err != nil || len(toks) != 4 || toks[1].Kind != lexer.String || unquote(toks[1].In(got)) != s {
			t.Errorf("%q: %q, %v", s, got, err)
		}
		typed, err := Constant(Value(s))
		if err != nil {
			t.Fatal(err)
		}
		if list, _ := Split("SELECT " + typed + ";"); len(list) != 1 || strings.ContainsAny(strings.Trim(typed, "()"), ";") && typed[0] != '\'' {
			t.Errorf("typed %q: %q", s, typed)
		}
	})
}
