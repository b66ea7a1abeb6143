//go:build duckdb_arrow

package main

import (
	"fmt"
	"os"
	"path/filepath"
	"testing"

	"github.com/pondmesh/pond/fs/object/s3/s3test"
)

// TestJobFileOfStores: a job file reads and writes S3 and datasets by their names, as it
// does folders.
func TestJobFileOfStores(t *testing.T) {
	s3test.Serve(t, s3test.Handler(t, "bucket"))
	node, dir := start(t), t.TempDir()
	run := func(args ...string) outcome {
		t.Helper()
		return shell(t, dir, append(args, "--quiet", "--peer", node.addr)...)
	}
	must(t, run("sql", "COPY (SELECT i, i % 3 AS k FROM range(3000) t(i)) TO 's3://bucket/in/' (FORMAT parquet)"))
	file := filepath.Join(dir, "job.yaml")
	from := "s3://bucket/in/*.parquet"
	for _, c := range []struct{ to, mode, read, rows string }{
		{"s3://bucket/out", "error", "s3://bucket/out/*.parquet", "3,1500"},
		{"s3://bucket/out", "append", "s3://bucket/out/*.parquet", "6,3000"},
		{"pond://totals", "error", "pond://totals", "3,1500"},
		{"pond://totals", "append", "pond://totals", "6,3000"},
		{"pond://totals", "overwrite", "pond://totals", "3,1500"},
	} {
		text := fmt.Sprintf("steps:\n  - read: %q\n  - sql: SELECT k, count(*) AS n, 500 AS half FROM {0} GROUP BY k\nresult:\n  write: {path: %q, format: parquet, mode: %s}\n", from, c.to, c.mode)
		if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		must(t, run("submit", file))
		got := must(t, run("sql", "-o", "csv", "SELECT count(*) AS files, sum(half)::BIGINT AS halves FROM '"+c.read+"'"))
		if want := "files,halves\n" + c.rows + "\n"; got != want {
			t.Errorf("%s to %s: %q, want %q", c.mode, c.to, got, want)
		}
		from = c.read // the next reads what this one wrote
	}
	must(t, run("submit", file)) // once more: it reads what it overwrites
}
