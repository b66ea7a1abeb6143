//go:build duckdb_arrow

package duck

import (
	"context"
	"regexp"
	"strconv"
	"strings"

	"github.com/duckdb/duckdb-go/v2/mapping"
)

// left are the things that Reset drops, in this order: each part lists
// statements for one kind. Temporary ones go with their connection.
var left = []string{
	`SELECT 'DETACH ' || q(database_name) FROM duckdb_databases() WHERE NOT internal AND database_name <> 'memory'`,
	`SELECT 'DROP SCHEMA ' || q(schema_name) || ' CASCADE' FROM duckdb_schemas() WHERE NOT internal AND schema_name <> 'main' AND database_name = 'memory'`,
	`SELECT 'DROP VIEW IF EXISTS main.' || q(view_name) FROM duckdb_views() WHERE NOT internal AND NOT temporary AND schema_name = 'main'`,
	`SELECT 'DROP TABLE IF EXISTS main.' || q(table_name) || ' CASCADE' FROM duckdb_tables() WHERE NOT internal AND NOT temporary AND schema_name = 'main'`,
	`SELECT 'DROP SEQUENCE IF EXISTS main.' || q(sequence_name) || ' CASCADE' FROM duckdb_sequences() WHERE NOT temporary AND schema_name = 'main'`,
	`SELECT 'DROP TYPE IF EXISTS main.' || q(type_name) || ' CASCADE' FROM duckdb_types() WHERE NOT internal AND schema_name = 'main' AND database_name = 'memory'`,
	`SELECT 'DROP SECRET ' || q(name) FROM duckdb_secrets()`,
	`SELECT DISTINCT 'DROP ' || CASE function_type WHEN 'table_macro' THEN 'MACRO TABLE' ELSE 'MACRO' END || ' main.' || q(function_name) FROM duckdb_functions() WHERE NOT internal AND function_type IN ('macro', 'table_macro') AND schema_name = 'main' AND database_name = 'memory'`,
}

// quoteCall matches the calls in left that quote a name.
var quoteCall = regexp.MustCompile(`q\((\w+)\)`)

// drops lists all of them in one query. Macros come last, and are left out when
// there cannot be any: listing functions takes DuckDB tens of milliseconds.
func drops(macros bool) string {
	parts := left
	if !macros {
		parts = left[:len(left)-1]
	}
	list := make([]string, len(parts))
	for i, p := range parts {
		list[i] = "SELECT " + strconv.Itoa(i) + " AS n, * FROM (" + quoteCall.ReplaceAllString(p, `('"' || replace($1, '"', '""') || '"')`) + ") AS t(s)"
	}
	return "SELECT s FROM (" + strings.Join(list, " UNION ALL ") + ") ORDER BY n"
}

// leftovers says what users may have left behind that does not go with the
// connection, as temporary things, transactions and variables do.
type leftovers struct {
	any    bool
	macros bool // such may be among it
}

// note records a statement that Exec runs.
func (l *leftovers) note(sql string) {
	l.any = true
	sql = strings.ToLower(sql)
	l.macros = l.macros || strings.Contains(sql, "macro") || strings.Contains(sql, "function")
}

// Reset drops everything that queries left behind (tables, views, registered
// streams, open transactions), so that the next task with the same Access can use
// the engine. Registered functions stay. It takes milliseconds when Exec ran. After
// an internal failure of DuckDB it returns ErrInternal: the state is unknown.
func (e *Engine) Reset(ctx context.Context) error {
	o, err := e.begin(ctx, "reset")
	if err != nil {
		return err
	}
	return o.end(o.reset())
}

// reconnect replaces the connection, and with it goes what belongs to it.
func (o *op) reconnect() error {
	e := o.engine
	o.bound.free()
	o.connection(func() {
		mapping.Disconnect(&e.conn)
		if mapping.Connect(e.db, &e.conn) == mapping.StateError {
			e.broken.Store(true)
		}
	})
	if e.broken.Load() {
		return ErrBroken
	}
	return nil
}

func (o *op) reset() error {
	e := o.engine
	if e.suspect.Load() {
		return ErrInternal
	}
	if err := o.reconnect(); err != nil {
		return err
	}
	e.hazards = false
	if !e.left.any {
		e.freeSources(0)
		return nil
	}
	list, err := query1(e.conn, drops(e.left.macros))
	if err != nil {
		return err
	}
	for _, row := range list {
		if _, err := run(e.conn, row[0]); err != nil {
			return err
		}
	}
	e.left = leftovers{}
	e.freeSources(0)
	return nil
}
