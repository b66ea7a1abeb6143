//go:build duckdb_arrow

package pond_test

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/apache/arrow-go/v18/arrow"

	"github.com/pondmesh/pond"
	"github.com/pondmesh/pond/chaos/pondtest"
)

// datasetSteps write datasets: what a pond is told, and one DuckDB, where that differs.
var datasetSteps = []struct{ sql, duck string }{
	{"COPY (SELECT i, i % 3 AS k, 'v' || i AS s, DATE '2024-01-01' + (i % 40)::INTEGER AS day FROM range(20000) t(i)) TO 'pond://sales' (PARTITION_BY (k))",
		"CREATE TABLE sales AS SELECT i, i % 3 AS k, 'v' || i AS s, DATE '2024-01-01' + (i % 40)::INTEGER AS day FROM range(20000) t(i)"},
	{"INSERT INTO sales BY NAME SELECT 7 AS k, 99999 AS i", ""},
	{"CREATE TABLE few AS SELECT k, count(*) AS n, [min(i)] AS l FROM sales GROUP BY k", ""},
	{"INSERT INTO few SELECT k + 10, n, l FROM few WHERE k < 2", ""},
	{"COPY (SELECT s, i, k, day FROM sales WHERE i < 5000) TO 'pond://sales' (PARTITION_BY (k), OVERWRITE)", "CREATE OR REPLACE TABLE sales AS SELECT s, i, k, day FROM sales WHERE i < 5000"},
	{"CREATE OR REPLACE TABLE none AS SELECT 1::DECIMAL(9,2) AS a, [1] AS b WHERE false", ""},
	{"INSERT INTO none(b) SELECT [k, 2] FROM few WHERE k = 7", ""},
	{"CREATE TABLE logs AS SELECT 'log ' || i % 3 AS filename, i FROM range(9) t(i)", ""},
	{"COPY (SELECT i, day, k, s FROM sales WHERE k = 1 AND i < 50) TO 'pond://sales' (PARTITION_BY (k), APPEND)", "INSERT INTO sales BY NAME SELECT i, day, k, s FROM sales WHERE k = 1 AND i < 50"},
}

var datasetQueries = []string{
	"FROM sales ORDER BY ALL LIMIT 11",
	"SELECT k, count(*), sum(i), min(s), max(day) FROM sales GROUP BY k",
	"SELECT count(*) FROM sales WHERE k = 1",
	"SELECT a.k, count(*), sum(b.i) FROM sales a JOIN sales b ON a.i = b.i + 3 WHERE b.k <> 2 GROUP BY a.k",
	"DESCRIBE sales", "SELECT count(*), max(s) FROM (FROM sales LIMIT 1000000)",
}

// TestDatasets: datasets are tables, to every node, as they are to one DuckDB; they outlive
// a node, and can be written without it.
func TestDatasets(t *testing.T) {
	d := newSingle(t)
	nodes := pondtest.New(t, 3)
	compare := func(on *pond.Session, sql string, options ...pond.JobOption) {
		t.Helper()
		want, failed := oracleRows(d, sql)
		if failed != nil {
			t.Fatal(failed)
		}
		if got, err := pondRows(t, on, sql, options...); err != nil || !slices.Equal(got, want) {
			t.Errorf("%s: %d rows %.300q, want %d %.300q, %s", sql, len(got), got, len(want), want, said(err))
		}
	}
	for i, step := range datasetSteps {
		if _, err := pondRows(t, nodes[i%3].Session, step.sql); err != nil {
			t.Fatalf("%s: %s", step.sql, said(err))
		}
		if step.duck == "" {
			step.duck = step.sql
		}
		d.exec("%s", step.duck)
		compare(nodes[(i+1)%3].Session, datasetQueries[i%len(datasetQueries)])
	}
	for i, sql := range append(datasetQueries, "SELECT filename, sum(i) FROM logs GROUP BY ALL", "FROM few", "FROM none", "SELECT count(*) FROM few JOIN sales USING (k)") {
		compare(nodes[i%3].Session, sql)
		compare(nodes[(i+1)%3].Session, sql, pond.Force(true), pond.Partitions(3))
	}
	nodes[0].Close()
	for i, sql := range datasetQueries {
		compare(nodes[1+i%2].Session, sql)
	}
	d.exec("INSERT INTO sales SELECT 'late', i, 0, NULL FROM range(3) t(i)")
	if _, err := pondRows(t, nodes[2].Session, "INSERT INTO sales SELECT 'late', i, 0, NULL FROM range(3) t(i)"); err != nil {
		t.Fatal(said(err))
	}
	compare(nodes[1].Session, datasetQueries[1])
}

func awaitKeepers(t *testing.T, s *pond.Session, want int) {
	t.Helper()
	for ctx := testContext(t); ; time.Sleep(20 * time.Millisecond) {
		members, err := s.Members(ctx)
		if err != nil {
			t.Fatal(err)
		}
		keepers := 0
		for _, m := range members {
			if m.Keeper {
				keepers++
			}
		}
		if keepers == want {
			return
		}
	}
}

// TestDatasetVersions: old versions are read by number, files by their folders; a statement
// reads one version; and what cannot be is refused by name.
func TestDatasetVersions(t *testing.T) {
	s := pondtest.New(t, 1)[0].Session
	write := func(sql string) {
		t.Helper()
		if _, err := pondRows(t, s, sql); err != nil {
			t.Fatal(said(err))
		}
	}
	write("COPY (SELECT i, i % 2 AS k FROM range(10) t(i)) TO 'pond://x' (PARTITION_BY k)")
	write("INSERT INTO x SELECT 100, 5")
	write("CREATE VIEW v AS FROM 'pond://x/1' WHERE k = 1")
	write("CREATE TABLE gone AS SELECT 1 AS a")
	write("DROP TABLE gone")
	write("CREATE TABLE exact AS SELECT sum(i) + 170141183460469231731687303715884105000 AS h, 'b'::ENUM('b', 'a') AS e, '101'::BIT AS b, TIMETZ '12:00:00+01' AS t, [1, 2]::INTEGER[2] AS l, {'h': [7::UHUGEINT]} AS s, 1 AS H FROM range(9) t(i)")
	write("INSERT INTO exact SELECT 9007199254740993, 'a', '1', '11:00:00+00', [3, 4], NULL, 2")
	for sql, want := range map[string]string{
		"SELECT count(*), max(k) FROM x":                                                            "11|5",
		"SELECT count(*), max(k) FROM 'pond://x'":                                                   "11|5",
		"SELECT count(*), max(k) FROM 'pond://x/1'":                                                 "10|1",
		"SELECT count(*), max(k) FROM 'pond://x/2'":                                                 "11|5",
		"SELECT count(*), max(k) FROM read_parquet('pond://x')":                                     "11|5",
		"SELECT count(*), min(k) FROM read_parquet('pond://x/2/k=1/*.parquet')":                     "5|1",
		"SELECT count(*), max(i) FROM 'pond://x/k=[01]/*.parquet'":                                  "10|9",
		"SELECT count(*), min(i) FROM read_parquet('pond://x/k=5')":                                 "1|100",
		"SELECT count(*), min(k), typeof(min(k)) FROM 'pond://x/1/k=1'":                             "5|1|BIGINT",
		"SELECT count(*) FROM 'pond://x/k=5/'":                                                      "1",
		"FROM 'pond://x/k=9'":                                                                       "!no such object: version 2 has 3 files, and none of such a name",
		"SELECT (SELECT count(*) FROM 'pond://x/k=1/*.parquet'), (SELECT count(*) FROM 'pond://x')": "5|11",
		"SELECT count(*) FROM v":                                                                    "5",
		"SHOW TABLES":                                                                               "exact v x",
		"SELECT COLUMNS(*)::VARCHAR FROM exact":                                                     "170141183460469231731687303715884105036|b|101|12:00:00+01|[1, 2]|{'h': [7]}|1 9007199254740993|a|1|11:00:00+00|[3, 4]|(null)|2",
		"SELECT max(e)::VARCHAR, max(h)::VARCHAR FROM exact":                                        "a|170141183460469231731687303715884105036",
		"SELECT string_agg(typeof(COLUMNS(*)), '') FROM exact WHERE e = 'a'":                        "HUGEINT|ENUM('b', 'a')|BIT|TIME WITH TIME ZONE|INTEGER[2]|STRUCT(h UHUGEINT[])|INTEGER",
		"CREATE TABLE u AS SELECT 1::UNION(n INTEGER, s VARCHAR) AS u":                              "!keeps no UNION",
		"FROM gone":                                       "!Table with name gone does not exist",
		"FROM 'pond://gone/1'":                            "1",
		"FROM 'pond://other'":                             "!Table with name pond://other does not exist",
		"FROM 'pond://x/9'":                               "!version 9; the newest is 2",
		"FROM 'pond://x/k=9/*.parquet'":                   "!none of such a name",
		"FROM 'pond://X'":                                 "11",
		"CREATE TABLE x AS SELECT 1 AS a":                 "!there is such a dataset already",
		"INSERT INTO x SELECT 1, 2, 3":                    "!table x has 2 columns but 3 values were supplied",
		"COPY (SELECT 1 AS a) TO 'pond://x' (APPEND)":     "!has no column",
		"COPY (SELECT 1 AS a) TO 'pond://n.csv'":          "!a name has lower-case letters",
		"COPY (SELECT 1 AS a) TO 'pond://A b'":            "!a name has lower-case letters",
		"COPY (SELECT 1 AS a) TO 'pond://x/1'":            "!whole datasets",
		"COPY (SELECT 1 AS a) TO 'pond://n' (FORMAT csv)": "!datasets are of Parquet files",
	} {
		rows, err := pondRows(t, s, sql)
		got := strings.Join(rows, " ")
		if sql == "FROM 'pond://X'" {
			got = fmt.Sprint(len(rows))
		}
		if text, fails := strings.CutPrefix(want, "!"); fails {
			if err == nil || !strings.Contains(said(err), text) {
				t.Errorf("%s: %q, %s", sql, got, said(err))
			}
		} else if err != nil || got != want {
			t.Errorf("%s: %q, want %q, %s", sql, got, want, said(err))
		}
	}
	if _, err := pondRows(t, s, "CREATE TABLE x AS SELECT 1 AS a"); !errors.Is(err, pond.ErrExists) {
		t.Errorf("made again: %v", err)
	}
}

// said is all of an error, or nothing.
func said(err error) string {
	if err == nil {
		return "no error"
	}
	return fullText(err)
}

// TestDatasetCollected: what was superseded or dropped goes from all nodes once versions are
// kept no longer, and what is there stays.
func TestDatasetCollected(t *testing.T) {
	nodes := pondtest.New(t, 3, pond.WithRetention(time.Second))
	ctx := testContext(t)
	stored := func() (least, most int64) {
		usage, err := nodes[0].Usage(ctx)
		if err != nil {
			t.Fatal(err)
		}
		least = 1 << 62
		for _, u := range usage {
			for _, k := range u.Kinds {
				if k.Kind == "records" {
					least, most = min(least, k.Bytes), max(most, k.Bytes)
				}
			}
		}
		return least, most
	}
	for i, sql := range []string{
		"CREATE TABLE stays AS SELECT hash(i) AS h FROM range(100_000) t(i)", "CREATE TABLE x AS SELECT hash(i + 1) AS h FROM range(100_000) t(i)",
		"CREATE TABLE gone AS SELECT hash(i + 2) AS h FROM range(100_000) t(i)", "INSERT INTO stays SELECT 1",
	} {
		if _, err := pondRows(t, nodes[i%3].Session, sql); err != nil {
			t.Fatal(said(err))
		}
	}
	const table = 800_000
	for least, _ := stored(); least < 3*table; least, _ = stored() { // copies that were made later among them
		if ctx.Err() != nil {
			t.Fatalf("a node has %d bytes of three tables", least)
		}
		time.Sleep(50 * time.Millisecond)
	}
	for _, sql := range []string{"CREATE OR REPLACE TABLE x AS SELECT 1 AS h", "DROP TABLE gone"} {
		if _, err := pondRows(t, nodes[1].Session, sql); err != nil {
			t.Fatal(said(err))
		}
	}
	for _, most := stored(); most > 2*table; _, most = stored() {
		if ctx.Err() != nil {
			t.Fatalf("a node still has %d bytes", most)
		}
		time.Sleep(50 * time.Millisecond)
	}
	for i, n := range nodes {
		if got, err := pondRows(t, n.Session, "SELECT (SELECT count(*) FROM stays), (SELECT max(h) FROM x)"); err != nil || !slices.Equal(got, []string{"100001|1"}) {
			t.Errorf("node %d: %q, %s", i, got, said(err))
		}
		for _, sql := range []string{"FROM 'pond://x/1'", "FROM 'pond://gone/1'"} {
			if _, err := pondRows(t, n.Session, sql); !errors.Is(err, pond.ErrNotFound) || !strings.Contains(said(err), "is kept no longer") {
				t.Errorf("%s: %s", sql, said(err))
			}
		}
	}
}

// TestDatasetFrames: DataFrames read and write datasets as they do folders.
func TestDatasetFrames(t *testing.T) {
	s := pondtest.New(t, 1)[0].Session
	ctx := testContext(t)
	if err := s.Query("SELECT i AS id, i % 4 AS k FROM range(100) t(i)").WriteParquet(ctx, "pond://x", pond.HiveFolders("k")); err != nil {
		t.Fatal(err)
	}
	if err := s.ReadParquet("pond://x").WriteParquet(ctx, "pond://x"); !errors.Is(err, pond.ErrExists) {
		t.Errorf("written again: %v", err)
	}
	if err := s.ReadParquet("pond://x/k=1").WriteParquet(ctx, "pond://y", pond.Overwrite()); err != nil {
		t.Fatal(err)
	}
	if err := s.ReadParquet("pond://y").WriteCSV(ctx, "pond://z"); !errors.Is(err, pond.ErrQuery) {
		t.Errorf("CSV: %v", err)
	}
	if got, err := pondRows(t, s, "SELECT count(*), min(id), max(id) FROM y"); err != nil || !slices.Equal(got, []string{"25|1|97"}) {
		t.Errorf("%q, %s", got, said(err))
	}
}

// TestTPCHDatasets: TPC-H over tables of the pond, of which two nodes are lost meanwhile and
// replaced by others, is as one DuckDB has it over the files that they were made of.
func TestTPCHDatasets(t *testing.T) {
	views := tpchViews(t)
	nodes := pondtest.New(t, 4, pond.WithMemory(256*mib), pond.WithSlots(1), pond.WithKeeperGrace(time.Second))
	for i, v := range views {
		table := strings.Replace(v, "CREATE VIEW", "CREATE TABLE", 1)
		if strings.Contains(v, "VIEW lineitem") {
			table = strings.NewReplacer("CREATE VIEW lineitem AS SELECT * FROM", "COPY (FROM").Replace(v) + ") TO 'pond://lineitem' (PARTITION_BY (l_returnflag))"
		}
		if _, err := pondRows(t, nodes[i%4].Session, table, pond.Force(true)); err != nil {
			t.Fatalf("%s: %s", table, said(err))
		}
	}
	for q := 1; q <= 22; q++ {
		if q == 8 || q == 16 {
			awaitKeepers(t, nodes[1].Session, 3)
			nodes[0].Close()
			nodes = append(nodes[1:], pondtest.Join(t, nodes[1:], pond.WithMemory(256*mib), pond.WithSlots(1), pond.WithKeeperGrace(time.Second)))
		}
		name := fmt.Sprintf("q%02d", q)
		sql := strings.TrimSuffix(strings.TrimSpace(tpchFile(t, name+".sql")), ";")
		want := oracleWith(t, strings.Join(views, ";\n"), sql)
		rows, err := nodes[q%4].SQL(testContext(t), sql, pond.Force(q%2 > 0))
		if err != nil {
			t.Fatalf("%s: %s", name, said(err))
		}
		got := lines(t, rows, err)
		var real []bool
		for _, f := range rows.Schema.Fields() {
			real = append(real, arrow.IsFloating(f.Type.ID()))
		}
		equalRows(t, got, want, real)
	}
}
