package shuffle

import (
	"encoding/binary"
	"fmt"
	"math"
	"math/bits"
	"slices"
	"unsafe"

	"github.com/apache/arrow-go/v18/arrow"
	"github.com/apache/arrow-go/v18/arrow/array"
	"github.com/apache/arrow-go/v18/arrow/memory"

	"github.com/pondmesh/pond/duck/vec"
)

// Limits bound what decoding one block may take. Zero means the most that a
// writer produces.
type Limits struct {
	Rows  int   // rows of the batch
	Bytes int64 // memory taken from the allocator
}

// Decoder decodes blocks of one schema. It is safe for concurrent use.
type Decoder struct {
	layout *layout
	schema *arrow.Schema // of the batches
	pick   []int         // their columns
	mem    memory.Allocator
	lim    Limits
	marks  bool // NULL unions keep vec.NullUnion
}

// NewDecoder makes a decoder whose batches lie in memory from mem: a C
// allocator, or a [vec.Pool] over one, when DuckDB is to read them.
func NewDecoder(schema *arrow.Schema, mem memory.Allocator, lim Limits) (*Decoder, error) {
	l, err := newLayout(schema)
	if err != nil {
		return nil, err
	}
	if lim.Rows == 0 {
		lim.Rows = MaxBlockRows
	}
	if lim.Bytes == 0 {
		lim.Bytes = 8 * MaxBlockRaw
	}
	d := &Decoder{layout: l, schema: schema, mem: mem, lim: lim}
	for i := range schema.NumFields() {
		d.pick = append(d.pick, i)
	}
	return d, nil
}

// Intake decodes the same blocks into batches of some of their columns, in that
// order, for DuckDB: the type ids of their NULL unions are [vec.NullUnion], which is
// not Arrow's. Of no columns only the numbers of rows are read.
func (d *Decoder) Intake(columns []int) *Decoder {
	fields := make([]arrow.Field, len(columns))
	for i, c := range columns {
		fields[i] = d.layout.schema.Field(c)
	}
	return &Decoder{layout: d.layout, schema: arrow.NewSchema(fields, nil), pick: columns, mem: d.mem, lim: d.lim, marks: true}
}

// Decode turns one block into a batch, which the caller releases. Everything is
// verified first: checksums, sizes against the limits before memory is taken,
// lengths before they are used. Text is not checked to be UTF-8: it is as the
// writer received it. The batch's arrays share one or two buffers; none is part
// of block.
func (d *Decoder) Decode(block []byte) (arrow.RecordBatch, error) {
	h, err := ParseBlockHeader(block)
	if err != nil {
		return nil, err
	}
	body := block[BlockHeaderLen:]
	if len(body) != h.Encoded {
		return nil, fmt.Errorf("shuffle: decode: block of %d bytes, header says %d: %w", len(block), BlockHeaderLen+h.Encoded, ErrCorrupt)
	}
	if checksum(body) != h.Checksum {
		return nil, fmt.Errorf("shuffle: decode: payload checksum differs: %w", ErrCorrupt)
	}
	if h.Layout != d.layout.sum {
		return nil, fmt.Errorf("shuffle: decode: block of another schema than %s: %w", d.layout.schema, ErrCorrupt)
	}
	if h.Rows > d.lim.Rows || int64(h.Raw) > d.lim.Bytes {
		return nil, fmt.Errorf("shuffle: decode: %d rows, %d bytes, allowed %d and %d: %w", h.Rows, h.Raw, d.lim.Rows, d.lim.Bytes, ErrLimit)
	}
	if len(d.pick) == 0 {
		return array.NewRecordBatch(d.schema, nil, int64(h.Rows)), nil
	}
	raw := buffer(d.mem, h.Raw)
	defer raw.Release()
	if err := decompress(raw.Bytes(), body, h.Codec); err != nil {
		return nil, fmt.Errorf("shuffle: decode: %s payload: %w: %w", h.Codec, err, ErrCorrupt)
	}
	return d.batch(raw, h.Rows)
}

// Decode is [Decoder.Decode] for one block.
func Decode(block []byte, schema *arrow.Schema, mem memory.Allocator, lim Limits) (arrow.RecordBatch, error) {
	d, err := NewDecoder(schema, mem, lim)
	if err != nil {
		return nil, err
	}
	return d.Decode(block)
}

func buffer(mem memory.Allocator, n int) *memory.Buffer {
	b := memory.NewBufferWithAllocator(mem.Allocate(n), mem)
	b.ResizeNoShrink(n)
	return b
}

// batch makes the arrays over a decoded payload: a first pass checks every
// part and adds up what offsets take, a second builds.
func (d *Decoder) batch(raw *memory.Buffer, rows int) (arrow.RecordBatch, error) {
	r := reader{raw: raw.Bytes(), at: padded(int64(d.layout.parts))}
	if r.at > int64(len(r.raw)) {
		return nil, fmt.Errorf("shuffle: decode: payload of %d bytes for %d arrays: %w", len(r.raw), d.layout.parts, ErrCorrupt)
	}
	first := make([]int, len(d.layout.columns)) // part of each column
	for i, s := range d.layout.columns {
		first[i] = len(r.found)
		r.unread = !slices.Contains(d.pick, i)
		if err := r.check(s, int64(rows)); err != nil {
			return nil, fmt.Errorf("shuffle: decode: column %q: %w: %w", d.layout.schema.Field(i).Name, err, ErrCorrupt)
		}
	}
	if r.at != int64(len(r.raw)) {
		return nil, fmt.Errorf("shuffle: decode: %d bytes after the last array: %w", int64(len(r.raw))-r.at, ErrCorrupt)
	}
	if r.offsets > d.lim.Bytes-int64(len(r.raw)) {
		return nil, fmt.Errorf("shuffle: decode: offsets of %d bytes: %w", r.offsets, ErrLimit)
	}
	b := assembler{raw: raw, marks: d.marks}
	if r.offsets > 0 {
		b.offs = buffer(d.mem, int(r.offsets))
		defer b.offs.Release()
	}
	columns := make([]arrow.Array, len(d.pick))
	for i, c := range d.pick {
		b.found = r.found[first[c]:]
		data := b.array(d.layout.columns[c])
		columns[i] = array.MakeFromData(data)
		data.Release()
	}
	rec := array.NewRecordBatch(d.schema, columns, int64(rows))
	for _, c := range columns {
		c.Release()
	}
	return rec, nil
}

// found is where the first pass found a part.
type found struct {
	rows, sum           int64
	nulls               int
	valid, lengths, dat int64 // where they start; valid: -1 when there is none
	size                int64 // of data
	code                byte  // of lengths
	packed              byte  // of values
}

// reader is the first pass over a payload.
type reader struct {
	raw     []byte
	at      int64
	found   []found
	offsets int64 // bytes that Arrow's offsets and unpacked values will take
	unread  bool  // the column will not be built
}

var (
	errShort = fmt.Errorf("array exceeds the payload")
	errFlags = fmt.Errorf("flags do not fit the type")
	errLong  = fmt.Errorf("lengths exceed 32 bits")
	errNull  = fmt.Errorf("NULL where none may be")
	errTag   = fmt.Errorf("unknown union type id")
)

// take is where the next n bytes start; the padding after them is passed over.
func (r *reader) take(n int64) (int64, error) {
	at := r.at
	if n < 0 || padded(n) > int64(len(r.raw))-at {
		return 0, errShort
	}
	r.at += padded(n)
	return at, nil
}

// check finds one array of rows rows and those inside it, and verifies them.
func (r *reader) check(s *shape, rows int64) (err error) {
	if rows > math.MaxInt32 {
		return errLong
	}
	flags := r.raw[len(r.found)]
	f := found{rows: rows, valid: -1, code: flags >> 1 & 3, packed: flags >> 3}
	if (f.code != 0) != (rows > 0 && (s.form == formBytes || s.form == formList)) || !s.packs(f.packed) {
		return errFlags
	}
	if flags&1 != 0 {
		if s.form == formNull || s.form == formUnion {
			return errFlags
		}
		if f.valid, err = r.take((rows + 7) / 8); err != nil {
			return err
		}
		f.nulls = int(rows) - ones(r.raw[f.valid:], int(rows))
		if f.nulls > 0 && s.whole {
			return errNull
		}
	}
	switch s.form {
	case formNull:
		f.nulls = int(rows)
	case formBits:
		f.size = (rows + 7) / 8
	case formFixed:
		f.size = rows * int64(s.width)
		if f.packed != 0 {
			if !r.unread {
				r.offsets += padded(f.size)
			}
			f.size = packHead + rows*packedWidths[f.packed]
		}
	case formUnion:
		f.size = rows
	case formBytes, formList:
		if f.lengths, err = r.take(rows * lengthWidths[f.code]); err != nil {
			return err
		}
		if f.sum = sum(r.raw[f.lengths:], rows, f.code); f.sum > math.MaxInt32 {
			return errLong
		}
		if !r.unread {
			r.offsets += padded((rows + 1) * offsetWidth(s))
		}
		if s.form == formBytes {
			f.size = f.sum
		}
	}
	if f.dat, err = r.take(f.size); err != nil {
		return err
	}
	if s.form == formUnion && !known(&s.codes, r.raw[f.dat:f.dat+rows]) {
		return errTag
	}
	r.found = append(r.found, f)
	for _, kid := range s.kids {
		if err := r.check(kid, inside(s, &f)); err != nil {
			return err
		}
	}
	return nil
}

// inside is how many rows the arrays inside one of shape s have.
func inside(s *shape, f *found) int64 {
	switch s.form {
	case formList:
		return f.sum
	case formArray:
		return f.rows * int64(s.width)
	}
	return f.rows
}

func offsetWidth(s *shape) int64 {
	if s.wide {
		return 8
	}
	return 4
}

// ones counts the set bits among the first n.
func ones(b []byte, n int) int {
	count, i := 0, 0
	for ; i+64 <= n; i += 64 {
		count += bits.OnesCount64(binary.LittleEndian.Uint64(b[i/8:]))
	}
	for ; i < n; i++ {
		count += int(b[i>>3] >> (i & 7) & 1)
	}
	return count
}

// sum adds up the first n lengths.
func sum(b []byte, n int64, code byte) int64 {
	total := int64(0)
	switch code {
	case 1:
		for _, v := range b[:n] {
			total += int64(v)
		}
	case 2:
		for i := range n {
			total += int64(binary.LittleEndian.Uint16(b[2*i:]))
		}
	case 3:
		for i := range n {
			total += int64(binary.LittleEndian.Uint32(b[4*i:]))
		}
	}
	return total
}

func known(codes *[128]bool, ids []byte) bool {
	for _, id := range ids {
		if id != vec.NullUnion && (id > 127 || !codes[id]) {
			return false
		}
	}
	return true
}

// assembler is the second pass: it makes arrays of the parts that the first found.
type assembler struct {
	raw, offs *memory.Buffer
	found     []found
	at        int64 // in offs
	marks     bool
}

func (b *assembler) array(s *shape) *array.Data {
	f := b.found[0]
	b.found = b.found[1:]
	var buffers [3]*memory.Buffer
	n := 1
	if f.valid >= 0 && f.nulls > 0 {
		buffers[0] = memory.SliceBuffer(b.raw, int(f.valid), int(f.rows+7)/8)
	}
	switch s.form {
	case formBits, formFixed, formUnion:
		if f.packed != 0 {
			buffers[1] = b.values(s, &f)
		} else {
			buffers[1] = memory.SliceBuffer(b.raw, int(f.dat), int(f.size))
		}
		if s.form == formUnion && !b.marks {
			vec.PlainUnions(buffers[1].Bytes(), s.first)
		}
		n = 2
	case formBytes:
		buffers[1] = b.offsets(s, &f)
		buffers[2] = memory.SliceBuffer(b.raw, int(f.dat), int(f.size))
		n = 3
	case formList:
		buffers[1] = b.offsets(s, &f)
		n = 2
	}
	kids := make([]arrow.ArrayData, len(s.kids))
	for i, kid := range s.kids {
		kids[i] = b.array(kid)
	}
	out := array.NewData(s.dt, int(f.rows), buffers[:n], kids, f.nulls, 0)
	for _, x := range buffers {
		if x != nil {
			x.Release()
		}
	}
	for _, k := range kids {
		k.Release()
	}
	return out
}

// values writes f's values as they were before they were packed.
func (b *assembler) values(s *shape, f *found) *memory.Buffer {
	size, at := f.rows*int64(s.width), b.at
	b.at += padded(size)
	unpack(b.offs.Bytes()[at:at+size], s.width, b.raw.Bytes()[f.dat:f.dat+f.size], f.packed, int(f.rows))
	return memory.SliceBuffer(b.offs, int(at), int(size))
}

// offsets writes Arrow's offsets for f's lengths.
func (b *assembler) offsets(s *shape, f *found) *memory.Buffer {
	size := (f.rows + 1) * offsetWidth(s)
	at := b.at
	b.at += padded(size)
	to := b.offs.Bytes()[at : at+size]
	from := b.raw.Bytes()[f.lengths:]
	if s.wide {
		addUp(unsafe.Slice((*int64)(unsafe.Pointer(&to[0])), f.rows+1), from, f.code)
	} else {
		addUp(unsafe.Slice((*int32)(unsafe.Pointer(&to[0])), f.rows+1), from, f.code)
	}
	return memory.SliceBuffer(b.offs, int(at), int(size))
}

func addUp[T int32 | int64](to []T, from []byte, code byte) {
	total, n := T(0), len(to)-1
	to[0] = 0
	switch code {
	case 1:
		for i, v := range from[:n] {
			total += T(v)
			to[i+1] = total
		}
	case 2:
		for i := range n {
			total += T(binary.LittleEndian.Uint16(from[2*i:]))
			to[i+1] = total
		}
	case 3:
		for i := range n {
			total += T(binary.LittleEndian.Uint32(from[4*i:]))
			to[i+1] = total
		}
	}
}
