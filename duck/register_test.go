//go:build duckdb_arrow

package duck

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"sync/atomic"
	"testing"

	"github.com/apache/arrow-go/v18/arrow"
	"github.com/apache/arrow-go/v18/arrow/array"
	"github.com/apache/arrow-go/v18/arrow/memory"
	"github.com/apache/arrow-go/v18/arrow/memory/mallocator"

	"github.com/pondmesh/pond/duck/lexer"
	"github.com/pondmesh/pond/duck/vec"
)

// batches is a Stream over batches that it does not own.
type batches struct {
	list   []arrow.RecordBatch
	fail   error // at the end, instead of io.EOF
	closed func()
}

func (b *batches) Next() (arrow.RecordBatch, error) {
	if len(b.list) == 0 {
		if b.fail != nil {
			return nil, b.fail
		}
		return nil, io.EOF
	}
	next := b.list[0]
	b.list = b.list[1:]
	next.Retain()
	return next, nil
}

func (b *batches) Close() error { b.closed(); return nil }

// counted opens streams over batches and counts those open.
type counted struct {
	opened, open atomic.Int64
}

func (c *counted) opener(fail error, list ...arrow.RecordBatch) Opener {
	return Whole(func(context.Context) (Stream, error) {
		c.opened.Add(1)
		c.open.Add(1)
		return &batches{list: list, fail: fail, closed: func() { c.open.Add(-1) }}, nil
	})
}

// numbers is a batch of the column i from first on, and its text s.
func numbers(t testing.TB, mem memory.Allocator, first, n int) arrow.RecordBatch {
	schema := arrow.NewSchema([]arrow.Field{{Name: "i", Type: arrow.PrimitiveTypes.Int64}, {Name: "s", Type: arrow.BinaryTypes.String, Nullable: true}}, nil)
	b := array.NewRecordBuilder(mem, schema)
	defer b.Release()
	for i := first; i < first+n; i++ {
		b.Field(0).(*array.Int64Builder).Append(int64(i))
		if i%10 == 0 {
			b.Field(1).AppendNull()
		} else {
			b.Field(1).(*array.StringBuilder).Append(fmt.Sprintf("the text of number %d", i))
		}
	}
	r := b.NewRecordBatch()
	t.Cleanup(r.Release)
	return r
}

func TestRegisteredViewsCanBeScannedAgain(t *testing.T) {
	mem := memory.NewCheckedAllocator(memory.NewGoAllocator())
	t.Cleanup(func() { mem.AssertSize(t, 0) })
	for name, alloc := range map[string]memory.Allocator{"go": mem, "c": mallocator.NewMallocator()} {
		t.Run(name, func(t *testing.T) {
			e := start(t, Config{Threads: 4})
			var c counted
			all := numbers(t, alloc, 0, 10000)
			sliced := all.NewSlice(5001, 10000)
			defer sliced.Release()
			first := all.NewSlice(0, 5001)
			defer first.Release()
			if err := e.Register(context.Background(), "odd name", all.Schema(), []Opener{c.opener(nil, first), c.opener(nil), c.opener(nil, sliced)}, 10000); err != nil {
				t.Fatal(err)
			}
			for query, want := range map[string]string{
				`SELECT count(*) FROM "odd name"`: "10000",
				`SELECT sum(i) FROM "odd name"`:   "49995000",
				`SELECT count(s) FROM "odd name"`: "9000",
				`SELECT count(*) FROM "odd name" WHERE s = 'the text of number 7777' AND i = 7777`:                         "1",
				`SELECT count(*) FROM "odd name" a JOIN "odd name" b ON a.i = b.i + 1`:                                     "9999",
				`WITH c AS NOT MATERIALIZED (FROM "odd name") SELECT count(*) FROM c, (SELECT max(i) AS m FROM c) LIMIT 1`: "10000",
				`SELECT count(*) FROM (SELECT * FROM "odd name" LIMIT 17)`:                                                 "17",
				`SELECT count(*) FROM (SELECT * FROM "odd name" LIMIT 0)`:                                                  "0",
			} {
				if got := value(t, e, query); got != want {
					t.Errorf("%s: %s, want %s", query, got, want)
				}
				if n := c.open.Load(); n != 0 {
					t.Errorf("%s: %d streams are still open", query, n)
				}
			}
			if c.opened.Load() < 20 {
				t.Errorf("streams were opened %d times", c.opened.Load())
			}
			if err := e.Reset(context.Background()); err != nil {
				t.Fatal(err)
			}
			if _, err := e.Exec(context.Background(), `FROM "odd name"`); !errors.Is(err, ErrQuery) {
				t.Errorf("after Reset: %v", err)
			}
		})
	}
}

// TestUsersFollowOneAnother has users with other numbers of streams and other
// schemas: each reads its own rows only, by its own names.
func TestUsersFollowOneAnother(t *testing.T) {
	e := start(t, Config{Threads: 2})
	ctx := context.Background()
	if err := e.Lock(ctx, Access{}); err != nil {
		t.Fatal(err)
	}
	random := rand.New(rand.NewPCG(1, 2))
	text := arrow.NewSchema([]arrow.Field{{Name: "t", Type: arrow.BinaryTypes.String}}, nil)
	for range 100 {
		var c counted
		views, streams, rows := random.IntN(3), 0, 0
		for v := range views {
			var openers []Opener
			streams++
			for range 1 + random.IntN(16) {
				n := 1 + random.IntN(5)
				rows += n
				openers = append(openers, c.opener(nil, numbers(t, memory.DefaultAllocator, 0, n)))
			}
			schema := numbers(t, memory.DefaultAllocator, 0, 0).Schema()
			if random.IntN(4) == 0 { // a view of another schema between them
				if err := e.Register(ctx, fmt.Sprint("text", v), text, nil, UnknownRows); err != nil {
					t.Fatal(err)
				}
				streams++
				if got := value(t, e, fmt.Sprintf("SELECT count(t) FROM text%d", v)); got != "0" {
					t.Errorf("%s texts", got)
				}
			}
			if err := e.Register(ctx, fmt.Sprint("numbers", v), schema, openers, UnknownRows); err != nil {
				t.Fatal(err)
			}
		}
		got := 0
		for v := range views {
			n, err := e.Drain(ctx, fmt.Sprintf("SELECT i, s FROM numbers%d", v), func(*vec.Chunk) error { return nil })
			if err != nil {
				t.Fatal(err)
			}
			got += int(n)
		}
		if got != rows {
			t.Fatalf("%d rows of %d", got, rows)
		}
		// What views read, and what nobody has registered.
		for i := -1; i <= streams; i++ {
			n, err := e.Drain(ctx, fmt.Sprintf("FROM pond_scan(%d)", i), func(*vec.Chunk) error { return nil })
			if known := i >= 0 && i < streams; known && err != nil || !known && !errors.Is(err, ErrQuery) {
				t.Errorf("source %d of %d: %d rows, %v", i, streams, n, err)
			}
		}
		if random.IntN(5) == 0 {
			exec(t, e, "CREATE TABLE careless AS SELECT 1")
		}
		if err := e.Reset(ctx); err != nil {
			t.Fatal(err)
		}
		if len(e.sources) != 0 {
			t.Fatalf("%d sources are left", len(e.sources))
		}
		if _, err := e.Exec(ctx, "FROM numbers0"); !errors.Is(err, ErrQuery) {
			t.Errorf("a view is left: %v", err)
		}
	}
}

func TestRegisterNoStreams(t *testing.T) {
	e := start(t, Config{})
	schema := (&vec.Schema{Fields: []vec.Field{{Name: "a", Type: &vec.Type{Kind: vec.Int32, SQL: "INTEGER"}}, {Name: "b", Type: &vec.Type{Kind: vec.Enum, Storage: 1, Names: []string{"x"}, SQL: "ENUM('x')"}}}}).Arrow()
	if err := e.Register(context.Background(), "v", schema, nil, 0); err != nil {
		t.Fatal(err)
	}
	if got := table(t, e, "SELECT column_name, column_type FROM (DESCRIBE v)"); fmt.Sprint(got) != "[[a INTEGER] [b ENUM('x')]]" {
		t.Errorf("the empty view is %v", got)
	}
	if got := value(t, e, "SELECT count(*) FROM v"); got != "0" {
		t.Errorf("it has %s rows", got)
	}
	if err := e.Register(context.Background(), "w", arrow.NewSchema(nil, nil), nil, 0); err == nil {
		t.Error("a view without columns was accepted")
	}
}

func TestStreamErrorsComeBackAsTheyAre(t *testing.T) {
	e := start(t, Config{Threads: 2})
	ctx := context.Background()
	broken := errors.New("the segment is gone")
	batch := numbers(t, memory.DefaultAllocator, 0, 3000)
	other := arrow.NewSchema([]arrow.Field{{Name: "i", Type: arrow.PrimitiveTypes.Int32}, {Name: "s", Type: arrow.BinaryTypes.String}}, nil)
	var c counted
	for name, open := range map[string]Opener{
		"next": c.opener(broken, batch, batch),
		"open": func(context.Context, []int) (Stream, error) { return nil, broken },
	} {
		if err := e.Register(ctx, "v", batch.Schema(), []Opener{c.opener(nil, batch), open}, UnknownRows); err != nil {
			t.Fatal(err)
		}
		for how, run := range runners(e) {
			if err := run(ctx, "SELECT * FROM v"); err != broken {
				t.Errorf("%s, %s: %v", name, how, err)
			}
		}
	}
	if err := e.Register(ctx, "v", other, []Opener{c.opener(nil, batch)}, UnknownRows); err != nil {
		t.Fatal(err)
	}
	if _, err := e.Exec(ctx, "CREATE TEMP TABLE t AS FROM v"); err == nil {
		t.Error("a batch of another schema was read")
	}
	panics := func(context.Context, []int) (Stream, error) { panic("in the stream") }
	if err := e.Register(ctx, "v", batch.Schema(), []Opener{panics}, UnknownRows); err != nil {
		t.Fatal(err)
	}
	if _, err := e.Exec(ctx, "CREATE TEMP TABLE t AS FROM v"); err == nil {
		t.Error("a panic was lost")
	}
	if n := c.open.Load(); n != 0 {
		t.Errorf("%d streams are still open", n)
	}
	if got := value(t, e, "SELECT 1"); got != "1" {
		t.Error("the engine is not usable afterwards")
	}
}

// runners are the ways to run a query.
func runners(e *Engine) map[string]func(context.Context, string) error {
	drop := func(*vec.Chunk) error { return nil }
	return map[string]func(context.Context, string) error{
		"drain": func(ctx context.Context, q string) error { _, err := e.Drain(ctx, q, drop); return err },
		"fetch": func(ctx context.Context, q string) error { _, err := e.Fetch(ctx, q, drop); return err },
		"exec": func(ctx context.Context, q string) error {
			_, err := e.Exec(ctx, "CREATE OR REPLACE TEMP TABLE out AS "+q)
			return err
		},
	}
}

// TestRoundTrip carries every type out of DuckDB and back in, whole, sliced
// and row by row, and compares in SQL.
func TestRoundTrip(t *testing.T) {
	e := start(t, Config{Threads: 1})
	ctx := context.Background()
	exec(t, e, "CREATE TABLE t AS SELECT row_number() OVER () AS row_id, * FROM test_all_types()")
	exec(t, e, `CREATE TABLE n AS SELECT i AS row_id, {'h': i::HUGEINT, 'c': 'const', 'e': 'b'::ENUM('a', 'b')} AS s, [i::UHUGEINT, NULL] AS l,
		MAP {'k': [(i % 90)::DECIMAL(3, 1)]} AS m, [NULL, 'x'::BLOB, NULL]::BLOB[3] AS a, '{"a": 1}'::JSON AS j, ['1'::JSON] AS lj, CASE WHEN i % 3 = 0 THEN union_value(num := i) ELSE 'text'::UNION(num BIGINT, str VARCHAR) END AS u, {'u': CASE WHEN i % 7 = 0 THEN union_value(num := i) ELSE 'text'::UNION(num BIGINT, str VARCHAR) END, 'i': i} AS su, [CASE WHEN i % 2 = 0 THEN union_value(num := i) ELSE 'text'::UNION(num BIGINT, str VARCHAR) END] AS lu, CASE WHEN i % 3 = 0 THEN union_value(num := NULL::BIGINT)::UNION(num BIGINT, str VARCHAR) ELSE NULL::VARCHAR::UNION(num BIGINT, str VARCHAR) END AS un, '00:00:00.123456789'::TIME_NS AS ns,
		CASE WHEN i % 2 = 0 THEN NULL ELSE {'d': [{'b': '101'::BIT}]} END AS deep, 'x'::ENUM('x', 'y') AS "dup ""name" FROM range(5000) t(i)`)
	for _, name := range []string{"t", "n"} {
		schema, list := gather(t, e, "FROM "+name)
		if name == "t" { // as a block's decoder has it: Arrow has no NULL unions
			at := schema.Arrow().FieldIndices("union")[0]
			list[0].Column(at).Data().Buffers()[1].Bytes()[2] = vec.NullUnion
		}
		var c counted
		var openers []Opener
		rows := list[0].NumRows()
		for _, cut := range [][2]int64{{0, rows / 3}, {rows / 3, rows/3 + 1}, {rows/3 + 1, rows}} {
			s := list[0].NewSlice(cut[0], cut[1])
			defer s.Release()
			openers = append(openers, c.opener(nil, s))
		}
		if err := e.Register(ctx, name+"_back", schema.Arrow(), openers, UnknownRows); err != nil {
			t.Fatal(err)
		}
		back, err := e.Schema(ctx, "FROM "+name+"_back")
		if err != nil {
			t.Fatal(err)
		}
		for i, f := range schema.Fields {
			b := back.Fields[i]
			if b.Name != f.Name || b.Type.SQL != f.Type.SQL {
				t.Errorf("%s %s came back as %s %s", f.Name, f.Type.SQL, b.Name, b.Type.SQL)
			}
			col := lexer.QuoteName(f.Name)
			query := fmt.Sprintf("SELECT count(*) FROM %[1]s a FULL JOIN %[1]s_back b USING (row_id) WHERE a.%[2]s IS DISTINCT FROM b.%[2]s OR a.%[2]s::VARCHAR IS DISTINCT FROM b.%[2]s::VARCHAR", name, col)
			if got := value(t, e, query); got != "0" {
				t.Errorf("%s %s: %s rows came back changed: %v", f.Name, f.Type.SQL, got,
					table(t, e, fmt.Sprintf("SELECT row_id, a.%[2]s, b.%[2]s FROM %[1]s a FULL JOIN %[1]s_back b USING (row_id) WHERE a.%[2]s::VARCHAR IS DISTINCT FROM b.%[2]s::VARCHAR LIMIT 3", name, col)))
			}
		}
	}
}

// TestRoundTripNested carries every way to nest two and three deep, whole and
// sliced: DuckDB's reader loses the offsets of what stands in a struct in a
// struct.
func TestRoundTripNested(t *testing.T) {
	e := start(t, Config{Threads: 1})
	ctx := context.Background()
	// Values are made of lists and cast: DuckDB has no CASE of arrays.
	type nested struct{ value, kind string }
	wrap := func(how string, depth int, in nested) nested {
		v := fmt.Sprintf(map[string]string{"struct": "{'a': %s, 'n': i}", "list": "[%s, NULL]", "array": "[NULL, %s]", "map": "MAP {'k' || i: %s}"}[how], in.value)
		k := fmt.Sprintf(map[string]string{"struct": "STRUCT(a %s, n BIGINT)", "list": "%s[]", "array": "%s[2]", "map": "MAP(VARCHAR, %s)"}[how], in.kind)
		return nested{fmt.Sprintf("CASE WHEN i %% %d > 0 THEN %s END", depth+2, v), k}
	}
	sql := "SELECT i"
	column := func(name string, n nested) { sql += fmt.Sprintf(", CAST(%s AS %s) AS %s", n.value, n.kind, name) }
	hows := []string{"struct", "list", "array", "map"}
	for _, a := range hows {
		for _, b := range hows {
			column(a+"_"+b, wrap(a, 0, wrap(b, 1, nested{"'x' || i", "VARCHAR"})))
			for _, c := range hows {
				column(a+"_"+b+"_"+c, wrap(a, 0, wrap(b, 1, wrap(c, 2, nested{"i", "BIGINT"}))))
			}
		}
	}
	exec(t, e, "CREATE TABLE n AS "+sql+" FROM range(5000) t(i)")
	schema, list := gather(t, e, "FROM n")
	for _, cuts := range [][]int64{{0, 5000}, {0, 7, 5000}, {0, 3001, 3002, 4999, 5000}} {
		var c counted
		var openers []Opener
		for k := range len(cuts) - 1 {
			s := list[0].NewSlice(cuts[k], cuts[k+1])
			defer s.Release()
			openers = append(openers, c.opener(nil, s))
		}
		view := fmt.Sprintf("back%d_%d", len(cuts), cuts[1])
		if err := e.Register(ctx, view, schema.Arrow(), openers, UnknownRows); err != nil {
			t.Fatal(err)
		}
		query := "SELECT count(*)"
		for _, f := range schema.Fields[1:] {
			query += fmt.Sprintf(" || CASE WHEN count(*) FILTER (a.%[1]s::VARCHAR IS DISTINCT FROM b.%[1]s::VARCHAR) > 0 THEN ' %[1]s' ELSE '' END", f.Name)
		}
		if got := value(t, e, query+fmt.Sprintf(" FROM n a FULL JOIN %s b USING (i)", view)); got != "5000" {
			t.Errorf("cut at %v: of so many rows these came back changed: %s", cuts, got)
		}
	}
}

// gather drains query into one batch.
func gather(t *testing.T, e *Engine, query string) (*vec.Schema, []arrow.RecordBatch) {
	t.Helper()
	schema, err := e.Schema(context.Background(), query)
	if err != nil {
		t.Fatal(err)
	}
	b := vec.NewBuilder(schema, memory.DefaultAllocator)
	defer b.Release()
	if _, err := e.Drain(context.Background(), query, func(c *vec.Chunk) error { return b.Append(c, nil, 0) }); err != nil {
		t.Fatal(err)
	}
	batch, err := b.Batch()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(batch.Release)
	return schema, []arrow.RecordBatch{batch}
}

func TestRegisterOddNames(t *testing.T) {
	e := start(t, Config{})
	ctx := context.Background()
	schema, list := gather(t, e, `SELECT 1 AS a, 2 AS a, 3 AS "A", 4 AS b, 5 AS "x""y.z", 6 AS r, 7 AS "select", row(8, 'x') AS un`)
	schema.Fields[3].Name = ""
	var c counted
	if err := e.Register(ctx, "v", schema.Arrow(), []Opener{c.opener(nil, list...), c.opener(nil, list...)}, 2); err != nil {
		t.Fatal(err)
	}
	var got gathered
	got.rows = map[string]int{}
	if _, err := e.Drain(ctx, "FROM v", got.emit); err != nil || got.rows["1|2|3|4|5|6|7|{:8,:x}|"] != 2 {
		t.Errorf("%v, %v", got.rows, err)
	}
	back, err := e.Schema(ctx, `SELECT a, c3, r, "select" FROM v`)
	if err != nil || len(back.Fields) != 4 {
		t.Errorf("%v, %v", back, err)
	}
}

// TestOtherNumberOfRows: streams that end before the rows they were registered with,
// or after them, fail the query that reads them to their end. A stream's own error
// comes first, whichever thread meets the end.
func TestOtherNumberOfRows(t *testing.T) {
	broken := errors.New("the segment is gone")
	batch := numbers(t, memory.DefaultAllocator, 0, 3000)
	ctx := context.Background()
	for _, threads := range []int{1, 3} {
		e := start(t, Config{Threads: threads})
		for name, c := range map[string]struct {
			rows int64
			fail error
			want error
		}{
			"all":            {9000, nil, nil},
			"unknown":        {UnknownRows, nil, nil},
			"one is missing": {9001, nil, ErrShort},
			"a run is":       {300_000, nil, ErrShort},
			"one too many":   {8999, nil, ErrShort},
			"broken":         {300_000, broken, broken},
		} {
			var n counted
			openers := []Opener{n.opener(nil, batch), n.opener(c.fail, batch), n.opener(nil, batch)}
			if err := e.Register(ctx, "v", batch.Schema(), openers, c.rows); err != nil {
				t.Fatal(err)
			}
			for how, run := range runners(e) {
				if err := run(ctx, "SELECT * FROM v"); !errors.Is(err, c.want) {
					t.Errorf("%d threads, %s, %s: %v, want %v", threads, name, how, err, c.want)
				}
			}
			if left := n.open.Load(); left != 0 {
				t.Errorf("%s: %d streams are still open", name, left)
			}
		}
	}
}
