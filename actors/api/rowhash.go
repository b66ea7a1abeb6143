package api

import (
	"encoding/binary"
	"math/bits"

	"github.com/apache/arrow-go/v18/arrow"
	"github.com/apache/arrow-go/v18/arrow/array"
	"github.com/zeebo/xxh3"
)

// rowHashes appends a hash of each row of a batch. Equal rows of equal columns hash
// alike, however they are dealt into batches; it is never stored or sent.
func rowHashes(into []uint64, rec arrow.RecordBatch) []uint64 {
	first := len(into)
	for range rec.NumRows() {
		into = append(into, uint64(rec.NumCols()))
	}
	rows := into[first:]
	for c, a := range rec.Columns() {
		hashColumn(rows, a, uint64(c))
	}
	return into
}

// hashColumn folds a column into the rows' hashes.
func hashColumn(rows []uint64, a arrow.Array, seed uint64) {
	if n, values := fixedWidth(a); n == 8 && a.NullN() == 0 {
		for i := range rows {
			rows[i] = foldHash(rows[i], mix64(binary.LittleEndian.Uint64(values[8*i:])+seed))
		}
		return
	}
	value := valueHash(a, seed)
	for i := range rows {
		h := ^seed
		if a.IsValid(i) {
			h = value(i)
		}
		rows[i] = foldHash(rows[i], h)
	}
}

func foldHash(row, h uint64) uint64 { return bits.RotateLeft64(row, 23)*0x9e3779b97f4a7c15 ^ h }

// mix64 is a bijection.
func mix64(x uint64) uint64 {
	x ^= x >> 30
	x *= 0xbf58476d1ce4e5b9
	x ^= x >> 27
	x *= 0x94d049bb133111eb
	return x ^ x>>31
}

// fixedWidth is the bytes of a value and the values, where each has as many; 0: they
// have not.
func fixedWidth(a arrow.Array) (int, []byte) {
	t := a.DataType()
	width, fixed := t.(arrow.FixedWidthDataType)
	_, nested := t.(arrow.NestedType)
	bufs := a.Data().Buffers()
	if !fixed || nested || t.ID() == arrow.DICTIONARY || width.BitWidth()%8 != 0 || len(bufs) != 2 || bufs[1] == nil {
		return 0, nil
	}
	n := width.BitWidth() / 8
	return n, bufs[1].Bytes()[a.Data().Offset()*n:]
}

// valueHash hashes the values of a column: by their bytes, or their text where they
// are nested.
func valueHash(a arrow.Array, seed uint64) func(i int) uint64 {
	switch a := a.(type) {
	case *array.String:
		return func(i int) uint64 { return xxh3.HashStringSeed(a.Value(i), seed) }
	case *array.LargeString:
		return func(i int) uint64 { return xxh3.HashStringSeed(a.Value(i), seed) }
	case *array.Binary:
		return func(i int) uint64 { return xxh3.HashSeed(a.Value(i), seed) }
	case *array.LargeBinary:
		return func(i int) uint64 { return xxh3.HashSeed(a.Value(i), seed) }
	}
	if n, values := fixedWidth(a); n == 8 {
		return func(i int) uint64 { return mix64(binary.LittleEndian.Uint64(values[8*i:]) + seed) } // as hashColumn
	} else if n > 0 {
		return func(i int) uint64 { return xxh3.HashSeed(values[i*n:(i+1)*n], seed) }
	}
	return func(i int) uint64 { return xxh3.HashStringSeed(a.ValueStr(i), seed) }
}

// tally sums up rows, in whatever order they come.
type tally struct {
	rows     int64
	sum, xor uint64
}

func (t *tally) add(hashes []uint64) {
	t.rows += int64(len(hashes))
	for _, h := range hashes {
		h = mix64(h)
		t.sum += h
		t.xor ^= bits.RotateLeft64(h, int(h&63))
	}
}
