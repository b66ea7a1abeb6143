//go:build duckdb_arrow

package distribute_test

import (
	"fmt"
	"testing"

	"github.com/pondmesh/pond/actors/plan/distribute"
)

// What a query reads decides whether it runs whole, not how large its files are.
func TestSmall(t *testing.T) {
	dir := t.TempDir()
	d := open(t)
	// Of a million rows: k is in order, flag compresses to next to nothing, text does not.
	const rows = 1_000_000
	file := dir + "/big.parquet"
	if _, err := d.Exec(t.Context(), fmt.Sprintf("COPY (SELECT i AS k, true AS flag, uuid()::VARCHAR AS text FROM range(%d) t(i)) TO '%s' (ROW_GROUP_SIZE 100000)", rows, file)); err != nil {
		t.Fatal(err)
	}
	p := newPond(t, dir)
	for _, c := range []struct {
		sql   string
		local int64
		whole bool
	}{
		{"SELECT count(text) FROM big", 10 * rows, false},
		{"SELECT count(k) FROM big", 10 * rows, true},
		{"SELECT * FROM big", 10 * rows, false},
		{"SELECT count(text) FROM big WHERE k BETWEEN 250000 AND 299999", 10 * rows, true}, // one row group
		{"SELECT count(*) FROM big WHERE flag", rows + 1, true},
		{"SELECT count(*) FROM big WHERE flag", rows, false}, // a value counts a byte
		{"SELECT count(*) FROM big WHERE flag UNION ALL SELECT count(*) FROM big WHERE NOT flag", 3 * rows / 2, false},
	} {
		tree, err := p.tree(t.Context(), c.sql)
		if err != nil {
			t.Fatal(err)
		}
		job, err := distribute.Plan(&distribute.Query{Tree: tree, SQL: c.sql}, p.facts, distribute.Options{JobID: "job", Parallelism: 4, LocalBytes: c.local})
		if err != nil {
			t.Fatal(err)
		}
		if whole := len(job.Stages) == 1 && job.Stages[0].Query == c.sql; whole != c.whole {
			t.Errorf("%s, local up to %d: whole is %v\n%s", c.sql, c.local, whole, job.Explain())
		}
	}
}
