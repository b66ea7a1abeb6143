//go:build duckdb_arrow

package isolate

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/apache/arrow-go/v18/arrow"
	"github.com/apache/arrow-go/v18/arrow/array"
	"github.com/apache/arrow-go/v18/arrow/memory"

	"github.com/pondmesh/pond/actors/access"
	"github.com/pondmesh/pond/actors/api"
	"github.com/pondmesh/pond/actors/engines"
	"github.com/pondmesh/pond/actors/exec"
	"github.com/pondmesh/pond/actors/funcs"
	"github.com/pondmesh/pond/actors/plan"
	"github.com/pondmesh/pond/actors/prepare"
	"github.com/pondmesh/pond/actors/process"
	"github.com/pondmesh/pond/duck"
)

// planning is a planner whose DuckDB is in processes, beside one whose DuckDB is here.
type planning struct {
	*prepare.Planner
	duckdb *DuckDB
	here   *prepare.Planner
	pool   *engines.Pool
	plain  *duck.Engine // for making files
	dir    string
}

func newPlanning(t testing.TB, scalars ...funcs.Scalar) *planning {
	t.Helper()
	registry := new(funcs.Registry)
	for _, f := range scalars {
		if err := registry.AddScalar(f); err != nil {
			t.Fatal(err)
		}
	}
	log := slog.New(slog.DiscardHandler)
	c := engines.Config{Memory: 1 << 30, Slots: 2, Dir: t.TempDir(), Funcs: registry, Log: log}
	pool, err := engines.Open(t.Context(), c)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { pool.Close() })
	settings, err := Settings(c.SlotMemory(), exec.Limits{}, registry)
	if err != nil {
		t.Fatal(err)
	}
	processes := process.NewPool(process.Config{Program: process.Program(), Config: settings, Dir: t.TempDir(), Blank: 1, Idle: 6, Log: log})
	t.Cleanup(func() { processes.Close() })
	p := &planning{pool: pool, duckdb: NewDuckDB(processes, registry, c.Memory, log), dir: t.TempDir()}
	rules, err := access.New(access.Config{Own: t.TempDir()})
	if err != nil {
		t.Fatal(err)
	}
	p.Planner = prepare.New(p.duckdb, c, rules, log)
	p.here = prepare.New(prepare.Local{Engines: pool}, c, rules, log)
	if p.plain, err = pool.Planner(t.Context()); err != nil {
		t.Fatal(err)
	}
	return p
}

// file writes a file of a query's rows, in the format of its name.
func (p *planning) file(t testing.TB, name, query string) string {
	t.Helper()
	path := filepath.Join(p.dir, name)
	if _, err := p.plain.Exec(t.Context(), fmt.Sprintf("COPY (%s) TO '%s'", query, path)); err != nil {
		t.Fatal(err)
	}
	return path
}

// job compiles SQL as a node does.
func (p *planning) job(ctx context.Context, by *prepare.Planner, sql string, force bool) (*prepare.Job, error) {
	spec := &api.JobSpec{ID: "00000000000000000000000000000001", Query: api.Query{SQL: sql, Dir: p.dir}, Options: api.JobOptions{Force: force, Partitions: 3}}
	if err := by.Fill(ctx, spec); err != nil {
		return nil, err
	}
	return by.Compile(ctx, spec, api.Capacity{Slots: 3, TargetBytes: 4 << 10})
}

// Planning in processes gives what planning here does: plans, refusals and all.
func TestPlansAreTheSame(t *testing.T) {
	t.Parallel()
	p := newPlanning(t)
	p.file(t, "a.parquet", "SELECT i, i % 7 AS k, 's' || i AS s FROM range(20000) t(i)")
	p.file(t, "b.csv", "SELECT i AS k, 'n' || i AS name FROM range(7) t(i)")
	p.file(t, "c1.csv", "SELECT 1 AS x, DATE '2024-01-31' AS d")
	p.file(t, "c2.csv", "SELECT 2 AS x, DATE '2024-02-28' AS d")
	p.file(t, "d.json", "SELECT 1 AS x, [1, 2] AS l")
	for i := range 130 {
		p.file(t, fmt.Sprintf("many%03d.parquet", i), "SELECT 1 AS x")
	}
	for _, sql := range []string{
		"SELECT 1 AS one",
		"SELECT k, sum(i), min(s) FROM 'a.parquet' GROUP BY k ORDER BY k",
		"SELECT name, count(*) FROM 'a.parquet' JOIN 'b.csv' USING (k) GROUP BY name",
		"SELECT d, x FROM 'c*.csv' ORDER BY x",
		"SELECT unnest(l) FROM 'd.json'",
		"SELECT sum(x) FROM 'many*.parquet'",
		"PIVOT 'a.parquet' ON k USING count(*)",
		"COPY (SELECT k FROM 'a.parquet') TO 'out' (FORMAT parquet)",
		"SELECT nope FROM 'a.parquet'",
		"SELEC 1",
		"SELECT * FROM 'missing.parquet'",
		"SELECT 1 +",
	} {
		for _, force := range []bool{false, true} {
			explain := func(by *prepare.Planner) string {
				j, err := p.job(t.Context(), by, sql, force)
				if err != nil {
					return fmt.Sprintf("%v; %s; %s", err, plan.KindOf(err), plan.AsError(err).Hint)
				}
				return fmt.Sprint(j.Plan.Explain(), j.Access)
			}
			if got, want := explain(p.Planner), explain(p.here); got != want {
				t.Errorf("%s, forced %t:\n%s\nhere:\n%s", sql, force, got, want)
			}
		}
		describe := func(by *prepare.Planner) string {
			d, err := by.Describe(t.Context(), &api.Query{SQL: sql, Dir: p.dir})
			if err != nil {
				return err.Error()
			}
			return fmt.Sprint(d.Columns, d.Dynamic)
		}
		if got, want := describe(p.Planner), describe(p.here); got != want {
			t.Errorf("%s: %s, here %s", sql, got, want)
		}
	}
	if got, want := p.DuckDBVersion(), p.here.DuckDBVersion(); got != want || !strings.HasPrefix(got, "v") {
		t.Errorf("version %q, here %q", got, want)
	}
}

// A Go function of constants is called while its query is planned.
func TestFunctionsOfConstants(t *testing.T) {
	t.Parallel()
	called := make(chan bool, 100)
	p := newPlanning(t, funcs.Scalar{Name: "twice", Args: []string{"BIGINT"}, Result: "BIGINT", Call: func(_ context.Context, args arrow.RecordBatch) (arrow.Array, error) {
		called <- true
		b := array.NewInt64Builder(memory.DefaultAllocator)
		for _, v := range args.Column(0).(*array.Int64).Int64Values() {
			b.Append(2 * v)
		}
		return b.NewArray(), nil
	}})
	if _, err := p.job(t.Context(), p.Planner, "SELECT twice(21) AS x", true); err != nil {
		t.Error(err)
	}
	if len(called) == 0 {
		t.Error("it was not called in this process")
	}
}

// poison is statements, of which each one took a node with it or kept it from
// answering while DuckDB was in the node's process.
func (p *planning) poison(t *testing.T) []poison {
	bad := p.file(t, "bad.parquet", "SELECT 1::INTEGER AS i")
	text, err := os.ReadFile(bad)
	if err != nil {
		t.Fatal(err)
	}
	column := []byte{0x15, 0x02, 0x25, 0x02, 0x18, 0x01, 'i'} // of a type that there is not
	at := bytes.LastIndex(text, column)
	if at < 0 {
		t.Fatal("the footer has another form")
	}
	text[at+1] = 0x0d
	if err := os.WriteFile(bad, text, 0o600); err != nil {
		t.Fatal(err)
	}
	recursive := "SELECT 1 AS i"
	for i := range 60 {
		recursive = fmt.Sprintf("WITH RECURSIVE r%d(i) AS (SELECT 1 UNION ALL SELECT i+1 FROM r%d WHERE i < (%s)) SELECT max(i) FROM r%d", i, i, recursive, i)
	}
	both := []bool{false, true}
	return []poison{
		{"crash", both, "SELECT json_structure(repeat('[', 200000) || repeat(']', 200000))", []error{plan.ErrCrash}, "signal 11"},
		{"crash over files", both, "SELECT x, json_structure(repeat('[', 200000) || repeat(']', 200000)) FROM 'good.parquet'", []error{plan.ErrCrash}, "good.parquet"},
		{"deaf", []bool{true}, recursive, []error{plan.ErrDeadline, plan.ErrMemory}, ""},
		{"cubic", []bool{false}, "SELECT 1" + strings.Repeat(strings.Repeat("+1", 990)+", 1", 6), []error{plan.ErrDeadline}, "DuckDB has worked on the statement for 15s"},
		{"footer", both, "SELECT count(*) FROM 'bad.parquet' WHERE i > 0", []error{plan.ErrQuery, plan.ErrInternal}, "bad.parquet"},
	}
}

type poison struct {
	name   string
	forced []bool
	sql    string
	kinds  []error // of which the error has one
	text   string  // in the error or its hint
}

// check looks at the error that a poison has ended with.
func (c *poison) check(t *testing.T, how string, err error) {
	t.Helper()
	if err == nil {
		t.Errorf("%s, %s: no error", c.name, how)
		return
	}
	te := plan.AsError(err)
	t.Logf("%s, %s: %q (%s)", c.name, how, err, te.Hint)
	if !slices.ContainsFunc(c.kinds, func(k error) bool { return errors.Is(err, k) }) || !strings.Contains(te.Error()+te.Hint, c.text) || te.Hint == "" {
		t.Errorf("%s, %s: %v; hint %q", c.name, how, err, te.Hint)
	}
	if te.Kind == plan.KindCrash && !strings.Contains(te.Text, "json_structure") {
		t.Errorf("%s, %s: the statement is not named: %v", c.name, how, err)
	}
}

// Whatever DuckDB does of a statement, the statement fails with an error of its own,
// and others are planned meanwhile.
func TestPoison(t *testing.T) {
	t.Parallel()
	p := newPlanning(t)
	p.file(t, "good.parquet", "SELECT 1 AS x")
	ctx, end := context.WithCancel(t.Context())
	var bystanders sync.WaitGroup
	planned := 0
	bystanders.Go(func() {
		for ; ctx.Err() == nil; planned++ {
			sql := fmt.Sprintf("SELECT %d", planned) // nothing of it is remembered
			if _, err := p.job(ctx, p.Planner, sql, true); err != nil && ctx.Err() == nil {
				t.Errorf("%s: %v", sql, err)
			}
		}
	})
	var all sync.WaitGroup
	for _, c := range p.poison(t) {
		for _, force := range c.forced {
			all.Go(func() {
				_, err := p.job(ctx, p.Planner, c.sql, force)
				c.check(t, fmt.Sprintf("planned, forced %t", force), err)
			})
		}
	}
	all.Wait()
	if _, err := p.job(t.Context(), p.Planner, "SELECT sum(x) FROM 'good.parquet'", true); err != nil {
		t.Errorf("afterwards: %v", err)
	}
	end()
	bystanders.Wait()
	t.Logf("%d statements were planned meanwhile", planned)
	if planned < 20 {
		t.Errorf("%d statements were planned meanwhile", planned)
	}
}

// A statement that DuckDB does not give up, of which one would never end, is ended with its
// process.
func TestCancelPlanning(t *testing.T) {
	t.Parallel()
	p := newPlanning(t)
	for _, c := range p.poison(t) {
		if c.name != "deaf" && c.name != "cubic" {
			continue
		}
		ctx, cancel := context.WithCancelCause(t.Context())
		why := errors.New("why")
		timer := time.AfterFunc(300*time.Millisecond, func() { cancel(why) })
		if _, err := p.job(ctx, p.Planner, c.sql, true); !errors.Is(err, why) || timer.Stop() {
			t.Errorf("%s: %v", c.name, err)
		}
		if _, err := p.job(t.Context(), p.Planner, "SELECT 1", true); err != nil {
			t.Errorf("after %s: %v", c.name, err)
		}
	}
}

// Footers come in parts, each where it belongs, and those of a process that is not
// asked for any are refused.
func TestFootersInParts(t *testing.T) {
	t.Parallel()
	p := newPlanning(t)
	var paths []string
	for i := range 150 {
		paths = append(paths, p.file(t, fmt.Sprintf("f%03d.parquet", i), fmt.Sprintf("SELECT * FROM range(%d)", i+1)))
	}
	var told []int
	err := p.duckdb.Footers(t.Context(), paths, paths, func(from int, list []duck.Footer) error {
		told = append(told, from)
		for i, f := range list {
			if f.Path != paths[from+i] || f.Rows != int64(from+i+1) {
				t.Errorf("%d: %s has %d rows", from+i, f.Path, f.Rows)
			}
		}
		return nil
	})
	if err != nil || len(told) < 2 {
		t.Errorf("%v in %d parts", err, len(told))
	}
	no := errors.New("no")
	if err := p.duckdb.Footers(t.Context(), paths, paths, func(int, []duck.Footer) error { return no }); err == nil || !strings.Contains(err.Error(), "no") {
		t.Errorf("one that takes none: %v", err)
	}
	if err := p.duckdb.Footers(t.Context(), []string{"/no/such.parquet"}, nil, nil); !errors.Is(err, plan.ErrNotFound) {
		t.Errorf("of a file that is not there: %v", err)
	}
	if _, _, err := p.duckdb.serve(t.Context(), &asked{}, t.TempDir(), methodFooters, nil, nil); err == nil {
		t.Error("footers that nobody asked for are taken")
	}
}

// BenchmarkTrivial plans trivial statements in processes and here, in turn, and tells
// the medians of both in microseconds.
func BenchmarkTrivial(b *testing.B) {
	p := newPlanning(b)
	took := map[*prepare.Planner][]time.Duration{}
	for i := 0; b.Loop(); i++ {
		for _, by := range []*prepare.Planner{p.Planner, p.here} {
			began := time.Now()
			if _, err := p.job(b.Context(), by, fmt.Sprintf("SELECT %d", i), false); err != nil {
				b.Fatal(err)
			}
			took[by] = append(took[by], time.Since(began))
		}
	}
	for by, unit := range map[*prepare.Planner]string{p.Planner: "us/processes", p.here: "us/here"} {
		slices.Sort(took[by])
		b.ReportMetric(float64(took[by][len(took[by])/2].Microseconds()), unit)
		b.ReportMetric(float64(took[by][len(took[by])/10].Microseconds()), unit+"-p10")
	}
}
