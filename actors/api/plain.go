package api

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"strings"

	"github.com/apache/arrow-go/v18/arrow"
	"github.com/apache/arrow-go/v18/arrow/array"
	"github.com/apache/arrow-go/v18/arrow/memory"

	"github.com/pondmesh/pond/actors/plan"
)

// What travels between nodes as bytes that only DuckDB knows, clients get as types
// that everybody has. HUGEINT, the type of every sum of integers, is DECIMAL(38,0): the
// same bytes. UHUGEINT does not fit. INTERVAL has nanoseconds for its microseconds, if
// they can hold them.
var hugeintType = &arrow.Decimal128Type{Precision: 38}

// Keys of a field's metadata that tell the meaning of its bytes.
const (
	extensionKey     = "ARROW:extension:name"
	extensionDataKey = "ARROW:extension:metadata"
)

// PlainSchema is the schema of rows for clients, and reports whether it is another
// than that of the rows as nodes hold them.
func PlainSchema(s *arrow.Schema) (*arrow.Schema, bool) {
	fields, found := plainFields(s.Fields())
	if !found {
		return s, false
	}
	meta := s.Metadata()
	return arrow.NewSchema(fields, &meta), true
}

func plainFields(in []arrow.Field) (out []arrow.Field, found bool) {
	out = make([]arrow.Field, len(in))
	for i, f := range in {
		d, ok := plainField(f)
		out[i], found = d, found || ok
	}
	return out, found
}

func plainField(f arrow.Field) (arrow.Field, bool) {
	found := false
	switch t := f.Type.(type) {
	case *arrow.FixedSizeBinaryType:
		data, _ := f.Metadata.GetValue(extensionDataKey)
		for name, plain := range map[string]arrow.DataType{`"hugeint"`: hugeintType, `"interval"`: arrow.FixedWidthTypes.MonthDayNanoInterval} {
			if strings.Contains(data, name) {
				found = true
				f.Type, f.Metadata = plain, without(f.Metadata, extensionKey, extensionDataKey)
			}
		}
	case *arrow.ListType:
		var e arrow.Field
		if e, found = plainField(t.ElemField()); found {
			f.Type = arrow.ListOfField(e)
		}
	case *arrow.FixedSizeListType:
		var e arrow.Field
		if e, found = plainField(t.ElemField()); found {
			f.Type = arrow.FixedSizeListOfField(t.Len(), e)
		}
	case *arrow.StructType:
		var fields []arrow.Field
		if fields, found = plainFields(t.Fields()); found {
			f.Type = arrow.StructOf(fields...)
		}
	case *arrow.SparseUnionType:
		var fields []arrow.Field
		if fields, found = plainFields(t.Fields()); found {
			f.Type = arrow.SparseUnionOf(fields, t.TypeCodes())
		}
	case *arrow.MapType:
		key, a := plainField(t.KeyField())
		item, b := plainField(t.ItemField())
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

// PlainBatch is rec under PlainSchema's schema; all values but intervals are shared.
// The caller releases it. It fails when an interval has no place in Arrow's.
func PlainBatch(rec arrow.RecordBatch, s *arrow.Schema) (arrow.RecordBatch, error) {
	columns := make([]arrow.Array, rec.NumCols())
	for i, a := range rec.Columns() {
		data, err := retyped(a.Data(), s.Field(i).Type)
		if err != nil {
			return nil, &plan.Error{Kind: plan.KindUser, Op: "rows", Subject: s.Field(i).Name, Text: err.Error(), Hint: "cast it: SELECT column::VARCHAR"}
		}
		columns[i] = array.MakeFromData(data)
		data.Release()
		defer columns[i].Release()
	}
	return array.NewRecordBatch(s, columns, rec.NumRows()), nil
}

// retyped is d as its plain type. The layout is the same.
func retyped(d arrow.ArrayData, t arrow.DataType) (arrow.ArrayData, error) {
	buffers, children := d.Buffers(), d.Children()
	nested, ok := t.(arrow.NestedType)
	switch {
	case arrow.TypeEqual(d.DataType(), t):
	case t.ID() == arrow.INTERVAL_MONTH_DAY_NANO:
		nanos, err := toNanos(d)
		if err != nil {
			return nil, err
		}
		defer nanos.Release()
		buffers = []*memory.Buffer{buffers[0], nanos}
	case ok:
		children = make([]arrow.ArrayData, len(d.Children()))
		for i, c := range d.Children() {
			kid, err := retyped(c, nested.Fields()[i].Type)
			if err != nil {
				return nil, err
			}
			children[i] = kid
			defer kid.Release()
		}
	}
	return array.NewData(t, d.Len(), buffers, children, d.NullN(), d.Offset()), nil
}

// toNanos is DuckDB's intervals (months and days, 32 bits each, microseconds) as
// Arrow's, which have nanoseconds.
func toNanos(d arrow.ArrayData) (*memory.Buffer, error) {
	if d.Buffers()[1] == nil {
		return memory.NewBufferBytes(nil), nil
	}
	out := bytes.Clone(d.Buffers()[1].Bytes())
	for i := d.Offset(); i < d.Offset()+d.Len(); i++ {
		at := out[16*i+8 : 16*i+16]
		micros := int64(binary.LittleEndian.Uint64(at))
		if nanos := micros * 1000; nanos/1000 == micros {
			binary.LittleEndian.PutUint64(at, uint64(nanos))
			continue
		}
		return nil, fmt.Errorf("an interval of %d microseconds beside its months and days is more than rows of Arrow can hold", micros)
	}
	return memory.NewBufferBytes(out), nil
}
