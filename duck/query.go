//go:build duckdb_arrow

package duck

import (
	"context"
	"errors"

	"github.com/pondmesh/pond/duck/vec"
)

// Exec runs one or more statements and returns the rows the last one changed.
func (e *Engine) Exec(ctx context.Context, sql string) (rowsAffected int64, err error) {
	return 0, errors.ErrUnsupported
}

// Schema names and types the columns of query, which is bound but not run.
func (e *Engine) Schema(ctx context.Context, query string) (*vec.Schema, error) {
	return nil, errors.ErrUnsupported
}

// Drain runs query and hands every row to emit exactly once, in no order, from
// several of DuckDB's threads at once. A chunk is valid only during the call.
// An error of emit stops the query and is returned as it is.
func (e *Engine) Drain(ctx context.Context, query string, emit func(*vec.Chunk) error) (rows int64, err error) {
	return 0, errors.ErrUnsupported
}

// Fetch runs query and hands its rows to emit in the query's order, from the
// calling goroutine. ORDER BY is always kept; the order of files and streams
// only with Access.Ordered. A chunk is valid only during the call. An error of
// emit stops the query and is returned as it is.
func (e *Engine) Fetch(ctx context.Context, query string, emit func(*vec.Chunk) error) (rows int64, err error) {
	return 0, errors.ErrUnsupported
}

// Copy runs COPY (query) TO path. Values of options are SQL, as COPY takes them:
// "zstd", "'|'", "(a, b)"; an empty value leaves the bare option.
func (e *Engine) Copy(ctx context.Context, query, path string, format string, options map[string]string) (rows int64, err error) {
	return 0, errors.ErrUnsupported
}

// Parse turns one or more SELECT statements into DuckDB's JSON syntax tree.
// Other statements, and SQL that is wrong, are an *Error with its position.
func (e *Engine) Parse(ctx context.Context, sql string) (json []byte, err error) {
	return nil, errors.ErrUnsupported
}

// Deparse turns a syntax tree of Parse back into SQL.
func (e *Engine) Deparse(ctx context.Context, json []byte) (string, error) {
	return "", errors.ErrUnsupported
}
