package vectest

import (
	"fmt"
	"math/rand/v2"
	"strings"

	"github.com/pondmesh/pond/duck/vec"
)

var flat = []vec.Type{
	{Kind: vec.Null, SQL: `"NULL"`}, {Kind: vec.Bool, SQL: "BOOLEAN"},
	{Kind: vec.Int8, SQL: "TINYINT"}, {Kind: vec.Int16, SQL: "SMALLINT"}, {Kind: vec.Int32, SQL: "INTEGER"},
	{Kind: vec.Int64, SQL: "BIGINT"}, {Kind: vec.Int128, SQL: "HUGEINT"}, {Kind: vec.Uint8, SQL: "UTINYINT"},
	{Kind: vec.Uint16, SQL: "USMALLINT"}, {Kind: vec.Uint32, SQL: "UINTEGER"}, {Kind: vec.Uint64, SQL: "UBIGINT"},
	{Kind: vec.Uint128, SQL: "UHUGEINT"}, {Kind: vec.Float32, SQL: "FLOAT"}, {Kind: vec.Float64, SQL: "DOUBLE"},
	{Kind: vec.Decimal, Storage: 2, Precision: 4, Scale: 1, SQL: "DECIMAL(4,1)"},
	{Kind: vec.Decimal, Storage: 4, Precision: 9, Scale: 2, SQL: "DECIMAL(9,2)"},
	{Kind: vec.Decimal, Storage: 8, Precision: 18, Scale: 3, SQL: "DECIMAL(18,3)"},
	{Kind: vec.Decimal, Storage: 16, Precision: 38, Scale: 10, SQL: "DECIMAL(38,10)"},
	{Kind: vec.Date, SQL: "DATE"}, {Kind: vec.Time, SQL: "TIME"}, {Kind: vec.TimeNS, SQL: "TIME_NS"}, {Kind: vec.TimeTZ, SQL: "TIME WITH TIME ZONE"},
	{Kind: vec.TimestampS, SQL: "TIMESTAMP_S"}, {Kind: vec.TimestampMS, SQL: "TIMESTAMP_MS"},
	{Kind: vec.Timestamp, SQL: "TIMESTAMP"}, {Kind: vec.TimestampNS, SQL: "TIMESTAMP_NS"}, {Kind: vec.TimestampTZ, SQL: "TIMESTAMP WITH TIME ZONE"},
	{Kind: vec.Interval, SQL: "INTERVAL"}, {Kind: vec.UUID, SQL: "UUID"},
	{Kind: vec.String, SQL: "VARCHAR"}, {Kind: vec.String, SQL: "JSON"}, {Kind: vec.Blob, SQL: "BLOB"}, {Kind: vec.Bit, SQL: "BIT"}, {Kind: vec.BigNum, SQL: "BIGNUM"}, {Kind: vec.Geometry, SQL: "GEOMETRY"},
	{Kind: vec.Enum, Storage: 1, Names: []string{"", "small", "one that is longer than twelve"}, SQL: "ENUM('', 'small', 'one that is longer than twelve')"},
	{Kind: vec.Enum, Storage: 2, Names: []string{"a", strings.Repeat("long", 80)}, SQL: "ENUM('a', '" + strings.Repeat("long", 80) + "')"},
	{Kind: vec.Enum, Storage: 4, Names: []string{"only"}, SQL: "ENUM('only')"},
}

// Type is a random type, nested at most depth deep.
func Type(r *rand.Rand, depth int) *vec.Type {
	if depth == 0 || r.IntN(3) > 0 {
		t := flat[r.IntN(len(flat))]
		return &t
	}
	fields := func(n int) []vec.Field {
		out := make([]vec.Field, n)
		for i := range out {
			out[i] = vec.Field{Name: fmt.Sprintf("f%d", i), Type: Type(r, depth-1)}
		}
		return out
	}
	switch r.IntN(5) {
	case 0:
		return &vec.Type{Kind: vec.List, Fields: fields(1)}
	case 1:
		return &vec.Type{Kind: vec.Map, Fields: fields(2)}
	case 2:
		return &vec.Type{Kind: vec.Array, Size: 1 + r.IntN(3), Fields: fields(1)}
	case 3:
		return &vec.Type{Kind: vec.Union, Fields: fields(1 + r.IntN(3))}
	}
	return &vec.Type{Kind: vec.Struct, Fields: fields(1 + r.IntN(3))}
}

// Schema is a random schema of n columns.
func Schema(r *rand.Rand, n, depth int) *vec.Schema {
	s := &vec.Schema{}
	for i := range n {
		s.Fields = append(s.Fields, vec.Field{Name: fmt.Sprintf("c%d", i), Type: Type(r, depth)})
	}
	return s
}

// Rows is n random rows of s. Some columns have no NULLs.
func Rows(r *rand.Rand, s *vec.Schema, n int) [][]any {
	rows := make([][]any, n)
	for i := range rows {
		rows[i] = make([]any, len(s.Fields))
	}
	for j, f := range s.Fields {
		nulls := r.IntN(2) * r.IntN(4)
		for i := range rows {
			rows[i][j] = Value(r, f.Type, nulls)
		}
	}
	return rows
}

// Value is a random value of t, NULL nulls times in ten.
func Value(r *rand.Rand, t *vec.Type, nulls int) any {
	if t.Kind == vec.Null || r.IntN(10) < nulls {
		return nil
	}
	list := func(n int) []any {
		out := make([]any, n)
		for i := range out {
			out[i] = Value(r, t.Fields[0].Type, nulls)
		}
		return out
	}
	switch t.Kind {
	case vec.Bool:
		return r.IntN(2) == 1
	case vec.String, vec.Blob, vec.Bit, vec.BigNum, vec.Geometry:
		b := make([]byte, r.IntN(4)*r.IntN(12))
		for i := range b {
			b[i] = byte(r.IntN(256))
			if t.Kind == vec.String {
				b[i] &= 0x7f
			}
		}
		return string(b)
	case vec.Enum:
		return uint64(r.IntN(len(t.Names)))
	case vec.TimeNS:
		return r.Uint64N(86400e9)
	case vec.Interval: // months and days, microseconds that nanoseconds can hold
		return [2]uint64{r.Uint64(), uint64(r.Int64N(1<<53) - 1<<52)}
	case vec.List:
		return list(r.IntN(4))
	case vec.Array:
		return list(t.Size)
	case vec.Map:
		out := make([]any, r.IntN(4))
		for i := range out { // Type may make keys of NULL alone; DuckDB does not
			out[i] = []any{key(r, t.Fields[0].Type), Value(r, t.Fields[1].Type, nulls)}
		}
		if t.Fields[0].Type.Kind == vec.Null {
			return []any{}
		}
		return out
	case vec.Struct:
		out := make([]any, len(t.Fields))
		for i, f := range t.Fields {
			out[i] = Value(r, f.Type, nulls)
		}
		return out
	case vec.Union:
		tag := r.IntN(len(t.Fields))
		return Member{tag, Value(r, t.Fields[tag].Type, nulls)}
	}
	switch w := t.Width(); w {
	case 16:
		return [2]uint64{r.Uint64(), r.Uint64()}
	default:
		return r.Uint64() >> (64 - 8*w)
	}
}

// key is a value that is not NULL.
func key(r *rand.Rand, t *vec.Type) any {
	return Value(r, t, 0)
}
