//go:build duckdb_arrow

package actors_test

import (
	"testing"

	"github.com/pondmesh/pond"
	"github.com/pondmesh/pond/actors/plan"
)

// When rows were read is told by the nodes that hold them, whoever is asked: each job
// has its own times, though an equal one's rows are those that it takes over.
func TestRowTimes(t *testing.T) {
	ctx, nodes, c := waitingPond(t, 2)
	s, err := pond.Connect(nodes[1].Addr())
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	const sql = "SELECT x FROM range(10) r(x)"
	job := func() *pond.Job {
		job, err := s.Query(sql).Submit(ctx)
		if err == nil {
			_, err = job.Wait(ctx)
		}
		if err != nil {
			t.Fatal(err)
		}
		return job
	}
	first, second := job(), job()
	rows, err := first.Rows(ctx)
	if err != nil {
		t.Fatal(err)
	}
	n := 0
	for rec, err := range rows.All() {
		if err != nil {
			t.Fatal(err)
		}
		n += int(rec.NumRows())
	}
	st, err := first.Status(ctx)
	if err != nil || n != 10 || st.FirstRow.Before(st.Ended) || st.LastRow.Before(st.FirstRow) {
		t.Errorf("%d rows, ended %v, read from %v to %v, %v", n, st.Ended, st.FirstRow, st.LastRow, err)
	}
	if st, err := second.Status(ctx); err != nil || !st.FirstRow.IsZero() || !st.LastRow.IsZero() {
		t.Errorf("nobody has read its rows: %v, %v, %v", st.FirstRow, st.LastRow, err)
	}
	other, err := c.Job(ctx, plan.JobID(first.ID()))
	if err != nil || other.FirstRow != st.FirstRow.UnixMilli() || other.Result.Job != other.ID {
		t.Errorf("another node says %d: %v", other.FirstRow, err)
	}
}
