package pond

import (
	"context"
	"encoding/json"
	"fmt"
	"strconv"
	"time"

	"github.com/apache/arrow-go/v18/arrow"
	"github.com/apache/arrow-go/v18/arrow/array"
	"github.com/apache/arrow-go/v18/arrow/memory"
)

// Row is one row as a Go function sees it. It is valid during the call only.
type Row struct {
	rec arrow.RecordBatch
	at  int
}

// Len is the number of columns.
func (r Row) Len() int { return int(r.rec.NumCols()) }

// IsNull reports whether column i is NULL.
func (r Row) IsNull(i int) bool { return r.rec.Column(i).IsNull(r.at) }

// Column is the index of the column of that name, -1 if there is none.
func (r Row) Column(name string) int {
	if at := r.rec.Schema().FieldIndices(name); len(at) > 0 {
		return at[0]
	}
	return -1
}

// Get is the column of that name as a Go value: nil for NULL or when there is no
// such column, else what Value gives.
func (r Row) Get(name string) any {
	i := r.Column(name)
	if i < 0 {
		return nil
	}
	return r.Value(i)
}

// Value is column i as a Go value: bool, the integer and float types, string,
// []byte, time.Time for dates and timestamps, and for other types their text, as
// JSON for nested ones; nil for NULL.
func (r Row) Value(i int) any {
	if r.IsNull(i) {
		return nil
	}
	switch a := r.rec.Column(i).(type) {
	case *array.Boolean:
		return a.Value(r.at)
	case *array.Int8:
		return a.Value(r.at)
	case *array.Int16:
		return a.Value(r.at)
	case *array.Int32:
		return a.Value(r.at)
	case *array.Int64:
		return a.Value(r.at)
	case *array.Uint8:
		return a.Value(r.at)
	case *array.Uint16:
		return a.Value(r.at)
	case *array.Uint32:
		return a.Value(r.at)
	case *array.Uint64:
		return a.Value(r.at)
	case *array.Float32:
		return a.Value(r.at)
	case *array.Float64:
		return a.Value(r.at)
	case *array.String:
		return a.Value(r.at)
	case *array.Binary:
		return a.Value(r.at)
	case *array.Timestamp:
		return a.Value(r.at).ToTime(a.DataType().(*arrow.TimestampType).Unit)
	case *array.Date32:
		return a.Value(r.at).ToTime()
	default:
		return a.ValueStr(r.at)
	}
}

// WithFilterFunc registers a Go function for [DataFrame.FilterFunc].
func WithFilterFunc(name, version string, keep func(Row) (bool, error)) Option {
	call := func(_ context.Context, in arrow.RecordBatch, yield func(arrow.RecordBatch) error) error {
		var runs [][2]int // of kept rows: from, to
		for i := range int(in.NumRows()) {
			ok, err := keep(Row{in, i})
			switch last := len(runs) - 1; {
			case err != nil:
				return err
			case ok && last >= 0 && runs[last][1] == i:
				runs[last][1]++
			case ok:
				runs = append(runs, [2]int{i, i + 1})
			}
		}
		return yieldRuns(in, runs, yield)
	}
	return WithBatchFunc(name, version, nil, call)
}

// yieldRuns yields some of a batch's rows: as one batch where Arrow can join
// their types, so that what follows has few and large ones.
func yieldRuns(in arrow.RecordBatch, runs [][2]int, yield func(arrow.RecordBatch) error) error {
	if len(runs) > 1 {
		if rec := joinRuns(in, runs); rec != nil {
			defer rec.Release()
			return yield(rec)
		}
	}
	for _, r := range runs {
		if err := yieldSlice(in, r[0], r[1], yield); err != nil {
			return err
		}
	}
	return nil
}

func yieldSlice(in arrow.RecordBatch, from, to int, yield func(arrow.RecordBatch) error) error {
	s := in.NewSlice(int64(from), int64(to))
	defer s.Release()
	return yield(s)
}

// joinRuns is some of a batch's rows, nil when they have a type that Arrow does
// not join.
func joinRuns(in arrow.RecordBatch, runs [][2]int) arrow.RecordBatch {
	rows := 0
	for _, r := range runs {
		rows += r[1] - r[0]
	}
	cols := make([]arrow.Array, in.NumCols())
	defer func() { releaseAll(cols) }()
	for c := range cols {
		parts := make([]arrow.Array, len(runs))
		for i, r := range runs {
			parts[i] = array.NewSlice(in.Column(c), int64(r[0]), int64(r[1]))
		}
		joined, err := array.Concatenate(parts, memory.DefaultAllocator)
		releaseAll(parts)
		if err != nil {
			return nil
		}
		cols[c] = joined
	}
	return array.NewRecordBatch(in.Schema(), cols, int64(rows))
}

func releaseAll(list []arrow.Array) {
	for _, a := range list {
		if a != nil {
			a.Release()
		}
	}
}

// emitRowsMax is how many rows a row function's output is collected to at most.
const emitRowsMax = 1 << 16

// WithFlatMapFunc registers a Go function for [DataFrame.FlatMapFunc]: for each
// row it emits any number of rows of schema out, as Go values in order of
// column, nil for NULL.
func WithFlatMapFunc(name, version string, out *arrow.Schema, f func(row Row, emit func(values ...any) error) error) Option {
	call := func(_ context.Context, in arrow.RecordBatch, yield func(arrow.RecordBatch) error) error {
		b := array.NewRecordBuilder(memory.DefaultAllocator, out)
		defer b.Release()
		rows := 0
		flush := func() error {
			rec := b.NewRecordBatch()
			defer rec.Release()
			rows = 0
			return yield(rec)
		}
		emit := func(values ...any) error {
			if err := appendRow(b, values); err != nil {
				return err
			}
			if rows++; rows < emitRowsMax {
				return nil
			}
			return flush()
		}
		for i := range int(in.NumRows()) {
			if err := f(Row{in, i}, emit); err != nil {
				return err
			}
		}
		if rows == 0 {
			return nil
		}
		return flush()
	}
	return WithBatchFunc(name, version, func(*arrow.Schema) (*arrow.Schema, error) { return out, nil }, call)
}

// WithMapFunc registers a Go function for [DataFrame.MapFunc]: for each row it
// returns one of schema out.
func WithMapFunc(name, version string, out *arrow.Schema, f func(Row) ([]any, error)) Option {
	return WithFlatMapFunc(name, version, out, func(row Row, emit func(...any) error) error {
		values, err := f(row)
		if err != nil {
			return err
		}
		return emit(values...)
	})
}

// appendRow appends Go values to a batch that is being built.
func appendRow(b *array.RecordBuilder, values []any) error {
	if len(values) != len(b.Fields()) {
		return fmt.Errorf("a row of %d values for %d columns", len(values), len(b.Fields()))
	}
	for i, v := range values {
		f := b.Field(i)
		if v == nil {
			f.AppendNull()
			continue
		}
		if err := appendValue(f, v); err != nil {
			return fmt.Errorf("column %s: %w", b.Schema().Field(i).Name, err)
		}
	}
	return nil
}

// appendValue appends a Go value. What has no quick way goes by its text, which
// the column's type parses, and refuses when it is out of range.
func appendValue(f array.Builder, v any) error {
	switch v := v.(type) {
	case int:
		return appendInt(f, int64(v))
	case int64:
		return appendInt(f, v)
	case float64:
		if f, ok := f.(*array.Float64Builder); ok {
			f.Append(v)
			return nil
		}
		return f.AppendValueFromString(strconv.FormatFloat(v, 'f', -1, 64))
	case float32:
		return f.AppendValueFromString(strconv.FormatFloat(float64(v), 'f', -1, 32))
	case string:
		return appendBytes(f, []byte(v), v)
	case []byte:
		return appendBytes(f, v, string(v))
	case time.Time:
		return appendTime(f, v)
	case bool, int8, int16, int32, uint, uint8, uint16, uint32, uint64:
		return f.AppendValueFromString(fmt.Sprint(v))
	}
	b, err := json.Marshal(v) // lists, maps and structs
	if err != nil {
		return err
	}
	return f.AppendValueFromString(string(b))
}

func appendInt(f array.Builder, v int64) error {
	if f, ok := f.(*array.Int64Builder); ok {
		f.Append(v)
		return nil
	}
	return f.AppendValueFromString(strconv.FormatInt(v, 10))
}

func appendBytes(f array.Builder, b []byte, s string) error {
	switch f := f.(type) {
	case *array.StringBuilder:
		f.Append(s)
	case *array.BinaryBuilder:
		f.Append(b)
	default:
		return f.AppendValueFromString(s)
	}
	return nil
}

func appendTime(f array.Builder, v time.Time) error {
	switch f := f.(type) {
	case *array.TimestampBuilder:
		f.AppendTime(v)
	case *array.Date32Builder:
		f.Append(arrow.Date32FromTime(v))
	default:
		return fmt.Errorf("a time cannot be a %v", f.Type())
	}
	return nil
}
