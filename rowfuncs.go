package pond

import (
	"context"
	"fmt"

	"github.com/apache/arrow-go/v18/arrow"
	"github.com/apache/arrow-go/v18/arrow/array"
	"github.com/apache/arrow-go/v18/arrow/memory"
	"github.com/apache/arrow-go/v18/arrow/scalar"
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
// []byte, and for other types what Arrow's scalars hold; nil for NULL.
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
		// Runs of kept rows leave as slices: nothing is copied.
		from := 0
		for i := range int(in.NumRows()) + 1 {
			ok := false
			if i < int(in.NumRows()) {
				var err error
				if ok, err = keep(Row{in, i}); err != nil {
					return err
				}
			}
			if ok {
				continue
			}
			if err := yieldSlice(in, from, i, yield); err != nil {
				return err
			}
			from = i + 1
		}
		return nil
	}
	return WithBatchFunc(name, version, nil, call)
}

func yieldSlice(in arrow.RecordBatch, from, to int, yield func(arrow.RecordBatch) error) error {
	if from >= to {
		return nil
	}
	s := in.NewSlice(int64(from), int64(to))
	defer s.Release()
	return yield(s)
}

// WithFlatMapFunc registers a Go function for [DataFrame.FlatMapFunc]: for each
// row it emits any number of rows of schema out, as Go values in order of
// column, nil for NULL.
func WithFlatMapFunc(name, version string, out *arrow.Schema, f func(row Row, emit func(values ...any) error) error) Option {
	call := func(_ context.Context, in arrow.RecordBatch, yield func(arrow.RecordBatch) error) error {
		b := array.NewRecordBuilder(memory.DefaultAllocator, out)
		defer b.Release()
		for i := range int(in.NumRows()) {
			err := f(Row{in, i}, func(values ...any) error { return appendRow(b, values) })
			if err != nil {
				return err
			}
		}
		rec := b.NewRecordBatch()
		defer rec.Release()
		return yield(rec)
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

func appendValue(f array.Builder, v any) error {
	switch f := f.(type) {
	case *array.StringBuilder:
		if s, ok := v.(string); ok {
			f.Append(s)
			return nil
		}
	case *array.Int64Builder:
		switch n := v.(type) {
		case int:
			f.Append(int64(n))
			return nil
		case int64:
			f.Append(n)
			return nil
		}
	case *array.Float64Builder:
		if x, ok := v.(float64); ok {
			f.Append(x)
			return nil
		}
	}
	s, err := scalar.MakeScalarParam(v, f.Type())
	if err != nil {
		if s, err = makeAndCast(v, f.Type()); err != nil {
			return err
		}
	}
	return scalar.Append(f, s)
}

// makeAndCast gives a Go value its natural Arrow type first.
func makeAndCast(v any, to arrow.DataType) (s scalar.Scalar, err error) {
	defer func() {
		if recover() != nil { // MakeScalar panics on types that Arrow has not
			err = fmt.Errorf("a %T cannot be a %v", v, to)
		}
	}()
	return scalar.MakeScalar(v).CastTo(to)
}
