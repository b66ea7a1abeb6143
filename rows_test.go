//go:build duckdb_arrow

package pond_test

import (
	"context"
	"errors"
	"strings"
	"testing"

	"github.com/apache/arrow-go/v18/arrow"

	"github.com/pondmesh/pond"
	"github.com/pondmesh/pond/chaos/pondtest"
)

// everyType is rows with a column of every DuckDB type that Arrow carries, a
// third of them NULL, with values at the ends of their ranges.
const everyType = `SELECT i,
	CASE WHEN i % 3 > 0 THEN i % 2 = 0 END AS bo,
	CASE WHEN i % 3 > 0 THEN (i % 128)::TINYINT END AS i1, CASE WHEN i % 3 > 0 THEN (-i)::SMALLINT END AS i2,
	CASE WHEN i % 3 > 0 THEN (i * 1000)::INTEGER END AS i4, CASE WHEN i % 3 > 0 THEN -9223372036854775807 + i END AS i8,
	CASE WHEN i % 3 > 0 THEN (-170141183460469231731687303715884105727 + i)::HUGEINT END AS i16,
	CASE WHEN i % 3 > 0 THEN (i % 256)::UTINYINT END AS u1, CASE WHEN i % 3 > 0 THEN i::USMALLINT END AS u2,
	CASE WHEN i % 3 > 0 THEN (4294967295 - i)::UINTEGER END AS u4, CASE WHEN i % 3 > 0 THEN 18446744073709551615 - i::UBIGINT END AS u8,
	CASE WHEN i % 3 > 0 THEN 340282366920938463463374607431768211455 - i::UHUGEINT END AS u16,
	CASE WHEN i % 5 = 1 THEN 'nan'::FLOAT WHEN i % 5 = 2 THEN '-inf'::FLOAT WHEN i % 3 > 0 THEN i / 7::FLOAT END AS f4,
	CASE WHEN i % 5 = 1 THEN 'nan'::DOUBLE WHEN i % 5 = 2 THEN -0.0 WHEN i % 3 > 0 THEN i / 7 END AS f8,
	CASE WHEN i % 3 > 0 THEN (i / 10)::DECIMAL(4,1) END AS d4, CASE WHEN i % 3 > 0 THEN (i / 10)::DECIMAL(9,3) END AS d9,
	CASE WHEN i % 3 > 0 THEN (i * 1000)::DECIMAL(18,0) END AS d18, CASE WHEN i % 3 > 0 THEN (i::HUGEINT * 10000000000000000000000)::DECIMAL(38,5) END AS d38,
	CASE WHEN i % 3 > 0 THEN 'text ' || i END AS s, CASE WHEN i % 3 > 0 THEN repeat('ü', (i % 40)::INT) END AS long,
	CASE WHEN i % 3 > 0 THEN ('\x00\xFF' || (i % 10))::BLOB END AS bl, CASE WHEN i % 3 > 0 THEN (i % 2)::VARCHAR::BIT END AS bits,
	CASE WHEN i % 3 > 0 THEN DATE '2000-02-28' + i::INT END AS d, CASE WHEN i % 3 > 0 THEN TIME '00:00:00' + to_seconds(i) END AS t,
	CASE WHEN i % 3 > 0 THEN (TIME '00:00:00' + to_seconds(i))::TIMETZ END AS ttz,
	CASE WHEN i % 3 > 0 THEN TIMESTAMP '1969-12-31 23:59:59.5' + to_seconds(i) END AS ts, CASE WHEN i % 3 > 0 THEN (TIMESTAMP '2001-01-01' + to_seconds(i))::TIMESTAMP_S END AS tss,
	CASE WHEN i % 3 > 0 THEN (TIMESTAMP '2001-01-01' + to_seconds(i))::TIMESTAMP_MS END AS tsms, CASE WHEN i % 3 > 0 THEN (TIMESTAMP '2001-01-01' + to_seconds(i))::TIMESTAMP_NS END AS tsns,
	CASE WHEN i % 3 > 0 THEN (TIMESTAMP '2001-01-01' + to_seconds(i))::TIMESTAMPTZ END AS tstz,
	CASE WHEN i % 3 > 0 THEN to_months(i::INT) + to_days((i % 40)::INT) - to_microseconds(i) END AS iv,
	CASE WHEN i % 3 > 0 THEN ('00000000-0000-0000-0000-0000000' || (10000 + i))::UUID END AS id,
	CASE WHEN i % 3 > 0 THEN (['small', 'middle', 'large'])[i % 3 + 1]::ENUM('small', 'middle', 'large') END AS en,
	CASE WHEN i % 3 > 0 THEN CASE WHEN i % 4 = 0 THEN [] ELSE [i, NULL, i + 1] END END AS li,
	CASE WHEN i % 3 > 0 THEN [['a' || i], NULL, []] END AS lili, (CASE WHEN i % 3 > 0 THEN [i, i + 1, NULL] END)::BIGINT[3] AS ar,
	CASE WHEN i % 3 > 0 THEN {'a': i, 'b': CASE WHEN i % 2 = 0 THEN {'c': 'x' || i, 'd': [i]} END} END AS st,
	CASE WHEN i % 3 > 0 THEN MAP {'k' || i: i, 'other': NULL} END AS ma,
	CASE WHEN i % 3 > 0 THEN (CASE WHEN i % 2 = 0 THEN union_value(num := i) ELSE NULL END) END AS un,
	CASE WHEN i % 3 > 0 THEN ('{"a": ' || i || '}')::JSON END AS js, NULL AS nothing, 'always' AS same,
	CASE i % 3 WHEN 1 THEN 'infinity'::DATE WHEN 2 THEN '-infinity'::DATE END AS dinf, CASE i % 4 WHEN 1 THEN 'infinity'::TIMESTAMP WHEN 2 THEN '-infinity'::TIMESTAMP WHEN 3 THEN TIMESTAMP '290309-12-22 (BC) 00:00:00' END AS tsinf,
	CASE WHEN i % 3 > 0 THEN TIME '24:00:00' END AS t24, CASE i % 3 WHEN 1 THEN '00:00:00+15:59:59'::TIMETZ WHEN 2 THEN '24:00:00-15:59:59'::TIMETZ END AS ttzend,
	CASE i % 3 WHEN 1 THEN '1677-09-22 00:00:00'::TIMESTAMP_NS WHEN 2 THEN '2262-04-11 23:47:16.854775806'::TIMESTAMP_NS END AS tsnsend,
	CASE WHEN i % 3 > 0 THEN ('-' || i + 1 || repeat('0', 50))::BIGNUM END AS bn, CASE WHEN i % 3 > 0 THEN bin(i)::BIT END AS bitstring,
	CASE WHEN i % 3 > 0 THEN map(CASE WHEN i % 2 = 0 THEN ['a'] ELSE [] END, CASE WHEN i % 2 = 0 THEN [i] ELSE [] END) END AS mae,
	CASE i % 4 WHEN 1 THEN union_value(num := i)::UNION(num BIGINT, str VARCHAR) WHEN 2 THEN ('s' || i)::UNION(num BIGINT, str VARCHAR) WHEN 3 THEN NULL::VARCHAR::UNION(num BIGINT, str VARCHAR) END AS untwo`

// TestTypes moves every type through a shuffle by each kind of exchange, to
// files and back, and sorts and groups by it.
func TestTypes(t *testing.T) {
	d := newSingle(t)
	thirds := func(_ context.Context, in arrow.RecordBatch, yield func(arrow.RecordBatch) error) error {
		a, b := in.NewSlice(0, in.NumRows()/3), in.NewSlice(in.NumRows()/3, in.NumRows())
		defer a.Release()
		defer b.Release()
		return errors.Join(yield(a), yield(b))
	}
	node := pondtest.New(t, 3, pond.WithBatchFunc("thirds", "1", nil, thirds), pond.WithFilterFunc("even", "1", func(r pond.Row) (bool, error) { return r.Value(0).(int64)%2 == 0, nil }))[0]
	all := everyType + " FROM range(3000) t(i)"
	src := node.Query(all)
	for name, df := range map[string]*pond.DataFrame{
		"collect":      src,
		"slices":       src.MapBatches("thirds", 1000),
		"rows left":    src.FilterFunc("even").Union(src.Filter("i % 2 > 0")),
		"one block":    src.Repartition(1, pond.ByHash("i")).Repartition(2, pond.ByRows()),
		"hash":         src.Repartition(3, pond.ByHash("i")),
		"range":        src.Repartition(3, pond.ByRange("s DESC NULLS FIRST", "i")),
		"rows":         src.Repartition(3, pond.ByRows()),
		"round robin":  src.Repartition(3, pond.ByRoundRobin()).Filter("i >= 0"),
		"union":        src.Filter("i < 100").Union(src.Filter("i >= 100").Repartition(2, pond.ByRandom())),
		"no rows":      src.Filter("i < 0").Repartition(3, pond.ByHash("i")),
		"materialised": src.SQL("SELECT a.* FROM {0} a JOIN {0} b USING (i)"),
	} {
		t.Run(name, func(t *testing.T) {
			want := all
			if name == "no rows" {
				want = "SELECT * FROM (" + all + ") WHERE i < 0"
			}
			d.same(t, df, want)
		})
	}
}

// TestKeys groups by hash of each type, NULL among its values: equal keys must
// meet whatever they are made of.
func TestKeys(t *testing.T) {
	d := newSingle(t)
	node := pondtest.New(t, 2)[0]
	all := everyType + " FROM range(300) t(i)"
	src := node.Query(all + " UNION ALL " + all)
	keys := strings.Fields("bo i1 i16 u8 u16 f4 f8 d4 d38 s bl bits t ttz ts tsns tstz iv id en li lili ar st ma un js nothing same dinf tsinf t24 ttzend tsnsend bn bitstring mae untwo")
	// One job for all: each key's partitions, united.
	var df *pond.DataFrame
	var want []string
	for _, k := range keys {
		one := src.Repartition(4, pond.ByHash(k)).SQL("SELECT '" + k + "' AS k, count(*) AS n, min(i) AS first, max(i) AS last FROM {0} GROUP BY " + k)
		if df == nil {
			df = one
		} else {
			df = df.Union(one)
		}
		want = append(want, "SELECT '"+k+"' AS k, count(*) AS n, min(i) AS first, max(i) AS last FROM a GROUP BY "+k)
	}
	d.same(t, df, "WITH a AS ("+all+" UNION ALL "+all+") "+strings.Join(want, " UNION ALL "))
}

// TestJoinTypes: keys of different types that are equal in SQL must meet when
// both sides are hashed by them.
func TestJoinTypes(t *testing.T) {
	d := newSingle(t)
	node := pondtest.New(t, 2)[1]
	left := "SELECT i::TINYINT AS a, i::DOUBLE AS b, 'x' || i AS c, i::DECIMAL(9,2) AS d, DATE '2001-01-01' + i::INT AS e FROM range(100) t(i)"
	right := "SELECT i::HUGEINT AS a, i::INTEGER AS b, ('x' || i)::VARCHAR AS c, i::DECIMAL(18,4) AS d, (DATE '2001-01-01' + i::INT)::TIMESTAMP AS e FROM range(50, 150) t(i)"
	for _, k := range []string{"a", "b", "c", "d", "e"} {
		t.Run(k, func(t *testing.T) {
			df := node.Query(left).Repartition(5, pond.ByHash(k)).SQL("SELECT x."+k+" AS l, y."+k+" AS r FROM {0} x JOIN {1} y ON x."+k+" = y."+k, node.Query(right).Repartition(5, pond.ByHash(k)))
			d.same(t, df, "SELECT x."+k+" AS l, y."+k+" AS r FROM ("+left+") x JOIN ("+right+") y ON x."+k+" = y."+k)
		})
	}
}
