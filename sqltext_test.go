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

// TestCopyManyFiles: a task may write any number of files.
func TestCopyManyFiles(t *testing.T) {
	d := newSingle(t)
	node := pondtest.New(t, 2)[0]
	for _, n := range []int{300} {
		for name, options := range map[string][]pond.JobOption{"plain": nil, "forced": {pond.Force(true)}} {
			t.Run(fmt.Sprint(n, " ", name), func(t *testing.T) {
				dir := filepath.Join(t.TempDir(), "out")
				_, err := node.SQL(testContext(t), fmt.Sprintf("COPY (SELECT range AS i, range %% %d AS p FROM range(3000)) TO '%s' (FORMAT parquet, PARTITION_BY p)", n, dir), options...)
				if err != nil {
					t.Fatal(err)
				}
				d.same(t, node.ReadParquet(dir, pond.HivePartitioning()).Select("i", "p"), fmt.Sprintf("SELECT range AS i, range %% %d AS p FROM range(3000)", n))
				wantNoStaging(t, filepath.Dir(dir), "out")
			})
		}
	}
}
