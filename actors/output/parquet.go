package output

import (
	"fmt"
	"io"
	"math"

	"github.com/apache/arrow-go/v18/arrow"
	"github.com/apache/arrow-go/v18/arrow/array"
	"github.com/apache/arrow-go/v18/arrow/bitutil"
	"github.com/apache/arrow-go/v18/arrow/decimal128"
	"github.com/apache/arrow-go/v18/arrow/extensions"
	"github.com/apache/arrow-go/v18/arrow/memory"
	"github.com/apache/arrow-go/v18/parquet"
	"github.com/apache/arrow-go/v18/parquet/compress"
	"github.com/apache/arrow-go/v18/parquet/pqarrow"
)

// parquetGroupBytes bounds a row group, which is held in memory.
const parquetGroupBytes = 64 << 20

// parquetWriter writes a Parquet file, to a pipe too. What Parquet lacks becomes
// the nearest thing that it has:
//
//	DECIMAL of any width          DECIMAL
//	HUGEINT, UHUGEINT             DECIMAL(38, 0): a larger number is an error
//	TIMESTAMP_S                   TIMESTAMP_MS
//	TIMETZ, INTERVAL, BIT,
//	BIGNUM, UNION                 VARCHAR, as DuckDB shows them
type parquetWriter struct {
	w      *pqarrow.FileWriter
	schema *arrow.Schema
	into   []convert
}

func newParquet(w io.Writer, schema *arrow.Schema) (*parquetWriter, error) {
	p := &parquetWriter{}
	fields := make([]arrow.Field, schema.NumFields())
	p.into = make([]convert, len(fields))
	for i, f := range schema.Fields() {
		fields[i], p.into[i] = parquetField(f)
	}
	p.schema = arrow.NewSchema(fields, nil)
	props := parquet.NewWriterProperties(parquet.WithCompression(compress.Codecs.Zstd), parquet.WithCreatedBy("pond"))
	fw, err := pqarrow.NewFileWriter(p.schema, w, props, pqarrow.NewArrowWriterProperties())
	if err != nil {
		return nil, fmt.Errorf("parquet: %w", err)
	}
	p.w = fw
	return p, nil
}

func (p *parquetWriter) Write(rec arrow.RecordBatch) error {
	columns := make([]arrow.Array, len(p.into))
	defer func() {
		for _, c := range columns {
			if c != nil {
				c.Release()
			}
		}
	}()
	for i, into := range p.into {
		c, err := into(rec.Column(i))
		if err != nil {
			return fmt.Errorf("parquet: column %s: %w", p.schema.Field(i).Name, err)
		}
		columns[i] = c
	}
	out := array.NewRecordBatch(p.schema, columns, rec.NumRows())
	defer out.Release()
	if err := p.w.WriteBuffered(out); err != nil {
		return fmt.Errorf("parquet: %w", err)
	}
	if p.w.RowGroupTotalBytesWritten() > parquetGroupBytes {
		p.w.NewBufferedRowGroup()
	}
	return nil
}

func (p *parquetWriter) Close() error { return p.w.Close() }

// convert makes the array that Parquet gets. The caller releases it.
type convert func(a arrow.Array) (arrow.Array, error)

func keep(a arrow.Array) (arrow.Array, error) {
	a = storage(a)
	a.Retain()
	return a, nil
}

// parquetField returns the field as Parquet stores it, and the conversion.
func parquetField(f arrow.Field) (arrow.Field, convert) {
	t, c := parquetType(f)
	return arrow.Field{Name: f.Name, Type: t, Nullable: f.Nullable}, c
}

func parquetType(f arrow.Field) (arrow.DataType, convert) {
	switch markOf(f) {
	case hugeint, uhugeint:
		return &arrow.Decimal128Type{Precision: 38}, toDecimal(markOf(f) == hugeint)
	case timeTZ, bits, bignum:
		return arrow.BinaryTypes.String, toText(f)
	case uuid:
		t := extensions.NewUUIDType()
		return t, func(a arrow.Array) (arrow.Array, error) {
			return array.NewExtensionArrayWithStorage(t, storage(a)), nil
		}
	}
	switch t := storageType(f.Type).(type) {
	case *arrow.Decimal32Type, *arrow.Decimal64Type:
		d := t.(arrow.DecimalType)
		return &arrow.Decimal128Type{Precision: d.GetPrecision(), Scale: d.GetScale()}, widen(d)
	case *arrow.TimestampType:
		if t.Unit == arrow.Second {
			return &arrow.TimestampType{Unit: arrow.Millisecond, TimeZone: t.TimeZone}, toMillis(t)
		}
	case *arrow.MonthDayNanoIntervalType, arrow.UnionType:
		return arrow.BinaryTypes.String, toText(f)
	case *arrow.StructType:
		return structInto(t)
	case *arrow.MapType:
		key, keyInto := parquetField(t.KeyField())
		item, itemInto := parquetField(t.ItemField())
		entries := arrow.StructOf(key, item)
		out := arrow.MapOfFields(key, item)
		return out, children(out, children(entries, keyInto, itemInto))
	case *arrow.FixedSizeListType:
		elem, into := parquetField(t.ElemField())
		out := arrow.ListOfField(elem)
		return out, toList(out, int(t.Len()), into)
	case *arrow.ListType:
		elem, into := parquetField(t.ElemField())
		out := arrow.ListOfField(elem)
		return out, children(out, into)
	}
	return storageType(f.Type), keep
}

func structInto(t *arrow.StructType) (arrow.DataType, convert) {
	fields, into := make([]arrow.Field, t.NumFields()), make([]convert, t.NumFields())
	for i, f := range t.Fields() {
		fields[i], into[i] = parquetField(f)
	}
	out := arrow.StructOf(fields...)
	return out, children(out, into...)
}

// children gives an array of type t its own buffers and converted children.
func children(t arrow.DataType, into ...convert) convert {
	return func(a arrow.Array) (arrow.Array, error) {
		d := storage(a).Data()
		kids := make([]arrow.ArrayData, len(into))
		for i, c := range into {
			in := array.MakeFromData(d.Children()[i])
			out, err := c(in)
			in.Release()
			if err != nil {
				return nil, err
			}
			defer out.Release()
			kids[i] = out.Data()
		}
		data := array.NewData(t, d.Len(), d.Buffers(), kids, d.NullN(), d.Offset())
		defer data.Release()
		return array.MakeFromData(data), nil
	}
}

// toList makes lists of arrays of n elements: arrow-go writes slices of those
// wrongly, and Parquet has only lists.
func toList(t *arrow.ListType, n int, into convert) convert {
	return func(a arrow.Array) (arrow.Array, error) {
		fixed := storage(a).(*array.FixedSizeList)
		offsets := make([]int32, fixed.Len()+1)
		valid := make([]byte, bitutil.BytesForBits(int64(fixed.Len())))
		for i := range fixed.Len() {
			offsets[i+1] = offsets[i] + int32(n) // a NULL's elements are there too
			bitutil.SetBitTo(valid, i, fixed.IsValid(i))
		}
		d := fixed.Data()
		in := array.NewSlice(fixed.ListValues(), int64(d.Offset()*n), int64((d.Offset()+d.Len())*n))
		defer in.Release()
		elems, err := into(in)
		if err != nil {
			return nil, err
		}
		defer elems.Release()
		buffers := []*memory.Buffer{memory.NewBufferBytes(valid), memory.NewBufferBytes(arrow.Int32Traits.CastToBytes(offsets))}
		data := array.NewData(t, d.Len(), buffers, []arrow.ArrayData{elems.Data()}, d.NullN(), 0)
		defer data.Release()
		return array.MakeFromData(data), nil
	}
}

func toText(f arrow.Field) convert {
	t := valueText(f)
	return func(a arrow.Array) (arrow.Array, error) {
		a = storage(a)
		b := array.NewStringBuilder(memory.DefaultAllocator)
		defer b.Release()
		for i := range a.Len() {
			if isNull(a, i) {
				b.AppendNull()
				continue
			}
			b.Append(string(t(nil, a, i)))
		}
		return b.NewArray(), nil
	}
}

func toDecimal(signed bool) convert {
	t := &arrow.Decimal128Type{Precision: 38}
	return func(a arrow.Array) (arrow.Array, error) {
		a = storage(a)
		b := array.NewDecimal128Builder(memory.DefaultAllocator, t)
		defer b.Release()
		for i := range a.Len() {
			if a.IsNull(i) {
				b.AppendNull()
				continue
			}
			n := int128(raw(a, i), signed)
			if len(n.Text(10)) > 38+(1-n.Sign())/2 {
				return nil, fmt.Errorf("%s has more than the 38 digits of Parquet's largest number: cast it to VARCHAR or DOUBLE, or write Arrow", n)
			}
			b.Append(decimal128.FromBigInt(n))
		}
		return b.NewArray(), nil
	}
}

func widen(d arrow.DecimalType) convert {
	t := &arrow.Decimal128Type{Precision: d.GetPrecision(), Scale: d.GetScale()}
	return func(a arrow.Array) (arrow.Array, error) {
		b := array.NewDecimal128Builder(memory.DefaultAllocator, t)
		defer b.Release()
		for i := range a.Len() {
			if a.IsNull(i) {
				b.AppendNull()
				continue
			}
			n, _ := unscaled(a, i)
			b.Append(decimal128.FromBigInt(n))
		}
		return b.NewArray(), nil
	}
}

const millisPerSecond = 1000

func toMillis(t *arrow.TimestampType) convert {
	return func(a arrow.Array) (arrow.Array, error) {
		b := array.NewTimestampBuilder(memory.DefaultAllocator, &arrow.TimestampType{Unit: arrow.Millisecond, TimeZone: t.TimeZone})
		defer b.Release()
		for i := range a.Len() {
			if a.IsNull(i) {
				b.AppendNull()
				continue
			}
			if v := a.(*array.Timestamp).Value(i); v == math.MaxInt64 || v == -math.MaxInt64 {
				b.Append(v) // infinity is the same in every unit
			} else {
				b.Append(v * millisPerSecond)
			}
		}
		return b.NewArray(), nil
	}
}
