// Package vec is DuckDB's in-memory vector layout as Go views, and the one
// copy that carries rows from it into Arrow's layout.
//
// A [Chunk] is up to 2,048 rows, column by column, exactly as DuckDB holds
// them: nothing is copied to make one, and it is valid only during the call
// that hands it over. A [Builder] copies chosen rows of chunks into Arrow
// arrays that outlive the call.
//
// The package refuses to know DuckDB itself (package duck makes the views) and
// to know partitions or files (package shuffle chooses the rows). It is a pure
// leaf. Read type.go next, then builder.go.
package vec

import "unsafe"

// MaxRows is the most rows a Chunk holds: DuckDB's vector size.
const MaxRows = 2048

// Vector is one flat column of a Chunk. Its memory belongs to DuckDB.
//
// What Data points at follows Type.Kind:
//
//	Bool                      one byte a row, 0 or 1
//	fixed-width kinds         Type.Width() bytes a row, little-endian
//	String, Blob, Bit, BigNum, Geometry one 16-byte [Str] a row
//	Enum                      Type.Storage bytes a row: an index into Type.Names
//	List, Map                 one [ListEntry] a row, over Children[0]
//	Array, Struct, Union, Null nothing: Data is nil
//
// A NULL row's value, entry and children may be anything.
//
// Children: List and Map have one (a map's is a struct of key and value), of
// any length; Array has one, of Type.Size times as many rows; Struct has one a
// field; Union has the tag (Uint8) first, then one a member. Every Vector has a
// Type.
type Vector struct {
	Type     *Type
	Rows     int
	Valid    []uint64 // bit i%64 of word i/64 is set when row i is not NULL; nil: no NULLs
	Data     unsafe.Pointer
	Children []Vector
}

// Null reports whether row i is NULL.
func (v *Vector) Null(i int) bool {
	return v.Valid != nil && v.Valid[i>>6]&(1<<(i&63)) == 0
}

// Chunk is some rows of a query's result: one Vector a column, all of Rows
// rows. It is valid only during the call that receives it.
type Chunk struct {
	Schema  *Schema
	Rows    int
	Columns []Vector
}

// Str is DuckDB's string_t: a length, then the bytes themselves when there are
// at most twelve, else a four-byte prefix and a pointer. It has no field of
// pointer type, because the garbage collector must not take inlined bytes for
// an address; look at it where it is, by pointer, and do not copy it.
type Str struct {
	Len  uint32
	rest [strInline]byte
}

// strInline is the longest value a Str holds in itself.
const strInline = 12

// Bytes is a view of the value; it is valid as long as the Chunk is.
func (s *Str) Bytes() []byte {
	if s.Len <= strInline {
		return s.rest[:s.Len]
	}
	return unsafe.Slice(*(**byte)(unsafe.Pointer(&s.rest[4])), s.Len)
}

// Inline is the length and bytes of a value that a Str holds in itself, zeros behind
// them; ok is false for a longer one.
func (s *Str) Inline() (head, tail uint64, ok bool) {
	if s.Len > strInline {
		return 0, 0, false
	}
	words, mask := (*[2]uint64)(unsafe.Pointer(s)), &inlineMasks[s.Len]
	return words[0] & mask[0], words[1] & mask[1], true
}

// inlineMasks are, by length, of the bytes of a Str that are in use.
var inlineMasks = func() (masks [strInline + 1][2]uint64) {
	for n := range masks {
		masks[n][0] = 1<<(8*min(4+n, 8)) - 1
		masks[n][1] = 1<<(8*max(n-4, 0)) - 1
	}
	return masks
}()

// ListEntry is DuckDB's list_entry_t: where a row's elements stand in the child.
type ListEntry struct {
	Offset, Len uint64
}
