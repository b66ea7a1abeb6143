package plan

import (
	"errors"
	"fmt"
	"hash/fnv"
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

// frag is a piece of SQL: text, or a view's name.
type frag struct {
	text  string
	input int  // the view; -1: text
	qual  bool // only qualifies a column ({0}.col): does not read the view
}

type template []frag

func text(s string) frag { return frag{text: s, input: -1} }

// reads counts how often the template scans input i.
func (t template) reads(i int) int {
	n := 0
	for _, f := range t {
		if f.input == i && !f.qual {
			n++
		}
	}
	return n
}

// render writes the SQL with the views' names.
func (t template) render(names []string) string {
	var b strings.Builder
	for _, f := range t {
		if f.input >= 0 {
			b.WriteString(QuoteIdent(names[f.input]))
		} else {
			b.WriteString(f.text)
		}
	}
	return b.String()
}

// wrap puts text before and after a template.
func (t template) wrap(before, after []frag) template {
	out := append(template{}, before...)
	out = append(out, t...)
	return append(out, after...)
}

// from is SELECT <list> FROM input 0 <rest>.
func from(list, rest string) template {
	return template{text("SELECT " + list + " FROM "), {input: 0}, text(rest)}
}

// parseTemplate reads a user's SQL over n inputs.
func parseTemplate(s string, n int) (template, error) {
	s, toks, err := trimSQL(s)
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

// trimSQL cuts blanks and closing semicolons off, makes sure that what is
// written after the text is not swallowed by a comment, and refuses a second
// statement.
func trimSQL(s string) (string, []lexer.Token, error) {
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

type placeholders struct {
	s      string
	toks   []lexer.Token
	inputs int
	i      int
	open   []byte // 's' a struct literal, 'e' an escaped brace
	buf    strings.Builder
	out    template
}

func (p *placeholders) flush() {
	if p.buf.Len() > 0 {
		p.out = append(p.out, text(p.buf.String()))
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
		return fmt.Errorf("{%d} is read, but the step has %s; add the input or correct the number", k, count(p.inputs, "input"))
	}
	p.flush()
	p.i += 3
	p.out = append(p.out, frag{input: k, qual: p.at(0) == "."})
	return nil
}

func isVar(s string) bool { return s == "partition" || s == "partitions" || s == "seed" }

// bindVars fills {partition}, {partitions} and {seed} in where they stand in code.
func bindVars(s string, vars map[string]string) string {
	if !strings.Contains(s, "{") {
		return s
	}
	toks, err := lexer.Lex(s)
	if err != nil {
		return s // DuckDB will say what is wrong with it
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

// Bind is the stage's steps and query for one task: {partition}, {partitions}
// and {seed} filled in. The seed is the same for every attempt at the task.
func (s *Stage) Bind(partition, tasks int) ([]Step, string) {
	h := fnv.New32a()
	fmt.Fprintf(h, "%s/%d", s.ID, partition)
	vars := map[string]string{
		"partition":  strconv.Itoa(partition),
		"partitions": strconv.Itoa(tasks),
		"seed":       strconv.Itoa(int(h.Sum32() >> 1)), // what REPEATABLE takes: 31 bits
	}
	steps := make([]Step, len(s.Steps))
	for i, st := range s.Steps {
		st.SQL = bindVars(st.SQL, vars)
		steps[i] = st
	}
	return steps, bindVars(s.Query, vars)
}

// count is "1 input", "2 inputs".
func count(n int, noun string) string {
	if n == 1 {
		return "1 " + noun
	}
	return strconv.Itoa(n) + " " + noun + "s"
}

// names is true when the template mentions input i at all.
func (t template) names(i int) bool {
	for _, f := range t {
		if f.input == i {
			return true
		}
	}
	return false
}
