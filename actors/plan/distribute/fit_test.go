//go:build duckdb_arrow

package distribute_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/pondmesh/pond/actors/plan"
	"github.com/pondmesh/pond/actors/plan/distribute"
)

// skewedSQL is a table of which most rows have one key, one whose keys are few,
// and one to look keys up in.
const skewedSQL = `
CREATE TABLE facts AS SELECT CASE WHEN i % 5 > 0 THEN 7 ELSE i % 400 END AS k, i AS v, 'w' || i % 31 AS w FROM range(6000) r(i);
CREATE TABLE few AS SELECT i % 3 AS k, i AS v FROM range(3000) r(i);
CREATE TABLE names AS SELECT i AS k, 'n' || i % 50 AS name FROM range(2, 500) r(i);
CREATE TABLE none AS SELECT 1 AS k, 'x' AS name WHERE false;
`

// regroup cuts every table in row groups, so that scans are cut without a number
// of partitions.
func (p *pond) regroup(rows int64) {
	for _, tab := range p.facts.Tables {
		f := &tab.Files[0]
		left := f.Rows()
		f.Groups = nil
		for ; left > 0 || f.Groups == nil; left -= rows {
			n := min(rows, left)
			f.Groups = append(f.Groups, plan.RowGroup{Rows: n, Bytes: n * 100})
		}
	}
}

// TestFit runs joins and groups over skewed keys, with partitions put together
// and split by their sizes.
func TestFit(t *testing.T) {
	queries := []string{
		"SELECT name, count(*), sum(v) FROM facts JOIN names USING (k) GROUP BY name",
		"SELECT facts.k, v, name FROM facts LEFT JOIN names USING (k) WHERE v % 3 = 0",
		"SELECT names.k, v, name FROM facts RIGHT JOIN names USING (k)",
		"SELECT facts.k, v, name FROM facts FULL JOIN names USING (k)",
		"SELECT * FROM facts WHERE k IN (SELECT k FROM names WHERE name < 'n3')",
		"SELECT * FROM facts WHERE NOT EXISTS (SELECT 1 FROM names n WHERE n.k = facts.k AND n.name <> facts.w)",
		"SELECT * FROM names WHERE NOT EXISTS (SELECT 1 FROM facts f WHERE f.k = names.k AND f.v > 5000)",
		"SELECT k, count(*), list(v ORDER BY v) FROM facts GROUP BY k",
		"SELECT k, w, row_number() OVER (PARTITION BY k ORDER BY v) AS n FROM facts",
		"SELECT DISTINCT k, w FROM facts",
		"SELECT w, count(DISTINCT v) FROM facts JOIN names USING (k) GROUP BY w",
		"SELECT a.k, count(*) FROM facts a JOIN few b ON a.k = b.k GROUP BY a.k",
		"SELECT a.v, b.name, c.name FROM facts a JOIN names b ON a.k = b.k LEFT JOIN names c ON a.k = c.k WHERE a.v < 3000",
		"SELECT k, v FROM facts JOIN names USING (k) ORDER BY v LIMIT 20",
		"SELECT k, v, w FROM facts ORDER BY v DESC, k",
		"SELECT k, sum(v) FROM facts GROUP BY GROUPING SETS ((k), (w), ()) ORDER BY ALL",
		"SELECT k, v FROM facts UNION SELECT k, v FROM few",
		"SELECT k FROM facts EXCEPT SELECT k FROM names",
		"SELECT k, v FROM facts UNION ALL SELECT k, v FROM few JOIN names USING (k)",
		"WITH t AS (SELECT k, count(*) AS n FROM facts GROUP BY k) SELECT a.k, a.n, b.n FROM t a JOIN t b ON a.n = b.n",
		"SELECT * FROM facts f WHERE v > (SELECT avg(v) FROM few g WHERE g.k = f.k)",
		"SELECT * FROM facts JOIN none USING (k)",
		"SELECT facts.k, none.name FROM facts LEFT JOIN none USING (k)",
		"SELECT k, name FROM names WHERE k NOT IN (SELECT k FROM few)",
	}
	p := newTables(t, skewedSQL)
	p.regroup(1000)
	for _, o := range []distribute.Options{
		{Parallelism: 4, TargetBytes: 60_000, BroadcastBytes: -1}, {Parallelism: 2, TargetBytes: 40_000, BroadcastBytes: -1}, {Partitions: 6, BroadcastBytes: -1},
	} {
		t.Run(fmt.Sprintf("%d slots, %d partitions, target %d, broadcast %d", o.Parallelism, o.Partitions, o.TargetBytes, o.BroadcastBytes), func(t *testing.T) {
			p.adapts = map[string]int{}
			for _, sql := range queries {
				if job, err := p.check(t.Context(), sql, o); err != nil {
					text := ""
					if job != nil {
						text = job.Explain()
					}
					t.Errorf("%s\n%v\n%s", sql, err, text)
				}
			}
			if p.adapts["split"] == 0 || p.adapts["put together"] == 0 && o.Partitions == 0 || p.adapts["put together"] > 0 && o.Partitions > 0 {
				t.Errorf("partitions were treated so: %v", p.adapts)
			}
			t.Log(p.adapts)
		})
	}
}

// A sort has as many ranges as it takes for each to be sorted in memory, and none of them
// are put together again beyond that; other exchanges are as they were.
func TestSortSize(t *testing.T) {
	p := newTables(t, skewedSQL)
	for _, tab := range p.facts.Tables { // said to be large: nothing is run
		tab.Files[0].Groups = slices.Repeat([]plan.RowGroup{{Rows: 1e6, Bytes: 10_000}}, 40)
	}
	tree, err := p.tree(t.Context(), "SELECT k, v, count(*) FROM facts GROUP BY ALL ORDER BY v")
	if err != nil {
		t.Fatal(err)
	}
	const target, sorted = 8_000_000, 2_000_000 // of 80 million
	for size, want := range map[int64]struct {
		ranges int
		fit    int64
	}{0: {10, target}, sorted: {40, sorted}} {
		planned, err := distribute.Plan(&distribute.Query{Tree: tree}, p.facts, distribute.Options{JobID: "job", Force: true, Parallelism: 2, TargetBytes: target, SortBytes: size})
		if err != nil {
			t.Fatal(err)
		}
		parts, fits := map[plan.ExchangeKind]int{}, map[int64]int{}
		for _, s := range planned.Stages {
			parts[s.Exchange.Kind] = s.Exchange.Partitions
			if s.Tasks.Fit != nil {
				fits[s.Tasks.Fit.Target]++
			}
		}
		if parts[plan.Hash] != 10 || parts[plan.Range] != want.ranges {
			t.Errorf("%d bytes a sort: partitions %v", size, parts)
		}
		if fits[want.fit] != 1 || len(fits) != 1 {
			t.Errorf("%d bytes a sort: tasks are meant to read %v", size, fits)
		}
	}
}

// Sorts are right where their rows come in more ranges than other exchanges have
// partitions, and next to those.
func TestSortApart(t *testing.T) {
	wide := "CREATE TABLE wide AS SELECT i % 400 AS k, (i * 7919) % 6000 AS v" // so many bytes that they are sorted apart
	for i := range 200 {
		wide += fmt.Sprintf(", i + %d AS c%d", i, i)
	}
	p := newTables(t, skewedSQL+wide+" FROM range(6000) r(i);")
	p.regroup(1000)
	o := distribute.Options{Parallelism: 4, TargetBytes: 200_000, SortBytes: 50_000, BroadcastBytes: -1}
	for _, sql := range []string{
		"SELECT * FROM wide ORDER BY v DESC",
		"SELECT w.*, name FROM wide w JOIN names USING (k) ORDER BY v, k",
	} {
		job, err := p.check(t.Context(), sql, o)
		if err != nil {
			t.Errorf("%s\n%v", sql, err)
			continue
		}
		parts := map[plan.ExchangeKind]int{}
		for _, s := range job.Stages {
			parts[s.Exchange.Kind] = max(parts[s.Exchange.Kind], s.Exchange.Partitions)
		}
		if parts[plan.Range] < 20 || parts[plan.Hash] > 10 {
			t.Errorf("%s\npartitions: %v", sql, parts)
		}
	}
}

// TestReplan runs joins whose sides turn out much smaller or larger than they
// look.
func TestReplan(t *testing.T) {
	const (
		fewer = "length(w) > 2 AND hash(v) % 500 = 0" // looks like many rows, but they are few
		most  = "w LIKE 'w%' AND length(w) > 1 AND length(w) < 10 AND length(w) <> 7"
	)
	joins := []string{
		"SELECT a.k, a.v, b.w FROM facts a JOIN (FROM facts WHERE COND) b ON a.v = b.v",
		"SELECT a.k, b.w, count(*) FROM facts a LEFT JOIN (FROM facts WHERE COND) b ON a.v = b.v GROUP BY ALL",
		"SELECT b.k, sum(a.v) FROM (FROM facts WHERE COND) b LEFT JOIN few a ON a.v = b.v GROUP BY b.k",
		"SELECT * FROM facts WHERE v IN (SELECT v FROM facts WHERE COND)",
		"SELECT * FROM facts WHERE v NOT IN (SELECT v FROM facts WHERE COND)",
		"SELECT * FROM facts a WHERE NOT EXISTS (FROM facts b WHERE b.v = a.v AND COND)",
		"SELECT a.k, b.w FROM few a RIGHT JOIN (FROM facts WHERE COND) b ON a.v = b.v",
		"SELECT a.k, b.w FROM few a FULL JOIN (FROM facts WHERE COND) b ON a.v = b.v",
		"SELECT a.k, b.w, c.name FROM facts a JOIN (FROM facts WHERE COND) b ON a.v = b.v JOIN names c ON c.k = b.k ORDER BY ALL LIMIT 30",
		"SELECT a.k, b.n, c.w FROM few a JOIN (SELECT v, count(*) AS n FROM facts WHERE COND GROUP BY v) b ON a.v = b.v JOIN (FROM facts WHERE COND) c ON c.v = a.v",
		"WITH b AS (FROM facts WHERE COND) SELECT x.k, y.w FROM few x JOIN b y USING (v) UNION ALL SELECT x.k, y.w FROM facts x JOIN b y USING (v)",
		"SELECT a.k, (SELECT max(b.k) FROM facts b WHERE b.v = a.v AND COND) FROM few a",
		"WITH t AS MATERIALIZED (SELECT v, w, random() AS r FROM facts) SELECT count(*) FROM t a JOIN (FROM t WHERE COND) b ON a.v = b.v JOIN few c ON c.v = a.v WHERE a.r <> b.r",
		"WITH t AS MATERIALIZED (SELECT v, w, random() AS r FROM facts), u AS MATERIALIZED (SELECT a.* FROM t a JOIN (FROM facts WHERE COND) b USING (v)) " +
			"SELECT count(*) FROM u JOIN t USING (v) WHERE u.r <> t.r",
		"SELECT a.k, b.w, b.d FROM few a JOIN (SELECT *, avg(v + 0.5e0) OVER (PARTITION BY k) AS d FROM facts WHERE COND) b ON a.v = b.v",
	}
	p := newTables(t, skewedSQL)
	p.regroup(1000)
	for _, o := range []distribute.Options{{Parallelism: 4, TargetBytes: 60_000, BroadcastBytes: 20_000}, {Partitions: 3, BroadcastBytes: 30_000}} {
		t.Run(fmt.Sprintf("%d slots, %d partitions, broadcast %d", o.Parallelism, o.Partitions, o.BroadcastBytes), func(t *testing.T) {
			p.adapts = map[string]int{}
			for _, join := range joins {
				for _, cond := range []string{fewer, most} {
					sql := strings.ReplaceAll(join, "COND", cond)
					if strings.Contains(sql, "facts b WHERE b.v") || strings.Contains(sql, "max(b.k)") {
						sql = strings.ReplaceAll(strings.ReplaceAll(sql, "(w)", "(b.w)"), "(v)", "(b.v)")
						sql = strings.ReplaceAll(sql, " w LIKE", " b.w LIKE")
					}
					if job, err := p.check(t.Context(), sql, o); err != nil {
						text := ""
						if job != nil {
							text = job.Explain()
						}
						t.Errorf("%s\n%v\n%s", sql, err, text)
					}
				}
			}
			if p.adapts["sent after all"] == 0 || p.adapts["shuffled after all"] == 0 {
				t.Errorf("plans were changed so: %v", p.adapts)
			}
			t.Log(p.adapts)
		})
	}
}
