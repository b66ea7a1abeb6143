//go:build duckdb_arrow

package duck

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestFooters(t *testing.T) {
	dir := t.TempDir()
	e := start(t, Config{})
	ctx := context.Background()
	one, two, none := dir+"/one.parquet", dir+"/it's two.parquet", dir+"/none.parquet"
	exec(t, e, "COPY (SELECT range AS i, {'a': range, 'b': [range]} AS s, CASE WHEN range > 2999 THEN 'it''s ' || range END AS \"a, b\", DATE '2024-01-01' + (range // 1000)::INT AS d, 1.5::DOUBLE AS f FROM range(5000)) TO '"+one+"' (ROW_GROUP_SIZE 2048)")
	exec(t, e, "COPY (SELECT 1 AS x) TO '"+strings.ReplaceAll(two, "'", "''")+"'; COPY (SELECT 1 AS x WHERE false) TO '"+none+"'")
	list, err := e.Footers(ctx, []string{two, one, none, two})
	if err != nil {
		t.Fatal(err)
	}
	if len(list) != 4 || list[0].Path != two || list[0].Rows != 1 || list[3].Rows != 1 || list[2].Rows != 0 || len(list[2].Groups) != 0 || len(list[2].Columns) != 1 {
		t.Errorf("%+v", list)
	}
	f := list[1]
	want := `[{i BIGINT} {s STRUCT(a BIGINT, b BIGINT[])} {a, b VARCHAR} {d DATE} {f DOUBLE}]`
	if fmt.Sprint(f.Columns) != want || f.Rows != 5000 || len(f.Groups) != 3 {
		t.Errorf("%d rows in %d groups of %v", f.Rows, len(f.Groups), f.Columns)
	}
	bytes := int64(0)
	for i := range f.Groups[2].Stats {
		bytes += f.Groups[2].Stats[i].Bytes
		f.Groups[2].Stats[i].Bytes = 0
	}
	if bytes != f.Groups[2].Bytes {
		t.Errorf("columns of %d bytes in a group of %d", bytes, f.Groups[2].Bytes)
	}
	want = `[{i true 4096 4999 0 0 0} {s false   -1 0 0} {a, b true 'it''s 4096' 'it''s 4999' 0 0 0} {d true '2024-01-05' '2024-01-05' 0 1 0} {f true '1.5' '1.5' 0 1 0}]`
	if got := fmt.Sprint(f.Groups[2].Stats); got != want || f.Groups[2].Rows != 904 || f.Groups[2].Bytes <= 0 {
		t.Errorf("third group: %s", got)
	}
	if first := f.Groups[0].Stats[2]; first.HasStats || first.Nulls != 2048 {
		t.Errorf("a column of NULLs: %+v", first)
	}
	if err := os.WriteFile(dir+"/bad.parquet", []byte("no such thing"), 0o600); err != nil {
		t.Fatal(err)
	}
	var de *Error
	if _, err := e.Footers(ctx, []string{one, dir + "/bad.parquet"}); !errors.As(err, &de) || !strings.Contains(err.Error(), "bad.parquet") {
		t.Error(err)
	}
	if _, err := e.Footers(ctx, []string{dir + "/missing.parquet"}); !errors.Is(err, ErrMissing) {
		t.Error(err)
	}
	if list, err := e.Footers(ctx, nil); err != nil || len(list) != 0 {
		t.Errorf("no paths: %v, %v", list, err)
	}
}

func TestGlob(t *testing.T) {
	dir := t.TempDir()
	e := start(t, Config{})
	for _, f := range []string{"a.csv", "b.csv", "c.parquet", "_SUCCESS", ".hidden.csv", "x/d.csv", "x/y/e.csv", "x/_tmp/f.csv", "[z]/g.csv", "sp ace/h.csv"} {
		if err := os.MkdirAll(filepath.Dir(filepath.Join(dir, f)), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(dir, f), []byte(f), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	for _, c := range []struct{ patterns, want string }{
		{"a.csv", "a.csv"},
		{"", "a.csv b.csv c.parquet"},
		{"x/", "x/d.csv"},
		{"*.csv", "a.csv b.csv"},
		{"[ab].csv", "a.csv b.csv"},
		{"?.parquet", "c.parquet"},
		{".hid*", ".hidden.csv"},
		{"_*", "_SUCCESS"},
		{"*/*.csv", "[z]/g.csv sp ace/h.csv x/d.csv"},
		{"x/**", "x/d.csv x/y/e.csv"},
		{"**/*.csv", "[z]/g.csv a.csv b.csv sp ace/h.csv x/d.csv x/y/e.csv"},
		{"x/**/e.csv", "x/y/e.csv"},
		{"x/_tmp/*", "x/_tmp/f.csv"},
		{"b.csv|a.csv|*.csv", "a.csv b.csv"},
		{"nothing.csv", "missing"},
		{"*.json", "missing"},
		{"a.csv|*.json", "missing"},
		{"nowhere/*", "missing"},
		{"[z]/g.csv", "[z]/g.csv"},
		{"[", "bad"},
	} {
		var patterns []string
		for p := range strings.SplitSeq(c.patterns, "|") {
			patterns = append(patterns, dir+"/"+p)
		}
		files, err := e.Glob(context.Background(), patterns)
		var names []string
		for _, f := range files {
			rel, _ := filepath.Rel(dir, f.Path)
			if f.Size != int64(len(rel)) || f.ModTime.IsZero() {
				t.Errorf("%+v", f)
			}
			names = append(names, rel)
		}
		got := strings.Join(names, " ")
		switch {
		case errors.Is(err, fs.ErrNotExist):
			got = "missing"
		case errors.Is(err, filepath.ErrBadPattern):
			got = "bad"
		case err != nil:
			t.Error(err)
		}
		if got != c.want {
			t.Errorf("%s: %s, want %s", c.patterns, got, c.want)
		}
	}
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	if _, err := e.Glob(ctx, []string{dir + "/**"}); !errors.Is(err, context.Canceled) {
		t.Error(err)
	}
}
