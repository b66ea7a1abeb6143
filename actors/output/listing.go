package output

import (
	"fmt"

	"github.com/apache/arrow-go/v18/arrow"
	"github.com/apache/arrow-go/v18/arrow/array"
	"github.com/apache/arrow-go/v18/arrow/memory"
)

// Listing collects a few rows, such as members or jobs, for a Writer.
type Listing struct {
	b *array.RecordBuilder
}

// Column names a listing's column. Kind is a value of the type it will hold:
// string, int, int64, float64 or bool.
type Column struct {
	Name string
	Kind any
}

// NewListing returns an empty listing.
func NewListing(columns ...Column) *Listing {
	fields := make([]arrow.Field, len(columns))
	for i, c := range columns {
		var t arrow.DataType
		switch c.Kind.(type) {
		case int, int64:
			t = arrow.PrimitiveTypes.Int64
		case float64:
			t = arrow.PrimitiveTypes.Float64
		case bool:
			t = arrow.FixedWidthTypes.Boolean
		default:
			t = arrow.BinaryTypes.String
		}
		fields[i] = arrow.Field{Name: c.Name, Type: t, Nullable: true}
	}
	return &Listing{b: array.NewRecordBuilder(memory.DefaultAllocator, arrow.NewSchema(fields, nil))}
}

// Add appends a row; nil is NULL.
func (l *Listing) Add(values ...any) {
	for i, v := range values {
		switch b := l.b.Field(i).(type) {
		case *array.Int64Builder:
			switch v := v.(type) {
			case int:
				b.Append(int64(v))
			case int64:
				b.Append(v)
			default:
				b.AppendNull()
			}
		case *array.Float64Builder:
			if v, ok := v.(float64); ok {
				b.Append(v)
			} else {
				b.AppendNull()
			}
		case *array.BooleanBuilder:
			if v, ok := v.(bool); ok {
				b.Append(v)
			} else {
				b.AppendNull()
			}
		case *array.StringBuilder:
			if v == nil {
				b.AppendNull()
			} else {
				b.Append(fmt.Sprint(v))
			}
		}
	}
}

// Batch is the rows so far. The caller releases it; the listing is then empty.
func (l *Listing) Batch() arrow.RecordBatch { return l.b.NewRecordBatch() }
