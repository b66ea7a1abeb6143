//go:build duckdb_arrow

package duck

import (
	"fmt"
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
