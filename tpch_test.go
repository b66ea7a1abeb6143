//go:build duckdb_arrow

package pond_test

import (
	"fmt"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/pondmesh/pond"
)

const tpch = "actors/plan/logical/testdata/tpch"

// tpchViews names each file of the TPC-H sample as its table.
func tpchViews(t *testing.T, s *pond.Session) (views string) {
	t.Helper()
	files, err := filepath.Glob(tpch + "/*.parquet")
	if err != nil || len(files) != 8 {
		t.Fatalf("%d files of the sample, %v", len(files), err)
	}
	for _, f := range files {
		v := fmt.Sprintf("CREATE VIEW %s AS SELECT * FROM '%s'", strings.TrimSuffix(filepath.Base(f), ".parquet"), f)
		if _, err := s.SQL(testContext(t), v); err != nil {
			t.Fatal(err)
		}
		views += v + ";\n"
	}
	return views
}

// TPC-H over ponds of several sizes, every query distributed though it is small,
// must equal one DuckDB.
func TestTPCH(t *testing.T) {
	for _, n := range []int{1, 3, 5} {
		t.Run(fmt.Sprintf("%d nodes", n), func(t *testing.T) {
			node := newPond(t, n, pond.WithMemory(256*mib), pond.WithSlots(1))[n-1]
			views := tpchViews(t, node.Session)
			for q := 1; q <= 22; q++ {
				t.Run(fmt.Sprintf("q%02d", q), func(t *testing.T) {
					text, err := os.ReadFile(fmt.Sprintf("%s/q%02d.sql", tpch, q))
					if err != nil {
						t.Fatal(err)
					}
					sql := strings.TrimSuffix(strings.TrimSpace(string(text)), ";")
					rows, err := node.SQL(testContext(t), sql, pond.ForceDistributed(), pond.OnPartitions(3))
					equalRows(t, lines(t, rows, err), oracleWith(t, views, sql))
				})
			}
		})
	}
}

// equalRows compares rows in order, numbers within 1e-9 of one another.
func equalRows(t *testing.T, got, want []string) {
	t.Helper()
	if !slices.EqualFunc(got, want, sameRow) {
		t.Fatalf("%d rows, want %d\ngot\n%s\nwant\n%s", len(got), len(want), strings.Join(got[:min(10, len(got))], "\n"), strings.Join(want[:min(10, len(want))], "\n"))
	}
}

func sameRow(a, b string) bool {
	return slices.EqualFunc(strings.Split(a, "|"), strings.Split(b, "|"), func(a, b string) bool {
		if a == b {
			return true
		}
		x, err1 := strconv.ParseFloat(a, 64)
		y, err2 := strconv.ParseFloat(b, 64)
		return err1 == nil && err2 == nil && math.Abs(x-y) <= 1e-9*max(math.Abs(x), math.Abs(y))
	})
}
