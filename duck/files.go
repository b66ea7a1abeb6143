//go:build duckdb_arrow

package duck

import (
	"context"
	"errors"
	"time"
)

// FileInfo is a file that a pattern matched.
type FileInfo struct {
	Path    string
	Size    int64 // bytes
	ModTime time.Time
}

// Glob lists the files that patterns match, in order of path, each once. It
// does not use DuckDB: Access does not apply. A pattern is a path, a glob
// (*, ?, [a-z], and ** for any depth of folders), or a folder: with a trailing
// slash all files below it, without one the files right in it. Names that begin
// with a dot or an underscore are skipped unless named. A pattern that matches
// nothing is an error that matches fs.ErrNotExist.
func (e *Engine) Glob(ctx context.Context, patterns []string) ([]FileInfo, error) {
	return nil, errors.ErrUnsupported
}

// Footer is what a Parquet file says of itself.
type Footer struct {
	Path    string
	Rows    int64
	Groups  []RowGroup
	Columns []FooterColumn // top level, in order
}

// FooterColumn is a top-level column of a Parquet file.
type FooterColumn struct {
	Name string
	Type string // DuckDB's
}

// RowGroup is a run of rows of a Parquet file.
type RowGroup struct {
	Rows  int64
	Bytes int64         // compressed
	Stats []ColumnStats // one a top-level column, in order
}

// ColumnStats bounds the values of a column in a row group.
type ColumnStats struct {
	Name     string
	HasStats bool   // Min and Max are known
	Min, Max string // SQL literals: 42, '2024-01-31'
	Nulls    int64  // -1: unknown
}

// Footers reads the footers of Parquet files, in the order of paths.
func (e *Engine) Footers(ctx context.Context, paths []string) ([]Footer, error) {
	return nil, errors.ErrUnsupported
}
