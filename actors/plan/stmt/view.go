package stmt

import (
	"strings"

	"github.com/pondmesh/pond/duck/lexer"
)

// create is CREATE [OR REPLACE] [TEMP] VIEW [IF NOT EXISTS] name [(a, b)] AS q, or TABLE.
func (c *cursor) create() (*Statement, error) {
	s := &Statement{Kind: CreateView}
	if c.is("or") {
		if s.Replace = c.is("replace"); !s.Replace {
			return nil, refuse("write CREATE OR REPLACE VIEW name AS SELECT …", "CREATE OR is not followed by REPLACE")
		}
	}
	passing := false
	for c.is("temp") || c.is("temporary") || c.is("local") {
		passing = true
	}
	if c.is("table") {
		if passing {
			return nil, refuse("name the query: CREATE VIEW name AS SELECT …; or keep its rows: CREATE TABLE name AS SELECT …", "a pond has no temporary tables")
		}
		return c.createTable(s.Replace)
	}
	if !c.is("view") {
		what := c.word()
		if what == "" {
			return &Statement{Kind: Query, Query: c.sql}, nil // DuckDB reports the mistake
		}
		return nil, refuseCreate(what)
	}
	if c.is("if") {
		if s.IfNotExists = c.is("not") && c.is("exists"); !s.IfNotExists {
			return nil, refuse("write CREATE VIEW IF NOT EXISTS name AS SELECT …", "IF is not followed by NOT EXISTS")
		}
	}
	var err error
	if s.View, err = c.viewName(); err != nil {
		return nil, err
	}
	if s.Columns, err = c.columnNames(); err != nil {
		return nil, refuse("write CREATE VIEW name (a, b) AS SELECT …", "the view's column names are not a list of names")
	}
	if !c.is("as") || c.end() {
		return nil, refuse("write CREATE VIEW name AS SELECT …", "the view has no query")
	}
	s.Query = c.rest()
	inner, err := within(s.Query, false)
	if err == nil && inner == nil {
		err = refuse("write CREATE VIEW name AS SELECT …", "only a query can be a view")
	}
	return s, err
}

// homes are the schemas, and the databases, in which DuckDB itself would put a
// session's views.
var homes = words("main temp memory")

// viewName parses the name of a view. Only the qualifiers that DuckDB itself
// would add may stand before it.
func (c *cursor) viewName() (string, error) {
	name := c.name()
	for name != "" && c.is(".") {
		if !homes[strings.ToLower(name)] {
			return "", refuse("leave "+name+". away", "a pond has no databases or schemas: %s", name)
		}
		name = c.name()
	}
	if name == "" {
		return "", refuse("write the name of a view", "a name is missing")
	}
	return name, nil
}

// drop is DROP VIEW [IF EXISTS] a, b, or TABLE.
func (c *cursor) drop() (*Statement, error) {
	s, name := &Statement{Kind: DropView}, c.viewName
	if c.is("table") {
		s.Kind, name = DropTable, c.tableName
	} else if !c.is("view") {
		what := strings.ToUpper(c.word())
		if what == "" {
			return &Statement{Kind: Query, Query: c.sql}, nil
		}
		return nil, refuse("DROP VIEW drops what CREATE VIEW made, DROP TABLE a dataset; files are removed where they are, or replaced by COPY … (OVERWRITE)",
			"DROP %s needs a database, but a pond has none that its nodes share", what)
	}
	if c.is("if") {
		if s.IfExists = c.is("exists"); !s.IfExists {
			return nil, refuse("write DROP VIEW IF EXISTS name, or DROP TABLE IF EXISTS name", "IF is not followed by EXISTS")
		}
	}
	for {
		n, err := name()
		if err != nil {
			return nil, err
		}
		s.Names = append(s.Names, n)
		if !c.is(",") {
			break
		}
	}
	if !c.is("cascade") {
		c.is("restrict")
	}
	if !c.end() {
		return nil, refuse("write DROP VIEW name, or DROP TABLE name", "what follows the name is not understood: %s", lexer.Clip(c.rest()))
	}
	return s, nil
}
