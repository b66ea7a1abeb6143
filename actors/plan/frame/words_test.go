package frame

import (
	"strings"
	"testing"
)

func TestScanWords(t *testing.T) {
	functions := map[string]string{"pure": "3", "impure": ""}
	for _, tc := range []struct {
		sql  string
		want traits
	}{
		{"a + b", traits{}},
		{"random, now, 'random()', \"now\" -- random()", traits{}},
		{"random ( )", traits{volatile: true}},
		{`"random"()`, traits{volatile: true}},
		{"current_date", traits{volatile: true}},
		{"get_current_timestamp()", traits{volatile: true}},
		{"nextval('s')", traits{volatile: true}},
		{"first(a)", traits{unordered: true}},
		{"first", traits{}},
		{"pure(a) + PURE(b)", traits{versions: []string{"pure@3"}}},
		{"impure(a)", traits{volatile: true, versions: []string{"impure@"}}},
		{"pure", traits{}},
		{"theirs(a)", traits{volatile: true, versions: []string{"theirs@"}}},
		{"(SELECT a FROM t ORDER BY a)", traits{clause: true}},
		{"SELECT a FROM t ORDER /* x */ BY a", traits{clause: true, sorted: true}},
		{"SELECT sum(a) OVER (ORDER BY b) FROM t", traits{clause: true}},
		{"SELECT a FROM t LIMIT 3", traits{clause: true, unordered: true}},
		{"SELECT DISTINCT ON (a) a, b FROM t", traits{clause: true, unordered: true}},
		{"PIVOT t ON a", traits{table: true}},
		{"'open", traits{volatile: true, unordered: true, clause: true}},
	} {
		got := scanWords(tc.sql, functions, func(name string) bool { return name == "theirs" })
		if got.volatile != tc.want.volatile || got.unordered != tc.want.unordered || got.sorted != tc.want.sorted || got.table != tc.want.table ||
			got.clause != tc.want.clause || strings.Join(got.versions, " ") != strings.Join(tc.want.versions, " ") {
			t.Errorf("%q is %+v, want %+v", tc.sql, got, tc.want)
		}
	}
}

func TestPlainColumn(t *testing.T) {
	for s, want := range map[string]string{"a": "a", ` "A ""b" `: `A "b`, "a.b": "", "a + 1": "", "*": "", "current_date": "", "NULL": "", "'a'": "", "1": ""} {
		if got, ok := plainColumn(s); ok != (want != "") || ok && got != want {
			t.Errorf("%q is %q, %t", s, got, ok)
		}
	}
}

// FuzzWords checks that any text has traits, and that only a name is a column.
func FuzzWords(f *testing.F) {
	for _, s := range []string{"a", `"b c"`, `"("`, "SELECT now() ORDER BY 1", "PIVOT", "'", "E'\\"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		scanWords(s, map[string]string{"f": "1"}, nil)
		if name, ok := plainColumn(s); ok && name == "" && !strings.Contains(s, `""`) {
			t.Errorf("%q is a column without a name", s)
		}
	})
}
