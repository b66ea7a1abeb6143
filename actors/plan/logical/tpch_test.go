//go:build duckdb_arrow

package logical_test

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// TestTPCH renders the 22 queries of TPC-H and compares with DuckDB and with the
// published answers, which were made by dbgen.
func TestTPCH(t *testing.T) {
	var setup strings.Builder
	files, err := filepath.Glob("testdata/tpch/*.parquet")
	if err != nil || len(files) != 8 {
		t.Fatal(files, err)
	}
	for _, f := range files {
		fmt.Fprintf(&setup, "CREATE VIEW %s AS FROM '%s';", strings.TrimSuffix(filepath.Base(f), ".parquet"), f)
	}
	p := newPair(t, setup.String())
	for q := 1; q <= 22; q++ {
		t.Run(fmt.Sprintf("q%02d", q), func(t *testing.T) {
			sql, err := os.ReadFile(fmt.Sprintf("testdata/tpch/q%02d.sql", q))
			if err != nil {
				t.Fatal(err)
			}
			text, err := p.check(t.Context(), strings.TrimSuffix(strings.TrimSpace(string(sql)), ";"))
			if err != nil {
				t.Fatalf("%s\n%v", text, err)
			}
			if testing.Verbose() {
				t.Log(text)
			}
		})
	}
}
