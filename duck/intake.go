//go:build duckdb_arrow

package duck

// #include <stdlib.h>
// #include "bridge.h"
import "C"

import (
	"encoding/json"
	"fmt"
	"strconv"
	"unsafe"

	"github.com/apache/arrow-go/v18/arrow"
	"github.com/apache/arrow-go/v18/arrow/array"
	"github.com/apache/arrow-go/v18/arrow/cdata"
	"github.com/apache/arrow-go/v18/arrow/memory"
	"github.com/duckdb/duckdb-go/v2/mapping"
)

// intake says how DuckDB's vectors are filled from arrays of an Arrow schema. What
// it cannot fill itself (dictionaries, views, durations and others that no block of
// ours has), DuckDB's own reader of Arrow does, a batch at a time. free frees it.
type intake struct {
	types   []mapping.LogicalType // of the columns
	targets []C.pond_target       // the columns' trees, one after the other
	first   []int                 // where a column's begins
	memory  []unsafe.Pointer      // of C, that the targets refer to
	side    mapping.Connection
}

func (e *Engine) newIntake(schema *arrow.Schema) (*intake, error) {
	in := &intake{side: e.side}
	for _, f := range schema.Fields() {
		in.first = append(in.first, len(in.targets))
		t, err := in.column(f)
		if err != nil {
			in.free()
			return nil, fmt.Errorf("column %q: %w", f.Name, err)
		}
		in.types = append(in.types, t)
	}
	return in, nil
}

func (in *intake) free() {
	for i := range in.types {
		mapping.DestroyLogicalType(&in.types[i])
	}
	for _, t := range in.targets {
		if t.converted != nil {
			C.pond_free_schema(t.converted)
		}
	}
	for _, m := range in.memory {
		C.free(m)
	}
	*in = intake{}
}

// pick is a copy, in C's memory, of the trees of some columns, which are those of a
// chunk at the given places.
func (in *intake) pick(columns, places []int) []C.pond_target {
	var nodes []C.pond_target
	for i, c := range columns {
		tree := in.targets[in.first[c]:]
		nodes = append(nodes, tree[:tree[0].span]...)
		nodes[len(nodes)-int(tree[0].span)].column = C.uint32_t(places[i])
	}
	out := unsafe.Slice((*C.pond_target)(C.calloc(C.size_t(max(1, len(nodes))), C.sizeof_pond_target)), len(nodes))
	copy(out, nodes)
	return out
}

// column appends a field's tree and returns its type in DuckDB.
func (in *intake) column(f arrow.Field) (mapping.LogicalType, error) {
	at := len(in.targets)
	in.targets = append(in.targets, C.pond_target{})
	node := &C.pond_target{}
	t, err := in.flat(f, node)
	if err == nil && t.Ptr == nil {
		t, err = in.nested(f, node)
	}
	if err == nil && t.Ptr == nil {
		t, err = in.foreign(f, node)
	}
	node.span = C.uint32_t(len(in.targets) - at)
	in.targets[at] = *node
	return t, err
}

// kinds are the types that DuckDB lays out as Arrow does.
var kinds = map[arrow.Type]mapping.Type{
	arrow.INT8: mapping.TypeTinyInt, arrow.INT16: mapping.TypeSmallInt, arrow.INT32: mapping.TypeInteger, arrow.INT64: mapping.TypeBigInt,
	arrow.UINT8: mapping.TypeUTinyInt, arrow.UINT16: mapping.TypeUSmallInt, arrow.UINT32: mapping.TypeUInteger, arrow.UINT64: mapping.TypeUBigInt,
	arrow.FLOAT32: mapping.TypeFloat, arrow.FLOAT64: mapping.TypeDouble, arrow.DATE32: mapping.TypeDate,
}

// flat is the type of a field without children; none: it has some, or is foreign.
func (in *intake) flat(f arrow.Field, node *C.pond_target) (mapping.LogicalType, error) {
	plain := func(op C.uint32_t, width int, t mapping.Type) (mapping.LogicalType, error) {
		node.op, node.from, node.to = op, C.uint32_t(width), C.uint32_t(width)
		return mapping.CreateLogicalType(t), nil
	}
	name := extension(f)
	dt := storage(f.Type)
	if name == "geoarrow.wkb" || name == "arrow.bool8" {
		return mapping.LogicalType{}, nil
	}
	if t, ok := kinds[dt.ID()]; ok {
		return plain(C.pond_put_fixed, dt.(arrow.FixedWidthDataType).BitWidth()/8, t)
	}
	switch dt := dt.(type) {
	case *arrow.NullType:
		return plain(C.pond_put_null, 0, mapping.TypeSQLNull)
	case *arrow.BooleanType:
		return plain(C.pond_put_bools, 0, mapping.TypeBoolean)
	case *arrow.Time64Type:
		if dt.Unit == arrow.Microsecond {
			return plain(C.pond_put_fixed, 8, mapping.TypeTime)
		}
	case *arrow.TimestampType:
		units := map[arrow.TimeUnit]mapping.Type{arrow.Second: mapping.TypeTimestampS, arrow.Millisecond: mapping.TypeTimestampMS,
			arrow.Microsecond: mapping.TypeTimestamp, arrow.Nanosecond: mapping.TypeTimestampNS}
		if dt.TimeZone == "" {
			return plain(C.pond_put_fixed, 8, units[dt.Unit])
		}
		if dt.Unit == arrow.Microsecond {
			return plain(C.pond_put_fixed, 8, mapping.TypeTimestampTZ)
		}
	case *arrow.MonthDayNanoIntervalType:
		return plain(C.pond_put_intervals, 16, mapping.TypeInterval)
	case arrow.DecimalType:
		return decimal(dt, node), nil
	case *arrow.StringType, *arrow.LargeStringType, *arrow.BinaryType, *arrow.LargeBinaryType:
		return text(dt, name, node), nil
	case *arrow.FixedSizeBinaryType:
		switch fmt.Sprint(name, " ", dt.ByteWidth) {
		case "hugeint 16":
			return plain(C.pond_put_fixed, 16, mapping.TypeHugeInt)
		case "interval 16":
			return plain(C.pond_put_fixed, 16, mapping.TypeInterval)
		case "uhugeint 16":
			return plain(C.pond_put_fixed, 16, mapping.TypeUHugeInt)
		case "time_tz 8":
			return plain(C.pond_put_fixed, 8, mapping.TypeTimeTZ)
		case "arrow.uuid 16":
			return plain(C.pond_put_uuids, 16, mapping.TypeUUID)
		}
	}
	return mapping.LogicalType{}, nil
}

// decimal is the type of decimals that fit into DuckDB's.
func decimal(dt arrow.DecimalType, node *C.pond_target) mapping.LogicalType {
	p, s, from := dt.GetPrecision(), dt.GetScale(), dt.BitWidth()/8
	if p < 1 || p > 38 || s < 0 || s > p {
		return mapping.LogicalType{}
	}
	to := int(decimalType(uint8(p), uint8(s)).Storage)
	if from < to || from > 16 {
		return mapping.LogicalType{}
	}
	node.op, node.from, node.to = C.pond_put_narrow, C.uint32_t(from), C.uint32_t(to)
	if from == to {
		node.op = C.pond_put_fixed
	}
	return mapping.CreateDecimalType(uint8(p), uint8(s))
}

// text is the type of strings and bytes.
func text(dt arrow.DataType, extension string, node *C.pond_target) mapping.LogicalType {
	node.op = C.pond_put_strings
	if id := dt.ID(); id == arrow.LARGE_STRING || id == arrow.LARGE_BINARY {
		node.op = C.pond_put_strings64
	}
	if id := dt.ID(); id == arrow.STRING || id == arrow.LARGE_STRING {
		t := mapping.CreateLogicalType(mapping.TypeVarchar)
		if extension == "arrow.json" {
			mapping.LogicalTypeSetAlias(t, "JSON")
		}
		return t
	}
	switch extension {
	case "bit":
		return mapping.CreateLogicalType(mapping.TypeBit)
	case "bignum":
		return mapping.CreateLogicalType(mapping.TypeBigNum)
	}
	return mapping.CreateLogicalType(mapping.TypeBlob)
}

// extension is the name of the Arrow extension type that f is, or the name of
// DuckDB's own type that an opaque one stands for.
func extension(f arrow.Field) string {
	name, _ := f.Metadata.GetValue("ARROW:extension:name")
	data, _ := f.Metadata.GetValue("ARROW:extension:metadata")
	if x, ok := f.Type.(arrow.ExtensionType); ok {
		name, data = x.ExtensionName(), x.Serialize()
	}
	if name != "arrow.opaque" {
		return name
	}
	var opaque struct {
		Type   string `json:"type_name"`
		Vendor string `json:"vendor_name"`
	}
	if json.Unmarshal([]byte(data), &opaque) != nil || opaque.Vendor != "DuckDB" {
		return name
	}
	return opaque.Type
}

// nested is the type of a field with children; none: it is foreign.
func (in *intake) nested(f arrow.Field, node *C.pond_target) (out mapping.LogicalType, err error) {
	var kids []mapping.LogicalType
	defer func() {
		for i := range kids {
			mapping.DestroyLogicalType(&kids[i])
		}
	}()
	names, err := in.inside(f.Type, node, &kids)
	if err != nil || names == nil {
		return out, err
	}
	switch dt := storage(f.Type).(type) {
	case *arrow.FixedSizeListType:
		return mapping.CreateArrayType(kids[0], mapping.IdxT(dt.Len())), nil
	case *arrow.StructType:
		return mapping.CreateStructType(kids, names), nil
	case *arrow.SparseUnionType:
		return mapping.CreateUnionType(kids, names), nil
	case *arrow.MapType:
		entry := kids[0]
		key, value := mapping.StructTypeChildType(entry, 0), mapping.StructTypeChildType(entry, 1)
		kids = append(kids, key, value)
		return mapping.CreateMapType(key, value), nil
	}
	return mapping.CreateListType(kids[0]), nil
}

// inside appends the trees of the children of a field, and their types to kids. It
// returns their names, nil if the field has none that are filled here.
func (in *intake) inside(dt arrow.DataType, node *C.pond_target, kids *[]mapping.LogicalType) ([]string, error) {
	var fields []arrow.Field
	switch dt := storage(dt).(type) {
	case *arrow.ListType:
		node.op, fields = C.pond_put_lists, []arrow.Field{dt.ElemField()}
	case *arrow.LargeListType:
		node.op, fields = C.pond_put_lists64, []arrow.Field{dt.ElemField()}
	case *arrow.MapType:
		node.op, fields = C.pond_put_lists, []arrow.Field{dt.ElemField()}
	case *arrow.FixedSizeListType:
		node.op, node.size, fields = C.pond_put_arrays, C.uint64_t(dt.Len()), []arrow.Field{dt.ElemField()}
	case *arrow.StructType:
		node.op, fields = C.pond_put_structs, dt.Fields()
	case *arrow.SparseUnionType:
		node.op, fields = C.pond_put_unions, dt.Fields()
		node.members = in.members(dt.TypeCodes())
	default:
		return nil, nil
	}
	if node.children = C.uint32_t(len(fields)); len(fields) == 0 {
		return nil, fmt.Errorf("DuckDB has no %s without fields", dt)
	}
	names := make([]string, len(fields))
	for i, f := range fields {
		names[i] = f.Name
		t, err := in.column(f)
		if err != nil {
			return nil, err
		}
		*kids = append(*kids, t)
	}
	return names, nil
}

// members tells, by type id, which member of a union it means.
func (in *intake) members(codes []arrow.UnionTypeCode) *C.int8_t {
	p := C.malloc(128)
	in.memory = append(in.memory, p)
	list := unsafe.Slice((*int8)(p), 128)
	for i := range list {
		list[i] = -1
	}
	for i, c := range codes {
		list[c&127] = int8(i)
	}
	return (*C.int8_t)(p)
}

// foreign is the type that DuckDB's own reader of Arrow gives a field.
func (in *intake) foreign(f arrow.Field, node *C.pond_target) (mapping.LogicalType, error) {
	schema := (*C.pond_arrow_schema)(C.calloc(1, C.sizeof_pond_arrow_schema))
	defer C.free(unsafe.Pointer(schema))
	f.Name = "c"
	cdata.ExportArrowSchema(arrow.NewSchema([]arrow.Field{f}, nil), (*cdata.CArrowSchema)(unsafe.Pointer(schema)))
	defer cdata.ReleaseCArrowSchema((*cdata.CArrowSchema)(unsafe.Pointer(schema)))
	node.op, node.connection = C.pond_put_import, in.side.Ptr
	if text := C.pond_read_schema(in.side.Ptr, schema, &node.converted); text != nil {
		defer C.free(unsafe.Pointer(text))
		return mapping.LogicalType{}, newError(C.GoString(text), "")
	}
	sample := array.MakeArrayOfNull(memory.DefaultAllocator, f.Type, 1)
	defer sample.Release()
	x := export(sample.Data())
	defer x.free()
	t := mapping.LogicalType{Ptr: C.pond_type_of(node, x.root)}
	if t.Ptr == nil {
		return t, fmt.Errorf("DuckDB cannot read %s: %w", strconv.Quote(f.Type.String()), ErrQuery)
	}
	return t, nil
}
