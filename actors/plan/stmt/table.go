package stmt

import (
	"fmt"
	"slices"
	"strings"

	"github.com/pondmesh/pond/actors/plan"
	"github.com/pondmesh/pond/duck/lexer"
)

// tableFormat is that of the files of datasets.
const tableFormat = plan.Parquet

const (
	createHint = "write CREATE TABLE name AS SELECT …"
	insertHint = "write INSERT INTO name SELECT …"
)

// createTable is the rest of CREATE [OR REPLACE] TABLE, from the name on: [IF NOT EXISTS]
// name [(a, b)] AS query.
func (c *cursor) createTable(replace bool) (*Statement, error) {
	s := &Statement{Kind: CreateTable, Write: &plan.Write{Format: tableFormat, Mode: plan.WriteError}, Replace: replace}
	if replace {
		s.Write.Mode = plan.WriteOverwrite
	}
	if c.is("if") {
		if s.IfNotExists = c.is("not") && c.is("exists"); !s.IfNotExists {
			return nil, refuse("write CREATE TABLE IF NOT EXISTS name AS SELECT …", "IF is not followed by NOT EXISTS")
		}
		if replace {
			return nil, refuse("leave one of them out", "CREATE takes only one of OR REPLACE and IF NOT EXISTS")
		}
	}
	var err error
	if s.Write.Path, err = c.tableName(); err != nil {
		return nil, err
	}
	if s.Columns, err = c.columnNames(); err != nil {
		return nil, refuse("give it rows: CREATE TABLE name AS SELECT …; for none, SELECT NULL::INTEGER AS a … LIMIT 0", "a table of a pond is what a query gives: its columns cannot be declared")
	}
	if !c.is("as") || c.end() {
		return nil, refuse(createHint, "the table has no query")
	}
	return s, c.tableQuery(s, createHint)
}

// insert is INSERT INTO name [(a, b)] [BY NAME | BY POSITION] query. with is the WITH
// clause that stands before it, which is part of the query.
func (c *cursor) insert(with string) (*Statement, error) {
	s := &Statement{Kind: Insert, Write: &plan.Write{Format: tableFormat, Mode: plan.WriteAppend, Existing: true}}
	if c.is("or") {
		return nil, refuse(insertHint, "INSERT OR %s needs keys, and a dataset has none", strings.ToUpper(c.word()))
	}
	if !c.is("into") {
		return nil, refuse(insertHint, "INSERT is not followed by INTO")
	}
	var err error
	if s.Write.Path, err = c.tableName(); err != nil {
		return nil, err
	}
	if s.Columns, err = c.columnNames(); err != nil {
		return nil, err
	}
	if c.is("by") {
		s.ByName = c.is("name")
		switch {
		case !s.ByName && !c.is("position"):
			return nil, refuse("write INSERT INTO name BY NAME SELECT …", "BY is not followed by NAME or POSITION")
		case s.ByName && len(s.Columns) > 0:
			return nil, refuse("leave one of them out", "INSERT takes only one of BY NAME and a list of columns")
		}
	}
	if c.is("default") {
		return nil, refuse(insertHint, "a dataset has no default values")
	}
	if word := c.behindQuery(); word != "" {
		return nil, refuse(insertHint, "INSERT … %s needs a database, but a pond has none that its nodes share", word)
	}
	if c.end() {
		return nil, refuse(insertHint, "there is nothing to insert")
	}
	if err := c.tableQuery(s, insertHint); err != nil {
		return nil, err
	}
	if with != "" {
		s.Query = with + " " + s.Query
	}
	return s, nil
}

// inserted is the statement if it is an INSERT, perhaps behind a WITH.
func (c *cursor) inserted() (*Statement, error) {
	if c.word() == "insert" {
		c.take()
		return c.insert("")
	}
	if c.word() != "with" {
		return nil, nil
	}
	at := mainPlace(c)
	if at == len(c.toks) || !strings.EqualFold(c.toks[at].In(c.sql), "insert") {
		return nil, nil
	}
	with := Trim(c.sql[c.toks[c.i].Start:c.toks[at].Start])
	c.i = at + 1
	return c.insert(with)
}

// behindQuery is what stands behind the query of an INSERT and is no part of it.
func (c *cursor) behindQuery() string {
	depth := 0
	for i := c.i; i < len(c.toks); i++ {
		switch s := strings.ToLower(c.toks[i].In(c.sql)); {
		case s == "(":
			depth++
		case s == ")":
			depth--
		case depth > 0 || c.toks[i].Kind != lexer.Word || i == c.i:
		case s == "returning":
			return "RETURNING"
		case s == "conflict" && strings.EqualFold(c.toks[i-1].In(c.sql), "on"):
			return "ON CONFLICT"
		}
	}
	return ""
}

// tableQuery takes the rest as the query whose rows a table gets.
func (c *cursor) tableQuery(s *Statement, hint string) error {
	s.Query = c.rest()
	inner, err := within(s.Query, false)
	if err == nil && inner == nil {
		err = refuse(hint, "only the rows of a query can be put into a table")
	}
	return err
}

// columnNames are the names in parentheses, if there are such at hand.
func (c *cursor) columnNames() (names []string, err error) {
	for open := c.is("("); open; open = !c.is(")") {
		name := c.name()
		if name == "" || c.peek(0) != ")" && (!c.is(",") || c.peek(0) == ")") {
			return nil, refuse("write the names of columns: (a, b)", "the columns are not a list of names")
		}
		names = append(names, name)
	}
	return names, nil
}

// tableName parses the name of a table, and gives the path of its dataset. Names differ in
// more than upper and lower case.
func (c *cursor) tableName() (string, error) {
	name, err := c.viewName()
	if err == nil && strings.ContainsAny(name, "/:") {
		err = refuse("write the name alone", "%q is no name of a table", name)
	}
	return plan.DatasetScheme + strings.ToLower(name), err
}

// copyDataset fills in Write for a COPY into a dataset.
func (s *Statement) copyDataset(options []option) error {
	w := s.Write
	if name := strings.TrimSuffix(w.Path[len(plan.DatasetScheme):], "/"); name == "" || strings.Contains(name, "/") {
		return refuse("write TO 'pond://name'", "COPY writes whole datasets, and cannot write to %q", w.Path)
	}
	w.Path = strings.TrimSuffix(w.Path, "/")
	t := target{folder: true}
	for _, o := range options {
		switch o.name {
		case "filename_pattern", "file_extension", "force":
			return refuse("leave it out", "COPY does not take %s for a dataset: its files are the pond's", strings.ToUpper(o.name))
		}
		if err := s.copyOption(o, &t); err != nil {
			return err
		}
	}
	if len(w.PartitionBy) > 0 && len(t.single) > 0 {
		return refuse("leave it out: PARTITION_BY alone makes a folder", "COPY does not take PARTITION_BY and %s together", t.single[0])
	}
	if w.Format == "" {
		w.Format = tableFormat
	}
	if w.Format != tableFormat {
		return refuse("leave FORMAT out", "datasets are of Parquet files, not %s", w.Format)
	}
	return nil
}

// InsertQuery is an Insert's query with its columns as a table has them: given those of
// the query, in order, and those of the table. What the query has no value for is NULL.
func InsertQuery(s *Statement, query, table []plan.Column) (string, error) {
	from, err := sources(s, query, table)
	if err != nil {
		return "", err
	}
	places := make([]string, len(query))
	for i := range query {
		places[i] = fmt.Sprintf("c%d", i)
	}
	columns := make([]string, len(table))
	for i, col := range table {
		value := "NULL"
		if from[i] >= 0 {
			value = places[from[i]]
		}
		columns[i] = fmt.Sprintf("CAST(%s AS %s) AS %s", value, col.Type, lexer.QuoteName(col.Name))
	}
	return fmt.Sprintf("SELECT %s FROM (%s\n) AS q(%s)", strings.Join(columns, ", "), s.Query, strings.Join(places, ", ")), nil
}

// sources are the places of the query's columns that a table's get, -1 for none.
func sources(s *Statement, query, table []plan.Column) ([]int, error) {
	names := s.Columns // of the table's columns, in the order of the query's
	switch {
	case s.ByName:
		for _, c := range query {
			names = append(names, c.Name)
		}
	case names == nil:
		for _, c := range table {
			names = append(names, c.Name)
		}
	}
	if len(names) != len(query) {
		return nil, misfit("table %s has %d columns but %d values were supplied", tableOf(s), len(names), len(query))
	}
	from := slices.Repeat([]int{-1}, len(table))
	for i, name := range names {
		at := slices.IndexFunc(table, func(c plan.Column) bool { return strings.EqualFold(c.Name, name) })
		switch {
		case at < 0:
			return nil, misfit("Table \"%s\" does not have a column with name \"%s\"", tableOf(s), name)
		case from[at] >= 0:
			return nil, misfit("Duplicate column name \"%s\" in INSERT", name)
		}
		from[at] = i
	}
	return from, nil
}

func tableOf(s *Statement) string { return s.Write.Path[len(plan.DatasetScheme):] }

// misfit is an error in DuckDB's words.
func misfit(format string, args ...any) error {
	return &plan.Error{Kind: plan.KindUser, Op: "plan", Text: "Binder Error: " + fmt.Sprintf(format, args...)}
}
