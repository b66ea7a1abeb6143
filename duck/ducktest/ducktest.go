// Package ducktest has DuckDBs for tests that compare with DuckDB itself, rows as text,
// and scripts of statements.
package ducktest

import (
	"context"
	"os"
	"strings"
	"testing"
	"unsafe"

	"github.com/pondmesh/pond/duck"
	"github.com/pondmesh/pond/duck/logical"
	"github.com/pondmesh/pond/duck/vec"
)

// Open is a small DuckDB, which the test's end closes.
func Open(t testing.TB) *duck.Engine {
	t.Helper()
	e, err := duck.Open(t.Context(), duck.Config{Threads: 1, Memory: 256 << 20})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { e.Close() })
	return e
}

// Fetch returns the rows of a query, all of whose columns are VARCHAR.
func Fetch(ctx context.Context, e *duck.Engine, query string) ([][]string, error) {
	var rows [][]string
	_, err := e.Fetch(ctx, query, func(c *vec.Chunk) error {
		for i := range c.Rows {
			row := make([]string, len(c.Columns))
			for j := range row {
				row[j] = "NULL"
				if !c.Columns[j].Null(i) {
					row[j] = string(unsafe.Slice((*vec.Str)(c.Columns[j].Data), c.Columns[j].Rows)[i].Bytes())
				}
			}
			rows = append(rows, row)
		}
		return nil
	})
	return rows, err
}

// Sorted reports whether a plan orders its rows.
func Sorted(op logical.Operator) bool {
	switch op.(type) {
	case *logical.Order, *logical.TopN:
		return true
	case *logical.Projection, *logical.Limit, *logical.MaterializedCTE:
		in := op.Head().Inputs
		return Sorted(in[len(in)-1])
	}
	return false
}

// Statement is a statement of a script, and the comment above it.
type Statement struct{ SQL, Note string }

// Script reads a file of statements, each ended by a semicolon at the end of a line; a
// comment line is a note to the next.
func Script(t testing.TB, path string) []Statement {
	t.Helper()
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	var out []Statement
	var s Statement
	for line := range strings.Lines(string(b)) {
		line = strings.TrimRight(line, "\n")
		if c, ok := strings.CutPrefix(line, "-- "); ok {
			s.Note = c
			continue
		}
		if strings.TrimSpace(line) == "" {
			continue
		}
		s.SQL += line + "\n"
		if strings.HasSuffix(line, ";") {
			s.SQL = strings.TrimSuffix(strings.TrimSpace(s.SQL), ";")
			out = append(out, s)
			s = Statement{}
		}
	}
	if s.SQL != "" {
		t.Fatalf("%s: the last statement does not end", path)
	}
	return out
}
