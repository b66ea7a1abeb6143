//go:build duckdb_arrow

package pond_test

import (
	"fmt"
	"math/big"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/apache/arrow-go/v18/arrow"

	"github.com/pondmesh/pond"
	"github.com/pondmesh/pond/chaos/pondtest"
)

const tpch = "duck/logical/testdata/tpch"

// tpchFile is a file of the TPC-H sample.
func tpchFile(t *testing.T, name string) string {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(tpch, name))
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// tpchViews are statements that name each file of the sample as its table.
func tpchViews(t *testing.T) (views []string) {
	t.Helper()
	files, err := filepath.Glob(tpch + "/*.parquet")
	if err != nil || len(files) != 8 {
		t.Fatalf("%d files of the sample, %v", len(files), err)
	}
	for _, f := range files {
		views = append(views, fmt.Sprintf("CREATE VIEW %s AS SELECT * FROM '%s'", strings.TrimSuffix(filepath.Base(f), ".parquet"), f))
	}
	return views
}

// TPC-H over ponds of several sizes, every query distributed though it is small,
// must equal one DuckDB, which must equal the published answers.
func TestTPCH(t *testing.T) {
	views := tpchViews(t)
	var nodes []*pond.Node // of each pond, the one that joined last
	for _, n := range []int{1, 3, 5} {
		node := pondtest.New(t, n, pond.WithMemory(256*mib), pond.WithSlots(1))[n-1]
		for _, v := range views {
			if _, err := node.SQL(testContext(t), v); err != nil {
				t.Fatal(err)
			}
		}
		nodes = append(nodes, node)
	}
	for q := 1; q <= 22; q++ {
		name := fmt.Sprintf("q%02d", q)
		t.Run(name, func(t *testing.T) {
			sql := strings.TrimSuffix(strings.TrimSpace(tpchFile(t, name+".sql")), ";")
			want := oracleWith(t, strings.Join(views, ";\n"), sql)
			var real []bool // by column: a floating-point number
			for _, node := range nodes {
				rows, err := node.SQL(testContext(t), sql, pond.Force(true), pond.Partitions(3))
				got := lines(t, rows, err)
				real = nil
				for _, f := range rows.Schema.Fields() {
					real = append(real, arrow.IsFloating(f.Type.ID()))
				}
				equalRows(t, got, want, real)
			}
			answer := strings.Split(strings.TrimSuffix(strings.ReplaceAll(tpchFile(t, name+".csv"), "\r", ""), "\n"), "\n")
			equalRows(t, want, answer[1:], real)
			rows, err := nodes[0].SQL(testContext(t), "EXPLAIN "+sql, pond.Force(true), pond.Partitions(3))
			if err != nil {
				t.Fatal(err)
			}
			distributed(t, planText(t, rows))
		})
	}
}

var (
	severalTasks = regexp.MustCompile(`(?m)^    kind .*\b[2-9]\d* tasks`)
	gathered     = regexp.MustCompile(`(?m)^    gathered +(.*)$`)
	// merges are what a single task may gather rows for: partial results of groups,
	// the first rows of all, the bounds of ranges, and a little to be sorted.
	merges = regexp.MustCompile(`^(puts the partial results of|keeps \d+ rows? of|keeps the first rows|finds the bounds of|sorts what is too little)`)
)

// distributed looks whether stages run in several tasks, and gather rows into one
// for nothing but merges.
func distributed(t *testing.T, stages string) {
	t.Helper()
	if !severalTasks.MatchString(stages) {
		t.Errorf("no stage has several tasks\n%s", stages)
	}
	for _, why := range gathered.FindAllStringSubmatch(stages, -1) {
		if !merges.MatchString(why[1]) {
			t.Errorf("gathered: %s\n%s", why[1], stages)
		}
	}
}

// equalRows compares rows in order, column by column.
func equalRows(t *testing.T, got, want []string, real []bool) {
	t.Helper()
	same := func(a, b string) bool {
		x, y := strings.Split(a, "|"), strings.Split(b, "|")
		for i := range x {
			if len(x) != len(real) || len(y) != len(real) || !sameCell(x[i], y[i], real[i]) {
				return false
			}
		}
		return true
	}
	for i := range min(len(got), len(want)) {
		if !same(got[i], want[i]) {
			t.Fatalf("row %d of %d is\n%s\nwant\n%s", i+1, len(got), got[i], want[i])
		}
	}
	if len(got) != len(want) {
		t.Fatalf("%d rows, want %d", len(got), len(want))
	}
}

// sameCell compares values: floating-point numbers, which are added up in another
// order each time, within 1e-9 of one another, all others exactly. In published
// answers NULL is nothing.
func sameCell(a, b string, real bool) bool {
	if a == b || a == "(null)" && b == "" {
		return true
	}
	x, ok1 := new(big.Rat).SetString(a)
	y, ok2 := new(big.Rat).SetString(b)
	if !ok1 || !ok2 {
		return false
	}
	off := new(big.Rat).Sub(x, y)
	if !real {
		return off.Sign() == 0
	}
	return off.Abs(off).Cmp(new(big.Rat).Mul(y.Abs(y), big.NewRat(1, 1e9))) <= 0
}
