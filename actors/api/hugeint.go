package api

import (
	"strings"

	"github.com/apache/arrow-go/v18/arrow"
	"github.com/apache/arrow-go/v18/arrow/array"
)

// HUGEINT, the type of every sum of integers, travels as 16 bytes that only
// DuckDB knows. Arrow's DECIMAL(38,0) is the same bytes, and a number for
// everybody, so clients get that. UHUGEINT does not fit.
var hugeintType = &arrow.Decimal128Type{Precision: 38}

// Keys of a field's metadata that tell the meaning of its bytes.
const (
	extensionKey     = "ARROW:extension:name"
	extensionDataKey = "ARROW:extension:metadata"
)

// DecimalSchema has DECIMAL(38,0) for every HUGEINT, and reports whether there
// was one.
func DecimalSchema(s *arrow.Schema) (*arrow.Schema, bool) {
	fields, found := decimalFields(s.Fields())
	if !found {
		return s, false
	}
	meta := s.Metadata()
	return arrow.NewSchema(fields, &meta), true
}

func decimalFields(in []arrow.Field) (out []arrow.Field, found bool) {
	out = make([]arrow.Field, len(in))
	for i, f := range in {
		d, ok := decimalField(f)
		out[i], found = d, found || ok
	}
	return out, found
}

func decimalField(f arrow.Field) (arrow.Field, bool) {
	found := false
	switch t := f.Type.(type) {
	case *arrow.FixedSizeBinaryType:
		data, _ := f.Metadata.GetValue(extensionDataKey)
		if found = strings.Contains(data, `"hugeint"`); found {
			f.Type, f.Metadata = hugeintType, without(f.Metadata, extensionKey, extensionDataKey)
		}
	case *arrow.ListType:
		var e arrow.Field
		if e, found = decimalField(t.ElemField()); found {
			f.Type = arrow.ListOfField(e)
		}
	case *arrow.FixedSizeListType:
		var e arrow.Field
		if e, found = decimalField(t.ElemField()); found {
			f.Type = arrow.FixedSizeListOfField(t.Len(), e)
		}
	case *arrow.StructType:
		var fields []arrow.Field
		if fields, found = decimalFields(t.Fields()); found {
			f.Type = arrow.StructOf(fields...)
		}
	case *arrow.MapType:
		key, a := decimalField(t.KeyField())
		item, b := decimalField(t.ItemField())
		if found = a || b; found {
			f.Type = arrow.MapOfFields(key, item)
		}
	}
	return f, found
}

func without(m arrow.Metadata, keys ...string) arrow.Metadata {
	kept := m.ToMap()
	for _, k := range keys {
		delete(kept, k)
	}
	return arrow.MetadataFrom(kept)
}

// DecimalBatch is rec under DecimalSchema's schema; the values are shared. The
// caller releases it.
func DecimalBatch(rec arrow.RecordBatch, s *arrow.Schema) arrow.RecordBatch {
	columns := make([]arrow.Array, rec.NumCols())
	for i, a := range rec.Columns() {
		data := retyped(a.Data(), s.Field(i).Type)
		columns[i] = array.MakeFromData(data)
		data.Release()
		defer columns[i].Release()
	}
	return array.NewRecordBatch(s, columns, rec.NumRows())
}

// retyped is d as a type of the same layout.
func retyped(d arrow.ArrayData, t arrow.DataType) arrow.ArrayData {
	nested, ok := t.(arrow.NestedType)
	if !ok || arrow.TypeEqual(d.DataType(), t) {
		return array.NewData(t, d.Len(), d.Buffers(), d.Children(), d.NullN(), d.Offset())
	}
	children := make([]arrow.ArrayData, len(d.Children()))
	for i, c := range d.Children() {
		children[i] = retyped(c, nested.Fields()[i].Type)
		defer children[i].Release()
	}
	return array.NewData(t, d.Len(), d.Buffers(), children, d.NullN(), d.Offset())
}
