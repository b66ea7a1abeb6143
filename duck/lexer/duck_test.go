//go:build duckdb_arrow

package lexer_test

import (
	"encoding/json"
	"errors"
	"flag"
	"math/rand/v2"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/pondmesh/pond/duck"
	"github.com/pondmesh/pond/duck/lexer"
)

var texts = flag.Int("texts", 2000, "how many random texts a test compares")

func open(t testing.TB) *duck.Engine {
	t.Helper()
	e, err := duck.Open(t.Context(), duck.Config{Threads: 1})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = e.Close() })
	return e
}

// pieces are what random texts are made of: each matters to some rule.
var pieces = strings.Split(`a|b1|_c|é|e|E|x|n|u&|a$|SELECT|AS|FROM|'|''|"|""|\|\'|$|$$|$a$|$1|?|?2|1|0|12_3|1.|.5|.|..|1e5|1e|e-|+|-|--|/|*|/*|*/|(|)|[|]|,|;|:|::|=|->|{|}|#|@|!`+
	"| |\t|\n|\r|\r\n|\f|'x'|'y z'|E'\\n'|\"q\"|b'01'|x'ff'| -- c\n|/* c */|'\n'", "|")

// noise is a text of up to n random pieces.
func noise(r *rand.Rand, n int) string {
	var b strings.Builder
	for range r.IntN(n) + 1 {
		b.WriteString(pieces[r.IntN(len(pieces))])
	}
	return b.String()
}

func seeded(t *testing.T) *rand.Rand {
	seed := uint64(time.Now().UnixNano())
	t.Logf("seed %d", seed)
	return rand.New(rand.NewPCG(seed, 0))
}

// DuckDB says where a text goes wrong: at one of its tokens, or at the end. So
// every such place begins a token here. And what never ends never ends for both.
func TestDuckDBCutsAlike(t *testing.T) {
	e, r := open(t), seeded(t)
	placed, unclosed := 0, 0
	for range *texts {
		sql := "SELECT " + noise(r, 12)
		_, failed := e.Parse(t.Context(), sql)
		var de *duck.Error
		if failed == nil {
			if _, err := lexer.Lex(sql); err != nil {
				t.Fatalf("%q: DuckDB reads it, but %v", sql, err)
			}
			continue
		}
		if !errors.As(failed, &de) {
			t.Fatalf("%q: %v", sql, failed)
		}
		toks, err := lexer.Lex(sql)
		if strings.Contains(de.Message, "unterminated") {
			unclosed++
			if !errors.Is(err, lexer.ErrOpen) {
				t.Fatalf("%q: %v, but here nothing is open", sql, failed)
			}
			continue
		}
		if de.Position < 0 || !strings.Contains(de.Message, "syntax error at or near") || de.Position > utf8.RuneCountInString(sql) {
			continue
		}
		placed++
		at := len(string([]rune(sql)[:de.Position])) // DuckDB counts characters
		if !slices.ContainsFunc(toks, func(t lexer.Token) bool { return t.Start == at }) && at != len(sql) {
			t.Fatalf("%q: %v at byte %d, where no token begins: %v", sql, failed, at, toks)
		}
	}
	if placed < *texts/20 || unclosed < *texts/20 {
		t.Errorf("only %d texts have a place, and %d are open", placed, unclosed)
	}
}

var location = regexp.MustCompile(`"query_location":\d+`)

// tree is what DuckDB makes of a text, without the places.
func tree(t *testing.T, e *duck.Engine, sql string) (string, bool) {
	t.Helper()
	out, err := e.Parse(t.Context(), sql)
	return location.ReplaceAllString(string(out), `"query_location":0`), err == nil
}

// spread is the text with one blank wherever its tokens do not touch. DuckDB takes
// "->" for another operator right before a comment: there a comment stays one.
func spread(sql string, toks []lexer.Token) string {
	var b strings.Builder
	solid := lexer.Solid(toks)
	for i, tok := range solid {
		b.WriteString(tok.In(sql))
		rest, last := sql[tok.End:], i == len(solid)-1
		switch {
		case tok.Kind == lexer.Punct && (strings.HasPrefix(rest, "--") || strings.HasPrefix(rest, "/*")):
			b.WriteString("/**/")
		case !last && solid[i+1].Start > tok.End:
			b.WriteString(" ")
		}
	}
	return b.String()
}

// TestDuckDBReadsAlike checks that texts which DuckDB understands mean the same
// when what stands between their tokens is another, and end where they end here.
func TestDuckDBReadsAlike(t *testing.T) {
	e, r := open(t), seeded(t)
	read := 0
	for range *texts {
		var list []string
		for range r.IntN(4) + 1 {
			list = append(list, noise(r, 3))
		}
		sql := "SELECT " + strings.Join(list, pick(r, ",", ", ", " , /* x */", ";SELECT ", " AS a,", "+", "\n", "--\n,"))
		want, ok := tree(t, e, sql)
		if !ok {
			continue
		}
		read++
		toks, err := lexer.Lex(sql)
		if err != nil {
			t.Fatalf("%q: DuckDB reads it, but %v", sql, err)
		}
		again := spread(sql, toks)
		if got, ok := tree(t, e, again); !ok || got != want {
			t.Fatalf("%q means\n%s, but %q\n%s", sql, want, again, got)
		}
		if n := statements(sql, toks); n != count(t, want) {
			t.Fatalf("%q: %d statements, but DuckDB reads %d", sql, n, count(t, want))
		}
	}
	if read < *texts/20 {
		t.Errorf("DuckDB read only %d texts", read)
	}
}

func pick(r *rand.Rand, of ...string) string { return of[r.IntN(len(of))] }

// statements counts what semicolons part.
func statements(sql string, toks []lexer.Token) (n int) {
	inside := false
	for _, tok := range lexer.Solid(toks) {
		semicolon := tok.In(sql) == ";"
		if !semicolon && !inside {
			n++
		}
		inside = !semicolon
	}
	return n
}

func count(t *testing.T, tree string) int {
	t.Helper()
	var parsed struct{ Statements []struct{} }
	if err := json.Unmarshal([]byte(strings.ReplaceAll(tree, ":Infinity", ":1")), &parsed); err != nil {
		t.Fatalf("%v: %s", err, tree)
	}
	return len(parsed.Statements)
}

// TestDuckDBMeansAlike checks what strings and quoted names say.
func TestDuckDBMeansAlike(t *testing.T) {
	e, r := open(t), seeded(t)
	inner := []string{"a", "é", "''", `\\`, `\'`, `\n`, `\t`, `\q`, `\x41`, `\x4`, `\xg`, `\101`, `\60`, `\0608`, `""`, "$", " ", "\n", "--", "/*", "'\n'", "' -- x\n\t'", "1"}
	said := 0
	for range *texts {
		var b strings.Builder
		for range r.IntN(6) {
			b.WriteString(inner[r.IntN(len(inner))])
		}
		text := b.String()
		constant := pick(r, "'"+text+"'", "E'"+text+"'", "e'"+text+"'", "$$"+text+"$$", "$a$"+text+"$a$")
		name := `"` + text + `"`
		for _, c := range []struct{ piece, sql, key string }{{constant, "SELECT " + constant, "value"}, {name, "SELECT 1 AS " + name, "alias"}} {
			parsed, err := e.Parse(t.Context(), c.sql)
			if err != nil {
				continue
			}
			toks, err := lexer.Lex(c.piece)
			if err != nil || len(toks) != 1 {
				continue // more than one, as 'a'b
			}
			said++
			if got := said1(t, parsed, c.key); got != toks[0].Value(c.piece) {
				t.Fatalf("%q says %q, but DuckDB reads %q", c.piece, toks[0].Value(c.piece), got)
			}
		}
	}
	if said < *texts/20 {
		t.Errorf("only %d texts were compared", said)
	}
}

// said1 is a value of the only column of a tree: its alias or its constant.
func said1(t *testing.T, tree []byte, key string) string {
	t.Helper()
	var parsed struct {
		Statements []struct {
			Node struct {
				List []struct {
					Alias string
					Value struct{ Value any }
				} `json:"select_list"`
			}
		}
	}
	if err := json.Unmarshal(tree, &parsed); err != nil || len(parsed.Statements) != 1 {
		t.Fatalf("%v: %s", err, tree)
	}
	column := parsed.Statements[0].Node.List[0]
	if key == "alias" {
		return column.Alias
	}
	s, _ := column.Value.Value.(string)
	return s
}

// TestDuckDBBlanks checks that DuckDB takes for blanks what is one here, and
// nothing else of what Unicode has.
func TestDuckDBBlanks(t *testing.T) {
	e := open(t)
	for c := rune(1); c < 0x10000; c++ {
		if c > 0x250 && !unicode.In(c, unicode.Z, unicode.Cc, unicode.Cf, unicode.White_Space) && c != 0x3164 {
			continue // a letter, or like one
		}
		sql := "SELECT 1 AS" + string(c) + "b"
		toks, err := lexer.Lex(sql)
		if err != nil {
			continue
		}
		parsed, err := e.Parse(t.Context(), sql)
		blank := err == nil && said1(t, parsed, "alias") == "b"
		if blank != (len(toks) == 7 && toks[5].Kind == lexer.Space) {
			t.Errorf("%q: a blank for DuckDB: %t, and here %v", sql, blank, toks)
		}
	}
}
