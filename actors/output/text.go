package output

import (
	"bytes"
	"encoding/hex"
	"fmt"
	"math"
	"math/big"
	"strconv"
	"strings"

	"github.com/apache/arrow-go/v18/arrow"
	"github.com/apache/arrow-go/v18/arrow/array"
)

// null is how DuckDB shows NULL.
const null = "NULL"

// text appends row i of a as DuckDB's cast to VARCHAR gives it. NULL appends
// "NULL"; callers that want it otherwise check IsNull first.
type text func(b []byte, a arrow.Array, i int) []byte

// textOf is how values of a field are written.
func textOf(f arrow.Field) text {
	t := valueText(f)
	return func(b []byte, a arrow.Array, i int) []byte {
		a = storage(a)
		if isNull(a, i) {
			return append(b, null...)
		}
		return t(b, a, i)
	}
}

// isNull is a.IsNull, for arrays too that have no bitmap.
func isNull(a arrow.Array, i int) bool {
	switch a := a.(type) {
	case array.Union:
		child, at := member(a, i)
		return isNull(storage(child), at)
	case *array.Null:
		return true
	}
	return a.IsNull(i)
}

// valueText writes values that are not NULL, out of storage arrays.
func valueText(f arrow.Field) text {
	switch markOf(f) {
	case hugeint:
		return func(b []byte, a arrow.Array, i int) []byte { return int128(raw(a, i), true).Append(b, 10) }
	case uhugeint:
		return func(b []byte, a arrow.Array, i int) []byte { return int128(raw(a, i), false).Append(b, 10) }
	case timeTZ:
		return func(b []byte, a arrow.Array, i int) []byte { return appendTimeTZ(b, raw(a, i)) }
	case bits:
		return func(b []byte, a arrow.Array, i int) []byte { return appendBits(b, raw(a, i)) }
	case bignum:
		return func(b []byte, a arrow.Array, i int) []byte { return bigNumber(raw(a, i)).Append(b, 10) }
	case uuid:
		return func(b []byte, a arrow.Array, i int) []byte { return appendUUID(b, raw(a, i)) }
	}
	switch t := storageType(f.Type).(type) {
	case *arrow.TimestampType:
		return func(b []byte, a arrow.Array, i int) []byte {
			return appendTimestamp(b, int64(a.(*array.Timestamp).Value(i)), t)
		}
	case *arrow.StructType:
		return structText(t)
	case *arrow.MapType:
		return mapText(t)
	case arrow.ListLikeType:
		return listText(t)
	case arrow.UnionType:
		return unionText(t)
	}
	return flat
}

// raw are a binary value's bytes.
func raw(a arrow.Array, i int) []byte {
	switch a := a.(type) {
	case *array.FixedSizeBinary:
		return a.Value(i)
	case *array.Binary:
		return a.Value(i)
	}
	return nil
}

// flat writes what needs nothing but the value.
func flat(b []byte, a arrow.Array, i int) []byte {
	switch a := a.(type) {
	case *array.Boolean:
		return strconv.AppendBool(b, a.Value(i))
	case *array.Int8:
		return strconv.AppendInt(b, int64(a.Value(i)), 10)
	case *array.Int16:
		return strconv.AppendInt(b, int64(a.Value(i)), 10)
	case *array.Int32:
		return strconv.AppendInt(b, int64(a.Value(i)), 10)
	case *array.Int64:
		return strconv.AppendInt(b, a.Value(i), 10)
	case *array.Uint8:
		return strconv.AppendUint(b, uint64(a.Value(i)), 10)
	case *array.Uint16:
		return strconv.AppendUint(b, uint64(a.Value(i)), 10)
	case *array.Uint32:
		return strconv.AppendUint(b, uint64(a.Value(i)), 10)
	case *array.Uint64:
		return strconv.AppendUint(b, a.Value(i), 10)
	case *array.Float32:
		return appendFloat(b, float64(a.Value(i)), 32)
	case *array.Float64:
		return appendFloat(b, a.Value(i), 64)
	case *array.Decimal32, *array.Decimal64, *array.Decimal128, *array.Decimal256:
		n, scale := unscaled(a, i)
		return appendDecimal(b, n, scale)
	case *array.Date32:
		return appendDate(b, int64(a.Value(i)))
	case *array.Time64:
		return appendClock(b, timeNanos(a, i))
	case *array.MonthDayNanoInterval:
		return appendInterval(b, a.Value(i))
	case *array.Binary:
		return appendBlob(b, a.Value(i))
	case *array.FixedSizeBinary:
		return appendBlob(b, a.Value(i))
	case array.StringLike:
		return append(b, a.Value(i)...)
	}
	return append(b, a.ValueStr(i)...)
}

// appendFloat follows DuckDB: the shortest digits that read back the same, with
// an exponent below 1e-4 and from 1e16 on, always marked as not an integer.
func appendFloat(b []byte, v float64, bitSize int) []byte {
	switch {
	case math.IsNaN(v):
		return append(b, "nan"...)
	case math.IsInf(v, 1):
		return append(b, "inf"...)
	case math.IsInf(v, -1):
		return append(b, "-inf"...)
	}
	// The digits decide, not the value: FLOAT 0.0001 is less than that.
	e := strconv.AppendFloat(nil, v, 'e', -1, bitSize)
	exponent, err := strconv.Atoi(string(e[bytes.IndexByte(e, 'e')+1:]))
	if err != nil || exponent < -4 || exponent >= 16 {
		return append(b, e...)
	}
	start := len(b)
	b = strconv.AppendFloat(b, v, 'f', -1, bitSize)
	if bytes.IndexByte(b[start:], '.') < 0 {
		b = append(b, ".0"...)
	}
	return b
}

// unscaled is a decimal's integer, and how many of its digits are a fraction.
func unscaled(a arrow.Array, i int) (*big.Int, int32) {
	scale := a.DataType().(arrow.DecimalType).GetScale()
	switch a := a.(type) {
	case *array.Decimal32:
		return big.NewInt(int64(a.Value(i))), scale
	case *array.Decimal64:
		return big.NewInt(int64(a.Value(i))), scale
	case *array.Decimal128:
		return a.Value(i).BigInt(), scale
	case *array.Decimal256:
		return a.Value(i).BigInt(), scale
	}
	return new(big.Int), scale
}

func appendDecimal(b []byte, n *big.Int, scale int32) []byte {
	if n.Sign() < 0 {
		b = append(b, '-')
	}
	digits := new(big.Int).Abs(n).String()
	if scale <= 0 {
		return append(append(b, digits...), strings.Repeat("0", int(-scale))...)
	}
	if pad := int(scale) + 1 - len(digits); pad > 0 {
		digits = strings.Repeat("0", pad) + digits
	}
	point := len(digits) - int(scale)
	return append(append(append(b, digits[:point]...), '.'), digits[point:]...)
}

// int128 reads 16 bytes, lowest first.
func int128(v []byte, signed bool) *big.Int {
	be := make([]byte, len(v))
	for i, c := range v {
		be[len(v)-1-i] = c
	}
	n := new(big.Int).SetBytes(be)
	if signed && len(be) > 0 && be[0]&0x80 != 0 {
		n.Sub(n, new(big.Int).Lsh(big.NewInt(1), uint(8*len(be))))
	}
	return n
}

// bigNumHeader is a BIGNUM's length, with the sign in its top bit. All bytes of
// a negative number are inverted.
const bigNumHeader = 3

func bigNumber(v []byte) *big.Int {
	if len(v) <= bigNumHeader {
		return new(big.Int)
	}
	if v[0]&0x80 != 0 {
		return new(big.Int).SetBytes(v[bigNumHeader:])
	}
	flipped := make([]byte, len(v)-bigNumHeader)
	for i := range flipped {
		flipped[i] = ^v[bigNumHeader+i]
	}
	n := new(big.Int).SetBytes(flipped)
	return n.Neg(n)
}

// appendBits reads DuckDB's BIT: the first byte tells how many of the leading
// bits do not count.
func appendBits(b, v []byte) []byte {
	if len(v) == 0 {
		return b
	}
	for i := int(v[0]); i < 8*(len(v)-1); i++ {
		b = append(b, '0'+v[1+i/8]>>(7-i%8)&1)
	}
	return b
}

func appendUUID(b, v []byte) []byte {
	if len(v) != 16 {
		return appendBlob(b, v)
	}
	h := hex.EncodeToString(v)
	return fmt.Appendf(b, "%s-%s-%s-%s-%s", h[:8], h[8:12], h[12:16], h[16:20], h[20:])
}

// appendBlob writes printable ASCII as it is, all else as \xAB.
func appendBlob(b, v []byte) []byte {
	for _, c := range v {
		if c >= ' ' && c <= '~' && c != '\\' && c != '\'' && c != '"' {
			b = append(b, c)
		} else {
			b = fmt.Appendf(b, `\x%02X`, c)
		}
	}
	return b
}
