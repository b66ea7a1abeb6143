package vec

import (
	"errors"
	"fmt"
	"iter"

	"github.com/apache/arrow-go/v18/arrow"
	"github.com/apache/arrow-go/v18/arrow/array"
	"github.com/apache/arrow-go/v18/arrow/memory"
)

// ErrValue is returned, wrapped, for a value that Arrow's layout cannot carry.
var ErrValue = errors.New("value cannot be carried")

// Builder gathers one partition's rows in Arrow's layout. No memory is taken
// until rows arrive. After an error from Append its rows are not whole: only
// Reset and Release may follow. It is not safe for concurrent use.
type Builder struct {
	schema  *Schema
	store   store
	columns []column
	rows    int
	bytes   int64
}

// NewBuilder makes an empty builder of schema's columns, which [Schema.Check]
// must have passed. Buffers come from mem and go back to it by Release.
func NewBuilder(schema *Schema, mem memory.Allocator) *Builder {
	b := &Builder{schema: schema, store: store{mem: mem}}
	b.columns = make([]column, len(schema.Fields))
	for i, f := range schema.Fields {
		b.columns[i].init(f.Type, &b.store)
	}
	return b
}

// every is the index of every row: what Append takes when given none.
var every = func() (rows [MaxRows]uint16) {
	for i := range rows {
		rows[i] = uint16(i)
	}
	return rows
}()

// Append copies the chosen rows of c (indexes below c.Rows; nil: all of them),
// but for its first skip columns; the rest must be the builder's own. A row
// that cannot be carried is an [ErrValue].
func (b *Builder) Append(c *Chunk, rows []uint16, skip int) error {
	if len(c.Columns)-skip != len(b.columns) || c.Rows > MaxRows {
		return fmt.Errorf("vec: append: %d columns but for %d, %d rows: want %d columns, at most %d rows",
			len(c.Columns), skip, c.Rows, len(b.columns), MaxRows)
	}
	all := rows == nil
	if all {
		rows = every[:c.Rows]
	}
	b.bytes = 0
	for i := range b.columns {
		col := &b.columns[i]
		if err := appendRows(col, &c.Columns[skip+i], rows, all, false); err != nil {
			return fmt.Errorf("vec: column %q: %w", b.schema.Fields[i].Name, err)
		}
		b.bytes += col.bytes()
	}
	b.rows += len(rows)
	return nil
}

// Rows is how many rows the builder holds.
func (b *Builder) Rows() int { return b.rows }

// Bytes is how many bytes of buffers the rows fill.
func (b *Builder) Bytes() int64 { return b.bytes }

// Reserved is how many bytes of buffers the builder has taken from its
// allocator.
func (b *Builder) Reserved() int64 { return b.store.reserved }

// Reset drops the rows and keeps the buffers for the next.
func (b *Builder) Reset() {
	for i := range b.columns {
		b.columns[i].reset()
	}
	b.rows, b.bytes = 0, 0
}

// Release drops the rows and gives the buffers back. The builder can be used
// again.
func (b *Builder) Release() {
	for i := range b.columns {
		b.columns[i].release()
	}
	b.rows, b.bytes = 0, 0
}

// Part is one array of a builder's columns, as the encoder of a block needs it.
// Its slices are the builder's own, valid until the next call.
type Part struct {
	Rows      int
	Nulls     int
	Valid     []byte   // a bit a row, set when not NULL; nil when Nulls is 0
	Lengths   []uint32 // strings, lists and maps: one a row
	MaxLength uint32   // no length is above it
	Data      []byte   // fixed-width values, bits, strings' bytes, or a union's type ids
}

// Parts yields every array in pre-order: a column, then what is inside it, in
// the order of the Arrow type. The Part is reused from one to the next.
func (b *Builder) Parts() iter.Seq[*Part] {
	return func(yield func(*Part) bool) {
		var p Part
		for i := range b.columns {
			if !b.columns[i].parts(&p, yield) {
				return
			}
		}
	}
}

// Batch hands the rows over, buffers and all, as a batch that the caller
// releases, and leaves the builder empty. It fails with [ErrValue], and leaves the
// builder as it is, when a value is none that Arrow can hold: an interval of more than
// 292 years of hours.
func (b *Builder) Batch() (arrow.RecordBatch, error) {
	for i := range b.columns {
		if f := b.schema.Fields[i]; !b.columns[i].plain() {
			return nil, fmt.Errorf("vec: column %q: an interval of more than %d microseconds beside its months and days: %w", f.Name, int64(nanosMax), ErrValue)
		}
	}
	schema := b.schema.Arrow()
	columns := make([]arrow.Array, len(b.columns))
	for i := range columns {
		data := b.columns[i].take(schema.Field(i).Type)
		columns[i] = array.MakeFromData(data)
		data.Release()
	}
	rec := array.NewRecordBatch(schema, columns, int64(b.rows))
	for _, c := range columns {
		c.Release()
	}
	b.rows, b.bytes = 0, 0
	return rec, nil
}
