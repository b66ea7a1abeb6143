//go:build duckdb_arrow

package duck

import (
	"context"
	"maps"
	"strings"
	"testing"

	"github.com/apache/arrow-go/v18/arrow"
	"github.com/apache/arrow-go/v18/arrow/array"
	"github.com/apache/arrow-go/v18/arrow/memory"
)

// spoiling is an allocator that spoils what is freed.
type spoiling struct{ memory.Allocator }

func (s spoiling) Free(b []byte) {
	for i := range b {
		b[i] = 0xee
	}
	s.Allocator.Free(b)
}

// fresh is a stream of batches that are copies of some, spoilt when released.
type fresh struct {
	Stream
	t testing.TB
}

func (f fresh) Next() (arrow.RecordBatch, error) {
	batch, err := f.Stream.Next()
	if err != nil {
		return nil, err
	}
	defer batch.Release()
	columns := make([]arrow.Array, batch.NumCols())
	for i := range columns {
		if columns[i], err = array.Concatenate([]arrow.Array{batch.Column(i)}, spoiling{memory.DefaultAllocator}); err != nil {
			return nil, err
		}
		defer columns[i].Release()
	}
	return array.NewRecordBatch(batch.Schema(), columns, batch.NumRows()), nil
}

// TestNothingIsReadLater runs every kind of operator over values that are spoilt as
// soon as DuckDB asks for the next rows: none may look at them later.
func TestNothingIsReadLater(t *testing.T) {
	for _, threads := range []int{1, 3} {
		e := start(t, Config{Threads: threads, SpillDir: t.TempDir() + "/spill", Memory: 256 << 20})
		ctx := context.Background()
		exec(t, e, `CREATE TABLE t AS SELECT i, i % 97 AS g, 'a text of more than twelve bytes ' || (i * 7919 % 20011) AS s,
			CASE WHEN i % 5 > 0 THEN ['an element that is long ' || i, NULL, 'x' || i] END AS l,
			{'a': 'a field that is quite long ' || (i % 331), 'b': [{'c': 'deep inside there is text ' || i}]} AS st,
			MAP {'a key of some length ' || (i % 7): 'a value of some length ' || i} AS m, ('blob that is long enough ' || i)::BLOB AS bl FROM range(20011) r(i)`)
		schema, list := gather(t, e, "FROM t ORDER BY i")
		var openers []Opener
		for at := int64(0); at < list[0].NumRows(); {
			n := min(list[0].NumRows()-at, 1+at%1500)
			s := list[0].NewSlice(at, at+n)
			defer s.Release()
			at += n
			var c counted
			openers = append(openers, func(ctx context.Context, columns []int) (Stream, error) {
				in, err := c.opener(nil, s)(ctx, columns)
				return fresh{in, t}, err
			})
		}
		if err := e.Register(ctx, "v", schema.Arrow(), openers, list[0].NumRows()); err != nil {
			t.Fatal(err)
		}
		for _, query := range []string{
			"SELECT s FROM {X}", "SELECT s FROM {X} WHERE i % 50 = 0", "SELECT s, l, st, m, bl FROM {X} WHERE g = 3", "SELECT DISTINCT s FROM {X}",
			"SELECT s FROM {X} ORDER BY s DESC LIMIT 100", "SELECT * FROM {X} ORDER BY s, i", "SELECT g, min(s), max(s), count(DISTINCT st.a) FROM {X} GROUP BY g",
			"SELECT g, arg_min(s, i), arg_max(l, i), arg_max(st, i) FROM {X} GROUP BY g", "SELECT g, list(s ORDER BY i), string_agg(s, ',' ORDER BY i) FROM {X} GROUP BY g",
			"SELECT g, mode(s ORDER BY i), approx_count_distinct(s), quantile_disc(s, 0.5), histogram(st.a) FROM {X} GROUP BY g", "SELECT min(s), max(s), arg_min(m, i), first(s ORDER BY i) FROM {X}",
			"SELECT s, lag(s) OVER (ORDER BY i), lead(s, 3) OVER (ORDER BY i), first_value(s) OVER (PARTITION BY g ORDER BY i), string_agg(s) OVER (ORDER BY i ROWS 2 PRECEDING) FROM {X}",
			"SELECT count(s1), count(s2) FROM (SELECT lag(s, 5) OVER () AS s1, lead(s, 2) OVER () AS s2 FROM {X})", "SELECT a.s, b.l FROM {X} a JOIN {X} b ON a.s = b.s WHERE a.i % 7 = 0",
			"SELECT a.s FROM {X} a LEFT JOIN {X} b ON a.i = b.i + 20000", "SELECT a.s, b.s FROM {X} a JOIN {X} b ON a.i < b.i AND a.i > b.i - 2 AND a.i > 19000", "SELECT a.s FROM {X} a ANTI JOIN (FROM {X} WHERE g > 5) b ON a.s = b.s",
			"SELECT a.s, b.s FROM (FROM {X} WHERE i % 2 = 0) a ASOF JOIN (FROM {X} WHERE i % 3 = 0) b ON a.g = b.g AND a.i >= b.i", "SELECT unnest(l), s FROM {X}", "SELECT unnest(string_split(s, ' ')) FROM {X}",
			"SELECT upper(s), trim(s), s[3:9], substring(s, 4), strip_accents(s), CASE WHEN i % 2 = 0 THEN s ELSE st.a END, coalesce(l[2], s), regexp_replace(s, 'text', 'x') FROM {X} WHERE i % 3 = 0",
			"SELECT s FROM {X} UNION SELECT st.a FROM {X}", "SELECT s FROM {X} EXCEPT SELECT s FROM {X} WHERE i % 2 = 0", "WITH c AS MATERIALIZED (FROM {X}) SELECT a.s, b.m FROM c a JOIN c b USING (i) WHERE a.g = 4",
			"WITH RECURSIVE r AS (SELECT i, s FROM {X} WHERE i < 10 UNION ALL SELECT {X}.i, {X}.s FROM {X} JOIN r ON {X}.i = r.i + 10 WHERE {X}.i < 200) FROM r", "SELECT s FROM (SELECT s FROM {X} USING SAMPLE reservoir(20011 ROWS))",
			"SELECT list_transform(l, x -> x || s), map_keys(m), map_values(m), st.b[1].c FROM {X}", "SELECT s, bl FROM {X} LIMIT 5000 OFFSET 15011",
			"SELECT (SELECT max(s) FROM {X} b WHERE b.g = a.g) FROM {X} a WHERE i < 500", "SELECT s FROM {X} WHERE s IN (SELECT s FROM {X} WHERE g = 1)", "SELECT max_by(s, i, 3), min(s, 2) FROM {X}",
		} {
			rows := func(from string) map[string]int {
				var got gathered
				got.rows = map[string]int{}
				q := strings.ReplaceAll(query, "{X}", from)
				if strings.Contains(query, "LIMIT 5000") {
					q = "SELECT count(s), count(bl) FROM (" + q + ")"
				}
				if _, err := e.Drain(ctx, q, got.emit); err != nil {
					t.Fatalf("%s: %v", q, err)
				}
				return got.rows
			}
			if got, want := rows("v"), rows("t"); !maps.Equal(got, want) {
				t.Errorf("%d threads: %s: %d different rows, %d in a table", threads, query, len(got), len(want))
			}
		}
	}
}
