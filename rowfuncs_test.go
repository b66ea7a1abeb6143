//go:build duckdb_arrow

package pond_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/apache/arrow-go/v18/arrow"
	"github.com/apache/arrow-go/v18/arrow/array"
	"github.com/apache/arrow-go/v18/arrow/memory"

	"github.com/pondmesh/pond"
	"github.com/pondmesh/pond/chaos/pondtest"
)

func schemaOf(fields ...arrow.Field) *arrow.Schema { return arrow.NewSchema(fields, nil) }

func field(name string, t arrow.DataType) arrow.Field {
	return arrow.Field{Name: name, Type: t, Nullable: true}
}

// sizes is a batch function that gives back the size of each batch.
func sizes(_ context.Context, in arrow.RecordBatch, yield func(arrow.RecordBatch) error) error {
	b := array.NewRecordBuilder(memory.DefaultAllocator, schemaOf(field("size", arrow.PrimitiveTypes.Int64)))
	defer b.Release()
	b.Field(0).(*array.Int64Builder).Append(in.NumRows())
	rec := b.NewRecordBatch()
	defer rec.Release()
	return yield(rec)
}

func sizeSchema(*arrow.Schema) (*arrow.Schema, error) {
	return schemaOf(field("size", arrow.PrimitiveTypes.Int64)), nil
}

func TestMapBatches(t *testing.T) {
	same := func(_ context.Context, in arrow.RecordBatch, yield func(arrow.RecordBatch) error) error {
		return yield(in)
	}
	twice := func(_ context.Context, in arrow.RecordBatch, yield func(arrow.RecordBatch) error) error {
		return errors.Join(yield(in), yield(in))
	}
	none := func(context.Context, arrow.RecordBatch, func(arrow.RecordBatch) error) error { return nil }
	d := newSingle(t)
	node := pondtest.New(t, 2, pond.WithBatchFunc("sizes", "", sizeSchema, sizes), pond.WithBatchFunc("same", "1", nil, same),
		pond.WithBatchFunc("twice", "1", nil, twice), pond.WithBatchFunc("none", "1", nil, none))[0]
	// Only sorted batches come in an order that is promised.
	one := numbers(node.Session, 1000).Consolidate(1).PartialSort("id")
	for _, c := range []struct {
		size int
		want []string
	}{{350, []string{"350", "350", "300"}}, {1000, []string{"1000"}}, {999, []string{"999", "1"}}, {5000, []string{"1000"}}, {0, []string{"1000"}}} {
		if got := collect(t, one.MapBatches("sizes", c.size)); !slices.Equal(got.rows, c.want) {
			t.Errorf("batches of %d: %v, want %v", c.size, got.rows, c.want)
		}
	}
	// The batches of several partitions are each partition's own.
	if got := collect(t, numbers(node.Session, 10_000).Repartition(3, pond.ByRows()).PartialSort("id").MapBatches("sizes", 2000)); !slices.Equal(got.rows, []string{"2000", "1334", "2000", "1333", "2000", "1333"}) {
		t.Errorf("of three partitions: %v", got.rows)
	}
	df := node.ReadParquet(flights)
	from := "FROM '" + flights + "'"
	d.same(t, df.MapBatches("same", 0), "SELECT * "+from)
	d.sameOrder(t, df.MapBatches("same", 777), "SELECT * "+from)
	d.same(t, df.Filter("delay > 100").MapBatches("twice", 100).Filter("origin < 'D'").Repartition(3, pond.ByHash("origin")), "SELECT a.* "+from+" a, range(2) WHERE delay > 100 AND origin < 'D'")
	d.same(t, df.MapBatches("none", 0).MapBatches("same", 5), "SELECT * "+from+" WHERE false")
	d.same(t, df.Filter("false").Repartition(4, pond.ByHash("origin")).MapBatches("twice", 0), "SELECT * "+from+" WHERE false")
	d.same(t, df.MapBatches("same", 0).SQL("SELECT count(*) AS c FROM {0} a JOIN {0} b USING (origin, destination, date)").SQL("SELECT c FROM {0}").Consolidate(1).SQL("SELECT sum(c) > 0 AS some FROM {0}"), "SELECT true AS some")
}

func TestRowFunctions(t *testing.T) {
	d := newSingle(t)
	out := schemaOf(field("origin", arrow.BinaryTypes.String), field("late", arrow.FixedWidthTypes.Boolean), field("km", arrow.PrimitiveTypes.Float64), field("n", arrow.PrimitiveTypes.Int32))
	words := schemaOf(field("id", arrow.PrimitiveTypes.Int64), field("word", arrow.BinaryTypes.String))
	node := pondtest.New(t, 2,
		pond.WithMapFunc("shape", "1", out, func(r pond.Row) ([]any, error) {
			delay := r.Get("delay").(int16)
			return []any{r.Get("origin"), delay > 15, float64(r.Get("distance").(int16)) * 1.5, delay}, nil
		}),
		pond.WithFilterFunc("late", "1", func(r pond.Row) (bool, error) { return r.Get("delay").(int16) > 15, nil }),
		pond.WithFilterFunc("all", "1", func(pond.Row) (bool, error) { return true, nil }),
		pond.WithFlatMapFunc("split", "1", words, func(r pond.Row, emit func(...any) error) error {
			text, _ := r.Get("text").(string)
			for _, w := range strings.Fields(text) {
				if err := emit(r.Get("id"), w); err != nil {
					return err
				}
			}
			return nil
		}),
		pond.WithFlatMapFunc("fan", "1", words, func(r pond.Row, emit func(...any) error) error {
			for range 300_000 {
				if err := emit(r.Value(0), "x"); err != nil {
					return err
				}
			}
			return nil
		}))[1]
	df := node.ReadParquet(flights)
	from := "FROM '" + flights + "'"
	for _, c := range []struct {
		name string
		df   *pond.DataFrame
		want string
	}{
		{"map", df.MapFunc("shape"), "SELECT origin, delay > 15 AS late, distance * 1.5::DOUBLE AS km, delay::INTEGER AS n " + from},
		{"filter", df.FilterFunc("late"), "SELECT * " + from + " WHERE delay > 15"},
		{"filter all", df.FilterFunc("all"), "SELECT * " + from},
		{"filter after shuffle", df.Repartition(4, pond.ByHash("origin")).FilterFunc("late").SQL("SELECT origin, count(*) AS n FROM {0} GROUP BY origin"), "SELECT origin, count(*) AS n " + from + " WHERE delay > 15 GROUP BY origin"},
		{"flat map", node.FromRows([]string{"id", "BIGINT", "text", "VARCHAR"}, []any{1, "a b c"}, []any{2, nil}, []any{3, " "}, []any{4, "d"}).FlatMapFunc("split"),
			"SELECT unnest([1, 1, 1, 4])::BIGINT AS id, unnest(['a', 'b', 'c', 'd']) AS word"},
		{"flat map of none", node.FromRows([]string{"id", "BIGINT", "text", "VARCHAR"}).FlatMapFunc("split"), "SELECT 1::BIGINT AS id, '' AS word WHERE false"},
		{"a large fan-out", node.FromRows([]string{"id", "BIGINT"}, []any{1}, []any{2}).FlatMapFunc("fan").SQL("SELECT id, count(*) AS n FROM {0} GROUP BY id"), "SELECT unnest([1, 2])::BIGINT AS id, 300000::BIGINT AS n"},
	} {
		t.Run(c.name, func(t *testing.T) { d.same(t, c.df, c.want) })
	}
	t.Run("filter keeps order", func(t *testing.T) { d.sameOrder(t, df.FilterFunc("late"), "SELECT * "+from+" WHERE delay > 15") })
}

// TestRowValues passes every type through Go and back.
func TestRowValues(t *testing.T) {
	d := newSingle(t)
	query := `SELECT true AS bo, 1::TINYINT AS i1, -2::SMALLINT AS i2, 3::INTEGER AS i4, -4::BIGINT AS i8, 1::UTINYINT AS u1, 2::USMALLINT AS u2, 3::UINTEGER AS u4,
		18446744073709551615::UBIGINT AS u8, 1.5::FLOAT AS f4, -2.5::DOUBLE AS f8, 'text' AS s, 'b'::BLOB AS b, DATE '2001-02-03' AS d, TIMESTAMP '2001-02-03 04:05:06.789' AS ts,
		TIMESTAMPTZ '2001-02-03 04:05:06+02' AS tz, 12.345::DECIMAL(10,3) AS de, TIME '01:02:03' AS ti`
	schema, err := d.e.Schema(testContext(t), query)
	if err != nil {
		t.Fatal(err)
	}
	var kinds []string
	var once sync.Once
	node := pondtest.New(t, 1, pond.WithMapFunc("through", "1", schema.Arrow(), func(r pond.Row) ([]any, error) {
		vs := make([]any, r.Len())
		for i := range vs {
			vs[i] = r.Value(i)
		}
		if !r.IsNull(0) {
			once.Do(func() {
				for _, v := range vs {
					kinds = append(kinds, fmt.Sprintf("%T", v))
				}
			})
		}
		return vs, nil
	}))[0]
	d.same(t, node.Query(query+" UNION ALL SELECT "+strings.TrimSuffix(strings.Repeat("NULL, ", 18), ", ")).MapFunc("through"),
		query+" UNION ALL SELECT "+strings.TrimSuffix(strings.Repeat("NULL, ", 18), ", "))
	want := strings.Fields("bool int8 int16 int32 int64 uint8 uint16 uint32 uint64 float32 float64 string []uint8 time.Time time.Time time.Time string string")
	if !slices.Equal(kinds, want) {
		t.Errorf("values are %v, want %v", kinds, want)
	}
}

func TestScalarFunctions(t *testing.T) {
	d := newSingle(t)
	var calls atomic.Int64
	join := pond.WithScalarFunc(pond.ScalarFunc{Name: "Join_Go", Args: []string{"VARCHAR", "BIGINT"}, Result: "VARCHAR", Version: "1",
		Call: func(_ context.Context, args arrow.RecordBatch) (arrow.Array, error) {
			calls.Add(args.NumRows())
			b := array.NewStringBuilder(memory.DefaultAllocator)
			defer b.Release()
			s, n := args.Column(0).(*array.String), args.Column(1).(*array.Int64)
			for i := range int(args.NumRows()) {
				if s.IsNull(i) || n.IsNull(i) {
					b.AppendNull()
					continue
				}
				b.Append(fmt.Sprintf("%s-%d", s.Value(i), n.Value(i)))
			}
			return b.NewArray(), nil
		}})
	fail := pond.WithScalarFunc(pond.ScalarFunc{Name: "fail_go", Args: []string{"BIGINT"}, Result: "BIGINT", Version: "1",
		Call: func(context.Context, arrow.RecordBatch) (arrow.Array, error) { return nil, errors.New("no luck today") }})
	crash := pond.WithScalarFunc(pond.ScalarFunc{Name: "crash_go", Args: []string{"BIGINT"}, Result: "BIGINT", Version: "1",
		Call: func(context.Context, arrow.RecordBatch) (arrow.Array, error) { panic("what a day") }})
	short := pond.WithScalarFunc(pond.ScalarFunc{Name: "short_go", Args: []string{"BIGINT"}, Result: "BIGINT", Version: "1",
		Call: func(context.Context, arrow.RecordBatch) (arrow.Array, error) {
			b := array.NewInt64Builder(memory.DefaultAllocator)
			defer b.Release()
			b.Append(1)
			return b.NewArray(), nil
		}})
	wrong := pond.WithScalarFunc(pond.ScalarFunc{Name: "wrong_go", Args: []string{"BIGINT"}, Result: "VARCHAR", Version: "1",
		Call: func(_ context.Context, args arrow.RecordBatch) (arrow.Array, error) {
			args.Column(0).Retain()
			return args.Column(0), nil
		}})
	node := pondtest.New(t, 2, join, fail, crash, short, wrong)[0]
	df := node.ReadParquet(flights)
	d.same(t, df.Repartition(3, pond.ByHash("origin")).SQL("SELECT join_go(origin, count(*)) AS s FROM {0} GROUP BY origin"), "SELECT origin || '-' || count(*) AS s FROM '"+flights+"' GROUP BY origin")
	d.same(t, df.Map("JOIN_GO(CASE WHEN delay > 0 THEN origin END, distance) AS s"), "SELECT CASE WHEN delay > 0 THEN origin || '-' || distance END AS s FROM '"+flights+"'")
	if calls.Load() == 0 {
		t.Error("the function was not called")
	}
	src := numbers(node.Session, 100)
	wantError(t, collectErr(t, src.Map("fail_go(id)")), pond.ErrQuery, "no luck today", "fail_go")
	wantError(t, collectErr(t, src.Map("crash_go(id)")), pond.ErrQuery, "what a day", "crash_go")
	wantError(t, collectErr(t, src.Map("short_go(id)")), pond.ErrQuery, "short_go")
	wantError(t, collectErr(t, src.Map("wrong_go(id)")), pond.ErrQuery, "wrong_go", "int64", "VARCHAR")
	wantError(t, collectErr(t, src.Map("join_go(id)")), pond.ErrQuery, "join_go")
	wantError(t, collectErr(t, src.Map("no_such(id)")), pond.ErrQuery, "no_such")
	if n, err := src.Count(testContext(t)); n != 100 || err != nil { // the engines are still good
		t.Errorf("count %d, %v", n, err)
	}
}

func TestFunctionErrors(t *testing.T) {
	num := schemaOf(field("id", arrow.PrimitiveTypes.Int64))
	fail := func(f func() error) pond.BatchFunc {
		return func(context.Context, arrow.RecordBatch, func(arrow.RecordBatch) error) error { return f() }
	}
	node := pondtest.New(t, 2,
		pond.WithBatchFunc("fails", "1", nil, fail(func() error { return errors.New("no luck today") })),
		pond.WithBatchFunc("crashes", "1", nil, fail(func() error { panic("what a day") })),
		pond.WithBatchFunc("schema", "1", func(*arrow.Schema) (*arrow.Schema, error) { return nil, errors.New("cannot take these") }, fail(nil)),
		pond.WithBatchFunc("schema crashes", "1", func(*arrow.Schema) (*arrow.Schema, error) { panic("what a schema") }, fail(nil)),
		pond.WithBatchFunc("no schema", "1", func(*arrow.Schema) (*arrow.Schema, error) { return nil, nil }, fail(nil)),
		pond.WithBatchFunc("lies", "1", func(*arrow.Schema) (*arrow.Schema, error) { return schemaOf(field("s", arrow.BinaryTypes.String)), nil },
			func(_ context.Context, in arrow.RecordBatch, yield func(arrow.RecordBatch) error) error {
				return yield(in)
			}),
		pond.WithMapFunc("short", "1", num, func(pond.Row) ([]any, error) { return nil, nil }),
		pond.WithMapFunc("wrong", "1", num, func(pond.Row) ([]any, error) { return []any{"x"}, nil }),
		pond.WithMapFunc("odd", "1", num, func(pond.Row) ([]any, error) { return []any{struct{ X int }{1}}, nil }),
		pond.WithFilterFunc("refuses", "1", func(r pond.Row) (bool, error) {
			if r.Get("id").(int64) == 42 {
				return false, fmt.Errorf("row %v is bad", r.Get("id"))
			}
			return true, nil
		}),
		pond.WithFilterFunc("slips", "1", func(r pond.Row) (bool, error) { return r.Get("nix").(bool), nil }),
	)[0]
	src := numbers(node.Session, 100)
	for _, c := range []struct {
		name string
		df   *pond.DataFrame
		text string
	}{
		{"error", src.MapBatches("fails", 0), "call fails: no luck today"},
		{"panic", src.MapBatches("crashes", 0), "the function panicked: what a day"},
		{"schema refused", src.MapBatches("schema", 0), "cannot take these"},
		{"schema panics", src.MapBatches("schema crashes", 0), "what a schema"},
		{"no schema", src.MapBatches("no schema", 0), "schema"},
		{"other rows than declared", src.MapBatches("lies", 0), "declared to return"},
		{"too few values", src.MapFunc("short"), "a row of 0 values for 1 columns"},
		{"value of another type", src.MapFunc("wrong"), "column id"},
		{"value of no type", src.MapFunc("odd"), "column id"},
		{"one bad row", src.FilterFunc("refuses"), "row 42 is bad"},
		{"panic in a row", src.FilterFunc("slips"), "panicked"},
		{"not registered", src.MapBatches("nix", 0), "no node has a Go function of that name"},
	} {
		t.Run(c.name, func(t *testing.T) {
			wantError(t, collectErr(t, c.df), pond.ErrQuery, c.text)
		})
	}
	if n, err := src.Count(testContext(t)); n != 100 || err != nil {
		t.Errorf("count %d, %v", n, err)
	}
}

// TestBadFunctions: what cannot be registered is told when the node starts.
func TestBadFunctions(t *testing.T) {
	call := func(context.Context, arrow.RecordBatch) (arrow.Array, error) { return nil, nil }
	for name, o := range map[string]pond.Option{
		"no such type": pond.WithScalarFunc(pond.ScalarFunc{Name: "f", Args: []string{"NOPE"}, Result: "BIGINT", Call: call}),
		"no result":    pond.WithScalarFunc(pond.ScalarFunc{Name: "f", Call: call}),
		"taken":        pond.WithScalarFunc(pond.ScalarFunc{Name: "count", Args: []string{"BIGINT"}, Result: "BIGINT", Call: call}),
		"no name":      pond.WithBatchFunc("", "", nil, sizes),
		"no function":  pond.WithBatchFunc("f", "", nil, nil),
	} {
		t.Run(name, func(t *testing.T) {
			node, err := pond.Join(testContext(t), pond.WithDir(t.TempDir()), o)
			if err == nil {
				node.Close()
				t.Fatal("the node started")
			}
			if !strings.Contains(err.Error(), "function") {
				t.Errorf("the error is %q", err)
			}
		})
	}
}
