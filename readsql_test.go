//go:build duckdb_arrow

package pond_test

import (
	"fmt"
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

// textFiles makes the files of TestSQLText: each of parts 0 to 3 in several
// formats, and some that are hard to read.
func textFiles(t *testing.T, dir string) {
	t.Helper()
	d := newSingle(t)
	d.exec("CREATE TABLE f AS SELECT origin, delay, distance, (delay %% 4 + 4) %% 4 AS part FROM '%s' WHERE delay IS NOT NULL LIMIT 400", flights)
	for i := range 4 {
		for _, folder := range []string{"hive/part=%d", "csv", "gz", "json", "array", "odd", "names"} {
			if strings.Contains(folder, "%") {
				folder = fmt.Sprintf(folder, i)
			}
			if err := os.MkdirAll(filepath.Join(dir, folder), 0o700); err != nil {
				t.Fatal(err)
			}
		}
		from := fmt.Sprintf("(SELECT * EXCLUDE part FROM f WHERE part = %d)", i)
		d.exec("COPY %s TO '%s/csv/%d.csv'", from, dir, i)
		d.exec("COPY %s TO '%s/gz/%d.csv.gz' (DELIMITER '|', HEADER false)", from, dir, i)
		d.exec("COPY %s TO '%s/hive/part=%d/x.csv'", from, dir, i)
		d.exec("COPY %s TO '%s/json/%d.ndjson'", from, dir, i)
		d.exec("COPY %s TO '%s/array/%d.json.zst' (FORMAT json, ARRAY, COMPRESSION zstd)", from, dir, i)
		d.exec("COPY (SELECT origin, delay, %d AS c%d FROM f WHERE part = %d) TO '%s/names/%d.csv'", i, i, i, dir, i)
	}
	for name, text := range map[string]string{
		"odd/a.csv": "a,b\n1,x\n2,y\n", "odd/b.csv": "b,a\nz,3\n", "odd/c.csv": "9,u\n8,v\n", "odd/d.csv": "a,b\n5,'k,l'\n",
		"bad.csv": "a,b\n1,2\nx,3\n", "named.csv": "filename,a\nq,1\n", "named2.csv": "filename,a\nr,2\n",
		"mixed.json": `[{"a": 1, "d": "2020-01-01"}, {"a": 2.5, "l": [1, null]}]`, "mixed2.json": "{\"a\": 7, \"s\": {\"x\": 1}}\n{\"d\": \"2021-01-01\"}\n",
	} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
}

const textGroups = "SELECT origin, count(*), sum(delay), min(distance) FROM %s GROUP BY ALL ORDER BY ALL"

// textCases are queries over what textFiles makes; {{ is a brace.
var textCases = []struct {
	sql   string
	tasks int    // of the first stage; looked at where there are words
	words string // of the plan
}{
	{fmt.Sprintf(textGroups, "'{dir}/csv/*.csv'"), 3, "csv of 4 files"},
	{fmt.Sprintf(textGroups, "'{dir}/csv/2.csv'"), 1, "a text file is not cut"},
	{fmt.Sprintf(textGroups, "read_csv(['{dir}/csv/2.csv', '{dir}/csv/2.csv'])"), 1, "read twice"},
	{fmt.Sprintf(textGroups, "read_csv('{dir}/csv/*.csv', types = {{'delay': 'DOUBLE'}, sample_size = 20)"), 3, ""},
	{fmt.Sprintf(textGroups, "'{dir}/json/*.ndjson'"), 3, "json of 4 files"},
	{fmt.Sprintf(textGroups, "read_json('{dir}/array/*.json.zst')"), 3, ""},
	{"SELECT column0, count(*), max(column2) FROM '{dir}/gz/*.csv.gz' GROUP BY 1 ORDER BY 1", 3, ""},
	{"SELECT part, count(*), avg(delay) FROM read_csv('{dir}/hive/*/*.csv') GROUP BY 1 ORDER BY 1", 3, ""},
	{"SELECT count(*) FROM read_csv('{dir}/hive/*/*.csv') WHERE part = 2", 3, ""},
	{"SELECT part, typeof(part), delay FROM read_csv('{dir}/hive/*/*.csv', hive_types = {{'part': 'VARCHAR'}) ORDER BY ALL LIMIT 9", 3, ""},
	{"SELECT filename, count(*) FROM read_csv('{dir}/csv/*.csv', filename = true) GROUP BY 1 ORDER BY 1", 3, ""},
	{"SELECT src[-5:], count(*) FROM read_csv('{dir}/csv/*.csv', filename = 'src') GROUP BY 1 ORDER BY 1", 3, ""},
	{"SELECT filename, count(*) FROM '{dir}/json/*.ndjson' GROUP BY 1 ORDER BY 1", 1, "knows: "},
	{"SELECT *, delay + 1 FROM read_csv('{dir}/names/*.csv', union_by_name = true) ORDER BY ALL LIMIT 50", 3, ""},
	{"SELECT count(*), max(c3) FROM read_csv('{dir}/names/*.csv', union_by_name = true)", 3, ""},
	{"SELECT * FROM read_csv(['{dir}/odd/a.csv', '{dir}/odd/b.csv', '{dir}/odd/d.csv'], header = true) ORDER BY ALL", 1, "differ"},
	{"SELECT * FROM read_csv(['{dir}/odd/a.csv', '{dir}/odd/b.csv']) ORDER BY ALL", 1, "differ"},
	{"SELECT * FROM read_csv(['{dir}/odd/a.csv', '{dir}/odd/d.csv']) ORDER BY ALL", 1, "differ"},
	{"SELECT * FROM read_csv('{dir}/bad.csv', ignore_errors = true, types = {{'a': 'INT'})", 1, "left out"},
	{"SELECT b FROM read_csv('{dir}/bad.csv', types = {{'a': 'INT'})", 1, ""},
	{"SELECT count(*) FROM read_csv('{dir}/bad.csv', types = {{'a': 'INT'})", 1, ""},
	{"SELECT filename, a FROM read_csv('{dir}/named*.csv') ORDER BY a", 1, "a column with this name"},
	{"SELECT * FROM read_json(['{dir}/mixed.json', '{dir}/mixed2.json']) ORDER BY ALL", 3, ""},
	{"SELECT * FROM read_json('{dir}/mixed*.json', columns = {{'a': 'DOUBLE', 's': 'JSON'}) ORDER BY ALL", 3, ""},
	{"SELECT json ->> 'origin', count(*) FROM read_ndjson_objects('{dir}/json/*.ndjson') GROUP BY 1 ORDER BY 1", 3, ""},
	{"SELECT a.origin, count(*) FROM '{dir}/csv/*.csv' a JOIN '{dir}/json/*.ndjson' b USING (origin, distance, delay) GROUP BY 1 ORDER BY 1", 3, "hash"},
	{"WITH x AS (FROM '{dir}/csv/*.csv') SELECT count(*) FROM x a WHERE delay > (SELECT avg(delay) FROM x b WHERE b.origin = a.origin)", 3, ""},
	{"SELECT delay, origin FROM '{dir}/csv/*.csv' ORDER BY delay DESC, origin LIMIT 20 OFFSET 3", 3, ""},
	{"FROM '{dir}/csv/*.csv' LIMIT 150", 3, ""},
	{"SELECT count(*) FROM '{dir}/csv/*.csv' a, '{f}' b WHERE a.origin = b.origin AND b.delay > 400", 3, ""},
}

// TestSQLText compares queries over CSV and JSON files with DuckDB's answers, and
// looks at how they are distributed: tasks of the first stage, words of the plan.
func TestSQLText(t *testing.T) {
	peer := pondtest.New(t, 2)[1].Addr()
	s, err := pond.Connect(peer)
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	p := &sqlPond{t, s, peer, t.TempDir()}
	textFiles(t, p.dir)
	force := []pond.JobOption{pond.Force(true), pond.Partitions(3)}
	for _, c := range textCases {
		sql := strings.ReplaceAll(c.sql, "{{", "{")
		got, want := lines(t, p.must(sql, force...), nil), oracle(t, p.text(sql))
		if !strings.Contains(sql, "ORDER BY") {
			slices.Sort(got)
			slices.Sort(want)
		}
		if !slices.Equal(got, want) {
			t.Errorf("%s: %d rows, want %d; they begin %q, want %q", sql, len(got), len(want), got[:min(3, len(got))], want[:min(3, len(want))])
		}
		if c.words == "" {
			continue
		}
		plan := planText(t, p.must("EXPLAIN "+sql, force...))
		if tasks := fmt.Sprintf(", %d task", c.tasks); !strings.Contains(strings.Join(strings.SplitN(plan, "\n", 3)[:2], ""), tasks) || !strings.Contains(plan, c.words) {
			t.Errorf("%s: the plan is not of %d tasks with %q:\n%s", sql, c.tasks, c.words, plan)
		}
	}
	p.must("CREATE VIEW late AS SELECT origin AS o, delay FROM '{dir}/csv/*.csv' WHERE delay > 10")
	const view = "(SELECT origin AS o, delay FROM '{dir}/csv/*.csv' WHERE delay > 10)"
	for _, q := range []string{"SELECT o, count(*) FROM %s AS late GROUP BY 1 ORDER BY 1", "SELECT column_name, column_type, min, max, count FROM (SUMMARIZE FROM %s) ORDER BY 1", "DESCRIBE FROM %s"} {
		want := oracle(t, "FROM ("+p.text(fmt.Sprintf(q, view))+")")
		wantLines(t, lines(t, p.must(fmt.Sprintf(q, "late"), force...), nil), want...)
	}
	p.must("COPY (FROM late ORDER BY ALL) TO '{dir}/late.parquet'", force...)
	wantLines(t, oracle(t, p.text("SELECT count(*), sum(delay) FROM '{dir}/late.parquet'")), oracle(t, p.text("SELECT count(*), sum(delay) FROM "+view))...)
	p.refused("SELECT a FROM read_csv(['{dir}/odd/a.csv', '{dir}/nosuch.csv'])", pond.ErrNotFound, "nosuch")
	p.refused("SELECT a FROM read_csv('{dir}/bad.csv', types = {'a': 'INT'})", pond.ErrQuery, "Error when converting column \"a\"")
	p.refused("SELECT nope FROM '{dir}/csv/*.csv'", pond.ErrQuery, "nope")
	p.refused("SELECT * FROM read_csv('{dir}/bad.csv', no_such_option = 1)", pond.ErrQuery, "no_such_option")
}
