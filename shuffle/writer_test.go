package shuffle

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"reflect"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"unsafe"

	"github.com/apache/arrow-go/v18/arrow"
	"github.com/apache/arrow-go/v18/arrow/memory"
	"github.com/pondmesh/pond/duck/vec"
	"github.com/pondmesh/pond/duck/vec/vectest"
	"go.uber.org/goleak"
	"pgregory.net/rapid"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

type tester interface {
	Helper()
	Fatal(...any)
	Fatalf(string, ...any)
	Errorf(string, ...any)
}

// readPartition decodes every block of partition p.
func readPartition(t tester, file []byte, seg *Segment, s *vec.Schema, p int, mem memory.Allocator) (rows [][]any) {
	t.Helper()
	d, err := NewDecoder(seg.Schema(), mem, Limits{})
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range seg.Extents(p) {
		at, before, raw := e.Offset, len(rows), int64(0)
		for at < e.Offset+e.Length {
			n, err := BlockSize(file[at:])
			if err != nil {
				t.Fatal(err)
			}
			h, _ := ParseBlockHeader(file[at:])
			raw += int64(h.Raw)
			rec, err := d.Decode(file[at : at+n])
			if err != nil {
				t.Fatal(err)
			}
			rows = append(rows, vectest.Read(s, rec)...)
			rec.Release()
			at += n
		}
		if at != e.Offset+e.Length || int64(len(rows)-before) != e.Rows || raw != e.Raw {
			t.Fatalf("extent %+v: ends at %d, %d rows, %d raw", e, at, len(rows)-before, raw)
		}
	}
	if int64(len(rows)) != seg.Rows(p) {
		t.Fatalf("partition %d: %d rows, index says %d", p, len(rows), seg.Rows(p))
	}
	return rows
}

func open(t tester, file []byte) *Segment {
	t.Helper()
	seg, err := OpenSegment(bytes.NewReader(file), int64(len(file)))
	if err != nil {
		t.Fatal(err)
	}
	return seg
}

// same is rows as reading them gives them back, without their keys.
func same(s *vec.Schema, keys int, rows [][]any) [][]any {
	out := make([][]any, len(rows))
	for i, row := range rows {
		for j, f := range s.Fields[keys:] {
			out[i] = append(out[i], vectest.Same(f.Type, row[keys+j]))
		}
	}
	return out
}

// TestWriterRoundTrip: from one thread, every row comes back, in its partition,
// in order, whatever the types, the codec, the memory and the block size.
func TestWriterRoundTrip(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		r := rand.New(rand.NewPCG(rapid.Uint64().Draw(t, "seed"), 1))
		keys := r.IntN(3)
		s := vectest.Schema(r, keys+1+r.IntN(3), 2)
		n := 1 + r.IntN(9)
		part := []Partitioner{RoundRobin(n, 3), Random(n, 7), One()}[r.IntN(3)]
		if keys > 0 && r.IntN(2) == 0 {
			part = Hash(n, r.Perm(len(s.Fields))[:keys])
		}
		mem := memory.NewCheckedAllocator(memory.NewGoAllocator())
		defer mem.AssertSize(t, 0)
		var file bytes.Buffer
		c := WriterConfig{Schema: s, Keys: keys, Partitioner: part, Codec: Codec(r.IntN(int(codecEnd))), BlockBytes: 1 << (6 + r.IntN(10)), Mem: mem}
		w, err := NewWriter(&file, c)
		if err != nil {
			t.Fatal(err)
		}
		w.runMax, w.laneMax = int64(1)<<r.IntN(16), int64(1)<<(10+r.IntN(12))
		want := make([][][]any, part.Partitions())
		again := repeat(part, n)
		for range rapid.IntRange(0, 5).Draw(t, "chunks") {
			rows := vectest.Rows(r, s, r.IntN(300))
			c, keep := vectest.Chunk(s, rows)
			if err := w.Append(c); err != nil {
				t.Fatal(err)
			}
			to := make([]uint32, c.Rows)
			if err := again.Assign(c, to); err != nil {
				t.Fatal(err)
			}
			for i, row := range same(s, keys, rows) {
				want[to[i]] = append(want[to[i]], row)
			}
			_ = *keep
		}
		sum, err := w.Finish()
		if err != nil {
			t.Fatal(err)
		}
		check(t, file.Bytes(), sum, &vec.Schema{Fields: s.Fields[keys:]}, want, mem)
	})
}

// repeat is a partitioner that does again what p, still unused, will do.
func repeat(p Partitioner, n int) Partitioner {
	switch p.(type) {
	case *roundRobin:
		return RoundRobin(n, 3)
	case *random:
		return Random(n, 7)
	}
	return p
}

func check(t tester, file []byte, sum Summary, s *vec.Schema, want [][][]any, mem memory.Allocator) {
	t.Helper()
	seg := open(t, file)
	sum.Sum = 0 // it is not in the file
	if !reflect.DeepEqual(seg.Summary(), sum) || sum.Bytes != int64(len(file)) {
		t.Fatalf("summary %+v, segment says %+v, file is %d", sum, seg.Summary(), len(file))
	}
	if !seg.Schema().Equal(s.Blocks()) {
		t.Fatalf("schema %s, want %s", seg.Schema(), s.Blocks())
	}
	if seg.Partitions() != len(want) {
		t.Fatalf("%d partitions, want %d", seg.Partitions(), len(want))
	}
	for p := range want {
		got := readPartition(t, file, seg, s, p, mem)
		if len(got) != len(want[p]) {
			t.Fatalf("partition %d: %d rows, want %d", p, len(got), len(want[p]))
		}
		for i := range got {
			if !reflect.DeepEqual(got[i], want[p][i]) {
				t.Fatalf("partition %d row %d:\n got %v\nwant %v", p, i, got[i], want[p][i])
			}
		}
	}
}

var wide = &vec.Schema{Fields: []vec.Field{
	{Name: "k", Type: &vec.Type{Kind: vec.Int64, SQL: "BIGINT"}},
	{Name: "n", Type: &vec.Type{Kind: vec.Int64, SQL: "BIGINT"}},
	{Name: "s", Type: &vec.Type{Kind: vec.String, SQL: "VARCHAR"}},
}}

func wideRows(from, n, text int) [][]any {
	rows := make([][]any, n)
	for i := range rows {
		k := uint64(from + i)
		rows[i] = []any{k, k, fmt.Sprintf("%0*d", text, k)}
	}
	return rows
}

// TestWriterConcurrent: several threads, little memory, a writer slower than
// they are; no row is lost or doubled.
func TestWriterConcurrent(t *testing.T) {
	const threads, each, rows, partitions = 4, 20, 500, 33
	mem := memory.NewCheckedAllocator(memory.NewGoAllocator())
	defer mem.AssertSize(t, 0)
	var file bytes.Buffer
	w, err := NewWriter(&file, WriterConfig{Schema: wide, Keys: 1, Partitioner: Hash(partitions, []int{0}), Threads: 3, Memory: 1 << 20, BlockBytes: 4096, Mem: mem})
	if err != nil {
		t.Fatal(err)
	}
	var all sync.WaitGroup
	for thread := range threads {
		all.Go(func() {
			for i := range each {
				c, keep := vectest.Chunk(wide, wideRows((thread*each+i)*rows, rows, 40))
				if err := w.Append(c); err != nil {
					t.Error(err)
				}
				_ = *keep
			}
		})
	}
	all.Wait()
	sum, err := w.Finish()
	if err != nil {
		t.Fatal(err)
	}
	seg := open(t, file.Bytes())
	seen := make([]bool, threads*each*rows)
	payload := &vec.Schema{Fields: wide.Fields[1:]}
	for p := range partitions {
		for _, row := range readPartition(t, file.Bytes(), seg, payload, p, mem) {
			n := row[0].(uint64)
			if seen[n] || row[1] != fmt.Sprintf("%040d", n) || spread(hashInt(int64(n)), partitions) != uint32(p) {
				t.Fatalf("row %d in partition %d: doubled, bent or astray: %v", n, p, row)
			}
			seen[n] = true
		}
	}
	if slices.Contains(seen, false) || sum.Rows != int64(len(seen)) {
		t.Fatal("rows lost")
	}
}

// peak is an allocator that remembers the most that was taken.
type peak struct {
	memory.Allocator
	now, most atomic.Int64
}

func (p *peak) Allocate(n int) []byte {
	now := p.now.Add(int64(n))
	for most := p.most.Load(); now > most && !p.most.CompareAndSwap(most, now); most = p.most.Load() {
	}
	return p.Allocator.Allocate(n)
}

func (p *peak) Free(b []byte) {
	p.now.Add(-int64(len(b)))
	p.Allocator.Free(b)
}

// TestWriterMemory: thousands of partitions in little memory. The bound holds,
// and what comes out is whole.
func TestWriterMemory(t *testing.T) {
	const partitions, memoryMax = 4096, 8 << 20
	mem := &peak{Allocator: memory.NewGoAllocator()}
	var file bytes.Buffer
	w, err := NewWriter(&file, WriterConfig{Schema: wide, Keys: 1, Partitioner: Hash(partitions, []int{0}), Memory: memoryMax, Codec: None, Mem: mem})
	if err != nil {
		t.Fatal(err)
	}
	const rounds = 200 // 200 * 2048 * 116 = 47 MB
	for i := range rounds {
		c, keep := vectest.Chunk(wide, wideRows(i*vec.MaxRows, vec.MaxRows, 100))
		if err := w.Append(c); err != nil {
			t.Fatal(err)
		}
		_ = *keep
	}
	sum, err := w.Finish()
	if err != nil {
		t.Fatal(err)
	}
	if most := mem.most.Load(); most > memoryMax {
		t.Errorf("took %d bytes of %d", most, memoryMax)
	}
	if mem.now.Load() != 0 {
		t.Errorf("%d bytes not given back", mem.now.Load())
	}
	seg := open(t, file.Bytes())
	rows := int64(0)
	for p := range partitions {
		rows += seg.Rows(p)
	}
	if rows != rounds*vec.MaxRows || sum.Rows != rows {
		t.Fatalf("%d rows", rows)
	}
	if raw := sum.RawBytes / sum.Blocks; raw < 512 {
		t.Errorf("blocks of %d raw bytes", raw)
	}
}

// TestWriterTiny: few rows cost few bytes, in memory and in the file, however
// many partitions there are.
func TestWriterTiny(t *testing.T) {
	mem := &peak{Allocator: memory.NewGoAllocator()}
	var file bytes.Buffer
	w, err := NewWriter(&file, WriterConfig{Schema: wide, Keys: 1, Partitioner: Hash(4096, []int{0}), Mem: mem})
	if err != nil {
		t.Fatal(err)
	}
	c, keep := vectest.Chunk(wide, wideRows(0, 10, 5))
	if err := w.Append(c); err != nil {
		t.Fatal(err)
	}
	_ = *keep
	if _, err := w.Finish(); err != nil {
		t.Fatal(err)
	}
	if file.Len() > 2048 || mem.most.Load() > 32<<10 {
		t.Fatalf("file of %d bytes, memory of %d", file.Len(), mem.most.Load())
	}
}

// TestWriterLargeRows: rows far larger than a block are taken one by one.
func TestWriterLargeRows(t *testing.T) {
	const text, rows, memoryMax = 1 << 19, 40, 8 << 20
	mem := &peak{Allocator: memory.NewGoAllocator()}
	var file bytes.Buffer
	w, err := NewWriter(&file, WriterConfig{Schema: wide, Keys: 1, Partitioner: One(), Memory: memoryMax, Codec: None, Mem: mem})
	if err != nil {
		t.Fatal(err)
	}
	c, keep := vectest.Chunk(wide, wideRows(0, rows, text))
	if err := w.Append(c); err != nil {
		t.Fatal(err)
	}
	_ = *keep
	sum, err := w.Finish()
	if err != nil {
		t.Fatal(err)
	}
	if sum.Blocks != rows || mem.most.Load() > memoryMax {
		t.Fatalf("%d blocks, %d bytes taken", sum.Blocks, mem.most.Load())
	}
}

// TestWriterSharedLists: a list that all rows of a chunk share is small in DuckDB and
// copied for each row: it is taken row by row, too.
func TestWriterSharedLists(t *testing.T) {
	const elements, length, memoryMax = 20_000, 512, 8 << 20 // together 80 MB
	schema := &vec.Schema{Fields: []vec.Field{{Name: "l", Type: &vec.Type{Kind: vec.List, Fields: []vec.Field{{Type: &vec.Type{Kind: vec.Int64}}}}}}}
	rows := make([][]any, length)
	for i := range rows {
		rows[i] = []any{[]any{}}
	}
	list := make([]any, elements)
	for i := range list {
		list[i] = uint64(i)
	}
	rows[0] = []any{list}
	c, keep := vectest.Chunk(schema, rows)
	entries := unsafe.Slice((*vec.ListEntry)(c.Columns[0].Data), c.Rows)
	for i := range entries {
		entries[i] = entries[0]
	}
	mem := &peak{Allocator: memory.NewGoAllocator()}
	w, err := NewWriter(io.Discard, WriterConfig{Schema: schema, Partitioner: One(), Memory: memoryMax, Mem: mem})
	if err != nil {
		t.Fatal(err)
	}
	if err := w.Append(c); err != nil {
		t.Fatal(err)
	}
	_ = *keep
	sum, err := w.Finish()
	if err != nil {
		t.Fatal(err)
	}
	if sum.Rows != length || sum.Blocks < 10 || mem.most.Load() > memoryMax {
		t.Errorf("%d rows in %d blocks, %d bytes taken of %d", sum.Rows, sum.Blocks, mem.most.Load(), memoryMax)
	}
}

type faulty struct{ left int }

var errDisk = errors.New("disk full")

func (f *faulty) Write(b []byte) (int, error) {
	if f.left -= len(b); f.left < 0 {
		return 0, errDisk
	}
	return len(b), nil
}

type astray struct{}

func (astray) Partitions() int { return 2 }
func (astray) Assign(c *vec.Chunk, out []uint32) error {
	out[c.Rows-1] = 2
	return nil
}

// TestWriterErrors: an error is kept, Finish returns it, and nothing leaks.
func TestWriterErrors(t *testing.T) {
	good, keep := vectest.Chunk(wide, wideRows(0, 2000, 300))
	defer func() { _ = *keep }()
	short := &vec.Chunk{Schema: good.Schema, Rows: good.Rows, Columns: slices.Clone(good.Columns)}
	short.Columns[1].Rows = 10
	for name, test := range map[string]struct {
		dst  int
		part Partitioner
		c    *vec.Chunk
		want error
	}{
		"disk full":              {300_000, Hash(3, []int{0}), good, errDisk},
		"partition out of reach": {1 << 30, astray{}, good, nil},
		"too few columns":        {1 << 30, One(), &vec.Chunk{Schema: wide, Rows: 1, Columns: good.Columns[:1]}, nil},
		"a vector that lies":     {1 << 30, One(), short, nil},
	} {
		t.Run(name, func(t *testing.T) {
			mem := memory.NewCheckedAllocator(memory.NewGoAllocator())
			defer mem.AssertSize(t, 0)
			w, err := NewWriter(&faulty{test.dst}, WriterConfig{Schema: wide, Keys: 1, Partitioner: test.part, Codec: None, Memory: 1 << 20, Mem: mem})
			if err != nil {
				t.Fatal(err)
			}
			for err == nil {
				err = w.Append(test.c)
			}
			if test.want != nil && !errors.Is(err, test.want) {
				t.Fatal(err)
			}
			if again := w.Append(good); again != err {
				t.Fatalf("%v, then %v", err, again)
			}
			if _, last := w.Finish(); last != err {
				t.Fatalf("%v, then %v", err, last)
			}
			w.Abort()
		})
	}
}

func TestWriterAbort(t *testing.T) {
	mem := memory.NewCheckedAllocator(memory.NewGoAllocator())
	defer mem.AssertSize(t, 0)
	w, err := NewWriter(&bytes.Buffer{}, WriterConfig{Schema: wide, Keys: 1, Partitioner: Hash(8, []int{0}), BlockBytes: 100, Mem: mem})
	if err != nil {
		t.Fatal(err)
	}
	c, keep := vectest.Chunk(wide, wideRows(0, 2000, 30))
	if err := w.Append(c); err != nil {
		t.Fatal(err)
	}
	_ = *keep
	w.Abort()
	if err := w.Append(c); !errors.Is(err, errFinished) {
		t.Fatal(err)
	}
	if _, err := w.Finish(); err == nil {
		t.Fatal("an aborted segment was finished")
	}
}

// TestBatch: Arrow batches, also slices of them, become the same blocks' rows.
func TestBatch(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		r := rand.New(rand.NewPCG(rapid.Uint64().Draw(t, "seed"), 1))
		s := vectest.Schema(r, 1+r.IntN(3), 3)
		mem := memory.NewCheckedAllocator(memory.NewGoAllocator())
		defer mem.AssertSize(t, 0)
		rows := vectest.Rows(r, s, r.IntN(500))
		b := vec.NewBuilder(s, mem)
		c, keep := vectest.Chunk(s, rows)
		if err := b.Append(c, nil, 0); err != nil {
			t.Fatal(err)
		}
		_ = *keep
		rec, err := b.Batch()
		if err != nil {
			t.Fatal(err)
		}
		defer rec.Release()
		from := r.IntN(len(rows) + 1)
		to := from + r.IntN(len(rows)-from+1)
		cut := rec.NewSlice(int64(from), int64(to))
		defer cut.Release()
		want := same(s, 0, rows[from:to])

		target := 1 << (6 + r.IntN(10))
		blocks, sum, err := EncodeBatch(nil, cut, Codec(r.IntN(int(codecEnd))), target)
		if err != nil {
			t.Fatal(err)
		}
		got := decodeAll(t, blocks, s, cut.Schema(), mem)
		bounded(t, blocks, target)
		if len(got) != len(want) || len(want) > 0 && !reflect.DeepEqual(got, want) || sum.Rows != int64(len(want)) || sum.Length != int64(len(blocks)) {
			t.Fatalf("%+v:\n got %v\nwant %v", sum, got, want)
		}
	})
}

func decodeAll(t tester, blocks []byte, s *vec.Schema, schema *arrow.Schema, mem memory.Allocator) (rows [][]any) {
	for len(blocks) > 0 {
		n, err := BlockSize(blocks)
		if err != nil {
			t.Fatal(err)
		}
		rec, err := Decode(blocks[:n], schema, mem, Limits{})
		if err != nil {
			t.Fatal(err)
		}
		rows = append(rows, vectest.Read(s, rec)...)
		rec.Release()
		blocks = blocks[n:]
	}
	return rows
}

// bounded checks that no block of several rows is much larger than it should be.
func bounded(t tester, blocks []byte, target int) {
	for len(blocks) > 0 {
		h, err := ParseBlockHeader(blocks)
		if err != nil {
			t.Fatal(err)
		}
		if h.Rows > 1 && h.Raw > 2*target {
			t.Fatalf("block of %d rows, %d bytes, target %d", h.Rows, h.Raw, target)
		}
		blocks = blocks[BlockHeaderLen+h.Encoded:]
	}
}

// TestLaneLetsGo: after a row out of the ordinary a lane is as small as before.
func TestLaneLetsGo(t *testing.T) {
	var file bytes.Buffer
	w, err := NewWriter(&file, WriterConfig{Schema: wide, Keys: 1, Partitioner: One(), BlockBytes: 4096})
	if err != nil {
		t.Fatal(err)
	}
	defer w.Abort()
	c, keep := vectest.Chunk(wide, wideRows(0, 1, 1<<19))
	if err := w.Append(c); err != nil {
		t.Fatal(err)
	}
	_ = *keep
	if l := w.lanes[0]; l.reserved > 4*4096 || cap(l.enc.raw) > 8*4096 {
		t.Fatalf("%d bytes of builders, %d of block", l.reserved, cap(l.enc.raw))
	}
}

// TestOneLane: a lone caller stays on one lane, which is what keeps its rows in
// order, though there are others.
func TestOneLane(t *testing.T) {
	w, err := NewWriter(&bytes.Buffer{}, WriterConfig{Schema: wide, Keys: 1, Partitioner: One(), Threads: 2})
	if err != nil {
		t.Fatal(err)
	}
	defer w.Abort()
	a, _ := w.take()
	b, _ := w.take()
	w.idle = append(w.idle, a, b)
	c, keep := vectest.Chunk(wide, wideRows(0, 100, 10))
	for range 4 {
		if err := w.Append(c); err != nil {
			t.Fatal(err)
		}
	}
	_ = *keep
	if a.reserved != 0 || b.reserved == 0 {
		t.Fatalf("%d bytes on one lane, %d on the other", a.reserved, b.reserved)
	}
}

// TestRowTooLarge: a row beyond any block is refused before it is copied.
func TestRowTooLarge(t *testing.T) {
	l, err := newLayout((&vec.Schema{Fields: wide.Fields[:1]}).Arrow())
	if err != nil {
		t.Fatal(err)
	}
	e := encoder{layout: l}
	err = e.payload(1, func(yield func(*vec.Part) bool) {
		yield(&vec.Part{Rows: 1, Data: make([]byte, MaxBlockRaw)})
	})
	if !errors.Is(err, ErrLimit) || cap(e.raw) > 1<<20 {
		t.Fatal(err, cap(e.raw))
	}
}
