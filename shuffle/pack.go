package shuffle

import (
	"encoding/binary"
	"math"
	"math/bits"
	"unsafe"

	"github.com/pondmesh/pond/duck/vec"
)

// Integers are packed: as their distances, in steps, from the least of a part, in 1,
// 2 or 4 bytes each. That takes a fraction of the time that a codec takes for it, and
// leaves the codec less to do. What a part's values mean does not matter: dates,
// decimals and times are integers too, and floating-point numbers do not fit.

const (
	packHead   = 16 // the least value and the step
	packMin    = 64 // values: fewer are left as they are
	packSample = 64 // values that are looked at first
)

type integer interface{ int16 | int32 | int64 }

// packedWidths are the bytes that a packed value takes, by its code in a part's flags.
var packedWidths = [4]int64{0, 1, 2, 4}

// pack appends a part's values of that width to dst, packed, and returns the code; 0:
// it appended nothing, for it would not save half.
func pack(dst []byte, width int, p *vec.Part) ([]byte, byte) {
	switch {
	case p.Rows < packMin:
	case width == 2:
		return packed[int16](dst, p)
	case width == 4:
		return packed[int32](dst, p)
	case width == 8:
		return packed[int64](dst, p)
	}
	return dst, 0
}

func packed[T integer](dst []byte, p *vec.Part) ([]byte, byte) {
	in := unsafe.Slice((*T)(unsafe.Pointer(&p.Data[0])), p.Rows)
	if p.Nulls == p.Rows {
		return dst, 0
	}
	low, high := sampled(in, p)
	step := uint64(1)
	if !fits[T](low, high, step) {
		step = stepOf(in, p, low)
	}
	if !fits[T](low, high, step) {
		return dst, 0
	}
	if low, high = bounds(in, p); !fits[T](low, high, step) {
		return dst, 0
	}
	head := len(dst)
	dst = binary.LittleEndian.AppendUint64(dst, uint64(low))
	dst = binary.LittleEndian.AppendUint64(dst, step)
	at := len(dst)
	ok := true
	var code byte
	span := uint64(high-low) / step
	switch {
	case span <= math.MaxUint8:
		dst, code = dst[:at+len(in)], 1
		ok = squeeze(dst[at:], in, p, low, step, span)
	case span <= math.MaxUint16:
		dst, code = dst[:at+2*len(in)], 2
		ok = squeeze(unsafe.Slice((*uint16)(unsafe.Pointer(&dst[at])), len(in)), in, p, low, step, span)
	default:
		dst, code = dst[:at+4*len(in)], 3
		ok = squeeze(unsafe.Slice((*uint32)(unsafe.Pointer(&dst[at])), len(in)), in, p, low, step, span)
	}
	if !ok {
		return dst[:head], 0
	}
	return dst, code
}

// fits reports whether values in these bounds take half their width at most.
func fits[T integer](low, high int64, step uint64) bool {
	return bitsOf(uint64(high-low)/step) <= 4*int(unsafe.Sizeof(T(0)))
}

// bitsOf is how many bits a packed value takes.
func bitsOf(span uint64) int {
	switch {
	case span <= math.MaxUint8:
		return 8
	case span <= math.MaxUint16:
		return 16
	case span <= math.MaxUint32:
		return 32
	}
	return 64
}

func null(p *vec.Part, i int) bool { return p.Nulls > 0 && p.Valid[i>>3]>>(i&7)&1 == 0 }

// bounds are the least and the greatest value that is not NULL.
func bounds[T integer](in []T, p *vec.Part) (low, high int64) {
	least, most := ends[T]()
	if p.Nulls == 0 {
		for _, v := range in {
			least, most = min(least, v), max(most, v)
		}
		return int64(least), int64(most)
	}
	for i, v := range in {
		if !null(p, i) {
			least, most = min(least, v), max(most, v)
		}
	}
	return int64(least), int64(most)
}

// ends are the greatest and the least value of a type.
func ends[T integer]() (most, least T) {
	least = T(1) << (8*unsafe.Sizeof(least) - 1)
	return ^least, least
}

// sample is the place of the k-th value that is looked at first. The places are not
// at equal distances: values often are.
func sample(k, n int) int {
	every := n / packSample
	return k*every + k*k*7%every
}

func sampled[T integer](in []T, p *vec.Part) (low, high int64) {
	least, most := ends[T]()
	for k := range packSample {
		if i := sample(k, len(in)); !null(p, i) {
			least, most = min(least, in[i]), max(most, in[i])
		}
	}
	return int64(least), int64(most)
}

// stepOf is the greatest common divisor of the distances of some values, which may
// be that of all: times are often in whole seconds.
func stepOf[T integer](in []T, p *vec.Part, low int64) uint64 {
	step := uint64(0)
	for k := 0; k < packSample && step != 1; k++ {
		i := sample(k, len(in))
		if null(p, i) {
			continue
		}
		for x := uint64(int64(in[i]) - low); x != 0; {
			step, x = x, step%x
		}
	}
	return max(1, step)
}

// squeeze fills out, and reports whether all distances are whole steps. It divides by
// the inverse of a step's odd part: what is no multiple becomes too large.
func squeeze[U uint8 | uint16 | uint32, T integer](out []U, in []T, p *vec.Part, low int64, step, most uint64) bool {
	out = out[:len(in)]
	if step == 1 {
		for i, v := range in {
			out[i] = U(int64(v) - low)
		}
		return true
	}
	shift := bits.TrailingZeros64(step)
	inverse, even := invert(step>>shift), uint64(1)<<shift-1
	for i, v := range in {
		x := uint64(int64(v) - low)
		q := x >> shift * inverse
		if (x&even != 0 || q > most) && !null(p, i) {
			return false
		}
		out[i] = U(q)
	}
	return true
}

// invert is the number whose product with odd is 1, modulo 2 to the 64th.
func invert(odd uint64) uint64 {
	x := odd // right in three bits; each round doubles them
	for range 5 {
		x *= 2 - odd*x
	}
	return x
}

// unpack fills to, of values of that width, from packed ones.
func unpack(to []byte, width int, from []byte, code byte, rows int) {
	if rows == 0 {
		return
	}
	low, step := binary.LittleEndian.Uint64(from), binary.LittleEndian.Uint64(from[8:])
	p := unsafe.Pointer(&to[0])
	switch width {
	case 2:
		unpackTo(unsafe.Slice((*uint16)(p), rows), from[packHead:], code, uint16(low), uint16(step))
	case 4:
		unpackTo(unsafe.Slice((*uint32)(p), rows), from[packHead:], code, uint32(low), uint32(step))
	case 8:
		unpackTo(unsafe.Slice((*uint64)(p), rows), from[packHead:], code, low, step)
	}
}

func unpackTo[T uint16 | uint32 | uint64](to []T, from []byte, code byte, low, step T) {
	p := unsafe.Pointer(&from[0])
	switch code {
	case 1:
		widen(to, from[:len(to)], low, step)
	case 2:
		widen(to, unsafe.Slice((*uint16)(p), len(to)), low, step)
	case 3:
		widen(to, unsafe.Slice((*uint32)(p), len(to)), low, step)
	}
}

func widen[T uint16 | uint32 | uint64, U uint8 | uint16 | uint32](to []T, from []U, low, step T) {
	to = to[:len(from)]
	for i, v := range from {
		to[i] = low + T(v)*step
	}
}

// packs reports whether a part of the shape may have that code: 0 always.
func (s *shape) packs(code byte) bool {
	return code == 0 || code < 4 && s.form == formFixed && s.width <= 8 && s.width%2 == 0 && s.width != 6 && packedWidths[code] < int64(s.width)
}
