// Package stmt splits SQL scripts into statements and parses those that are not
// plain queries (COPY, EXPLAIN, CREATE VIEW, DESCRIBE, SHOW, SET …). A query stays
// text, for DuckDB to parse.
//
// It is pure. It refuses what needs a database that all nodes share (tables,
// transactions, attached databases), and says what to write instead.
//
//	script ── Split ──▶ statements ── Parse ──▶ Statement
//
// Read stmt.go next, then copy.go. paths.go finds file names in SQL for which
// DuckDB gives no syntax tree.
package stmt
