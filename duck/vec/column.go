package vec

import (
	"slices"
	"unsafe"

	"github.com/apache/arrow-go/v18/arrow"
	"github.com/apache/arrow-go/v18/arrow/array"
	"github.com/apache/arrow-go/v18/arrow/memory"
)

// store is where a builder's buffers come from, and how much it has taken.
type store struct {
	mem      memory.Allocator
	reserved int64
}

// buffer is bytes that grow: b is all there are, n of them in use. Its bytes
// beyond n may hold anything.
type buffer struct {
	b []byte
	n int
}

// bufferMin is the least a buffer takes. Thousands of partitions with a few
// rows each must stay small.
const bufferMin = 64

// grow makes room for extra more bytes.
func (x *buffer) grow(s *store, extra int) {
	if len(x.b)-x.n >= extra {
		return
	}
	size := max(bufferMin, len(x.b))
	for size < x.n+extra {
		size *= 2
	}
	s.reserved += int64(size - len(x.b))
	next := s.mem.Allocate(size)
	copy(next, x.b[:x.n])
	if x.b != nil {
		s.mem.Free(x.b)
	}
	x.b = next
}

func (x *buffer) release(s *store) {
	if x.b != nil {
		s.reserved -= int64(len(x.b))
		s.mem.Free(x.b)
	}
	*x = buffer{}
}

// take gives the bytes away as an Arrow buffer of length n; nil when there are
// none.
func (x *buffer) take(s *store) *memory.Buffer {
	if x.b == nil {
		return nil
	}
	s.reserved -= int64(len(x.b))
	out := memory.NewBufferWithAllocator(x.b, s.mem)
	out.ResizeNoShrink(x.n)
	*x = buffer{}
	return out
}

// column is one Arrow array under construction: a builder's column or an array
// inside one.
type column struct {
	t     *Type
	store *store
	rows  int
	nulls int
	total int64  // strings, lists: sum of lengths
	most  uint32 // strings, lists: a bound on lengths
	valid buffer // a bit a row; empty until the first NULL
	data  buffer // fixed-width values, bits, strings' bytes, type ids
	lens  buffer // strings, lists: a uint32 a row
	idx   []uint32
	words []uint64 // validity of the rows being appended; see validWords
	kids  []column
	far   bool // there is an interval that Arrow's nanoseconds cannot hold
}

func (c *column) init(t *Type, s *store) {
	c.t, c.store = t, s
	fields := t.Fields
	switch t.Kind {
	case Map: // its one child is a struct of key and value
		fields = []Field{{Type: &Type{Kind: Struct, Fields: t.Fields}}}
	case List, Array, Struct, Union:
	default:
		return
	}
	c.kids = make([]column, len(fields))
	for i, f := range fields {
		c.kids[i].init(f.Type, s)
	}
}

func (c *column) reset() {
	c.rows, c.nulls, c.total, c.most, c.far = 0, 0, 0, 0, false
	c.valid.n, c.data.n, c.lens.n = 0, 0, 0
	for i := range c.kids {
		c.kids[i].reset()
	}
}

func (c *column) release() {
	c.reset()
	c.valid.release(c.store)
	c.data.release(c.store)
	c.lens.release(c.store)
	c.idx = nil
	for i := range c.kids {
		c.kids[i].release()
	}
}

func (c *column) bytes() int64 {
	n := int64(c.valid.n + c.data.n + c.lens.n)
	for i := range c.kids {
		n += c.kids[i].bytes()
	}
	return n
}

func (c *column) parts(p *Part, yield func(*Part) bool) bool {
	*p = Part{Rows: c.rows, Nulls: c.nulls, MaxLength: c.most, Data: c.data.b[:c.data.n]}
	if c.nulls > 0 {
		p.Valid = c.valid.b[:c.valid.n]
	}
	if c.lens.n > 0 {
		p.Lengths = unsafe.Slice((*uint32)(unsafe.Pointer(&c.lens.b[0])), c.lens.n/4)
	}
	if !yield(p) {
		return false
	}
	for i := range c.kids {
		if !c.kids[i].parts(p, yield) {
			return false
		}
	}
	return true
}

// plain reports whether Arrow can hold all values.
func (c *column) plain() bool {
	return !c.far && !slices.ContainsFunc(c.kids, func(k column) bool { return !k.plain() })
}

// take gives the rows away as an array of type dt and leaves the column empty.
func (c *column) take(dt arrow.DataType) *array.Data {
	rows, nulls := c.rows, c.nulls
	var valid *memory.Buffer
	if nulls > 0 {
		valid = c.valid.take(c.store)
	}
	buffers := []*memory.Buffer{valid}
	switch c.t.Kind {
	case Null, Struct, Array:
	case String, Blob, Bit, BigNum, Geometry, Enum, TimeNS:
		buffers = append(buffers, c.offsets(), c.data.take(c.store))
	case List, Map:
		buffers = append(buffers, c.offsets())
	case Interval:
		toNanos(c.data.b[:c.data.n])
		buffers = append(buffers, c.data.take(c.store))
	case Union:
		PlainUnions(c.data.b[:c.data.n], 0)
		buffers = append(buffers, c.data.take(c.store))
	default:
		buffers = append(buffers, c.data.take(c.store))
	}
	kids := make([]arrow.ArrayData, len(c.kids))
	for i, kid := range insides(dt) {
		kids[i] = c.kids[i].take(kid)
	}
	if c.t.Kind == Null {
		nulls = rows
	}
	c.reset()
	out := array.NewData(dt, rows, buffers, kids, nulls, 0)
	for _, b := range buffers {
		if b != nil {
			b.Release()
		}
	}
	for _, k := range kids {
		k.Release()
	}
	return out
}

// offsets turns the lengths into Arrow's offsets.
func (c *column) offsets() *memory.Buffer {
	c.lens.grow(c.store, 4)
	c.lens.n += 4
	at := unsafe.Slice((*uint32)(unsafe.Pointer(&c.lens.b[0])), c.rows+1)
	sum := uint32(0)
	for i := range c.rows {
		n := at[i]
		at[i] = sum
		sum += n
	}
	at[c.rows] = sum
	return c.lens.take(c.store)
}

// insides is the types of the arrays inside one of type dt.
func insides(dt arrow.DataType) []arrow.DataType {
	nested, ok := dt.(arrow.NestedType)
	if !ok {
		return nil
	}
	fields := nested.Fields()
	if m, ok := dt.(*arrow.MapType); ok {
		return []arrow.DataType{m.Elem()}
	}
	out := make([]arrow.DataType, len(fields))
	for i, f := range fields {
		out[i] = f.Type
	}
	return out
}
