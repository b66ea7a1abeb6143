package api

import (
	"encoding/binary"
	"math"
	"math/rand/v2"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/apache/arrow-go/v18/arrow"
	"github.com/apache/arrow-go/v18/arrow/array"
	"github.com/apache/arrow-go/v18/arrow/memory"
	"pgregory.net/rapid"

	"github.com/pondmesh/pond/actors/plan"
	"github.com/pondmesh/pond/duck/vec"
	"github.com/pondmesh/pond/duck/vec/vectest"
)

// TestPlainRows: clients get the values that nodes hold, of whatever types, and none of
// HUGEINT's own type at any depth.
func TestPlainRows(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		r := rand.New(rand.NewPCG(rapid.Uint64().Draw(t, "seed"), 1))
		schema := vectest.Schema(r, 1+r.IntN(4), 3)
		c, keep := vectest.Chunk(schema, vectest.Rows(r, schema, 1+r.IntN(20)))
		b := vec.NewBuilder(schema, memory.NewGoAllocator())
		if err := b.Append(c, nil, 0); err != nil {
			t.Fatal(err)
		}
		_ = *keep
		stored, err := b.Batch()
		if err != nil {
			t.Fatal(err)
		}
		plain, differs := PlainSchema(stored.Schema())
		if hugeints(plain.Fields()) || differs != hugeints(stored.Schema().Fields()) {
			t.Fatalf("%v of\n%v\nbecame\n%v", differs, stored.Schema(), plain)
		}
		if n := stored.NumRows(); n > 1 {
			stored = stored.NewSlice(1, n) // what stands before a batch is not its own
		}
		got, err := PlainBatch(stored, plain)
		if err != nil {
			t.Fatal(err)
		}
		if !got.Schema().Equal(plain) || !reflect.DeepEqual(vectest.Read(schema, got), vectest.Read(schema, stored)) {
			t.Fatalf("%v became\n%v", stored, got)
		}
	})
}

// hugeints reports whether there is a field of DuckDB's own HUGEINT at any depth.
func hugeints(fields []arrow.Field) bool {
	return slices.ContainsFunc(fields, func(f arrow.Field) bool {
		if nested, ok := f.Type.(arrow.NestedType); ok {
			return hugeints(nested.Fields())
		}
		data, _ := f.Metadata.GetValue(extensionDataKey)
		return strings.Contains(data, `"hugeint"`)
	})
}

// TestPlainIntervals: microseconds become nanoseconds, of rows before the batch's first
// nothing is read, and what nanoseconds cannot hold is refused with the column's name.
func TestPlainIntervals(t *testing.T) {
	blocks := (&vec.Schema{Fields: []vec.Field{{Name: "i", Type: &vec.Type{Kind: vec.Interval, SQL: "INTERVAL"}}}}).Blocks()
	interval := func(months, days int32, micros int64) []byte {
		b := binary.LittleEndian.AppendUint32(nil, uint32(months))
		return binary.LittleEndian.AppendUint64(binary.LittleEndian.AppendUint32(b, uint32(days)), uint64(micros))
	}
	b := array.NewFixedSizeBinaryBuilder(memory.NewGoAllocator(), blocks.Field(0).Type.(*arrow.FixedSizeBinaryType))
	b.AppendValues([][]byte{interval(0, 0, math.MaxInt64), interval(-14, 3, -5_000_001), nil, interval(1, 2, math.MaxInt64/1000)}, []bool{true, true, false, true})
	all := array.NewRecordBatch(blocks, []arrow.Array{b.NewArray()}, 4)
	plain, differs := PlainSchema(blocks)
	if !differs {
		t.Fatal("an interval is plain as it is")
	}
	_, err := PlainBatch(all, plain)
	if e := plan.AsError(err); err == nil || e.Kind != plan.KindUser || e.Subject != "i" || !strings.Contains(e.Hint, "VARCHAR") {
		t.Errorf("the longest interval: %v", err)
	}
	got, err := PlainBatch(all.NewSlice(1, 4), plain)
	if err != nil {
		t.Fatal(err)
	}
	a := got.Column(0).(*array.MonthDayNanoInterval)
	if a.Value(0) != (arrow.MonthDayNanoInterval{Months: -14, Days: 3, Nanoseconds: -5_000_001_000}) || a.IsValid(1) || a.Value(2).Nanoseconds != math.MaxInt64/1000*1000 {
		t.Errorf("%v", a)
	}
	if again, _ := PlainBatch(all.NewSlice(1, 4), plain); !array.RecordEqual(got, again) {
		t.Error("the rows that are held were changed")
	}
}
