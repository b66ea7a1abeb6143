package api

import (
	"errors"
	"fmt"
	"slices"
	"testing"

	"github.com/apache/arrow-go/v18/arrow"
	"github.com/apache/arrow-go/v18/arrow/array"
	"github.com/apache/arrow-go/v18/arrow/memory"
	"pgregory.net/rapid"

	"github.com/pondmesh/pond/actors/plan"
)

// batchOf is a batch with a column of numbers, of which negative ones are NULL, and
// one of texts.
func batchOf(values ...int64) arrow.RecordBatch {
	b := array.NewRecordBuilder(memory.NewGoAllocator(), arrow.NewSchema([]arrow.Field{{Name: "n", Type: arrow.PrimitiveTypes.Int64, Nullable: true}, {Name: "s", Type: arrow.BinaryTypes.String}}, nil))
	for _, v := range values {
		if v < 0 {
			b.Field(0).AppendNull()
		} else {
			b.Field(0).(*array.Int64Builder).Append(v)
		}
		b.Field(1).(*array.StringBuilder).Append(fmt.Sprint("row ", v))
	}
	return b.NewRecordBatch()
}

// readBatches takes values, dealt into batches, until so many rows have been given.
func readBatches(g *given, values []int64, size, most int) (out []int64) {
	for chunk := range slices.Chunk(values, size) {
		if len(out) >= most {
			break
		}
		g.take(batchOf(chunk...), func(rec arrow.RecordBatch) bool {
			for i := range int(rec.NumRows()) {
				if n := rec.Column(0).(*array.Int64); n.IsNull(i) {
					out = append(out, -1)
				} else {
					out = append(out, n.Value(i))
				}
			}
			return true
		})
	}
	return out
}

// TestGiven: whatever of a part has been given, in whatever order, and however often
// its segment is lost: what comes of the reading are the rows of the last segment,
// each once, those that follow in its order; or it fails, as it must when a row that
// was given is not in it.
func TestGiven(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		part := rapid.SliceOfN(rapid.Int64Range(-1, 9), 0, 40).Draw(t, "part")
		var g given
		var got []int64
		for range rapid.IntRange(0, 3).Draw(t, "losses") {
			g.begins()
			got = append(got, readBatches(&g, rapid.Permutation(part).Draw(t, "segment"), rapid.IntRange(1, 7).Draw(t, "batch"), rapid.IntRange(0, 20).Draw(t, "rows"))...)
		}
		before := len(got)
		if g.begun() != (before > 0) {
			t.Fatalf("%d rows were given: %v", before, g.begun())
		}
		last := slices.Clone(part)
		if lost := rapid.Bool().Draw(t, "another") && len(last) > 0; lost {
			last = last[1:]
		}
		g.begins()
		got = append(got, readBatches(&g, last, rapid.IntRange(1, 7).Draw(t, "last batch"), len(part)+1)...)
		if err := g.ends(); err != nil {
			if len(last) == len(part) || !errors.Is(err, plan.ErrFetch) {
				t.Fatal(err)
			}
			return
		}
		slices.Sort(got)
		slices.Sort(last)
		if !slices.Equal(got, last) {
			t.Fatalf("given %v, of %v", got, last)
		}
		var all tally
		all.add(rowHashes(nil, batchOf(last...)))
		if g.before[0] != all || g.begun() {
			t.Fatalf("the tally is %+v, and not %+v", g.before[0], all)
		}
	})
}

// TestOrderIsKept: rows that come behind those that were given keep their order.
func TestOrderIsKept(t *testing.T) {
	var g given
	g.begins()
	first := readBatches(&g, []int64{1, 2, 2, 3, 5}, 5, 5)
	g.begins()
	rest := readBatches(&g, []int64{1, 2, 2, 3, 5, 5, 6, 7}, 3, 9)
	if err := g.ends(); err != nil || !slices.Equal(append(first, rest...), []int64{1, 2, 2, 3, 5, 5, 6, 7}) {
		t.Error(first, rest, err)
	}
}

// TestTooMany: hashes are kept of a bounded number of rows.
func TestTooMany(t *testing.T) {
	g := given{rows: make([]uint64, givenMax-1)}
	g.note([]uint64{1})
	if g.many || !g.begun() {
		t.Error("as many as may be are too many")
	}
	g.note([]uint64{1})
	if !g.many || len(g.rows) > 0 || !g.begun() {
		t.Error("one more is not")
	}
}

// TestRowHashes: rows that differ in any column, or in what is NULL, hash otherwise,
// and equal ones alike, wherever they lie in a batch, of every kind of type.
func TestRowHashes(t *testing.T) {
	mem := memory.NewGoAllocator()
	for _, typ := range []arrow.DataType{
		arrow.FixedWidthTypes.Boolean, arrow.PrimitiveTypes.Int8, arrow.PrimitiveTypes.Float64, &arrow.Decimal128Type{Precision: 20, Scale: 2}, arrow.FixedWidthTypes.MonthDayNanoInterval,
		arrow.BinaryTypes.String, arrow.BinaryTypes.LargeBinary, &arrow.FixedSizeBinaryType{ByteWidth: 3}, arrow.ListOf(arrow.PrimitiveTypes.Int32),
		arrow.StructOf(arrow.Field{Name: "a", Type: arrow.BinaryTypes.String, Nullable: true}), arrow.FixedSizeListOf(2, arrow.PrimitiveTypes.Int16),
		&arrow.DictionaryType{IndexType: arrow.PrimitiveTypes.Int8, ValueType: arrow.BinaryTypes.String}, arrow.MapOf(arrow.BinaryTypes.String, arrow.PrimitiveTypes.Int64),
	} {
		b := array.NewBuilder(mem, typ)
		b.AppendNull()
		b.AppendEmptyValue()
		b.AppendNull()
		b.AppendEmptyValue()
		a := b.NewArray()
		schema := arrow.NewSchema([]arrow.Field{{Name: "x", Type: typ, Nullable: true}}, nil)
		rec := array.NewRecordBatch(schema, []arrow.Array{a}, 4)
		h := rowHashes(nil, rec)
		if h[0] != h[2] || h[1] != h[3] || h[0] == h[1] {
			t.Errorf("%v: %x", typ, h)
		}
		if cut := rowHashes(nil, rec.NewSlice(1, 4)); !slices.Equal(cut, h[1:]) {
			t.Errorf("%v: behind the first: %x, not %x", typ, cut, h[1:])
		}
	}
	if h := rowHashes(nil, batchOf(1, 2)); h[0] == h[1] {
		t.Error("different rows hash alike")
	}
}

func BenchmarkRowHashes(b *testing.B) {
	values := make([]int64, 2048)
	for i := range values {
		values[i] = int64(i)
	}
	rec := batchOf(values...)
	var hashes []uint64
	b.SetBytes(2048 * 2)
	for b.Loop() {
		hashes = rowHashes(hashes[:0], rec)
	}
}
