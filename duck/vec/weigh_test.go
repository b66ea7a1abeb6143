package vec_test

import (
	"math/rand/v2"
	"strings"
	"testing"
	"unsafe"

	"github.com/apache/arrow-go/v18/arrow/memory"
	"github.com/pondmesh/pond/duck/vec"
	"github.com/pondmesh/pond/duck/vec/vectest"
	"pgregory.net/rapid"
)

// weight is what a value takes beside its own row's width, by its plain form.
func weight(t *vec.Type, x any) int64 {
	width := func(t *vec.Type, x any) int64 { return int64(t.Width()) + weight(t, x) }
	switch x := x.(type) {
	case string:
		if len(x) > 12 {
			return int64(len(x))
		}
	case uint64:
		if t.Kind == vec.Enum {
			return int64(len(t.Names[x]))
		}
	case vectest.Member:
		return 1 + width(t.Fields[x.Tag].Type, x.Value)
	case []any:
		n := int64(0)
		for i, e := range x {
			switch t.Kind {
			case vec.Struct:
				n += width(t.Fields[i].Type, e)
			case vec.Map:
				n += width(t.Fields[0].Type, e.([]any)[0]) + width(t.Fields[1].Type, e.([]any)[1])
			default:
				n += width(t.Fields[0].Type, e)
			}
		}
		return n
	}
	return 0
}

// TestExceeds: rows take what their values do, whatever lies under NULL or between the
// elements of lists, and not a byte more.
func TestExceeds(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		r := rand.New(rand.NewPCG(rapid.Uint64().Draw(t, "seed"), 3))
		s := vectest.Schema(r, 1+r.IntN(3), 3)
		rows := vectest.Rows(r, s, r.IntN(100))
		c, keep := vectest.Chunk(s, rows)
		skip := r.IntN(len(s.Fields) + 1)
		want := int64(0)
		for j, f := range s.Fields[skip:] {
			for i := range rows {
				want += int64(f.Type.Width()) + weight(f.Type, rows[i][skip+j])
			}
		}
		if c.Exceeds(want, skip) || !c.Exceeds(want-1, skip) {
			t.Fatalf("rows of %d bytes: more than that %v, more than one less %v", want, c.Exceeds(want, skip), c.Exceeds(want-1, skip))
		}
		_ = *keep
	})
}

func listOf(kind vec.Kind) *vec.Schema {
	return &vec.Schema{Fields: []vec.Field{{Name: "l", Type: &vec.Type{Kind: vec.List, Fields: one(kind).Fields}}}}
}

// share makes all lists of a chunk's first column the first row's: so a list comes out
// of DuckDB that is the same for many rows.
func share(c *vec.Chunk) {
	entries := unsafe.Slice((*vec.ListEntry)(c.Columns[0].Data), c.Rows)
	for i := range entries {
		entries[i] = entries[0]
	}
}

// TestSharedLists: elements that many rows share are copied for each, and count so.
func TestSharedLists(t *testing.T) {
	s := listOf(vec.String)
	text := strings.Repeat("x", 1000)
	rows := [][]any{{[]any{text, "a", nil}}}
	for range 99 {
		rows = append(rows, []any{[]any{}})
	}
	c, keep := vectest.Chunk(s, rows)
	share(c)
	const each = 16 + 3*16 + 1000
	if c.Exceeds(100*each, 0) || !c.Exceeds(100*each-1, 0) {
		t.Errorf("100 rows do not take %d bytes each", each)
	}
	b := vec.NewBuilder(s, memory.NewGoAllocator())
	defer b.Release()
	if err := b.Append(c, nil, 0); err != nil {
		t.Fatal(err)
	}
	_ = *keep
	if b.Bytes() < 100*1000 {
		t.Errorf("%d bytes of 100 shared lists", b.Bytes())
	}
	rec, err := b.Batch()
	if err != nil {
		t.Fatal(err)
	}
	defer rec.Release()
	for i, row := range vectest.Read(s, rec) {
		if list := row[0].([]any); len(list) != 3 || list[0] != text || list[1] != "a" || list[2] != nil {
			t.Fatalf("row %d is %v", i, list)
		}
	}
}

// TestExceedsGarbage: where DuckDB may have left anything, nothing is counted and
// nothing is followed.
func TestExceedsGarbage(t *testing.T) {
	text := one(vec.String).Fields[0]
	for name, typ := range map[string]*vec.Type{
		"struct": {Kind: vec.Struct, Fields: []vec.Field{text}},
		"array":  {Kind: vec.Array, Size: 1, Fields: []vec.Field{text}},
		"union":  {Kind: vec.Union, Fields: []vec.Field{text, text}},
	} {
		s := &vec.Schema{Fields: []vec.Field{{Name: "x", Type: typ}}}
		value := any([]any{"in"})
		if typ.Kind == vec.Union {
			value = vectest.Member{Tag: 1, Value: "in"}
		}
		c, keep := vectest.Chunk(s, [][]any{{nil}, {value}, {nil}})
		inside := &c.Columns[0].Children[len(c.Columns[0].Children)-1]
		inside.Valid = nil // the text of NULL rows is 0xa5a5a5a5 bytes long
		if c.Exceeds(100, 0) {
			t.Errorf("%s: what lies under NULL counts", name)
		}
		_ = *keep
	}
	bent := map[string]func(*vec.ListEntry){
		"beyond": func(e *vec.ListEntry) { e.Len = 1 << 40 }, "before": func(e *vec.ListEntry) { e.Offset = 1 << 63 },
		"around": func(e *vec.ListEntry) { e.Offset, e.Len = 2, ^uint64(0) },
	}
	for name, bend := range bent {
		c, keep := vectest.Chunk(listOf(vec.Int64), [][]any{{[]any{uint64(1)}}})
		if bend((*vec.ListEntry)(c.Columns[0].Data)); c.Exceeds(1000, 0) {
			t.Errorf("a list %s its child counts", name)
		}
		_ = *keep
	}
}

// TestLayoutsDiffer: a vector that is not laid out as the builder's column is never read
// as one, however alike the types are.
func TestLayoutsDiffer(t *testing.T) {
	decimal := func(storage uint8) *vec.Type { return &vec.Type{Kind: vec.Decimal, Storage: storage} }
	nest := func(k vec.Kind, size int, inside ...*vec.Type) *vec.Type {
		out := &vec.Type{Kind: k, Size: size}
		for _, t := range inside {
			out.Fields = append(out.Fields, vec.Field{Type: t})
		}
		return out
	}
	small := &vec.Type{Kind: vec.Int8}
	for name, c := range map[string]struct {
		is, into *vec.Type
		value    any
	}{
		"decimal":           {decimal(2), decimal(16), uint64(1)},
		"decimal in a list": {nest(vec.List, 0, decimal(4)), nest(vec.List, 0, decimal(8)), []any{uint64(1)}},
		"decimal in a map":  {nest(vec.Map, 0, small, decimal(4)), nest(vec.Map, 0, small, decimal(8)), []any{[]any{uint64(1), uint64(2)}}},
		"size of arrays":    {nest(vec.Array, 1, small), nest(vec.Array, 3, small), []any{uint64(1)}},
		"fields":            {nest(vec.Struct, 0, small), nest(vec.Struct, 0, small, small), []any{uint64(1)}},
		"members":           {nest(vec.Union, 0, small), nest(vec.Union, 0, small, small), vectest.Member{Value: uint64(1)}},
		"kind":              {&vec.Type{Kind: vec.Date}, &vec.Type{Kind: vec.Int32}, uint64(1)},
	} {
		chunk, keep := vectest.Chunk(&vec.Schema{Fields: []vec.Field{{Type: c.is}}}, [][]any{{c.value}})
		b := vec.NewBuilder(&vec.Schema{Fields: []vec.Field{{Type: c.into}}}, memory.NewGoAllocator())
		if err := b.Append(chunk, nil, 0); err == nil || !strings.Contains(err.Error(), "for a column of kind") {
			t.Errorf("%s: %v", name, err)
		}
		b.Release()
		_ = *keep
	}
}
