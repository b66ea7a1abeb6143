package vec

import (
	"encoding/binary"
	"fmt"
	"math"
	"math/bits"
	"unsafe"
)

// toUUID turns DuckDB's order of bytes (a HUGEINT with its top bit flipped, so
// that it sorts) into the UUID's own.
func toUUID[I index](c *column, values [][2]uint64, rows []I, v *Vector, nulls int, holes bool) {
	for k := range values {
		if nulls > 0 && isNull(v, rows[k], holes) {
			continue
		}
		lo, hi := values[k][0], values[k][1]^1<<63
		values[k] = [2]uint64{bits.ReverseBytes64(hi), bits.ReverseBytes64(lo)}
	}
}

// nanosMax is the longest microseconds part that Arrow's nanoseconds hold.
const nanosMax = math.MaxInt64 / 1000

// beyondNanos reports whether there is an interval that Arrow's nanoseconds cannot hold.
func beyondNanos(values [][2]uint64) bool {
	for k := range values {
		if us := int64(values[k][1]); us > nanosMax || us < -nanosMax {
			return true
		}
	}
	return false
}

// toNanos turns intervals' microseconds into Arrow's nanoseconds.
func toNanos(b []byte) {
	for i := 8; i < len(b); i += 16 {
		binary.NativeEndian.PutUint64(b[i:], 1000*binary.NativeEndian.Uint64(b[i:]))
	}
}

// inside is c's list of rows for its children, with room for n.
func (c *column) inside(n int) []uint32 {
	if cap(c.idx) < n {
		c.idx = make([]uint32, 0, n+n/2)
	}
	return c.idx[:0]
}

func appendLists[I index](c *column, v *Vector, rows []I, nulls int, holes bool) error {
	lens, from := extend[uint32](c, &c.lens, len(rows)), values[ListEntry](v)
	child := &v.Children[0]
	total := uint64(0)
	for k, i := range rows {
		lens[k] = 0
		if nulls > 0 && isNull(v, i, holes) {
			continue
		}
		e := from[i]
		if !e.within(child) {
			return fmt.Errorf("list at %d of %d in a child of %d rows: %w", e.Offset, e.Len, child.Rows, ErrValue)
		}
		lens[k] = uint32(e.Len)
		c.most |= uint32(e.Len)
		total += e.Len
	}
	if c.total += int64(total); total > math.MaxInt32 || c.total > math.MaxInt32 {
		return fmt.Errorf("lists of %d elements together: %w", c.total, ErrValue)
	}
	idx := c.inside(int(total))
	for k, i := range rows {
		if n := lens[k]; n > 0 {
			at := uint32(from[i].Offset)
			for j := range n {
				idx = append(idx, at+j)
			}
		}
	}
	c.idx = idx
	return appendRows(&c.kids[0], child, idx, false, false)
}

func appendArrays[I index](c *column, v *Vector, rows []I, nulls int, holes bool) error {
	size := uint32(c.t.Size)
	if uint64(len(rows))*uint64(size) > math.MaxInt32 {
		return fmt.Errorf("arrays of %d elements: %w", size, ErrValue)
	}
	idx := c.inside(len(rows) * int(size))
	for _, i := range rows {
		null := nulls > 0 && isNull(v, i, holes)
		at := uint32(i) * size
		for j := range size {
			if null {
				idx = append(idx, hole[uint32]())
			} else {
				idx = append(idx, at+j)
			}
		}
	}
	c.idx = idx
	return appendRows(&c.kids[0], &v.Children[0], idx, false, nulls > 0)
}

// appendStructs appends each field's rows. Where the struct is NULL its fields
// are holes: what DuckDB left in them is not looked at.
func appendStructs[I index](c *column, v *Vector, rows []I, all bool, nulls int, holes bool) error {
	if nulls == 0 {
		for f := range c.kids {
			if err := appendRows(&c.kids[f], &v.Children[f], rows, all, false); err != nil {
				return fmt.Errorf("field %d: %w", f, err)
			}
		}
		return nil
	}
	idx := c.inside(len(rows))
	for _, i := range rows {
		if isNull(v, i, holes) {
			idx = append(idx, hole[uint32]())
		} else {
			idx = append(idx, uint32(i))
		}
	}
	c.idx = idx
	for f := range c.kids {
		if err := appendRows(&c.kids[f], &v.Children[f], idx, false, true); err != nil {
			return fmt.Errorf("field %d: %w", f, err)
		}
	}
	return nil
}

// NullUnion is the type id of a NULL union in blocks. Arrow's unions have no NULLs of
// their own: to Arrow's readers a NULL one is its first member, NULL, which another
// union may be too.
const NullUnion = 0x80

// appendUnions appends type ids and every member's rows; a member that is not
// the row's own is a hole there.
func appendUnions[I index](c *column, v *Vector, rows []I, nulls int, holes bool) error {
	ids, tags := extend[uint8](c, &c.data, len(rows)), &v.Children[0]
	from := unsafe.Slice((*uint8)(tags.Data), tags.Rows)
	for k, i := range rows {
		ids[k] = NullUnion
		if nulls > 0 && isNull(v, i, holes) || tags.Null(int(i)) {
			continue
		}
		if int(from[i]) >= len(c.kids) {
			return fmt.Errorf("union tag %d of %d: %w", from[i], len(c.kids), ErrValue)
		}
		ids[k] = from[i]
	}
	for m := range c.kids {
		idx := c.inside(len(rows))
		for k, i := range rows {
			if int(ids[k]) != m {
				idx = append(idx, hole[uint32]())
			} else {
				idx = append(idx, uint32(i))
			}
		}
		c.idx = idx
		if err := appendRows(&c.kids[m], &v.Children[m+1], idx, false, true); err != nil {
			return fmt.Errorf("member %d: %w", m, err)
		}
	}
	return nil
}

// PlainUnions makes type ids Arrow's: those of NULL unions become the first member's.
func PlainUnions(ids []byte, first uint8) {
	for i, id := range ids {
		if id == NullUnion {
			ids[i] = first
		}
	}
}

// depthMax bounds how deep types nest, so that recursion over them is bounded.
const depthMax = 64

// unionMax is how many members Arrow's type ids count.
const unionMax = 127

// Check reports the first column whose type cannot be carried.
func (s *Schema) Check() error {
	for _, f := range s.Fields {
		if err := f.Type.check(0); err != nil {
			return fmt.Errorf("vec: column %q (%s): %w", f.Name, f.Type.SQL, err)
		}
	}
	return nil
}

func (t *Type) check(depth int) error {
	if depth > depthMax {
		return fmt.Errorf("nested deeper than %d: %w", depthMax, ErrValue)
	}
	n := len(t.Fields)
	ok := true
	switch t.Kind {
	case Decimal:
		ok = t.Storage == 2 || t.Storage == 4 || t.Storage == 8 || t.Storage == 16
	case Enum:
		ok = t.Storage == 1 || t.Storage == 2 || t.Storage == 4
	case List:
		ok = n == 1
	case Array:
		ok = n == 1 && t.Size > 0 && t.Size <= math.MaxInt32
	case Map:
		ok = n == 2
	case Struct:
		ok = n > 0
	case Union:
		ok = n > 0 && n <= unionMax
	default:
		ok = flatTypes[t.Kind] != nil
	}
	if !ok {
		return fmt.Errorf("kind %d, storage %d, size %d, %d fields: %w", t.Kind, t.Storage, t.Size, n, ErrValue)
	}
	for _, f := range t.Fields {
		if err := f.Type.check(depth + 1); err != nil {
			return err
		}
	}
	return nil
}
