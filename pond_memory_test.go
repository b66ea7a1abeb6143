//go:build duckdb_arrow

package pond_test

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/pondmesh/pond"
)

// TestSortBeyondMemory sorts five times what a node may hold. By itself it makes
// ranges that fit; told to make two, DuckDB has to spill them.
func TestSortBeyondMemory(t *testing.T) {
	const budget, slack, rowBytes = 64 * mib, 64 * mib, 128
	dir := t.TempDir()
	d := newSingle(t)
	in := filepath.Join(dir, "in.parquet")
	d.exec("COPY (SELECT hash(i)::VARCHAR AS k, i, repeat(hash(i + 1)::VARCHAR, 5)[:96] AS v FROM range(%d) t(i)) TO '%s' (ROW_GROUP_SIZE 20480)", 5*budget/rowBytes, in)
	want := d.query("SELECT count(*), sum(hash(k, i, v)) FROM '" + in + "'")
	node := newPond(t, 1, pond.WithMemory(budget), pond.WithSlots(1))[0]
	for _, ranges := range []int{0, 2} {
		t.Run(fmt.Sprintf("%d ranges", ranges), func(t *testing.T) {
			out := filepath.Join(dir, strconv.Itoa(ranges))
			df := node.ReadParquet(in).Sort("k")
			if ranges > 0 {
				df = node.ReadParquet(in).Repartition(ranges, pond.ByRange("k")).PartialSort("k")
			}
			before := peakMemory(t)
			ctx, cancel := context.WithTimeout(context.Background(), 5*time.Minute) // on a busy machine
			defer cancel()
			if err := df.WriteParquet(ctx, out); err != nil {
				t.Fatal(err)
			}
			if grown := peakMemory(t) - before; grown > budget+slack {
				t.Errorf("memory grew by %d MiB, %d are allowed", grown/mib, budget/mib)
			}
			sameTable(t, d.query("SELECT count(*), sum(hash(k, i, v)) FROM '"+out+"/*.parquet'"), want)
			if got := d.query("SELECT count(*) FROM (SELECT k < lag(k) OVER () AS falls FROM '" + out + "/*.parquet') WHERE falls"); got.rows[0] != "0" {
				t.Errorf("%s rows are less than the one before", got.rows[0])
			}
			jobs, err := node.Jobs(testContext(t))
			if err != nil {
				t.Fatal(err)
			}
			last := slices.MaxFunc(jobs, func(a, b *pond.Status) int { return a.Submitted.Compare(b.Submitted) })
			spilled, tasks := int64(0), 0
			for _, s := range last.Stages {
				spilled, tasks = spilled+s.Spill, s.Tasks
			}
			t.Logf("%d tasks sort, %d bytes spilled", tasks, spilled)
			if ranges == 0 && tasks < 10 || ranges > 0 && spilled == 0 {
				t.Errorf("%d tasks sort, %d bytes spilled", tasks, spilled)
			}
		})
	}
}

// peakMemory is the most memory that this process has had since it was last
// asked; 0 where the system does not say.
func peakMemory(t *testing.T) int64 {
	t.Helper()
	status, err := os.ReadFile("/proc/self/status")
	if err != nil {
		return 0
	}
	_, after, _ := strings.Cut(string(status), "VmHWM:")
	kib, err := strconv.ParseInt(strings.Fields(after)[0], 10, 64)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile("/proc/self/clear_refs", []byte("5"), 0); err != nil {
		t.Logf("peaks are not told apart: %v", err)
	}
	return kib << 10
}
