//go:build duckdb_arrow

package pond_test

import (
	"context"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/apache/arrow-go/v18/arrow"
	"github.com/apache/arrow-go/v18/arrow/array"
	"github.com/apache/arrow-go/v18/arrow/memory"

	"github.com/pondmesh/pond"
)

// numbers is n rows, id from 0 on, in several partitions.
func numbers(s *pond.Session, n int) *pond.DataFrame {
	return s.FromRows([]string{"n", "BIGINT"}, []any{n}).FlatMap("unnest(range(n)) AS id").Repartition(3, pond.ByRows())
}

// bucketOf is a Go function that says which partition a row belongs to.
func bucketOf(version string) pond.Option {
	return pond.WithScalarFunc(pond.ScalarFunc{Name: "bucket_of", Args: []string{"BIGINT"}, Result: "INTEGER", Version: version,
		Call: func(_ context.Context, args arrow.RecordBatch) (arrow.Array, error) {
			b := array.NewInt32Builder(memory.DefaultAllocator)
			defer b.Release()
			for _, v := range args.Column(0).(*array.Int64).Int64Values() {
				b.Append(int32(v % 4))
			}
			return b.NewArray(), nil
		}})
}

// TestRepartition checks, for every way to deal rows out, that none is lost or
// made up, and that each partition holds what it should.
func TestRepartition(t *testing.T) {
	d := newSingle(t)
	node := newPond(t, 3, bucketOf("1"))[0]
	src := numbers(node.Session, 10_000)
	want := d.query("SELECT count(*), sum(range)::BIGINT, bit_xor(hash(range)) FROM range(10000)").rows[0]
	for _, c := range []struct {
		name string
		n    int
		by   pond.PartitionBy
		each string // a condition on the rows of each partition
	}{
		{"files", 2, pond.ByFiles(), "true"},
		{"rows", 7, pond.ByRows(), "count(*) BETWEEN 1428 AND 1429 AND max(id) - min(id) = count(*) - 1"},
		{"hash", 8, pond.ByHash("id % 100"), "count(*) % 100 = 0"},
		{"hash of two", 4, pond.ByHash("id % 2", "(id % 3)::VARCHAR"), "true"},
		{"column", 4, pond.ByColumn("id % 4"), "bool_and(id % 4 = {partition})"},
		{"column of another type", 4, pond.ByColumn("(id % 4)::UTINYINT"), "bool_and(id % 4 = {partition})"},
		{"range", 5, pond.ByRange("id DESC"), "max(id) - min(id) = count(*) - 1"},
		{"range of few values", 5, pond.ByRange("id % 2"), "count(DISTINCT id % 2) < 2 AND count(*) = 5000"},
		{"round robin", 6, pond.ByRoundRobin(), "count(*) BETWEEN 1650 AND 1680"},
		{"random", 4, pond.ByRandom(), "count(*) BETWEEN 2200 AND 2800"},
		{"Go function", 4, pond.ByFunc("bucket_of"), "bool_and(id % 4 = {partition})"},
		{"one", 1, pond.ByHash("id"), "count(*) = 10000"},
		{"chosen by the pond", 0, pond.ByHash("id"), "true"},
		{"more than rows", 50, pond.ByRange("id // 5000"), "true"},
	} {
		t.Run(c.name, func(t *testing.T) {
			got := collect(t, src.Repartition(c.n, c.by).SQL("SELECT {partition} AS p, {partitions} AS n, count(*) AS c, coalesce(sum(id), 0)::BIGINT AS s, coalesce(bit_xor(hash(id)), 0) AS x, coalesce("+c.each+", true) AS ok FROM {0}"))
			if c.n > 0 && len(got.rows) != c.n {
				t.Errorf("%d partitions, want %d", len(got.rows), c.n)
			}
			var rows, sum, xor uint64
			for i, line := range got.rows {
				f := strings.Split(line, "|")
				if f[0] != strconv.Itoa(i) || f[1] != strconv.Itoa(len(got.rows)) {
					t.Errorf("partition %d of %d says %s of %s", i, len(got.rows), f[0], f[1])
				}
				if f[5] != "true" && f[2] != "0" {
					t.Errorf("partition %d: not %s: %s", i, c.each, line)
				}
				rows, sum, xor = rows+number(t, f[2]), sum+number(t, f[3]), xor^number(t, f[4])
			}
			if line := fmt.Sprintf("%d|%d|%d", rows, sum, xor); line != want {
				t.Errorf("count, sum and hash of all rows are %s, want %s", line, want)
			}
		})
	}
}

func number(t *testing.T, s string) uint64 {
	t.Helper()
	n, err := strconv.ParseUint(s, 10, 64)
	if err != nil {
		t.Fatal(err)
	}
	return n
}

// TestSplitEverySize is smallpond's property: any rows over any partitions, even
// more partitions than rows.
func TestSplitEverySize(t *testing.T) {
	node := newPond(t, 2)[0]
	for _, rows := range []int{0, 1, 5} {
		for _, parts := range []int{1, 3, 8} {
			src := node.FromRows([]string{"n", "BIGINT"}, []any{rows}).FlatMap("unnest(range(n)) AS id")
			for name, by := range map[string]pond.PartitionBy{"rows": pond.ByRows(), "hash": pond.ByHash("id"), "range": pond.ByRange("id"), "files": pond.ByFiles()} {
				t.Run(fmt.Sprintf("%d rows, %d %s", rows, parts, name), func(t *testing.T) {
					got := collect(t, src.Repartition(parts, by).SQL("SELECT list(id ORDER BY id) AS l FROM {0}"))
					if len(got.rows) != parts {
						t.Errorf("%d partitions", len(got.rows))
					}
					var ids []string
					for _, l := range got.rows {
						if l != "(null)" {
							ids = append(ids, strings.Split(strings.Trim(l, "[]"), ",")...)
						}
					}
					slices.Sort(ids)
					if !slices.Equal(ids, strings.Split("0,1,2,3,4", ",")[:rows]) {
						t.Errorf("rows %v in %v", ids, got.rows)
					}
				})
			}
		}
	}
}

// TestNested is smallpond's nested partitioning: whatever is done to partitions
// on the way, the answer is the unpartitioned one.
func TestNested(t *testing.T) {
	d := newSingle(t)
	node := newPond(t, 3)[1]
	src := node.ReadParquet(flights)
	want := "SELECT origin, count(*) AS n, sum(delay) AS s FROM '" + flights + "' GROUP BY origin"
	group := "SELECT origin, count(*) AS n, sum(delay) AS s FROM {0} GROUP BY origin"
	for _, c := range []struct {
		name string
		df   *pond.DataFrame
	}{
		{"hash over hash", src.Repartition(3, pond.ByHash("destination")).Repartition(5, pond.ByHash("origin")).SQL(group)},
		{"three dimensions", src.Repartition(3, pond.ByColumn("distance % 3")).Repartition(4, pond.ByRandom()).Repartition(5, pond.ByHash("origin")).SQL(group)},
		{"consolidated", src.Repartition(15, pond.ByHash("origin")).Consolidate(4).SQL(group)},
		{"consolidated twice", src.Repartition(15, pond.ByHash("origin")).Consolidate(7).Consolidate(1).SQL(group)},
		{"consolidated scan", src.Consolidate(2).Repartition(4, pond.ByHash("origin")).SQL(group)},
		{"union of alike", src.Filter("distance < 500").Repartition(4, pond.ByHash("origin")).Union(src.Filter("distance >= 500").Repartition(4, pond.ByHash("origin"))).SQL(group)},
		{"union of unlike", src.Filter("distance < 500").Union(src.Filter("distance >= 500").Repartition(2, pond.ByRandom())).Repartition(4, pond.ByHash("origin")).SQL(group)},
		{"two phases", src.SQL("SELECT origin, count(*) AS n, sum(delay) AS s FROM {0} GROUP BY origin").Repartition(4, pond.ByHash("origin")).SQL("SELECT origin, sum(n)::BIGINT AS n, sum(s) AS s FROM {0} GROUP BY origin")},
	} {
		t.Run(c.name, func(t *testing.T) { d.same(t, c.df, want) })
	}
}

func TestOneRowManyPartitions(t *testing.T) {
	node := newPond(t, 3)[0]
	one := node.FromRows([]string{"k", "INTEGER"}, []any{7})
	df := one.Repartition(3, pond.ByHash("k")).Repartition(4, pond.ByHash("k + 1")).PartialSort("k")
	if got := collect(t, df); !slices.Equal(got.rows, []string{"7"}) {
		t.Errorf("got %v", got.rows)
	}
	for name, df := range map[string]*pond.DataFrame{
		"filtered":  one.Repartition(3, pond.ByHash("k")).Filter("k > 100").Repartition(4, pond.ByRows()),
		"sorted":    one.Filter("k > 100").Sort("k"),
		"shuffled":  one.Filter("k > 100").Repartition(3, pond.ByRandom()).RandomShuffle(),
		"limit":     one.Filter("k > 100").Limit(3),
		"limit 0":   one.Limit(0),
		"broadcast": one.Repartition(3, pond.ByHash("k")).SQL("SELECT {0}.k FROM {0} JOIN {1} USING (k)", one.Filter("k > 100")),
	} {
		t.Run(name, func(t *testing.T) {
			if got := collect(t, df); len(got.rows) != 0 || !slices.Equal(got.columns, []string{"k int32"}) {
				t.Errorf("got %v", got)
			}
			if n, err := df.Count(testContext(t)); n != 0 || err != nil {
				t.Errorf("count %d, %v", n, err)
			}
		})
	}
}

// TestManyPartitions runs far more partitions than slots or rows.
func TestManyPartitions(t *testing.T) {
	node := newPond(t, 2)[0]
	df := numbers(node.Session, 5000).Repartition(1024, pond.ByHash("id")).SQL("SELECT {partition} AS p, id FROM {0}")
	n, err := df.Count(testContext(t))
	if err != nil || n != 5000 {
		t.Fatalf("%d rows, %v", n, err)
	}
}
