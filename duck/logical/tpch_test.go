//go:build duckdb_arrow

package logical_test

import (
	"fmt"
	"math"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
)

// answers compares rows with the published ones, which have numbers of fewer
// digits, and their own order of ties.
func answers(path string, got [][]string) error {
	b, err := os.ReadFile(path)
	if err != nil {
		return err
	}
	var want [][]string
	for line := range strings.Lines(string(b)) {
		want = append(want, strings.Split(strings.TrimRight(line, "\r\n"), "|"))
	}
	want = want[1:] // the names
	if len(got) != len(want) {
		return fmt.Errorf("%d rows, the answer has %d", len(got), len(want))
	}
	for i := range want {
		for j := range want[i] {
			a, err1 := strconv.ParseFloat(got[i][j], 64)
			b, err2 := strconv.ParseFloat(want[i][j], 64)
			if want[i][j] == "" && got[i][j] == "NULL" {
				continue
			}
			if got[i][j] != want[i][j] && (err1 != nil || err2 != nil || math.Abs(a-b) > 1e-9*math.Abs(b)) {
				return fmt.Errorf("row %d: %q, the answer is %q", i, got[i], want[i])
			}
		}
	}
	return nil
}

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
			got, err := table(t.Context(), p.runs, text)
			if err != nil {
				t.Fatal(err)
			}
			if err := answers(fmt.Sprintf("testdata/tpch/q%02d.csv", q), got); err != nil {
				t.Errorf("%s\n%v", text, err)
			}
		})
	}
}
