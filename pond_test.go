//go:build duckdb_arrow

package pond_test

import (
	"context"
	"testing"
	"time"

	"github.com/pondmesh/pond"
)

func TestSmoke(t *testing.T) {
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	n, err := pond.Join(ctx, pond.WithDir(t.TempDir()), pond.WithMemory(1<<30))
	if err != nil {
		t.Fatal(err)
	}
	defer n.Close()
	df := n.FromRows([]string{"k", "INTEGER", "v", "VARCHAR"}, []any{1, "a"}, []any{2, "b"}, []any{1, "c"})
	rows, err := df.Repartition(4, pond.ByHash("k")).SQL("SELECT k, count(*) AS n, string_agg(v, ',' ORDER BY v) AS vs FROM {0} GROUP BY k").Collect(ctx)
	if err != nil {
		t.Fatal(err)
	}
	for rec, err := range rows.All() {
		if err != nil {
			t.Fatal(err)
		}
		t.Log(rec)
	}
}
