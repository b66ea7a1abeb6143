package vec

import (
	"strconv"
	"strings"

	"github.com/apache/arrow-go/v18/arrow"
)

// TypeKey is the field metadata key that holds the DuckDB type (Type.SQL) to
// cast back to. Only columns carry it, not fields inside them: a cast of the
// whole column reaches those.
const TypeKey = "duckdb:type"

// Metadata keys by which Arrow marks an extension type on its storage.
const (
	extensionKey     = "ARROW:extension:name"
	extensionDataKey = "ARROW:extension:metadata"
)

var widths = [...]int{
	Bool: 1, Int8: 1, Int16: 2, Int32: 4, Int64: 8, Int128: 16, Uint8: 1, Uint16: 2, Uint32: 4, Uint64: 8, Uint128: 16,
	Float32: 4, Float64: 8, Date: 4, Time: 8, TimeNS: 8, TimeTZ: 8,
	TimestampS: 8, TimestampMS: 8, Timestamp: 8, TimestampNS: 8, TimestampTZ: 8, Interval: 16, UUID: 16,
	String: 16, Blob: 16, Bit: 16, BigNum: 16, Geometry: 16, List: 16, Map: 16, Union: 0,
}

// Width is the bytes a row takes in a [Vector]'s Data: 16 for strings and
// lists, 0 for kinds that have none there.
func (t *Type) Width() int {
	if t.Kind == Decimal || t.Kind == Enum {
		return int(t.Storage)
	}
	if int(t.Kind) < len(widths) {
		return widths[t.Kind]
	}
	return 0
}

// Arrow is the field as Arrow carries it, the DuckDB type's SQL under [TypeKey].
//
// DuckDB itself imports all of it as the type it was, but for these, which a
// cast to TypeKey's type restores: ENUM and TIME_NS travel as text, and types
// with a name of their own (aliases) as their base type. Arrow has no NULL unions:
// see [NullUnion].
func (f Field) Arrow() arrow.Field { return f.carried(arrows) }

// carried is the field with DuckDB's type in its metadata.
func (f Field) carried(l layout) arrow.Field {
	out := f.inner(l)
	keys := append([]string{TypeKey}, out.Metadata.Keys()...)
	values := append([]string{f.Type.SQL}, out.Metadata.Values()...)
	out.Metadata = arrow.NewMetadata(keys, values)
	return out
}

// layout says for whom rows are laid out.
type layout bool

const (
	arrows layout = false // for everybody
	blocks layout = true  // for DuckDB: intervals are its own 16 bytes, which hold more than Arrow's
)

// Arrow is the schema as Arrow carries it.
func (s *Schema) Arrow() *arrow.Schema { return s.carried(arrows) }

// Blocks is the schema of the rows in blocks: Arrow's, but that an INTERVAL is the 16
// bytes that DuckDB has, as only DuckDB knows them.
func (s *Schema) Blocks() *arrow.Schema { return s.carried(blocks) }

func (s *Schema) carried(l layout) *arrow.Schema {
	fields := make([]arrow.Field, len(s.Fields))
	for i, f := range s.Fields {
		fields[i] = f.carried(l)
	}
	return arrow.NewSchema(fields, nil)
}

// inner is the field as it stands inside another.
func (f Field) inner(l layout) arrow.Field {
	out := arrow.Field{Name: f.Name, Type: f.Type.arrow(l), Nullable: true}
	switch f.Type.Kind {
	case Interval:
		if l == blocks {
			out.Type, out.Metadata = &arrow.FixedSizeBinaryType{ByteWidth: 16}, opaque("interval")
		}
	case Int128:
		out.Metadata = opaque("hugeint")
	case Uint128:
		out.Metadata = opaque("uhugeint")
	case TimeTZ:
		out.Metadata = opaque("time_tz")
	case Bit:
		out.Metadata = opaque("bit")
	case BigNum:
		out.Metadata = opaque("bignum")
	case Geometry:
		out.Metadata = arrow.NewMetadata([]string{extensionKey, extensionDataKey}, []string{"geoarrow.wkb", "{}"})
	case UUID:
		out.Metadata = arrow.NewMetadata([]string{extensionKey, extensionDataKey}, []string{"arrow.uuid", ""})
	case String:
		if strings.EqualFold(f.Type.SQL, "JSON") {
			out.Metadata = arrow.NewMetadata([]string{extensionKey, extensionDataKey}, []string{"arrow.json", ""})
		}
	}
	return out
}

// opaque marks storage as a type that only DuckDB knows.
func opaque(name string) arrow.Metadata {
	return arrow.NewMetadata([]string{extensionKey, extensionDataKey},
		[]string{"arrow.opaque", `{"type_name":` + strconv.Quote(name) + `,"vendor_name":"DuckDB"}`})
}

var flatTypes = map[Kind]arrow.DataType{
	Null: arrow.Null, Bool: arrow.FixedWidthTypes.Boolean,
	Int8: arrow.PrimitiveTypes.Int8, Int16: arrow.PrimitiveTypes.Int16,
	Int32: arrow.PrimitiveTypes.Int32, Int64: arrow.PrimitiveTypes.Int64,
	Uint8: arrow.PrimitiveTypes.Uint8, Uint16: arrow.PrimitiveTypes.Uint16,
	Uint32: arrow.PrimitiveTypes.Uint32, Uint64: arrow.PrimitiveTypes.Uint64,
	Float32: arrow.PrimitiveTypes.Float32, Float64: arrow.PrimitiveTypes.Float64,
	Int128: &arrow.FixedSizeBinaryType{ByteWidth: 16}, Uint128: &arrow.FixedSizeBinaryType{ByteWidth: 16},
	UUID: &arrow.FixedSizeBinaryType{ByteWidth: 16}, TimeTZ: &arrow.FixedSizeBinaryType{ByteWidth: 8},
	Date: arrow.FixedWidthTypes.Date32, Time: arrow.FixedWidthTypes.Time64us, TimeNS: arrow.BinaryTypes.String,
	TimestampS:  &arrow.TimestampType{Unit: arrow.Second},
	TimestampMS: &arrow.TimestampType{Unit: arrow.Millisecond},
	Timestamp:   &arrow.TimestampType{Unit: arrow.Microsecond},
	TimestampNS: &arrow.TimestampType{Unit: arrow.Nanosecond},
	TimestampTZ: &arrow.TimestampType{Unit: arrow.Microsecond, TimeZone: "UTC"},
	Interval:    arrow.FixedWidthTypes.MonthDayNanoInterval,
	String:      arrow.BinaryTypes.String, Enum: arrow.BinaryTypes.String,
	Blob: arrow.BinaryTypes.Binary, Bit: arrow.BinaryTypes.Binary, BigNum: arrow.BinaryTypes.Binary, Geometry: arrow.BinaryTypes.Binary,
}

// arrow is the storage type that carries t.
func (t *Type) arrow(l layout) arrow.DataType {
	switch t.Kind {
	case Decimal:
		return t.decimal()
	case List:
		return arrow.ListOfField(named(t.Fields[0], "item", l))
	case Array:
		return arrow.FixedSizeListOfField(int32(t.Size), named(t.Fields[0], "item", l))
	case Map:
		key, value := named(t.Fields[0], "key", l), named(t.Fields[1], "value", l)
		key.Nullable = false
		return arrow.MapOfFields(key, value)
	case Struct:
		return arrow.StructOf(inners(t.Fields, l)...)
	case Union:
		codes := make([]arrow.UnionTypeCode, len(t.Fields))
		for i := range codes {
			codes[i] = arrow.UnionTypeCode(i)
		}
		return arrow.SparseUnionOf(inners(t.Fields, l), codes)
	}
	return flatTypes[t.Kind]
}

// decimal is the narrowest Arrow decimal that holds t's storage.
func (t *Type) decimal() arrow.DataType {
	p, s := int32(t.Precision), int32(t.Scale)
	switch t.Storage {
	case 2, 4:
		return &arrow.Decimal32Type{Precision: p, Scale: s}
	case 8:
		return &arrow.Decimal64Type{Precision: p, Scale: s}
	}
	return &arrow.Decimal128Type{Precision: p, Scale: s}
}

func named(f Field, name string, l layout) arrow.Field {
	out := f.inner(l)
	out.Name = name
	return out
}

func inners(fields []Field, l layout) []arrow.Field {
	out := make([]arrow.Field, len(fields))
	for i, f := range fields {
		out[i] = f.inner(l)
	}
	return out
}
