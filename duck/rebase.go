//go:build duckdb_arrow

package duck

import (
	"encoding/binary"

	"github.com/apache/arrow-go/v18/arrow"
	"github.com/apache/arrow-go/v18/arrow/array"
	"github.com/apache/arrow-go/v18/arrow/bitutil"
	"github.com/apache/arrow-go/v18/arrow/memory"

	"github.com/pondmesh/pond/duck/vec"
)

// DuckDB reads the tags of an Arrow union from their start, whatever the offset
// of the array or of its parents. So columns with a union in them go in by at most
// vec.MaxRows rows, moved to offset 0 all the way down to the union. It also
// forgets the offset of a struct when it reads a struct in it: in a batch that is
// a slice those are moved too.

// hasUnion reports whether a union stands in t.
func hasUnion(t arrow.DataType) bool {
	switch t := t.(type) {
	case arrow.UnionType:
		return true
	case arrow.ExtensionType:
		return hasUnion(t.StorageType())
	case arrow.NestedType:
		for _, f := range t.Fields() {
			if hasUnion(f.Type) {
				return true
			}
		}
	}
	return false
}

// isStruct reports whether t is a struct.
func isStruct(t arrow.DataType) bool {
	_, ok := storage(t).(*arrow.StructType)
	return ok
}

// slicedStructs reports whether a column of batch is a struct with a struct in
// it, and does not begin at its first row.
func slicedStructs(batch arrow.RecordBatch) bool {
	for _, c := range batch.Columns() {
		if c.Data().Offset() == 0 || !isStruct(c.DataType()) {
			continue
		}
		for _, f := range storage(c.DataType()).(*arrow.StructType).Fields() {
			if isStruct(f.Type) {
				return true
			}
		}
	}
	return false
}

// rebase is rows from to from+n of d, at offset 0 where it is a struct or a union
// may be below.
// The caller releases it.
func rebase(d arrow.ArrayData, from, n int) arrow.ArrayData {
	if !hasUnion(d.DataType()) && !isStruct(d.DataType()) {
		return array.NewSliceData(d, int64(from), int64(from+n))
	}
	at := d.Offset() + from
	b := d.Buffers()
	switch t := storage(d.DataType()).(type) {
	case *arrow.SparseUnionType:
		return remake(d, n, []*memory.Buffer{nil, window(b[1], at, n)}, at, n)
	case *arrow.DenseUnionType:
		whole := make([]arrow.ArrayData, len(d.Children()))
		copy(whole, d.Children())
		return array.NewData(d.DataType(), n, []*memory.Buffer{nil, window(b[1], at, n), window(b[2], 4*at, 4*n)}, whole, 0, 0)
	case *arrow.StructType:
		return remake(d, n, []*memory.Buffer{bitmap(b[0], at, n)}, at, n)
	case *arrow.FixedSizeListType:
		size := int(t.Len())
		return remake(d, n, []*memory.Buffer{bitmap(b[0], at, n)}, at*size, n*size)
	case *arrow.ListType, *arrow.MapType:
		offsets, first, length := offsets32(b[1], at, n)
		return remake(d, n, []*memory.Buffer{bitmap(b[0], at, n), offsets}, first, length)
	}
	return array.NewSliceData(d, int64(from), int64(from+n)) // large lists and views of unions: as they are
}

// remake is d's type over buffers, with rows from to from+length of its children.
func remake(d arrow.ArrayData, n int, buffers []*memory.Buffer, from, length int) arrow.ArrayData {
	children := make([]arrow.ArrayData, len(d.Children()))
	for i, c := range d.Children() {
		children[i] = rebase(c, from, length)
		defer children[i].Release()
	}
	return array.NewData(d.DataType(), n, buffers, children, array.UnknownNullCount, 0)
}

// window is n bytes of b.
func window(b *memory.Buffer, from, n int) *memory.Buffer {
	return memory.NewBufferBytes(b.Bytes()[from : from+n])
}

// bitmap is n bits of b, from the bit from on.
func bitmap(b *memory.Buffer, from, n int) *memory.Buffer {
	if b == nil || b.Len() == 0 {
		return nil
	}
	out := make([]byte, bitutil.BytesForBits(int64(n)))
	bitutil.CopyBitmap(b.Bytes(), from, n, out, 0)
	return memory.NewBufferBytes(out)
}

// offsets32 are the n+1 offsets of a list's rows, made to begin at 0, and the
// elements they span.
func offsets32(b *memory.Buffer, at, n int) (offsets *memory.Buffer, first, length int) {
	if n == 0 {
		return memory.NewBufferBytes(make([]byte, 4)), 0, 0
	}
	in, out := b.Bytes()[4*at:], make([]byte, 4*(n+1))
	base := binary.LittleEndian.Uint32(in)
	for i := 0; i <= n; i++ {
		binary.LittleEndian.PutUint32(out[4*i:], binary.LittleEndian.Uint32(in[4*i:])-base)
	}
	return memory.NewBufferBytes(out), int(base), int(binary.LittleEndian.Uint32(out[4*n:]))
}

// rebased are the next rows of batch from row from on, and how many they are.
func rebased(batch arrow.RecordBatch, from int) ([]arrow.ArrayData, int) {
	n := min(vec.MaxRows, int(batch.NumRows())-from)
	columns := make([]arrow.ArrayData, batch.NumCols())
	for i := range columns {
		columns[i] = rebase(batch.Column(i).Data(), from, n)
	}
	return columns, n
}
