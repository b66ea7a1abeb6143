package shuffle

import (
	"fmt"
	"io"
	"math"
	"math/rand/v2"
	"reflect"
	"slices"
	"sync"
	"testing"

	"github.com/apache/arrow-go/v18/arrow/memory/mallocator"
	"github.com/pondmesh/pond/duck/vec"
	"github.com/pondmesh/pond/duck/vec/vectest"
	"pgregory.net/rapid"
)

// sumOf is the sum of a segment of rows, which are appended in chunks of a few, by so
// many threads.
func sumOf(t tester, c WriterConfig, rows [][]any, each, threads int) uint64 {
	t.Helper()
	c.Threads = threads
	w, err := NewWriter(io.Discard, c)
	if err != nil {
		t.Fatal(err)
	}
	var all sync.WaitGroup
	for thread := range threads {
		all.Go(func() {
			for at := thread * each; at < len(rows); at += threads * each {
				c, keep := vectest.Chunk(c.Schema, rows[at:min(at+each, len(rows))])
				if err := w.Append(c); err != nil {
					t.Errorf("append: %v", err)
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
	return sum.Sum
}

// TestSum: rows of any types have one sum, in whatever order, chunks, blocks and
// threads they come; a row less, more or otherwise has another.
func TestSum(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		r := rand.New(rand.NewPCG(rapid.Uint64().Draw(t, "seed"), 1))
		s := vectest.Schema(r, 1+r.IntN(4), 2)
		rows := vectest.Rows(r, s, 1+r.IntN(300))
		c := WriterConfig{Schema: s, Partitioner: Hash(1+r.IntN(5), []int{0}), Codec: None}
		want := sumOf(t, c, rows, 1+r.IntN(100), 1)

		mixed := slices.Clone(rows)
		r.Shuffle(len(mixed), func(i, j int) { mixed[i], mixed[j] = mixed[j], mixed[i] })
		c.BlockBytes = 1 << (6 + r.IntN(10))
		if got := sumOf(t, c, mixed, 1+r.IntN(100), 1+r.IntN(3)); got != want {
			t.Fatalf("the same rows have the sums %x and %x", want, got)
		}
		at := r.IntN(len(rows))
		if got := sumOf(t, c, slices.Concat(rows, rows[at:at+1]), 50, 1); got == want {
			t.Fatalf("%v twice has the sum of it once", rows[at])
		}
		if got := sumOf(t, c, slices.Delete(slices.Clone(rows), at, at+1), 50, 1); got == want {
			t.Fatalf("the sum does not notice that %v is missing", rows[at])
		}
		column := r.IntN(len(s.Fields))
		old, next := rows[at][column], vectest.Value(r, s.Fields[column].Type, 2)
		if !reflect.DeepEqual(old, next) {
			rows[at] = slices.Clone(rows[at])
			rows[at][column] = next
			if got := sumOf(t, c, rows, 50, 1); got == want {
				t.Fatalf("%v has the sum of %v", next, old)
			}
		}
	})
}

// TestSumTellsApart: sets of rows that are easily taken for one another.
func TestSumTellsApart(t *testing.T) {
	text := &vec.Type{Kind: vec.String, SQL: "VARCHAR"}
	long := &vec.Type{Kind: vec.Int64, SQL: "BIGINT"}
	double := &vec.Type{Kind: vec.Float64, SQL: "DOUBLE"}
	texts := &vec.Type{Kind: vec.List, SQL: "VARCHAR[]", Fields: []vec.Field{{Type: text}}}
	pair := &vec.Type{Kind: vec.Struct, SQL: "STRUCT(a VARCHAR, b VARCHAR)", Fields: []vec.Field{{Name: "a", Type: text}, {Name: "b", Type: text}}}
	one := func(values ...any) (rows [][]any) {
		for _, v := range values {
			rows = append(rows, []any{v})
		}
		return rows
	}
	bits := math.Float64bits
	for _, x := range []struct {
		name string
		of   []*vec.Type
		sets [][][]any
	}{
		{"how often", []*vec.Type{long}, [][][]any{nil, one(uint64(1)), one(uint64(1), uint64(1)), one(uint64(1), uint64(1), uint64(2)), one(uint64(1), uint64(2), uint64(2))}},
		{"NULL", []*vec.Type{long}, [][][]any{one(nil), one(uint64(0)), one(nil, nil), one(uint64(saltNull))}},
		{"text", []*vec.Type{text}, [][][]any{one(nil), one(""), one("\x00"), one("\x00\x00"), one("a"), one("twelve bytes"), one("thirteen bytes"), one("twelve bytes\x00")}},
		{"floats", []*vec.Type{double}, [][][]any{one(bits(0)), one(bits(math.Copysign(0, -1))), one(bits(0.3)), one(bits(math.Nextafter(0.3, 1)))}},
		{"lists", []*vec.Type{texts}, [][][]any{one(nil), one([]any{}), one([]any{nil}), one([]any{"a", "b"}), one([]any{"ab"}), one([]any{"b", "a"}), one([]any{"a"}, []any{"b"}), one([]any{"a", "b"}, []any{})}},
		{"structs", []*vec.Type{pair}, [][][]any{one(nil), one([]any{nil, nil}), one([]any{"a", nil}), one([]any{nil, "a"})}},
		{"one field", []*vec.Type{{Kind: vec.Struct, SQL: "STRUCT(a VARCHAR)", Fields: []vec.Field{{Name: "a", Type: text}}}}, [][][]any{one(nil), one([]any{nil}), one([]any{""})}},
		{"columns", []*vec.Type{long, long}, [][][]any{{{uint64(1), uint64(2)}}, {{uint64(2), uint64(1)}}, {{uint64(1), uint64(1)}, {uint64(2), uint64(2)}}, {{uint64(1), uint64(2)}, {uint64(2), uint64(1)}}}},
	} {
		s := &vec.Schema{}
		for i, of := range x.of {
			s.Fields = append(s.Fields, vec.Field{Name: fmt.Sprint("c", i), Type: of})
		}
		seen := map[uint64]int{}
		for i, rows := range x.sets {
			sum := sumOf(t, WriterConfig{Schema: s, Partitioner: One()}, rows, 1, 1)
			if before, ok := seen[sum]; ok {
				t.Errorf("%s: %v and %v have one sum", x.name, x.sets[before], rows)
			}
			seen[sum] = i
			if (sum == 0) != (len(rows) == 0) {
				t.Errorf("%s: the sum of %d rows is %d", x.name, len(rows), sum)
			}
		}
	}
}

// TestSumCoversPartitions: the same rows dealt otherwise are other partitions, and
// keys, which are not written, do not count.
func TestSumCoversPartitions(t *testing.T) {
	rows := wideRows(0, 1000, 20)
	deal := func(start int) uint64 {
		return sumOf(t, WriterConfig{Schema: wide, Partitioner: RoundRobin(7, start)}, rows, 100, 1)
	}
	again := deal(3)
	if deal(3) != again || deal(4) == again {
		t.Error("the sum does not tell which partition a row is in")
	}
	bare := &vec.Schema{Fields: wide.Fields[1:]}
	var without [][]any
	for _, row := range rows {
		without = append(without, row[1:])
	}
	if sumOf(t, WriterConfig{Schema: wide, Keys: 1, Partitioner: One()}, rows, 100, 1) != sumOf(t, WriterConfig{Schema: bare, Partitioner: One()}, without, 64, 1) {
		t.Error("the sum covers keys")
	}
}

// TestSumOfOrderedRows: where the order counts, rows in another have another sum.
func TestSumOfOrderedRows(t *testing.T) {
	rows := wideRows(0, 1000, 20)
	back := slices.Clone(rows)
	slices.Reverse(back)
	of := func(ordered bool, rows [][]any, each int) uint64 {
		return sumOf(t, WriterConfig{Schema: wide, Partitioner: One(), Ordered: ordered}, rows, each, 1)
	}
	if of(true, rows, 100) != of(true, rows, 77) || of(true, rows, 100) == of(true, back, 100) {
		t.Error("the order of ordered rows does not count")
	}
	if of(false, rows, 100) != of(false, back, 77) {
		t.Error("the order of other rows counts")
	}
}

// BenchmarkSum is what the sum costs beside BenchmarkWriter, which includes it.
func BenchmarkSum(b *testing.B) {
	numbers := &vec.Schema{}
	row := []any{}
	for i := range 8 {
		numbers.Fields = append(numbers.Fields, vec.Field{Name: fmt.Sprint("c", i), Type: &vec.Type{Kind: vec.Int64, SQL: "BIGINT"}})
		row = append(row, uint64(i))
	}
	ints := make([][]any, vec.MaxRows)
	for i := range ints {
		ints[i] = slices.Clone(row)
		ints[i][0] = uint64(i)
	}
	texts, rows := gensort(vec.MaxRows)
	for _, x := range []struct {
		name   string
		schema *vec.Schema
		rows   [][]any
		bytes  int64
	}{{"8 integers", numbers, ints, 64}, {"text", texts, rows, rowBytes + 10}} {
		b.Run(x.name, func(b *testing.B) {
			c, keep := vectest.Chunk(x.schema, x.rows)
			_ = keep
			pool := vec.NewPool(mallocator.NewMallocator(), 1<<20)
			defer pool.Trim()
			w, err := NewWriter(io.Discard, WriterConfig{Schema: x.schema, Partitioner: One(), Mem: pool})
			if err != nil {
				b.Fatal(err)
			}
			l := newLane(w)
			b.SetBytes(x.bytes * vec.MaxRows)
			for b.Loop() {
				if err := l.addUp(c, nil); err != nil {
					b.Fatal(err)
				}
			}
			b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/vec.MaxRows, "ns/row")
		})
	}
}
