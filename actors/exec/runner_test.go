//go:build duckdb_arrow

package exec_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"unsafe"

	"github.com/apache/arrow-go/v18/arrow"
	"github.com/apache/arrow-go/v18/arrow/array"
	"github.com/apache/arrow-go/v18/arrow/ipc"
	"github.com/apache/arrow-go/v18/arrow/memory"

	"github.com/pondmesh/pond/actors/access"
	"github.com/pondmesh/pond/actors/api"
	"github.com/pondmesh/pond/actors/engines"
	"github.com/pondmesh/pond/actors/exec"
	"github.com/pondmesh/pond/actors/funcs"
	"github.com/pondmesh/pond/actors/journal"
	"github.com/pondmesh/pond/actors/plan"
	"github.com/pondmesh/pond/actors/prepare"
	"github.com/pondmesh/pond/duck"
	"github.com/pondmesh/pond/duck/vec"
	"github.com/pondmesh/pond/fs"
	"github.com/pondmesh/pond/shuffle"
	"github.com/pondmesh/pond/shuffle/transfer"
)

// here is the address of the one node that there is: transfer reads it from the
// journal, without a socket.
const here = "here"

// runner runs all stages of jobs on one Machine, whose segments are in memory: a
// pond without nodes, messages and disks.
type runner struct {
	*exec.Machine
	planner *prepare.Planner
	store   *journal.Memory
	segs    *journal.Segments
	dir     string // input and output files
	spools  string
	codec   string // of the segments
}

func newRunner(t *testing.T, f *funcs.Registry) *runner {
	t.Helper()
	quiet := slog.New(slog.DiscardHandler)
	r := &runner{store: new(journal.Memory), dir: t.TempDir(), spools: filepath.Join(t.TempDir(), "spools")}
	pool, err := engines.Open(t.Context(), engines.Config{Memory: 512 << 20, Slots: 2, Dir: t.TempDir(), Funcs: f, Log: quiet})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { pool.Close() })
	if r.segs, err = journal.OpenSegments(r.store, 1<<30, quiet); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(r.segs.Close)
	blocks := transfer.NewClient(transfer.ClientConfig{LocalAddr: here, Local: r.segs})
	t.Cleanup(func() { blocks.Close() })
	rules, err := access.New(access.Config{Own: t.TempDir()})
	if err != nil {
		t.Fatal(err)
	}
	r.planner = prepare.New(prepare.Local{Engines: pool}, pool.Config, rules, quiet)
	r.Machine = &exec.Machine{Engines: pool, Journal: r.segs, Blocks: blocks, Mem: engines.NewAllocator(),
		Buffers: vec.NewPool(engines.NewAllocator(), 8<<20), SpoolDir: r.spools, Log: quiet}
	return r
}

// sql runs statements in a DuckDB that is not locked: it makes inputs, and tells
// what is right.
func (r *runner) sql(t *testing.T, statements ...string) {
	t.Helper()
	for _, s := range statements {
		if _, err := r.plain(t).Exec(t.Context(), s); err != nil {
			t.Fatal(err)
		}
	}
}

// plain is an engine that is not locked.
func (r *runner) plain(t *testing.T) *duck.Engine {
	t.Helper()
	e, err := r.Engines.Planner(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	return e
}

// rows is what a query gives, as JSON.
func (r *runner) rows(t *testing.T, query string) []string {
	t.Helper()
	out := []string{}
	_, err := r.plain(t).Fetch(t.Context(), "SELECT to_json(q)::VARCHAR FROM ("+strings.ReplaceAll(query, "{dir}", r.dir)+") AS q", func(c *vec.Chunk) error {
		for _, s := range unsafe.Slice((*vec.Str)(c.Columns[0].Data), c.Rows) {
			out = append(out, string(s.Bytes()))
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return out
}

// same checks that two lists hold the same rows, in the same order if ordered.
func same(t *testing.T, got, want []string, ordered bool) {
	t.Helper()
	if !ordered {
		got, want = slices.Sorted(slices.Values(got)), slices.Sorted(slices.Values(want))
	}
	if !slices.Equal(got, want) {
		t.Errorf("%d rows %.300s; want %d rows %.300s", len(got), fmt.Sprint(got), len(want), fmt.Sprint(want))
	}
}

// program is a plan as JSON, in which {dir} is the folder of the files.
func (r *runner) program(t *testing.T, js string) *plan.Plan {
	t.Helper()
	p, err := plan.Decode([]byte(strings.ReplaceAll(js, "{dir}", r.dir)))
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// compile plans a job for a pond of three slots.
func (r *runner) compile(t *testing.T, p *plan.Plan, o api.JobOptions) *prepare.Job {
	t.Helper()
	job, err := r.planner.Compile(t.Context(), &api.JobSpec{ID: "00000000000000000000000000000001", Plan: p, Options: o}, api.Capacity{Slots: 3, TargetBytes: 4 << 10})
	if err != nil {
		t.Fatal(err)
	}
	return job
}

// packets are what the tasks of a stage ask for.
type packets struct {
	r      *runner
	packet *api.Packet
	err    error // of both answers
}

func (p *packets) Get(context.Context, int, uint64) (*api.Packet, error) { return p.packet, p.err }

func (p *packets) Schema(ctx context.Context, _ plan.StageID, addr, segment string) (*arrow.Schema, error) {
	id, err := shuffle.ParseSegmentID(segment)
	if err != nil || p.err != nil {
		return nil, fmt.Errorf("%w: %w", err, p.err)
	}
	b, err := p.r.segs.Schema(ctx, id)
	if err != nil {
		return nil, err
	}
	return shuffle.DecodeSchema(b)
}

// work is a job under way.
type work struct {
	r       *runner
	job     *plan.Job
	access  []string
	staging string
	up      map[int][]plan.SegmentInfo
	where   map[int][]api.Location
}

func (r *runner) begin(job *prepare.Job, staging string) *work {
	return &work{r: r, job: &plan.Job{Stages: slices.Clone(job.Plan.Stages), Result: job.Plan.Result}, access: job.Access, staging: staging,
		up: map[int][]plan.SegmentInfo{}, where: map[int][]api.Location{}}
}

// task is the attempt at a task of a stage, and what it will ask for.
func (w *work) task(stage, partition int) (exec.Attempt, *packets) {
	s := w.job.Stages[stage]
	a := exec.Attempt{Job: "00000000000000000000000000000001", ID: plan.AttemptID{Task: plan.TaskID{Stage: s.ID, Partition: partition}, Attempt: 1},
		Stage: stage, Memory: 256 << 20, Threads: 2, Lineage: 9}
	return a, &packets{r: w.r, packet: &api.Packet{ID: a.Job, Index: stage, Job: w.job, Tasks: plan.TaskCount(w.job, stage, w.up), Access: w.access,
		Staging: w.staging, Codec: w.r.codec, Up: w.up, Where: w.where}}
}

// stage runs all tasks of a stage.
func (w *work) stage(t *testing.T, stage int) []*exec.Outcome {
	t.Helper()
	fitted, err := plan.Fitted(w.job, stage, w.up)
	if err != nil {
		t.Fatal(err)
	}
	w.job.Stages[stage] = fitted
	var out []*exec.Outcome
	for p := range plan.TaskCount(w.job, stage, w.up) {
		a, packets := w.task(stage, p)
		o, err := w.r.Run(t.Context(), a, packets)
		if err != nil {
			t.Fatalf("stage %d (%s) task %d: %v", stage, fitted.Name, p, err)
		}
		out = append(out, o)
		w.up[stage] = append(w.up[stage], plan.SegmentInfo{Rows: o.Segment.PartitionRows, Bytes: o.Segment.PartitionBytes})
		w.where[stage] = append(w.where[stage], api.Location{Addr: here, Segment: o.Segment.Segment})
	}
	return out
}

// all runs every stage, and returns what the last one's tasks committed.
func (w *work) all(t *testing.T) (last []*exec.Outcome) {
	t.Helper()
	for i := range w.job.Stages {
		last = w.stage(t, i)
	}
	return last
}

// collect runs a job, and is its rows as JSON, a list a partition of the result.
func (r *runner) collect(t *testing.T, job *prepare.Job) [][]string {
	t.Helper()
	var out [][]string
	for _, o := range r.begin(job, "").all(t) {
		out = append(out, r.read(t, o.Segment.Segment))
	}
	return out
}

// read is a segment's rows as JSON.
func (r *runner) read(t *testing.T, segment string) []string {
	t.Helper()
	id, err := shuffle.ParseSegmentID(segment)
	if err != nil {
		t.Fatal(err)
	}
	schema, err := (&packets{r: r}).Schema(t.Context(), "", here, segment)
	if err != nil {
		t.Fatal(err)
	}
	decode, err := shuffle.NewDecoder(schema, memory.DefaultAllocator, shuffle.Limits{})
	if err != nil {
		t.Fatal(err)
	}
	rows := r.Blocks.Rows(t.Context(), decode, []transfer.Run{{Addr: here, Segment: id, Partition: transfer.AllPartitions, Rows: -1}})
	defer rows.Close()
	out := []string{}
	for {
		rec, err := rows.Next()
		if errors.Is(err, io.EOF) {
			return out
		}
		if err != nil {
			t.Fatal(err)
		}
		var js bytes.Buffer
		if err := array.RecordToJSON(rec, &js); err != nil {
			t.Fatal(err)
		}
		rec.Release()
		out = append(out, strings.Split(strings.TrimSpace(js.String()), "\n")...)
	}
}

// writeFiles runs a job that writes files, publishes them, and is their names.
func (r *runner) writeFiles(t *testing.T, p *plan.Plan) []string {
	t.Helper()
	target := p.Sink.Write.Path
	job := r.compile(t, p, api.JobOptions{})
	st, err := fs.Stage(t.Context(), target, "job", fs.ModeOverwrite)
	if err != nil {
		t.Fatal(err)
	}
	var staged, names []string
	for _, o := range r.begin(job, st.Dir()).all(t) {
		files, err := fs.ReadManifest(st.Dir(), o.Files.Manifest)
		if err != nil || int64(len(files)) != o.Files.Count {
			t.Fatalf("manifest %q: %d files of %d, %v", o.Files.Manifest, len(files), o.Files.Count, err)
		}
		staged = append(staged, files...)
	}
	if err := st.Publish(t.Context(), staged); err != nil {
		t.Fatal(err)
	}
	if err := st.Discard(t.Context()); err != nil {
		t.Fatal(err)
	}
	for _, f := range staged {
		names = append(names, fs.PublishedName(f))
	}
	return names
}

func arrowFile(t *testing.T, path string, stream bool, recs ...arrow.RecordBatch) {
	t.Helper()
	f, err := os.Create(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	var w interface {
		Write(arrow.RecordBatch) error
		Close() error
	}
	if w, err = ipc.NewFileWriter(f, ipc.WithSchema(recs[0].Schema())); stream {
		w, err = ipc.NewWriter(f, ipc.WithSchema(recs[0].Schema())), nil
	}
	if err != nil {
		t.Fatal(err)
	}
	for _, rec := range recs {
		if err := w.Write(rec); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
}
