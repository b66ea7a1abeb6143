//go:build !duckdb_arrow

package duck

// Without the tag DuckDB is built without Arrow. This name is undefined on
// purpose: the compiler's one line says what to do.
var _ = build_with_go_build_tags_duckdb_arrow
