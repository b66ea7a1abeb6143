// Package logical reads the relational tree that DuckDB makes of a query, and
// writes any piece of it back as SQL.
//
// DuckDB parses, binds, decorrelates and optimises; its json_serialize_plan
// gives the result, in which every name is a position and every cast is
// explicit:
//
//	SQL ── DuckDB ──▶ JSON ── Decode ──▶ Plan ── Render, RenderTree ──▶ SQL
//	                                      │
//	                        whoever distributes cuts it here
//
// The written SQL binds to the same functions and types as the tree, so a piece
// means the same wherever it runs. Between pieces, columns are named by position
// (c0, c1, …), so that nothing depends on the user's names.
//
// An unknown operator or expression is no error: it decodes to [Unknown] or
// [UnknownExpr], rendering it returns [ErrUnrendered], and the whole query then
// runs as the user wrote it.
//
// It is pure: no clock, goroutine, socket, disk or DuckDB. Read tree.go for the
// operators, expr.go for expressions, then render.go.
package logical
