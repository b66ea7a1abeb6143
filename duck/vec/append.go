package vec

import (
	"bytes"
	"fmt"
	"math"
	"math/bits"
	"strconv"
	"unsafe"
)

// index is how rows are chosen: 16 bits within a chunk, 32 within the child of
// a list. Functions over it are compiled once for each, so that the loops
// below hold no conversion and no call.
type index interface{ ~uint16 | ~uint32 }

// hole, in a list of rows, stands for a row that is NULL because what contains
// it is. No vector is so long that it is a row's index.
func hole[I index]() I { return ^I(0) }

// appendRows copies rows of v to c. all: rows are 0, 1, 2 … up to v's last.
// holes: rows may contain holes. This is the one place that looks at kinds; it
// runs once a column, partition and chunk.
func appendRows[I index](c *column, v *Vector, rows []I, all, holes bool) error {
	if v.Type != c.t && !v.Type.laidOutAs(c.t) {
		return fmt.Errorf("vector of kind %d, width %d, size %d, for a column of kind %d, width %d, size %d",
			v.Type.Kind, v.Type.Width(), v.Type.Size, c.t.Kind, c.t.Width(), c.t.Size)
	}
	if uint64(v.Rows) >= uint64(hole[uint32]()) {
		return fmt.Errorf("a vector of %d rows: %w", v.Rows, ErrValue)
	}
	if len(rows) == 0 {
		return nil
	}
	nulls := appendValid(c, v, rows, holes)
	var err error
	switch c.t.Kind {
	case Null:
	case Bool:
		appendBools(c, v, rows, nulls, holes)
	case String, Blob, Bit, BigNum, Geometry:
		err = appendStrings(c, v, rows, nulls, holes)
	case Enum:
		err = appendEnum(c, v, rows, nulls, holes)
	case TimeNS:
		appendTimes(c, v, rows, nulls, holes)
	case UUID:
		from := appendFixed[[2]uint64](c, v, rows, all, nulls, holes)
		toUUID(c, from, rows, v, nulls, holes)
	case Interval:
		c.far = beyondNanos(appendFixed[[2]uint64](c, v, rows, all, nulls, holes)) || c.far
	case List, Map:
		err = appendLists(c, v, rows, nulls, holes)
	case Array:
		err = appendArrays(c, v, rows, nulls, holes)
	case Struct:
		err = appendStructs(c, v, rows, all, nulls, holes)
	case Union:
		err = appendUnions(c, v, rows, nulls, holes)
	case Decimal:
		if c.t.Storage == 2 {
			appendSmall(c, v, rows, nulls, holes)
			break
		}
		err = appendPlain(c, v, rows, all, nulls, holes)
	default:
		err = appendPlain(c, v, rows, all, nulls, holes)
	}
	c.rows += len(rows)
	return err
}

// laidOutAs says whether values of both types lie alike, as far as their own vectors go:
// those inside are looked at in their turn.
func (t *Type) laidOutAs(o *Type) bool {
	return t.Kind == o.Kind && len(t.Fields) == len(o.Fields) && t.Size == o.Size && (t.Kind == Enum || t.Width() == o.Width())
}

// appendPlain copies values that Arrow lays out as DuckDB does.
func appendPlain[I index](c *column, v *Vector, rows []I, all bool, nulls int, holes bool) error {
	switch c.t.Width() {
	case 1:
		appendFixed[uint8](c, v, rows, all, nulls, holes)
	case 2:
		appendFixed[uint16](c, v, rows, all, nulls, holes)
	case 4:
		appendFixed[uint32](c, v, rows, all, nulls, holes)
	case 8:
		appendFixed[uint64](c, v, rows, all, nulls, holes)
	case 16:
		appendFixed[[2]uint64](c, v, rows, all, nulls, holes)
	default:
		return fmt.Errorf("kind %d: %w", c.t.Kind, ErrValue)
	}
	return nil
}

// isNull reports whether the row that i stands for is NULL. It is called only
// where there are NULLs among the rows.
func isNull[I index](v *Vector, i I, holes bool) bool {
	return holes && i == hole[I]() || v.Null(int(i))
}

// appendValid appends the rows' validity bits, if there is or was any NULL, and
// returns how many of rows are NULL.
func appendValid[I index](c *column, v *Vector, rows []I, holes bool) (nulls int) {
	if v.Valid == nil && !holes && c.nulls == 0 {
		return 0
	}
	words, nulls := validWords(c, v, rows, holes)
	if c.nulls+nulls == 0 || c.t.Kind == Null || c.t.Kind == Union { // Arrow keeps no bits for these two
		return nulls
	}
	if c.nulls == 0 { // the first: all rows before are valid
		c.valid.n = 0
		c.bits(&c.valid, c.rows)
		for w := range c.valid.n {
			c.valid.b[w] = 0xff
		}
	}
	putBits(c.bits(&c.valid, c.rows+len(rows)), c.rows, words, len(rows))
	c.nulls += nulls
	return nulls
}

// validWords gathers the rows' validity bits, 64 a word, and counts the NULLs.
func validWords[I index](c *column, v *Vector, rows []I, holes bool) (words []uint64, nulls int) {
	words = c.words[:0]
	for len(rows) > 0 {
		n := min(len(rows), 64)
		word := uint64(0)
		switch {
		case holes:
			for k, i := range rows[:n] {
				if !isNull(v, i, true) {
					word |= 1 << k
				}
			}
		case v.Valid == nil:
			word = ^uint64(0) >> (64 - n)
		default:
			for k, i := range rows[:n] {
				word |= v.Valid[i>>6] >> (i & 63) & 1 << k
			}
		}
		nulls += n - bits.OnesCount64(word)
		words, rows = append(words, word), rows[n:]
	}
	c.words = words
	return words, nulls
}

// has reports whether the k-th of the rows being appended is not NULL, if any is.
func (c *column) has(k int) bool { return c.words[k>>6]>>(k&63)&1 != 0 }

// putBits writes the first n bits of words to b, from bit at on. Of b's last byte
// the bits beyond are cleared.
func putBits(b []byte, at int, words []uint64, n int) {
	for _, word := range words {
		left := min(n, 64)
		for left > 0 {
			off := at & 7
			b[at>>3] = b[at>>3]&(1<<off-1) | byte(word)<<off
			took := min(8-off, left)
			word >>= took
			at, left, n = at+took, left-took, n-took
		}
	}
}

// bits makes x hold n bits and returns it. Bits beyond are not defined.
func (c *column) bits(x *buffer, n int) []byte {
	size := (n + 7) / 8
	x.grow(c.store, size-x.n)
	x.n = size
	return x.b[:size]
}

func setBit(b []byte, i int, on bool) {
	mask := byte(1) << (i & 7)
	if on {
		b[i>>3] |= mask
	} else {
		b[i>>3] &^= mask
	}
}

// extend makes room for n more values in x and returns it.
func extend[W any](c *column, x *buffer, n int) []W {
	var w W
	size := n * int(unsafe.Sizeof(w))
	x.grow(c.store, size)
	out := unsafe.Slice((*W)(unsafe.Pointer(&x.b[x.n])), n)
	x.n += size
	return out
}

// values is a vector's data as values of W.
func values[W any](v *Vector) []W { return unsafe.Slice((*W)(v.Data), v.Rows) }

// appendFixed copies values of one width and returns where they now are. NULLs
// become zero: what DuckDB left there is nobody's business and does not
// compress.
func appendFixed[W any, I index](c *column, v *Vector, rows []I, all bool, nulls int, holes bool) []W {
	out, from := extend[W](c, &c.data, len(rows)), values[W](v)
	switch {
	case holes:
		clear(out)
		for k, i := range rows {
			if c.has(k) {
				out[k] = from[i]
			}
		}
	case nulls > 0:
		var zero W
		for k, i := range rows {
			x := from[i]
			if !c.has(k) { // no jump: which are NULL cannot be foretold
				x = zero
			}
			out[k] = x
		}
	case all:
		copy(out, from[:len(out)])
	default:
		for k, i := range rows {
			out[k] = from[i]
		}
	}
	return out
}

// appendSmall widens decimals of up to four digits: Arrow has none of two bytes.
func appendSmall[I index](c *column, v *Vector, rows []I, nulls int, holes bool) {
	out, from := extend[int32](c, &c.data, len(rows)), values[int16](v)
	for k, i := range rows {
		if nulls > 0 && isNull(v, i, holes) {
			out[k] = 0
		} else {
			out[k] = int32(from[i])
		}
	}
}

func appendBools[I index](c *column, v *Vector, rows []I, nulls int, holes bool) {
	out, from := c.bits(&c.data, c.rows+len(rows)), values[uint8](v)
	for k, i := range rows {
		setBit(out, c.rows+k, !(nulls > 0 && isNull(v, i, holes)) && from[i] != 0)
	}
}

// appendStrings copies in two passes: lengths, so that room is made once, then
// bytes. Values that DuckDB inlines are copied as whole words, which may write
// past their end but not past the room.
func appendStrings[I index](c *column, v *Vector, rows []I, nulls int, holes bool) error {
	lens, from := extend[uint32](c, &c.lens, len(rows)), values[Str](v)
	total, most := int64(0), c.most
	for k, i := range rows {
		n := uint32(0)
		if nulls == 0 || c.has(k) {
			n = from[i].Len
		}
		lens[k] = n
		total += int64(n)
		most |= n
	}
	c.most = most
	if c.total += total; c.total > math.MaxInt32 {
		return fmt.Errorf("strings of %d bytes together: %w", c.total, ErrValue)
	}
	c.data.grow(c.store, int(total)+strInline)
	at, out := c.data.n, c.data.b
	for k, i := range rows {
		n := int(lens[k])
		if n > strInline {
			copy(out[at:at+n], from[i].Bytes())
		} else if n > 0 {
			*(*[strInline]byte)(out[at : at+strInline]) = from[i].rest
		}
		at += n
	}
	c.data.n = at
	return nil
}

// text appends one string to a column of strings.
func (c *column) text(k int, lens []uint32, s string) {
	c.data.grow(c.store, len(s))
	c.data.n += copy(c.data.b[c.data.n:], s)
	lens[k] = uint32(len(s))
	c.most |= uint32(len(s))
	c.total += int64(len(s))
}

func appendEnum[I index](c *column, v *Vector, rows []I, nulls int, holes bool) error {
	lens := extend[uint32](c, &c.lens, len(rows))
	for k, i := range rows {
		lens[k] = 0
		if nulls > 0 && isNull(v, i, holes) {
			continue
		}
		at := v.enum(int(i))
		if at >= len(v.Type.Names) {
			return fmt.Errorf("enum value %d of %d: %w", at, len(v.Type.Names), ErrValue)
		}
		c.text(k, lens, v.Type.Names[at])
	}
	if c.total > math.MaxInt32 {
		return fmt.Errorf("enum texts of %d bytes together: %w", c.total, ErrValue)
	}
	return nil
}

// enum is row i's index into Type.Names.
func (v *Vector) enum(i int) int {
	switch v.Type.Storage {
	case 1:
		return int(values[uint8](v)[i])
	case 2:
		return int(values[uint16](v)[i])
	}
	return int(values[uint32](v)[i])
}

// appendTimes writes nanosecond times as text: DuckDB reads Arrow's own as
// microseconds.
func appendTimes[I index](c *column, v *Vector, rows []I, nulls int, holes bool) {
	lens, from := extend[uint32](c, &c.lens, len(rows)), values[int64](v)
	var text [len("24:00:00.000000000")]byte
	for k, i := range rows {
		lens[k] = 0
		if nulls == 0 || !isNull(v, i, holes) {
			c.text(k, lens, string(clock(text[:0], from[i])))
		}
	}
}

// clock writes nanoseconds since midnight as hh:mm:ss, and the fraction as far as it has
// digits that count: as DuckDB does.
func clock(b []byte, ns int64) []byte {
	two := func(b []byte, n int64) []byte { return append(b, byte('0'+n/10), byte('0'+n%10)) }
	s := ns / 1e9
	b = append(two(b, s/3600%100), ':')
	b = append(two(b, s/60%60), ':')
	b = two(b, s%60)
	if ns%1e9 == 0 {
		return b
	}
	at := len(b)
	b = strconv.AppendInt(b, 1e9+ns%1e9, 10)
	b[at] = '.'
	return bytes.TrimRight(b, "0")
}
