package stmt

import (
	"strings"

	"github.com/pondmesh/pond/duck/lexer"
	"github.com/pondmesh/pond/duck/tree"
)

// Rename replaces the names of the tables and files that a query reads, by its
// tokens alone. It serves statements for which DuckDB gives no syntax tree, and
// keeps a text as written where a tree gives the new names. table is called for
// each quoted name or string in the position of a table, file for each argument
// of a function that reads files (reader is its name). Both return the new name.
func Rename(sql string, table func(name string) string, file func(reader, name string) string) string {
	r := &renamer{sql: sql, table: table, file: file, levels: []level{{}}}
	toks, _ := lexer.Lex(sql)
	r.toks = lexer.Solid(toks)
	for r.i = range r.toks {
		r.next()
	}
	r.out.WriteString(sql[r.done:])
	return r.out.String()
}

// Identifiers are the words and quoted names of a query, in lower case: every
// table that it reads is among them.
func Identifiers(sql string) map[string]bool {
	out := map[string]bool{}
	toks, _ := lexer.Lex(sql)
	for _, t := range toks {
		if t.Kind == lexer.Word || t.Kind == lexer.Quoted || t.Kind == lexer.String {
			out[strings.ToLower(t.Value(sql))] = true
		}
	}
	return out
}

// MayPivot reports whether a query may be one whose columns DuckDB finds in the
// data. It has no syntax tree then.
func MayPivot(query string) bool {
	words := Identifiers(query)
	return words["pivot"] || words["pivot_wider"]
}

// level is the state of the walk between a bracket and its end.
type level struct {
	from  bool   // in a FROM clause: commas part tables
	list  bool   // of list elements
	files string // in the first argument of this function, which reads files
	table bool   // a table may stand next
}

type renamer struct {
	sql    string
	toks   []lexer.Token
	i      int
	table  func(name string) string
	file   func(reader, name string) string
	levels []level
	done   int // bytes of sql that are in out
	out    strings.Builder
}

var (
	tableWords = words("from join pivot unpivot pivot_wider pivot_longer summarize describe desc show table")
	// fromEnds are the words that end a FROM clause. ON, USING and AS do not: a
	// comma after their clause separates tables again. In a PIVOT it separates
	// columns, which are not named like files.
	fromEnds = words("select where group having window qualify order limit offset union intersect except sample values set")
)

func (r *renamer) next() {
	top := &r.levels[len(r.levels)-1]
	t := r.toks[r.i]
	s := t.In(r.sql)
	expected := top.table
	top.table = false
	switch t.Kind {
	case lexer.Word:
		r.word(top, strings.ToLower(s))
	case lexer.String, lexer.Quoted:
		r.name(top, t, expected)
	case lexer.Punct:
		switch s {
		case "(":
			in := level{}
			if r.i > 0 && tree.IsReader(r.toks[r.i-1].Value(r.sql)) {
				in.files = r.toks[r.i-1].Value(r.sql)
			}
			if expected {
				in.from, in.table = true, true
			}
			r.levels = append(r.levels, in)
		case "[", "{":
			in := level{list: true}
			if s == "[" {
				in.files = top.files
			}
			r.levels = append(r.levels, in)
		case ")", "]", "}":
			if len(r.levels) > 1 {
				r.levels = r.levels[:len(r.levels)-1]
			}
		case ",":
			top.table = top.from
			if !top.list {
				top.files = ""
			}
		}
	}
}

func (r *renamer) word(top *level, w string) {
	switch {
	case w == "from" && r.i > 0 && strings.EqualFold(r.toks[r.i-1].In(r.sql), "distinct"):
		// IS DISTINCT FROM compares
	case tableWords[w]:
		top.from, top.table = true, true
	case fromEnds[w]:
		top.from = false
	}
}

// name is a string or a quoted name.
func (r *renamer) name(top *level, t lexer.Token, expected bool) {
	old := t.Value(r.sql)
	f := r.table
	switch {
	case top.files != "" && t.Kind == lexer.String:
		f = func(name string) string { return r.file(top.files, name) }
	case !expected, r.i+1 < len(r.toks) && r.toks[r.i+1].In(r.sql) == ".":
		return
	}
	now := f(old)
	if now == old {
		return
	}
	r.out.WriteString(r.sql[r.done:t.Start])
	if t.Kind == lexer.String {
		r.out.WriteString(lexer.QuoteText(now))
	} else {
		r.out.WriteString(lexer.QuoteName(now))
	}
	r.done = t.End
}
