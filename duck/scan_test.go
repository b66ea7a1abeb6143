//go:build duckdb_arrow

package duck

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/apache/arrow-go/v18/arrow"
	"github.com/apache/arrow-go/v18/arrow/array"
	"github.com/apache/arrow-go/v18/arrow/memory"
	"github.com/duckdb/duckdb-go/v2/mapping"

	"github.com/pondmesh/pond/duck/vec"
)

// explain is DuckDB's own plan of a query, drawn.
func explain(t *testing.T, e *Engine, query string) string {
	t.Helper()
	var r mapping.Result
	defer mapping.DestroyResult(&r)
	if mapping.Query(e.conn, "EXPLAIN "+query, &r) == mapping.StateError {
		t.Fatal(mapping.ResultError(&r))
	}
	chunk := mapping.ResultGetChunk(r, 0)
	defer mapping.DestroyDataChunk(&chunk)
	return string((*vec.Str)(mapping.VectorGetData(mapping.DataChunkGetVector(chunk, 1))).Bytes())
}

// A join holds the side of fewer rows, whichever is written first, though its rows
// are wider. DuckDB draws what it holds on the right.
func TestRegisterRows(t *testing.T) {
	e := start(t, Config{})
	ctx := context.Background()
	exec(t, e, "SET disabled_optimizers = 'join_order'") // as for stages that are planned
	number := arrow.Field{Name: "a", Type: arrow.PrimitiveTypes.Int64}
	wide := arrow.NewSchema([]arrow.Field{number, {Name: "b", Type: arrow.BinaryTypes.String}, {Name: "c", Type: arrow.ListOf(arrow.PrimitiveTypes.Date32)}}, nil)
	for view, v := range map[string]struct {
		schema *arrow.Schema
		rows   int64
	}{"few": {wide, 1000}, "many": {arrow.NewSchema([]arrow.Field{number}, nil), 1_000_000}} {
		if err := e.Register(ctx, view, v.schema, nil, v.rows); err != nil {
			t.Fatal(err)
		}
	}
	for _, query := range []string{"SELECT * FROM few JOIN many USING (a)", "SELECT * FROM many JOIN few USING (a)"} {
		p := explain(t, e, query)
		many, few := strings.Index(p, "~1,000,000 rows"), strings.Index(p, "~1,000 rows")
		if many < 0 || few < many {
			t.Errorf("%s\n%s", query, p)
		}
		if _, err := e.Drain(ctx, query, func(*vec.Chunk) error { return nil }); !errors.Is(err, ErrShort) {
			t.Errorf("%s: %v, though the rows are not there", query, err)
		}
	}
	s, err := e.Schema(ctx, "FROM few")
	if err != nil || s.Fields[1].Type.SQL != "VARCHAR" || s.Fields[2].Type.SQL != "DATE[]" {
		t.Errorf("%v, %v", s, err)
	}
}

// asked is a stream's opener that notes the columns that it is asked for.
type asked struct {
	mu    sync.Mutex
	lists [][]int
	batch arrow.RecordBatch
}

func (a *asked) open(ctx context.Context, columns []int) (Stream, error) {
	a.mu.Lock()
	a.lists = append(a.lists, columns)
	a.mu.Unlock()
	var c counted
	return c.opener(nil, a.batch)(ctx, columns)
}

// Only the columns that a query reads are asked for, and each scan is one opening.
func TestScanColumns(t *testing.T) {
	e := start(t, Config{Threads: 2})
	ctx := context.Background()
	a := &asked{batch: numbers(t, memory.DefaultAllocator, 0, 5000)}
	if err := e.Register(ctx, "v", a.batch.Schema(), []Opener{a.open}, 5000); err != nil {
		t.Fatal(err)
	}
	for query, want := range map[string]string{
		"SELECT count(*) FROM v":                                                               "5000 [[]]",
		"SELECT count(s) FROM v":                                                               "4500 [[1]]",
		"SELECT sum(length(s)) FROM v WHERE i = 4999":                                          "23 [[0 1]]",
		"SELECT max(i) FROM v WHERE s LIKE '%4998'":                                            "4998 [[0 1]]",
		"SELECT sum(i) FROM (SELECT DISTINCT i, s FROM v)":                                     "12497500 [[0 1]]",
		"WITH c AS MATERIALIZED (SELECT i FROM v) SELECT count(*) FROM c a JOIN c b USING (i)": "5000 [[0]]",
		"SELECT count(*) FROM v a JOIN v b ON a.i = b.i + 1":                                   "4999 [[0] [0]]",
		"SELECT count(*) FROM v WHERE i IN (SELECT i FROM v WHERE s IS NULL)":                  "500 [[0 1] [0]]",
	} {
		a.lists = nil
		if got := value(t, e, query); got+" "+fmt.Sprint(a.sorted()) != want {
			t.Errorf("%s: %s %v, want %s", query, got, a.sorted(), want)
		}
	}
}

// sorted are the lists of columns, each in order, the longest first.
func (a *asked) sorted() [][]int {
	for _, l := range a.lists {
		slices.Sort(l)
	}
	slices.SortFunc(a.lists, func(x, y []int) int { return len(y) - len(x) })
	return a.lists
}

// made is a stream that makes batches of so many rows, and notes the most memory that they
// have when one is asked for.
type made struct {
	mem   *memory.CheckedAllocator
	sizes []int
	most  int
}

func (m *made) Next() (arrow.RecordBatch, error) {
	m.most = max(m.most, m.mem.CurrentAlloc())
	if len(m.sizes) == 0 {
		return nil, io.EOF
	}
	n := m.sizes[0]
	m.sizes = m.sizes[1:]
	b := array.NewInt64Builder(m.mem)
	defer b.Release()
	b.AppendValues(make([]int64, n), nil)
	a := b.NewArray()
	defer a.Release()
	return array.NewRecordBatch(arrow.NewSchema([]arrow.Field{{Name: "i", Type: a.DataType()}}, nil), []arrow.Array{a}, int64(n)), nil
}

func (m *made) Close() error { return nil }

// A scan holds no more batches than a chunk has rows of, however the ends of batches lie in
// chunks: after a short batch, those whose rows are a multiple of a chunk's end in the first
// half of one for ever.
func TestScanHolds(t *testing.T) {
	const batches, rows = 200, 4 * vec.MaxRows
	for _, first := range []int{1, 100, vec.MaxRows/2 - 1, vec.MaxRows / 2, vec.MaxRows - 1, vec.MaxRows} {
		mem := memory.NewCheckedAllocator(memory.NewGoAllocator())
		m := &made{mem: mem, sizes: []int{first}}
		for range batches {
			m.sizes = append(m.sizes, rows)
		}
		e := start(t, Config{Threads: 1})
		schema := arrow.NewSchema([]arrow.Field{{Name: "i", Type: arrow.PrimitiveTypes.Int64}}, nil)
		all := int64(first + batches*rows)
		if err := e.Register(t.Context(), "v", schema, []Opener{Whole(func(context.Context) (Stream, error) { return m, nil })}, all); err != nil {
			t.Fatal(err)
		}
		if got := value(t, e, "SELECT count(i) FROM v"); got != fmt.Sprint(all) {
			t.Errorf("first batch of %d rows: %s rows of %d", first, got, all)
		}
		if most := 3 * rows * 8; m.most > most {
			t.Errorf("first batch of %d rows: %d bytes of batches were held, more than %d", first, m.most, most)
		}
		mem.AssertSize(t, 0)
	}
}
