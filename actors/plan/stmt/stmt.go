package stmt

import (
	"fmt"
	"strings"

	"github.com/pondmesh/pond/actors/plan"
	"github.com/pondmesh/pond/duck/lexer"
)

// Kind is the kind of a statement.
type Kind uint8

// Kinds of statements.
const (
	Query       Kind = iota // rows: SELECT, FROM, VALUES, PIVOT, SUMMARIZE …, and whatever DuckDB is to judge
	Explain                 // the stages of Inner
	Copy                    // Query's rows into files: Write
	CreateView              // Query under the name View
	DropView                // Names
	CreateTable             // Query's rows as a dataset: Write
	Insert                  // Query's rows into one: Write; see InsertQuery
	DropTable               // Names
	Describe                // Query's columns
	Show                    // What there is
	Set                     // Name = Value; a Reset has no Value
)

// Statement is one statement, taken apart. Fields that are not of its Kind are
// zero.
type Statement struct {
	Kind Kind
	Text string // all of it
	// Query is the rows wanted, as SQL.
	Query string

	// Explain
	Inner         *Statement
	Analyze, JSON bool

	// Copy, CreateTable, Insert. Write.Path is as it was written, or that of a dataset.
	Write  *plan.Write
	Files  bool // the result names the files
	ByName bool // Insert: the query's columns go to those of their names

	// CreateView, CreateTable; Columns renames the first columns. Insert: those of the
	// table that the query's columns go to, nil for all.
	View        string
	Columns     []string
	Replace     bool
	IfNotExists bool

	// DropView, DropTable: those are paths of datasets
	Names    []string
	IfExists bool

	// Show: Tables, Views or All
	What string

	// Set, Reset
	Name, Value string
	Reset       bool
}

// The subjects of a Show statement.
const (
	Tables = "tables" // views and their like, by name
	Views  = "views"
	All    = "all" // with columns
)

// Parse takes one statement apart; a closing semicolon may follow. It leaves
// syntax that only DuckDB can judge alone. Errors are the user's, and say what to
// write instead.
func Parse(sql string) (*Statement, error) {
	if err := plan.CheckSQL(sql); err != nil {
		return nil, err
	}
	list, rest := Split(sql)
	if last := Trim(rest); last != "" {
		list = append(list, last)
	}
	switch len(list) {
	case 0:
		return nil, refuse("write one, such as: SELECT * FROM 'file.parquet'", "there is no statement")
	case 1:
		s, err := parse(list[0])
		if err != nil {
			return nil, err
		}
		s.Text = list[0]
		return s, nil
	}
	return nil, refuse("give one at a time", "one statement is expected, not %d", len(list))
}

func parse(sql string) (*Statement, error) {
	c := newCursor(sql)
	if s, err := c.inserted(); s != nil || err != nil {
		return s, err
	}
	if err := refused(c); err != nil {
		return nil, err
	}
	switch {
	case c.is("explain"):
		return c.explain()
	case c.is("copy"):
		return c.copy()
	case c.is("create"):
		return c.create()
	case c.is("drop"):
		return c.drop()
	case c.is("describe"), c.is("desc"), c.is("show"):
		return c.describe()
	case c.is("set"):
		return c.set()
	case c.is("reset"):
		return c.reset()
	}
	return &Statement{Kind: Query, Query: sql}, nil
}

// refuse is an error of the user's, and what to do instead.
func refuse(hint, format string, args ...any) error {
	return &plan.Error{Kind: plan.KindUser, Op: "parse", Text: fmt.Sprintf(format, args...), Hint: hint}
}

func (c *cursor) explain() (*Statement, error) {
	s := &Statement{Kind: Explain}
	if c.is("analyze") || c.is("analyse") {
		s.Analyze = true
	}
	if c.optionsAhead() {
		c.take()
		for !c.is(")") {
			switch name := c.take(); {
			case strings.EqualFold(name, "analyze"), strings.EqualFold(name, "analyse"):
				s.Analyze = true
			case strings.EqualFold(name, "format"):
				format := strings.ToLower(unquote(c.take()))
				if format != "json" && format != "text" && format != "default" {
					return nil, refuse("use FORMAT text or FORMAT json", "EXPLAIN has no format %q", format)
				}
				s.JSON = format == "json"
			case name == "":
				return nil, refuse("write EXPLAIN (FORMAT json) SELECT …", "a parenthesis is not closed")
			case name != ",":
				return nil, refuse("use ANALYZE, FORMAT text or FORMAT json", "EXPLAIN has no option %q", name)
			}
		}
	}
	inner, err := within(c.rest(), true)
	if err == nil && inner == nil {
		err = refuse("explain a query, or a COPY of one", "only what runs in stages can be explained")
	}
	s.Inner = inner
	return s, err
}

// alone are the first words of statements that stand in no other.
var alone = words("explain create drop describe desc show set reset")

// within parses a statement inside another: a query or, if copies is set, a COPY or an
// INSERT; nil for others. The first word decides, so that nesting has an end.
func within(sql string, copies bool) (*Statement, error) {
	sql = Trim(sql)
	first := FirstWord(sql)
	if sql == "" || alone[first] || first == "copy" && !copies {
		return nil, nil
	}
	s, err := parse(sql)
	if err != nil || s.Kind != Query && !copies {
		return nil, err
	}
	s.Text = sql
	return s, nil
}

// optionsAhead tells EXPLAIN's options from a query in parentheses.
func (c *cursor) optionsAhead() bool {
	if c.peek(0) != "(" {
		return false
	}
	switch strings.ToLower(c.peek(1)) {
	case "analyze", "analyse", "format":
		return true
	}
	return false
}

// queryWords begin what returns rows; anything else after DESCRIBE is a name.
var queryWords = words("select from with values table pivot unpivot pivot_wider pivot_longer summarize (")

// describe parses the text after DESCRIBE, DESC or SHOW.
func (c *cursor) describe() (*Statement, error) {
	var all []string
	for k := range len(c.toks) - c.i {
		all = append(all, strings.ToLower(c.peek(k)))
	}
	rest := strings.Join(all, " ")
	switch rest {
	case "tables":
		return &Statement{Kind: Show, What: Tables}, nil
	case "views":
		return &Statement{Kind: Show, What: Views}, nil
	case "", "all tables":
		return &Statement{Kind: Show, What: All}, nil
	case "databases", "schemas", "variables":
		return nil, refuse("SHOW TABLES lists the session's views; name files directly: FROM 'folder/*.parquet'", "a pond has no %s", rest)
	}
	if c.word() == "tables" && strings.EqualFold(c.peek(1), "from") {
		return nil, refuse("SHOW TABLES lists the session's views", "a pond has no databases or schemas")
	}
	query := c.rest()
	if c.word() == "table" {
		c.take()
		query = "FROM " + c.rest()
	} else if !queryWords[strings.ToLower(c.peek(0))] {
		query = "FROM " + query
	}
	return &Statement{Kind: Describe, Query: query}, nil
}

func (c *cursor) set() (*Statement, error) {
	for c.is("session") || c.is("local") || c.is("global") {
	}
	s := &Statement{Kind: Set, Name: c.name()}
	if strings.EqualFold(s.Name, "variable") && c.peek(0) != "=" && !strings.EqualFold(c.peek(0), "to") {
		return nil, refuse("write the value itself, or a CTE: WITH v AS (SELECT 1 AS x) SELECT …", "a pond has no variables")
	}
	if strings.EqualFold(s.Name, "time") && c.is("zone") {
		s.Name = "TimeZone" // SET TIME ZONE value
	} else if !c.is("=") && !c.is("to") {
		return nil, refuse("write SET name = value", "SET needs a value")
	}
	s.Value = strings.TrimSpace(c.rest())
	if len(c.toks)-c.i == 1 {
		s.Value = unquote(s.Value)
	}
	if s.Name == "" || s.Value == "" {
		return nil, refuse("write SET name = value", "SET needs a name and a value")
	}
	return s, nil
}

func (c *cursor) reset() (*Statement, error) {
	for c.is("session") || c.is("local") || c.is("global") {
	}
	s := &Statement{Kind: Set, Reset: true, Name: c.name()}
	if s.Name == "" || !c.end() {
		return nil, refuse("write RESET name", "RESET needs a name")
	}
	return s, nil
}

// cursor reads a statement's tokens, blanks and comments left out.
type cursor struct {
	sql  string
	toks []lexer.Token
	i    int
}

func newCursor(sql string) *cursor {
	toks, _ := lexer.Lex(sql) // DuckDB reports an unclosed string or comment
	return &cursor{sql: sql, toks: lexer.Solid(toks)}
}

func (c *cursor) end() bool { return c.i >= len(c.toks) }

// peek is the k-th token from here; "" beyond the end.
func (c *cursor) peek(k int) string {
	if c.i+k >= len(c.toks) {
		return ""
	}
	return c.toks[c.i+k].In(c.sql)
}

// kind is the kind of the token at hand.
func (c *cursor) kind() lexer.Kind {
	if c.end() {
		return lexer.Space
	}
	return c.toks[c.i].Kind
}

func (c *cursor) take() string {
	s := c.peek(0)
	c.i = min(c.i+1, len(c.toks))
	return s
}

// word is the word at hand in lower case; "" when it is none.
func (c *cursor) word() string {
	if c.kind() != lexer.Word {
		return ""
	}
	return strings.ToLower(c.peek(0))
}

// is takes a word or punctuation if it is at hand.
func (c *cursor) is(s string) bool {
	if k := c.kind(); k != lexer.Word && k != lexer.Punct || !strings.EqualFold(c.peek(0), s) {
		return false
	}
	c.i++
	return true
}

// name takes a name; "" when there is none. Unquoted ones keep their case.
func (c *cursor) name() string {
	if k := c.kind(); k != lexer.Word && k != lexer.Quoted {
		return ""
	}
	return unquote(c.take())
}

// rest is the text from the token at hand on.
func (c *cursor) rest() string {
	if c.end() {
		return ""
	}
	return c.sql[c.toks[c.i].Start:]
}

// unquote returns the content of a string or quoted name, and any other text
// unchanged.
func unquote(s string) string {
	if toks, err := lexer.Lex(s); err == nil && len(toks) == 1 {
		return toks[0].Value(s)
	}
	return s
}

func words(s string) map[string]bool {
	m := map[string]bool{}
	for _, w := range strings.Fields(s) {
		m[w] = true
	}
	return m
}
