package stmt

import (
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"

	"github.com/pondmesh/pond/duck/lexer"
)

// Params are the values of a statement's parameters: of $1, $2 and so on, or of
// each ? in turn, and of $name. Constant says which values there are.
type Params struct {
	List  []any
	Named map[string]any // without the $, in lower case
}

// Bind is a statement with constants for its parameters. What stands in strings,
// quoted names and comments is no parameter. A parameter without a value, and a
// value without a parameter, are errors: one of them was mistyped.
func Bind(sql string, p Params) (string, error) {
	found := parameters(sql)
	if err := checkParams(found, p); err != nil {
		return "", err
	}
	var b strings.Builder
	from := 0
	for _, f := range found {
		value, err := Constant(f.of(p))
		if err != nil {
			return "", refuse("give another value", "%s: %v", f.text, err)
		}
		b.WriteString(sql[from:f.start])
		b.WriteString(value)
		from = f.end
	}
	return b.String() + sql[from:], nil
}

// For is those of the values that one of several statements asks for.
func (p Params) For(sql string) Params {
	var out Params
	for _, f := range parameters(sql) {
		v, has := p.Named[f.name]
		switch {
		case f.name == "":
			out.List = p.List
		case has && out.Named == nil:
			out.Named = map[string]any{f.name: v}
		case has:
			out.Named[f.name] = v
		}
	}
	return out
}

// CheckUsed finds a value that none of several statements asks for.
func (p Params) CheckUsed(statements []string) error {
	used := Params{Named: map[string]any{}}
	for _, sql := range statements {
		one := p.For(sql)
		maps.Copy(used.Named, one.Named)
		used.List = append(used.List, one.List...)
	}
	for _, name := range slices.Sorted(maps.Keys(p.Named)) {
		if _, ok := used.Named[name]; !ok {
			return noParameter(name)
		}
	}
	if len(p.List) > 0 && len(used.List) == 0 {
		return refuse("write $1, $2 and so on, or ?, where they are wanted", "values are given, and no statement has a parameter")
	}
	return nil
}

func noParameter(name string) error {
	return refuse("write $"+name+" where it is wanted, or leave the value out", "there is no $%s in the statement", name)
}

// parameter is one occurrence in a text.
type parameter struct {
	text       string // as it was written
	start, end int
	name       string // "" when it is counted
	n          int    // from 1
}

func (f parameter) of(p Params) any {
	if f.name != "" {
		return p.Named[f.name]
	}
	return p.List[f.n-1]
}

// parameters finds them in their order. What never ends in the text is left to
// DuckDB, which says so.
func parameters(sql string) []parameter {
	var out []parameter
	toks, _ := lexer.Lex(sql)
	marks := 0
	for i, t := range toks {
		text := t.In(sql)
		if t.Kind != lexer.Punct || text[0] != '$' && text[0] != '?' {
			continue
		}
		f := parameter{text: text, start: t.Start, end: t.End}
		switch n, err := strconv.Atoi(text[1:]); {
		case text == "?":
			marks++
			f.n = marks
		case text == "$" && i+1 < len(toks) && toks[i+1].Kind == lexer.Word:
			f.end = toks[i+1].End
			f.text = sql[f.start:f.end]
			f.name = strings.ToLower(f.text[1:])
		case err == nil && n > 0:
			f.n = n
		default:
			continue // no parameter: DuckDB reports it
		}
		out = append(out, f)
	}
	return out
}

// checkParams compares the parameters of a statement with those given.
func checkParams(found []parameter, p Params) error {
	const how = "give it with --param, or pond.Args in a program"
	counted, marks, most := false, false, 0
	named := map[string]bool{}
	for _, f := range found {
		if f.name == "" {
			counted, marks, most = true, marks || f.text == "?", max(most, f.n)
		} else {
			named[f.name] = true
		}
	}
	for _, f := range found {
		_, has := p.Named[f.name]
		switch {
		case counted && len(named) > 0:
			return refuse("use one kind of them", "the statement has parameters with names and without: $%s", slices.Sorted(maps.Keys(named))[0])
		case marks && f.text != "?":
			return refuse("use one kind of them", "the statement has both ? and %s", f.text)
		case f.name != "" && !has:
			return refuse(how, "there is no value for %s", f.text)
		case f.name == "" && f.n > len(p.List):
			return refuse(how, "there is no value for %s: %d of %d are given", f.text, len(p.List), most)
		}
	}
	for _, name := range slices.Sorted(maps.Keys(p.Named)) {
		if !named[name] {
			return noParameter(name)
		}
	}
	if len(p.List) > most {
		return refuse("write $1, $2 and so on, or ?, where they are wanted", "more values are given than the statement has parameters: %d, not %d", len(p.List), most)
	}
	return nil
}

// Value reads a value typed on a command line: a number, true, false, null or
// quoted text as in SQL; anything else is plain text. Digits that begin with a
// zero are text too, since postal codes may.
func Value(typed string) any {
	toks, err := lexer.Lex(typed)
	number := strings.TrimPrefix(typed, "-")
	switch {
	case strings.EqualFold(typed, "null"):
		return nil
	case strings.EqualFold(typed, "true"), strings.EqualFold(typed, "false"):
		return strings.EqualFold(typed, "true")
	case err == nil && len(toks) == 1 && toks[0].Kind == lexer.String && typed[0] == '\'':
		return unquote(typed)
	case isNumber(number):
		return literal(typed)
	}
	return typed
}

// literal is a number as it was written.
type literal string

// isNumber tells a decimal number without a sign.
func isNumber(s string) bool {
	whole, rest, _ := strings.Cut(strings.ToLower(s), "e")
	if strings.ContainsAny(s, "eE") {
		if n := strings.TrimLeft(rest, "+-"); len(rest)-len(n) > 1 || !allDigits(n) {
			return false
		}
	}
	before, after, point := strings.Cut(whole, ".")
	return allDigits(before) && (before == "0" || before[0] != '0') && (!point || allDigits(after))
}

func allDigits(s string) bool {
	return s != "" && strings.Trim(s, "0123456789") == ""
}

// ParseParams reads values as a command line has them: NAME=VALUE, or VALUE for the
// next of $1, $2 and so on. Quotes keep a value that looks like the former:
// 'a=b'.
func ParseParams(typed []string) (Params, error) {
	var p Params
	for _, s := range typed {
		name, value, ok := strings.Cut(s, "=")
		if !ok || !isName(name) {
			p.List = append(p.List, Value(s))
			continue
		}
		name = strings.ToLower(name)
		if _, twice := p.Named[name]; twice {
			return p, refuse("give each once", "there are two values for $%s", name)
		}
		if p.Named == nil {
			p.Named = map[string]any{}
		}
		p.Named[name] = Value(value)
	}
	if len(p.Named) > 0 && len(p.List) > 0 {
		return p, refuse("use one kind of them", "there are values with names and without: %v", fmt.Sprint(p.List[0]))
	}
	return p, nil
}

// isName reports whether $s would be a parameter.
func isName(s string) bool {
	toks, err := lexer.Lex(s)
	return err == nil && len(toks) == 1 && toks[0].Kind == lexer.Word
}
