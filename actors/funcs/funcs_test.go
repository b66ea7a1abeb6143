package funcs_test

import (
	"bytes"
	"context"
	"errors"
	"log/slog"
	"maps"
	"strings"
	"testing"

	"github.com/apache/arrow-go/v18/arrow"
	"github.com/apache/arrow-go/v18/arrow/array"
	"github.com/apache/arrow-go/v18/arrow/memory"

	"github.com/pondmesh/pond/actors/funcs"
	"github.com/pondmesh/pond/actors/plan"
)

var schema = arrow.NewSchema([]arrow.Field{{Name: "i", Type: arrow.PrimitiveTypes.Int64}}, nil)

func batch(values ...int64) arrow.RecordBatch {
	b := array.NewRecordBuilder(memory.DefaultAllocator, schema)
	defer b.Release()
	b.Field(0).(*array.Int64Builder).AppendValues(values, nil)
	return b.NewRecordBatch()
}

func identity(_ context.Context, in arrow.RecordBatch, yield func(arrow.RecordBatch) error) error {
	return yield(in)
}

func first(_ context.Context, args arrow.RecordBatch) (arrow.Array, error) {
	a := args.Column(0)
	a.Retain()
	return a, nil
}

func TestRegistry(t *testing.T) {
	var r funcs.Registry
	for _, err := range []error{
		r.AddBatch(funcs.Batch{Call: identity}), r.AddBatch(funcs.Batch{Name: "f"}),
		r.AddScalar(funcs.Scalar{Call: first, Result: "INT"}), r.AddScalar(funcs.Scalar{Name: "f", Call: first}), r.AddScalar(funcs.Scalar{Name: "f", Result: "INT"}),
	} {
		if err == nil {
			t.Error("a function that lacks something was registered")
		}
	}
	if err := errors.Join(
		r.AddBatch(funcs.Batch{Name: "b", Version: "1", Call: identity}), r.AddBatch(funcs.Batch{Name: "plain", Call: identity}),
		r.AddScalar(funcs.Scalar{Name: "z", Version: "old", Result: "INT", Call: first}), r.AddScalar(funcs.Scalar{Name: "z", Version: "2", Result: "INT", Call: first}),
		r.AddScalar(funcs.Scalar{Name: "a", Version: "3", Volatile: true, Result: "INT", Call: first}),
	); err != nil {
		t.Fatal(err)
	}
	if v := r.Versions(); !maps.Equal(v, map[string]string{"b": "1", "plain": "", "z": "2", "a": ""}) {
		t.Errorf("versions: %v", v)
	}
	if s := r.Scalars(); len(s) != 2 || s[0].Name != "a" || s[1].Version != "2" {
		t.Errorf("scalars: %v", s)
	}
	if _, err := r.Batch("z"); !errors.Is(err, plan.ErrQuery) || plan.AsError(err).Hint == "" {
		t.Errorf("a batch function that there is not: %v", err)
	}
}

// Whatever a function does, its caller goes on: panics and errors are the user's,
// errors with a kind and a context's end stay what they are.
func TestBatchErrors(t *testing.T) {
	gone := &plan.Error{Kind: plan.KindFetch, Text: "gone"}
	for _, c := range []struct {
		name string
		call funcs.BatchFunc
		want error
		text string
	}{
		{"error", func(context.Context, arrow.RecordBatch, func(arrow.RecordBatch) error) error {
			return errors.New("no good")
		}, plan.ErrQuery, "no good"},
		{"panic", func(context.Context, arrow.RecordBatch, func(arrow.RecordBatch) error) error { panic("what a day") }, plan.ErrQuery, "what a day"},
		{"kind", func(context.Context, arrow.RecordBatch, func(arrow.RecordBatch) error) error { return gone }, plan.ErrFetch, "gone"},
		{"cancelled", func(ctx context.Context, _ arrow.RecordBatch, _ func(arrow.RecordBatch) error) error {
			return ctx.Err()
		}, context.Canceled, ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			ctx, cancel := context.WithCancel(t.Context())
			cancel()
			var log bytes.Buffer
			f := funcs.Batch{Name: "f", Call: c.call}
			err := f.Run(ctx, slog.New(slog.NewTextHandler(&log, nil)), batch(1), nil)
			if !errors.Is(err, c.want) || !strings.Contains(err.Error(), c.text) {
				t.Errorf("%v", err)
			}
			if logged := strings.Contains(log.String(), "stack"); logged != (c.name == "panic") {
				t.Errorf("logged: %s", log.String())
			}
		})
	}
}

func TestBatch(t *testing.T) {
	quiet := slog.New(slog.DiscardHandler)
	f := funcs.Batch{Name: "f", Call: identity}
	rows := int64(0)
	if err := f.Run(t.Context(), quiet, batch(1, 2), func(b arrow.RecordBatch) error { rows += b.NumRows(); return nil }); err != nil || rows != 2 {
		t.Errorf("%d rows, %v", rows, err)
	}
	if s, err := f.Output(quiet, schema); err != nil || s != schema {
		t.Errorf("a function without a schema: %v, %v", s, err)
	}
	f.Schema = func(*arrow.Schema) (*arrow.Schema, error) { return nil, nil }
	if _, err := f.Output(quiet, schema); !errors.Is(err, plan.ErrQuery) {
		t.Errorf("no schema: %v", err)
	}
	f.Schema = func(*arrow.Schema) (*arrow.Schema, error) { panic("oh") }
	if _, err := f.Output(quiet, schema); !errors.Is(err, plan.ErrQuery) {
		t.Errorf("a schema that panics: %v", err)
	}
}

func TestScalar(t *testing.T) {
	quiet := slog.New(slog.DiscardHandler)
	f := funcs.Scalar{Name: "f", Result: "BIGINT", Call: first}
	if out, err := f.Run(t.Context(), quiet, batch(1, 2, 3)); err != nil || out.Len() != 3 {
		t.Errorf("%v, %v", out, err)
	}
	f.Call = func(context.Context, arrow.RecordBatch) (arrow.Array, error) { return batch(1).Column(0), nil }
	if _, err := f.Run(t.Context(), quiet, batch(1, 2, 3)); !errors.Is(err, plan.ErrQuery) {
		t.Errorf("too few values: %v", err)
	}
	f.Call = func(context.Context, arrow.RecordBatch) (arrow.Array, error) { return nil, nil }
	if _, err := f.Run(t.Context(), quiet, batch(1)); !errors.Is(err, plan.ErrQuery) {
		t.Errorf("no values: %v", err)
	}
}
