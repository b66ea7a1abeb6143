package stmt

import (
	"strings"

	"github.com/pondmesh/pond/duck/lexer"
)

// refusal says why a pond does not run a statement, and what to write instead.
type refusal struct{ why, instead string }

var (
	noTables = refusal{"%s changes rows in place, but files and datasets of a pond never change",
		"write the rows that are wanted anew: CREATE OR REPLACE TABLE name AS SELECT …, or COPY (SELECT …) TO 'folder/' (FORMAT parquet, OVERWRITE)"}
	noDatabases = refusal{"%s needs a database, but a pond has none that its nodes share",
		"read the files themselves: SELECT … FROM 'folder/*.parquet'; write with COPY (SELECT …) TO 'folder/' (FORMAT parquet)"}
	noTransactions = refusal{"%s is of no use: a pond has no transactions",
		"each statement stands for itself; the files of a COPY appear at once, when all of them are written"}
	noExtensions = refusal{"%s changes the nodes' DuckDB",
		"use what DuckDB brings: Parquet, CSV and JSON files; Go functions are given to nodes by pond.WithScalarFunc"}
	noPrepared = refusal{"%s needs a statement kept by one database", "write the values into the query"}
)

// refusals are by the first word.
var refusals = map[string]refusal{
	"update": noTables, "delete": noTables, "merge": noTables, "truncate": noTables, "alter": noTables,
	"attach": noDatabases, "detach": noDatabases, "use": noDatabases, "export": noDatabases, "import": noDatabases, "comment": noDatabases,
	"checkpoint": noDatabases, "force": noDatabases, "vacuum": noDatabases, "analyze": noDatabases, "analyse": noDatabases,
	"begin": noTransactions, "start": noTransactions, "commit": noTransactions, "end": noTransactions, "rollback": noTransactions, "abort": noTransactions,
	"install": noExtensions, "load": noExtensions,
	"prepare": noPrepared, "execute": noPrepared, "deallocate": noPrepared,
	"pragma": {"%s is a setting of one database", "SET pond_… sets what a session has; DESCRIBE and SUMMARIZE tell of files; SHOW TABLES lists views"},
	"call":   {"%s runs a function of one database", "write SELECT * FROM function(…)"},
}

// refused is the error of a statement that a pond has no use for.
func refused(c *cursor) error {
	verb := c.word()
	if verb == "with" {
		verb = mainVerb(c)
	}
	r, ok := refusals[verb]
	if !ok {
		return nil
	}
	return refuse(r.instead, r.why, strings.ToUpper(verb))
}

// refuseCreate is the error of CREATE what.
func refuseCreate(what string) error {
	switch what {
	case "macro", "function":
		return refuse("write the expression out, name a query with CREATE VIEW, or give the nodes a Go function with pond.WithScalarFunc",
			"CREATE %s needs a database, but a pond has none that its nodes share", strings.ToUpper(what))
	}
	return refuse("a session has views: CREATE VIEW name AS SELECT …; rows are kept in datasets: CREATE TABLE name AS SELECT …, and in files: COPY (SELECT …) TO 'folder/' (FORMAT parquet)",
		"CREATE %s needs a database, but a pond has none that its nodes share", strings.ToUpper(what))
}

// verbs are what may follow the WITH clause.
var verbs = words("select from values table insert update delete merge pivot unpivot pivot_wider pivot_longer summarize describe")

// mainVerb is the word after the common table expressions.
func mainVerb(c *cursor) string {
	if at := mainPlace(c); at < len(c.toks) {
		return strings.ToLower(c.toks[at].In(c.sql))
	}
	return ""
}

// mainPlace is the place of that word.
func mainPlace(c *cursor) int {
	depth := 0
	for i, t := range c.toks {
		switch s := strings.ToLower(t.In(c.sql)); {
		case s == "(":
			depth++
		case s == ")":
			depth--
		case depth > 0 || t.Kind != lexer.Word || !verbs[s] || i == 0:
		case strings.EqualFold(c.toks[i-1].In(c.sql), "with"), strings.EqualFold(c.toks[i-1].In(c.sql), "recursive"), c.toks[i-1].In(c.sql) == ",":
			// the name of one
		default:
			return i
		}
	}
	return len(c.toks)
}
