package shuffle

import (
	"encoding/binary"
	"errors"
	"fmt"

	"github.com/apache/arrow-go/v18/arrow"
	"github.com/apache/arrow-go/v18/arrow/bitutil"
	"github.com/apache/arrow-go/v18/arrow/memory"
	"github.com/pondmesh/pond/duck/vec"
)

// DefaultBlockBytes is the raw size at which a block is full.
const DefaultBlockBytes = 256 << 10

// EncodeBatch appends rec's rows to dst as blocks: one, or as many of about
// blockBytes raw (0: the default) as they take. It returns dst and how many
// rows and raw bytes the blocks hold; Offset stays 0. Batches of Go functions
// and literals in the plan become blocks this way. Dictionary-encoded, view and
// run-end-encoded arrays are refused.
func EncodeBatch(dst []byte, rec arrow.RecordBatch, codec Codec, blockBytes int) (blocks []byte, sum Extent, err error) {
	l, err := newLayout(rec.Schema())
	if err != nil {
		return dst, Extent{}, err
	}
	defer func() { // a function's array may be shorter than its length says
		if p := recover(); p != nil {
			blocks, sum, err = dst, Extent{}, fmt.Errorf("shuffle: encode: invalid batch: %v", p)
		}
	}()
	if blockBytes <= 0 {
		blockBytes = DefaultBlockBytes
	}
	e := &batchEncoder{encoder: encoder{layout: l, codec: codec}, rec: rec, target: blockBytes}
	out := dst
	err = e.each(func(block []byte, rows, raw int) error {
		out = append(out, block...)
		sum.Length += int64(len(block))
		sum.Rows += int64(rows)
		sum.Raw += int64(raw)
		return nil
	})
	if err != nil {
		return dst, Extent{}, err
	}
	return out, sum, nil
}

// batchEncoder cuts a batch into blocks.
type batchEncoder struct {
	encoder
	rec     arrow.RecordBatch
	target  int
	out     []byte
	scratch vec.Part
	lengths []uint32
}

// each calls emit with every block, valid during the call.
func (e *batchEncoder) each(emit func(block []byte, rows, raw int) error) error {
	return e.rows(0, int(e.rec.NumRows()), emit)
}

// rows makes blocks of n rows from row at on. Too large a piece is halved.
func (e *batchEncoder) rows(at, n int, emit func(block []byte, rows, raw int) error) error {
	if n == 0 {
		return nil
	}
	err := e.payload(n, func(yield func(*vec.Part) bool) { e.parts(at, n, yield) })
	if n > 1 && (errors.Is(err, ErrLimit) || err == nil && len(e.raw) > e.target+e.target/4) {
		if err := e.rows(at, n/2, emit); err != nil {
			return err
		}
		return e.rows(at+n/2, n-n/2, emit)
	}
	if err != nil {
		return err
	}
	if e.out, err = e.seal(e.out[:0], n); err != nil {
		return err
	}
	return emit(e.out, n, len(e.raw))
}

// parts yields the arrays of n rows from row at on.
func (e *batchEncoder) parts(at, n int, yield func(*vec.Part) bool) {
	for i, s := range e.layout.columns {
		if !e.part(s, e.rec.Column(i).Data(), at, n, yield) {
			return
		}
	}
}

func (e *batchEncoder) part(s *shape, d arrow.ArrayData, at, n int, yield func(*vec.Part) bool) bool {
	at += d.Offset()
	p := &e.scratch
	*p = vec.Part{Rows: n}
	if n > 0 && s.form != formNull && s.form != formUnion && d.NullN() != 0 && d.Buffers()[0] != nil {
		p.Valid = cut(d.Buffers()[0], at, n)
		p.Nulls = n - ones(p.Valid, n)
	}
	inAt, inN := at, n
	switch {
	case n == 0:
		inAt, inN = 0, 0
	case s.form == formBits:
		p.Data = cut(d.Buffers()[1], at, n)
	case s.form == formFixed || s.form == formUnion:
		w := max(s.width, 1)
		p.Data = d.Buffers()[1].Bytes()[at*w : (at+n)*w]
	case s.form == formBytes || s.form == formList:
		inAt, inN = e.lens(p, s, d.Buffers()[1], at, n)
		if s.form == formBytes && inN > 0 {
			p.Data = d.Buffers()[2].Bytes()[inAt : inAt+inN]
		}
	case s.form == formArray:
		inAt, inN = at*s.width, n*s.width
	}
	if !yield(p) {
		return false
	}
	for i, kid := range s.kids {
		if !e.part(kid, d.Children()[i], inAt, inN, yield) {
			return false
		}
	}
	return true
}

// cut copies n bits from bit at on to the start of fresh bytes.
func cut(b *memory.Buffer, at, n int) []byte {
	out := make([]byte, (n+7)/8)
	bitutil.CopyBitmap(b.Bytes(), at, n, out, 0)
	return out
}

// lens sets p's lengths from Arrow's offsets and returns where the bytes or
// elements start and how many they are.
func (e *batchEncoder) lens(p *vec.Part, s *shape, b *memory.Buffer, at, n int) (start, size int) {
	if cap(e.lengths) < n {
		e.lengths = make([]uint32, n)
	}
	p.Lengths = e.lengths[:n]
	offset := func(i int) int {
		if s.wide {
			return int(binary.LittleEndian.Uint64(b.Bytes()[8*i:]))
		}
		return int(binary.LittleEndian.Uint32(b.Bytes()[4*i:]))
	}
	start = offset(at)
	last := start
	for i := range p.Lengths {
		next := offset(at + i + 1)
		p.Lengths[i] = uint32(next - last)
		p.MaxLength |= uint32(next - last)
		last = next
	}
	return start, last - start
}
