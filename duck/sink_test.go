//go:build duckdb_arrow

package duck

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"
	"unsafe"

	"github.com/apache/arrow-go/v18/arrow"

	"github.com/pondmesh/pond/duck/vec"
)

// strAt is row i of a column of strings.
func strAt(v *vec.Vector, i int) []byte {
	return unsafe.Slice((*vec.Str)(v.Data), v.Rows)[i].Bytes()
}

// gathered counts the rows that a query gave, each as text.
type gathered struct {
	mu   sync.Mutex
	rows map[string]int
}

func (g *gathered) emit(c *vec.Chunk) error {
	g.mu.Lock()
	defer g.mu.Unlock()
	for i := range c.Rows {
		var row strings.Builder
		for j := range c.Columns {
			row.WriteString(valueText(&c.Columns[j], i) + "|")
		}
		g.rows[row.String()]++
	}
	return nil
}

// valueText is row i of v, for the kinds that the tests use.
func valueText(v *vec.Vector, i int) string {
	if v.Null(i) {
		return "NULL"
	}
	switch v.Type.Kind {
	case vec.Bool, vec.Uint8:
		return fmt.Sprint(at[uint8](v, i))
	case vec.Int32, vec.Date:
		return fmt.Sprint(at[int32](v, i))
	case vec.Int64:
		return fmt.Sprint(at[int64](v, i))
	case vec.Int128:
		return fmt.Sprint(unsafe.Slice((*[2]uint64)(v.Data), v.Rows)[i][0])
	case vec.Float64:
		return fmt.Sprint(at[float64](v, i))
	case vec.String:
		return string(strAt(v, i))
	case vec.List, vec.Map:
		entry := unsafe.Slice((*vec.ListEntry)(v.Data), v.Rows)[i]
		return elements(&v.Children[0], int(entry.Offset), int(entry.Len))
	case vec.Array:
		return elements(&v.Children[0], i*v.Type.Size, v.Type.Size)
	case vec.Struct:
		parts := make([]string, len(v.Children))
		for j := range parts {
			parts[j] = v.Type.Fields[j].Name + ":" + valueText(&v.Children[j], i)
		}
		return "{" + strings.Join(parts, ",") + "}"
	case vec.Union:
		tag := unsafe.Slice((*uint8)(v.Children[0].Data), v.Rows)[i]
		return v.Type.Fields[tag].Name + "=" + valueText(&v.Children[1+tag], i)
	}
	return fmt.Sprintf("kind %d", v.Type.Kind)
}

func elements(v *vec.Vector, from, n int) string {
	parts := make([]string, n)
	for j := range parts {
		parts[j] = valueText(v, from+j)
	}
	return "[" + strings.Join(parts, ",") + "]"
}

// exactlyOnce are queries over which an optimizer might drop, fold, repeat or
// cut short the calls of a sink.
var exactlyOnce = []string{
	"SELECT 42",
	"SELECT 42, 'a', NULL",
	"SELECT 1 WHERE false",
	"SELECT * FROM big LIMIT 0",
	"SELECT * FROM big LIMIT 3000",
	"SELECT i FROM big ORDER BY i DESC LIMIT 5000 OFFSET 7",
	"SELECT i FROM big ORDER BY hash(i)",
	"SELECT 7, 'constant' FROM big",
	"SELECT NULL FROM big",
	"SELECT 'always the same long constant string' AS s, i % 2 = 0 AS b FROM big",
	"SELECT i FROM big WHERE i % 3 = 0",
	"SELECT i FROM big WHERE i > 1000000",
	"SELECT i FROM big UNION ALL SELECT i FROM big",
	"SELECT i % 5 FROM big UNION SELECT 3",
	"SELECT i % 5 FROM big EXCEPT SELECT 3",
	"SELECT count(*) FROM big",
	"SELECT i % 100 AS g, count(*), sum(i) FROM big GROUP BY ALL",
	"SELECT DISTINCT i % 1000 FROM big",
	"SELECT a.i, b.i FROM big a JOIN big b ON a.i = b.i + 1",
	"SELECT a.i, b.i FROM big a LEFT JOIN (FROM big WHERE i % 2 = 0) b USING (i)",
	"SELECT a.i FROM big a SEMI JOIN (SELECT 5 AS i) b USING (i)",
	"SELECT a.i, b.x FROM big a, (VALUES (1), (2)) b(x)",
	"SELECT i, row_number() OVER (ORDER BY i) FROM big",
	"SELECT i, sum(i) OVER (PARTITION BY i % 10) FROM big",
	"SELECT unnest(range(i % 4)) FROM big",
	"WITH c AS MATERIALIZED (SELECT i FROM big) SELECT * FROM c UNION ALL SELECT * FROM c",
	"WITH RECURSIVE r(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM r WHERE n < 100) SELECT * FROM r",
	"VALUES (1, 'a'), (2, NULL)",
	"FROM big",
	"SELECT i, i, i AS j FROM big",
	"SELECT *, * FROM big LIMIT 10",
	"SELECT CASE WHEN i % 2 = 0 THEN 'even' END FROM big",
	"SELECT e FROM (SELECT (i % 3)::VARCHAR::e AS e FROM big) WHERE e = '1' -- comment",
	"SELECT count(*) FROM parquet",
	"SELECT b FROM parquet",
	"SELECT 1 FROM parquet",
	"SELECT a, b FROM parquet WHERE a > 99990;",
	"SELECT i FROM empty",
	"SELECT count(i) FROM empty",
	"SELECT (SELECT max(i) FROM big), i FROM big",
	"SELECT i FROM big USING SAMPLE 100 ROWS (reservoir, 42)",
}

func TestDrainSeesEveryRowOnce(t *testing.T) {
	e := start(t, Config{Threads: 4})
	ctx := context.Background()
	file := t.TempDir() + "/a.parquet"
	exec(t, e, "CREATE TABLE big AS SELECT range AS i FROM range(100_000); CREATE TABLE empty (i INTEGER); CREATE TYPE e AS ENUM ('0', '1', '2')")
	exec(t, e, "COPY (SELECT range AS a, 'value ' || range % 7 AS b, range / 2 AS c FROM range(100_000)) TO '"+file+"' (ROW_GROUP_SIZE 5000)")
	exec(t, e, "CREATE VIEW parquet AS FROM '"+file+"'")
	for _, query := range exactlyOnce {
		drained, fetched := gathered{rows: map[string]int{}}, gathered{rows: map[string]int{}}
		n, err := e.Drain(ctx, query, drained.emit)
		if err != nil {
			t.Errorf("%s: %v", query, err)
			continue
		}
		m, err := e.Fetch(ctx, query, fetched.emit)
		if err != nil || n != m {
			t.Errorf("%s: drained %d rows, fetched %d, %v", query, n, m, err)
		}
		if strings.Contains(query, "LIMIT 3000") || strings.Contains(query, "LIMIT 10") {
			continue // any rows will do
		}
		if len(drained.rows) != len(fetched.rows) {
			t.Errorf("%s: drained %d different rows, fetched %d", query, len(drained.rows), len(fetched.rows))
		}
		for row, times := range fetched.rows {
			if drained.rows[row] != times {
				t.Errorf("%s: row %s drained %d times, fetched %d", query, row, drained.rows[row], times)
				break
			}
		}
	}
}

// Several threads of DuckDB's may wait for one another without end when they stream what
// a window function has sorted, once in some hundred queries. So one thread makes those
// rows, which have an order, wherever the window is written, and several make others.
func TestFetchWindows(t *testing.T) {
	e := start(t, Config{Threads: 4})
	ctx := context.Background()
	exec(t, e, "CREATE TABLE big AS SELECT range AS i FROM range(1_000_000)")
	var inside, mixed atomic.Int64
	met, meet := make(chan struct{}, 1), make(chan struct{})
	register := func(name string, call func()) {
		err := e.RegisterFunc(Func{Name: name, Args: []string{"BIGINT"}, Result: "BIGINT", Volatile: true, Call: func(_ context.Context, args arrow.RecordBatch) (arrow.Array, error) {
			call()
			args.Column(0).Retain()
			return args.Column(0), nil
		}})
		if err != nil {
			t.Fatal(err)
		}
	}
	register("alone", func() {
		if inside.Add(1) > 1 {
			mixed.Add(1)
		}
		runtime.Gosched()
		inside.Add(-1)
	})
	register("together", func() { // once, two threads wait for one another here
		select {
		case met <- struct{}{}:
			select {
			case meet <- struct{}{}:
			case <-time.After(time.Minute):
				t.Error("one thread runs a query without windows")
			}
		case <-meet:
		default:
		}
	})
	fetch := func(query string) {
		t.Helper()
		want := int64(0)
		n, err := e.Fetch(ctx, query, func(c *vec.Chunk) error {
			for _, v := range unsafe.Slice((*int64)(c.Columns[0].Data), c.Rows) {
				if v != want {
					return fmt.Errorf("row %d where %d is expected", v, want)
				}
				want++
			}
			return nil
		})
		if err != nil || n != 1_000_000 {
			t.Errorf("%s: %d rows, %v", query, n, err)
		}
		if mixed.Swap(0) > 0 {
			t.Errorf("%s: several threads make its rows", query)
		}
	}
	fetch("SELECT together(i) FROM big")
	for _, query := range []string{
		"SELECT alone(i), row_number() OVER (ORDER BY i) FROM big",
		"SELECT alone(i) FROM big QUALIFY row_number() Over(ORDER BY i) > 0 -- all",
		"SELECT alone(i), i, i FROM big WINDOW w AS (ORDER BY i) QUALIFY count(*) OVER w > 0",
	} {
		fetch(query)
	}
	if err := e.View(ctx, "v", "SELECT i, row_number() OVER (ORDER BY i) AS r FROM big"); err != nil {
		t.Fatal(err)
	}
	fetch("SELECT alone(i), r FROM v")
	if err := e.Reset(ctx); err != nil {
		t.Fatal(err)
	}
	exec(t, e, "CREATE TABLE big AS SELECT range AS i FROM range(1_000_000); CREATE VIEW v AS SELECT i, sum(i) OVER (ORDER BY i) AS r FROM big")
	fetch("SELECT alone(i), r FROM v")
	if err := e.Reset(ctx); err != nil {
		t.Fatal(err)
	}
	exec(t, e, "CREATE TABLE big AS SELECT range AS i FROM range(1_000_000)")
	<-met
	fetch("SELECT together(i) FROM big")
}

// One thread of DuckDB's streams no UNION of joins whose first part is larger than its
// buffer: it waits without end. Fetch gives the parts in order, one chunk after the other,
// also where DuckDB keeps no order.
func TestFetchUnions(t *testing.T) {
	const rows, join = 500_000, "SELECT %d, a.i, a.h FROM big a JOIN big b USING (i)"
	for _, threads := range []int{1, 4} {
		for _, ordered := range []bool{true, false} {
			e := start(t, Config{Threads: threads})
			exec(t, e, fmt.Sprintf("SET preserve_insertion_order = %t; CREATE TABLE big AS SELECT range AS i, hash(range) AS h FROM range(%d)", ordered, rows))
			for query, parts := range map[string]int64{
				fmt.Sprintf(join+" UNION ALL "+join+" union all SELECT 2, i, h FROM big", 0, 1):  3,
				"SELECT 0, i FROM big UNION ALL SELECT 1, i FROM big":                            2,
				"SELECT 0, i FROM big QUALIFY sum(i) OVER (PARTITION BY i % 10 ORDER BY i) >= 0": 1,
			} {
				var last, inside, sum int64
				n, err := e.Fetch(t.Context(), query, func(c *vec.Chunk) error {
					if inside++; inside > 1 {
						return errors.New("two at once")
					}
					defer func() { inside-- }()
					part, i := unsafe.Slice((*int32)(c.Columns[0].Data), c.Rows), unsafe.Slice((*int64)(c.Columns[1].Data), c.Rows)
					for k := range i {
						at := int64(part[k])
						if ordered && at < last {
							return fmt.Errorf("a row of part %d after one of part %d", at, last)
						}
						last, sum = at, sum+i[k]+1
					}
					return nil
				})
				if err != nil || n != parts*rows || sum != parts*rows*(rows+1)/2 {
					t.Errorf("%d threads, ordered: %t, %s: %d rows, sum %d, %v", threads, ordered, query, n, sum, err)
				}
			}
		}
	}
}

// TestTypesChange: a file that changes between the look at a query's columns and the
// reading of its rows is an error, where other columns would be taken for those.
func TestTypesChange(t *testing.T) {
	for _, test := range []struct{ before, after string }{
		{"1::BIGINT", "2::INTEGER"},
		{"1::INTEGER", "'a text that is too long to be short'"},
		{"'text'", "1::TINYINT"},
		{"1.25::DECIMAL(9, 2)", "1.25::DECIMAL(9, 3)"},
		{"{'a': 1}", "{'a': 'text'}"},
		{"{'a': 1, 'b': 2}", "{'a': 1}"},
		{"[1]", "1::UTINYINT"},
		{"[1]", "['text']"},
		{"TIME_NS '01:02:03'", "TIME '01:02:03'"},
	} {
		e := start(t, Config{Threads: 2})
		file := filepath.Join(t.TempDir(), "f.parquet")
		write := func(value string) {
			exec(t, e, fmt.Sprintf("COPY (SELECT %s AS x FROM range(10)) TO '%s' (FORMAT parquet)", value, file))
		}
		query := fmt.Sprintf("SELECT x FROM '%s'", file)
		for name, read := range map[string]func(context.Context, string, func(*vec.Chunk) error) (int64, error){"fetch": e.Fetch, "drain": e.Drain} {
			write(test.before)
			if _, err := e.Schema(t.Context(), query); err != nil {
				t.Fatal(err)
			}
			kept := e.bound
			e.bound = bound{}
			write(test.after)
			e.bound = kept
			_, err := read(t.Context(), query, func(*vec.Chunk) error { return nil })
			if !errors.Is(err, ErrQuery) || !strings.Contains(fmt.Sprint(err), `column "x"`) {
				t.Errorf("%s of %s that was %s: %v", name, test.after, test.before, err)
			}
			if rows, err := read(t.Context(), query, func(*vec.Chunk) error { return nil }); rows != 10 || err != nil {
				t.Errorf("%s once more: %d rows, %v", name, rows, err)
			}
		}
	}
}

// TestColumnsChange is TestTypesChange of the columns that * stands for, and of a type
// that cannot leave the engine.
func TestColumnsChange(t *testing.T) {
	for after, want := range map[string]string{
		"TIME_NS '01:02:03' AS a":                 "1 columns instead of 2",
		"TIME_NS '01:02:03' AS a, 2 AS b, 3 AS c": "3 columns instead of 2",
		"1::VARIANT AS a, 2 AS b":                 `column "a" is not TIME_NS any more`,
	} {
		e := start(t, Config{})
		file := filepath.Join(t.TempDir(), "f.parquet")
		write := func(columns string) {
			exec(t, e, fmt.Sprintf("COPY (SELECT %s) TO '%s' (FORMAT parquet)", columns, file))
		}
		query := fmt.Sprintf("FROM '%s'", file)
		write("TIME_NS '01:02:03' AS a, 2 AS b")
		if _, err := e.Schema(t.Context(), query); err != nil {
			t.Fatal(err)
		}
		kept := e.bound
		e.bound = bound{}
		write(after)
		e.bound = kept
		_, err := e.Fetch(t.Context(), query, func(*vec.Chunk) error { return nil })
		if !errors.Is(err, ErrQuery) || !strings.Contains(fmt.Sprint(err), want) {
			t.Errorf("%s: %v", after, err)
		}
	}
}

// After its first error, emit is not called again, though several threads have rows for it.
func TestFetchFailsOnce(t *testing.T) {
	e := start(t, Config{Threads: 4})
	exec(t, e, "SET preserve_insertion_order = false; CREATE TABLE big AS SELECT range AS i FROM range(500_000)")
	failure := errors.New("no more")
	calls := 0
	_, err := e.Fetch(t.Context(), "SELECT i FROM big UNION ALL SELECT i FROM big", func(*vec.Chunk) error {
		calls++
		runtime.Gosched() // the others come, and wait
		return failure
	})
	if err != failure || calls != 1 {
		t.Errorf("%d calls, %v", calls, err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	calls = 0
	_, err = e.Fetch(ctx, "SELECT i FROM big UNION ALL SELECT i FROM big", func(*vec.Chunk) error {
		calls++
		cancel()
		return nil
	})
	if !errors.Is(err, context.Canceled) || calls != 1 {
		t.Errorf("cancelled: %d calls, %v", calls, err)
	}
}

// nested are values whose children are constants, dictionaries or slices in
// DuckDB's hands, with the rows that must come of them.
var nested = []struct{ query, want string }{
	{"SELECT {'a': 1, 'b': i, 'c': 'constant'} FROM range(3) t(i)", "{a:1,b:0,c:constant}| {a:1,b:1,c:constant}| {a:1,b:2,c:constant}|"},
	{"SELECT {'a': NULL::INT, 'b': {'x': i % 2, 'y': [i, NULL, 7]}} FROM range(2) t(i)", "{a:NULL,b:{x:0,y:[0,NULL,7]}}| {a:NULL,b:{x:1,y:[1,NULL,7]}}|"},
	{"SELECT [{'a': i, 'b': 'x'}, NULL, {'a': 5, 'b': NULL}] FROM range(2) t(i)", "[{a:0,b:x},NULL,{a:5,b:NULL}]| [{a:1,b:x},NULL,{a:5,b:NULL}]|"},
	{"SELECT CASE WHEN i = 1 THEN NULL ELSE {'a': [i]} END FROM range(3) t(i)", "{a:[0]}| NULL| {a:[2]}|"},
	{"SELECT CASE WHEN i = 1 THEN NULL ELSE [i, i + 1] END FROM range(3) t(i)", "[0,1]| NULL| [2,3]|"},
	{"SELECT a FROM (VALUES ([0, NULL]::BIGINT[2]), (NULL), ([2, NULL])) t(a)", "[0,NULL]| NULL| [2,NULL]|"},
	{"SELECT [[i], []::BIGINT[], NULL] FROM range(2) t(i)", "[[0],[],NULL]| [[1],[],NULL]|"},
	{"SELECT [[1, 2], [3, i]]::BIGINT[2][2] FROM range(2) t(i)", "[[1,2],[3,0]]| [[1,2],[3,1]]|"},
	{"SELECT MAP {'k': i, 'a long key that is not inlined': NULL} FROM range(2) t(i)", "[{key:k,value:0},{key:a long key that is not inlined,value:NULL}]| [{key:k,value:1},{key:a long key that is not inlined,value:NULL}]|"},
	{"SELECT CASE WHEN i = 0 THEN union_value(n := i) ELSE union_value(s := 'text')::UNION(n BIGINT, s VARCHAR) END FROM range(2) t(i)", "n=0| s=text|"},
	{"SELECT {'s': d} FROM (SELECT ['one', 'two and a long tail of it'][1 + i % 2] AS d FROM range(4) t(i) WHERE i > 1)", "{s:one}| {s:two and a long tail of it}|"},
	{"SELECT [] FROM range(2)", "[]| []|"},
	{"SELECT [NULL, NULL]", "[NULL,NULL]|"},
	{"SELECT {'a': NULL, 'b': [NULL]}", "{a:NULL,b:[NULL]}|"},
	{"SELECT MAP {}", "[]|"},
	{"SELECT list({'a': i, 'b': 'const'}) FROM range(3) t(i)", "[{a:0,b:const},{a:1,b:const},{a:2,b:const}]|"},
	{"SELECT struct_pack(v := s) FROM (SELECT unnest([{'q': 1}, NULL, {'q': NULL}]) AS s)", "{v:{q:1}}| {v:NULL}| {v:{q:NULL}}|"},
}

func TestNested(t *testing.T) {
	e := start(t, Config{Threads: 1})
	for _, c := range nested {
		for how, run := range map[string]func(context.Context, string, func(*vec.Chunk) error) (int64, error){"drain": e.Drain, "fetch": e.Fetch} {
			var rows []string
			_, err := run(context.Background(), c.query, func(c *vec.Chunk) error {
				for i := range c.Rows {
					rows = append(rows, valueText(&c.Columns[0], i)+"|")
				}
				return nil
			})
			got := strings.Join(rows, " ")
			if err != nil || got != c.want {
				t.Errorf("%s %s:\n got %s\nwant %s\n%v", how, c.query, got, c.want, err)
			}
		}
	}
}

// at is row i of a column of fixed width.
func at[T any](v *vec.Vector, i int) T { return unsafe.Slice((*T)(v.Data), v.Rows)[i] }
