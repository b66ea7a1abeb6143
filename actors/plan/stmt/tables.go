package stmt

import (
	"path/filepath"
	"slices"
	"strings"

	"github.com/pondmesh/pond/actors/plan"
	"github.com/pondmesh/pond/duck/lexer"
)

// TablesOf makes views of the tables that a query binds by WITH, and takes them out
// of it: WITH t AS (SELECT … FROM 'file' WHERE …) SELECT … FROM t. Generated SQL
// binds its tables so. DuckDB plans over a view as over the file itself; a WITH that
// is read twice it makes once, whole, and so would the pond.
//
// It reads tokens, and leaves every item alone that is not plainly such a table, or
// whose name something else has: one of taken, another item, a word before it. A
// query without one comes back as it is, with no views.
func TablesOf(sql string, taken []string) (string, []plan.View) {
	all, err := lexer.Lex(sql)
	if err != nil || lexer.Dubious(sql, all) {
		return sql, nil
	}
	w := &withList{sql: sql, toks: lexer.Solid(all)}
	if !w.read() {
		return sql, nil
	}
	var views []plan.View
	var kept []string
	for i, it := range w.items {
		if w.bare(it) && !w.names(i, taken) {
			views = append(views, plan.View{Name: it.name, SQL: w.text(it.from, it.to)})
		} else {
			kept = append(kept, w.text(it.start, it.to+1))
		}
	}
	rest := sql[w.toks[w.main].Start:]
	if len(kept) > 0 {
		rest = "WITH " + strings.Join(kept, ", ") + " " + rest
	}
	return rest, views
}

// withList is a query that begins with WITH. Places are those of tokens.
type withList struct {
	sql   string
	toks  []lexer.Token
	items []withItem
	main  int // where the query behind the list begins
}

// withItem is name AS (query), the query from its first token up to its closing
// parenthesis.
type withItem struct {
	name     string
	start    int
	from, to int
	fixed    bool // it has columns of its own, or is to be made once
}

// word is the token at i in lower case if it is one without quotes.
func (w *withList) word(i int) string {
	if i >= len(w.toks) || w.toks[i].Kind != lexer.Word {
		return ""
	}
	return strings.ToLower(w.toks[i].In(w.sql))
}

func (w *withList) is(i int, s string) bool {
	return i < len(w.toks) && w.toks[i].Kind == lexer.Punct && w.toks[i].In(w.sql) == s
}

func (w *withList) text(from, to int) string { return w.sql[w.toks[from].Start:w.toks[to-1].End] }

// read finds the items. It returns false if the text is not such a list.
func (w *withList) read() bool {
	if w.word(0) != "with" || w.word(1) == "recursive" {
		return false
	}
	for i := 1; ; i++ {
		it := withItem{start: i}
		if i >= len(w.toks) || w.toks[i].Kind != lexer.Word && w.toks[i].Kind != lexer.Quoted {
			return false
		}
		it.name = w.toks[i].Value(w.sql)
		if i++; w.is(i, "(") {
			it.fixed = true
			i = w.closing(i) + 1
		}
		if w.word(i) != "as" {
			return false
		}
		i++
		if w.word(i) == "not" && w.word(i+1) == "materialized" {
			i += 2
		} else if w.word(i) == "materialized" {
			it.fixed = true
			i++
		}
		if !w.is(i, "(") {
			return false
		}
		it.from, it.to = i+1, w.closing(i)
		w.items = append(w.items, it)
		if i = it.to + 1; !w.is(i, ",") {
			w.main = i
			return i < len(w.toks)
		}
	}
}

// closing is where the parenthesis at i is closed; behind the end if it is not.
func (w *withList) closing(i int) int {
	depth := 0
	for ; i < len(w.toks); i++ {
		switch {
		case w.is(i, "("):
			depth++
		case w.is(i, ")"):
			if depth--; depth == 0 {
				return i
			}
		}
	}
	return len(w.toks)
}

// beyond are words of a query that is more than a table's rows and columns.
var beyond = []string{"distinct", "from", "join", "group", "having", "order", "limit", "offset", "qualify", "window", "over", "union", "except",
	"intersect", "tablesample", "using", "sample", "with", "select", "values", "exists", "all", "any", "some", "pivot", "unpivot", "at", "lateral", "positional"}

// calls are words that may stand before a parenthesis and call no function: of
// one, tokens do not tell whether it is an aggregate, or gives another value each
// time.
var calls = []string{"cast", "try_cast", "in", "and", "or", "not", "exclude", "replace", "case", "when", "then", "else", "between", "where", "as"}

// bare reports whether an item is SELECT columns FROM file [WHERE condition].
func (w *withList) bare(it withItem) bool {
	if it.fixed || w.word(it.from) != "select" {
		return false
	}
	from := slices.IndexFunc(w.toks[it.from:it.to], func(t lexer.Token) bool { return t.Kind == lexer.Word && strings.EqualFold(t.In(w.sql), "from") })
	if from < 0 {
		return false
	}
	from += it.from
	after := w.source(from + 1)
	if after < 0 {
		return false
	}
	if w.word(after) == "as" {
		after++
	}
	if w.word(after) != "where" && after < it.to && w.toks[after].Kind == lexer.Word { // an alias
		after++
	}
	return w.rowwise(it.from+1, from) && (after == it.to || w.word(after) == "where" && w.rowwise(after, it.to))
}

// rowwise reports whether tokens are expressions that look at one row at a time.
func (w *withList) rowwise(from, to int) bool {
	for i := from; i < to; i++ {
		if word := w.word(i); w.is(i+1, "(") && (w.toks[i].Kind == lexer.Quoted || word != "" && !slices.Contains(calls, word)) || slices.Contains(beyond, word) {
			return false
		}
	}
	return true
}

// source is where a file ends that begins at i, by path or through a reader; -1:
// there is none.
func (w *withList) source(i int) int {
	if i < len(w.toks) && w.toks[i].Kind == lexer.String {
		if strings.ContainsAny(w.toks[i].Value(w.sql), "/.") { // else it may name a table
			return i + 1
		}
		return -1
	}
	if reads := w.word(i); w.is(i+1, "(") && (strings.HasPrefix(reads, "read_") || reads == "parquet_scan") {
		end := w.closing(i + 1)
		if w.rowwise(i+1, end) {
			return end + 1
		}
	}
	return -1
}

// names reports whether the i-th item's name is one of others, or stands before
// the item, where it means something else.
func (w *withList) names(i int, others []string) bool {
	it := w.items[i]
	same := func(s string) bool { return strings.EqualFold(s, it.name) }
	if slices.ContainsFunc(others, same) {
		return true
	}
	for j, other := range w.items {
		if j != i && same(other.name) {
			return true
		}
	}
	return slices.ContainsFunc(w.toks[1:it.start], func(t lexer.Token) bool { return same(t.Value(w.sql)) }) ||
		slices.ContainsFunc(w.toks[it.from:it.to], func(t lexer.Token) bool { return t.Kind == lexer.String && same(filepath.Clean(t.Value(w.sql))) })
}
