//go:build duckdb_arrow

package pond_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/pondmesh/pond"
	"github.com/pondmesh/pond/duck"
)

// skewed writes a table of which most rows have one key, and one to look keys up
// in, each in several row groups.
func skewed(t *testing.T) (facts, names string) {
	t.Helper()
	dir := t.TempDir()
	e, err := duck.Open(t.Context(), duck.Config{Threads: 1, Memory: 256 * mib})
	if err != nil {
		t.Fatal(err)
	}
	defer e.Close()
	facts, names = "'"+dir+"/facts.parquet'", "'"+dir+"/names.parquet'"
	for path, sql := range map[string]string{
		facts: "SELECT CASE WHEN i % 10 > 0 THEN 7 ELSE i % 4000 END AS k, i AS v, hash(i)::VARCHAR AS w FROM range(40000) r(i)",
		names: "SELECT i AS k, 'n' || i % 50 AS name FROM range(20000) r(i)",
	} {
		if _, err := e.Exec(t.Context(), "COPY ("+sql+") TO "+path+" (ROW_GROUP_SIZE 2048)"); err != nil {
			t.Fatal(err)
		}
	}
	return facts, names
}

// stageOf is the last stage of a job whose name begins so.
func stageOf(t *testing.T, st *pond.Status, name string) pond.Stage {
	t.Helper()
	for _, s := range slices.Backward(st.Stages) {
		if strings.HasPrefix(s.Name, name) {
			return s
		}
	}
	t.Fatalf("no stage %s of %v", name, st.Stages)
	return pond.Stage{}
}

// TestFit: partitions are put together or split once their sizes are known, and
// answers stay those of one DuckDB.
func TestFit(t *testing.T) {
	facts, names := skewed(t)
	node := newPond(t, 3, pond.WithSlots(1))[2]
	run := func(sql string) *pond.Status {
		t.Helper()
		rows, err := node.SQL(testContext(t), sql, pond.Force(true), pond.Broadcast(-1))
		got := lines(t, rows, err)
		want := oracle(t, sql)
		slices.Sort(got)
		slices.Sort(want)
		wantLines(t, got, want...)
		return rows.Status
	}
	join := fmt.Sprintf("SELECT f.k, f.v, f.w, n.name FROM %s f JOIN %s n ON f.k = n.k", facts, names)
	for range 2 { // the second time it is reused
		st := run(join)
		if n := stageOf(t, st, "join").Tasks; n <= 3 {
			t.Errorf("a join of 3 partitions, one of them large, has %d tasks: it is not split", n)
		}
	}
	few := run(join + " WHERE f.w LIKE '99%' AND n.name = 'n7'")
	if n := stageOf(t, few, "join").Tasks; n != 1 || few.Rows == 0 {
		t.Errorf("a join of 3 partitions of little, %d rows, has %d tasks: they are not put together", few.Rows, n)
	}
}

// TestReplan: a join whose side turns out small sends it to all tasks after all,
// one whose side turns out large shuffles it after all. Whether that happens hangs
// on what has run by then, so it is tried a few times, each with another query.
func TestReplan(t *testing.T) {
	facts, _ := skewed(t)
	node := newPond(t, 3, pond.WithSlots(1))[2]
	options := []pond.JobOption{pond.Force(true), pond.Partitions(6), pond.Broadcast(60_000)}
	for _, c := range []struct{ cond, why string }{
		{"length(w) > 2 AND v * v %% 500 < 2 AND v <> %d", "of a join the right side is sent to all tasks instead"},
		{"w LIKE '%%1%%' AND length(w) > 1 AND length(w) < 30 AND v <> %d", "of a join both sides are shuffled instead"},
	} {
		query := func(try int) string {
			return fmt.Sprintf("SELECT a.k, b.v, b.w FROM %s a JOIN (FROM %s WHERE %s) b ON a.v = b.v", facts, facts, fmt.Sprintf(c.cond, try))
		}
		const most = 6 // tries
		tries := 0
		for fired := false; !fired; tries++ {
			want := sorted(oracle(t, query(tries)))
			for range 2 { // the second time what is held is reused
				rows, err := node.SQL(testContext(t), query(tries), options...)
				wantLines(t, sorted(lines(t, rows, err)), want...)
				st := rows.Status
				text, err := node.Job(st.ID).Explain(testContext(t), "text")
				if err != nil {
					t.Fatal(err)
				}
				if !strings.Contains(text, c.why) {
					continue
				}
				fired = true
				if !slices.ContainsFunc(st.Stages, func(s pond.Stage) bool { return s.Dropped }) || !strings.Contains(text, "(dropped)") {
					t.Errorf("%s: no stage was dropped\n%s", c.cond, text)
				}
			}
			if !fired && tries == most {
				t.Fatalf("%s: it is never planned again", c.cond)
			}
		}
		for fired := false; !fired; tries++ {
			rows, err := node.SQL(testContext(t), "EXPLAIN ANALYZE "+query(tries), options...)
			if err != nil {
				t.Fatal(err)
			}
			fired = strings.Contains(planText(t, rows), c.why) && strings.Contains(planText(t, rows), "(dropped)")
			if !fired && tries == 2*most {
				t.Fatalf("%s: EXPLAIN ANALYZE never says why\n%s", c.cond, planText(t, rows))
			}
		}
	}
}
