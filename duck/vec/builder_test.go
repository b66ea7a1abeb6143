package vec_test

import (
	"errors"
	"math/rand/v2"
	"reflect"
	"testing"

	"github.com/apache/arrow-go/v18/arrow/array"
	"github.com/apache/arrow-go/v18/arrow/memory"
	"github.com/pondmesh/pond/duck/vec"
	"github.com/pondmesh/pond/duck/vec/vectest"
	"pgregory.net/rapid"
)

// TestBuilderRoundTrip: whatever rows of whatever chunks go in, in that order
// they come out, and every byte taken is given back.
func TestBuilderRoundTrip(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		r := rand.New(rand.NewPCG(rapid.Uint64().Draw(t, "seed"), 1))
		schema := vectest.Schema(r, 1+r.IntN(4), 3)
		if err := schema.Check(); err != nil {
			t.Fatal(err)
		}
		mem := memory.NewCheckedAllocator(memory.NewGoAllocator())
		defer mem.AssertSize(t, 0)
		b := vec.NewBuilder(schema, mem)
		for range 2 { // once fresh, once after handing over
			var want [][]any
			for range rapid.IntRange(0, 3).Draw(t, "chunks") {
				want = append(want, feed(t, r, b, schema)...)
			}
			if b.Rows() != len(want) {
				t.Fatalf("%d rows, want %d", b.Rows(), len(want))
			}
			compare(t, schema, b, want)
		}
		if b.Reserved() != 0 {
			t.Fatalf("%d bytes reserved when empty", b.Reserved())
		}
	})
}

// feed appends a random choice of a random chunk's rows and returns them.
func feed(t *rapid.T, r *rand.Rand, b *vec.Builder, schema *vec.Schema) (want [][]any) {
	skip := r.IntN(2)
	wide := &vec.Schema{Fields: append(append([]vec.Field{}, schema.Fields[:skip]...), schema.Fields...)}
	rows := vectest.Rows(r, wide, 1+r.IntN(200))
	c, keep := vectest.Chunk(wide, rows)
	defer func() { _ = *keep }()
	var chosen []uint16
	if r.IntN(2) == 0 {
		chosen = []uint16{}
		for i := range rows {
			if r.IntN(3) == 0 {
				chosen = append(chosen, uint16(i))
			}
		}
	}
	if err := b.Append(c, chosen, skip); err != nil {
		t.Fatal(err)
	}
	pick := func(i int) {
		row := make([]any, len(schema.Fields))
		for j, f := range schema.Fields {
			row[j] = vectest.Same(f.Type, rows[i][skip+j])
		}
		want = append(want, row)
	}
	if chosen == nil {
		for i := range rows {
			pick(i)
		}
	}
	for _, i := range chosen {
		pick(int(i))
	}
	return want
}

func compare(t *rapid.T, schema *vec.Schema, b *vec.Builder, want [][]any) {
	rec, err := b.Batch()
	if err != nil {
		t.Fatal(err)
	}
	defer rec.Release()
	if !rec.Schema().Equal(schema.Arrow()) {
		t.Fatalf("schema %s", rec.Schema())
	}
	for i := range rec.NumCols() {
		if v, ok := rec.Column(int(i)).(interface{ ValidateFull() error }); ok {
			if err := v.ValidateFull(); err != nil {
				t.Fatal(err)
			}
		}
	}
	got := vectest.Read(schema, rec)
	for i := range want {
		if !reflect.DeepEqual(got[i], want[i]) {
			t.Fatalf("row %d of %s:\n got %v\nwant %v", i, rec.Schema(), got[i], want[i])
		}
	}
	if len(got) != len(want) {
		t.Fatalf("%d rows, want %d", len(got), len(want))
	}
}

func one(kind vec.Kind) *vec.Schema {
	return &vec.Schema{Fields: []vec.Field{{Name: "x", Type: &vec.Type{Kind: kind}}}}
}

func TestBuilderNullsAreZero(t *testing.T) {
	s := one(vec.Int64)
	b := vec.NewBuilder(s, memory.NewGoAllocator())
	c, keep := vectest.Chunk(s, [][]any{{uint64(7)}, {nil}})
	if err := b.Append(c, nil, 0); err != nil {
		t.Fatal(err)
	}
	_ = *keep
	rec, err := b.Batch()
	if err != nil {
		t.Fatal(err)
	}
	defer rec.Release()
	if got := rec.Column(0).(*array.Int64).Int64Values()[1]; got != 0 {
		t.Fatalf("what was under NULL came through: %x", got)
	}
}

func TestBuilderRefuses(t *testing.T) {
	enum := &vec.Schema{Fields: []vec.Field{{Name: "x", Type: &vec.Type{Kind: vec.Enum, Storage: 1, Names: []string{"a"}}}}}
	list := &vec.Schema{Fields: []vec.Field{{Name: "x", Type: &vec.Type{Kind: vec.List, Fields: one(vec.Int8).Fields}}}}
	union := &vec.Schema{Fields: []vec.Field{{Name: "x", Type: &vec.Type{Kind: vec.Union, Fields: one(vec.Int8).Fields}}}}
	tests := []struct {
		name   string
		schema *vec.Schema
		value  any
		bend   func(*vec.Chunk)
	}{
		{"enum index", enum, uint64(1), nil},
		{"union tag", union, vectest.Member{Tag: 1}, nil},
		{"list beyond its child", list, []any{uint64(1)}, func(c *vec.Chunk) { (*vec.ListEntry)(c.Columns[0].Data).Len = 1 << 40 }},
		{"list before its child", list, []any{uint64(1)}, func(c *vec.Chunk) { (*vec.ListEntry)(c.Columns[0].Data).Offset = 1 << 63 }},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			mem := memory.NewCheckedAllocator(memory.NewGoAllocator())
			defer mem.AssertSize(t, 0)
			c, keep := vectest.Chunk(test.schema, [][]any{{test.value}})
			if test.bend != nil {
				test.bend(c)
			}
			b := vec.NewBuilder(test.schema, mem)
			if err := b.Append(c, nil, 0); !errors.Is(err, vec.ErrValue) {
				t.Fatalf("%v", err)
			}
			b.Release()
			_ = *keep
		})
	}
}

// An interval that Arrow has no room for stays in blocks, and makes no batch.
func TestLongIntervals(t *testing.T) {
	for _, micros := range []int64{1 << 62, -1 << 62, 9223372036854776, 9223372036854775} {
		s := &vec.Schema{Fields: []vec.Field{{Name: "x", Type: &vec.Type{Kind: vec.List, Fields: one(vec.Interval).Fields}}}}
		c, keep := vectest.Chunk(s, [][]any{{[]any{[2]uint64{7, uint64(micros)}}}})
		b := vec.NewBuilder(s, memory.NewGoAllocator())
		if err := b.Append(c, nil, 0); err != nil {
			t.Fatal(err)
		}
		_ = *keep
		rec, err := b.Batch()
		if fits := micros == 9223372036854775; fits != (err == nil) || !fits && !errors.Is(err, vec.ErrValue) {
			t.Errorf("%d microseconds: %v", micros, err)
		}
		if err == nil {
			rec.Release()
		}
		b.Release()
	}
}

func TestCheck(t *testing.T) {
	deep := &vec.Type{Kind: vec.Int8}
	for range 100 {
		deep = &vec.Type{Kind: vec.List, Fields: []vec.Field{{Type: deep}}}
	}
	members := make([]vec.Field, 128)
	for i := range members {
		members[i].Type = &vec.Type{Kind: vec.Int8}
	}
	for name, typ := range map[string]*vec.Type{
		"deep":          deep,
		"wide union":    {Kind: vec.Union, Fields: members},
		"no fields":     {Kind: vec.Struct},
		"empty array":   {Kind: vec.Array, Fields: members[:1]},
		"odd decimal":   {Kind: vec.Decimal, Storage: 3},
		"unknown kind":  {Kind: 200},
		"inside a list": {Kind: vec.List, Fields: []vec.Field{{Type: &vec.Type{Kind: vec.Enum}}}},
	} {
		s := &vec.Schema{Fields: []vec.Field{{Name: name, Type: typ}}}
		if err := s.Check(); !errors.Is(err, vec.ErrValue) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestPool(t *testing.T) {
	mem := memory.NewCheckedAllocator(memory.NewGoAllocator())
	defer mem.AssertSize(t, 0)
	p := vec.NewPool(mem, 1<<12)
	a := p.Allocate(1000)
	first := &a[0]
	p.Free(a)
	if b := p.Allocate(700); &b[0] != first || len(b) != 700 {
		t.Fatal("a freed buffer is not used again")
	} else {
		copy(b, "kept")
		if b = p.Reallocate(1001, b); &b[0] != first {
			t.Fatal("moved though there was room")
		}
		if b = p.Reallocate(5000, b); string(b[:4]) != "kept" {
			t.Fatal("lost on growing")
		}
		p.Free(b) // above the limit: goes back at once
	}
	if n := mem.CurrentAlloc(); n != 1024 {
		t.Fatalf("%d bytes held, want 1024", n)
	}
	big := p.Allocate(1<<26 + 1)
	p.Free(big)
	p.Trim()
}

// TestUnionWithoutTag: a union that is not NULL but whose tag is reads as NULL,
// and what its members hold there is not looked at.
func TestUnionWithoutTag(t *testing.T) {
	s := &vec.Schema{Fields: []vec.Field{{Name: "x", Type: &vec.Type{Kind: vec.Union, Fields: one(vec.Int8).Fields}}}}
	c, keep := vectest.Chunk(s, [][]any{{vectest.Member{Value: uint64(7)}}, {vectest.Member{Value: uint64(8)}}})
	c.Columns[0].Children[0].Valid = []uint64{1}
	b := vec.NewBuilder(s, memory.NewGoAllocator())
	if err := b.Append(c, nil, 0); err != nil {
		t.Fatal(err)
	}
	_ = *keep
	rec, err := b.Batch()
	if err != nil {
		t.Fatal(err)
	}
	defer rec.Release()
	want := [][]any{{vectest.Member{Value: uint64(7)}}, {nil}}
	if got := vectest.Read(s, rec); !reflect.DeepEqual(got, want) {
		t.Fatalf("%v", got)
	}
}
