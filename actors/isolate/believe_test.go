//go:build duckdb_arrow

package isolate

import (
	"bytes"
	"encoding/binary"
	"errors"
	"io"
	"math"
	"os"
	"path/filepath"
	"reflect"
	"runtime"
	"testing"
	"time"

	"github.com/apache/arrow-go/v18/arrow"
	"github.com/apache/arrow-go/v18/arrow/array"
	"github.com/apache/arrow-go/v18/arrow/ipc"
	"github.com/apache/arrow-go/v18/arrow/memory"

	"github.com/pondmesh/pond/actors/api"
	"github.com/pondmesh/pond/actors/exec"
	"github.com/pondmesh/pond/actors/funcs"
	"github.com/pondmesh/pond/actors/journal"
	"github.com/pondmesh/pond/actors/plan"
	"github.com/pondmesh/pond/fs"
)

// cut is the packet of a stage that is cut in two.
func cut() *api.Packet {
	s := &plan.Stage{ID: "s0", Exchange: plan.Exchange{Kind: plan.Hash, Partitions: 2, Keys: []string{"a"}}, Tasks: plan.Tasks{N: 3}}
	return &api.Packet{ID: "00000000000000000000000000000001", Owner: "ann", Tasks: 3, Job: &plan.Job{Stages: []*plan.Stage{s}}}
}

// written is the packet of a stage that writes files to a folder.
func written(staging string) *api.Packet {
	p := cut()
	p.Job.Stages[0].Exchange = plan.Exchange{Kind: plan.Files, Partitions: 1, Write: &plan.Write{Path: "x", Format: plan.CSV}}
	p.Staging = staging
	return p
}

// TestHeldOf: of a segment the node believes what is about its rows, if it can be, and
// nothing else that a process says.
func TestHeldOf(t *testing.T) {
	a := exec.Attempt{Job: "00000000000000000000000000000001", ID: plan.AttemptID{Task: plan.TaskID{Stage: "s0", Partition: 2}, Attempt: 4}, Lineage: 9}
	told := func(change func(*api.Held)) *api.Held {
		h := &api.Held{Rows: 5, RawBytes: 70, Sum: 3, Partitions: 2, PartitionRows: []int64{1, 4}, PartitionBytes: []int64{10, 20}}
		change(h)
		return h
	}
	h, err := heldOf(told(func(h *api.Held) {
		h.Segment, h.Stage, h.Index, h.Partition, h.Tasks, h.Attempt = "ff", "other", 7, 8, 9, 10
		h.Job, h.Owner, h.Bytes, h.Created, h.Lineage, h.Copy = "other", "eve", 1, 1, 1, true
	}), a, cut(), 100)
	if err != nil {
		t.Fatal(err)
	}
	if age := time.Since(time.UnixMilli(h.Created)); age < 0 || age > time.Hour {
		t.Errorf("created %v ago", age)
	}
	h.Created = 0
	if want := *told(func(h *api.Held) {
		h.Stage, h.Partition, h.Attempt, h.Job, h.Owner, h.Lineage, h.Tasks = "s0", 2, 4, a.Job, "ann", 9, 3
	}); !reflect.DeepEqual(h, want) {
		t.Errorf("the segment is\n%+v, not\n%+v", h, want)
	}
	if _, err := heldOf(told(func(h *api.Held) { h.PartitionRows, h.PartitionBytes = nil, nil }), a, cut(), 100); err != nil {
		t.Errorf("partitions that are not counted: %v", err)
	}
	for name, change := range map[string]func(*api.Held){
		"negative rows":     func(h *api.Held) { h.Rows, h.PartitionRows = -1, []int64{0, -1} },
		"rows without end":  func(h *api.Held) { h.Rows, h.PartitionRows = math.MaxInt64, []int64{0, math.MaxInt64} },
		"negative bytes":    func(h *api.Held) { h.RawBytes = math.MinInt64 },
		"bytes without end": func(h *api.Held) { h.RawBytes = math.MaxInt64 },
		"no partitions":     func(h *api.Held) { h.Partitions, h.PartitionRows, h.PartitionBytes = 0, nil, nil },
		"more partitions": func(h *api.Held) {
			h.Partitions, h.PartitionRows, h.PartitionBytes = 3, []int64{1, 2, 2}, []int64{1, 2, 3}
		},
		"partitions without end": func(h *api.Held) { h.Partitions, h.PartitionRows, h.PartitionBytes = math.MaxInt, nil, nil },
		"one that is not told":   func(h *api.Held) { h.PartitionRows, h.PartitionBytes = []int64{5}, []int64{30} },
		"rows without bytes":     func(h *api.Held) { h.PartitionBytes = nil },
		"fewer rows":             func(h *api.Held) { h.PartitionRows = []int64{1, 3} },
		"more rows":              func(h *api.Held) { h.PartitionRows = []int64{2, 4} },
		"rows that overflow":     func(h *api.Held) { h.PartitionRows = []int64{math.MaxInt64, math.MaxInt64} },
		"rows below nothing":     func(h *api.Held) { h.PartitionRows = []int64{-1, 6} },
		"more than the file":     func(h *api.Held) { h.PartitionBytes = []int64{10, 91} },
		"bytes below nothing":    func(h *api.Held) { h.PartitionBytes = []int64{-10, 20} },
	} {
		if _, err := heldOf(told(change), a, cut(), 100); !errors.Is(err, plan.ErrInternal) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// written07 is a segment that a process has written. Its id is 07.
type written07 struct{ journal.Shared }

func (written07) Adopt(fs.Sums) error { return nil }
func (written07) Commit(h api.Held) (api.Held, error) {
	h.Segment = "07"
	return h, nil
}

// TestEnd: what a process says of an attempt is cut to what the attempt was about.
func TestEnd(t *testing.T) {
	a := exec.Attempt{Job: "00000000000000000000000000000001", ID: plan.AttemptID{Task: plan.TaskID{Stage: "s0"}, Attempt: 1}}
	forged := func() *runReply {
		return &runReply{Outcome: exec.Outcome{Segment: api.Held{Segment: "ff", Rows: 5, Partitions: 1}, Copies: []string{"n9"}, Spilled: -1, CPU: -1, Files: exec.Files{Manifest: "../other", Count: 1, Bytes: 7}}}
	}
	s := &session{m: &Machine{}, a: a, packet: cut(), draft: written07{}}
	out, err := s.end(forged(), time.Second)
	if err != nil || out.Segment.Segment != "07" || out.Segment.Rows != 5 || !reflect.DeepEqual(out, &exec.Outcome{Segment: out.Segment}) {
		t.Errorf("of a segment: %+v, %v", out, err)
	}
	s.draft = written07{}
	long := &runReply{Outcome: exec.Outcome{Segment: api.Held{Partitions: 1}, Spilled: math.MaxInt64, CPU: math.MaxInt64}}
	if out, err := s.end(long, time.Second); err != nil || out.Spilled != factMax || out.CPU != time.Duration(runtime.NumCPU())*time.Second {
		t.Errorf("of a second: %+v, %v", out, err)
	}
	s.draft = nil
	if _, err := s.end(forged(), time.Second); !errors.Is(err, plan.ErrInternal) {
		t.Errorf("of no segment: %v", err)
	}
	s.packet = written(t.TempDir())
	dir := exec.AttemptDir(s.packet.Staging, a)
	if err := os.Mkdir(dir, 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, "f.csv"), []byte("12345"), 0o600); err != nil {
		t.Fatal(err)
	}
	own := exec.Files{Manifest: filepath.Base(dir), Count: 1, Rows: 2, Bytes: 99}
	for name, c := range map[string]struct {
		change func(*exec.Files)
		ok     bool
	}{
		"its own":        {func(f *exec.Files) {}, true},
		"none":           {func(f *exec.Files) { f.Manifest = "" }, false},
		"another's":      {func(f *exec.Files) { f.Manifest = "part-00001-00000000-1" }, false},
		"outside":        {func(f *exec.Files) { f.Manifest = "../" + f.Manifest }, false},
		"negative rows":  {func(f *exec.Files) { f.Rows = -1 }, false},
		"negative files": {func(f *exec.Files) { f.Count = -1 }, false},
		"endless rows":   {func(f *exec.Files) { f.Rows = math.MaxInt64 }, false},
	} {
		told := &runReply{Outcome: exec.Outcome{Segment: api.Held{Segment: "ff"}, Files: own}}
		c.change(&told.Outcome.Files)
		out, err := s.end(told, time.Second)
		switch {
		case c.ok && (err != nil || out.Segment.Segment != "" || out.Files.Bytes != 5 || out.Files.Rows != 2):
			t.Errorf("%s: %+v, %v", name, out, err)
		case !c.ok && !errors.Is(err, plan.ErrInternal):
			t.Errorf("%s: %+v, %v", name, out, err)
		}
	}
	s.m.Limits.Output = 4
	if _, err := s.end(&runReply{Outcome: exec.Outcome{Files: own}}, time.Second); !errors.Is(err, plan.ErrQuery) {
		t.Errorf("more than the limit: %v", err)
	}
}

// TestReceived: a process gives one file that has an end, or none.
func TestReceived(t *testing.T) {
	file := func(size int64) *os.File {
		f, err := os.CreateTemp(t.TempDir(), "")
		if err == nil {
			_, err = f.WriteString("content")
		}
		if err == nil {
			_, err = f.Seek(0, io.SeekStart)
		}
		if err == nil && size > 0 {
			err = f.Truncate(size)
		}
		if err != nil {
			t.Fatal(err)
		}
		return f
	}
	pipe, end, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	zero, err := os.Open("/dev/zero")
	if err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]struct {
		files []*os.File
		ok    bool
	}{
		"a file":            {[]*os.File{file(0)}, true},
		"none":              {nil, true},
		"both ends of one":  {[]*os.File{pipe, end}, false},
		"two files":         {[]*os.File{file(0), file(0)}, false},
		"no file's end":     {[]*os.File{zero}, false},
		"a file of a hole":  {[]*os.File{file(callMax + 1)}, false},
		"a file that grows": {[]*os.File{file(0)}, true},
	} {
		in, err := received([]byte("content"), c.files)
		if (err == nil) != c.ok {
			t.Errorf("%s: %v", name, err)
		}
		if err == nil {
			if name == "a file that grows" {
				if err := c.files[0].Truncate(1 << 40); err != nil {
					t.Fatal(err)
				}
			}
			if text, err := io.ReadAll(in); string(text) != "content" || err != nil {
				t.Errorf("%s: %.20q, %v", name, text, err)
			}
			in.Close()
		}
		for _, f := range c.files {
			if err := f.Close(); !errors.Is(err, os.ErrClosed) {
				t.Errorf("%s: a file is left open (%v)", name, err)
			}
		}
	}
}

// TestUnwantedFiles: files beside calls that take none are closed.
func TestUnwantedFiles(t *testing.T) {
	s := &session{m: &Machine{Funcs: new(funcs.Registry)}, packet: cut()}
	for _, method := range []string{methodPacket, methodSchema, methodDial, methodDraft, methodRoom, methodAbort, methodShape, methodBatch, methodScalar, "other"} {
		f, err := os.Open(os.DevNull)
		if err != nil {
			t.Fatal(err)
		}
		s.over = true
		if _, _, err := s.serve(t.Context(), method, nil, []*os.File{f}); err == nil && method != methodAbort {
			t.Errorf("%s is answered", method)
		}
		if err := f.Close(); !errors.Is(err, os.ErrClosed) {
			t.Errorf("%s leaves a file open", method)
		}
	}
}

// TestForgedBatch: a batch that says that it takes more than its bytes is refused, and
// costs no more than those.
func TestForgedBatch(t *testing.T) {
	const rows = 100_000
	b := array.NewInt64Builder(memory.DefaultAllocator)
	for range rows {
		b.Append(0)
	}
	schema := arrow.NewSchema([]arrow.Field{{Name: "a", Type: arrow.PrimitiveTypes.Int64}}, nil)
	column := b.NewArray()
	defer column.Release()
	rec := array.NewRecordBatch(schema, []arrow.Array{column}, rows)
	defer rec.Release()
	whole := func(options ...ipc.Option) []byte {
		var buf bytes.Buffer
		w := ipc.NewWriter(&buf, append(options, ipc.WithSchema(schema))...)
		if err := errors.Join(w.Write(rec), w.Close()); err != nil {
			t.Fatal(err)
		}
		return append(binary.LittleEndian.AppendUint64(nil, uint64(buf.Len())), buf.Bytes()...)
	}
	size := binary.LittleEndian.AppendUint64(nil, rows*8)
	forge := func(from []byte, size, as []byte) []byte {
		if !bytes.Contains(from, size) {
			t.Fatal("the size is not there")
		}
		return bytes.ReplaceAll(from, size, as)
	}
	huge := binary.LittleEndian.AppendUint64(nil, 1<<36)
	good, err := readBatch(bytes.NewReader(whole()))
	if err != nil || good.NumRows() != rows {
		t.Fatalf("the batch itself: %v", err)
	}
	good.Release()
	for name, forged := range map[string][]byte{
		"packed, and 64 GiB unpacked": forge(whole(ipc.WithLZ4()), size, huge),
		"of 64 GiB":                   forge(whole(), size, huge),
		"of many rows":                forge(whole(), binary.LittleEndian.AppendUint64(nil, rows), huge),
		"longer than a call may be":   huge,
		"cut short":                   whole()[:100],
		"nonsense":                    append(binary.LittleEndian.AppendUint64(nil, 64), bytes.Repeat([]byte{0xff, 0xff, 0xff, 0x7f}, 16)...),
	} {
		before := taken()
		rec, err := readBatch(bytes.NewReader(forged))
		if err == nil {
			t.Errorf("%s: a batch of %d rows", name, rec.NumRows())
		}
		if more := taken() - before; more > 256<<20 {
			t.Errorf("%s costs %d bytes", name, more)
		}
	}
}

// taken is how many bytes of memory were ever taken from Go's heap.
func taken() uint64 {
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return m.TotalAlloc
}
