//go:build duckdb_arrow

package duck

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// TestOpenFiles: however many partitions there are, the files that are open at a
// time are bounded, and no row is lost when some are closed early.
func TestOpenFiles(t *testing.T) {
	e := start(t, Config{Threads: 2})
	dir := filepath.Join(t.TempDir(), "out")
	if got := value(t, e, "SELECT current_setting('partitioned_write_max_open_files')"); got != fmt.Sprint(openFilesMax) {
		t.Errorf("the bound is %s", got)
	}
	done, most := make(chan struct{}), make(chan int, 1)
	go func() {
		n := 0
		for {
			select {
			case <-done:
				most <- n
				return
			case <-time.After(time.Millisecond):
				n = max(n, openIn(dir))
			}
		}
	}()
	const rows = 20_000
	_, err := e.Copy(context.Background(), fmt.Sprintf("SELECT range AS v, range %% 1000 AS p FROM range(%d)", rows), dir, "csv", map[string]string{"partition_by": "(p)"})
	close(done)
	if n := <-most; err != nil || n > openFilesMax+2 { // one a thread may be on its way
		t.Errorf("%d files were open at once, %v", n, err)
	}
	if got := value(t, e, "SELECT count(*) || ' ' || sum(v) FROM read_csv('"+dir+"/*/*.csv')"); got != fmt.Sprint(rows, " ", rows*(rows-1)/2) {
		t.Errorf("read back: %s", got)
	}
}

// openIn counts the descriptors of files below dir.
func openIn(dir string) (n int) {
	fds, _ := os.ReadDir("/proc/self/fd")
	for _, fd := range fds {
		if name, err := os.Readlink("/proc/self/fd/" + fd.Name()); err == nil && strings.HasPrefix(name, dir) {
			n++
		}
	}
	return n
}

// TestGroupedFiles: rows that come folder by folder have few files open at a time, and
// take less memory than the same rows as they come.
func TestGroupedFiles(t *testing.T) {
	p := NewPool(PoolConfig{Engine: Config{Threads: 1, Memory: 96 << 20}})
	defer p.Close()
	const query = "SELECT i AS v, i % 1500 AS p, i AS a, i AS b, i AS c FROM range(20000) t(i)"
	for _, grouped := range []bool{false, true} {
		dir := filepath.Join(t.TempDir(), "out")
		e, err := p.Get(t.Context(), Options{Access: Access{Dirs: []string{filepath.Dir(dir)}}, Grouped: grouped})
		if err != nil {
			t.Fatal(err)
		}
		sql := query
		if grouped {
			sql = "SELECT * FROM (" + query + ") ORDER BY p"
		}
		rows, err := e.Copy(t.Context(), sql, dir, "csv", map[string]string{"partition_by": "(p)"})
		switch {
		case !grouped && !errors.Is(err, ErrMemory):
			t.Errorf("%d rows as they come: %v", rows, err)
		case grouped && (err != nil || rows != 20_000):
			t.Errorf("%d rows in groups: %v", rows, err)
		case grouped:
			if got := value(t, e, "SELECT count(*) || ' ' || sum(v) || ' ' || count(DISTINCT filename) FROM read_csv('"+dir+"/*/*.csv', filename = true)"); got != "20000 199990000 1500" {
				t.Errorf("read back: %s", got)
			}
		}
		p.Put(e)
	}
}
