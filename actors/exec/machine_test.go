//go:build duckdb_arrow

package exec_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/apache/arrow-go/v18/arrow"
	"github.com/apache/arrow-go/v18/arrow/array"
	"github.com/apache/arrow-go/v18/arrow/memory"

	"github.com/pondmesh/pond/actors/api"
	"github.com/pondmesh/pond/actors/exec"
	"github.com/pondmesh/pond/actors/funcs"
	"github.com/pondmesh/pond/actors/plan"
	"github.com/pondmesh/pond/actors/prepare"
	"github.com/pondmesh/pond/fs"
)

// inputs are files of numbers in the runner's folder: a, in three files of several
// row groups, and b.
func inputs(t *testing.T, r *runner) {
	t.Helper()
	for i := range 3 {
		r.sql(t, fmt.Sprintf("COPY (SELECT i AS a, i %% 7 AS k, 'text ' || (i %% 50) AS s FROM range(%d, %d) t(i)) TO '%s' (ROW_GROUP_SIZE 2048)",
			i*5000, (i+1)*5000, filepath.Join(r.dir, fmt.Sprintf("a%d.parquet", i))))
	}
	r.sql(t, fmt.Sprintf("COPY (SELECT i AS k, 'name ' || i AS n FROM range(5) t(i)) TO '%s'", filepath.Join(r.dir, "b.parquet")))
}

const readA = `{"id": "a", "read": {"format": "parquet", "paths": ["{dir}/a*.parquet"]}}`

// Every way in which rows leave one stage and enter another gives the rows that
// one DuckDB gives.
func TestExchanges(t *testing.T) {
	r := newRunner(t, nil)
	inputs(t, r)
	const a = "SELECT a, k FROM '{dir}/a*.parquet'"
	for _, c := range []struct {
		name, node, want string
		partitions       int // 0: whatever
		ordered          bool
	}{
		{"rows", `"repartition": {"n": 4, "by": "rows"}`, a, 4, false},
		{"hash", `"repartition": {"n": 4, "by": "hash", "keys": ["k"]}`, a, 4, false},
		{"random", `"repartition": {"n": 3, "by": "random", "seed": 5}`, a, 3, false},
		{"column", `"repartition": {"n": 7, "by": "column", "keys": ["k"]}`, a, 7, false},
		{"sort", `"sort": {"by": ["k DESC", "a"], "n": 4}`, a + " ORDER BY k DESC, a", 0, true},
		{"limit", `"limit": {"n": 10}`, a + " LIMIT 10", 0, true},
		{"query", `"sql": {"query": "SELECT a, k FROM {0} WHERE a % 11 = 3"}`, a + " WHERE a % 11 = 3", 0, false},
	} {
		t.Run(c.name, func(t *testing.T) {
			p := r.program(t, `{"nodes": [`+readA+`, {"id": "p", "inputs": ["a"], "project": {"columns": ["a", "k"]}}, {"id": "x", "inputs": ["p"], `+c.node+`}], "sink": {"input": "x", "collect": {}}}`)
			got := r.collect(t, r.compile(t, p, api.JobOptions{}))
			if c.partitions > 0 && len(got) != c.partitions {
				t.Errorf("%d partitions, want %d", len(got), c.partitions)
			}
			same(t, slices.Concat(got...), r.rows(t, c.want), c.ordered)
			if c.name == "column" {
				for p, rows := range got {
					if want := r.rows(t, fmt.Sprintf("%s WHERE k = %d", a, p)); len(rows) != len(want) {
						t.Errorf("partition %d has %d rows, want %d", p, len(rows), len(want))
					}
				}
			}
		})
	}
}

// A key goes by its value, whether it is a column of the rows or an expression.
func TestHashKeys(t *testing.T) {
	r := newRunner(t, nil)
	inputs(t, r)
	parts := func(keys string) [][]string {
		p := r.program(t, `{"nodes": [`+readA+`, {"id": "p", "inputs": ["a"], "project": {"columns": ["a", "k"]}}, {"id": "x", "inputs": ["p"], "repartition": {"n": 5, "by": "hash", "keys": [`+keys+`]}}], "sink": {"input": "x", "collect": {}}}`)
		return r.collect(t, r.compile(t, p, api.JobOptions{}))
	}
	want := parts(`"(k)", "(a)"`)
	if len(slices.Concat(want...)) == len(want[0]) {
		t.Fatal("all rows are in one partition")
	}
	for _, keys := range []string{`"k", "a"`, `"K", "(a)"`, `"(k)", "\"A\""`} {
		for i, rows := range parts(keys) {
			same(t, rows, want[i], false)
		}
	}
}

// Statements that DuckDB plans and several stages run.
func TestQueries(t *testing.T) {
	r := newRunner(t, nil)
	inputs(t, r)
	for _, c := range []struct {
		query   string
		ordered bool
	}{
		{"SELECT k, count(*) AS n, sum(a)::BIGINT AS s FROM '{dir}/a*.parquet' GROUP BY k", false},
		{"SELECT a.a, b.n FROM '{dir}/a*.parquet' a JOIN '{dir}/b.parquet' b USING (k) WHERE a.a % 5 = 0", false},
		{"SELECT a FROM '{dir}/a*.parquet' ORDER BY a DESC LIMIT 5", true},
		{"SELECT DISTINCT s FROM '{dir}/a*.parquet'", false},
		{"SELECT k FROM '{dir}/a*.parquet' WHERE a % 9 = 2 UNION ALL SELECT k FROM '{dir}/b.parquet'", false},
		{"SELECT a, row_number() OVER (PARTITION BY k ORDER BY a) AS n FROM '{dir}/a*.parquet' WHERE a % 3 = 2", false},
	} {
		for _, r.codec = range []string{"", "zstd", "none"} {
			spec := &api.JobSpec{Query: api.Query{SQL: strings.ReplaceAll(c.query, "{dir}", r.dir), Dir: "/"}}
			if err := r.planner.Fill(t.Context(), spec); err != nil {
				t.Fatal(err)
			}
			job := r.compile(t, spec.Plan, api.JobOptions{Force: true, BroadcastBytes: -1})
			if len(job.Plan.Stages) < 2 {
				t.Errorf("%s: it is not distributed", c.query)
			}
			same(t, slices.Concat(r.collect(t, job)...), r.rows(t, c.query), c.ordered)
		}
	}
}

// numbers is a batch of integers from lo up to hi.
func numbers(lo, hi int64) arrow.RecordBatch {
	b := array.NewRecordBuilder(memory.DefaultAllocator, arrow.NewSchema([]arrow.Field{{Name: "a", Type: arrow.PrimitiveTypes.Int64}}, nil))
	defer b.Release()
	for i := lo; i < hi; i++ {
		b.Field(0).(*array.Int64Builder).Append(i)
	}
	return b.NewRecordBatch()
}

// Arrow files, in the file and the stream format, and rows that the job carries.
func TestArrowInputs(t *testing.T) {
	r := newRunner(t, nil)
	arrowFile(t, filepath.Join(r.dir, "1.arrow"), false, numbers(0, 10), numbers(10, 15))
	arrowFile(t, filepath.Join(r.dir, "2.arrow"), true, numbers(15, 30))
	read := `{"nodes": [{"id": "a", "read": {"format": "arrow", "paths": ["{dir}/*.arrow"]}}, {"id": "x", "inputs": ["a"], "sql": {"query": "SELECT a FROM {0} WHERE a % 2 = 0"}}], "sink": {"input": "x", "collect": {}}}`
	same(t, slices.Concat(r.collect(t, r.compile(t, r.program(t, read), api.JobOptions{}))...), r.rows(t, "SELECT range AS a FROM range(0, 30, 2)"), false)
	literal := `{"nodes": [{"id": "a", "rows": {"columns": [{"name": "a", "type": "BIGINT"}], "values": [[1], [2], [3], [4], [5]]}}, {"id": "x", "inputs": ["a"], "repartition": {"n": 2, "by": "rows"}}], "sink": {"input": "x", "collect": {}}}`
	same(t, slices.Concat(r.collect(t, r.compile(t, r.program(t, literal), api.JobOptions{}))...), r.rows(t, "SELECT range AS a FROM range(1, 6)"), false)

	for name, text := range map[string]string{"odd.arrow": "no arrow", "short.arrow": "ARROW1"} {
		if err := os.WriteFile(filepath.Join(r.dir, name), []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
		err := r.fails(t, r.compile(t, r.program(t, strings.Replace(read, "*.arrow", name, 1)), api.JobOptions{}))
		if !errors.Is(err, plan.ErrQuery) || !strings.Contains(err.Error(), name) {
			t.Errorf("%s: %v", name, err)
		}
	}
	b := array.NewRecordBuilder(memory.DefaultAllocator, arrow.NewSchema([]arrow.Field{{Name: "b", Type: arrow.PrimitiveTypes.Int64}}, nil))
	defer b.Release()
	b.Field(0).(*array.Int64Builder).Append(1)
	if err := os.Mkdir(filepath.Join(r.dir, "other"), 0o755); err != nil {
		t.Fatal(err)
	}
	arrowFile(t, filepath.Join(r.dir, "other", "1.arrow"), false, numbers(0, 1))
	arrowFile(t, filepath.Join(r.dir, "other", "2.arrow"), false, b.NewRecordBatch())
	err := r.fails(t, r.compile(t, r.program(t, strings.Replace(read, "*.arrow", "other/*.arrow", 1)), api.JobOptions{}))
	if !errors.Is(err, plan.ErrQuery) || !strings.Contains(err.Error(), "schema") {
		t.Errorf("files of other columns: %v", err)
	}
}

// fails is the first error of a job's tasks.
func (r *runner) fails(t *testing.T, job *prepare.Job) error {
	t.Helper()
	w := r.begin(job, t.TempDir())
	for stage := range w.job.Stages {
		for p := range plan.TaskCount(w.job, stage, w.up) {
			a, packets := w.task(stage, p)
			if _, err := r.Run(t.Context(), a, packets); err != nil {
				return err
			}
		}
		w.stage(t, stage)
	}
	t.Fatal("no task fails")
	return nil
}

// Go functions see every row once, in batches of the size asked for; what they
// spool is gone when the task has ended, well or not.
func TestBatchFuncs(t *testing.T) {
	f := new(funcs.Registry)
	sizes := make(chan int64, 1000)
	err := errors.Join(
		f.AddBatch(funcs.Batch{Name: "double", Call: func(_ context.Context, in arrow.RecordBatch, yield func(arrow.RecordBatch) error) error {
			sizes <- in.NumRows()
			return errors.Join(yield(in), yield(in))
		}}),
		f.AddBatch(funcs.Batch{Name: "other", Call: func(_ context.Context, _ arrow.RecordBatch, yield func(arrow.RecordBatch) error) error {
			return yield(array.NewRecordBatch(arrow.NewSchema(nil, nil), nil, 1))
		}}),
		f.AddBatch(funcs.Batch{Name: "panics", Call: func(context.Context, arrow.RecordBatch, func(arrow.RecordBatch) error) error { panic("oh") }}))
	if err != nil {
		t.Fatal(err)
	}
	r := newRunner(t, f)
	const js = `{"nodes": [{"id": "a", "sql": {"query": "SELECT range AS a FROM range(2500)"}}, {"id": "p", "inputs": ["a"], "project": {}}, {"id": "x", "inputs": ["p"], "map_batches": {"func": "%s", "batch_rows": 1000}}], "sink": {"input": "x", "collect": {}}}`
	got := slices.Concat(r.collect(t, r.compile(t, r.program(t, fmt.Sprintf(js, "double")), api.JobOptions{}))...)
	same(t, got, r.rows(t, "SELECT r.range AS a FROM range(2500) r, range(2)"), false)
	close(sizes)
	if all := slices.Sorted(func(yield func(int64) bool) {
		for n := range sizes {
			yield(n)
		}
	}); !slices.Equal(all, []int64{500, 1000, 1000}) {
		t.Errorf("batches of %v rows", all)
	}
	for name, text := range map[string]string{"other": "declared", "panics": "panicked: oh"} {
		if err := r.fails(t, r.compile(t, r.program(t, fmt.Sprintf(js, name)), api.JobOptions{})); !errors.Is(err, plan.ErrQuery) || !strings.Contains(err.Error(), text) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if left, err := os.ReadDir(r.spools); err != nil || len(left) > 0 {
		t.Errorf("spools are left: %v, %v", left, err)
	}
}

// Files are written in every format, and read back as what was written.
func TestFiles(t *testing.T) {
	r := newRunner(t, nil)
	inputs(t, r)
	for _, c := range []struct{ format, options, read, ext string }{
		{"parquet", "", "read_parquet('%s/**/*.parquet')", ".parquet"},
		{"csv", `, "options": {"compression": "'gzip'"}`, "read_csv('%s/**/*.csv.gz')", ".csv.gz"},
		{"json", "", "read_json('%s/**/*.json')", ".json"},
		{"parquet", `, "partition_by": ["k"]`, "read_parquet('%s/**/*.parquet', hive_partitioning = true)", ".parquet"},
		{"arrow", "", "", ".arrow"},
	} {
		t.Run(c.format+c.options, func(t *testing.T) {
			out := filepath.Join(t.TempDir(), "out")
			names := r.writeFiles(t, r.program(t, `{"nodes": [`+readA+`], "sink": {"input": "a", "write": {"path": "`+out+`", "format": "`+c.format+`"`+c.options+`}}}`))
			for _, n := range names {
				if !strings.HasSuffix(n, c.ext) {
					t.Errorf("a file is called %s", n)
				}
			}
			if strings.Contains(c.options, "partition_by") && !slices.ContainsFunc(names, func(n string) bool { return strings.HasPrefix(n, "k=3/") }) {
				t.Errorf("no file is in k=3: %v", names)
			}
			want := "SELECT a::BIGINT AS a, k::BIGINT AS k, s FROM '{dir}/a*.parquet' ORDER BY a"
			if c.read == "" { // DuckDB reads no Arrow files: another job does
				p := r.program(t, `{"nodes": [{"id": "a", "read": {"format": "arrow", "paths": ["`+out+`/*.arrow"]}}], "sink": {"input": "a", "collect": {}}}`)
				same(t, slices.Concat(r.collect(t, r.compile(t, p, api.JobOptions{}))...), r.rows(t, want), false)
				return
			}
			same(t, r.rows(t, "SELECT a::BIGINT AS a, k::BIGINT AS k, s FROM "+fmt.Sprintf(c.read, out)+" ORDER BY a"), r.rows(t, want), true)
		})
	}
}

// oneStage is a job of one task, which computes query.
func oneStage(query string) *prepare.Job {
	return &prepare.Job{Plan: &plan.Job{Stages: []*plan.Stage{{ID: "s", Name: "s", Query: query, Exchange: plan.Exchange{Kind: plan.Single, Partitions: 1}, Tasks: plan.Tasks{N: 1}}}}}
}

// What goes wrong has its kind, and leaves no segment.
func TestFailures(t *testing.T) {
	r := newRunner(t, nil)
	cancelled, cancel := context.WithCancel(t.Context())
	cancel()
	gone := &plan.Error{Kind: plan.KindUnavailable, Text: "gone"}
	for _, c := range []struct {
		name string
		do   func(*exec.Attempt, *packets) context.Context
		job  *prepare.Job
		want error
	}{
		{"wrong SQL", nil, oneStage("SELECT no_such_column"), plan.ErrQuery},
		{"a wrong value", nil, oneStage("SELECT ('x' || range)::INTEGER FROM range(3)"), plan.ErrQuery},
		{"codec", func(_ *exec.Attempt, p *packets) context.Context { p.packet.Codec = "zip"; return nil }, oneStage("SELECT 1"), plan.ErrQuery},
		{"no packet", func(_ *exec.Attempt, p *packets) context.Context { p.err = gone; return nil }, oneStage("SELECT 1"), plan.ErrUnavailable},
		{"no such task", func(a *exec.Attempt, _ *packets) context.Context { a.ID.Task.Partition = 9; return nil }, oneStage("SELECT 1"), plan.ErrInternal},
		{"full disk", func(*exec.Attempt, *packets) context.Context { r.store.FailWith(fs.ErrNoSpace); return nil }, oneStage("SELECT 1"), plan.ErrResource},
		{"cancelled", func(*exec.Attempt, *packets) context.Context { return cancelled }, oneStage("SELECT 1"), context.Canceled},
		{"a panic", func(_ *exec.Attempt, p *packets) context.Context { p.packet.Job.Stages[0] = nil; return nil }, oneStage("SELECT 1"), plan.ErrInternal},
		{"memory", func(a *exec.Attempt, _ *packets) context.Context { a.Memory = 8 << 20; return nil },
			oneStage("SELECT list(range::VARCHAR || 'xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx') AS l FROM range(1000000)"), plan.ErrMemory},
	} {
		t.Run(c.name, func(t *testing.T) {
			defer r.store.FailWith(nil)
			a, packets := r.begin(c.job, "").task(0, 0)
			ctx := t.Context()
			if c.do != nil {
				if other := c.do(&a, packets); other != nil {
					ctx = other
				}
			}
			out, err := r.Run(ctx, a, packets)
			if !errors.Is(err, c.want) && !(c.want == context.Canceled && errors.Is(err, plan.ErrCancelled)) || out != nil {
				t.Errorf("%v, %v", out, err)
			}
			if c.want == plan.ErrQuery && !strings.Contains(err.Error(), "stage 0 (") {
				t.Errorf("where is not said: %v", err)
			}
		})
	}
	if r.store.Len() != 0 {
		t.Errorf("%d segments are left", r.store.Len())
	}
	if out := r.collect(t, oneStage("SELECT 1 AS a")); len(out) != 1 || len(out[0]) != 1 {
		t.Errorf("afterwards: %v", out)
	}
}

// A segment that is gone or damaged names the task to run again, whether its
// schema or its blocks are asked for.
func TestLostInput(t *testing.T) {
	r := newRunner(t, nil)
	inputs(t, r)
	p := r.program(t, `{"nodes": [`+readA+`, {"id": "x", "inputs": ["a"], "repartition": {"n": 2, "by": "hash", "keys": ["k"]}}], "sink": {"input": "x", "collect": {}}}`)
	for _, c := range []struct {
		name string
		hurt func(w *work, victim int)
	}{
		{"dropped", func(w *work, v int) { r.segs.Drop(w.job.Stages[0].ID, w.where[0][v].Segment) }},
		{"damaged", func(w *work, v int) {
			id, err := fs.ParseUploadID(w.where[0][v].Segment)
			if err != nil || !r.store.Damage(id, fs.ErrCorrupt) {
				t.Fatal("there is nothing to damage")
			}
		}},
	} {
		t.Run(c.name, func(t *testing.T) {
			w := r.begin(r.compile(t, p, api.JobOptions{}), "")
			made := w.stage(t, 0)
			if len(made) < 2 {
				t.Fatalf("%d tasks", len(made))
			}
			const victim = 1
			if c.name == "damaged" { // only what is opened anew is found damaged
				r.segs.Close()
			}
			c.hurt(w, victim)
			a, packets := w.task(1, 0)
			_, err := r.Run(t.Context(), a, packets)
			if pe := plan.AsError(err); pe.Kind != plan.KindFetch || !slices.Equal(pe.Lost, []plan.TaskID{{Stage: w.job.Stages[0].ID, Partition: victim}}) {
				t.Errorf("%v, lost %v", err, pe.Lost)
			}
		})
	}
}

// The facts of a segment are those of its attempt.
func TestOutcome(t *testing.T) {
	r := newRunner(t, nil)
	w := r.begin(oneStage("SELECT range AS a FROM range(100)"), "")
	o := w.stage(t, 0)[0]
	h := o.Segment
	if h.Stage != "s" || h.Attempt != 1 || h.Tasks != 1 || h.Lineage != 9 || h.Rows != 100 || h.Bytes == 0 || !slices.Equal(h.PartitionRows, []int64{100}) || o.Files.Manifest != "" {
		t.Errorf("%+v", o)
	}
	if held := r.segs.Held([]plan.StageID{"s"}); len(held) != 1 || held[0].Segment != h.Segment {
		t.Errorf("held: %+v", held)
	}
}

// TestManyFolders: a task that is to write folder by folder does, and so does one that
// has too little memory to write them all at once. A folder's rows keep their order.
func TestManyFolders(t *testing.T) {
	r := newRunner(t, nil)
	const query = `SELECT i, a, a AS b, a AS c, "xY" FROM (SELECT hash(i) AS i, i AS a, nullif(i % 600, 7) AS "xY" FROM range(6000) t(i)) ORDER BY i`
	for _, c := range []struct{ grouped, ordered bool }{{true, true}, {false, true}, {true, false}} {
		t.Run(fmt.Sprintf("%+v", c), func(t *testing.T) {
			staging := t.TempDir()
			job := oneStage(query)
			s := job.Plan.Stages[0]
			s.Ordered = c.ordered
			s.Exchange = plan.Exchange{Kind: plan.Files, Partitions: 1, Grouped: c.grouped, Write: &plan.Write{Path: staging, Format: plan.CSV, PartitionBy: []string{"Xy"}}}
			a, packets := r.begin(job, staging).task(0, 0)
			a.Memory, a.Threads = 44<<20, 1
			out, err := r.Run(t.Context(), a, packets)
			if err != nil || out.Files.Rows != 6000 || out.Files.Count != 600 {
				t.Fatalf("%+v, %v", out, err)
			}
			read := `read_csv('` + staging + `/*/*/*.csv', hive_partitioning = true, filename = true, columns = {i: 'UBIGINT', a: 'BIGINT', b: 'BIGINT', c: 'BIGINT'})`
			same(t, r.rows(t, `SELECT i, a, b, c, "xY"::BIGINT AS "xY" FROM `+read), r.rows(t, query), false)
			if c.ordered {
				same(t, r.rows(t, "SELECT i, n FROM (SELECT i, n, lag(i) OVER (PARTITION BY filename ORDER BY n) AS before FROM (SELECT *, row_number() OVER () AS n FROM "+read+")) WHERE i < before"), nil, false)
			}
		})
	}
}
