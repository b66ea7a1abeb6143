package stmt

import (
	"strings"

	"github.com/pondmesh/pond/duck/lexer"
)

// Pivot is an ON item of a PIVOT that does not say which columns it makes: DuckDB
// looks, before it can plan. Once somebody has looked, [Listed] says it.
type Pivot struct {
	// Values is a query for the columns' names: one text a row, in their order.
	Values     string
	start, end int // of the item
}

// pivotEnds are the words that end the ON list of a PIVOT.
var pivotEnds = words("using group order limit offset union intersect except qualify window")

// Pivots are the items of all PIVOTs in a query that have no IN, in order.
func Pivots(sql string) []Pivot {
	toks, _ := lexer.Lex(sql)
	p := &pivots{sql: sql, toks: lexer.Solid(toks)}
	p.level(0)
	return p.found
}

// Listed is the query with the values of its Pivots said.
func Listed(sql string, items []Pivot, values [][]string) string {
	var b strings.Builder
	done := 0
	for i, item := range items {
		b.WriteString(sql[done:item.start])
		b.WriteString("(" + sql[item.start:item.end] + ") IN (")
		for k, v := range values[i] {
			if k > 0 {
				b.WriteString(", ")
			}
			b.WriteString(lexer.QuoteText(v))
		}
		b.WriteString(")")
		done = item.end
	}
	b.WriteString(sql[done:])
	return b.String()
}

type pivots struct {
	sql   string
	toks  []lexer.Token
	found []Pivot
}

func (p *pivots) text(i int) string {
	if i >= len(p.toks) {
		return ""
	}
	return strings.ToLower(p.toks[i].In(p.sql))
}

// level reads the tokens from i to the closing bracket and returns its index. A
// PIVOT stands at the start or right after a WITH clause.
func (p *pivots) level(i int) int {
	first := i
	with := p.text(i) == "with"
	for i < len(p.toks) {
		switch w := p.text(i); {
		case w == "(" || w == "[" || w == "{":
			i = p.level(i + 1)
		case w == ")" || w == "]" || w == "}":
			return i + 1
		case (w == "pivot" || w == "pivot_wider") && (i == first || with):
			i = p.pivot(first, i)
			with = false
		default:
			with = with && (i == first || !queryWords[w])
			i++
		}
	}
	return i
}

// pivot reads PIVOT source ON item, item …, which begins at token at.
func (p *pivots) pivot(first, at int) int {
	prefix := ""
	if at > first {
		prefix = p.sql[p.toks[first].Start:p.toks[at].Start]
	}
	i := p.skip(at+1, func(w string) bool { return w == "on" || w == ")" })
	if p.text(i) != "on" {
		return i
	}
	source := p.sql[p.toks[at].End:p.toks[i].Start]
	for ends := false; !ends; {
		from, listed := i+1, false
		i = p.skip(from, func(w string) bool {
			listed = listed || w == "in"
			return w == "," || w == ")" || pivotEnds[w]
		})
		ends = p.text(i) != ","
		if listed || i == from {
			continue
		}
		item := Pivot{start: p.toks[from].Start, end: p.toks[i-1].End}
		x := "(" + p.sql[item.start:item.end] + ")"
		item.Values = prefix + "SELECT DISTINCT CAST(" + x + " AS VARCHAR) AS name FROM " + strings.TrimSpace(source) +
			" WHERE " + x + " IS NOT NULL ORDER BY name"
		p.found = append(p.found, item)
	}
	return i
}

// skip goes over brackets to the first token that is an end.
func (p *pivots) skip(i int, end func(w string) bool) int {
	for i < len(p.toks) && !end(p.text(i)) {
		if w := p.text(i); w == "(" || w == "[" || w == "{" {
			i = p.level(i + 1)
			continue
		}
		i++
	}
	return i
}
