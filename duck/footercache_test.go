//go:build duckdb_arrow

package duck

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"testing"
)

// A file that is written again at once must not be read by its former footer.
func TestFooterOfChangedFile(t *testing.T) {
	e := start(t, Config{})
	file := filepath.Join(t.TempDir(), "x.parquet")
	for n := 1; n <= 5; n++ {
		exec(t, e, fmt.Sprintf("COPY (SELECT %d AS x FROM range(%d)) TO '%s' (FORMAT parquet)", n, n, file))
		for range 2 {
			if got, want := value(t, e, "SELECT count(*) || ' ' || min(x) || ' ' || max(x) FROM '"+file+"'"), fmt.Sprintf("%d %d %d", n, n, n); got != want {
				t.Fatalf("rows and values %s, want %s", got, want)
			}
		}
	}
}

// A file of the same size that is written in place, in the same second, must not be
// read by its former contents either.
func TestContentsOfChangedFile(t *testing.T) {
	e := start(t, Config{})
	dir := t.TempDir()
	var versions [][]byte
	for n := range 2 {
		file := filepath.Join(dir, fmt.Sprintf("%d.parquet", n))
		exec(t, e, fmt.Sprintf("COPY (SELECT %d AS x) TO '%s' (FORMAT parquet)", n, file))
		b, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		versions = append(versions, b)
	}
	if len(versions[0]) != len(versions[1]) || bytes.Equal(versions[0], versions[1]) {
		t.Fatal("the files are not of one size, or the same")
	}
	file := filepath.Join(dir, "x.parquet")
	for i := range 40 {
		if err := os.WriteFile(file, versions[i%2], 0o600); err != nil {
			t.Fatal(err)
		}
		if got, want := value(t, e, "SELECT max(x) FROM '"+file+"'"), fmt.Sprint(i%2); got != want {
			t.Fatalf("%d: read %s, want %s", i, got, want)
		}
	}
}
