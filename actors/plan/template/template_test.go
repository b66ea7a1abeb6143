package template

import (
	"strings"
	"testing"

	"pgregory.net/rapid"

	"github.com/pondmesh/pond/duck/lexer"
)

func TestTemplate(t *testing.T) {
	for _, tc := range []struct {
		about, sql string
		inputs     int
		want, err  string
	}{
		{"inputs", "SELECT * FROM {0} JOIN {1}", 2, `SELECT * FROM "v0" JOIN "v1"`, ""},
		{"columns of inputs", "SELECT {0}.a FROM {0}", 1, `SELECT "v0".a FROM "v0"`, ""},
		{"placeholders of a task are kept", "SELECT {partition}, {partitions}, {seed}", 1, "SELECT {partition}, {partitions}, {seed}", ""},
		{"struct literals", "SELECT {'a': {'b': 1}}, {a: {b: {c: 1}}} FROM {0}", 1, `SELECT {'a': {'b': 1}}, {a: {b: {c: 1}}} FROM "v0"`, ""},
		{"escaped braces", "SELECT {{'a': 1}} FROM {0}", 1, `SELECT {'a': 1} FROM "v0"`, ""},
		{"escaped around plain", "SELECT {{'a': {'b': 1}}}", 1, "SELECT {'a': {'b': 1}}", ""},
		{"plain around escaped", "SELECT {'a': {{'b': 1}}}", 1, "SELECT {'a': {'b': 1}}", ""},
		{"escaped twice", "SELECT {{'a': {{'b': 1}}}}", 1, "SELECT {'a': {'b': 1}}", ""},
		{"map", "SELECT MAP {'k': 1, {0}.b: {'x': 2}}", 1, `SELECT MAP {'k': 1, "v0".b: {'x': 2}}`, ""},
		{"in a string", "SELECT '{0} {{ }} it''s {9}' FROM {0}", 1, `SELECT '{0} {{ }} it''s {9}' FROM "v0"`, ""},
		{"in an escape string", `SELECT E'\'{9}' FROM {0}`, 1, `SELECT E'\'{9}' FROM "v0"`, ""},
		{"in a dollar string", "SELECT $$ '{9} $$, $x$ {9} $$ $x$ FROM {0}", 1, `SELECT $$ '{9} $$, $x$ {9} $$ $x$ FROM "v0"`, ""},
		{"a parameter is no dollar string", "SELECT $1, {0}.a, $2", 1, `SELECT $1, "v0".a, $2`, ""},
		{"in a quoted identifier", `SELECT "{9}""{8}" FROM {0}`, 1, `SELECT "{9}""{8}" FROM "v0"`, ""},
		{"in comments", "SELECT /* {9} /* {8} */ {7} */ 1 -- {6}\nFROM {0}", 1, "SELECT /* {9} /* {8} */ {7} */ 1 -- {6}\nFROM \"v0\"", ""},
		{"trimmed", " \n SELECT 1 ; ;\n-- end", 0, "SELECT 1", ""},
		{"an input that is not there", "SELECT * FROM {2}", 2, "", "{2} is read, but the step has 2 inputs"},
		{"an unknown name", "SELECT {rand_seed}", 1, "", "{rand_seed} is no placeholder"},
		{"two statements", "SELECT 1; DROP TABLE x", 0, "", `another follows the ; before "DROP TABLE x"`},
		{"nothing", " -- only this", 0, "", "the SQL is empty"},
		{"open string", "SELECT 'a", 0, "", "not closed"},
		{"open identifier", `SELECT "a`, 0, "", "not closed"},
		{"open comment", "SELECT /* /* */ 1", 0, "", "not closed"},
		{"open dollar string", "SELECT $a$ 1 $b$", 0, "", "not closed"},
	} {
		got, err := Parse(tc.sql, tc.inputs)
		switch {
		case tc.err != "":
			if err == nil || !strings.Contains(err.Error(), tc.err) {
				t.Errorf("%s: error %v, want %q", tc.about, err, tc.err)
			}
		case err != nil:
			t.Errorf("%s: %v", tc.about, err)
		default:
			if s := got.Render([]string{"v0", "v1"}); s != tc.want {
				t.Errorf("%s:\n got  %s\n want %s", tc.about, s, tc.want)
			}
		}
	}
}

func TestTemplateReads(t *testing.T) {
	got, err := Parse("SELECT {0}.a, {1}.b FROM {0} JOIN {0} JOIN {1}", 3)
	if err != nil {
		t.Fatal(err)
	}
	for i, want := range []int{2, 1, 0} {
		if got.Reads(i) != want {
			t.Errorf("input %d is read %d times, want %d", i, got.Reads(i), want)
		}
	}
	if got.Names(2) || !got.Names(1) {
		t.Error("names is wrong")
	}
}

// Pieces of SQL with what they become, put together at random.
func TestTemplatePieces(t *testing.T) {
	var piece func(t *rapid.T, depth int) (in, out string)
	piece = func(t *rapid.T, depth int) (string, string) {
		same := func(s string) (string, string) { return s, s }
		hi := 11
		if depth == 0 {
			hi = 8
		}
		inner := func() (string, string) { return piece(t, depth-1) }
		switch rapid.IntRange(0, hi).Draw(t, "piece") {
		case 0:
			return "{0}", `"v0"`
		case 1:
			return "{1}.c", `"v1".c`
		case 2:
			return same("'{0} {{ ''{x}'")
		case 3:
			return same(`"{0}}"`)
		case 4:
			return same("/* {0 /* }} */ ' */")
		case 5:
			return same("-- {0} ' \n")
		case 6:
			return same("$q$ {5} ' $q$")
		case 7:
			return same("{partition}")
		case 8:
			return same("a + 1.5e3")
		case 9:
			in, out := inner()
			return "{'k': " + in + "}", "{'k': " + out + "}"
		case 10:
			in, out := inner()
			return "{{k: " + in + "}}", "{k: " + out + "}"
		}
		in, out := inner()
		in2, out2 := inner()
		return "(" + in + ", " + in2 + ")", "(" + out + ", " + out2 + ")"
	}
	rapid.Check(t, func(t *rapid.T) {
		in, want := piece(t, 4)
		got, err := Parse("x "+in+" y", 2)
		if err != nil {
			t.Fatalf("%q: %v", in, err)
		}
		if s := got.Render([]string{"v0", "v1"}); s != "x "+want+" y" {
			t.Fatalf("%q\n got  %q\n want %q", in, s, "x "+want+" y")
		}
	})
}

func FuzzTemplate(f *testing.F) {
	for _, s := range []string{"SELECT {0}", "{{{0}}}", "'", "$$", "E'\\", "/*", "{'a': {b: 1}}", "}", "{{", "é{0}é", "a--", "$a$b$a$", "{seed}"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		toks, err := lexer.Lex(s)
		if err == nil {
			at := 0
			for _, tok := range toks {
				if tok.Start != at || tok.End <= at {
					t.Fatalf("token %+v does not follow %d", tok, at)
				}
				at = tok.End
			}
			if at != len(s) {
				t.Fatalf("the tokens end at %d of %d", at, len(s))
			}
		}
		tpl, err := Parse(s, 2)
		if err != nil {
			return
		}
		out := tpl.Render([]string{"v0", "v1"})
		if !strings.ContainsAny(s, "{}") && !strings.Contains(s, out) {
			t.Fatalf("%q became %q", s, out)
		}
		if bound := Fill(out, map[string]string{"partition": "1", "partitions": "2", "seed": "3"}); !strings.Contains(out, "{") && bound != out {
			t.Fatalf("%q was bound to %q", out, bound)
		}
		SplitTerm(s)
		OneValue(s)
	})
}

func TestSplitTerm(t *testing.T) {
	for term, want := range map[string][2]string{
		"a":                             {"a", "ASC NULLS LAST"},
		"a DESC":                        {"a", "DESC NULLS LAST"},
		"lower(a) asc nulls first":      {"lower(a)", "ASC NULLS FIRST"},
		`"desc" DESC NULLS LAST -- why`: {`"desc"`, "DESC NULLS LAST"},
		"a /* x */ DESC":                {"a", "DESC NULLS LAST"},
		"'desc'":                        {"'desc'", "ASC NULLS LAST"},
	} {
		expr, order, err := SplitTerm(term)
		if err != nil || expr != want[0] || order != want[1] {
			t.Errorf("%q is %q, %q, %v; want %q", term, expr, order, err, want)
		}
	}
	if _, _, err := SplitTerm("DESC NULLS LAST"); err == nil {
		t.Error("a term without an expression is taken")
	}
}
