package pond

import (
	"fmt"

	"github.com/apache/arrow-go/v18/arrow"
	"github.com/apache/arrow-go/v18/arrow/array"
	"github.com/apache/arrow-go/v18/arrow/memory"
)

// Types of columns that are made here.
var (
	textType  = arrow.BinaryTypes.String
	textsType = arrow.ListOf(arrow.BinaryTypes.String)
	int64Type = arrow.PrimitiveTypes.Int64
	floatType = arrow.PrimitiveTypes.Float64
	boolType  = arrow.FixedWidthTypes.Boolean
)

func column(name string, t arrow.DataType) arrow.Field {
	return arrow.Field{Name: name, Type: t, Nullable: true}
}

// localTable collects rows that are made here. Their memory is Go's: nobody needs
// to release it.
type localTable struct {
	b *array.RecordBuilder
}

func tableOf(columns ...arrow.Field) *localTable {
	return &localTable{array.NewRecordBuilder(memory.NewGoAllocator(), arrow.NewSchema(columns, nil))}
}

// add appends a row; nil is NULL. Values are of their columns' types.
func (t *localTable) add(values ...any) {
	for i, v := range values {
		switch b := t.b.Field(i).(type) {
		case *array.StringBuilder:
			if s, ok := v.(string); ok {
				b.Append(s)
				continue
			}
		case *array.Int64Builder:
			switch n := v.(type) {
			case int:
				b.Append(int64(n))
				continue
			case int64:
				b.Append(n)
				continue
			}
		case *array.Float64Builder:
			if x, ok := v.(float64); ok {
				b.Append(x)
				continue
			}
		case *array.BooleanBuilder:
			if x, ok := v.(bool); ok {
				b.Append(x)
				continue
			}
		case *array.ListBuilder:
			if list, ok := v.([]string); ok {
				b.Append(true)
				for _, s := range list {
					b.ValueBuilder().(*array.StringBuilder).Append(s)
				}
				continue
			}
		}
		t.b.Field(i).AppendNull()
	}
}

// rows ends the table.
func (t *localTable) rows() *Rows {
	rec := t.b.NewRecordBatch()
	return &Rows{Schema: rec.Schema(), here: []arrow.RecordBatch{rec}}
}

// said is the rows of a statement that has none, and what it did.
func said(format string, args ...any) *Rows { return &Rows{Note: fmt.Sprintf(format, args...)} }
