//go:build duckdb_arrow

package pond_test

import (
	"context"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/apache/arrow-go/v18/arrow"
	"github.com/apache/arrow-go/v18/arrow/array"
	"github.com/apache/arrow-go/v18/arrow/memory"

	"github.com/pondmesh/pond"
	"github.com/pondmesh/pond/actors/api"
	"github.com/pondmesh/pond/duck"
	"github.com/pondmesh/pond/duck/vec"
)

const mib = 1 << 20

// newPond starts n nodes that know one another, and stops them at the end.
func newPond(t *testing.T, n int, options ...pond.Option) []*pond.Node {
	t.Helper()
	var nodes []*pond.Node
	for i := range n {
		opts := append([]pond.Option{pond.WithDir(t.TempDir()), pond.WithMemory(512 * mib), pond.WithSlots(2)}, options...)
		if i > 0 {
			opts = append(opts, pond.WithPeers(nodes[0].Addr()))
		}
		node, err := pond.Join(testContext(t), opts...)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { node.Close() })
		nodes = append(nodes, node)
	}
	for _, node := range nodes {
		waitMembers(t, node, n)
	}
	return nodes
}

// waitMembers waits until a node sees n members.
func waitMembers(t *testing.T, node *pond.Node, n int) {
	t.Helper()
	ctx := testContext(t)
	for {
		m, err := node.Members(ctx)
		if err != nil {
			t.Fatal(err)
		}
		if len(m) == n {
			return
		}
		select {
		case <-time.After(20 * time.Millisecond):
		case <-ctx.Done():
			t.Fatalf("%s sees %d members, not %d", node.ID(), len(m), n)
		}
	}
}

func testContext(t *testing.T) context.Context {
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	t.Cleanup(cancel)
	return ctx
}

// lines is a result as text, a line a row.
func lines(t *testing.T, rows *pond.Rows, err error) []string {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
	var out []string
	for rec, err := range rows.All() {
		if err != nil {
			t.Fatal(err)
		}
		out = append(out, recordLines(rec)...)
	}
	return out
}

func recordLines(rec arrow.RecordBatch) []string {
	out := make([]string, rec.NumRows())
	for i := range out {
		cells := make([]string, rec.NumCols())
		for c := range cells {
			cells[c] = rec.Column(c).ValueStr(i)
			if d, ok := rec.Column(c).(*array.Decimal128); ok && d.IsValid(i) { // ValueStr rounds
				cells[c] = d.Value(i).BigInt().String() + "e-" + strconv.Itoa(int(d.DataType().(*arrow.Decimal128Type).Scale))
			}
		}
		out[i] = strings.Join(cells, "|")
	}
	return out
}

func wantLines(t *testing.T, got []string, want ...string) {
	t.Helper()
	if !slices.Equal(got, want) {
		t.Fatalf("got\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
}

func sorted(s []string) []string { slices.Sort(s); return s }

func TestShuffledGroupBy(t *testing.T) {
	for _, n := range []int{1, 3} {
		t.Run(fmt.Sprintf("%d nodes", n), func(t *testing.T) {
			nodes := newPond(t, n)
			for _, node := range nodes {
				df := node.FromRows([]string{"k", "INTEGER", "v", "VARCHAR"}, []any{1, "a"}, []any{2, "b"}, []any{1, "c"}, []any{nil, "d"})
				rows, err := df.Repartition(4, pond.ByHash("k")).SQL("SELECT k, count(*) AS n, string_agg(v, ',' ORDER BY v) AS vs FROM {0} GROUP BY k").Collect(testContext(t))
				wantLines(t, sorted(lines(t, rows, err)), "(null)|1|d", "1|2|a,c", "2|1|b")
			}
		})
	}
}

// oracle runs SQL in one DuckDB, and returns its rows as lines.
func oracle(t *testing.T, sql string) []string {
	t.Helper()
	return oracleWith(t, "", sql)
}

// oracleWith is oracle after some statements.
func oracleWith(t *testing.T, first, sql string) []string {
	t.Helper()
	e, err := duck.Open(testContext(t), duck.Config{Threads: 2})
	if err != nil {
		t.Fatal(err)
	}
	defer e.Close()
	if _, err := e.Exec(testContext(t), first); first != "" && err != nil {
		t.Fatal(err)
	}
	var out []string
	schema, err := e.Schema(testContext(t), sql)
	if err != nil {
		t.Fatal(err)
	}
	columns, _ := api.DecimalSchema(schema.Arrow())
	b := vec.NewBuilder(schema, memory.DefaultAllocator)
	defer b.Release()
	_, err = e.Fetch(testContext(t), sql, func(c *vec.Chunk) error {
		if err := b.Append(c, nil, 0); err != nil {
			return err
		}
		rec := b.Batch()
		defer rec.Release()
		rec = api.DecimalBatch(rec, columns)
		defer rec.Release()
		out = append(out, recordLines(rec)...)
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return out
}

const flights = "cmd/pondnode/sample/*.parquet"

func TestAgainstDuckDB(t *testing.T) {
	node := newPond(t, 3)[1]
	from := "FROM '" + flights + "'"
	df := func() *pond.DataFrame { return node.ReadParquet(flights) }
	for _, c := range []struct {
		name    string
		got     *pond.DataFrame
		want    string
		ordered bool
	}{
		{"read", df(), "SELECT * " + from, false},
		{"columns", node.ReadParquet(flights, pond.Columns("origin", "delay")), "SELECT origin, delay " + from, false},
		{"filter", df().Filter("delay > 60"), "SELECT * " + from + " WHERE delay > 60", false},
		{"map", df().Map("origin, delay * 2 AS d"), "SELECT origin, delay * 2 " + from, false},
		{"hash group by", df().Repartition(7, pond.ByHash("origin")).SQL("SELECT origin, count(*), sum(delay), avg(distance) FROM {0} GROUP BY origin"),
			"SELECT origin, count(*), sum(delay), avg(distance) " + from + " GROUP BY origin", false},
		{"global sort", df().Sort("delay DESC", "date", "origin", "destination", "distance"), "SELECT * " + from + " ORDER BY delay DESC, date, origin, destination, distance", true},
		{"range", df().Repartition(5, pond.ByRange("distance")).SQL("SELECT max(distance) - min(distance) >= 0, count(*) > 0 FROM {0}"), "SELECT true, true FROM range(5)", false},
		{"rows", df().Repartition(6, pond.ByRows()).SQL("SELECT count(*) FROM {0}"), "SELECT (c * (i + 1)) // 6 - (c * i) // 6 FROM range(6) t(i), (SELECT count(*) AS c " + from + ")", false},
		{"round robin", df().Repartition(4, pond.ByRoundRobin()), "SELECT * " + from, false},
		{"random", df().Repartition(4, pond.ByRandom()), "SELECT * " + from, false},
		{"random shuffle", df().RandomShuffle(), "SELECT * " + from, false},
		{"column", df().Repartition(3, pond.ByColumn("distance % 3")).SQL("SELECT DISTINCT distance % 3, {partition} FROM {0}"), "SELECT i, i FROM range(3) t(i)", false},
		{"limit then filter", df().Limit(5).Filter("true").SQL("SELECT count(*) FROM {0}"), "SELECT 5", false},
		{"union", df().Union(df()), "SELECT * " + from + " UNION ALL SELECT * " + from, false},
		{"consolidate", df().Repartition(8, pond.ByHash("origin")).Consolidate(3).SQL("SELECT 1"), "SELECT 1 FROM range(3)", false},
		{"join", df().Repartition(4, pond.ByHash("origin")).SQL("SELECT a.origin, count(*) FROM {0} a JOIN {1} b ON a.origin = b.destination AND a.date = b.date GROUP BY 1",
			df().Repartition(4, pond.ByHash("destination"))),
			"SELECT a.origin, count(*) " + from + " a JOIN '" + flights + "' b ON a.origin = b.destination AND a.date = b.date GROUP BY 1", false},
		{"broadcast join", df().Repartition(4, pond.ByRows()).SQL("SELECT origin, name FROM {0} JOIN {1} USING (origin)",
			node.FromRows([]string{"origin", "VARCHAR", "name", "VARCHAR"}, []any{"ATL", "Atlanta"}, []any{"ORD", "Chicago"}).Broadcast(4)),
			"SELECT origin, name " + from + " JOIN (VALUES ('ATL', 'Atlanta'), ('ORD', 'Chicago')) v(origin, name) USING (origin)", false},
		{"braces and struct", df().SQL("SELECT {'a': origin, 'b': '{0}'} AS s FROM {0}"), "SELECT {'a': origin, 'b': '{0}'} " + from, false},
		{"qualified placeholder", df().SQL("SELECT {0}.origin FROM {0}"), "SELECT origin " + from, false},
	} {
		t.Run(c.name, func(t *testing.T) {
			rows, err := c.got.Collect(testContext(t))
			got, want := lines(t, rows, err), oracle(t, c.want)
			if !c.ordered {
				slices.Sort(got)
				slices.Sort(want)
			}
			if !slices.Equal(got, want) {
				t.Fatalf("%d rows, want %d; got begins %q, want begins %q", len(got), len(want), got[:min(3, len(got))], want[:min(3, len(want))])
			}
		})
	}
}

// A cache that is too small for anything must not take a result from under its
// reader.
func TestResultOutlivesSmallCache(t *testing.T) {
	node := newPond(t, 1, pond.WithCache(1))[0]
	job, err := node.FromRows([]string{"k", "INTEGER"}, []any{1}, []any{2}).Repartition(2, pond.ByHash("k")).Submit(testContext(t))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := job.Wait(testContext(t)); err != nil {
		t.Fatal(err)
	}
	for range 3 { // the ends of other jobs are when the cache is trimmed
		if n, err := node.FromRows([]string{"k", "INTEGER"}, []any{1}).Repartition(2, pond.ByHash("k")).Count(testContext(t)); err != nil || n != 1 {
			t.Fatal(n, err)
		}
	}
	rows, err := job.Rows(testContext(t))
	wantLines(t, sorted(lines(t, rows, err)), "1", "2")
}
