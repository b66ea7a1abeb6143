// Package stmt takes SQL scripts apart: into statements, and those that are no
// plain query (COPY, EXPLAIN, CREATE VIEW, DESCRIBE, SHOW, SET …) into what they
// ask for. Whatever returns rows of files stays text, for DuckDB to parse.
//
// It is pure. It refuses what needs a database that all nodes share (tables,
// transactions, attached databases), and says what to write instead.
//
//	script ── Split ──▶ statements ── Parse ──▶ Statement
//
// Read stmt.go next, then copy.go. paths.go finds file names in SQL that DuckDB
// cannot give a syntax tree of.
package stmt
