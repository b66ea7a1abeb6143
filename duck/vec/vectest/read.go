package vectest

import (
	"encoding/binary"
	"fmt"
	"math/bits"
	"strconv"
	"strings"

	"github.com/apache/arrow-go/v18/arrow"
	"github.com/apache/arrow-go/v18/arrow/array"
	"github.com/pondmesh/pond/duck/vec"
)

// Read is the rows of a batch of schema s, as the values that made them. What
// Arrow's layout does not tell apart, reads alike: a NULL union and a union
// whose member is NULL both read as nil (see [Same]).
func Read(s *vec.Schema, rec arrow.RecordBatch) [][]any {
	rows := make([][]any, rec.NumRows())
	for i := range rows {
		rows[i] = make([]any, len(s.Fields))
		for j, f := range s.Fields {
			rows[i][j] = read(f.Type, rec.Column(j), i)
		}
	}
	return rows
}

// Same is x as Read would give it back.
func Same(t *vec.Type, x any) any {
	switch v := x.(type) {
	case Member:
		if inner := Same(t.Fields[v.Tag].Type, v.Value); inner != nil {
			return Member{v.Tag, inner}
		}
		return nil
	case []any:
		out := make([]any, len(v))
		for i := range v {
			switch t.Kind {
			case vec.Struct:
				out[i] = Same(t.Fields[i].Type, v[i])
			case vec.Map:
				out[i] = Same(&vec.Type{Kind: vec.Struct, Fields: t.Fields}, v[i])
			default:
				out[i] = Same(t.Fields[0].Type, v[i])
			}
		}
		return out
	}
	return x
}

func read(t *vec.Type, a arrow.Array, i int) any {
	if t.Kind == vec.Null || a.IsNull(i) && t.Kind != vec.Union {
		return nil
	}
	data := a.Data()
	at := data.Offset() + i
	switch t.Kind {
	case vec.Bool:
		return a.(*array.Boolean).Value(i)
	case vec.String, vec.Blob, vec.Bit, vec.BigNum, vec.Geometry:
		return text(a, i)
	case vec.Enum:
		for k, name := range t.Names {
			if name == text(a, i) {
				return uint64(k)
			}
		}
		return fmt.Sprintf("no enum value %q", text(a, i))
	case vec.TimeNS:
		return nanos(text(a, i))
	case vec.List, vec.Map:
		l := a.(array.ListLike)
		from, to := l.ValueOffsets(i)
		of := t.Fields[0].Type
		if t.Kind == vec.Map {
			of = &vec.Type{Kind: vec.Struct, Fields: t.Fields}
		}
		return list(of, l.ListValues(), from, to)
	case vec.Array:
		l := a.(*array.FixedSizeList)
		from, to := l.ValueOffsets(i)
		return list(t.Fields[0].Type, l.ListValues(), from, to)
	case vec.Struct:
		out := make([]any, len(t.Fields))
		for f, field := range t.Fields {
			out[f] = read(field.Type, a.(*array.Struct).Field(f), i)
		}
		return out
	case vec.Union:
		u := a.(*array.SparseUnion)
		tag := int(u.TypeCode(i))
		if v := read(t.Fields[tag].Type, u.Field(tag), i); v != nil {
			return Member{tag, v}
		}
		return nil
	}
	return fixed(t, data.Buffers()[1].Bytes(), at, a.DataType().ID() == arrow.INTERVAL_MONTH_DAY_NANO)
}

func list(t *vec.Type, a arrow.Array, from, to int64) any {
	out := make([]any, 0, to-from)
	for i := from; i < to; i++ {
		out = append(out, read(t, a, int(i)))
	}
	return out
}

func text(a arrow.Array, i int) string {
	switch a := a.(type) {
	case *array.String:
		return strings.Clone(a.Value(i))
	case *array.Binary:
		return string(a.Value(i))
	}
	return fmt.Sprintf("%T is no text", a)
}

// fixed undoes what differs between DuckDB's layout and Arrow's.
func fixed(t *vec.Type, b []byte, at int, plain bool) any {
	le := binary.LittleEndian
	switch w := t.Width(); {
	case w == 2 && t.Kind == vec.Decimal:
		return uint64(le.Uint32(b[4*at:])) & 0xffff
	case w == 16:
		x := [2]uint64{le.Uint64(b[16*at:]), le.Uint64(b[16*at+8:])}
		switch t.Kind {
		case vec.UUID:
			x = [2]uint64{bits.ReverseBytes64(x[1]), bits.ReverseBytes64(x[0]) ^ 1<<63}
		case vec.Interval:
			if plain {
				x[1] = uint64(int64(x[1]) / 1000)
			}
		}
		return x
	default:
		var full [8]byte
		copy(full[:], b[w*at:w*(at+1)])
		return le.Uint64(full[:])
	}
}

func nanos(s string) any {
	s += ".000000000"[max(0, len(s)-len("00:00:00")):]
	n := func(from, to int) uint64 {
		v, err := strconv.ParseUint(s[from:to], 10, 64)
		if err != nil {
			return 1 << 63
		}
		return v
	}
	return ((n(0, 2)*60+n(3, 5))*60+n(6, 8))*1e9 + n(9, 18)
}
