//go:build duckdb_arrow

package isolate

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/apache/arrow-go/v18/arrow"

	"github.com/pondmesh/pond/actors/api"
	"github.com/pondmesh/pond/actors/exec"
	"github.com/pondmesh/pond/actors/funcs"
	"github.com/pondmesh/pond/actors/journal"
	"github.com/pondmesh/pond/actors/plan"
	"github.com/pondmesh/pond/actors/process"
	"github.com/pondmesh/pond/fs"
	"github.com/pondmesh/pond/shuffle"
	"github.com/pondmesh/pond/shuffle/transfer"
)

// here is the address of the one node that there is: its blocks need no socket.
const here = "here:1"

// running is a Machine over a journal on disk, and the two stages of a job: the first
// makes numbers and cuts them in two, the second adds them up.
type running struct {
	*Machine
	segs      *journal.Segments
	job       *plan.Job
	up        map[int][]plan.SegmentInfo
	where     map[int][]api.Location
	access    []string
	onPacket  func() // when a task asks for its stage
	processes *process.Pool
}

func newRunning(t *testing.T, f *funcs.Registry) *running {
	t.Helper()
	log := slog.New(slog.DiscardHandler)
	store, err := fs.Open(t.Context(), t.TempDir(), fs.Options{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { store.Close() })
	r := &running{up: map[int][]plan.SegmentInfo{}, where: map[int][]api.Location{}}
	if r.segs, err = journal.OpenSegments(journal.OnDisk(store), 1<<30, log); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(r.segs.Close)
	settings, err := Settings(1<<30, exec.Limits{}, f)
	if err != nil {
		t.Fatal(err)
	}
	r.processes = process.NewPool(process.Config{Program: process.Program(), Config: settings, Dir: t.TempDir(), Blank: 1, Idle: 2, Log: log})
	t.Cleanup(func() { r.processes.Close() })
	blocks := transfer.NewClient(transfer.ClientConfig{LocalAddr: here, Local: r.segs})
	t.Cleanup(func() { blocks.Close() })
	r.Machine = &Machine{Processes: r.processes, Journal: r.segs, Blocks: blocks, Funcs: f, Log: log}
	r.job = &plan.Job{Stages: []*plan.Stage{
		{ID: "s0", Query: "SELECT range AS a FROM range(100000)", Exchange: plan.Exchange{Kind: plan.Hash, Partitions: 2, Keys: []string{"a"}}, Tasks: plan.Tasks{N: 1}},
		{ID: "s1", Inputs: []plan.Input{{View: "v", Read: &plan.Read{Stages: []int{0}, How: plan.ReadAll}}}, Query: "SELECT count(*) AS n, sum(a)::BIGINT AS s FROM v",
			Exchange: plan.Exchange{Kind: plan.Single, Partitions: 1}, Tasks: plan.Tasks{N: 1}},
	}}
	return r
}

// Get implements exec.Packets.
func (r *running) Get(_ context.Context, stage int, version uint64) (*api.Packet, error) {
	if r.onPacket != nil {
		r.onPacket()
	}
	return &api.Packet{ID: "00000000000000000000000000000001", Index: stage, Version: version, Owner: "ann", Job: r.job, Tasks: 1, Access: r.access, Up: r.up, Where: r.where}, nil
}

// Schema implements exec.Packets.
func (r *running) Schema(ctx context.Context, _ plan.StageID, _, segment string) (*arrow.Schema, error) {
	id, err := shuffle.ParseSegmentID(segment)
	if err != nil {
		return nil, err
	}
	b, err := r.segs.Schema(ctx, id)
	if err != nil {
		return nil, err
	}
	return shuffle.DecodeSchema(b)
}

// task runs a task of a stage.
func (r *running) task(ctx context.Context, stage, partition, attempt int) (*exec.Outcome, error) {
	return r.Run(ctx, exec.Attempt{Job: "00000000000000000000000000000001", ID: plan.AttemptID{Task: plan.TaskID{Stage: r.job.Stages[stage].ID, Partition: partition}, Attempt: attempt},
		Stage: stage, Memory: 1 << 30, Threads: 1, Lineage: 9}, r)
}

// first runs the first stage.
func (r *running) first(t *testing.T) {
	t.Helper()
	o, err := r.task(t.Context(), 0, 0, 1)
	if err != nil {
		t.Fatal(err)
	}
	h := o.Segment
	if h.Stage != "s0" || h.Attempt != 1 || h.Lineage != 9 || h.Owner != "ann" || h.Rows != 100000 || len(h.PartitionRows) != 2 || h.Bytes == 0 {
		t.Errorf("the segment is told as %+v", h)
	}
	r.up[0] = []plan.SegmentInfo{{Rows: h.PartitionRows, Bytes: h.PartitionBytes}}
	r.where[0] = []api.Location{{Addr: here, Segment: h.Segment}}
}

// Rows go from one process to another by way of the node.
func TestMachine(t *testing.T) {
	t.Parallel()
	r := newRunning(t, new(funcs.Registry))
	r.first(t)
	o, err := r.task(t.Context(), 1, 0, 1)
	if err != nil {
		t.Fatal(err)
	}
	if o.Segment.Rows != 1 || len(r.segs.Held([]plan.StageID{"s0", "s1"})) != 2 {
		t.Errorf("%+v, held %v", o.Segment, r.segs.Held([]plan.StageID{"s0", "s1"}))
	}
	r.where[0][0].Addr = "127.0.0.1:1" // nobody is there
	r.Blocks = transfer.NewClient(transfer.ClientConfig{LocalAddr: here, Local: r.segs, RetriesMax: -1})
	if _, err := r.task(t.Context(), 1, 0, 2); !errors.Is(err, plan.ErrFetch) && !errors.Is(err, plan.ErrUnavailable) {
		t.Errorf("of a node that is gone: %v", err)
	}
}

// What runs as its user wrote it is bound by its task alone. Whatever DuckDB does of it,
// the attempt ends with an error of its own, in its time.
func TestPoisonTask(t *testing.T) {
	t.Parallel()
	p := newPlanning(t)
	p.file(t, "good.parquet", "SELECT 1 AS x")
	var all sync.WaitGroup
	for _, c := range p.poison(t) {
		r := newRunning(t, new(funcs.Registry))
		for _, file := range []string{"good.parquet", "bad.parquet"} {
			if strings.Contains(c.sql, file) {
				r.access = append(r.access, filepath.Join(p.dir, file))
			}
		}
		r.job = &plan.Job{Stages: []*plan.Stage{{ID: "s0", Query: strings.ReplaceAll(c.sql, "FROM '", "FROM '"+p.dir+"/"), Access: r.access, Unbound: true,
			Exchange: plan.Exchange{Kind: plan.Single, Partitions: 1}, Tasks: plan.Tasks{N: 1}}}}
		all.Go(func() {
			_, err := r.task(t.Context(), 0, 0, 1)
			c.check(t, "run", err)
		})
	}
	all.Wait()
}

// A process that is killed while it runs an attempt costs that attempt: nothing of it
// is left, and the next one is right.
func TestMachineKilled(t *testing.T) {
	t.Parallel()
	f := new(funcs.Registry)
	var pid int
	err := f.AddBatch(funcs.Batch{Name: "kill", Call: func(_ context.Context, in arrow.RecordBatch, yield func(arrow.RecordBatch) error) error {
		if pid != 0 {
			return syscall.Kill(pid, syscall.SIGKILL)
		}
		return yield(in)
	}})
	if err != nil {
		t.Fatal(err)
	}
	r := newRunning(t, f)
	s := r.job.Stages[0]
	s.Steps = []plan.Step{{View: "f", SQL: s.Query, Func: &plan.FuncCall{Name: "kill", Kind: plan.FuncFlatMap}}}
	s.Query = "SELECT * FROM f"
	r.first(t) // its process waits for the next of its kind
	pr, err := r.processes.Get(t.Context(), process.Need{User: "ann"})
	if err != nil {
		t.Fatal(err)
	}
	pid = pr.Pid()
	r.processes.Put(pr)
	if o, err := r.task(t.Context(), 0, 0, 2); !errors.Is(err, plan.ErrUnavailable) || o != nil {
		t.Errorf("%v, %v", o, err)
	}
	if held := r.segs.Held([]plan.StageID{"s0"}); len(held) != 1 || held[0].Attempt != 1 {
		t.Errorf("held: %v", held)
	}
	pid = 0
	if o, err := r.task(t.Context(), 0, 0, 3); err != nil || o.Segment.Attempt != 3 {
		t.Errorf("afterwards: %v, %v", o, err)
	}
}

// samePacket gives one packet, as a coordinator's cache does.
type samePacket struct {
	*running
	packet *api.Packet
}

func (s samePacket) Get(context.Context, int, uint64) (*api.Packet, error) { return s.packet, nil }

// A process that was confined to a file which another has replaced meanwhile is not what
// tells whether that may be read.
func TestReplaced(t *testing.T) {
	t.Parallel()
	r := newRunning(t, new(funcs.Registry))
	file := filepath.Join(t.TempDir(), "a.csv")
	r.job, r.access = &plan.Job{Stages: []*plan.Stage{{ID: "s0", Query: "FROM '" + file + "'", Access: []string{file}, Exchange: plan.Exchange{Kind: plan.Single, Partitions: 1}, Tasks: plan.Tasks{N: 1}}}}, []string{file}
	packet, err := r.Get(t.Context(), 0, 0)
	if err != nil {
		t.Fatal(err)
	}
	text := "a\n"
	for i := range 4 {
		text += fmt.Sprintln(i)
		if err := os.WriteFile(file+".new", []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		if err := os.Rename(file+".new", file); err != nil {
			t.Fatal(err)
		}
		o, err := r.Run(t.Context(), exec.Attempt{Job: packet.ID, ID: plan.AttemptID{Task: plan.TaskID{Stage: "s0"}, Attempt: i + 1}, Memory: 1 << 30, Threads: 1}, samePacket{r, packet})
		if err != nil || o.Segment.Rows != int64(i+1) {
			t.Errorf("replaced %d times: %+v, %v", i, o, err)
		}
	}
	if err := os.Remove(file); err != nil {
		t.Fatal(err)
	}
	if _, err := r.Run(t.Context(), exec.Attempt{Job: packet.ID, ID: plan.AttemptID{Task: plan.TaskID{Stage: "s0"}, Attempt: 9}, Memory: 1 << 30, Threads: 1}, samePacket{r, packet}); err == nil {
		t.Error("a file that is gone is read")
	} else {
		t.Log(err)
	}
}

// What a process may ask for is what its attempt is about, for as long as it runs.
func TestSession(t *testing.T) {
	t.Parallel()
	r := newRunning(t, new(funcs.Registry))
	r.first(t)
	packet, err := r.Get(t.Context(), 1, 0)
	if err != nil {
		t.Fatal(err)
	}
	s := &session{m: r.Machine, a: exec.Attempt{Stage: 1}, packet: packet, packets: r, dir: t.TempDir()}
	id, err := shuffle.ParseSegmentID(r.where[0][0].Segment)
	if err != nil {
		t.Fatal(err)
	}
	other := id
	other[0]++
	allowed := s.reads()
	if !allowed(here, id) || allowed("10.0.0.1:80", id) || allowed(here, other) {
		t.Error("blocks of another segment or of another node are allowed")
	}
	call := func(method string, body string) error {
		_, files, err := s.serve(t.Context(), method, []byte(body), nil)
		for _, f := range files {
			f.Close()
		}
		return err
	}
	for method, body := range map[string]string{methodRoom: "", methodPacket: `{"Stage": 0}`, methodSchema: "{}", "other": "", methodBatch: "", methodScalar: "\x01"} {
		if err := call(method, body); err == nil {
			t.Errorf("%s is answered", method)
		}
	}
	for about, r := range map[string]schemaRequest{"of another node": {"s0", "10.0.0.1:80", id.String()}, "of another segment": {"s0", here, other.String()}, "of another stage": {"s1", here, id.String()}, "": {"s0", here, id.String()}} {
		body, err := jsonOf(r)
		if err != nil {
			t.Fatal(err)
		}
		if err := call(methodSchema, string(body)); (err == nil) != (about == "") {
			t.Errorf("the columns %s: %v", about, err)
		}
	}
	if err := call(methodDraft, ""); err != nil {
		t.Error(err)
	}
	if out, err := s.end(&runReply{Sums: fs.Sums{Size: 5}}, time.Second); err == nil {
		t.Errorf("bytes that nobody wrote are committed: %+v", out)
	}
	forged := &session{m: r.Machine, a: exec.Attempt{Job: packet.ID, Stage: 1}, packet: packet, packets: r, dir: t.TempDir()}
	told := api.Held{Segment: "ff", Owner: "eve", Job: "ffffffffffffffffffffffffffffffff", Stage: "s1", Copy: true, Created: 5, Rows: 7, Partitions: 1}
	if out, err := forged.end(&runReply{Outcome: exec.Outcome{Segment: told}}, time.Second); !errors.Is(err, plan.ErrInternal) {
		t.Errorf("a process that has written nothing is done: %+v, %v", out, err)
	}
	_, files, err := forged.serve(t.Context(), methodDraft, nil, nil)
	if err != nil {
		t.Fatal(err)
	}
	process.CloseAll(files)
	out, err := forged.end(&runReply{Outcome: exec.Outcome{Segment: told}}, time.Second)
	if err != nil {
		t.Fatal(err)
	}
	if h := out.Segment; h.Owner != "ann" || h.Job != packet.ID || h.Stage != "" || h.Rows != 7 || h.Copy || h.Created < 1e12 || h.Segment == told.Segment {
		t.Errorf("a process says whose its segment is: %+v", h)
	}
	forged.close()
	s.close()
	for _, method := range []string{methodDraft, methodDial} {
		if err := call(method, here); !errors.Is(err, plan.ErrInternal) {
			t.Errorf("%s after the end: %v", method, err)
		}
	}
	if held := r.segs.Held([]plan.StageID{"s1"}); len(held) != 0 {
		t.Errorf("held: %v", held)
	}
}
