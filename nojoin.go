//go:build !duckdb_arrow

package pond

// Join starts a node, which needs DuckDB: build the program with cgo and
// -tags duckdb_arrow. Without the tag Join is no function, so that the compiler's
// message about a call names the tag.
var Join build_with_go_build_tags_duckdb_arrow

type build_with_go_build_tags_duckdb_arrow struct{}
