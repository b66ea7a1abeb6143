// Package vectest makes chunks in Go memory, laid out as DuckDB lays them out,
// for tests of what reads them, and reads Arrow arrays back into the same plain
// values.
//
// A value is nil for NULL, else by kind:
//
//	Bool                      bool
//	fixed-width, Enum         uint64: its bits (an enum's: its index)
//	Int128 … 16 bytes wide    [2]uint64, low word first
//	String, Blob, Bit, BigNum, Geometry string
//	List, Map, Array, Struct  []any (a map's elements are []any{key, value})
//	Union                     Member
package vectest

import (
	"encoding/binary"
	"math/bits"
	"unsafe"

	"github.com/pondmesh/pond/duck/vec"
)

// Member is a union's value.
type Member struct {
	Tag   int
	Value any
}

// Keep holds the memory of a chunk's values: a chunk is valid while it is
// reachable.
type Keep struct {
	all  []any
	heap []byte // where long strings lie, one after the other
}

// words is zeroed memory that holds no pointers, aligned to 8.
func (k *Keep) words(n int) unsafe.Pointer {
	b := make([]uint64, (n+15)/8)
	k.all = append(k.all, b)
	return unsafe.Pointer(&b[0])
}

// text copies s to the heap.
func (k *Keep) text(s string) []byte {
	if cap(k.heap)-len(k.heap) < len(s) {
		k.heap = make([]byte, 0, max(64<<10, len(s)))
		k.all = append(k.all, k.heap)
	}
	at := len(k.heap)
	k.heap = append(k.heap, s...)
	return k.heap[at:]
}

// Garbage fills the place of the value in NULL rows.
const Garbage = 0xa5

// Chunk lays rows out as a chunk of schema. Row i's value of column j is
// rows[i][j].
func Chunk(schema *vec.Schema, rows [][]any) (*vec.Chunk, *Keep) {
	k := &Keep{}
	c := &vec.Chunk{Schema: schema, Rows: len(rows)}
	for j, f := range schema.Fields {
		column := make([]any, len(rows))
		for i := range rows {
			column[i] = rows[i][j]
		}
		c.Columns = append(c.Columns, k.vector(f.Type, column))
	}
	return c, k
}

func (k *Keep) vector(t *vec.Type, values []any) vec.Vector {
	v := vec.Vector{Type: t, Rows: len(values)}
	for i, x := range values {
		if x == nil {
			if v.Valid == nil {
				v.Valid = make([]uint64, (len(values)+63)/64)
				for w := range v.Valid {
					v.Valid[w] = ^uint64(0)
				}
			}
			v.Valid[i>>6] &^= 1 << (i & 63)
		}
	}
	width := t.Width()
	if width > 0 {
		v.Data = k.words(width * max(len(values), 1))
	}
	for i, x := range values {
		k.put(unsafe.Slice((*byte)(unsafe.Add(v.Data, i*width)), width), t, x)
	}
	k.children(&v, values)
	return v
}

func (k *Keep) put(to []byte, t *vec.Type, x any) {
	le := binary.LittleEndian
	switch x := x.(type) {
	case nil:
		for i := range to {
			to[i] = Garbage
		}
	case bool:
		to[0] = byte(bits.OnesCount8(map[bool]byte{true: 1}[x]))
	case uint64:
		var full [8]byte
		le.PutUint64(full[:], x)
		copy(to, full[:])
	case [2]uint64:
		le.PutUint64(to, x[0])
		le.PutUint64(to[8:], x[1])
	case string:
		le.PutUint32(to, uint32(len(x)))
		copy(to[4:], x[:min(len(x), 12)])
		if len(x) > 12 {
			b := k.text(x)
			le.PutUint64(to[8:], uint64(uintptr(unsafe.Pointer(&b[0]))))
		}
	}
}

// children lays out the nested values of v. A list's elements are not in order of
// its rows and have gaps, as DuckDB's may.
func (k *Keep) children(v *vec.Vector, values []any) {
	switch v.Type.Kind {
	case vec.List, vec.Map:
		elements := []any{nil}
		entries := unsafe.Slice((*vec.ListEntry)(v.Data), len(values))
		for i := len(values) - 1; i >= 0; i-- {
			if list, ok := values[i].([]any); ok {
				entries[i] = vec.ListEntry{Offset: uint64(len(elements)), Len: uint64(len(list))}
				elements = append(elements, list...)
			}
		}
		of := v.Type.Fields[0].Type
		if v.Type.Kind == vec.Map {
			of = &vec.Type{Kind: vec.Struct, Fields: v.Type.Fields}
		}
		v.Children = []vec.Vector{k.vector(of, elements)}
	case vec.Array:
		var elements []any
		for _, x := range values {
			list, ok := x.([]any)
			if !ok {
				list = make([]any, v.Type.Size)
			}
			elements = append(elements, list...)
		}
		v.Children = []vec.Vector{k.vector(v.Type.Fields[0].Type, elements)}
	case vec.Struct:
		for f, field := range v.Type.Fields {
			v.Children = append(v.Children, k.vector(field.Type, pick(values, func(x any) any {
				if fields, ok := x.([]any); ok {
					return fields[f]
				}
				return nil
			})))
		}
	case vec.Union:
		tag := &vec.Type{Kind: vec.Uint8, SQL: "UTINYINT"}
		v.Children = append(v.Children, k.vector(tag, pick(values, func(x any) any {
			if m, ok := x.(Member); ok {
				return uint64(m.Tag)
			}
			return nil
		})))
		for f, field := range v.Type.Fields {
			v.Children = append(v.Children, k.vector(field.Type, pick(values, func(x any) any {
				if m, ok := x.(Member); ok && m.Tag == f {
					return m.Value
				}
				return nil
			})))
		}
	}
}

func pick(values []any, of func(any) any) []any {
	out := make([]any, len(values))
	for i, x := range values {
		out[i] = of(x)
	}
	return out
}
