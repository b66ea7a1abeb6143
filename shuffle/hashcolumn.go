package shuffle

import (
	"fmt"
	"unsafe"

	"github.com/pondmesh/pond/duck/vec"
)

// hashColumn hashes a column's rows into out, or folds them into its hashes. Each
// type has a compiled loop of its own, which runs over plain memory.
func hashColumn(v *vec.Vector, out []uint64, folding bool) error {
	switch v.Type.Kind {
	case vec.Bool, vec.Uint8:
		hashInts[uint8](v, out, folding)
	case vec.Int8:
		hashInts[int8](v, out, folding)
	case vec.Int16:
		hashInts[int16](v, out, folding)
	case vec.Int32:
		hashInts[int32](v, out, folding)
	case vec.Int64:
		hashInts[int64](v, out, folding)
	case vec.Uint16:
		hashInts[uint16](v, out, folding)
	case vec.Uint32:
		hashInts[uint32](v, out, folding)
	case vec.Uint64:
		each(v, out, folding, hashUint)
	case vec.Date:
		each(v, out, folding, hashDate)
	case vec.Timestamp, vec.TimestampTZ:
		each(v, out, folding, func(x int64) uint64 { return hashInstant(x, 1) })
	case vec.String, vec.Blob, vec.Bit, vec.Geometry:
		hashStrings(v, out, folding)
	case vec.Enum:
		return hashEnum(v, out, folding)
	default:
		for i := range out {
			h, err := hashValue(v, i)
			if err != nil {
				return err
			}
			if folding {
				h = fold(out[i], h)
			}
			out[i] = h
		}
	}
	return nil
}

// nullHash is the hash of NULL.
var nullHash = mix(saltNull)

func each[T any](v *vec.Vector, out []uint64, folding bool, hash func(T) uint64) {
	from := data[T](v)[:len(out)]
	for i := range from {
		h := nullHash
		if !v.Null(i) {
			h = hash(from[i])
		}
		if folding {
			h = fold(out[i], h)
		}
		out[i] = h
	}
}

// hashInts is each of hashInt, but without a call a row.
func hashInts[T uint8 | uint16 | uint32 | int8 | int16 | int32 | int64](v *vec.Vector, out []uint64, folding bool) {
	from := data[T](v)[:len(out)]
	switch {
	case v.Valid != nil:
		each(v, out, folding, func(x T) uint64 { return hashInt(int64(x)) })
	case folding:
		for i, x := range from {
			out[i] = fold(out[i], hashInt(int64(x)))
		}
	default:
		for i, x := range from {
			out[i] = hashInt(int64(x))
		}
	}
}

func hashStrings(v *vec.Vector, out []uint64, folding bool) {
	from := data[vec.Str](v)[:len(out)]
	for i := range from {
		h := nullHash
		if !v.Null(i) {
			h = hashBytes(from[i].Bytes())
		}
		if folding {
			h = fold(out[i], h)
		}
		out[i] = h
	}
}

// hashEnum hashes each of the enum's texts once, if there are fewer than rows.
func hashEnum(v *vec.Vector, out []uint64, folding bool) error {
	var texts []uint64
	if len(v.Type.Names) <= len(out) {
		texts = make([]uint64, len(v.Type.Names))
		for i, name := range v.Type.Names {
			texts[i] = hashBytes([]byte(name))
		}
	}
	for i := range out {
		h := nullHash
		if !v.Null(i) {
			at := enumIndex(v, i)
			switch {
			case at >= len(v.Type.Names):
				return fmt.Errorf("enum value %d of %d", at, len(v.Type.Names))
			case texts != nil:
				h = texts[at]
			default:
				h = hashBytes([]byte(v.Type.Names[at]))
			}
		}
		if folding {
			h = fold(out[i], h)
		}
		out[i] = h
	}
	return nil
}

func enumIndex(v *vec.Vector, i int) int {
	switch v.Type.Storage {
	case 1:
		return int(data[uint8](v)[i])
	case 2:
		return int(data[uint16](v)[i])
	}
	return int(data[uint32](v)[i])
}

// hashValue is the hash of one value of any type.
func hashValue(v *vec.Vector, i int) (uint64, error) {
	if v.Type.Kind == vec.Null || v.Null(i) {
		return nullHash, nil
	}
	switch v.Type.Kind {
	case vec.Int128:
		return hashInt128(data[[2]uint64](v)[i]), nil
	case vec.Uint128:
		x := data[[2]uint64](v)[i]
		return hashWide(x[0], x[1], false), nil
	case vec.Float32:
		return hashFloat(float64(data[float32](v)[i])), nil
	case vec.Float64:
		return hashFloat(data[float64](v)[i]), nil
	case vec.Decimal:
		return hashDecimal(unscaled(v, i), v.Type.Scale), nil
	case vec.TimestampS:
		return hashInstant(data[int64](v)[i], 1e6), nil
	case vec.TimestampMS:
		return hashInstant(data[int64](v)[i], 1e3), nil
	case vec.TimestampNS, vec.TimeNS:
		return hashNanos(data[int64](v)[i]), nil
	case vec.Time:
		return hashTime(data[int64](v)[i], 0), nil
	case vec.TimeTZ:
		return hashBits(data[uint64](v)[i], 0), nil
	case vec.UUID:
		x := data[[2]uint64](v)[i]
		return hashBits(x[0], x[1]), nil
	case vec.Interval:
		return hashInterval(data[[2]uint64](v)[i]), nil
	case vec.BigNum:
		return hashBigNum(data[vec.Str](v)[i].Bytes()), nil
	case vec.List, vec.Map:
		e := data[vec.ListEntry](v)[i]
		return hashElements(&v.Children[0], e.Offset, e.Len)
	case vec.Array:
		n := uint64(v.Type.Size)
		return hashElements(&v.Children[0], uint64(i)*n, n)
	case vec.Struct:
		return hashFields(v, i)
	case vec.Union:
		return hashMember(v, i)
	}
	// The rest have a loop of their own; here they stand inside another type.
	one, out := at(v, i), [1]uint64{}
	err := hashColumn(&one, out[:], false)
	return out[0], err
}

// unscaled is a decimal's digits as 128 bits.
func unscaled(v *vec.Vector, i int) [2]uint64 {
	x := int64(0)
	switch v.Type.Storage {
	case 2:
		x = int64(data[int16](v)[i])
	case 4:
		x = int64(data[int32](v)[i])
	case 8:
		x = data[int64](v)[i]
	default:
		return data[[2]uint64](v)[i]
	}
	return [2]uint64{uint64(x), uint64(x >> 63)}
}

func hashElements(v *vec.Vector, from, n uint64) (uint64, error) {
	if from > uint64(v.Rows) || n > uint64(v.Rows)-from {
		return 0, fmt.Errorf("list at %d of %d in a child of %d rows", from, n, v.Rows)
	}
	h := mix(saltNested + n)
	for i := range n {
		next, err := hashValue(v, int(from+i))
		if err != nil {
			return 0, err
		}
		h = fold(h, next)
	}
	return h, nil
}

func hashFields(v *vec.Vector, i int) (uint64, error) {
	h := uint64(saltNested)
	for f := range v.Children {
		next, err := hashValue(&v.Children[f], i)
		if err != nil {
			return 0, err
		}
		h = fold(h, next)
	}
	return h, nil
}

func hashMember(v *vec.Vector, i int) (uint64, error) {
	tag := int(data[uint8](&v.Children[0])[i])
	if tag+1 >= len(v.Children) {
		return 0, fmt.Errorf("union tag %d of %d", tag, len(v.Children)-1)
	}
	next, err := hashValue(&v.Children[tag+1], i)
	return fold(saltNested+uint64(tag), next), err
}

// at is a view of row i alone, which is not NULL.
func at(v *vec.Vector, i int) vec.Vector {
	return vec.Vector{Type: v.Type, Rows: 1, Data: unsafe.Add(v.Data, i*v.Type.Width())}
}
