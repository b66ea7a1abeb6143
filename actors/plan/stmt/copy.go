package stmt

import (
	"slices"
	"strings"

	"github.com/pondmesh/pond/actors/plan"
	"github.com/pondmesh/pond/duck/lexer"
)

const copyHint = "write COPY (SELECT …) TO 'file.parquet', or TO 'folder/' (FORMAT parquet)"

// copy is COPY (query) | name [(columns)] TO 'path' [WITH] [(options)].
func (c *cursor) copy() (*Statement, error) {
	s := &Statement{Kind: Copy, Write: &plan.Write{}}
	var err error
	if s.Query, err = c.copied(); err != nil {
		return nil, err
	}
	if c.is("from") {
		return nil, refuse("read the file where you need it: SELECT … FROM 'file.csv', or CREATE VIEW name AS FROM 'file.csv'",
			"COPY … FROM fills a table, but a pond has files, not tables")
	}
	if !c.is("to") {
		return nil, refuse(copyHint, "COPY needs to be told where TO")
	}
	if c.kind() != lexer.String {
		return nil, refuse(copyHint, "the target of COPY must be a path in quotes")
	}
	s.Write.Path = unquote(c.take())
	options, err := c.copyOptions()
	if err != nil {
		return nil, err
	}
	for i, o := range options {
		if slices.ContainsFunc(options[:i], func(before option) bool { return before.name == o.name }) {
			return nil, refuse("give each option once", "COPY has the option %s twice", strings.ToUpper(o.name))
		}
	}
	return s, s.copyTo(options)
}

// copied is the query whose rows are copied.
func (c *cursor) copied() (string, error) {
	if c.is("(") {
		from := c.i
		if !c.close() {
			return "", refuse(copyHint, "a parenthesis is not closed")
		}
		query := c.sql[c.toks[from-1].End:c.toks[c.i-1].Start]
		inner, err := within(query, false)
		if err == nil && inner == nil {
			err = refuse(copyHint, "only the rows of a query can be copied")
		}
		return Trim(query), err
	}
	if c.kind() == lexer.Word && c.word() == "from" {
		return "", refuse(copyHint, "COPY FROM DATABASE needs databases, but a pond has none")
	}
	from := c.i
	for c.kind() == lexer.Word || c.kind() == lexer.Quoted || c.kind() == lexer.String {
		c.take()
		if !c.is(".") {
			break
		}
	}
	if c.i == from {
		return "", refuse(copyHint, "COPY needs a query, or the name of a view")
	}
	name := c.sql[c.toks[from].Start:c.toks[c.i-1].End]
	if !c.is("(") {
		return "FROM " + name, nil
	}
	from = c.i
	if !c.close() {
		return "", refuse(copyHint, "a parenthesis is not closed")
	}
	return "SELECT " + c.sql[c.toks[from].Start:c.toks[c.i-1].Start] + " FROM " + name, nil
}

// close goes beyond the parenthesis that closes the one just taken.
func (c *cursor) close() bool {
	for depth := 1; !c.end(); {
		switch c.take() {
		case "(", "[", "{":
			depth++
		case ")", "]", "}":
			if depth--; depth == 0 {
				return true
			}
		}
	}
	return false
}

// option is an option of COPY: its name in lower case, and its value as SQL; ""
// when it has none.
type option struct{ name, value string }

// copyOptions are those in parentheses, or the old ones without.
func (c *cursor) copyOptions() ([]option, error) {
	c.is("with")
	var out []option
	if !c.is("(") {
		for !c.end() {
			o := option{name: strings.ToLower(c.take())}
			c.is("as")
			switch {
			case c.kind() == lexer.String:
				o.value = c.take()
			case o.name != "csv" && o.name != "header" || c.kind() != lexer.Word && !c.end():
				return nil, refuse("write options in parentheses: (FORMAT csv, HEADER, DELIMITER '|')", "the options are not understood: %s", o.name)
			}
			if o.name == "csv" {
				o = option{"format", "csv"}
			}
			out = append(out, o)
		}
		return out, nil
	}
	for {
		name := c.name()
		if name == "" {
			return nil, refuse("write options as (FORMAT parquet, COMPRESSION zstd)", "an option of COPY has no name")
		}
		c.is("=")
		from, to := c.i, c.i
		for !c.end() && c.peek(0) != "," && c.peek(0) != ")" {
			if t := c.take(); (t == "(" || t == "[" || t == "{") && !c.close() {
				return nil, refuse(copyHint, "a parenthesis is not closed")
			}
			to = c.i
		}
		o := option{name: strings.ToLower(name)}
		if to > from {
			o.value = c.sql[c.toks[from].Start:c.toks[to-1].End]
		}
		out = append(out, o)
		switch {
		case c.is(","):
		case c.is(")") && c.end():
			return out, nil
		default:
			return nil, refuse("write options as (FORMAT parquet, COMPRESSION zstd)", "the options of COPY are not understood from %q on", lexer.Clip(c.rest()))
		}
	}
}

// nameList is the names in "a" or "(a, b)".
func nameList(s string) ([]string, error) {
	c := newCursor(s)
	open := c.is("(") || c.is("[")
	var out []string
	for {
		name := c.name()
		if name == "" && c.kind() == lexer.String {
			name = unquote(c.take())
		}
		if name == "" {
			return nil, refuse("write PARTITION_BY (a, b)", "PARTITION_BY needs the names of columns, not %q", s)
		}
		out = append(out, name)
		if !c.is(",") {
			break
		}
	}
	if open && !c.is(")") {
		c.is("]")
	}
	if !c.end() {
		return nil, refuse("write PARTITION_BY (a, b)", "PARTITION_BY needs the names of columns, not %q", s)
	}
	return out, nil
}
