package shuffle

import (
	"encoding/binary"
	"errors"
	"fmt"
	"math"
	"math/big"
	"math/bits"

	"github.com/pondmesh/pond/duck/vec"
	"github.com/zeebo/xxh3"
)

// The hash of a value is defined here and frozen by hash_test.go: partitions of
// one job are made by different processes, perhaps versions, and meet in a
// join. Values that DuckDB's = calls equal, of types that it compares without
// rounding, hash equal:
//
//	NULL                    a constant
//	BOOLEAN, any integer    mix of the number as 64 bits, if it fits int64;
//	                        else of its sign and 128 bits of magnitude
//	DECIMAL                 with trailing zeros stripped: the integer, if it is
//	                        one; else its digits and scale
//	BIGNUM                  the integer up to 128 bits; else its bytes
//	FLOAT, DOUBLE           the integer, if it is one below 2^128 (-0 is 0);
//	                        NaN is one value; else the bits of the DOUBLE
//	DATE, TIMESTAMP…        microseconds since 1970, and nanoseconds beyond
//	TIME, TIME_NS           microseconds since midnight, and nanoseconds beyond
//	TIMETZ, UUID            their bits
//	INTERVAL                microseconds, a day being 24 h, a month 30 days
//	VARCHAR, BLOB, BIT      XXH3 of the bytes; an ENUM is its text
//	LIST, ARRAY, MAP        elements in order, and how many
//	STRUCT                  fields in order
//	UNION                   tag and value
//
// Several keys are folded in order: fold(fold(h1, h2), h3).
const (
	golden = 0x9e3779b97f4a7c15

	// One salt a class of values, so that 1, '1' and a date differ.
	saltNull   = 0x6a09e667f3bcc908
	saltInt    = 0xbb67ae8584caa73b
	saltBig    = 0x3c6ef372fe94f82b
	saltReal   = 0xa54ff53a5f1d36f1
	saltScaled = 0x510e527fade682d1
	saltTime   = 0x9b05688c2b3e6c1f
	saltBits   = 0x1f83d9abfb41bd6b
	saltNested = 0x5be0cd19137e2179
)

// mix is a bijection of 64 bits in which every bit of the result depends on
// every bit of x.
func mix(x uint64) uint64 {
	x ^= x >> 30
	x *= 0xbf58476d1ce4e5b9
	x ^= x >> 27
	x *= 0x94d049bb133111eb
	return x ^ x>>31
}

// fold adds the hash of one more value to h.
func fold(h, next uint64) uint64 { return mix(bits.RotateLeft64(h, 23)*golden + next) }

func hashInt(x int64) uint64 { return mix(uint64(x) ^ saltInt) }

// hashWide is the hash of an integer of 128 bits of magnitude.
func hashWide(lo, hi uint64, negative bool) uint64 {
	if hi == 0 && lo < 1<<63 {
		if negative {
			return hashInt(-int64(lo))
		}
		return hashInt(int64(lo))
	}
	if negative && hi == 0 && lo == 1<<63 {
		return hashInt(math.MinInt64)
	}
	h := fold(mix(lo^saltBig), hi)
	if negative {
		h = fold(h, 1)
	}
	return h
}

// magnitude splits a signed integer of 128 bits.
func magnitude(x [2]uint64) (lo, hi uint64, negative bool) {
	if int64(x[1]) >= 0 {
		return x[0], x[1], false
	}
	lo, borrow := bits.Sub64(0, x[0], 0)
	hi, _ = bits.Sub64(0, x[1], borrow)
	return lo, hi, true
}

func hashUint(x uint64) uint64 { return hashWide(x, 0, false) }
func hashInt128(x [2]uint64) uint64 {
	lo, hi, negative := magnitude(x)
	return hashWide(lo, hi, negative)
}

// hashDecimal is the hash of x / 10^scale.
func hashDecimal(x [2]uint64, scale uint8) uint64 {
	lo, hi, negative := magnitude(x)
	for scale > 0 {
		qhi, rem := hi/10, hi%10
		qlo, rem := bits.Div64(rem, lo, 10)
		if rem != 0 {
			break
		}
		lo, hi = qlo, qhi
		scale--
	}
	h := hashWide(lo, hi, negative)
	if scale > 0 {
		h = fold(h, saltScaled+uint64(scale))
	}
	return h
}

func hashFloat(x float64) uint64 {
	switch {
	case x != x:
		return mix(saltReal)
	case x == math.Trunc(x) && math.Abs(x) < 1<<63:
		return hashInt(int64(x))
	case x == math.Trunc(x) && math.Abs(x) < 0x1p128:
		b := math.Float64bits(x)
		m, shift := b&(1<<52-1)|1<<52, int(b>>52&0x7ff)-1075
		lo, hi := m<<shift, uint64(0)
		if shift >= 64 {
			lo, hi = 0, m<<(shift-64)
		} else if shift > 0 {
			hi = m >> (64 - shift)
		}
		return hashWide(lo, hi, x < 0)
	}
	return mix(math.Float64bits(x) ^ saltReal)
}

// hashTime is the hash of an instant or a time of day: microseconds, and
// nanoseconds beyond them.
func hashTime(us, ns int64) uint64 {
	h := mix(uint64(us) ^ saltTime)
	if ns != 0 {
		h = fold(h, uint64(ns))
	}
	return h
}

// Infinite dates and timestamps are the ends of the range, whatever its unit.
const infinity = math.MaxInt64

// hashInstant is the hash of x units of so many microseconds.
func hashInstant(x, unit int64) uint64 {
	if x == infinity || x == -infinity {
		return hashTime(x, 0)
	}
	return hashTime(x*unit, 0)
}

func hashDate(days int32) uint64 {
	switch days {
	case math.MaxInt32:
		return hashTime(infinity, 0)
	case -math.MaxInt32:
		return hashTime(-infinity, 0)
	}
	return hashTime(int64(days)*86400e6, 0)
}

func hashNanos(ns int64) uint64 {
	if ns == infinity || ns == -infinity {
		return hashTime(ns, 0)
	}
	us, rest := ns/1000, ns%1000
	if rest < 0 {
		us, rest = us-1, rest+1000
	}
	return hashTime(us, rest)
}

func hashInterval(x [2]uint64) uint64 {
	months, days := int64(int32(x[0])), int64(int32(x[0]>>32))
	return mix(uint64((months*30+days)*86400e6+int64(x[1])) ^ saltScaled)
}

func hashBits(lo, hi uint64) uint64 { return fold(mix(lo^saltBits), hi) }

func hashBytes(b []byte) uint64 { return xxh3.Hash(b) }

// hashBigNum reads DuckDB's BIGNUM: a head of three bytes (sign bit set when
// not negative, then how many bytes follow), then the magnitude, high byte
// first; of a negative number every bit is inverted.
func hashBigNum(b []byte) uint64 {
	if len(b) < 4 {
		return hashBytes(b)
	}
	flip := byte(0)
	if b[0]&0x80 == 0 {
		flip = 0xff
	}
	var full [16]byte
	digits := b[3:]
	for len(digits) > len(full) && digits[0] == flip {
		digits = digits[1:]
	}
	if len(digits) > len(full) {
		return hashBytes(b)
	}
	for i, d := range digits {
		full[len(full)-len(digits)+i] = d ^ flip
	}
	return hashWide(binary.BigEndian.Uint64(full[8:]), binary.BigEndian.Uint64(full[:8]), flip != 0)
}

// text128 is for error messages.
func text128(x [2]uint64, signed bool) string {
	lo, hi, negative := x[0], x[1], false
	if signed {
		lo, hi, negative = magnitude(x)
	}
	n := new(big.Int).SetUint64(hi)
	n.Lsh(n, 64).Or(n, new(big.Int).SetUint64(lo))
	if negative {
		n.Neg(n)
	}
	return n.String()
}

// HashRows sets out[i] to the hash of row i's values in columns, one or more.
func HashRows(c *vec.Chunk, columns []int, out []uint64) error {
	if len(columns) == 0 {
		return errors.New("shuffle: hash: no columns")
	}
	for i, k := range columns {
		if k < 0 || k >= len(c.Columns) {
			return fmt.Errorf("shuffle: hash: column %d of %d", k, len(c.Columns))
		}
		v := &c.Columns[k]
		if v.Rows < c.Rows {
			return fmt.Errorf("shuffle: hash: column %d has %d rows of %d", k, v.Rows, c.Rows)
		}
		if err := hashColumn(v, out[:c.Rows], i > 0); err != nil {
			return fmt.Errorf("shuffle: hash: column %d: %w", k, err)
		}
	}
	return nil
}
