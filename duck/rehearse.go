//go:build duckdb_arrow

package duck

import (
	"context"
	"fmt"
	"os"
	"path/filepath"

	"github.com/pondmesh/pond/duck/lexer"
	"github.com/pondmesh/pond/duck/vec"
)

// What rehearse writes, and how it reads that.
const (
	rehearsedSetup = "SET GLOBAL allowed_directories = []; SET GLOBAL allowed_paths = []" // DuckDB's defaults
	rehearsedFile  = "rehearsal.parquet"
	rehearsedRows  = "SELECT i, i % 7 AS k, 'row ' || i AS s FROM range(100) AS r(i)"
	rehearsedQuery = "SELECT k, count(*) AS n, sum(i), max(s) FROM %s WHERE i > 1 GROUP BY k ORDER BY n, k"
)

// rehearse sets paths as Lock does, and writes and reads a small file as tasks do. A
// process's first query takes some milliseconds longer than its next ones, which map the
// program's code, look up DuckDB's functions and make room for it: it takes them now, and
// whoever asks first does not.
func (e *Engine) rehearse(ctx context.Context) error {
	if e.config.SpillDir == "" {
		return nil // there is no place for the file
	}
	file := filepath.Join(e.config.SpillDir, rehearsedFile)
	defer os.Remove(file)
	_, err := e.Exec(ctx, fmt.Sprintf("%s; COPY (%s) TO %s (FORMAT parquet)", rehearsedSetup, rehearsedRows, lexer.QuoteText(file)))
	if err == nil {
		_, err = e.Fetch(ctx, fmt.Sprintf(rehearsedQuery, lexer.QuoteText(file)), func(*vec.Chunk) error { return nil })
	}
	if err == nil {
		err = e.Reset(ctx) // now, and not when the first user gives the engine back
	}
	if err != nil {
		return fmt.Errorf("duck: rehearse: %w", err)
	}
	return nil
}
