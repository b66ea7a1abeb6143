//go:build duckdb_arrow

package pond_test

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/pondmesh/pond"
	"github.com/pondmesh/pond/chaos/pondtest"
)

// readFiles makes files with names of every kind, in folders and behind links.
func readFiles(t *testing.T, d *single) string {
	t.Helper()
	dir := t.TempDir()
	for i, name := range []string{"d/a", "d/.h", "d/_u", "d/sub/b", "d/.hid/c", "sp ace", "qu'ote", "br[1]", "st*r", "q?", "pe%20r", "line\n", `b\s`, "ünï", "k=1/p", "k=2/p"} {
		path := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		for _, format := range []string{"parquet", "csv", "json"} {
			d.exec("COPY (SELECT %d AS i, 'x' AS s) TO '%s.%s'", 1<<i, strings.ReplaceAll(path, "'", "''"), format)
		}
	}
	writeFile(t, dir, "d/n.txt", "some text\n")
	writeFile(t, dir, "d/cut.parquet.bak", "PAR1 this is none")
	writeFile(t, dir, "torn.parquet", "PAR1 this is none either")
	writeFile(t, dir, "wrong.csv", "a,b\n"+strings.Repeat("1,2\n", 30000)+"x,3\n")
	for link, to := range map[string]string{"dl": "d", "d/l.parquet": "a.parquet", "deep": "d/sub"} {
		if err := os.Symlink(to, filepath.Join(dir, link)); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

// reads are queries over ROOT that mean what they mean to one DuckDB, or are
// refused by both.
var reads = []string{
	"FROM 'ROOT/d/*.parquet'", "FROM 'ROOT/d/**/*.parquet'", "FROM 'ROOT/**/*.json'", "FROM 'ROOT/d/.*.parquet'", "FROM 'ROOT/d/[!a]*.parquet'", "FROM 'ROOT/d/_?.csv'",
	"FROM read_parquet('ROOT/d')", "FROM read_parquet('ROOT/d/')", "FROM read_csv('ROOT/d')", "FROM read_json('ROOT/d')", "FROM read_parquet('ROOT/dl')", "FROM read_parquet(['ROOT/d', 'ROOT/k=1'])",
	"FROM 'ROOT/d'", "FROM read_text('ROOT/d')", "FROM read_csv('ROOT/d/n.txt')", "FROM 'ROOT/nowhere.parquet'", "FROM 'ROOT/no*.csv'", "FROM read_parquet(['ROOT/d/a.parquet', 'ROOT/no*.parquet'])",
	"FROM 'ROOT/sp ace.parquet'", "FROM 'ROOT/qu''ote.csv'", "FROM \"ROOT/br[1].parquet\"", "FROM 'ROOT/br[[]1].json'", "FROM 'ROOT/st*r.parquet'", "FROM 'ROOT/q?.csv'", "FROM 'ROOT/pe%20r.parquet'",
	"FROM 'ROOT/line\n.parquet'", `FROM 'ROOT/b\s.parquet'`, "FROM 'ROOT/ünï.csv'", "FROM 'ROOT/*.parquet' WHERE false", "FROM read_csv('ROOT/*[e ]*.csv')",
	"FROM 'ROOT/k=*/p.parquet'", "FROM 'ROOT/k=*/*.csv'", "FROM read_json('ROOT/k=*/*.json', hive_partitioning = true)",
	"FROM 'file://ROOT/d/a.parquet'", "FROM 'file:ROOT/d/*.csv'", "FROM read_parquet('file://localhost/ROOT/d/a.parquet')", "FROM read_parquet('file://nowhere/a.parquet')",
	"FROM 'ROOT//d/./a.parquet'", "FROM 'ROOT/d/../d/a.parquet'", "FROM 'ROOT/deep/../a.parquet'", "FROM 'ROOT/deep/../*.parquet'", "FROM 'ROOT/dl/*.csv'", "FROM 'ROOT/**/**/a.csv'",
	"SELECT filename, i FROM read_parquet('ROOT/d/**', filename = true) WHERE i < 0", "SELECT filename, i FROM read_parquet('ROOT/d/**/*.parquet', filename = true)", "SELECT filename, i FROM read_csv('ROOT/d', filename = true)",
	"SELECT content, size, filename FROM read_text('ROOT/d/n.tx?')", "SELECT filename, size, content FROM read_blob('ROOT/d/*.parquet')", "SELECT filename FROM read_text(['ROOT/d/n.txt', 'ROOT/d/*.csv'])", "FROM read_text('ROOT/nothing')",
	"SELECT file FROM glob('ROOT/d/*')", "SELECT file FROM glob('ROOT/**')", "SELECT file FROM glob(['ROOT/d/*.csv', 'ROOT/k=1/*'])", "SELECT count(*) FROM glob('ROOT/nothing*')",
	"SELECT file_name, num_rows FROM parquet_file_metadata('ROOT/d/*.parquet')", "SELECT file_name, path_in_schema, total_compressed_size FROM parquet_metadata('ROOT/d')", "SELECT file_name, name, type FROM parquet_schema(['ROOT/d/a.parquet', 'ROOT/k=1/p.parquet'])",
	"SELECT file_name, key FROM parquet_kv_metadata('ROOT/d/a.parquet')", "FROM parquet_bloom_probe('ROOT/d/*.parquet', 'i', 1)", "SELECT count(*) FROM parquet_full_metadata('ROOT/d/a.parquet')",
	"SELECT Delimiter, HasHeader, Columns FROM sniff_csv('ROOT/d/a.csv')", "SELECT count(*) FROM sniff_csv('ROOT/d/a.csv') s, 'ROOT/d/*.parquet'", "SELECT sum(p.i), any_value(s.Delimiter) FROM 'ROOT/d/*.csv' p, sniff_csv('ROOT/d/a.csv') s GROUP BY p.s",
	"SELECT sum(i), (SELECT count(*) FROM read_text('ROOT/d/n.txt')) AS n FROM 'ROOT/d/*.parquet'", "SELECT f.file, t.i FROM glob('ROOT/d/*.parquet') f JOIN read_parquet('ROOT/d/*.parquet', filename = true) t ON f.file = t.filename",
	"FROM parquet_scan(('ROOT/d/a.parquet'))", "FROM read_parquet(list_value('ROOT/d/a.parquet'))", "DESCRIBE FROM 'ROOT/d/*.parquet'", "DESCRIBE FROM 'ROOT/torn.parquet'", "DESCRIBE FROM 'ROOT/wrong.csv'", "FROM 'ROOT/torn.parquet'", "FROM 'ROOT/wrong.csv'",
	"SELECT column_name, min, max, count FROM (SUMMARIZE 'ROOT/d/*.csv')", "PIVOT 'ROOT/d/*.parquet' ON s USING sum(i)", "PIVOT read_parquet('ROOT/d') ON s USING sum(i)",
	"SELECT i FROM 'ROOT/d/*.parquet' ORDER BY i LIMIT 9223372036854775807", "SELECT i FROM 'ROOT/d/*.parquet' ORDER BY i LIMIT 2 OFFSET 9223372036854775806", "SELECT i FROM 'ROOT/d/*.parquet' ORDER BY i LIMIT 9223372036854775807 OFFSET 9223372036854775807",
	"SELECT i FROM 'ROOT/d/*.parquet' ORDER BY i LIMIT 9223372036854775807 OFFSET 2", "SELECT i FROM 'ROOT/d/*.parquet' LIMIT -1", "SELECT i FROM 'ROOT/d/*.parquet' LIMIT 9223372036854775808", "SELECT i FROM 'ROOT/d/*.csv' LIMIT 0 OFFSET 9223372036854775807", "SELECT i FROM 'ROOT/d/*.parquet' ORDER BY i LIMIT 100% OFFSET 1",
}

// refusedHere are reads that DuckDB would run, and why a pond says no.
var refusedHere = map[string]string{
	"FROM read_parquet('ROOT/d/' || 'a.parquet')":    "its path is computed",
	"FROM read_text(concat('ROOT', '/d/n.txt'))":     "its path is computed",
	"FROM read_csv(['ROOT/d/a.csv', lower('ROOT')])": "its path is computed",
	"FROM read_duckdb('ROOT/x.db')":                  "DuckDB's own database files",
	"FROM 'ROOT/x.duckdb'":                           "DuckDB's own database files",
}

func TestReadAsDuckDB(t *testing.T) {
	d := newSingle(t)
	dir := readFiles(t, d)
	s := pondtest.New(t, 2)[1]
	for _, q := range reads {
		q = strings.ReplaceAll(q, "ROOT", dir)
		want, failed := oracleRows(d, q)
		for _, force := range []bool{false, true} {
			got, err := pondRows(t, s.Session, q, pond.Force(force), pond.Partitions(3))
			switch {
			case failed != nil && err == nil:
				t.Errorf("force %v: %s: DuckDB refuses (%v), the pond has %d rows", force, q, failed, len(got))
			case failed == nil && err != nil:
				t.Errorf("force %v: %s: %s", force, q, fullText(err))
			case !slices.Equal(got, want):
				t.Errorf("force %v: %s: %d rows %.300q, want %d: %.300q", force, q, len(got), got, len(want), want)
			}
		}
	}
	for q, words := range refusedHere {
		if _, err := s.SQL(testContext(t), strings.ReplaceAll(q, "ROOT", dir)); err == nil || !strings.Contains(fullText(err), words) {
			t.Errorf("%s: %v", q, err)
		}
	}
	if err := os.WriteFile(dir+"/d/bad\xff.parquet", nil, 0o600); err == nil {
		if _, err := s.SQL(testContext(t), "FROM '"+dir+"/d/*.parquet'"); err == nil || !strings.Contains(fullText(err), "not UTF-8") {
			t.Errorf("a name that is not UTF-8: %v", err)
		}
	}
}

// oracleRows are a query's rows in one DuckDB, sorted.
func oracleRows(d *single, query string) ([]string, error) {
	switch word, _, _ := strings.Cut(query, " "); word {
	case "PIVOT": // which DuckDB makes several statements of
		if _, err := d.e.Exec(testContext(d.t), "CREATE OR REPLACE TABLE pivoted AS "+query); err != nil {
			return nil, err
		}
		query = "FROM pivoted"
	case "DESCRIBE", "SUMMARIZE":
		query = "SELECT * FROM (" + query + ")"
	}
	got, err := d.try(query)
	return sorted(got.rows), err
}

// pondRows are a query's rows in a pond, sorted.
func pondRows(t *testing.T, s *pond.Session, query string, options ...pond.JobOption) ([]string, error) {
	rows, err := s.SQL(testContext(t), query, options...)
	if err != nil {
		return nil, err
	}
	var out []string
	for rec, err := range rows.All() {
		if err != nil {
			return nil, err
		}
		out = append(out, recordLines(rec)...)
	}
	return sorted(out), nil
}
