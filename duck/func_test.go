//go:build duckdb_arrow

package duck

import (
	"context"
	"errors"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/apache/arrow-go/v18/arrow"
	"github.com/apache/arrow-go/v18/arrow/array"
	"github.com/apache/arrow-go/v18/arrow/memory"
)

func TestFunc(t *testing.T) {
	e := start(t, Config{Threads: 4})
	ctx := context.Background()
	var calls atomic.Int64
	failure := errors.New("the function's own error")
	for _, f := range []Func{
		{Name: "shout", Args: []string{"VARCHAR", "BIGINT"}, Result: "VARCHAR", Call: func(_ context.Context, args arrow.RecordBatch) (arrow.Array, error) {
			b := array.NewStringBuilder(memory.DefaultAllocator)
			defer b.Release()
			s, n := args.Column(0).(*array.String), args.Column(1).(*array.Int64)
			for i := range s.Len() {
				if s.IsNull(i) {
					b.AppendNull()
				} else {
					b.Append(strings.ToUpper(s.Value(i)) + strings.Repeat("!", int(n.Value(i))))
				}
			}
			return b.NewArray(), nil
		}},
		{Name: "same", Args: []string{"STRUCT(a INTEGER, b VARCHAR[])"}, Result: "STRUCT(a INTEGER, b VARCHAR[])", Call: func(_ context.Context, args arrow.RecordBatch) (arrow.Array, error) {
			args.Column(0).Retain()
			return args.Column(0), nil
		}},
		{Name: "same_huge", Args: []string{"HUGEINT"}, Result: "HUGEINT", Call: func(_ context.Context, args arrow.RecordBatch) (arrow.Array, error) {
			args.Column(0).Retain()
			return args.Column(0), nil
		}},
		{Name: "counter", Result: "BIGINT", Volatile: true, Call: func(_ context.Context, args arrow.RecordBatch) (arrow.Array, error) {
			b := array.NewInt64Builder(memory.DefaultAllocator)
			defer b.Release()
			for range args.NumRows() {
				b.Append(calls.Add(1))
			}
			return b.NewArray(), nil
		}},
		{Name: "fails", Args: []string{"BIGINT"}, Result: "BIGINT", Call: func(context.Context, arrow.RecordBatch) (arrow.Array, error) { return nil, failure }},
		{Name: "panics", Args: []string{"BIGINT"}, Result: "BIGINT", Call: func(context.Context, arrow.RecordBatch) (arrow.Array, error) { panic("inside") }},
		{Name: "wrong_type", Args: []string{"VARCHAR"}, Result: "BIGINT", Call: func(_ context.Context, args arrow.RecordBatch) (arrow.Array, error) {
			args.Column(0).Retain()
			return args.Column(0), nil
		}},
		{Name: "short", Args: []string{"BIGINT"}, Result: "BIGINT", Call: func(_ context.Context, args arrow.RecordBatch) (arrow.Array, error) {
			return array.NewSlice(args.Column(0), 0, 0), nil
		}},
	} {
		if err := e.RegisterFunc(f); err != nil {
			t.Fatal(err)
		}
	}
	for query, want := range map[string]string{
		"SELECT shout('pond', 2)": "POND!!",
		"SELECT shout(NULL, 2)":   "NULL",
		"SELECT count(*) FROM (SELECT shout(CASE WHEN i % 3 > 0 THEN 'a string that is long ' || i END, 1) AS s, i FROM range(10_000) t(i)) WHERE s IS DISTINCT FROM CASE WHEN i % 3 > 0 THEN 'A STRING THAT IS LONG ' || i || '!' END": "0",
		"SELECT count(*) FROM (SELECT {'a': i::INT, 'b': ['x', NULL, i::VARCHAR]} AS v FROM range(5000) t(i)) WHERE same(v) IS DISTINCT FROM v":                                                                                         "0",
		"SELECT same(NULL) IS NULL": "true",
		"SELECT sum(same_huge(i)) = sum(i) FROM (SELECT (i * 1e30)::HUGEINT AS i FROM range(3000) t(i))": "true",
		"SELECT count(DISTINCT counter()) FROM range(5000)":                                              "5000",
	} {
		if got := value(t, e, query); got != want {
			t.Errorf("%s: %s, want %s", query, got, want)
		}
	}
	for query, want := range map[string]string{
		"SELECT fails(range) FROM range(10)":               failure.Error(),
		"SELECT fails(7)":                                  failure.Error(),
		"SELECT panics(range) FROM range(10)":              "inside",
		"SELECT wrong_type(range::VARCHAR) FROM range(10)": "returned utf8",
		"SELECT short(range) FROM range(10)":               "0 rows for 10",
	} {
		for how, run := range runners(e) {
			if err := run(ctx, query); err == nil || !strings.Contains(err.Error(), want) || want == failure.Error() && err != failure {
				t.Errorf("%s %s: %v", how, query, err)
			}
		}
	}
	if err := e.RegisterFunc(Func{Name: "x", Result: "NO_SUCH_TYPE", Call: func(context.Context, arrow.RecordBatch) (arrow.Array, error) { return nil, nil }}); !errors.Is(err, ErrQuery) {
		t.Errorf("a result of no type: %v", err)
	}
	if err := e.Reset(ctx); err != nil || value(t, e, "SELECT shout('still', 0)") != "STILL" {
		t.Errorf("functions are lost with Reset: %v", err)
	}
}
