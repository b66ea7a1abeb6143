package shuffle

import (
	"fmt"

	"github.com/pondmesh/pond/duck/vec"
)

// A segment's sum tells whether a task that runs again made the same rows: each row
// is hashed with its partition, and the hashes are added up, so that neither order,
// nor threads, nor blocks count, and equal rows count as often as they come. Unlike
// the hash that partitions (hash.go), this one covers the bits of every value: where
// two rows differ in anything, so does the sum. It is compared between attempts at
// one task, and need not be the same in another version.

// stir adds 64 bits to a row's hash: for each h a bijection of x, and the reverse.
func stir(h, x uint64) uint64 {
	h = (h ^ x) * golden
	return h ^ h>>32
}

// stirNull adds a NULL.
func stirNull(h uint64) uint64 { return stir(^h, saltNull) }

// addUp adds the rows of c, which go to the partitions to, to the lane's sum.
func (l *lane) addUp(c *vec.Chunk, to []uint32) error {
	h := l.hashes[:c.Rows]
	if to == nil {
		for i := range h {
			h[i] = saltNested
		}
	}
	for i, p := range to {
		h[i] = saltNested + uint64(p)*golden
	}
	if l.w.c.Ordered {
		first := l.w.appended.Add(int64(c.Rows)) - int64(c.Rows)
		for i := range h {
			h[i] = stir(h[i], uint64(first)+uint64(i))
		}
	}
	for k := l.w.c.Keys; k < len(c.Columns); k++ {
		v := &c.Columns[k]
		if v.Rows < c.Rows {
			return fmt.Errorf("shuffle: sum: column %d has %d rows of %d", k, v.Rows, c.Rows)
		}
		if err := stirColumn(h, v); err != nil {
			return fmt.Errorf("shuffle: sum: column %d: %w", k, err)
		}
	}
	for _, x := range h {
		l.sum += mix(x)
	}
	return nil
}

// stirColumn adds the values of a column to the rows' hashes.
func stirColumn(h []uint64, v *vec.Vector) error {
	switch v.Type.Kind {
	case vec.String, vec.Blob, vec.Bit, vec.BigNum, vec.Geometry:
		stirStrings(h, v)
		return nil
	case vec.Null, vec.List, vec.Map, vec.Array, vec.Struct, vec.Union:
		for i := range h {
			var err error
			if h[i], err = stirValue(h[i], v, i); err != nil {
				return err
			}
		}
		return nil
	}
	switch v.Type.Width() {
	case 1:
		stirFixed[uint8](h, v)
	case 2:
		stirFixed[uint16](h, v)
	case 4:
		stirFixed[uint32](h, v)
	case 8:
		stirFixed[uint64](h, v)
	case 16:
		stirWide(h, v)
	default:
		return fmt.Errorf("%s has values of %d bytes", v.Type.SQL, v.Type.Width())
	}
	return nil
}

func stirFixed[T uint8 | uint16 | uint32 | uint64](h []uint64, v *vec.Vector) {
	from := data[T](v)[:len(h)]
	if v.Valid == nil {
		for i, x := range from {
			h[i] = stir(h[i], uint64(x))
		}
		return
	}
	for i, x := range from {
		if v.Null(i) {
			h[i] = stirNull(h[i])
		} else {
			h[i] = stir(h[i], uint64(x))
		}
	}
}

func stirWide(h []uint64, v *vec.Vector) {
	for i, x := range data[[2]uint64](v)[:len(h)] {
		if v.Null(i) {
			h[i] = stirNull(h[i])
		} else {
			h[i] = stir(stir(h[i], x[0]), x[1])
		}
	}
}

func stirStrings(h []uint64, v *vec.Vector) {
	from := data[vec.Str](v)[:len(h)]
	for i := range from {
		if v.Null(i) {
			h[i] = stirNull(h[i])
		} else if head, tail, ok := from[i].Inline(); ok {
			h[i] = stir(stir(h[i], head), tail)
		} else {
			h[i] = stir(h[i], hashBytes(from[i].Bytes()))
		}
	}
}

// stirValue adds one value of any type.
func stirValue(h uint64, v *vec.Vector, i int) (uint64, error) {
	if v.Type.Kind == vec.Null || v.Null(i) {
		return stirNull(h), nil
	}
	switch v.Type.Kind {
	case vec.List, vec.Map:
		e := data[vec.ListEntry](v)[i]
		return stirElements(stir(h, e.Len), &v.Children[0], e.Offset, e.Len)
	case vec.Array:
		n := uint64(v.Type.Size)
		return stirElements(stir(h, n), &v.Children[0], uint64(i)*n, n)
	case vec.Struct:
		return stirFields(stir(h, saltBig), v.Children, i)
	case vec.Union:
		tag := uint64(data[uint8](&v.Children[0])[i])
		if tag+1 >= uint64(len(v.Children)) {
			return 0, fmt.Errorf("union tag %d of %d", tag, len(v.Children)-1)
		}
		return stirValue(stir(h, tag), &v.Children[tag+1], i)
	}
	one, out := at(v, i), [1]uint64{h}
	err := stirColumn(out[:], &one)
	return out[0], err
}

func stirElements(h uint64, v *vec.Vector, from, n uint64) (uint64, error) {
	if from > uint64(v.Rows) || n > uint64(v.Rows)-from {
		return 0, fmt.Errorf("list at %d of %d in a child of %d rows", from, n, v.Rows)
	}
	for i := range n {
		var err error
		if h, err = stirValue(h, v, int(from+i)); err != nil {
			return 0, err
		}
	}
	return h, nil
}

func stirFields(h uint64, fields []vec.Vector, i int) (uint64, error) {
	for f := range fields {
		var err error
		if h, err = stirValue(h, &fields[f], i); err != nil {
			return 0, err
		}
	}
	return h, nil
}
