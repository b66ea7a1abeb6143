//go:build duckdb_arrow

package actors_test

import (
	"testing"

	"github.com/pondmesh/pond"
)

// A worker that lost sight of a coordinator forgets the job, although the
// coordinator never lost sight of the worker: what it believes to run there has
// to be run again, and is.
func TestForgottenTasks(t *testing.T) {
	ctx, n, s := startNode(t)
	job, err := s.FromRows([]string{"a", "INTEGER"}, []any{1}, []any{2}).Repartition(2, pond.ByRows()).
		SQL("SELECT a, (SELECT count(*) FROM range(200000000) AS b(i) WHERE hash(i) % 1009 = 7) > 0 AS b FROM {0}").Submit(ctx)
	if err != nil {
		t.Fatal(err)
	}
	forgot := false
	for st, err := range job.Watch(ctx) {
		if err != nil {
			t.Fatal(err)
		}
		last := len(st.Stages) - 1
		if !forgot && last >= 0 && st.Stages[last].Running == 2 {
			n.Forget()
			forgot = true
		}
		if st.Done() && (!forgot || st.Stages[last].Retries == 0 || st.Rows != 2) {
			t.Errorf("forgot: %v, %+v", forgot, st)
		}
	}
}
