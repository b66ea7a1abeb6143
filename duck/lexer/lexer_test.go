package lexer

import (
	"errors"
	"fmt"
	"strings"
	"testing"
)

// letters name the kinds in tables.
var letters = map[Kind]string{Space: "_", Comment: "c", Word: "w", Quoted: "q", String: "s", Number: "n", Punct: "p"}

// cut shows the tokens of a text: each with its kind's letter, parted by bars.
func cut(s string) string {
	toks, err := Lex(s)
	var out []string
	for _, t := range toks {
		out = append(out, letters[t.Kind]+t.In(s))
	}
	switch {
	case errors.Is(err, ErrOpen):
		out = append(out, "open")
	case err != nil:
		out = append(out, "zero")
	}
	return strings.Join(out, "|")
}

func TestLex(t *testing.T) {
	for _, c := range []struct{ sql, want string }{
		{"", ""},
		{"SELECT a,b", "wSELECT|_ |wa|p,|wb"},
		{"a\t\n\f\r b", "wa|_\t\n\f\r |wb"},
		{"a\vb", "wa|p\v|wb"},
		{"a\u00a0b\u3000\ufeffc", "wa|_\u00a0|wb|_\u3000\ufeff|wc"},
		{"naïve é", "wnaïve|_ |wé"},
		{"a$x$ b_1", "wa$x$|_ |wb_1"},

		{"a -- b\nc", "wa|_ |c-- b|_\n|wc"},
		{"a -- b\rc", "wa|_ |c-- b|_\r|wc"},
		{"a--", "wa|c--"},
		{"a/* /* b */ c */d", "wa|c/* /* b */ c */|wd"},
		{"a/*/*/ */ */b", "wa|c/*/*/ */ */|wb"},
		{"a/**/b//*c*/d+--", "wa|c/**/|wb|p/|c/*c*/|wd|p+|c--"},
		{"a /* b", "wa|_ |open"},
		{"/*/", "open"},

		{"'a''b' ''", "s'a''b'|_ |s''"},
		{`'a\' b`, `s'a\'|_ |wb`},
		{`E'a\'b' e'\\'`, `sE'a\'b'|_ |se'\\'`},
		{`ee'a'`, `wee|s'a'`},
		{"'a'\n'b'", "s'a'\n'b'"},
		{"'a' -- x\r\n -- y\n 'b' 'c'", "s'a' -- x\r\n -- y\n 'b'|_ |s'c'"},
		{"'a' /* \n */ 'b'", "s'a'|_ |c/* \n */|_ |s'b'"},
		{"'a' 'b'", "s'a'|_ |s'b'"},
		{"'a'\n\"b\"", "s'a'|_\n|q\"b\""},
		{`e'a'` + "\n" + `'\'b'`, `se'a'` + "\n" + `'\'b'`},
		{"'a'\n'b", "open"},
		{"'a", "open"},
		{`e'\'`, "open"},
		{"u&'a' U&\"b\" u&c n'd'", "su&'a'|_ |qU&\"b\"|_ |wu|p&|wc|_ |wn|s'd'"},

		{`"a""b" ""`, `q"a""b"|_ |q""`},
		{`"a\"`, `q"a\"`},
		{`"a`, "open"},

		{"$$a'$$ $x$ $$ $x1$ $x$", "s$$a'$$|_ |s$x$ $$ $x1$ $x$"},
		{"$é$a$é$ $_$b$_$", "s$é$a$é$|_ |s$_$b$_$"},
		{"$x$a$X$", "open"},
		{"$1 $1a $a $ $a b$ $1$$", "p$1|_ |p$1|wa|_ |p$|wa|_ |p$|_ |p$|wa|_ |wb$|_ |p$1|open"},
		{"?1 ?a ?1.5", "p?1|_ |p?|wa|_ |p?1|n.5"},

		{"1 1.5 .5 1. 1e5 1.e-5 .5E+5", "n1|_ |n1.5|_ |n.5|_ |n1.|_ |n1e5|_ |n1.e-5|_ |n.5E+5"},
		{"1_000 1_ 1__0 _1 1_0.0_1e1_0", "n1_000|_ |n1|w_|_ |n1|w__0|_ |w_1|_ |n1_0.0_1e1_0"},
		{"1e 1ex 1e- 0x1f 1a$x$", "n1|we|_ |n1|wex|_ |n1|we|p-|_ |n0|wx1f|_ |n1|wa$x$"},
		{"1..2 a.1 a..b 1.2.3", "n1|p..|n2|_ |wa|n.1|_ |wa|p..|wb|_ |n1.2|n.3"},
		{"x'1f' B'01' x'a''b' x'a'\n'b'", "nx'1f'|_ |nB'01'|_ |nx'a'|s'b'|_ |nx'a'\n'b'"},
		{"x'1", "open"},

		{"a\x00b", "wa|zero"},
		{"'a\x00b'", "zero"},
		{"-- a\x00b", "c-- a|zero"},
	} {
		if got := cut(c.sql); got != c.want {
			t.Errorf("%q\n got %q\nwant %q", c.sql, got, c.want)
		}
	}
}

func TestOpenErrors(t *testing.T) {
	for sql, want := range map[string]string{
		"SELECT 'it":                    `a string that starts at "'it" is not closed`,
		`"x`:                            `a quoted identifier that starts at "\"x" is not closed`,
		"/* " + strings.Repeat("é", 40): `a comment that starts at "/* ` + strings.Repeat("é", 18) + `…" is not closed`,
		"x'":                            `a bit string that starts at "x'" is not closed`,
	} {
		if _, err := Lex(sql); fmt.Sprint(err) != want {
			t.Errorf("%q: %v, want %s", sql, err, want)
		}
	}
}

func TestValue(t *testing.T) {
	for sql, want := range map[string]string{
		`'it''s'`:                     "it's",
		"'a'\n'b' -- x\n'c'":          "abc",
		"'a'\n''":                     "a",
		`''''`:                        "'",
		`e'a''b\'c\\d\n\t\r\b\f\v\q'`: "a'b'c\\d\n\t\r\b\fvq",
		`E'\x41\x4a1\x\101\60\0608'`:  "AJ1xA0" + "08",
		"e'a'\n'\\n'":                 "a\n",
		`$$it''s$$`:                   "it''s",
		`$a$$$a$`:                     "$",
		`"a""b"`:                      `a"b`,
		`""`:                          "",
		`"'"`:                         "'",
		`u&'x'`:                       "x",
		`U&"x"`:                       "x",
		`abc`:                         "abc",
		`1.5`:                         "1.5",
		`x'1f'`:                       "x'1f'",
	} {
		toks, err := Lex(sql)
		if err != nil || len(toks) != 1 {
			t.Errorf("%q: %v, %v", sql, toks, err)
			continue
		}
		if got := toks[0].Value(sql); got != want {
			t.Errorf("%q says %q, want %q", sql, got, want)
		}
	}
}

func TestBounds(t *testing.T) {
	for sql, want := range map[string]string{
		"SELECT 1":                     "SELECT 1",
		" ; -- x\n SELECT 1 ; ; -- x":  "SELECT 1",
		"SELECT ';' /* ; */;":          "SELECT ';'",
		"SELECT $$;$$;":                "SELECT $$;$$",
		"SELECT E'\\';' ;":             "SELECT E'\\';'",
		`SELECT 1 AS ";" ;`:            `SELECT 1 AS ";"`,
		"SELECT 1 -- one\n + 2 -- two": "SELECT 1 -- one\n + 2",
		"SELECT 1; SELECT 2;":          "SELECT 1; SELECT 2",
		"":                             "",
		" /* */ ; ":                    "",
		" SELECT 'open ; ":             "SELECT 'open ; ",
		"SELECT 1\x00;":                "SELECT 1\x00;",
		"\u00a0SELECT 1\u00a0":         "SELECT 1",
	} {
		if from, to := Bounds(sql); sql[from:to] != want {
			t.Errorf("%q: %q, want %q", sql, sql[from:to], want)
		}
	}
}

func TestDubious(t *testing.T) {
	for sql, want := range map[string]bool{
		"SELECT 1":                          false,
		"SELECT 'a\u00a0b', \"a\u3000b\"":   false,
		"SELECT é -- \u00a0\n /* \u00a0 */": false,
		"SELECT\u00a01":                     true,
		"SELECT 1\ufeff":                    true,
		"SELECT $a\u00a0b$x$a\u00a0b$":      true,
	} {
		toks, err := Lex(sql)
		if got := Dubious(sql, toks); got != want || err != nil {
			t.Errorf("%q: %t, %v", sql, got, err)
		}
	}
}

// FuzzLex checks that tokens are the whole text, that cutting ends within it, and
// that a text that is cut stays cut alike whatever follows in a line of its own.
func FuzzLex(f *testing.F) {
	for _, s := range []string{"SELECT $a$x$a$ 'b' E'\\'", "/* /* */", "e'a'\n'b'", "1.5e-3..2", "\u00a0", "x'1'--\n'2'", "$1a?2\"b\"\"", "a\x00'"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		toks, err := Lex(s)
		at := 0
		for _, tok := range toks {
			if tok.Start != at || tok.End <= at {
				t.Fatalf("%q: token %v after byte %d", s, tok, at)
			}
			at = tok.End
			_ = tok.Value(s)
		}
		if err == nil != (at == len(s)) {
			t.Fatalf("%q: %v, and the tokens end at %d", s, err, at)
		}
		if from, to := Bounds(s); from > to || to > len(s) {
			t.Fatalf("%q: bounds %d, %d", s, from, to)
		}
		if err != nil {
			return
		}
		more, err := Lex(s + "\n;")
		if err != nil || !strings.HasPrefix(cut(s+"\n;"), strings.TrimSuffix(cut(s), "\n")) {
			t.Fatalf("%q with a line more is cut as %v, %v", s, more, err)
		}
	})
}

// FuzzQuote checks that a quoted text is one token that says the text.
func FuzzQuote(f *testing.F) {
	for _, s := range []string{"", "it's", `"`, "\\", "a\nb", "$$", "--", "日本", "a\u00a0"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		if strings.Contains(s, "\x00") {
			t.Skip("is put together")
		}
		for _, q := range []string{QuoteText(s), QuoteName(s)} {
			toks, err := Lex(q)
			if err != nil || len(toks) != 1 || toks[0].Value(q) != s {
				t.Fatalf("%q quoted is %q: %v, %v", s, q, toks, err)
			}
		}
	})
}

func TestQuoteZero(t *testing.T) {
	if got := QuoteText("a\x00'"); got != "('a' || chr(0) || '''')" {
		t.Error(got)
	}
}
