//go:build duckdb_arrow

package glob_test

import (
	"context"
	"errors"
	"io/fs"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"unsafe"

	"github.com/pondmesh/pond/duck"
	"github.com/pondmesh/pond/duck/glob"
	"github.com/pondmesh/pond/duck/vec"
)

func engine(t *testing.T) *duck.Engine {
	t.Helper()
	e, err := duck.Open(context.Background(), duck.Config{Threads: 1})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { e.Close() })
	return e
}

// column is the texts of a query's one column.
func column(t *testing.T, e *duck.Engine, query string) ([]string, error) {
	t.Helper()
	var out []string
	_, err := e.Fetch(context.Background(), query, func(c *vec.Chunk) error {
		for _, s := range unsafe.Slice((*vec.Str)(c.Columns[0].Data), c.Rows) {
			out = append(out, string(s.Bytes()))
		}
		return nil
	})
	return out, err
}

func quote(s string) string { return "'" + strings.ReplaceAll(s, "'", "''") + "'" }

// files makes a small tree, with names of every kind.
func files(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	for _, f := range []string{"a.csv", "b.csv", "c.parquet", "_SUCCESS", ".hidden.csv", "x/d.csv", "x/y/e.csv", "x/_tmp/f.csv", "x/.h/g.csv",
		"[z]/g.csv", "sp ace/h.csv", "st*r.csv", "q?.csv", "b[1].csv", "line\n.csv", "per%20.csv", "it's.csv", `back\slash.csv`, "ü.csv", "A.CSV", "-.csv", "!.csv", "].csv"} {
		if err := os.MkdirAll(filepath.Dir(filepath.Join(dir, f)), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(dir, f), []byte(f), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	for link, to := range map[string]string{"link.csv": "a.csv", "linked": "x", "x/y/up": "..", "dangling.csv": "nowhere"} {
		if err := os.Symlink(to, filepath.Join(dir, link)); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

// A pattern means the files that it means to DuckDB.
func TestFindAsDuckDB(t *testing.T) {
	dir, e := files(t), engine(t)
	for _, p := range []string{
		"a.csv", "*.csv", "*", "?.csv", "[ab].csv", "[!a]*.csv", "[a-c].*", ".*", ".hid*", "_*", "*/*.csv", "x/*", "x/**", "**", "**/*.csv", "x/**/e.csv", "**/y/*",
		"x/_tmp/*", "*/y/*", "x/y/up/*.csv", "x/y/up/y/up/d.c*", "linked/*", "linked/**", "link*", "[z]/g.csv", "[z]/*", "[[]z]/*", "*/../*.csv", "x/../*.csv", "x//y/*", "./x/*", "x/./*",
		"st*r.csv", "st[*]r.csv", "q?.csv", "b[1].csv", "b[[]1].csv", "line?.csv", "line\n.csv", "per%20.csv", "per%*", "it's.c*", `back\slash.*`, `back\\slash.*`, `x\*`, "ü*", "?.CSV", "[-]*", "[!]*", "[]]*", "[]-]*", "[a-", "[", "*[", "x/*/", "x*/d.csv",
		"nothing.csv", "*.json", "nowhere/*", "a.csv/*", "dangling*", "{a,b}.csv", "**y/*", "x/***/e.csv", "../*/a.csv", "",
	} {
		pattern := dir + "/" + p
		want, err := column(t, e, "SELECT file FROM glob("+quote(pattern)+") ORDER BY file")
		if err != nil {
			t.Fatalf("%q: %v", p, err)
		}
		want = slices.DeleteFunc(want, func(f string) bool { st, err := os.Stat(f); return err != nil || st.IsDir() })
		found, err := glob.Find(context.Background(), []string{pattern})
		var got []string
		for _, f := range found {
			got = append(got, f.Path)
			if f.Size == 0 || f.ModTime.IsZero() {
				t.Errorf("%+v", f)
			}
		}
		if !slices.Equal(got, want) {
			t.Errorf("%q: %q, want %q", p, got, want)
		}
		if (len(want) == 0) != errors.Is(err, fs.ErrNotExist) {
			t.Errorf("%q: %v", p, err)
		}
	}
}

func TestFind(t *testing.T) {
	dir := files(t)
	ctx, cancel := context.WithCancel(context.Background())
	found, err := glob.Find(ctx, []string{dir + "/b.csv", dir + "/[ab].csv", dir + "/a.csv"})
	if err != nil || len(found) != 2 || found[0].Path != dir+"/a.csv" {
		t.Errorf("%v, %v", found, err)
	}
	if _, err := glob.Find(ctx, []string{dir + "/a.csv", dir + "/nothing"}); !errors.Is(err, fs.ErrNotExist) || !strings.Contains(err.Error(), "/nothing") {
		t.Error(err)
	}
	if _, err := glob.Find(ctx, []string{dir + "/**/**/a.csv"}); !errors.Is(err, glob.ErrTwice) {
		t.Error(err)
	}
	if err := os.WriteFile(dir+"/bad\xff.csv", nil, 0o600); err == nil {
		if _, err := glob.Find(ctx, []string{dir + "/*.csv"}); !errors.Is(err, glob.ErrName) {
			t.Error(err)
		}
	}
	cancel()
	if _, err := glob.Find(ctx, []string{dir + "/**"}); !errors.Is(err, context.Canceled) {
		t.Error(err)
	}
}

// A DataFrame's folders.
func TestFindFolders(t *testing.T) {
	dir := files(t)
	names := func(found []glob.File, err error) string {
		if err != nil {
			return err.Error()
		}
		var out []string
		for _, f := range found {
			out = append(out, strings.TrimPrefix(f.Path, dir+"/"))
		}
		return strings.Join(out, " ")
	}
	ctx := context.Background()
	for _, c := range []struct{ got, want string }{
		{names(glob.FindIn(ctx, []string{dir + "/x"})), "x/d.csv"},
		{names(glob.FindIn(ctx, []string{dir + "/x/", dir + "/a.csv"})), "a.csv x/d.csv"},
		{names(glob.FindBelow(ctx, []string{dir + "/x"})), "x/d.csv x/y/e.csv"},
		{names(glob.FindIn(ctx, []string{dir + "/x/.h"})), "x/.h/g.csv"},
		{names(glob.FindIn(ctx, []string{dir + "/x/*/*"})), "x/.h/g.csv x/_tmp/f.csv x/y/e.csv"},
	} {
		if c.got != c.want {
			t.Errorf("%s, want %s", c.got, c.want)
		}
	}
	if err := os.Mkdir(dir+"/empty", 0o700); err != nil {
		t.Fatal(err)
	}
	if _, err := glob.FindBelow(ctx, []string{dir + "/empty"}); !errors.Is(err, fs.ErrNotExist) {
		t.Error(err)
	}
}

func TestBelow(t *testing.T) {
	dir := files(t)
	for _, c := range []struct{ path, suffix, want string }{
		{dir + "/x", "csv", dir + "/x/**/*.csv"},
		{dir + "/x/", "csv", dir + "/x/**/*.csv"},
		{dir + "/linked", "parquet", dir + "/linked/**/*.parquet"},
		{dir + "/x", "", dir + "/x"},
		{dir + "/a.csv", "csv", dir + "/a.csv"},
		{dir + "/nothing", "csv", dir + "/nothing"},
		{dir + "/[z]", "csv", dir + "/[z]"},
	} {
		if got := glob.Below(c.path, c.suffix); got != c.want {
			t.Errorf("%s of %s: %s", c.suffix, c.path, got)
		} else if folder, ok := glob.Folder(got); ok != (got != c.path) || ok && folder != strings.TrimSuffix(c.path, "/") {
			t.Errorf("the folder of %s is %s", got, folder)
		}
	}
}

// Random patterns match random names as GLOB has it in DuckDB.
func TestMatchAsDuckDB(t *testing.T) {
	seed := rand.Uint64()
	r := rand.New(rand.NewPCG(seed, 1))
	random := func(of string, most int) string {
		b := make([]byte, r.IntN(most))
		for i := range b {
			b[i] = of[r.IntN(len(of))]
		}
		return string(b)
	}
	var rows []string
	for range 20000 {
		rows = append(rows, "("+quote(random("ab-]![", 6))+", "+quote(random(`aab-]![[]**?\`, 9))+")")
	}
	e := engine(t)
	list, err := column(t, e, "SELECT concat(n GLOB p, '|', n, '|', p) FROM (VALUES "+strings.Join(rows, ", ")+") AS t(n, p)")
	if err != nil {
		t.Fatal(err)
	}
	for _, row := range list {
		f := strings.Split(row, "|")
		if got := glob.Match(f[2], f[1]); got != (f[0] == "true") {
			t.Errorf("seed %d: %q matches %q: %v", seed, f[2], f[1], got)
		}
	}
}
