//go:build duckdb_arrow

package pond_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/apache/arrow-go/v18/arrow"
	"github.com/apache/arrow-go/v18/arrow/array"
	"github.com/apache/arrow-go/v18/arrow/memory"

	"github.com/pondmesh/pond"
	"github.com/pondmesh/pond/chaos/pondtest"
	"github.com/pondmesh/pond/duck"
)

// runAgain runs df and returns its rows and how much of it was found made.
func runAgain(t *testing.T, df *pond.DataFrame) (rows []string, n, of int) {
	t.Helper()
	r, err := df.Collect(testContext(t))
	rows = lines(t, r, err)
	n, of = reused(r.Status)
	return rows, n, of
}

// wantReuse runs df twice, from two nodes if there are, and checks how much of
// the second run was found made.
func wantReuse(t *testing.T, first, second *pond.DataFrame, all bool) {
	t.Helper()
	want, n, of := runAgain(t, first)
	if n != 0 {
		t.Errorf("of the first run %d of %d tasks were found made", n, of)
	}
	got, n, of := runAgain(t, second)
	if all && n != of || !all && n != 0 {
		t.Errorf("of the second run %d of %d tasks were found made", n, of)
	}
	if all && !slices.Equal(got, want) {
		t.Errorf("the second run gave %q, the first %q", got, want)
	}
}

// counting is a function that tells how often it was called.
func counting(calls *atomic.Int64) func(context.Context, arrow.RecordBatch) (arrow.Array, error) {
	return func(_ context.Context, args arrow.RecordBatch) (arrow.Array, error) {
		b := array.NewInt64Builder(memory.DefaultAllocator)
		defer b.Release()
		for range args.NumRows() {
			b.Append(calls.Add(1))
		}
		return b.NewArray(), nil
	}
}

func TestReuse(t *testing.T) {
	same := func(_ context.Context, in arrow.RecordBatch, yield func(arrow.RecordBatch) error) error {
		return yield(in)
	}
	var calls atomic.Int64
	scalar := func(name, version string, volatile bool) pond.Option {
		return pond.WithScalarFunc(pond.ScalarFunc{Name: name, Args: []string{"BIGINT"}, Result: "BIGINT", Version: version, Volatile: volatile, Call: counting(&calls)})
	}
	nodes := pondtest.New(t, 3, pond.WithBatchFunc("Versioned", "1", nil, same), pond.WithBatchFunc("unversioned", "", nil, same),
		scalar("Fn_Versioned", "1", false), scalar("Fn_Unversioned", "", false), scalar("fn_volatile", "1", true))
	group := func(s *pond.Session, k int) *pond.DataFrame {
		return s.ReadParquet(flights).Filter(fmt.Sprintf("delay > %d", k)).Repartition(3, pond.ByHash("origin")).SQL("SELECT origin, count(*) AS n FROM {0} GROUP BY origin ORDER BY origin")
	}
	t.Run("from another node", func(t *testing.T) { wantReuse(t, group(nodes[0].Session, 1), group(nodes[1].Session, 1), true) })
	t.Run("part of another plan", func(t *testing.T) {
		base := group(nodes[0].Session, 2)
		runAgain(t, base)
		_, n, of := runAgain(t, base.Repartition(2, pond.ByHash("n")).SQL("SELECT n, count(*) AS c FROM {0} GROUP BY n"))
		if n == 0 || n == of {
			t.Errorf("%d of %d tasks were found made, want the shared ones", n, of)
		}
	})
	t.Run("another constant", func(t *testing.T) { wantReuse(t, group(nodes[0].Session, 3), group(nodes[0].Session, 4), false) })
	t.Run("a session that does not want it", func(t *testing.T) {
		s, err := pond.Connect(nodes[2].Addr(), pond.Reuse(false))
		if err != nil {
			t.Fatal(err)
		}
		defer s.Close()
		wantReuse(t, group(nodes[0].Session, 5), group(s, 5), false)
		if _, n, of := runAgain(t, group(nodes[0].Session, 5)); n != of {
			t.Errorf("%d of %d: what that session made is there for others", n, of)
		}
	})
	src := func(i int) *pond.DataFrame { return numbers(nodes[0].Session, 100+i) }
	for i, c := range []struct {
		name string
		df   func(*pond.DataFrame) *pond.DataFrame
		all  bool
	}{
		{"random()", func(df *pond.DataFrame) *pond.DataFrame { return df.Map("id, random() AS r") }, false},
		{"now()", func(df *pond.DataFrame) *pond.DataFrame { return df.Map("id, now() AS r") }, false},
		{"current_timestamp", func(df *pond.DataFrame) *pond.DataFrame { return df.Map("id, CURRENT_TIMESTAMP AS r") }, false},
		{"random shuffle", func(df *pond.DataFrame) *pond.DataFrame { return df.RandomShuffle() }, false},
		{"versioned batches", func(df *pond.DataFrame) *pond.DataFrame { return df.MapBatches("Versioned", 10) }, true},
		{"unversioned batches", func(df *pond.DataFrame) *pond.DataFrame { return df.MapBatches("unversioned", 10) }, false},
		{"versioned function", func(df *pond.DataFrame) *pond.DataFrame { return df.Map("FN_Versioned(id) AS r") }, true},
		{"unversioned function", func(df *pond.DataFrame) *pond.DataFrame { return df.Map("fn_UNVERSIONED(id) AS r") }, false},
		{"volatile function", func(df *pond.DataFrame) *pond.DataFrame { return df.Map("fn_volatile(id) AS r") }, false},
		{"seed", func(df *pond.DataFrame) *pond.DataFrame { return df.SQL("SELECT id, hash(id, {seed}) AS r FROM {0}") }, true},
	} {
		t.Run(c.name, func(t *testing.T) {
			a, _, _ := runAgain(t, c.df(src(i)))
			b, n, of := runAgain(t, c.df(src(i)))
			if c.all != (n == of) || c.all != slices.Equal(a, b) && c.name != "unversioned batches" {
				t.Errorf("of the second run %d of %d tasks were found made; the rows are the same: %t", n, of, slices.Equal(a, b))
			}
		})
	}
}

// TestReuseFiles: a file that has changed is read again, even when its size is
// what it was.
func TestReuseFiles(t *testing.T) {
	node := pondtest.New(t, 2)[0]
	dir := t.TempDir()
	df := node.ReadCSV(dir).Repartition(2, pond.ByHash("k")).SQL("SELECT k, sum(v)::BIGINT AS s FROM {0} GROUP BY k").Consolidate(1).Sort("k")
	writeFile(t, dir, "a.csv", "k,v\n1,10\n2,20\n")
	writeFile(t, dir, "b.csv", "k,v\n1,30\n")
	step := func(what string, all bool, want ...string) {
		t.Helper()
		got, n, of := runAgain(t, df)
		wantLines(t, got, want...)
		if all != (n == of) || !all && n > of/2 {
			t.Errorf("%s: %d of %d tasks were found made", what, n, of)
		}
	}
	step("new", false, "1|40", "2|20")
	step("again", true, "1|40", "2|20")
	b := writeFile(t, dir, "b.csv", "k,v\n1,50\n")
	later := time.Now().Add(time.Hour)
	if err := os.Chtimes(b, later, later); err != nil {
		t.Fatal(err)
	}
	step("changed", false, "1|60", "2|20")
	writeFile(t, dir, "c.csv", "k,v\n3,1\n")
	step("another file", false, "1|60", "2|20", "3|1")
	if err := os.Remove(filepath.Join(dir, "c.csv")); err != nil {
		t.Fatal(err)
	}
	step("as before", true, "1|60", "2|20")
}

// TestCacheIsBounded: what is kept for reuse gives way to newer blocks, the
// oldest first; but results stay readable.
func TestCacheIsBounded(t *testing.T) {
	node := pondtest.New(t, 1, pond.WithCache(1<<20))[0]
	base := func(i int) *pond.DataFrame {
		return node.ReadParquet(flights).Map(fmt.Sprintf("*, hash(delay, %d) AS h, hash(distance, %d) AS g", i, i)).Repartition(2, pond.ByHash("h"))
	}
	count := "SELECT count(*) AS c FROM {0}"
	first, err := base(0).SQL(count).Collect(testContext(t))
	want := lines(t, first, err)
	for i := range 9 {
		runAgain(t, base(1+i).SQL(count))
	}
	wantLines(t, lines(t, first, nil), want...)
	if _, n, of := runAgain(t, base(9).SQL("SELECT max(h) FROM {0}")); n == 0 {
		t.Errorf("of the newest blocks %d of %d tasks were found made", n, of)
	}
	if _, n, of := runAgain(t, base(0).SQL("SELECT max(h) FROM {0}")); n != 0 {
		t.Errorf("of the oldest blocks %d of %d tasks were found made", n, of)
	}
}

// TestSharedOnce: what several steps of one job read is computed once.
func TestSharedOnce(t *testing.T) {
	var calls atomic.Int64
	node := pondtest.New(t, 2, pond.WithScalarFunc(pond.ScalarFunc{Name: "counted", Args: []string{"BIGINT"}, Result: "BIGINT", Call: counting(&calls)}))[0]
	shared := numbers(node.Session, 1000).Map("id, counted(id) AS c").Repartition(3, pond.ByHash("id"))
	df := shared.SQL("SELECT a.id, a.c = b.c AS same FROM {0} a JOIN {1} b USING (id)", shared).Union(shared.SQL("SELECT id, true AS same FROM {0}"), shared.Filter("id % 2 = 0").SQL("SELECT id, true AS same FROM {0}"))
	got := collect(t, df.SQL("SELECT count(*) AS n, bool_and(same) AS same FROM {0}").Consolidate(1).SQL("SELECT sum(n)::BIGINT AS n, bool_and(same) AS same FROM {0}"))
	wantLines(t, got.rows, "2500|true")
	if n := calls.Load(); n != 1000 {
		t.Errorf("the shared step computed %d rows, want 1000", n)
	}
}

// skewed writes a table of which most rows have one key, and one to look keys up
// in, each in several row groups.
func skewed(t *testing.T) (facts, names string) {
	t.Helper()
	dir := t.TempDir()
	e, err := duck.Open(t.Context(), duck.Config{Threads: 1, Memory: 256 * mib})
	if err != nil {
		t.Fatal(err)
	}
	defer e.Close()
	facts, names = "'"+dir+"/facts.parquet'", "'"+dir+"/names.parquet'"
	for path, sql := range map[string]string{
		facts: "SELECT CASE WHEN i % 10 > 0 THEN 7 ELSE i % 4000 END AS k, i AS v, hash(i)::VARCHAR AS w FROM range(40000) r(i)",
		names: "SELECT i AS k, 'n' || i % 50 AS name FROM range(20000) r(i)",
	} {
		if _, err := e.Exec(t.Context(), "COPY ("+sql+") TO "+path+" (ROW_GROUP_SIZE 2048)"); err != nil {
			t.Fatal(err)
		}
	}
	return facts, names
}

// stageOf is the last stage of a job whose name begins so.
func stageOf(t *testing.T, st *pond.Status, name string) pond.Stage {
	t.Helper()
	for _, s := range slices.Backward(st.Stages) {
		if strings.HasPrefix(s.Name, name) {
			return s
		}
	}
	t.Fatalf("no stage %s of %v", name, st.Stages)
	return pond.Stage{}
}

// TestFit: partitions are put together or split once their sizes are known, and
// answers stay those of one DuckDB.
func TestFit(t *testing.T) {
	facts, names := skewed(t)
	node := pondtest.New(t, 3, pond.WithSlots(1))[2]
	run := func(sql string) *pond.Status {
		t.Helper()
		rows, err := node.SQL(testContext(t), sql, pond.Force(true), pond.Broadcast(-1))
		got := lines(t, rows, err)
		want := oracle(t, sql)
		slices.Sort(got)
		slices.Sort(want)
		wantLines(t, got, want...)
		return rows.Status
	}
	join := fmt.Sprintf("SELECT f.k, f.v, f.w, n.name FROM %s f JOIN %s n ON f.k = n.k", facts, names)
	for range 2 { // the second time it is reused
		st := run(join)
		if n := stageOf(t, st, "join").Tasks; n <= 3 {
			t.Errorf("a join of 3 partitions, one of them large, has %d tasks: it is not split", n)
		}
	}
	few := run(join + " WHERE f.w LIKE '99%' AND n.name = 'n7'")
	if n := stageOf(t, few, "join").Tasks; n != 1 || few.Rows == 0 {
		t.Errorf("a join of 3 partitions of little, %d rows, has %d tasks: they are not put together", few.Rows, n)
	}
}

// TestReplan: a join whose side turns out small sends it to all tasks after all,
// one whose side turns out large shuffles it after all. Whether that happens hangs
// on what has run by then, so it is tried a few times, each with another query.
func TestReplan(t *testing.T) {
	facts, _ := skewed(t)
	node := pondtest.New(t, 3, pond.WithSlots(1))[2]
	options := []pond.JobOption{pond.Force(true), pond.Partitions(6), pond.Broadcast(60_000)}
	for _, c := range []struct{ cond, why string }{
		{"length(w) > 2 AND v * v %% 500 < 2 AND v <> %d", "of a join the right side is sent to all tasks instead"},
		{"w LIKE '%%1%%' AND length(w) > 1 AND length(w) < 30 AND v <> %d", "of a join both sides are shuffled instead"},
	} {
		query := func(try int) string {
			return fmt.Sprintf("SELECT a.k, b.v, b.w FROM %s a JOIN (FROM %s WHERE %s) b ON a.v = b.v", facts, facts, fmt.Sprintf(c.cond, try))
		}
		const most = 6 // tries
		tries := 0
		for fired := false; !fired; tries++ {
			want := sorted(oracle(t, query(tries)))
			for range 2 { // the second time what is held is reused
				rows, err := node.SQL(testContext(t), query(tries), options...)
				wantLines(t, sorted(lines(t, rows, err)), want...)
				st := rows.Status
				text, err := node.Job(st.ID).Explain(testContext(t), "text")
				if err != nil {
					t.Fatal(err)
				}
				if !strings.Contains(text, c.why) {
					continue
				}
				fired = true
				if !slices.ContainsFunc(st.Stages, func(s pond.Stage) bool { return s.Dropped }) || !strings.Contains(text, "(dropped)") {
					t.Errorf("%s: no stage was dropped\n%s", c.cond, text)
				}
			}
			if !fired && tries == most {
				t.Fatalf("%s: it is never planned again", c.cond)
			}
		}
		for fired := false; !fired; tries++ {
			rows, err := node.SQL(testContext(t), "EXPLAIN ANALYZE "+query(tries), options...)
			if err != nil {
				t.Fatal(err)
			}
			fired = strings.Contains(planText(t, rows), c.why) && strings.Contains(planText(t, rows), "(dropped)")
			if !fired && tries == 2*most {
				t.Fatalf("%s: EXPLAIN ANALYZE never says why\n%s", c.cond, planText(t, rows))
			}
		}
	}
}

// A cache that is too small for anything must not take a result from under its
// reader.
func TestResultOutlivesSmallCache(t *testing.T) {
	node := pondtest.New(t, 1, pond.WithCache(1))[0]
	job, err := node.FromRows([]string{"k", "INTEGER"}, []any{1}, []any{2}).Repartition(2, pond.ByHash("k")).Submit(testContext(t))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := job.Wait(testContext(t)); err != nil {
		t.Fatal(err)
	}
	for range 3 { // the ends of other jobs are when the cache is trimmed
		if n, err := node.FromRows([]string{"k", "INTEGER"}, []any{1}).Repartition(2, pond.ByHash("k")).Count(testContext(t)); err != nil || n != 1 {
			t.Fatal(n, err)
		}
	}
	rows, err := job.Rows(testContext(t))
	wantLines(t, sorted(lines(t, rows, err)), "1", "2")
}

// TestWaitingCallsCancel: whatever waits for a job takes it along when its context
// ends, and what does not wait leaves it alone.
func TestWaitingCallsCancel(t *testing.T) {
	node := pondtest.New(t, 1)[0]
	df := node.Query("SELECT count(*) AS n FROM range(100000000000) t(i) WHERE hash(i) = 1")
	for name, call := range map[string]func(context.Context, pond.JobOption) error{
		"collect": func(ctx context.Context, seen pond.JobOption) error { _, err := df.Collect(ctx, seen); return err },
		"count":   func(ctx context.Context, seen pond.JobOption) error { _, err := df.Count(ctx, seen); return err },
		"write": func(ctx context.Context, seen pond.JobOption) error {
			return df.WriteCSV(ctx, filepath.Join(t.TempDir(), "out"), seen)
		},
	} {
		t.Run(name, func(t *testing.T) {
			ctx, cancel := context.WithCancel(testContext(t))
			id, last := "", ""
			err := call(ctx, pond.OnStatus(func(s *pond.Status) { id, last = s.ID, s.State; cancel() }))
			if !errors.Is(err, context.Canceled) {
				t.Fatalf("the call ends with %v", err)
			}
			if st, err := node.Job(id).Status(testContext(t)); err != nil || st.State != "cancelled" {
				t.Errorf("the job is %+v, %v", st, err)
			}
			if last != "cancelled" {
				t.Errorf("the call was told of %s last", last)
			}
		})
	}
	ctx, cancel := context.WithCancel(testContext(t))
	job, err := df.Submit(ctx)
	cancel()
	if err != nil {
		t.Fatal(err)
	}
	if st, err := job.Status(testContext(t)); err != nil || st.Done() {
		t.Errorf("the submitted job is %+v, %v", st, err)
	}
	if err := job.Cancel(testContext(t)); err != nil {
		t.Error(err)
	}
}

// TestFromPlan: a plan as JSON runs as its sink says, under its own names, and its
// rows can be gone on with.
func TestFromPlan(t *testing.T) {
	node := pondtest.New(t, 1)[0]
	df := node.FromPlan([]byte(`{"name": "three", "nodes": [{"id": "five", "sql": {"query": "SELECT i FROM range(5) t(i)"}},
		{"id": "few", "inputs": ["five"], "filter": {"sql": "i < 4"}}], "sink": {"input": "few", "take": {"n": 3}}}`))
	rows, err := df.Collect(testContext(t))
	wantLines(t, lines(t, rows, err), "0", "1", "2")
	if st := rows.Status; st.Name != "three" {
		t.Errorf("the job is called %q", st.Name)
	}
	if n, err := df.Filter("i > 0").Count(testContext(t)); err != nil || n != 3 {
		t.Errorf("%d rows, %v", n, err)
	}
	for text, says := range map[string]string{
		`{`: "unexpected end",
		`{"nodes": [{"id": "a", "inputs": ["b"]}], "sink": {"input": "a"}}`: `no step "b" before it`,
		`{"nodes": [], "sink": {"input": "a"}}`:                             `step "a"`,
	} {
		wantError(t, collectErr(t, node.FromPlan([]byte(text))), pond.ErrQuery, says)
	}
}

// turnstile is a batch function whose tasks say that they have begun, and end when they are
// let go.
type turnstile struct{ began, pass chan struct{} }

func newTurnstile() turnstile { return turnstile{make(chan struct{}, 1000), make(chan struct{})} }

func (g turnstile) option() pond.Option {
	return pond.WithBatchFunc("gate", "", nil, func(ctx context.Context, in arrow.RecordBatch, yield func(arrow.RecordBatch) error) error {
		g.began <- struct{}{}
		select {
		case <-g.pass:
			return yield(in)
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	})
}

// fill starts a job of 12 tasks and waits until as many have begun. It returns what
// waits for the job's end, and gives its rows.
func (g turnstile) fill(t *testing.T, s *pond.Session, begin int) func() table {
	t.Helper()
	ctx := testContext(t)
	type answer struct {
		rows *pond.Rows
		err  error
	}
	ended := make(chan answer, 1)
	go func() {
		rows, err := numbers(s, 1200).Repartition(12, pond.ByRows()).MapBatches("gate", 0).SQL("SELECT count(*) AS c FROM {0}").Collect(ctx)
		ended <- answer{rows, err}
	}()
	for range begin {
		select {
		case <-g.began:
		case a := <-ended:
			t.Fatal("the long job has ended: ", a.err)
		}
	}
	return func() table {
		t.Helper()
		a := <-ended
		return rowsOf(t, a.rows, a.err)
	}
}

// TestSmallBesideLarge: a small query ends on every node while tasks that do not end
// hold every slot of the pond.
func TestSmallBesideLarge(t *testing.T) {
	few := filepath.Join(t.TempDir(), "few.parquet")
	newSingle(t).exec("COPY (SELECT range AS i FROM range(25)) TO '%s'", few)
	g := newTurnstile()
	nodes := pondtest.New(t, 3, g.option())
	long := g.fill(t, nodes[0].Session, 3*pondtest.Slots)
	for i, n := range nodes {
		rows, err := n.SQL(testContext(t), "SELECT count(*) AS c FROM '"+few+"'")
		if got := rowsOf(t, rows, err); !slices.Equal(got.rows, []string{"25"}) {
			t.Errorf("node %d: %v", i, got.rows)
		}
	}
	close(g.pass)
	if got := long(); len(got.rows) != 12 {
		t.Errorf("the long job: %v", got.rows)
	}
}

// TestNextSlot: where there is no slot more for small queries, one is served by the
// first slot that falls free, though the long job has more tasks.
func TestNextSlot(t *testing.T) {
	g := newTurnstile()
	node := pondtest.New(t, 1, g.option(), pond.WithMemory(256*mib), pond.WithSlots(1))[0]
	long := g.fill(t, node.Session, 1)
	answer := make(chan error, 1)
	go func() {
		rows, err := node.SQL(testContext(t), "SELECT count(*) AS c FROM range(25)")
		if err == nil {
			for _, e := range rows.All() {
				err = e
			}
		}
		answer <- err
	}()
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	for planned := false; !planned; <-tick.C {
		jobs, err := node.Jobs(testContext(t))
		if err != nil {
			t.Fatal(err)
		}
		planned = len(jobs) == 2 && !slices.ContainsFunc(jobs, func(j *pond.Status) bool { return len(j.Stages) == 0 })
	}
	served := false
	for tries := 0; !served && tries < 6; tries++ { // that there is work may not have reached the worker yet
		g.pass <- struct{}{} // one task of the long job ends, no other
		select {
		case err := <-answer:
			if served = true; err != nil {
				t.Fatal(err)
			}
		case <-g.began:
		}
	}
	if !served {
		t.Error("tasks of the long job went first")
	}
	close(g.pass)
	if got := long(); len(got.rows) != 12 {
		t.Errorf("the long job: %v", got.rows)
	}
}
