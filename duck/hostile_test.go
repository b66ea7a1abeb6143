//go:build duckdb_arrow

package duck

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/apache/arrow-go/v18/arrow"
	"github.com/apache/arrow-go/v18/arrow/memory"

	"github.com/pondmesh/pond/duck/vec"
)

// hostile are the statements of testdata/hostile.sql that a locked engine must refuse.
func hostile(t *testing.T) (out []string) {
	t.Helper()
	text, err := os.ReadFile("testdata/hostile.sql")
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(string(text)) {
		if line = strings.TrimSpace(line); line != "" && !strings.HasPrefix(line, "--") {
			out = append(out, strings.ReplaceAll(line, `\n`, "\n"))
		}
	}
	return out
}

func TestHostile(t *testing.T) {
	root := t.TempDir()
	job := filepath.Join(root, "job")
	setup := start(t, Config{})
	for _, dir := range []string{job, filepath.Join(root, "job12"), filepath.Join(root, "outside")} {
		if err := os.Mkdir(dir, 0o700); err != nil {
			t.Fatal(err)
		}
	}
	for _, name := range []string{"secret.csv", "job12/secret.csv", "outside/secret.csv", "job/ok.csv"} {
		exec(t, setup, "COPY (SELECT 'the secret' AS s) TO '"+filepath.Join(root, name)+"'")
	}
	exec(t, setup, "COPY (SELECT 'the secret' AS s) TO '"+root+"/secret.parquet'; ATTACH '"+root+"/secret.db' AS d; CREATE TABLE d.s AS SELECT 'the secret' AS s; DETACH d")
	if err := os.Symlink(root, filepath.Join(job, "link")); err != nil {
		t.Fatal(err)
	}
	before := tree(t, root)

	e := start(t, Config{Memory: 64 << 20, Threads: 1, SpillDir: filepath.Join(root, "spill"), SpillMax: 1 << 30})
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	if err := e.Lock(ctx, Access{Dirs: []string{job}}); err != nil {
		t.Fatal(err)
	}
	exec(t, e, "CREATE TEMP TABLE t (s VARCHAR)")
	for _, sql := range hostile(t) {
		sql = strings.ReplaceAll(sql, "ROOT", root)
		if _, err := e.Exec(ctx, sql); err == nil {
			t.Errorf("%s: was allowed", sql)
		}
	}
	if after := tree(t, root); after != before {
		t.Errorf("files before:\n%s\nafter:\n%s", before, after)
	}

	// What it was given works: reading, writing, globs, and spilling.
	exec(t, e, "COPY (SELECT 1 AS a) TO '"+job+"/out.parquet'; COPY t FROM '"+job+"/ok.csv'; COPY (SELECT 1 AS a, 2 AS b) TO '"+job+"/parts' (FORMAT csv, PARTITION_BY a)")
	if got := value(t, e, "SELECT count(*) FROM glob('"+job+"/o*')"); got != "2" {
		t.Errorf("glob inside finds %s files", got)
	}
	if _, err := e.Drain(ctx, "SELECT s FROM t, '"+job+"/out.parquet'", func(*vec.Chunk) error { return nil }); err != nil {
		t.Error(err)
	}
	exec(t, e, "CREATE TEMP TABLE big AS SELECT range AS i, repeat('x', 300) || hash(range)::VARCHAR AS v FROM range(500_000) ORDER BY hash(range)")
	if u, err := e.Usage(ctx); err != nil || u.Spill == 0 {
		t.Errorf("nothing was spilled: %+v, %v", u, err)
	}
}

// TestHostileStream reads what a registered view is made of.
func TestHostileStream(t *testing.T) {
	e := start(t, Config{Threads: 1})
	ctx := context.Background()
	batch := numbers(t, memory.DefaultAllocator, 0, 5000)
	var c counted
	if err := e.Register(ctx, "v", batch.Schema(), []Opener{c.opener(nil, batch)}, 5000); err != nil {
		t.Fatal(err)
	}
	for _, query := range []string{"SELECT c1 FROM pond_scan(0)", "FROM pond_scan(0)", "SELECT c1 FROM pond_scan(0) WHERE c0 > 17", "SELECT count(*) FROM pond_scan(0)", "SELECT 1 FROM pond_scan(0)"} {
		if n, err := e.Drain(ctx, query, func(*vec.Chunk) error { return nil }); err != nil || n == 0 {
			t.Errorf("%s: %d rows, %v", query, n, err)
		}
	}
	for _, query := range []string{"SELECT pond_sink(1, 2)", "SELECT pond_sink(0, range, 7) FROM range(3)", "SELECT pond_sink({'a': 1}, 2)", "SELECT pond_sink()", "FROM pond_scan(1)", "FROM pond_scan(-1)", "FROM pond_scan(9223372036854775807)", "FROM pond_scan()"} {
		if _, err := e.Drain(ctx, query, func(*vec.Chunk) error { return nil }); !errors.Is(err, ErrQuery) {
			t.Errorf("%s: %v", query, err)
		}
	}
	if err := e.Lock(ctx, Access{}); err != nil {
		t.Fatal(err)
	}
	evil := arrow.NewSchema([]arrow.Field{{Name: "i", Type: arrow.PrimitiveTypes.Int64, Metadata: arrow.NewMetadata([]string{vec.TypeKey}, []string{"INTEGER), (FROM read_text('/etc/' || 'passwd')"})}}, nil)
	if err := e.Register(ctx, "evil", evil, nil, 0); !errors.Is(err, ErrDenied) {
		t.Errorf("a type that is a query: %v", err)
	}
	if _, err := e.Footers(ctx, []string{"/tmp/./../etc/passwd"}); !errors.Is(err, ErrDenied) {
		t.Errorf("a footer outside: %v", err)
	}
}

// tree lists the files below root, but for spilled ones, and their sizes.
func tree(t *testing.T, root string) string {
	t.Helper()
	var all strings.Builder
	err := filepath.WalkDir(root, func(path string, d os.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if d.IsDir() && d.Name() == "spill" {
			return filepath.SkipDir
		}
		info, err := d.Info()
		if err == nil && !d.IsDir() {
			all.WriteString(path + " " + info.ModTime().String() + "\n")
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return all.String()
}
