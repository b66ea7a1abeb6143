//go:build duckdb_arrow

package pond_test

import (
	"fmt"
	"path/filepath"
	"testing"

	"github.com/pondmesh/pond"
)

// TestCopyManyFiles: a task may write any number of files.
func TestCopyManyFiles(t *testing.T) {
	d := newSingle(t)
	node := newPond(t, 2)[0]
	for _, n := range []int{300} {
		for name, options := range map[string][]pond.JobOption{"plain": nil, "forced": {pond.Force(true)}} {
			t.Run(fmt.Sprint(n, " ", name), func(t *testing.T) {
				dir := filepath.Join(t.TempDir(), "out")
				_, err := node.SQL(testContext(t), fmt.Sprintf("COPY (SELECT range AS i, range %% %d AS p FROM range(3000)) TO '%s' (FORMAT parquet, PARTITION_BY p)", n, dir), options...)
				if err != nil {
					t.Fatal(err)
				}
				d.same(t, node.ReadParquet(dir, pond.HivePartitioning()).Select("i", "p"), fmt.Sprintf("SELECT range AS i, range %% %d AS p FROM range(3000)", n))
				wantNoStaging(t, filepath.Dir(dir), "out")
			})
		}
	}
}
