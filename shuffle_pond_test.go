//go:build duckdb_arrow

package pond_test

import (
	"fmt"
	"testing"

	"github.com/pondmesh/pond"
)

// Partitions of a megabyte and more go out by sendfile, several readers of one
// segment at once: each needs a file position of its own. Checksums catch a mix
// and the job is repaired by running tasks again, so an equal answer proves
// nothing: there must have been nothing to repair.
func TestLargeShuffleNeedsNoRepair(t *testing.T) {
	node := newPond(t, 3)[0]
	rows, err := node.FromRows([]string{"i", "BIGINT"}, []any{0}, []any{1}, []any{2}, []any{3}).Repartition(4, pond.ByColumn("i")).
		SQL("SELECT i * 300000 + j AS k, md5(j::VARCHAR) || md5((j * 3)::VARCHAR) AS v FROM {0}, range(300000) r(j)").
		Repartition(6, pond.ByHash("k")).SQL("SELECT count(*) AS n, count(DISTINCT k) AS d, bit_xor(hash(k, v)) AS x FROM {0}").Collect(testContext(t))
	got := lines(t, rows, err)
	for _, s := range rows.Status.Stages {
		if s.Retries > 0 {
			t.Errorf("stage %d (%s) needed %d retries without a fault", s.Index, s.Name, s.Retries)
		}
	}
	sum := oracle(t, "SELECT count(*), count(DISTINCT k), bit_xor(hash(k, v)) FROM (SELECT i * 300000 + j AS k, md5(j::VARCHAR) || md5((j * 3)::VARCHAR) AS v FROM range(4) s(i), range(300000) r(j))")
	if len(got) != 6 {
		t.Fatalf("%d partitions, want 6", len(got))
	}
	wantLines(t, []string{merged(t, got)}, sum...)
}

// merged adds up counts and xors hashes of partitions.
func merged(t *testing.T, lines []string) string {
	var n, d, x uint64
	for _, l := range lines {
		var pn, pd, px uint64
		if _, err := fmt.Sscanf(l, "%d|%d|%d", &pn, &pd, &px); err != nil {
			t.Fatal(err)
		}
		n, d, x = n+pn, d+pd, x^px
	}
	return fmt.Sprintf("%d|%d|%d", n, d, x)
}
