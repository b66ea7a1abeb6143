// Package lexer cuts SQL text into tokens where DuckDB's own lexer cuts it.
//
//	text ── Lex ──▶ tokens ── Solid ──▶ those that mean something ── Value ──▶ the content of a string or name
//
// Whoever reads SQL without DuckDB reads it through this package: the guard of
// locked engines, the reader of statements and the planner. A guard is as sound
// as its agreement with DuckDB, so the rules follow DuckDB's scan.l to the byte,
// and the tests compare them with DuckDB itself. The quoting of names and texts
// stands here too, since it is the same knowledge the other way round.
//
// It is pure, and knows no grammar. It refuses quotes and comments that never
// end, and a zero byte, where DuckDB stops reading.
//
// Read lexer.go next, then value.go.
package lexer
