//go:build duckdb_arrow

package pond_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/pondmesh/pond"
	"github.com/pondmesh/pond/chaos/pondtest"
)

// TestSQL runs statements on a pond of two nodes, each group in a session of its
// own.
func TestSQL(t *testing.T) {
	peer := pondtest.New(t, 2)[1].Addr()
	for _, c := range []struct {
		name string
		test func(*testing.T, *sqlPond)
	}{
		{"queries", testSQLQueries}, {"refuses", testSQLRefuses}, {"views", testSQLViews}, {"copy", testSQLCopy},
		{"describe", testSQLDescribe}, {"explain", testSQLExplain}, {"settings", testSQLSettings}, {"cancel", testSQLCancel},
	} {
		t.Run(c.name, func(t *testing.T) {
			s, err := pond.Connect(peer)
			if err != nil {
				t.Fatal(err)
			}
			defer s.Close()
			c.test(t, &sqlPond{t, s, peer, t.TempDir()})
		})
	}
}

// sqlPond is a session, a folder to write to, and the sample's files.
type sqlPond struct {
	t    *testing.T
	s    *pond.Session
	peer string
	dir  string
}

// run runs a statement, in whose text {dir} is the folder and {f} the sample.
func (p *sqlPond) run(sql string, options ...pond.JobOption) (*pond.Rows, error) {
	return p.s.SQL(testContext(p.t), p.text(sql), options...)
}

func (p *sqlPond) text(sql string) string {
	return strings.NewReplacer("{dir}", p.dir, "{f}", flights).Replace(sql)
}

func (p *sqlPond) must(sql string, options ...pond.JobOption) *pond.Rows {
	p.t.Helper()
	rows, err := p.run(sql, options...)
	if err != nil {
		p.t.Fatalf("%s: %v", sql, err)
	}
	return rows
}

// same runs a query in the pond, and what it means in one DuckDB.
func (p *sqlPond) same(sql, want string) {
	p.t.Helper()
	got := lines(p.t, p.must(sql), nil)
	var wants []string
	if strings.Contains(want, "PIVOT") { // which DuckDB makes several statements of
		wants = oracleWith(p.t, "CREATE TABLE pivoted AS "+p.text(want), "FROM pivoted")
	} else {
		wants = oracle(p.t, p.text(want))
	}
	if !strings.Contains(strings.ToLower(sql), "order by") {
		slices.Sort(got)
		slices.Sort(wants)
	}
	if !slices.Equal(got, wants) {
		p.t.Fatalf("%s: %d rows, want %d; got begins %q, want begins %q", sql, len(got), len(wants), got[:min(3, len(got))], wants[:min(3, len(wants))])
	}
}

// refused checks that a statement fails so, with those words in the error or its
// hint.
func (p *sqlPond) refused(sql string, want error, words string) {
	p.t.Helper()
	_, err := p.run(sql)
	var te *pond.Error
	if !errors.Is(err, want) || !errors.As(err, &te) || !strings.Contains(te.Text+" "+te.Hint, words) {
		p.t.Errorf("%s: %v, want %v with %q", sql, err, want, words)
	}
}

func testSQLQueries(t *testing.T, p *sqlPond) {
	for _, q := range []string{
		"SELECT origin, count(*) AS n, sum(delay) FROM '{f}' GROUP BY ALL ORDER BY n DESC, origin LIMIT 5",
		"FROM '{f}' SELECT max(distance), 'a.csv' AS \"b;c\"; -- done",
		"VALUES (1, 'x'), (2, NULL)",
		"WITH f AS (FROM read_parquet(['{f}'], union_by_name = true)) SELECT origin FROM f ORDER BY ALL LIMIT 3",
		"(SELECT 1 AS a) UNION ALL (SELECT 2)",
		"SELECT * FROM (PIVOT '{f}' ON origin USING count(*) GROUP BY destination) ORDER BY 1",
		"PIVOT '{f}' ON origin USING sum(delay) GROUP BY destination ORDER BY destination",
		"PIVOT (FROM '{f}' SELECT origin, delay) ON origin IN ('ATL', 'ORD') USING sum(delay)",
		"UNPIVOT (SELECT 1 AS a, 2 AS b) ON a, b INTO NAME k VALUE v",
		"SELECT {'a': 1}, [1, 2], MAP {'x': 1}, e'a\\nb', $$it's$$ -- {0}",
		"SELECT column_name, column_type, min, max, count FROM (SUMMARIZE '{f}') ORDER BY ALL",
		"SELECT column_name, column_type FROM (DESCRIBE FROM '{f}')",
		"SELECT count(*) FROM glob('{f}')",
	} {
		p.same(q, strings.TrimSuffix(q, "; -- done"))
	}
	pivot := p.must("EXPLAIN PIVOT '{f}' ON distance % 3 USING count(*) GROUP BY origin", pond.Force(true))
	if !strings.Contains(planText(t, pivot), "stage 1") {
		t.Errorf("a PIVOT is not distributed:\n%s", planText(t, pivot))
	}
	got := p.must("SUMMARIZE '{f}'")
	if got.Len() != int64(len(oracle(t, p.text("SUMMARIZE '{f}'")))) {
		t.Errorf("SUMMARIZE has %d rows", got.Len())
	}
}

// DESCRIBE says what DuckDB says: of names that are quoted, and of those that repeat.
func testSQLDescribe(t *testing.T, p *sqlPond) {
	const shown = "SELECT 1 AS tz, {'a': 1, 'B c': [{'select': 'x', 'Total': 1.5}]} AS s, 2 AS tz, 'x' AS TZ"
	p.must("COPY (SELECT {'a': 1::BIGINT, 'b': 'x', 'map': 2} AS st, 1 AS tz, MAP {'k': {'1x': DATE '2020-01-01'}} AS m, row(1, 'x') AS r) TO '{dir}/st.parquet'")
	for _, q := range []string{
		"'{f}'", shown, "(" + shown + ")", "FROM (" + shown + ")", "VALUES (1, 'x')", "WITH q AS (" + shown + ") SELECT tz, s FROM q -- of two",
		"SELECT st, tz, tz, m, m.k FROM '{dir}/st.parquet'", "SELECT st, st.a, st.a FROM '{dir}/*.parquet'",
		"SELECT 1, 1, 'a' || 'b', count(*), NULL, [NULL], {'é': NULL, 'values': 1, 'date': 2, 'a\"b': 3}",
		"SELECT union_value(\"end\" := 1) AS u, 'a'::ENUM('a', 'b c') AS e, [1.5::DECIMAL(9, 2), 2]::DECIMAL(9, 2)[2] AS l, now() AS n, json '1' AS j",
		"UNPIVOT (SELECT 1 AS a, 2 AS b) ON a, b INTO NAME k VALUE v",
		"PIVOT (SELECT 1 AS a, {'end': 2} AS b) ON a IN (1, 2) USING first(b)",
		"SELECT column_name, column_name FROM (DESCRIBE SELECT 1 AS a)",
	} {
		p.inOrder("DESCRIBE " + q)
	}
	p.must("CREATE VIEW twice AS " + shown)
	view := "CREATE TEMP VIEW twice AS " + shown
	for _, q := range []string{"DESCRIBE twice", "SHOW twice", "DESC SELECT s, s FROM twice", "SHOW ALL TABLES"} {
		p.inOrder(q, view)
	}
	wantLines(t, lines(t, p.must("DESCRIBE PIVOT (SELECT 1 AS a, {'end': 2, 'b': 1} AS b) ON a USING first(b)"), nil), `1|STRUCT("end" INTEGER, b INTEGER)|YES|(null)|(null)|(null)`)
}

// inOrder is same for rows whose order is DuckDB's, there after some statements.
func (p *sqlPond) inOrder(sql string, first ...string) {
	p.t.Helper()
	d := newSingle(p.t)
	for _, s := range first {
		d.exec("%s", s)
	}
	got, want := lines(p.t, p.must(sql), nil), d.query(p.text(sql)).rows
	if !slices.Equal(got, want) {
		p.t.Errorf("%s:\n%q, want\n%q", sql, got, want)
	}
}

func testSQLRefuses(t *testing.T, p *sqlPond) {
	p.refused("UPDATE t SET a = 1", pond.ErrQuery, "COPY (SELECT")
	p.refused("CREATE TEMP TABLE t AS FROM '{f}'", pond.ErrQuery, "CREATE VIEW")
	p.refused("ATTACH 'x.db'", pond.ErrQuery, "FROM 'folder")
	p.refused("SELEC 1", pond.ErrQuery, "syntax error")
	p.refused("SELECT nope FROM '{f}'", pond.ErrQuery, "nope")
	p.refused("SELECT 1; SELECT 2", pond.ErrQuery, "one at a time")
	p.refused("FROM '{dir}/no.parquet'", pond.ErrNotFound, "no.parquet")
	p.refused("FROM nosuchview", pond.ErrQuery, "nosuchview")
	p.refused("SET threads = 1", pond.ErrQuery, "pond_partitions")
	p.refused("SET TimeZone = 'Asia/Tokyo'", pond.ErrQuery, "AT TIME ZONE")
	p.refused("SET TIME ZONE 'Asia/Tokyo'", pond.ErrQuery, "AT TIME ZONE")
	p.refused("SET GLOBAL default_null_order = 'nulls_first'", pond.ErrQuery, "NULLS FIRST")
	p.refused("RESET integer_division", pond.ErrQuery, "a // b")
	p.refused("SET pond_partitions = -1", pond.ErrQuery, "number")
	p.refused("SET pond_force = maybe", pond.ErrQuery, "on:")
	p.refused("DESCRIBE nosuchview", pond.ErrQuery, "nosuchview")
	p.refused("EXPLAIN FROM nosuchview", pond.ErrQuery, "nosuchview")
}

func testSQLViews(t *testing.T, p *sqlPond) {
	p.must("CREATE VIEW under AS SELECT 1 AS a")
	p.must("CREATE VIEW over AS\nSELECT * FROM under")
	p.must("CREATE VIEW top AS FROM over")
	p.must("DROP VIEW under")
	for _, s := range []string{"FROM over", "DESCRIBE over", "SELECT count(*) FROM top", "EXPLAIN FROM top", "COPY (FROM over) TO '{dir}/over.parquet'"} {
		_, err := p.run(s)
		if te := (*pond.Error)(nil); !errors.As(err, &te) || !errors.Is(err, pond.ErrQuery) || te.Op != "in" || te.Subject != "view over" || !strings.Contains(te.Text, "LINE 1: SELECT * FROM under") || strings.Contains(te.Text, "TEMP VIEW") {
			t.Errorf("%s: %v", s, err)
		}
	}
	p.must("DROP VIEW top")
	p.must("DROP VIEW over")
	p.must("CREATE VIEW late AS FROM '{f}' WHERE delay > 60")
	p.must("CREATE TEMP VIEW \"By Origin\"(o, \"n;\") AS SELECT origin, count(*) FROM Late GROUP BY 1")
	const late = "(FROM '{f}' WHERE delay > 60)"
	p.same("FROM \"by origin\" ORDER BY ALL", "SELECT origin, count(*) FROM "+late+" GROUP BY 1 ORDER BY ALL")
	p.same("SELECT count(*) FROM late JOIN \"By Origin\" b ON b.o = late.origin", "SELECT count(*) FROM "+late)
	p.same("WITH late AS (SELECT 1 AS x) FROM late", "SELECT 1")
	p.same("SELECT count(*) FROM temp.late", "SELECT count(*) FROM "+late)
	p.same("PIVOT late ON origin USING count(*)", "PIVOT "+late+" ON origin USING count(*)")
	p.same("SELECT count(*) FROM (SUMMARIZE late)", "SELECT count(*) FROM (SUMMARIZE SELECT * FROM "+late+")")

	p.refused("CREATE VIEW LATE AS SELECT 1", pond.ErrExists, "OR REPLACE")
	p.refused("CREATE OR REPLACE VIEW late AS FROM \"By Origin\"", pond.ErrQuery, "read itself")
	p.refused("CREATE VIEW v AS FROM nosuch", pond.ErrQuery, "nosuch")
	p.refused("CREATE VIEW v(a, b) AS SELECT 1", pond.ErrQuery, "more column names")
	p.refused("CREATE VIEW v AS PIVOT '{f}' ON origin USING count(*)", pond.ErrQuery, "IN (")
	p.must("CREATE VIEW IF NOT EXISTS late AS SELECT 1")
	p.same("SELECT count(*) > 1 FROM late", "SELECT true")

	wantLines(t, lines(t, p.must("SHOW TABLES"), nil), "By Origin", "late")
	wantLines(t, lines(t, p.must("DESCRIBE \"By Origin\""), nil),
		"o|VARCHAR|YES|(null)|(null)|(null)", "n;|BIGINT|YES|(null)|(null)|(null)")
	all := lines(t, p.must("SHOW ALL TABLES"), nil)
	if len(all) != 2 || !strings.Contains(all[0], `temp|main|By Origin|["o","n;"]|["VARCHAR","BIGINT"]|true`) {
		t.Errorf("SHOW ALL TABLES: %q", all)
	}

	// Another session has views of its own, unless it is given some.
	other, err := p.s.At(p.peer)
	if err != nil {
		t.Fatal(err)
	}
	defer other.Close()
	rows, err := other.SQL(testContext(t), "SELECT count(*) > 1 FROM late")
	wantLines(t, lines(t, rows, err), "true")

	// A view changes under those that read it.
	p.must("CREATE OR REPLACE VIEW late AS FROM '{f}' WHERE delay > 120")
	p.same("SELECT sum(\"n;\")::BIGINT FROM \"By Origin\"", "SELECT count(*) FROM '{f}' WHERE delay > 120")
	p.refused("DROP VIEW late, nosuch", pond.ErrNotFound, "SHOW VIEWS")
	p.must("DROP VIEW IF EXISTS LATE, nosuch")
	wantLines(t, lines(t, p.must("SHOW VIEWS"), nil), "By Origin")
	p.refused("FROM \"By Origin\"", pond.ErrQuery, "Late")
}

func testSQLCopy(t *testing.T, p *sqlPond) {
	all := func(files string) string { return "SELECT count(*), sum(delay), min(origin) FROM " + files }
	want := oracle(t, p.text(all("'{f}'")))
	holds := func(files string) {
		t.Helper()
		wantLines(t, oracle(t, p.text(all(files))), want...)
	}
	rows := p.must("COPY (FROM '{f}') TO '{dir}/folder/' (FORMAT parquet)")
	wantLines(t, lines(t, rows, nil), strings.Split(want[0], "|")[0])
	if st := rows.Status; st == nil || st.Rows != 24000 || st.Output != filepath.Join(p.dir, "folder") || len(st.Files) == 0 {
		t.Errorf("COPY says %+v", st)
	}
	holds("'{dir}/folder/*.parquet'")
	p.refused("COPY (FROM '{f}') TO '{dir}/folder/' (FORMAT parquet)", pond.ErrExists, "overwrite")
	p.must("COPY (FROM '{f}') TO '{dir}/folder/' (FORMAT parquet, OVERWRITE, COMPRESSION zstd)")
	holds("'{dir}/folder/*.parquet'")

	p.must("CREATE VIEW v AS FROM '{f}'")
	for _, name := range []string{"one.parquet", "packed.csv.gz", "one.json", "one.json"} { // the second replaces the first
		p.must("COPY v TO '{dir}/"+name+"'", pond.Force(true), pond.Partitions(5))
		holds("'{dir}/" + name + "'")
	}
	p.must("COPY v TO '{dir}/packed/' (FORMAT csv, COMPRESSION gzip)")
	holds("'{dir}/packed/*.csv.gz'")
	p.must("COPY (FROM v SELECT *, delay > 0 AS late) TO '{dir}/hive' (FORMAT parquet, PARTITION_BY (late))")
	holds("read_parquet('{dir}/hive/late=*/*.parquet')")
	p.must("COPY (FROM v SELECT *, 'x' AS late) TO '{dir}/hive' (FORMAT parquet, PARTITION_BY (late), APPEND)")
	holds("read_parquet('{dir}/hive/late=x/*.parquet')")

	p.must("COPY (SELECT origin, delay FROM v ORDER BY delay DESC NULLS LAST, origin) TO '{dir}/sorted.csv' (HEADER false, DELIMITER '|')", pond.Force(true), pond.Partitions(4))
	text, err := os.ReadFile(filepath.Join(p.dir, "sorted.csv"))
	if err != nil {
		t.Fatal(err)
	}
	wantLines(t, strings.Split(strings.TrimSpace(string(text)), "\n"), oracle(t, p.text("SELECT origin || '|' || coalesce(delay::VARCHAR, '') FROM '{f}' ORDER BY delay DESC NULLS LAST, origin"))...)

	got := lines(t, p.must("COPY (SELECT 1 AS a) TO '{dir}/r.csv' (RETURN_FILES)"), nil)
	wantLines(t, got, fmt.Sprintf("1|[%q]", filepath.Join(p.dir, "r.csv")))
	p.refused("COPY v TO '{dir}/folder/' (FORMAT csv, PARTITION_BY (nosuch))", pond.ErrExists, "")
	p.refused("COPY v TO '{dir}/one.json/x' (FORMAT csv)", pond.ErrQuery, "")
	if left, err := filepath.Glob(filepath.Join(p.dir, ".*.pond-*")); err != nil || len(left) > 0 {
		t.Errorf("left behind: %q, %v", left, err)
	}
}

func testSQLExplain(t *testing.T, p *sqlPond) {
	const q = "SELECT origin, count(*) FROM '{f}' GROUP BY 1 ORDER BY 1"
	force := []pond.JobOption{pond.Force(true), pond.Partitions(3)}
	rows := p.must("EXPLAIN "+q, force...)
	if !strings.HasPrefix(planText(t, rows), "stage 0: ") || rows.Status != nil || !strings.Contains(planText(t, rows), "stage 1: ") {
		t.Errorf("EXPLAIN: %d rows, text\n%s", rows.Len(), planText(t, rows))
	}
	rows = p.must("EXPLAIN (FORMAT JSON) "+q, force...)
	var stages []map[string]any
	if err := json.Unmarshal([]byte(planText(t, rows)), &stages); err != nil || len(stages) < 2 {
		t.Fatalf("EXPLAIN as JSON: %v\n%s", err, planText(t, rows))
	}
	for _, key := range []string{"kind", "exchange", "partitions"} {
		if stages[0][key] == nil {
			t.Errorf("a stage lacks %s: %v", key, stages[0])
		}
	}

	rows = p.must("EXPLAIN ANALYZE "+q, append(force, pond.Partitions(3))...)
	for _, word := range []string{"tasks", "bytes", "time", "nodes", "result: "} {
		if !strings.Contains(planText(t, rows), word) {
			t.Errorf("EXPLAIN ANALYZE lacks %s:\n%s", word, planText(t, rows))
		}
	}
	checkMeasured(t, rows.Status)
	rows = p.must("EXPLAIN (ANALYZE, FORMAT JSON) " + q)
	var measured []struct {
		Kind     string    `json:"kind"`
		Measured *struct{} `json:"measured"`
	}
	if err := json.Unmarshal([]byte(planText(t, rows)), &measured); err != nil || measured[0].Kind == "" || measured[0].Measured == nil {
		t.Fatalf("EXPLAIN ANALYZE as JSON: %v\n%s", err, planText(t, rows))
	}
	p.must("EXPLAIN ANALYZE COPY (" + q + ") TO '{dir}/a.csv'")
	if _, err := os.Stat(filepath.Join(p.dir, "a.csv")); err != nil {
		t.Error(err)
	}
	p.must("EXPLAIN COPY (" + q + ") TO '{dir}/b.csv'")
	if _, err := os.Stat(filepath.Join(p.dir, "b.csv")); err == nil {
		t.Error("EXPLAIN has written")
	}
}

// checkMeasured checks what a job that has ended tells of its stages.
func checkMeasured(t *testing.T, st *pond.Status) {
	t.Helper()
	size := int64(0)
	files, err := filepath.Glob(flights)
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range files {
		fi, err := os.Stat(f)
		if err != nil {
			t.Fatal(err)
		}
		size += fi.Size()
	}
	for _, s := range st.Stages {
		tasks := 0
		for _, n := range s.Nodes {
			tasks += n
		}
		switch {
		case tasks+s.Reused != s.Tasks:
			t.Errorf("stage %d: %d tasks by node, %d reused, of %d", s.Index, tasks, s.Reused, s.Tasks)
		case s.TaskBytesMax < s.TaskBytesMedian || s.TaskBytesMax > s.Bytes:
			t.Errorf("stage %d: largest task %d, median %d, all %d bytes", s.Index, s.TaskBytesMax, s.TaskBytesMedian, s.Bytes)
		case s.Wall < 0 || s.Wall > st.Ended.Sub(st.Submitted)+time.Second:
			t.Errorf("stage %d took %v of the job's %v", s.Index, s.Wall, st.Ended.Sub(st.Submitted))
		}
	}
	if first := st.Stages[0]; first.Read < size/20 || first.Read > size { // two columns of five
		t.Errorf("the first stage read %d bytes of %d", first.Read, size)
	}
	if second := st.Stages[1]; second.Read == 0 {
		t.Errorf("the second stage read nothing")
	}
}

func testSQLSettings(t *testing.T, p *sqlPond) {
	stages := func() int {
		return strings.Count("\n"+planText(t, p.must("EXPLAIN SELECT origin, count(*) FROM '{f}' GROUP BY 1")), "\nstage ")
	}
	if n := stages(); n != 1 {
		t.Fatalf("a small query has %d stages", n)
	}
	p.must("SET pond_force = on")
	p.must("SET pond_partitions TO '3'")
	if n := stages(); n < 2 {
		t.Fatalf("a forced query has %d stages", n)
	}
	p.must("RESET pond_force")
	p.must("RESET pond_partitions")
	if n := stages(); n != 1 {
		t.Fatalf("after RESET there are %d stages", n)
	}
	p.must("SET pond_reuse = off")
	p.must("SET pond_codec = zstd")
	p.must("SET pond_deadline = '1ms'")
	p.refused("SELECT count(*) FROM range(100000000) t(i) WHERE hash(i) = 1", pond.ErrDeadline, "")
}

// A statement whose context ends takes its job along.
func testSQLCancel(t *testing.T, p *sqlPond) {
	ctx, cancel := context.WithCancel(testContext(t))
	id := ""
	_, err := p.s.SQL(ctx, "SELECT count(*) FROM range(100000000000) t(i) WHERE hash(i) = 1", pond.OnStatus(func(s *pond.Status) {
		id = s.ID
		cancel()
	}))
	if !errors.Is(err, context.Canceled) {
		t.Fatalf("SQL: %v", err)
	}
	st, err := p.s.Job(id).Status(testContext(t))
	if err != nil || st.State != "cancelled" {
		t.Fatalf("the job is %+v, %v", st, err)
	}
}

// TestSQLAllCores: a query that runs whole has all cores of its node, whatever
// the slots.
func TestSQLAllCores(t *testing.T) {
	node := pondtest.New(t, 1, pond.WithSlots(1))[0]
	rows, err := node.SQL(testContext(t), "SELECT current_setting('threads')::BIGINT")
	if err != nil {
		t.Fatal(err)
	}
	if got, want := column(t, rows), strconv.Itoa(runtime.GOMAXPROCS(0)); len(got) != 1 || got[0] != want {
		t.Errorf("%s threads, want %s", got, want)
	}
}

// column is the values of the first column.
func column(t *testing.T, rows *pond.Rows) (out []string) {
	t.Helper()
	for rec, err := range rows.All() {
		if err != nil {
			t.Fatal(err)
		}
		for i := range int(rec.NumRows()) {
			out = append(out, rec.Column(0).ValueStr(i))
		}
	}
	return out
}

// TestSQLNear: whichever node is asked coordinates a query.
func TestSQLNear(t *testing.T) {
	nodes := pondtest.New(t, 3, pond.WithSlots(1))
	for i := range 9 {
		n := nodes[i%3]
		rows, err := n.SQL(testContext(t), fmt.Sprintf("SELECT %d", i))
		if err != nil {
			t.Fatal(err)
		}
		if rows.Status.Coordinator != n.ID() {
			t.Errorf("query %d of node %s was coordinated by %s", i, n.ID(), rows.Status.Coordinator)
		}
		if got := column(t, rows); len(got) != 1 || got[0] != strconv.Itoa(i) {
			t.Errorf("query %d: %v", i, got)
		}
	}
}

// TestSQLCheckedAgain: that a query was right does not make it so once its files
// are others.
func TestSQLCheckedAgain(t *testing.T) {
	t.Run("small", func(t *testing.T) { testSQLCheckedAgain(t, true) })
	t.Run("planned", func(t *testing.T) { testSQLCheckedAgain(t, false, pond.Force(true)) })
}

// testSQLCheckedAgain runs a query that its task checks, or that is checked before.
func testSQLCheckedAgain(t *testing.T, task bool, options ...pond.JobOption) {
	d, node := newSingle(t), pondtest.New(t, 1)[0]
	file := filepath.Join(t.TempDir(), "a.parquet")
	query := "SELECT x FROM '" + file + "'"
	for i, c := range []struct{ column, want string }{{"x", ""}, {"x", ""}, {"y", `"x" not found`}, {"y", `"x" not found`}, {"x", ""}} {
		d.exec("COPY (SELECT %d AS %s) TO '%s'", i, c.column, file)
		rows, err := node.SQL(testContext(t), query, options...)
		switch {
		case c.want == "" && err != nil:
			t.Errorf("%d: %v", i, err)
		case c.want == "":
			if got := column(t, rows); len(got) != 1 || got[0] != strconv.Itoa(i) {
				t.Errorf("%d: %v", i, got)
			}
		case c.want != "" && (err == nil || !strings.Contains(err.Error(), c.want) || strings.Contains(err.Error(), "stage") != task):
			t.Errorf("%d: %v, want %q", i, err, c.want)
		}
	}
}
