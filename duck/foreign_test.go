//go:build duckdb_arrow

package duck

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/apache/arrow-go/v18/arrow"
	"github.com/apache/arrow-go/v18/arrow/array"
	"github.com/apache/arrow-go/v18/arrow/memory"

	"github.com/pondmesh/pond/duck/vec"
)

// foreign are arrays of types that no block has, and what DuckDB makes of their rows.
func foreign(t *testing.T) map[string]arrow.Array {
	t.Helper()
	out := map[string]arrow.Array{}
	add := func(name string, dt arrow.DataType, js string) {
		a, _, err := array.FromJSON(memory.DefaultAllocator, dt, strings.NewReader(js))
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		t.Cleanup(a.Release)
		out[name] = a
	}
	add("large", arrow.BinaryTypes.LargeString, `["a string that is long", null, "", "short"]`)
	add("large_list", arrow.LargeListOf(arrow.BinaryTypes.String), `[["x", "a string that is long"], null, [], [null]]`)
	add("view", arrow.BinaryTypes.StringView, `["a string that is long", null, "", "short"]`)
	add("fixed", &arrow.FixedSizeBinaryType{ByteWidth: 3}, `["YWJj", null, "eHl6", "MTIz"]`)
	add("dict", &arrow.DictionaryType{IndexType: arrow.PrimitiveTypes.Int8, ValueType: arrow.BinaryTypes.String}, `["one", null, "two", "one"]`)
	add("date64", arrow.FixedWidthTypes.Date64, `["2024-02-29", null, "1969-12-31", "1970-01-01"]`)
	add("time32", arrow.FixedWidthTypes.Time32s, `["12:34:56", null, "00:00:00", "23:59:59"]`)
	add("duration", arrow.FixedWidthTypes.Duration_ms, `[1500, null, 0, -1000]`)
	add("zoned", &arrow.TimestampType{Unit: arrow.Nanosecond, TimeZone: "Europe/Berlin"}, `["2024-02-29T12:00:00.5Z", null, "1970-01-01T00:00:00Z", "1969-12-31T23:59:59Z"]`)
	add("wide", &arrow.Decimal128Type{Precision: 9, Scale: 2}, `["1234567.89", null, "0", "-0.01"]`)
	add("months", arrow.FixedWidthTypes.MonthInterval, `[{"months": 14}, null, {"months": 0}, {"months": -1}]`)
	dict := out["dict"].(*array.Dictionary)
	inner, err := array.NewStructArray([]arrow.Array{dict, out["view"]}, []string{"d", "v"})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(inner.Release)
	out["struct"] = inner
	return out
}

// Types that no block has come in too, whole and from the middle of an array, with
// the values that they have by themselves.
func TestForeignTypes(t *testing.T) {
	e := start(t, Config{Threads: 1})
	ctx := context.Background()
	for name, want := range map[string]string{
		"large": "VARCHAR [a string that is long NULL  short]", "large_list": "VARCHAR[] [[x, a string that is long] NULL [] [NULL]]", "view": "VARCHAR [a string that is long NULL  short]",
		"fixed": "BLOB [abc NULL xyz 123]", "dict": "VARCHAR [one NULL two one]", "date64": "DATE [2024-02-29 NULL 1969-12-31 1970-01-01]",
		"time32": "TIME [12:34:56 NULL 00:00:00 23:59:59]", "duration": "INTERVAL [00:00:01.5 NULL 00:00:00 -00:00:01]",
		"zoned": "TIMESTAMP WITH TIME ZONE [2024-02-29 12:00:00.5+00 NULL 1970-01-01 00:00:00+00 1969-12-31 23:59:59+00]", "wide": "DECIMAL(9,2) [1234567.89 NULL 0.00 -0.01]",
		"months": "INTERVAL [1 year 2 months NULL 00:00:00 -1 month]", "struct": "STRUCT(d VARCHAR, v VARCHAR) [{'d': one, 'v': a string that is long} {'d': NULL, 'v': NULL} {'d': two, 'v': ''} {'d': one, 'v': short}]",
	} {
		a := foreign(t)[name]
		schema := arrow.NewSchema([]arrow.Field{{Name: "x", Type: a.DataType(), Nullable: true}}, nil)
		for _, cuts := range [][]int64{{0, 4}, {0, 1, 4}, {0, 3, 3, 4}} {
			var list []arrow.RecordBatch
			for k := range len(cuts) - 1 {
				part := array.NewSlice(a, cuts[k], cuts[k+1])
				batch := array.NewRecordBatch(schema, []arrow.Array{part}, cuts[k+1]-cuts[k])
				part.Release()
				defer batch.Release()
				list = append(list, batch)
			}
			var c counted
			if err := e.Register(ctx, "v", schema, []Opener{c.opener(nil, list...)}, 4); err != nil {
				t.Errorf("%s: %v", name, err)
				continue
			}
			s, err := e.Schema(ctx, "FROM v")
			if err != nil {
				t.Fatal(err)
			}
			var got []string
			for _, row := range table(t, e, "SELECT coalesce(x::VARCHAR, 'NULL') FROM v") {
				got = append(got, row[0])
			}
			if text := strings.ReplaceAll(s.Fields[0].Type.SQL, `"`, "") + " " + fmt.Sprint(got); text != want {
				t.Errorf("%s cut at %v: %s, want %s", name, cuts, text, want)
			}
		}
	}
	dense := arrow.DenseUnionOf([]arrow.Field{{Name: "a", Type: arrow.PrimitiveTypes.Int8}}, []arrow.UnionTypeCode{0})
	if err := e.Register(ctx, "v", arrow.NewSchema([]arrow.Field{{Name: "x", Type: dense}}, nil), nil, 0); !errors.Is(err, ErrQuery) {
		t.Errorf("a type that DuckDB does not have: %v", err)
	}
}

// Batches that do not hang together are refused, not read beyond their end.
func TestDamagedBatches(t *testing.T) {
	e := start(t, Config{Threads: 1})
	ctx := context.Background()
	ints := func(v ...int32) *memory.Buffer { return memory.NewBufferBytes(arrow.Int32Traits.CastToBytes(v)) }
	bytes := func(n int) *memory.Buffer { return memory.NewBufferBytes(make([]byte, n)) }
	long := array.NewData(arrow.PrimitiveTypes.Int64, 2, []*memory.Buffer{nil, bytes(16)}, nil, 0, 0)
	union := arrow.SparseUnionOf([]arrow.Field{{Name: "a", Type: arrow.PrimitiveTypes.Int64, Nullable: true}}, []arrow.UnionTypeCode{5})
	for name, d := range map[string]*array.Data{
		"values":    array.NewData(arrow.PrimitiveTypes.Int64, 3, []*memory.Buffer{nil, bytes(16)}, nil, 0, 0),
		"validity":  array.NewData(arrow.PrimitiveTypes.Int8, 9, []*memory.Buffer{bytes(1), bytes(9)}, nil, 9, 0),
		"backwards": array.NewData(arrow.BinaryTypes.Binary, 3, []*memory.Buffer{nil, ints(0, 4, 2, 4), bytes(4)}, nil, 0, 0),
		"negative":  array.NewData(arrow.BinaryTypes.Binary, 1, []*memory.Buffer{nil, ints(-4, 4), bytes(4)}, nil, 0, 0),
		"beyond":    array.NewData(arrow.ListOf(arrow.PrimitiveTypes.Int64), 1, []*memory.Buffer{nil, ints(0, 3)}, []arrow.ArrayData{long}, 0, 0),
		"elements":  array.NewData(arrow.FixedSizeListOf(3, arrow.PrimitiveTypes.Int64), 1, []*memory.Buffer{nil}, []arrow.ArrayData{long}, 0, 0),
		"tag":       array.NewData(union, 2, []*memory.Buffer{nil, bytes(2)}, []arrow.ArrayData{long}, 0, 0),
	} {
		schema := arrow.NewSchema([]arrow.Field{{Name: "x", Type: d.DataType(), Nullable: true}}, nil)
		open := func(context.Context, []int) (Stream, error) {
			return &batches{list: []arrow.RecordBatch{unchecked{schema: schema, data: d}}, closed: func() {}}, nil
		}
		if err := e.Register(ctx, "v", schema, []Opener{open}, 1); err != nil {
			t.Fatal(err)
		}
		if _, err := e.Drain(ctx, "FROM v", func(*vec.Chunk) error { return nil }); err == nil || !strings.Contains(err.Error(), "hang together") && name != "tag" {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// unchecked is a batch of one column whose array nobody has looked at.
type unchecked struct {
	arrow.RecordBatch
	schema *arrow.Schema
	data   arrow.ArrayData
}

func (u unchecked) Schema() *arrow.Schema { return u.schema }
func (u unchecked) NumRows() int64        { return int64(u.data.Len()) }
func (unchecked) Retain()                 {}
func (unchecked) Release()                {}

type uncheckedArray struct {
	arrow.Array
	data arrow.ArrayData
}

func (u uncheckedArray) Data() arrow.ArrayData { return u.data }

func (u unchecked) Columns() []arrow.Array { return []arrow.Array{uncheckedArray{data: u.data}} }
