// Package template reads the SQL that users write with placeholders: {0} for an
// input, {partition} for a task's number. It knows tokens, no grammar.
//
//	SQL ── Parse ──▶ Template ── Render(views) ──▶ SQL of a stage ── Fill(vars) ──▶ SQL of a task
//
// It is pure. It refuses texts of several statements, unclosed quotes and comments,
// and unknown placeholders.
package template

import (
	"errors"
	"fmt"
	"strconv"
	"strings"

	"github.com/pondmesh/pond/duck/lexer"
)

// Placeholders in a user's SQL. Braces mean something only in code: strings,
// quoted identifiers and comments are passed through as they are. In code
//
//	{0} {1} …                       an input's view, quoted
//	{partition} {partitions} {seed} kept, and filled in a task at a time (Bind)
//	{{ … }}                         { … }
//	{ … }                           a struct literal, kept; they nest
//
// A }} closes an escaped {{, or two struct literals, whichever is open.

// Frag is a piece of SQL: text, or the name of a view.
type Frag struct {
	Text  string
	Input int // the view; -1: text
	// Qualifies: it stands before a column ({0}.col), and does not read the view.
	Qualifies bool
}

// Template is SQL over views that have no names yet.
type Template []Frag

// Text is SQL as it is.
func Text(s string) Frag { return Frag{Text: s, Input: -1} }

// View is input i's view.
func View(i int) Frag { return Frag{Input: i} }

// Reads counts how often the template scans input i.
func (t Template) Reads(i int) int {
	n := 0
	for _, f := range t {
		if f.Input == i && !f.Qualifies {
			n++
		}
	}
	return n
}

// Render writes the SQL with the views' names.
func (t Template) Render(names []string) string {
	var b strings.Builder
	for _, f := range t {
		if f.Input >= 0 {
			b.WriteString(lexer.QuoteName(names[f.Input]))
		} else {
			b.WriteString(f.Text)
		}
	}
	return b.String()
}

// Wrap puts text before and after a template.
func (t Template) Wrap(before, after []Frag) Template {
	out := append(Template{}, before...)
	out = append(out, t...)
	return append(out, after...)
}

// From is SELECT <list> FROM input 0 <rest>.
func From(list, rest string) Template {
	return Template{Text("SELECT " + list + " FROM "), View(0), Text(rest)}
}

// Parse reads a user's SQL over n inputs.
func Parse(s string, n int) (Template, error) {
	s, toks, err := Trim(s)
	if err != nil {
		return nil, err
	}
	p := &placeholders{s: s, toks: toks, inputs: n}
	for p.i < len(toks) {
		if err := p.next(); err != nil {
			return nil, err
		}
	}
	p.flush()
	return p.out, nil
}

// Trim cuts blanks and closing semicolons off a text and returns the tokens between,
// of the original text. It makes sure that no comment swallows SQL appended to the
// text, and refuses a second statement.
func Trim(s string) (string, []lexer.Token, error) {
	toks, err := lexer.Lex(s)
	if err != nil {
		return "", nil, err
	}
	lo, hi := 0, len(toks)
	idle := func(t lexer.Token) bool {
		return t.Kind == lexer.Space || t.Kind == lexer.Comment || t.In(s) == ";"
	}
	for hi > lo && idle(toks[hi-1]) {
		hi--
	}
	for lo < hi && (toks[lo].Kind == lexer.Space || toks[lo].Kind == lexer.Comment) {
		lo++
	}
	if lo == hi {
		return "", nil, errors.New("the SQL is empty")
	}
	for _, t := range toks[lo:hi] {
		if t.In(s) == ";" {
			return "", nil, fmt.Errorf("one statement is wanted, but another follows the ; before %q", lexer.Clip(strings.TrimSpace(s[t.End:])))
		}
	}
	return s, toks[lo:hi], nil
}

// Whole is a statement without placeholders.
func Whole(s string) (Template, error) {
	s, toks, err := Trim(s)
	if err != nil {
		return nil, err
	}
	return Template{Text(s[toks[0].Start:toks[len(toks)-1].End])}, nil
}

type placeholders struct {
	s      string
	toks   []lexer.Token
	inputs int
	i      int
	open   []byte // 's' a struct literal, 'e' an escaped brace
	buf    strings.Builder
	out    Template
}

func (p *placeholders) flush() {
	if p.buf.Len() > 0 {
		p.out = append(p.out, Text(p.buf.String()))
		p.buf.Reset()
	}
}

// at is the text of the token k after the current one, "" beyond the end.
func (p *placeholders) at(k int) string {
	if p.i+k >= len(p.toks) {
		return ""
	}
	return p.toks[p.i+k].In(p.s)
}

func (p *placeholders) next() error {
	switch t := p.at(0); {
	case t == "{" && p.at(1) == "{":
		p.open = append(p.open, 'e')
		p.buf.WriteByte('{')
		p.i += 2
	case t == "{" && p.at(2) == "}" && (p.toks[p.i+1].Kind == lexer.Word || p.toks[p.i+1].Kind == lexer.Number):
		return p.placeholder()
	case t == "{":
		p.open = append(p.open, 's')
		p.buf.WriteByte('{')
		p.i++
	case t == "}":
		p.closeBrace()
	default:
		p.buf.WriteString(t)
		p.i++
	}
	return nil
}

func (p *placeholders) closeBrace() {
	top := byte('e') // with nothing open a }} is still an escape
	if k := len(p.open); k > 0 {
		top, p.open = p.open[k-1], p.open[:k-1]
	}
	p.buf.WriteByte('}')
	p.i++
	if top == 'e' && p.at(0) == "}" {
		p.i++
	}
}

func (p *placeholders) placeholder() error {
	name := p.at(1)
	if isVar(name) {
		p.buf.WriteString("{" + name + "}")
		p.i += 3
		return nil
	}
	k, err := strconv.Atoi(name)
	switch {
	case err != nil:
		return fmt.Errorf("{%s} is no placeholder; there are {0} to {%d}, {partition}, {partitions} and {seed}, and {{ }} for plain braces", lexer.Clip(name), max(p.inputs-1, 0))
	case k >= p.inputs:
		return fmt.Errorf("{%d} is read, but the step has %s; add the input or correct the number", k, inputs(p.inputs))
	}
	p.flush()
	p.i += 3
	p.out = append(p.out, Frag{Input: k, Qualifies: p.at(0) == "."})
	return nil
}

func isVar(s string) bool { return s == "partition" || s == "partitions" || s == "seed" }

// Fill fills {partition}, {partitions} and {seed} in where they stand in code.
func Fill(s string, vars map[string]string) string {
	if !strings.Contains(s, "{") {
		return s
	}
	toks, err := lexer.Lex(s)
	if err != nil {
		return s // DuckDB will report the mistake
	}
	var b strings.Builder
	for i := 0; i < len(toks); i++ {
		if i+2 < len(toks) && toks[i].In(s) == "{" && toks[i+2].In(s) == "}" && isVar(toks[i+1].In(s)) {
			b.WriteString(vars[toks[i+1].In(s)])
			i += 2
			continue
		}
		b.WriteString(toks[i].In(s))
	}
	return b.String()
}

// Names is true when the template mentions input i at all.
func (t Template) Names(i int) bool {
	for _, f := range t {
		if f.Input == i {
			return true
		}
	}
	return false
}

// inputs is "1 input", "2 inputs".
func inputs(n int) string {
	if n == 1 {
		return "1 input"
	}
	return strconv.Itoa(n) + " inputs"
}

var errEmptyTerm = errors.New("a sort term is empty")

// SplitTerm cuts a sort term into its expression and an order as DuckDB's
// create_sort_key takes it: "price DESC" is price, "DESC NULLS LAST".
func SplitTerm(s string) (expr, order string, err error) {
	s, toks, err := Trim(s)
	if err != nil {
		return "", "", err
	}
	words := lexer.Solid(toks)
	fold := func(back int, w string) bool {
		i := len(words) - back
		return i >= 0 && words[i].Kind == lexer.Word && strings.EqualFold(words[i].In(s), w)
	}
	dir, nulls := "ASC", "NULLS LAST"
	switch {
	case fold(2, "nulls") && fold(1, "first"):
		nulls, words = "NULLS FIRST", words[:len(words)-2]
	case fold(2, "nulls") && fold(1, "last"):
		words = words[:len(words)-2]
	}
	switch {
	case fold(1, "desc"), fold(1, "descending"):
		dir, words = "DESC", words[:len(words)-1]
	case fold(1, "asc"), fold(1, "ascending"):
		words = words[:len(words)-1]
	}
	if len(words) == 0 {
		return "", "", errEmptyTerm
	}
	return s[words[0].Start:words[len(words)-1].End], dir + " " + nulls, nil
}

// OneValue checks that text is one SQL value: brackets match, and no comma or
// semicolon stands outside of them.
func OneValue(s string) error {
	s, toks, err := Trim(s)
	if err != nil {
		return err
	}
	var open []byte
	for _, t := range lexer.Solid(toks) {
		if t.Kind != lexer.Punct {
			continue
		}
		switch c := s[t.Start]; c {
		case '(', '[', '{':
			open = append(open, c)
		case ')', ']', '}':
			if len(open) == 0 || strings.IndexByte("([{", open[len(open)-1]) != strings.IndexByte(")]}", c) {
				return errors.New("brackets do not match")
			}
			open = open[:len(open)-1]
		case ',':
			if len(open) == 0 {
				return errors.New("one value is wanted, but it holds a comma")
			}
		}
	}
	if len(open) > 0 {
		return errors.New("a bracket is not closed")
	}
	return nil
}
