//go:build duckdb_arrow

package remote

import (
	"fmt"
	"log/slog"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/pondmesh/pond/actors/plan"
	"github.com/pondmesh/pond/duck"
	"github.com/pondmesh/pond/duck/ducktest"
	"github.com/pondmesh/pond/fs/object"
	"github.com/pondmesh/pond/fs/object/folder"
)

// open returns a Cache of the objects mem://NAME, which are the files of a folder.
func open(t *testing.T, c Config) (*Cache, string) {
	t.Helper()
	dir := t.TempDir()
	f, err := folder.Open(dir, "mem://")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { f.Close() })
	c.Dir, c.Log = filepath.Join(t.TempDir(), "objects"), slog.New(slog.DiscardHandler)
	if c.Sources == nil {
		c.Sources = map[string]object.Source{"mem": f}
	}
	cache, err := Open(c)
	if err != nil {
		t.Fatal(err)
	}
	return cache, dir
}

// path is that of an object.
func path(t *testing.T, c *Cache, name string) string {
	t.Helper()
	list, err := c.Find(t.Context(), "mem://"+name)
	if err != nil {
		t.Fatal(err)
	}
	p, err := list[0].Path()
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// kinds are files of every kind that DuckDB writes: of codecs, versions, types,
// dictionaries, filters, and sizes of row groups.
var kinds = []string{
	"COMPRESSION snappy, ROW_GROUP_SIZE 2048", "COMPRESSION zstd", "COMPRESSION uncompressed, ROW_GROUP_SIZE 4096", "COMPRESSION lz4_raw, PARQUET_VERSION v2",
	"COMPRESSION uncompressed, PARQUET_VERSION v2, ROW_GROUP_SIZE 2048", "DICTIONARY_SIZE_LIMIT 1, COMPRESSION uncompressed", "BLOOM_FILTER_FALSE_POSITIVE_RATIO 0.001, ROW_GROUP_SIZE 2048, COMPRESSION uncompressed",
	"COMPRESSION brotli, FIELD_IDS {i: 7}",
}

const kindRows = `SELECT i, i % 7 AS small, i::DOUBLE / 3 AS d, md5(i::VARCHAR) AS s, CASE WHEN i % 3 > 0 THEN 'k' || i % 11 END AS few, [i, i % 5] AS l, {'x': i, 'y': md5(i::VARCHAR)} AS st,
	MAP {'a': i} AS m, i % 2 = 0 AS b, DATE '2020-01-01' + (i % 500)::INTEGER AS day, NULL::INTEGER AS nothing, (i * 37 % 1000)::DECIMAL(18,2) AS dec, 7 AS same FROM range(6500) t(i)`

// asked are queries of FILE and the columns that they read of it, in pieces of rows.
var asked = []struct {
	sql     string
	columns []string
	rows    []plan.Piece
}{
	{"SELECT sum(i) FROM FILE", []string{"i"}, []plan.Piece{{Whole: true}}},
	{"SELECT small, count(*), max(s) FROM FILE GROUP BY small", []string{"small", "s"}, []plan.Piece{{Whole: true}}},
	{"SELECT S, few FROM FILE WHERE few = 'k3' AND i > 100", []string{"s", "FEW", "i"}, []plan.Piece{{Whole: true}}},
	{"SELECT i FROM FILE WHERE s = md5('2321')", []string{"i", "s"}, []plan.Piece{{Whole: true}}},
	{"SELECT max(s), count(*) FROM FILE WHERE small = 3 AND i IN (3, 4000, 6499)", []string{"s", "small", "i"}, []plan.Piece{{Whole: true}}},
	{"SELECT count(*) FROM FILE", []string{}, []plan.Piece{{Whole: true}}},
	{"SELECT count(nothing), any_value(same) FROM FILE", []string{"nothing", "same"}, []plan.Piece{{Whole: true}}},
	{"SELECT sum(st.x), sum(l[1]), any_value(m['a']) FROM FILE", []string{"st", "l", "m"}, []plan.Piece{{Whole: true}}},
	{"SELECT sum(st.x), max(st.y) FROM FILE", []string{"st"}, []plan.Piece{{Whole: true}}},
	{"SELECT s, i FROM FILE ORDER BY d DESC LIMIT 3", []string{"s", "i", "d"}, []plan.Piece{{Whole: true}}},
	{"SELECT sum(i), max(s) FROM FILE WHERE day < DATE '2020-02-01' AND b", []string{"i", "s", "day", "b"}, []plan.Piece{{Whole: true}}},
	{"SELECT sum(i), max(s) FROM read_parquet(FILE, file_row_number = true) WHERE file_row_number BETWEEN 2100 AND 4000", []string{"i", "s"}, []plan.Piece{{Start: 2100, Rows: 1901}}},
	{"SELECT sum(dec) FROM read_parquet(FILE, file_row_number = true) WHERE file_row_number BETWEEN 0 AND 5", []string{"dec"}, []plan.Piece{{Start: 0, Rows: 6}}},
	{"SELECT count(*), min(few) FROM read_parquet(FILE, file_row_number = true) WHERE file_row_number BETWEEN 6499 AND 6499", []string{"few"}, []plan.Piece{{Start: 6499, Rows: 1}}},
	{"SELECT min(i) FROM FILE WHERE i > 6200", []string{"i"}, []plan.Piece{{Start: 6144, Rows: 356}}}, // the others are pruned by their statistics
}

// poison fills what is not here with bytes of chance.
func poison(t *testing.T, e *entry, r *rand.Rand) {
	t.Helper()
	f, err := os.OpenFile(e.local, os.O_WRONLY, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	for _, hole := range without([]span{{0, e.object.Size}}, e.have) {
		bytes := make([]byte, hole.to-hole.from)
		for i := range bytes {
			bytes[i] = byte(r.Uint32())
		}
		if _, err := f.WriteAt(bytes, hole.from); err != nil {
			t.Fatal(err)
		}
	}
}

func rows(t *testing.T, e *duck.Engine, sql, file string) ([]string, error) {
	t.Helper()
	got, err := ducktest.Fetch(t.Context(), e, "SELECT CAST(COLUMNS(*) AS VARCHAR) FROM ("+strings.ReplaceAll(sql, "FILE", "'"+file+"'")+")")
	var out []string
	for _, row := range got {
		out = append(out, strings.Join(row, "|"))
	}
	slices.Sort(out)
	return out, err
}

// TestParquetByRange: DuckDB reads of a Parquet file what the footer says that its
// columns and rows are, and nothing else: what is not here may be zeros, or anything.
func TestParquetByRange(t *testing.T) {
	d := ducktest.Open(t)
	seed := rand.Uint64()
	t.Logf("seed %d", seed)
	r := rand.New(rand.NewPCG(seed, 1))
	for k, options := range kinds {
		cache, dir := open(t, Config{})
		first := made(t, d, dir, options)
		for i, q := range asked {
			name := fmt.Sprintf("f%d.parquet", i) // of which nothing is here yet
			if err := os.Link(first, filepath.Join(dir, name)); err != nil {
				t.Fatal(err)
			}
			want, err := rows(t, d, q.sql, first)
			if err != nil {
				t.Fatal(err)
			}
			p := path(t, cache, name)
			release, err := cache.bringAll(t.Context(), []need{{path: p, parquet: true, columns: q.columns, rows: q.rows}})
			if err != nil {
				t.Fatal(err)
			}
			e := cache.entries[p]
			if e.layout == nil {
				t.Fatalf("kind %d: the footer is not understood", k)
			}
			poison(t, e, r)
			if got, err := rows(t, d, q.sql, e.local); err != nil || !slices.Equal(got, want) {
				t.Errorf("%s: %s: %.300q, %v, want %.300q", options, q.sql, got, err, want)
			}
			release()
		}
	}
}

// made is a file of some kind.
func made(t *testing.T, d *duck.Engine, dir, options string) string {
	t.Helper()
	file := filepath.Join(dir, "first.parquet")
	if _, err := d.Exec(t.Context(), "COPY ("+kindRows+") TO '"+file+"' (FORMAT parquet, "+options+")"); err != nil {
		t.Fatal(err)
	}
	return file
}

// TestColumnThatIsNotHere: of a column that was not fetched DuckDB gives an error, which
// says that the attempt is to be run over the whole file, or what statistics tell, and
// never a wrong row.
func TestColumnThatIsNotHere(t *testing.T) {
	d := ducktest.Open(t)
	missing := 0
	for _, options := range kinds {
		cache, dir := open(t, Config{})
		file := made(t, d, dir, options)
		p := path(t, cache, "first.parquet")
		release, err := cache.bringAll(t.Context(), []need{{path: p, parquet: true, columns: []string{"i", "nothing"}, rows: []plan.Piece{{Whole: true}}}})
		if err != nil {
			t.Fatal(err)
		}
		for _, column := range []string{"d", "s", "few", "l", "st", "dec"} {
			if !holey(cache.entries[p], column) {
				continue // what was read beside the footer
			}
			missing++
			for _, sql := range []string{"SELECT count(" + column + ") FROM FILE WHERE i >= 0", "SELECT max(" + column + ") FROM FILE WHERE i = 17"} {
				got, err := rows(t, d, sql, cache.entries[p].local)
				want, err2 := rows(t, d, sql, file)
				if err2 != nil || err != nil && !missed(err) || err == nil && !slices.Equal(got, want) {
					t.Errorf("%s: %s: %.200q, %v, want %.200q, %v", options, sql, got, err, want, err2)
				}
				if err == nil && strings.HasPrefix(sql, "SELECT max") {
					t.Errorf("%s: %s is answered", options, sql)
				}
			}
		}
		release()
	}
	if missing < len(kinds) {
		t.Errorf("only %d columns were missing", missing)
	}
}

// holey reports whether all of a column is missing.
func holey(e *entry, column string) bool {
	want := e.layout.spans([]string{column}, []plan.Piece{{Whole: true}})
	return slices.Equal(without(want, e.have), want)
}
