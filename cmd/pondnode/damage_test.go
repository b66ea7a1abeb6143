//go:build duckdb_arrow

package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/pondmesh/pond"
)

// A result that has rotted on its node's disk is made anew: the rows are right, and a
// line says what happened.
func TestDamagedResult(t *testing.T) {
	dir := t.TempDir()
	n, err := pond.Join(t.Context(), pond.WithDir(dir), pond.WithMemory(512<<20), pond.WithSlots(1))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { n.Close() })
	args := []string{"sql", "--peer", n.Addr(), "-q", "-o", "csv", "SELECT count(*) AS n FROM 'sample/*.parquet'"}
	first := feed(t, "", args...)
	if first.code != exitOK || strings.Contains(first.err, "warning") {
		t.Fatalf("%+v", first)
	}
	files, err := filepath.Glob(filepath.Join(dir, "store", "data", "*"))
	if err != nil || len(files) == 0 {
		t.Fatalf("%d files: %v", len(files), err)
	}
	for _, f := range files { // the job's record too: it is not read again
		if err := os.Truncate(f, 100); err != nil {
			t.Fatal(err)
		}
	}
	again := feed(t, "", args...)
	if again.code != exitOK || again.out != first.out || strings.Count(again.err, "\n") != 1 ||
		!strings.HasPrefix(again.err, "warning: read the result part 1 of 1 (segment ") || !strings.HasSuffix(again.err, ": it is made anew\n") {
		t.Errorf("first %q\nagain %d, %q, %s", first.out, again.code, again.out, again.err)
	}
}
