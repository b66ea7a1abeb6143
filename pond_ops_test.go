//go:build duckdb_arrow

package pond_test

import (
	"fmt"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/pondmesh/pond"
)

// TestOperators checks what each operator gives against one DuckDB.
func TestOperators(t *testing.T) {
	d := newSingle(t)
	node := newPond(t, 3)[2]
	from := "FROM '" + flights + "'"
	df := node.ReadParquet(flights)
	names := node.FromRows([]string{"origin", "VARCHAR", "name", "VARCHAR"}, []any{"ATL", "Atlanta"}, []any{"ORD", "O'Hare {0}"}, []any{nil, "nowhere"})
	join := " JOIN (VALUES ('ATL', 'Atlanta'), ('ORD', 'O''Hare {0}'), (NULL, 'nowhere')) v(origin, name) "
	full, err := filepath.Abs(flights)
	if err != nil {
		t.Fatal(err)
	}
	perOrigin := "SELECT origin, count(*) AS n " + from + " GROUP BY origin"
	for _, c := range []struct {
		name string
		df   *pond.DataFrame
		want string
	}{
		{"select expressions", df.Select("origin", "delay / 2 AS half", `"date"`), `SELECT origin, delay / 2 AS half, "date" ` + from},
		{"select all and more", df.Select("*", "1 AS one"), "SELECT *, 1 AS one " + from},
		{"map of a map", df.Map("delay + 1 AS d").Map("d * 2 AS d").Map("d, d + 1 AS e"), "SELECT (delay + 1) * 2 AS d, (delay + 1) * 2 + 1 AS e " + from},
		{"flat map", df.FlatMap("origin, unnest([delay, distance]) AS v"), "SELECT origin, unnest([delay, distance]) AS v " + from},
		{"filters", df.Filter("delay > 10").Filter("origin < 'D' OR origin > 'X'").Filter("distance % 2 = 0"), "SELECT * " + from + " WHERE delay > 10 AND (origin < 'D' OR origin > 'X') AND distance % 2 = 0"},
		{"filter with a comment", df.Filter("delay > 10 -- late"), "SELECT * " + from + " WHERE delay > 10"},
		{"filter that is NULL", df.Filter("nullif(delay, delay) > 0"), "SELECT * " + from + " WHERE false"},
		{"braces", df.SQL("SELECT '{{0}}' AS a, {{'x': delay}} AS s FROM {0}"), "SELECT '{{0}}' AS a, {'x': delay} AS s " + from},
		{"two inputs, alike", df.Repartition(4, pond.ByHash("origin")).SQL("SELECT {0}.origin, n FROM {0} JOIN {1} USING (origin)",
			df.Repartition(3, pond.ByRows()).SQL("SELECT origin FROM {0}").Repartition(4, pond.ByHash("origin")).SQL("SELECT origin, count(*) AS n FROM {0} GROUP BY origin")),
			"SELECT origin, n " + from + " JOIN (" + perOrigin + ") USING (origin)"},
		{"three inputs", df.Repartition(4, pond.ByHash("origin")).SQL("SELECT a.origin, name, n FROM {0} a JOIN {1} b USING (origin) LEFT JOIN {2} c USING (origin)",
			df.Repartition(4, pond.ByHash("origin")).SQL("SELECT origin, count(*) AS n FROM {0} GROUP BY origin"), names),
			"SELECT origin, name, n " + from + " JOIN (" + perOrigin + ") USING (origin) LEFT " + join + " USING (origin)"},
		{"the same input twice", df.Repartition(4, pond.ByHash("origin")).SQL("SELECT count(*) AS c FROM {0} a WHERE delay > (SELECT avg(delay) FROM {0} b WHERE a.origin = b.origin)").SQL("SELECT c FROM {0}").Consolidate(1).SQL("SELECT sum(c)::BIGINT AS c FROM {0}"),
			"SELECT count(*) AS c " + from + " a WHERE delay > (SELECT avg(delay) " + from + " b WHERE a.origin = b.origin)"},
		{"broadcast", df.SQL("SELECT origin, name FROM {0} JOIN {1} USING (origin)", names.Broadcast(0)), "SELECT origin, name " + from + join + "USING (origin)"},
		{"broadcast of a shuffle", df.SQL("SELECT a.origin, n FROM {0} a JOIN {1} b USING (origin)", df.Repartition(3, pond.ByHash("origin")).SQL("SELECT origin, count(*) AS n FROM {0} GROUP BY origin").Consolidate(1).Broadcast(0)),
			"SELECT origin, n " + from + " JOIN (" + perOrigin + ") USING (origin)"},
		{"repeated", names.Broadcast(3).SQL("SELECT *, {partition} AS p FROM {0}"), "SELECT v.*, p::INTEGER AS p FROM range(3) r(p), (VALUES ('ATL', 'Atlanta'), ('ORD', 'O''Hare {0}'), (NULL, 'nowhere')) v(origin, name)"},
		{"union of three", df.Union(df.Filter("delay > 0"), df.Filter("delay < 0")), "SELECT * " + from + " UNION ALL SELECT * " + from + " WHERE delay > 0 UNION ALL SELECT * " + from + " WHERE delay < 0"},
		{"union of one", df.Union(), "SELECT * " + from},
		{"distinct after hash", df.Repartition(5, pond.ByHash("origin", "destination")).SQL("SELECT DISTINCT origin, destination FROM {0}"), "SELECT DISTINCT origin, destination " + from},
		{"window after hash", df.Repartition(5, pond.ByHash("origin")).SQL("SELECT origin, date, rank() OVER (PARTITION BY origin ORDER BY date) AS r FROM {0}"),
			"SELECT origin, date, rank() OVER (PARTITION BY origin ORDER BY date) AS r " + from},
		{"pivot", df.Repartition(2, pond.ByHash("origin")).Filter("origin IN ('ATL', 'ORD')").SQL("PIVOT (SELECT origin, distance % 2 AS odd FROM {0}) ON odd IN (0, 1) USING count(*) GROUP BY origin"),
			"PIVOT (SELECT origin, distance % 2 AS odd " + from + " WHERE origin IN ('ATL', 'ORD')) ON odd IN (0, 1) USING count(*) GROUP BY origin"},
		{"common table", df.Repartition(2, pond.ByHash("origin")).SQL("WITH t AS (SELECT origin, max(delay) AS m FROM {0} GROUP BY origin) SELECT * FROM t WHERE m > 100"), "SELECT origin, max(delay) AS m " + from + " GROUP BY origin HAVING m > 100"},
		{"limit of a sort", df.Sort("delay DESC", "date", "origin", "destination").Limit(7), "SELECT * " + from + " ORDER BY delay DESC, date, origin, destination LIMIT 7"},
		{"sort of a limit", df.Sort("date", "origin", "destination", "delay").Limit(50).Sort("delay", "date", "origin").Limit(5), "FROM (SELECT * " + from + " ORDER BY date, origin, destination, delay LIMIT 50) ORDER BY delay, date, origin LIMIT 5"},
		{"a whole query", node.Query("SELECT origin, count(*) AS n FROM '" + full + "' GROUP BY origin"), perOrigin},
		{"a query under a step", node.Query("SELECT origin, count(*) AS n FROM '" + flights + "' GROUP BY origin").Filter("n >= 0"), perOrigin},
		{"an empty string column", df.Filter("origin = 'ATL'").Map("'' AS e, NULL AS n, [] AS l").Repartition(2, pond.ByRows()), "SELECT '' AS e, NULL AS n, [] AS l " + from + " WHERE origin = 'ATL'"},
	} {
		t.Run(c.name, func(t *testing.T) { d.same(t, c.df, c.want) })
	}
}

// TestOrder checks the orders that are promised: of files, of sorts, of
// partitions; and that random ones are none.
func TestOrder(t *testing.T) {
	d := newSingle(t)
	node := newPond(t, 3)[1]
	from := "FROM '" + flights + "'"
	df := node.ReadParquet(flights)
	src := numbers(node.Session, 1000)
	for _, c := range []struct {
		name string
		df   *pond.DataFrame
		want string
	}{
		{"files", df, from},
		{"files, mapped and filtered", df.Filter("delay > 100").Map("date, delay"), "SELECT date, delay " + from + " WHERE delay > 100"},
		{"shares of rows", src, "SELECT range AS id FROM range(1000)"},
		{"limit", src.Limit(500), "SELECT range AS id FROM range(500)"},
		{"sort", src.Repartition(5, pond.ByRandom()).Sort("id DESC"), "SELECT range AS id FROM range(1000) ORDER BY id DESC"},
		{"sort of shares", src.Repartition(4, pond.ByRandom()).Repartition(6, pond.ByRange("id")).PartialSort("id"), "SELECT range AS id FROM range(1000)"},
		{"nulls", src.Repartition(4, pond.ByRandom()).Map("CASE WHEN id % 3 > 0 THEN id END AS id").Sort("id NULLS FIRST"), "SELECT CASE WHEN range % 3 > 0 THEN range END AS id FROM range(1000) ORDER BY id NULLS FIRST"},
		{"nulls last", src.Repartition(4, pond.ByRandom()).Map("CASE WHEN id % 3 > 0 THEN id END AS id").Sort("id DESC"), "SELECT CASE WHEN range % 3 > 0 THEN range END AS id FROM range(1000) ORDER BY id DESC"},
		{"by expressions", src.Repartition(4, pond.ByRandom()).Sort("id % 10 DESC", "-id"), "SELECT range AS id FROM range(1000) ORDER BY id % 10 DESC, -id"},
		{"text", src.Repartition(4, pond.ByRandom()).Map("chr(64 + (id % 200)::INT) || id AS s").Sort("s"), "SELECT chr(64 + (range % 200)::INT) || range AS s FROM range(1000) ORDER BY s"},
		{"sorted, then a row each", src.Sort("id DESC").Map("id + 1 AS id"), "SELECT range + 1 AS id FROM range(1000) ORDER BY id DESC"},
	} {
		t.Run(c.name, func(t *testing.T) { d.sameOrder(t, c.df, c.want) })
	}
	t.Run("partial sort", func(t *testing.T) {
		got := collect(t, src.Repartition(4, pond.ByHash("id")).PartialSort("id DESC").SQL("SELECT {partition} AS p, id FROM {0}"))
		want := slices.Clone(got.rows)
		slices.SortFunc(want, func(a, b string) int {
			pa, ia, _ := strings.Cut(a, "|")
			pb, ib, _ := strings.Cut(b, "|")
			na, _ := strconv.Atoi(ia)
			nb, _ := strconv.Atoi(ib)
			if pa != pb {
				return strings.Compare(pa, pb)
			}
			return nb - na
		})
		if !slices.Equal(got.rows, want) || len(want) != 1000 {
			t.Errorf("%d rows, not in order", len(want))
		}
	})
	ids := d.query("SELECT range FROM range(1000)").rows
	for parts, df := range map[int]*pond.DataFrame{1: src.Consolidate(1), 4: src.Repartition(4, pond.ByRows())} {
		t.Run(fmt.Sprintf("random shuffle of %d", parts), func(t *testing.T) {
			// Of 1000 rows in random order 249,750 pairs are expected to be the wrong
			// way round; smallpond's list allows 220 to 280 thousand.
			got := collect(t, df.RandomShuffle())
			if n := inversions(t, got.rows); n < 220_000 || n > 280_000 {
				t.Errorf("%d inversions", n)
			}
			if again := collect(t, df.RandomShuffle()); slices.Equal(again.rows, got.rows) {
				t.Error("twice the same order")
			}
			if !slices.Equal(sorted(got.rows), sorted(slices.Clone(ids))) {
				t.Error("not the same rows")
			}
		})
	}
}

func inversions(t *testing.T, rows []string) int {
	t.Helper()
	ids := make([]int, len(rows))
	for i, r := range rows {
		ids[i] = int(number(t, r))
	}
	n := 0
	for i, a := range ids {
		for _, b := range ids[i+1:] {
			if a > b {
				n++
			}
		}
	}
	return n
}

// TestActions checks count, take, explain and a result read more than once.
func TestActions(t *testing.T) {
	d := newSingle(t)
	node := newPond(t, 2)[0]
	df := node.ReadParquet(flights)
	total := d.query("SELECT count(*) FROM '" + flights + "'").rows[0]
	if n, err := df.Count(testContext(t)); err != nil || strconv.FormatInt(n, 10) != total {
		t.Errorf("count %d, %v, want %s", n, err, total)
	}
	if n, err := df.Filter("delay > 60").Repartition(5, pond.ByHash("origin")).Count(testContext(t)); err != nil || strconv.FormatInt(n, 10) != d.query("SELECT count(*) FROM '" + flights + "' WHERE delay > 60").rows[0] {
		t.Errorf("count %d, %v", n, err)
	}
	for _, n := range []int64{0, 1, 5, 3000} {
		rows, err := df.Take(testContext(t), n)
		sameTable(t, rowsOf(t, rows, err), d.query(fmt.Sprintf("SELECT * FROM '%s' LIMIT %d", flights, n)))
		first, second := lines(t, rows, nil), lines(t, rows, nil)
		if !slices.Equal(first, second) {
			t.Error("a result differs when it is read again")
		}
	}
	rows, err := df.Limit(10).Take(testContext(t), 20)
	if got := rowsOf(t, rows, err); len(got.rows) != 10 {
		t.Errorf("%d rows of 10", len(got.rows))
	}
	rows, err = df.Collect(testContext(t))
	if err != nil {
		t.Fatal(err)
	}
	for _, err := range rows.All() { // ends early
		if err != nil {
			t.Fatal(err)
		}
		break
	}
	text, err := df.Repartition(4, pond.ByHash("origin")).SQL("SELECT origin, count(*) FROM {0} GROUP BY 1").Explain(testContext(t), "text")
	for _, s := range []string{"hash", "origin", "4"} {
		if err != nil || !strings.Contains(text, s) {
			t.Errorf("explain: %v, does not say %q:\n%s", err, s, text)
		}
	}
	if _, err := df.Limit(-1).Explain(testContext(t), "text"); err == nil {
		t.Error("explain of a mistake succeeded")
	}
}
