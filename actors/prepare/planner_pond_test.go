//go:build duckdb_arrow

package prepare_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/apache/arrow-go/v18/arrow"

	"github.com/pondmesh/pond/actors/access"
	"github.com/pondmesh/pond/actors/api"
	"github.com/pondmesh/pond/actors/engines"
	"github.com/pondmesh/pond/actors/funcs"
	"github.com/pondmesh/pond/actors/plan"
	"github.com/pondmesh/pond/actors/prepare"
	"github.com/pondmesh/pond/duck/ducktest"
)

// bench is a planner, and a folder of files for it to find.
type bench struct {
	*prepare.Planner
	pool     *engines.Pool
	dir, own string
}

func newBench(t *testing.T, scalars ...funcs.Scalar) *bench {
	t.Helper()
	registry := new(funcs.Registry)
	for _, f := range scalars {
		if err := registry.AddScalar(f); err != nil {
			t.Fatal(err)
		}
	}
	quiet := slog.New(slog.DiscardHandler)
	b := &bench{dir: t.TempDir(), own: t.TempDir()}
	var err error
	b.pool, err = engines.Open(t.Context(), engines.Config{Memory: 512 << 20, Slots: 2, Dir: t.TempDir(), Funcs: registry, Log: quiet})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { b.pool.Close() })
	rules, err := access.New(access.Config{Own: b.own})
	if err != nil {
		t.Fatal(err)
	}
	b.Planner = prepare.New(prepare.Local{Engines: b.pool}, b.pool.Config, rules, quiet)
	return b
}

// file writes a file of text.
func (b *bench) file(t *testing.T, name, text string) {
	t.Helper()
	path := filepath.Join(b.dir, name)
	if err := errors.Join(os.MkdirAll(filepath.Dir(path), 0o755), os.WriteFile(path, []byte(text), 0o644)); err != nil {
		t.Fatal(err)
	}
}

// parquet writes a Parquet file of a query's rows.
func (b *bench) parquet(t *testing.T, name, query string) {
	t.Helper()
	path := filepath.Join(b.dir, name)
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		t.Fatal(err)
	}
	e, err := b.pool.Planner(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if _, err := e.Exec(t.Context(), fmt.Sprintf("COPY (%s) TO '%s' (FORMAT parquet, ROW_GROUP_SIZE 2048)", query, path)); err != nil {
		t.Fatal(err)
	}
}

// abs has {dir} stand for the folder.
func (b *bench) abs(text string) string { return strings.ReplaceAll(text, "{dir}", b.dir) }

// request is SQL asked for in the folder, with views that are given as name, SQL, …
func (b *bench) request(sql string, views ...string) *api.Query {
	r := &api.Query{SQL: b.abs(sql), Dir: b.dir}
	for i := 0; i < len(views); i += 2 {
		r.Views = append(r.Views, plan.View{Name: views[i], SQL: b.abs(views[i+1])})
	}
	return r
}

// job compiles SQL for a pond of three slots.
func (b *bench) job(t *testing.T, sql string, o api.JobOptions, views ...string) (*prepare.Job, error) {
	t.Helper()
	p, err := b.PlanSQL(t.Context(), b.request(sql, views...))
	if err != nil {
		return nil, err
	}
	return b.compile(t, p, o)
}

func (b *bench) compile(t *testing.T, p *plan.Plan, o api.JobOptions) (*prepare.Job, error) {
	t.Helper()
	return b.Compile(t.Context(), &api.JobSpec{ID: "00000000000000000000000000000001", Plan: p, Options: o}, api.Capacity{Slots: 3, TargetBytes: 4 << 10})
}

// ids are those of a job's stages.
func ids(j *prepare.Job) []plan.StageID {
	var out []plan.StageID
	for _, s := range j.Plan.Stages {
		out = append(out, s.ID)
	}
	return out
}

// A statement means the same on every node: names of files become absolute, the
// text stays as it was otherwise, and the views that it reads come along.
func TestPlanSQL(t *testing.T) {
	b := newBench(t)
	for _, c := range []struct {
		name, sql, want string
		access          []string
		views           []string // given
		used            []string // names, in order
	}{
		{"no files", "SELECT 1 AS one", "SELECT 1 AS one", nil, nil, nil},
		{"relative", "SELECT  *  FROM 'a.parquet' /* mine */ WHERE true", "SELECT  *  FROM '{dir}/a.parquet' /* mine */ WHERE true", []string{"{dir}/a.parquet"}, nil, nil},
		{"above", "SELECT * FROM '../a.parquet'", "", []string{"{dir}/../a.parquet"}, nil, nil},
		{"function", "SELECT * FROM read_csv('x/*.csv', header = true)", "SELECT * FROM read_csv('{dir}/x/*.csv', header = true)", []string{"{dir}/x/*.csv"}, nil, nil},
		{"a text alike", "SELECT 'a.parquet' AS s FROM 'a.parquet'", "", []string{"{dir}/a.parquet"}, nil, nil},
		{"absolute", "SELECT * FROM '{dir}/a.parquet'", "SELECT * FROM '{dir}/a.parquet'", []string{"{dir}/a.parquet"}, nil, nil},
		{"twice", "SELECT * FROM 'a.parquet' JOIN 'a.parquet' b USING (i)", "", []string{"{dir}/a.parquet"}, nil, nil},
		{"views", "SELECT * FROM top", "SELECT * FROM top", []string{"{dir}/a.parquet", "{dir}/b.parquet"},
			[]string{"unused", "SELECT 1", "low", "FROM '{dir}/a.parquet'", "top", "FROM LOW, '{dir}/b.parquet'"}, []string{"low", "top"}},
		{"a view hides a file", "SELECT * FROM \"a.parquet\"", "SELECT * FROM \"a.parquet\"", nil, []string{"a.parquet", "SELECT 1"}, []string{"a.parquet"}},
		{"a CTE hides a view", "WITH v AS (SELECT 2) SELECT * FROM v", "", nil, nil, nil},
		{"summarize", "SUMMARIZE SELECT 1 AS one", "SELECT * FROM (SUMMARIZE SELECT 1 AS one)", nil, nil, nil},
	} {
		t.Run(c.name, func(t *testing.T) {
			p, err := b.PlanSQL(t.Context(), b.request(c.sql, c.views...))
			if err != nil {
				t.Fatal(err)
			}
			op := p.Nodes[0].SQL
			if c.want != "" && op.Query != b.abs(c.want) {
				t.Errorf("the query is now %s", op.Query)
			}
			var used, access []string
			for _, v := range op.Views {
				used = append(used, v.Name)
			}
			for _, a := range c.access {
				access = append(access, b.abs(a))
			}
			if !slices.Equal(used, c.used) || !slices.Equal(op.Access, access) {
				t.Errorf("views %v, access %v; want %v, %v", used, op.Access, c.used, access)
			}
			again, err := b.PlanSQL(t.Context(), b.request(c.sql, c.views...)) // remembered
			if err != nil || !reflect.DeepEqual(p, again) {
				t.Errorf("asked again: %+v, %v", again, err)
			}
		})
	}
	elsewhere, err := b.PlanSQL(t.Context(), &api.Query{SQL: "SELECT * FROM 'a.parquet' -- mine", Dir: "/other"})
	if err != nil || elsewhere.Nodes[0].SQL.Access[0] != "/other/a.parquet" {
		t.Errorf("in another folder: %+v, %v", elsewhere, err)
	}
}

func TestPlanSQLErrors(t *testing.T) {
	b := newBench(t)
	for _, c := range []struct {
		sql, text string
		views     []string
	}{
		{"SELEC 1", "syntax error", nil},
		{"SELECT 1; SELECT 2", "one", nil},
		{"CREATE TABLE t (i INT)", "", nil},
		{"", "", nil},
		{"SELECT * FROM v", "reads itself", []string{"v", "SELECT * FROM w", "w", "SELECT * FROM v"}},
	} {
		if p, err := b.PlanSQL(t.Context(), b.request(c.sql, c.views...)); !errors.Is(err, plan.ErrQuery) || !strings.Contains(err.Error(), c.text) {
			t.Errorf("%s: %+v, %v", c.sql, p, err)
		}
	}
}

// COPY says where rows go; PIVOT, which DuckDB gives no tree of, is made a table.
func TestPlanSQLKinds(t *testing.T) {
	b := newBench(t)
	p, err := b.PlanSQL(t.Context(), b.request("COPY (SELECT 1 AS i) TO 'out' (FORMAT csv, HEADER false)"))
	if err != nil {
		t.Fatal(err)
	}
	if w := p.Sink.Write; w == nil || w.Format != plan.CSV || filepath.Dir(w.Path) != b.dir || p.Sink.Collect != nil {
		t.Errorf("COPY: %+v", p.Sink)
	}
	p, err = b.PlanSQL(t.Context(), b.request("PIVOT 'sales.csv' ON year USING sum(amount)"))
	if err != nil {
		t.Fatal(err)
	}
	if len(p.Nodes) != 2 || p.Nodes[0].SQL == nil || !slices.Contains(p.Nodes[0].SQL.Access, filepath.Join(b.dir, "sales.csv")) {
		t.Errorf("PIVOT: %+v", p.Nodes)
	}
}

func TestDescribe(t *testing.T) {
	b := newBench(t)
	b.parquet(t, "a.parquet", "SELECT 1::INTEGER AS i, 'x' AS s, [1.5::DOUBLE] AS l")
	b.file(t, "sales.csv", "city,year,amount\nA,2000,1\nA,2001,2\nB,2000,3\n")
	if err := os.WriteFile(filepath.Join(b.own, "secret.csv"), []byte("i\n1\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		sql     string
		want    string // columns
		dynamic bool
		err     error
	}{
		{"FROM 'a.parquet'", "i INTEGER, s VARCHAR, l DOUBLE[]", false, nil},
		{"SELECT i + 1 AS j, s FROM v", "j INTEGER, s VARCHAR", false, nil},
		{"PIVOT 'sales.csv' ON year USING sum(amount)", "city VARCHAR, 2000 HUGEINT, 2001 HUGEINT", true, nil},
		{"SELECT nothing FROM 'a.parquet'", "", false, plan.ErrQuery},
		{"SELECT no_such_function(1)", "", false, plan.ErrQuery},
		{"FROM 'missing.parquet'", "", false, plan.ErrNotFound},
		{"FROM 's3://bucket/a.parquet'", "", false, plan.ErrQuery},
		{fmt.Sprintf("FROM '%s/secret.csv'", b.own), "", false, plan.ErrDenied},
		{fmt.Sprintf("FROM '%s/x/../../%s/*.csv'", b.own, filepath.Base(b.own)), "", false, plan.ErrDenied},
	} {
		d, err := b.Describe(t.Context(), b.request(c.sql, "v", "FROM '{dir}/a.parquet'"))
		if !errors.Is(err, c.err) {
			t.Errorf("%s: %v, want %v", c.sql, err, c.err)
		}
		if err != nil {
			continue
		}
		var got []string
		for _, col := range d.Columns {
			got = append(got, col.Name+" "+col.Type)
		}
		if strings.Join(got, ", ") != c.want || d.Dynamic != c.dynamic || d.Plan == nil {
			t.Errorf("%s: %v, dynamic %v", c.sql, got, d.Dynamic)
		}
	}
}

// A description for people is DuckDB's DESCRIBE, of a PIVOT's columns too.
func TestTold(t *testing.T) {
	b := newBench(t)
	oracle := ducktest.Open(t)
	b.parquet(t, "a.parquet", "SELECT {'a': 1::BIGINT, 'end': ['x'], 'B': 2} AS st, 3 AS tz")
	for sql, as := range map[string]string{
		"SELECT st, tz, tz FROM 'a.parquet'": "SELECT st, tz, tz FROM '{dir}/a.parquet'",
		"SELECT tz, tz FROM v":               "SELECT tz, tz FROM '{dir}/a.parquet'",
		"PIVOT v ON tz USING first(st)":      "SELECT first(st) AS \"3\" FROM '{dir}/a.parquet'",
	} {
		q := b.request(sql, "v", "FROM '{dir}/a.parquet'")
		q.Told = true
		d, err := b.Describe(t.Context(), q)
		if err != nil {
			t.Errorf("%s: %v", sql, err)
			continue
		}
		var got [][]string
		for _, c := range d.Columns {
			got = append(got, []string{c.Name, c.Type})
		}
		want, err := ducktest.Fetch(t.Context(), oracle, "SELECT column_name, column_type FROM (DESCRIBE "+b.abs(as)+")")
		if err != nil || !slices.EqualFunc(got, want, slices.Equal[[]string]) {
			t.Errorf("%s: %q, want %q (%v)", sql, got, want, err)
		}
	}
}

// What reads little runs as one task, found right or wrong at once; the rest is
// cut into stages, the same for the same files, others once a file has changed.
func TestCompileQuery(t *testing.T) {
	b := newBench(t)
	for i := range 3 {
		b.parquet(t, fmt.Sprintf("a%d.parquet", i), fmt.Sprintf("SELECT i, i %% 7 AS k FROM range(%d, %d) t(i)", i*5000, i*5000+5000))
	}
	const sql = "SELECT k, count(*) AS n FROM 'a*.parquet' GROUP BY k"
	small, err := b.job(t, sql, api.JobOptions{})
	if err != nil {
		t.Fatal(err)
	}
	if s := small.Plan.Stages; len(s) != 1 || !strings.Contains(s[0].Gathered, "it reads only") {
		t.Errorf("%d stages, gathered: %q", len(s), s[0].Gathered)
	}
	forced, err := b.job(t, sql, api.JobOptions{Force: true})
	if err != nil {
		t.Fatal(err)
	}
	first := forced.Plan.Stages[0]
	if len(forced.Plan.Stages) < 2 || first.Inputs[0].Scan == nil || len(first.Inputs[0].Scan.Splits) < 3 || forced.Query == nil {
		t.Errorf("forced:\n%s", forced.Plan.Explain())
	}
	for _, path := range []string{"a0.parquet", "a1.parquet", "a2.parquet"} {
		if !slices.Contains(forced.Access, filepath.Join(b.dir, path)) {
			t.Errorf("%s is not to be read: %v", path, forced.Access)
		}
	}
	again, err := b.job(t, sql, api.JobOptions{Force: true}) // remembered
	if err != nil || !slices.Equal(ids(again), ids(forced)) {
		t.Errorf("planned again: %v, %v", ids(again), err)
	}
	b.parquet(t, "a1.parquet", "SELECT i, i % 7 AS k FROM range(100) t(i)")
	changed, err := b.job(t, sql, api.JobOptions{Force: true})
	if err != nil || slices.Equal(ids(changed), ids(forced)) {
		t.Errorf("with a file changed: %v, %v", ids(changed), err)
	}
	if ended := forced.Ended(); ended.Query != nil || ended.Plan != forced.Plan || !slices.Equal(ended.Access, forced.Access) {
		t.Errorf("ended: %+v", ended)
	}
	with := small.With(forced.Query)
	if with.Plan != forced.Query.Job || !slices.IsSorted(with.Access) || !slices.Equal(with.Access, forced.Access) {
		t.Errorf("planned again: %+v", with)
	}
	for _, c := range []struct {
		sql  string
		o    api.JobOptions
		want error
	}{
		{"SELECT nothing FROM 'a*.parquet'", api.JobOptions{}, plan.ErrQuery},
		{"SELECT nothing FROM 'a*.parquet'", api.JobOptions{Force: true}, plan.ErrQuery},
		{"SELECT * FROM 'none*.parquet'", api.JobOptions{}, plan.ErrNotFound},
	} {
		for range 2 { // an error is not remembered as anything else
			if _, err := b.job(t, c.sql, c.o); !errors.Is(err, c.want) {
				t.Errorf("%s: %v", c.sql, err)
			}
		}
	}
}

// The mistakes of a small query are left to its task when somebody waits for that, and it
// begins at once; those of text files always are.
func TestCheckSmall(t *testing.T) {
	b := newBench(t)
	b.parquet(t, "a.parquet", "SELECT i FROM range(100) t(i)")
	if err := os.WriteFile(filepath.Join(b.dir, "a.csv"), []byte("i\n1\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	waits := api.JobOptions{LeaseMillis: 1000}
	for _, c := range []struct {
		name    string
		idle    func() bool
		from    string
		o       api.JobOptions
		unbound bool
		says    string
	}{
		{"it begins, and somebody waits", func() bool { return true }, "a.parquet", waits, true, ""},
		{"it waits for others", func() bool { return false }, "a.parquet", waits, false, "LINE 1: SELECT nope FROM"},
		{"nobody waits", func() bool { return true }, "a.parquet", api.JobOptions{}, false, "LINE 1: SELECT nope FROM"},
		{"nothing is known", nil, "a.parquet", waits, false, "LINE 1: SELECT nope FROM"},
		{"a text file", func() bool { return true }, "a.csv", waits, false, ""},
	} {
		b.Idle = c.idle
		job, err := b.job(t, "SELECT nope FROM '"+c.from+"'", c.o)
		switch {
		case c.says != "" && (!errors.Is(err, plan.ErrQuery) || !strings.Contains(err.Error(), c.says)):
			t.Errorf("%s: %v, want %q", c.name, err, c.says)
		case c.says == "" && (err != nil || job.Plan.Stages[0].Unbound != c.unbound):
			t.Errorf("%s: %+v, %v", c.name, job, err)
		}
	}
}

// The sink of a query is part of it: what is not wanted is not made.
func TestSinks(t *testing.T) {
	b := newBench(t)
	b.parquet(t, "a.parquet", "SELECT i FROM range(100) t(i)")
	p, err := b.PlanSQL(t.Context(), b.request("FROM 'a.parquet' -- all"))
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		sink plan.Sink
		want string
	}{
		{plan.Sink{Input: "sql", Count: &plan.CollectOp{}}, "count(*)"},
		{plan.Sink{Input: "sql", Take: &plan.LimitOp{N: 7}}, "LIMIT 7"},
	} {
		p.Sink = c.sink
		job, err := b.compile(t, p, api.JobOptions{})
		if err != nil {
			t.Fatal(err)
		}
		if last := job.Plan.Stages[len(job.Plan.Stages)-1]; !strings.Contains(last.Query, c.want) {
			t.Errorf("%+v: %s", c.sink, last.Query)
		}
	}
}

// Text files are planned as tables and dealt out by file, where each file reads the
// same alone as among the others; else one task reads them, and it is said why.
func TestTextFiles(t *testing.T) {
	b := newBench(t)
	rows := func(sep, head string) string {
		text := head
		for i := range 500 {
			text += fmt.Sprintf("%d%s2020-01-02%stext\n", i, sep, sep)
		}
		return text
	}
	for i := range 3 {
		b.file(t, fmt.Sprintf("alike/%d.csv", i), rows(",", "i,d,s\n"))
		b.file(t, fmt.Sprintf("json/%d.json", i), strings.Repeat(`{"i": 1, "s": "x"}`+"\n", 500))
	}
	b.file(t, "mixed/0.csv", rows(",", "i,d,s\n"))
	b.file(t, "mixed/1.csv", rows(";", "i;d;s\n"))
	b.file(t, "one/0.csv", rows(",", "i,d,s\n"))
	for _, c := range []struct {
		from   string
		splits int    // of the scan
		why    string // one task reads all
	}{
		{"'alike/*.csv'", 3, ""},
		{"read_json('json/*.json')", 3, ""},
		{"read_csv('alike/*.csv', filename = true)", 3, ""},
		{"read_csv(['alike/0.csv', 'alike/0.csv'])", 1, "twice"},
		{"'one/*.csv'", 1, "not cut"},
		{"'mixed/*.csv'", 1, "differ"},
		{"read_csv('alike/*.csv', ignore_errors = true)", 0, "left out as wrong"},
		{"(SELECT file_row_number FROM read_csv('alike/*.csv', names = ['file_row_number', 'd', 's']))", 0, ""},
	} {
		job, err := b.job(t, "SELECT count(*) AS n FROM "+c.from, api.JobOptions{Force: true})
		if err != nil {
			t.Errorf("%s: %v", c.from, err)
			continue
		}
		scans := 0
		for _, s := range job.Plan.Stages {
			for _, in := range s.Inputs {
				if in.Scan != nil {
					scans = len(in.Scan.Splits)
				}
			}
		}
		text := job.Plan.Explain()
		if c.splits > 0 && c.why == "" && scans < 2 || c.why != "" && scans > 1 || !strings.Contains(text, c.why) {
			t.Errorf("%s: %d splits:\n%s", c.from, scans, text)
		}
	}
}

// program is a plan of one read, as JSON.
func (b *bench) program(t *testing.T, read string) *plan.Plan {
	t.Helper()
	p, err := plan.Decode([]byte(b.abs(`{"nodes": [{"id": "a", "read": ` + read + `}], "sink": {"input": "a", "collect": {}}}`)))
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// A DataFrame's files are found and looked into before it is compiled.
func TestCompileFrame(t *testing.T) {
	b := newBench(t)
	for i := range 3 {
		b.parquet(t, fmt.Sprintf("p/a%d.parquet", i), fmt.Sprintf("SELECT i, 'text ' || i AS s FROM range(%d) t(i)", 5000*(i+1)))
		b.parquet(t, fmt.Sprintf("h/year=%d/a.parquet", 2000+i), "SELECT i FROM range(10) t(i)")
	}
	b.file(t, "c/1.csv", "i|d\n1|02.01.2020\n")
	b.file(t, "c/2.csv", "i|d\n2|03.01.2020\n")
	b.file(t, "c/empty.csv", "")
	b.file(t, "j/1.json", `{"i": 1}`+"\n")
	b.file(t, "x/1.arrow", "no matter what: a task looks")
	b.file(t, "broken/1.parquet", "PAR1 this is none PAR1")
	if err := os.WriteFile(filepath.Join(b.own, "a.csv"), []byte("i\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		read  string
		files int // that are read
		want  error
	}{
		{`{"format": "parquet", "paths": ["{dir}/p/*.parquet"]}`, 3, nil},
		{`{"format": "parquet", "paths": ["{dir}/p/a0.parquet", "{dir}/p/a2.parquet"]}`, 2, nil},
		{`{"format": "parquet", "paths": ["{dir}/h"], "recursive": true}`, 3, nil},
		{`{"format": "parquet", "paths": ["{dir}/h"], "options": {"hive": true}}`, 3, nil},
		{`{"format": "csv", "paths": ["{dir}/c/*.csv"]}`, 2, nil},
		{`{"format": "json", "paths": ["{dir}/j/*.json"]}`, 1, nil},
		{`{"format": "arrow", "paths": ["{dir}/x/*.arrow"]}`, 1, nil},
		{`{"format": "parquet", "paths": ["{dir}/none/*.parquet"]}`, 0, plan.ErrNotFound},
		{`{"format": "parquet", "paths": ["{dir}/broken/*.parquet"]}`, 0, plan.ErrQuery},
		{`{"format": "csv", "paths": ["` + b.own + `/a.csv"]}`, 0, plan.ErrDenied},
		{`{"format": "csv", "paths": ["https://example.org/a.csv"]}`, 0, plan.ErrQuery},
	} {
		job, err := b.compile(t, b.program(t, c.read), api.JobOptions{})
		if !errors.Is(err, c.want) {
			t.Errorf("%s: %v, want %v", c.read, err, c.want)
		}
		if err != nil {
			if !strings.Contains(err.Error(), `step "`) {
				t.Errorf("%s: which step it is about is not said: %v", c.read, err)
			}
			continue
		}
		paths := map[string]bool{}
		for _, split := range job.Plan.Stages[0].Inputs[0].Scan.Splits {
			for _, piece := range split {
				paths[piece.Path] = true
				if !slices.Contains(job.Access, piece.Path) {
					t.Errorf("%s: %s is not to be read", c.read, piece.Path)
				}
			}
		}
		if len(paths) != c.files || job.Query != nil {
			t.Errorf("%s: files %v", c.read, paths)
		}
	}
	if _, err := b.compile(t, nil, api.JobOptions{}); !errors.Is(err, plan.ErrQuery) {
		t.Errorf("no plan: %v", err)
	}
	if _, err := b.compile(t, &plan.Plan{}, api.JobOptions{}); !errors.Is(err, plan.ErrQuery) {
		t.Errorf("an empty plan: %v", err)
	}
}

// The sizes of files that only SQL names are told apart from those in the plan.
func TestNamedBytes(t *testing.T) {
	b := newBench(t)
	b.file(t, "a.csv", "i\n1\n")
	b.parquet(t, "a.parquet", "SELECT 1 AS i")
	job, err := b.job(t, "SELECT * FROM 'a.csv', 'a.csv' b", api.JobOptions{})
	if err != nil {
		t.Fatal(err)
	}
	if n := b.NamedBytes(t.Context(), job.Plan); len(n) != len(job.Plan.Stages) || n[0] != 4 {
		t.Errorf("of SQL: %v", n)
	}
	frame, err := b.compile(t, b.program(t, `{"format": "parquet", "paths": ["{dir}/*.parquet"]}`), api.JobOptions{})
	if err != nil {
		t.Fatal(err)
	}
	if n := b.NamedBytes(t.Context(), frame.Plan); n[0] != 0 {
		t.Errorf("of a DataFrame: %v", n)
	}
}

// A Go function's version is part of what a stage is: rows that an older version
// made are not taken for those of a newer one. Without a version they are made anew.
func TestFunctionVersions(t *testing.T) {
	call := func(_ context.Context, args arrow.RecordBatch) (arrow.Array, error) {
		a := args.Column(0)
		a.Retain()
		return a, nil
	}
	stages := map[string][]plan.StageID{}
	for _, version := range []string{"1", "2", ""} {
		b := newBench(t, funcs.Scalar{Name: "f", Args: []string{"BIGINT"}, Result: "BIGINT", Version: version, Call: call})
		for _, list := range []string{"f(i) AS i", "i + 1 AS i"} {
			p, err := plan.Decode([]byte(`{"nodes": [{"id": "a", "rows": {"columns": [{"name": "i", "type": "BIGINT"}], "values": [[1], [2]]}},
				{"id": "x", "inputs": ["a"], "map": {"sql": "` + list + `"}}], "sink": {"input": "x", "collect": {}}}`))
			if err != nil {
				t.Fatal(err)
			}
			job, err := b.compile(t, p, api.JobOptions{})
			if err != nil {
				t.Fatal(err)
			}
			stages[list+" "+version] = ids(job)
			if calls := strings.Contains(list, "f("); job.Plan.Stages[0].Deterministic == (calls && version == "") {
				t.Errorf("version %q, %s: deterministic is %t", version, list, job.Plan.Stages[0].Deterministic)
			}
		}
	}
	if slices.Equal(stages["f(i) AS i 1"], stages["f(i) AS i 2"]) {
		t.Error("another version of a function makes the same stage")
	}
	if !slices.Equal(stages["i + 1 AS i 1"], stages["i + 1 AS i 2"]) {
		t.Error("a stage depends on a function that it does not call")
	}
}

// A COPY is compiled into tasks that write, with its folder and format.
func TestCompileCopy(t *testing.T) {
	b := newBench(t)
	b.parquet(t, "a.parquet", "SELECT i, i % 3 AS k FROM range(10000) t(i)")
	job, err := b.job(t, "COPY (FROM 'a.parquet') TO 'out' (FORMAT parquet, PARTITION_BY (k))", api.JobOptions{Force: true})
	if err != nil {
		t.Fatal(err)
	}
	last := job.Plan.Stages[len(job.Plan.Stages)-1]
	w := last.Exchange.Write
	if last.Exchange.Kind != plan.Files || w == nil || filepath.Dir(w.Path) != b.dir || !slices.Equal(w.PartitionBy, []string{"k"}) || job.Plan.Result.Write == nil {
		t.Errorf("%+v", last.Exchange)
	}
}

// Rows of many folders are sent to the tasks of their folders, those of few are not.
// Their first rows tell how many there are, or else the statistics.
func TestFolders(t *testing.T) {
	b := newBench(t)
	b.parquet(t, "a.parquet", "SELECT i, i % 3 AS few, i % 300 AS many FROM range(20000) t(i)")
	const few, many = "few", "many"
	for _, c := range []struct {
		query, by string
		want      string
	}{
		{"FROM 'a.parquet'", "few", few},
		{"FROM 'a.parquet'", "many", many},
		{"FROM 'a.parquet'", "few, MANY", many},
		{"FROM 'a.parquet'", "nosuch", few},
		{"SELECT i, hash(i) % 200 AS p FROM 'a.parquet' WHERE i > 9", "p", many},
		{"SELECT i, CASE WHEN i % 2 = 0 THEN i % 2 END AS p FROM 'a.parquet'", "p", few},
		{"SELECT *, i AS p FROM 'a.parquet' ORDER BY i DESC", "many", many},
		{"SELECT a.* FROM 'a.parquet' a JOIN 'a.parquet' b ON a.i = b.i", "many", many},
		{"SELECT a.* FROM 'a.parquet' a JOIN 'a.parquet' b ON a.i = b.i", "few", few},
		{"SELECT a.*, hash(a.i) % 3 AS p FROM 'a.parquet' a JOIN 'a.parquet' b ON a.i = b.i", "p", "may be many"}, // which is seen where it reads little
		{"SELECT few, count(*) AS n FROM 'a.parquet' GROUP BY few", "n", few},
	} {
		for _, force := range []bool{false, true} {
			sql := "COPY (" + c.query + ") TO 'out' (FORMAT parquet, PARTITION_BY (" + c.by + "))"
			job, err := b.job(t, sql, api.JobOptions{Force: force, Partitions: 4})
			if err != nil {
				t.Fatal(err)
			}
			last := job.Plan.Stages[len(job.Plan.Stages)-1]
			sent := len(last.Inputs) == 1 && last.Inputs[0].Read != nil && job.Plan.Stages[last.Inputs[0].Read.Stages[0]].Exchange.Kind == plan.Hash
			if last.Exchange.Grouped != (c.want == many || force && c.want == "may be many") || force && last.Exchange.Grouped != sent && !strings.Contains(c.query, "GROUP BY") || strings.Contains(c.query, "ORDER BY") && !last.Ordered {
				t.Errorf("%s, forced %t: grouped %t, sent %t, ordered %t\n%s", sql, force, last.Exchange.Grouped, sent, last.Ordered, job.Plan.Explain())
			}
		}
	}
}
