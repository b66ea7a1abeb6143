//go:build duckdb_arrow

package distribute_test

import (
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/pondmesh/pond/actors/plan/distribute"
)

// ranged is how an error names the aggregate that is out of range.
var ranged = regexp.MustCompile(`\w+ is out of range`)

// TestSums compares what is put together from parts with one DuckDB, to the last digit
// and by the errors.
func TestSums(t *testing.T) {
	p := newTables(t, `CREATE TABLE x AS SELECT i % 7 AS g, (hash(i) % 60000)::INTEGER - 30000 AS small, (hash(i) // 3)::BIGINT AS big, (hash(i + 1) % 9999999)::INTEGER / 100 AS q,
		(hash(i) // 2)::HUGEINT * 1000000007 AS huge FROM range(300) t(i);
		CREATE TABLE far (g INTEGER, h HUGEINT, d DECIMAL(38,6), f DOUBLE, w DOUBLE);
		INSERT INTO far VALUES (1, 1e38::HUGEINT, 9e31, 1e16, 1), (1, 7e37::HUGEINT, 9e31, 1, 'inf'), (2, -1e38::HUGEINT, -9e31, 1, 2), (2, -1e38::HUGEINT, -9e31, -1e16, 3), (3, 1, 1, 0.1, 1), (3, NULL, NULL, 0.2, 5);`)
	for _, sql := range []string{
		"SELECT avg(small::SMALLINT), avg(small), avg(big), avg(huge), avg(q::DECIMAL(4,0)), avg(q::DECIMAL(9,2)), avg(q::DECIMAL(18,7)), avg(huge::DECIMAL(38,3)) FROM x",
		"SELECT g, avg(small::SMALLINT), avg(small), avg(big), avg(huge), avg(q::DECIMAL(9,2)), avg(q::DECIMAL(18,7)), avg(huge::DECIMAL(38,3)) FROM x GROUP BY g ORDER BY g",
		"SELECT avg(DISTINCT big), avg(big) FILTER (WHERE g < 3), avg(big) FILTER (WHERE g > 10) FROM x",
		"SELECT g, sum(huge), sum(huge::DECIMAL(38,3)), sum(big), sum(DISTINCT huge) FROM x GROUP BY ROLLUP (g) ORDER BY g",
		"SELECT g, fsum(f), favg(f) FROM far GROUP BY g ORDER BY g",
		"SELECT fsum(w), favg(w) FROM far WHERE w < 3",
		"SELECT g, sum(h) FROM far GROUP BY g ORDER BY g",
		"SELECT g, sum(d), avg(d) FROM far GROUP BY g ORDER BY g",
		"SELECT sum(h) FILTER (WHERE g <> 2) FROM far",
		"SELECT avg(h) FILTER (WHERE g <> 1) FROM far",
		"SELECT avg(h) FILTER (WHERE g = 3), avg(d) FILTER (WHERE g = 3), sum(d) FILTER (WHERE g > 1) FROM far",
		"SELECT g, sum(h), median(h) FROM far GROUP BY g ORDER BY g",
		"SELECT sum(d) FILTER (WHERE g = 1), avg(d) FROM far",
		"SELECT var_pop(w) FROM far", "SELECT stddev_samp(w) FILTER (WHERE w > 4), var_samp(w) FILTER (WHERE w < 4), var_pop(w) FILTER (WHERE w > 100 AND g = 1), var_pop(f) FILTER (WHERE f > 1e17) FROM far",
	} {
		want, wrong := ask(t.Context(), p.plans, sql)
		for _, n := range []int{2, 3, 5} {
			tree, err := p.tree(t.Context(), sql)
			if err != nil {
				t.Fatal(err)
			}
			planned, err := distribute.Plan(&distribute.Query{Tree: tree, SQL: sql}, p.facts, distribute.Options{JobID: "job", Force: true, Partitions: n})
			if err != nil {
				t.Fatal(err)
			}
			if len(planned.Stages) < 2 || strings.Contains(planned.Stages[0].Query, "fsum") {
				t.Errorf("%s runs whole, or sums are compensated in parts\n%s", sql, planned.Explain())
			}
			_, got, err := p.run(t.Context(), planned)
			switch {
			case err != nil || wrong != nil:
				if err == nil || wrong == nil || sort(err) != sort(wrong) || ranged.FindString(err.Error()) != ranged.FindString(wrong.Error()) {
					t.Errorf("%s on %d: %v, want %v", sql, n, err, wrong)
				}
			case !slices.EqualFunc(got.rows, want.rows, slices.Equal[[]string]):
				t.Errorf("%s on %d:\n%q, want\n%q\n%s", sql, n, got.rows, want.rows, planned.Explain())
			}
		}
	}
}
