//go:build duckdb_arrow

package tree_test

import (
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/pondmesh/pond/duck"
	"github.com/pondmesh/pond/duck/ducktest"
	"github.com/pondmesh/pond/duck/tree"
	"github.com/pondmesh/pond/duck/tree/treetest"
)

func parse(t *testing.T, e *duck.Engine, sql string) tree.Node {
	t.Helper()
	b, err := e.Parse(t.Context(), sql)
	if err != nil {
		t.Fatalf("%s: %v", sql, err)
	}
	n, err := tree.Decode(b)
	if err != nil {
		t.Fatalf("%s: %v", sql, err)
	}
	return n
}

// queries are statements, and the files that they read below /d: with a star those that
// may be missing, with an exclamation mark what cannot be told or is no file.
var queries = []struct{ sql, files, tables string }{
	{"FROM 'a.csv'", "/d/a.csv", "a.csv"},
	{"SELECT * FROM 'a.parquet' a JOIN \"B.CSV\" b USING (x), '/abs/c.json.gz'", "/abs/c.json.gz /d/B.CSV /d/a.parquet", "/abs/c.json.gz a.parquet b.csv"},
	{"FROM read_parquet(['x/*.parquet', 'y.parquet'], union_by_name = true)", "/d/x/*.parquet /d/y.parquet", ""},
	{"FROM READ_CSV('./a/../b.csv')", "/d/./a/../b.csv", ""},
	{"FROM read_csv('~/a.csv')", "/home/u/a.csv", ""},
	{"FROM read_csv('file:///a.csv') UNION ALL FROM read_csv('file:/b.csv')", "/a.csv /b.csv", ""},
	{"FROM read_text('*.md'), glob('x/*')", "*/d/*.md */d/x/*", ""},
	{"WITH c AS (FROM 'in.csv'), \"own.csv\" AS (SELECT 1) SELECT (SELECT max(x) FROM 'sub.parquet'), * FROM c, \"own.csv\"", "/d/in.csv /d/sub.parquet", "in.csv sub.parquet"},
	{"SELECT * FROM t WHERE x IN (FROM 'in.json') AND EXISTS (FROM read_json('e.json'))", "/d/e.json /d/in.json", "in.json t"},
	{"FROM read_csv(getvariable('x'))", "!read_csv", ""},
	{"FROM read_csv(['a.csv', 'b' || '.csv'])", "!read_csv /d/a.csv", ""},
	{"FROM 'x.duckdb'", "!x.duckdb", "x.duckdb"},
	{"FROM main.\"a.csv\"", "", "a.csv"},
	{"SELECT 'not/a.csv', \"a.csv\" FROM t", "", "t"},
	{"FROM (PIVOT 'p.csv' ON k IN (1, 2) USING sum(v))", "/d/p.csv", "p.csv"},
	{"SELECT unnest([1]) FROM range(3), (VALUES (1)) v(a), LATERAL (FROM read_parquet('l.parquet'))", "/d/l.parquet", ""},
	{"FROM 'a.csv' TABLESAMPLE 10%", "/d/a.csv", "a.csv"},
	{"FROM 's3://bucket/a.parquet'", "s3://bucket/a.parquet", "s3://bucket/a.parquet"},
}

// TestFilesOfQueries: of statements as DuckDB reads them, every file is found, wherever it
// stands, and the statement with absolute names is one that DuckDB reads as the same.
func TestFilesOfQueries(t *testing.T) {
	e := ducktest.Open(t)
	place := tree.Place{Dir: "/d", Home: "/home/u"}
	for _, q := range queries {
		n := parse(t, e, q.sql)
		tables := slices.Sorted(maps.Keys(tree.Tables(n)))
		if got := strings.Join(tables, " "); got != q.tables {
			t.Errorf("%s: tables %s, want %s", q.sql, got, q.tables)
		}
		files := tree.AbsoluteFiles(n, place)
		var got []string
		for _, f := range files.List {
			if f.Lax {
				f.Path = "*" + f.Path
			}
			got = append(got, f.Path)
		}
		for _, f := range slices.Concat(files.Unclear, files.Databases) {
			got = append(got, "!"+f)
		}
		slices.Sort(got)
		if strings.Join(got, " ") != q.files {
			t.Errorf("%s: %s, want %s", q.sql, strings.Join(got, " "), q.files)
		}
		b, err := tree.Encode(n)
		if err != nil {
			t.Fatal(err)
		}
		text, err := e.Deparse(t.Context(), b)
		if err != nil {
			t.Errorf("%s: %v", q.sql, err)
			continue
		}
		again := parse(t, e, text)
		if more := tree.AbsoluteFiles(again, tree.Place{Dir: "/elsewhere", Home: "/nobody"}); more.Changed || !slices.Equal(more.List, files.List) {
			t.Errorf("%s became %s, which reads %v elsewhere, want %v", q.sql, text, more.List, files.List)
		}
	}
}

// TestUnplaced: two texts that DuckDB reads alike have one tree.
func TestUnplaced(t *testing.T) {
	e := ducktest.Open(t)
	for _, pair := range [][2]string{
		{"SELECT a, 1 FROM t WHERE b > 2", "select  a,1\nfrom t -- a comment\nwhere b>2"},
		{"FROM 'a.csv'", "FROM    'a.csv'"},
	} {
		one, two := fmt.Sprint(tree.Unplaced(parse(t, e, pair[0]))), fmt.Sprint(tree.Unplaced(parse(t, e, pair[1])))
		if one != two {
			t.Errorf("%s and %s:\n%s\n%s", pair[0], pair[1], one, two)
		}
	}
	if fmt.Sprint(tree.Unplaced(parse(t, e, "SELECT 1"))) == fmt.Sprint(tree.Unplaced(parse(t, e, "SELECT 2"))) {
		t.Error("SELECT 1 and SELECT 2 are one")
	}
}

// TestBent: a tree that is not as DuckDB writes it is looked through without a panic.
func TestBent(t *testing.T) {
	e := ducktest.Open(t)
	seed := rand.Uint64()
	r := rand.New(rand.NewPCG(seed, 0))
	for _, q := range queries {
		text, err := e.Parse(t.Context(), q.sql)
		if err != nil {
			t.Fatal(err)
		}
		for range 40 {
			n, err := tree.Decode(text)
			if err != nil {
				t.Fatal(err)
			}
			treetest.Bend(r, n)
			func() {
				defer func() {
					if p := recover(); p != nil {
						t.Fatalf("seed %d: %s: %v\n%v", seed, q.sql, p, n)
					}
				}()
				for _, s := range tree.TextScans(n) {
					s.Is("header", true)
					s.Has("columns")
					s.Key()
					s.Replace("", "", "t")
				}
				tree.Tables(n)
				tree.AbsoluteFiles(n, tree.Place{Dir: "/d"})
				tree.Mentions(n, "x")
			}()
		}
	}
}

// TestFileNames: in which column a reader tells names of files, as DuckDB takes it.
func TestFileNames(t *testing.T) {
	e := ducktest.Open(t)
	for arg, want := range map[string]string{
		"": "", ", union_by_name = true": "", ", filename = true": "filename", ", filename := true": "filename", ", FileName = 1": "filename", ", filename = 't'::BOOLEAN": "filename",
		", filename = false": "", ", filename = 0": "", ", filename = 'Src'": "Src", ", filename = 'f'": "f", ", filename = 'a' || 'b'": "?", ", filename = NULL": "?",
	} {
		scans := tree.FileScans(parse(t, e, "FROM read_parquet('/a.parquet'"+arg+")"))
		if len(scans) != 1 {
			t.Fatalf("%s: %d scans", arg, len(scans))
		}
		column, clear := scans[0].FileNames()
		if !clear {
			column += "?"
		}
		if column != want {
			t.Errorf("%s: %q, want %q", arg, column, want)
		}
	}
	scan := tree.FileScans(parse(t, e, "FROM 'a.parquet'"))[0]
	if err := scan.Within(parse(t, e, "SELECT 1; SELECT 2"), "scan"); err == nil {
		t.Error("two statements are taken for a query")
	}
}
