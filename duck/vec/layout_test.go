package vec_test

import (
	"math/rand/v2"
	"reflect"
	"strings"
	"testing"

	"github.com/apache/arrow-go/v18/arrow"
	"github.com/apache/arrow-go/v18/arrow/memory"
	"github.com/pondmesh/pond/duck/vec"
	"github.com/pondmesh/pond/duck/vec/vectest"
	"pgregory.net/rapid"
)

// arrays counts an Arrow type's arrays, as Parts yields them.
func arrays(t arrow.DataType) int {
	n := 1
	switch t := t.(type) {
	case *arrow.MapType:
		n += arrays(t.Elem())
	case arrow.NestedType:
		for _, f := range t.Fields() {
			n += arrays(f.Type)
		}
	}
	return n
}

// TestParts: an encoder gets as many arrays as a block's schema has, each with a length
// and a bit for each row, of which the strings' and lists' lengths sum up.
func TestParts(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		r := rand.New(rand.NewPCG(rapid.Uint64().Draw(t, "seed"), 2))
		schema := vectest.Schema(r, 1+r.IntN(3), 3)
		b := vec.NewBuilder(schema, memory.NewGoAllocator())
		defer b.Release()
		rows := feed(t, r, b, schema)
		want, got := 0, 0
		for _, f := range schema.Blocks().Fields() {
			want += arrays(f.Type)
		}
		bytes := int64(0)
		for p := range b.Parts() {
			got++
			bytes += int64(len(p.Valid)+len(p.Data)) + 4*int64(len(p.Lengths))
			if p.Nulls < 0 || p.Nulls > p.Rows || len(p.Valid) > 0 && (p.Nulls == 0 || len(p.Valid) != (p.Rows+7)/8) {
				t.Fatalf("%d of %d rows are NULL, by %d bytes of bits", p.Nulls, p.Rows, len(p.Valid))
			}
			if len(p.Lengths) != 0 && len(p.Lengths) != p.Rows {
				t.Fatalf("%d lengths of %d rows", len(p.Lengths), p.Rows)
			}
			for _, n := range p.Lengths {
				if n > p.MaxLength {
					t.Fatalf("a length of %d, at most %d", n, p.MaxLength)
				}
			}
		}
		if got != want || b.Rows() != len(rows) || bytes > b.Bytes() || b.Bytes() > b.Reserved() {
			t.Fatalf("%d arrays, want %d; %d rows, want %d; %d bytes of %d of %d", got, want, b.Rows(), len(rows), bytes, b.Bytes(), b.Reserved())
		}
		for range b.Parts() {
			break // an encoder that fails stops
		}
		if b.Reset(); b.Rows() != 0 || b.Bytes() != 0 {
			t.Fatalf("%d rows and %d bytes after Reset", b.Rows(), b.Bytes())
		}
		again := feed(t, r, b, schema)
		compare(t, schema, b, again)
	})
}

// TestStrings: the longest string that DuckDB keeps in its place, and the one after it.
func TestStrings(t *testing.T) {
	s := one(vec.String)
	var rows [][]any
	for n := range 20 {
		rows = append(rows, []any{strings.Repeat("é", n)[:n]})
	}
	rows = append(rows, []any{nil}, []any{"a\x00b"})
	c, keep := vectest.Chunk(s, rows)
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
	if got := vectest.Read(s, rec); !reflect.DeepEqual(got, rows) {
		t.Errorf("%q", got)
	}
}

// TestBlocks: a block's schema is Arrow's but for intervals, at any depth, and both tell
// DuckDB's type.
func TestBlocks(t *testing.T) {
	inside := func(k vec.Kind, sql string) *vec.Type {
		return &vec.Type{Kind: vec.List, SQL: sql + "[]", Fields: []vec.Field{{Type: &vec.Type{Kind: k, SQL: sql}}}}
	}
	s := &vec.Schema{Fields: []vec.Field{{Name: "i", Type: &vec.Type{Kind: vec.Interval, SQL: "INTERVAL"}}, {Name: "li", Type: inside(vec.Interval, "INTERVAL")}, {Name: "ld", Type: inside(vec.Date, "DATE")}}}
	plain, blocks := s.Arrow(), s.Blocks()
	for i, differs := range []bool{true, true, false} {
		if arrow.TypeEqual(plain.Field(i).Type, blocks.Field(i).Type) == differs {
			t.Errorf("%s: %v in blocks, %v in Arrow", s.Fields[i].Name, blocks.Field(i).Type, plain.Field(i).Type)
		}
		for _, f := range []arrow.Field{plain.Field(i), blocks.Field(i)} {
			if sql, _ := f.Metadata.GetValue(vec.TypeKey); sql != s.Fields[i].Type.SQL {
				t.Errorf("%s says it is %q", f.Name, sql)
			}
		}
	}
	ids := []byte{0, vec.NullUnion, 2, vec.NullUnion}
	if vec.PlainUnions(ids, 1); !reflect.DeepEqual(ids, []byte{0, 1, 2, 1}) {
		t.Errorf("%v", ids)
	}
}

// TestAppendRefuses: chunks that are not of the builder's schema are told, and take
// nothing with them.
func TestAppendRefuses(t *testing.T) {
	s := one(vec.Int64)
	c, keep := vectest.Chunk(s, [][]any{{uint64(7)}})
	defer func() { _ = *keep }()
	for name, into := range map[string]*vec.Schema{
		"more columns": {Fields: append(one(vec.Int64).Fields, one(vec.Int64).Fields...)},
		"another type": one(vec.String),
	} {
		b := vec.NewBuilder(into, memory.NewGoAllocator())
		if err := b.Append(c, nil, 0); err == nil {
			t.Errorf("%s: taken", name)
		}
		b.Release()
	}
	b := vec.NewBuilder(s, memory.NewGoAllocator())
	defer b.Release()
	if err := b.Append(c, nil, 1); err == nil {
		t.Error("a chunk whose only column is skipped: taken")
	}
	c.Rows = vec.MaxRows + 1
	if err := b.Append(c, nil, 0); err == nil {
		t.Error("too many rows: taken")
	}
	c.Rows = 1
	if err := b.Append(c, []uint16{}, 0); err != nil || b.Rows() != 0 {
		t.Errorf("no rows: %v, %d", err, b.Rows())
	}
}
