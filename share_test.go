//go:build duckdb_arrow

package pond_test

import (
	"context"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"github.com/apache/arrow-go/v18/arrow"

	"github.com/pondmesh/pond"
	"github.com/pondmesh/pond/chaos/pondtest"
)

// turnstile is a batch function whose tasks say that they have begun, and end when they are
// let go.
type turnstile struct{ began, pass chan struct{} }

func newTurnstile() turnstile { return turnstile{make(chan struct{}, 1000), make(chan struct{})} }

func (g turnstile) option() pond.Option {
	return pond.WithBatchFunc("gate", "", nil, func(ctx context.Context, in arrow.RecordBatch, yield func(arrow.RecordBatch) error) error {
		g.began <- struct{}{}
		select {
		case <-g.pass:
			return yield(in)
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	})
}

// fill starts a job of 12 tasks and waits until as many have begun. It returns what
// waits for the job's end, and gives its rows.
func (g turnstile) fill(t *testing.T, s *pond.Session, begin int) func() table {
	t.Helper()
	ctx := testContext(t)
	type answer struct {
		rows *pond.Rows
		err  error
	}
	ended := make(chan answer, 1)
	go func() {
		rows, err := numbers(s, 1200).Repartition(12, pond.ByRows()).MapBatches("gate", 0).SQL("SELECT count(*) AS c FROM {0}").Collect(ctx)
		ended <- answer{rows, err}
	}()
	for range begin {
		select {
		case <-g.began:
		case a := <-ended:
			t.Fatal("the long job has ended: ", a.err)
		}
	}
	return func() table {
		t.Helper()
		a := <-ended
		return rowsOf(t, a.rows, a.err)
	}
}

// TestSmallBesideLarge: a small query ends on every node while tasks that do not end
// hold every slot of the pond.
func TestSmallBesideLarge(t *testing.T) {
	few := filepath.Join(t.TempDir(), "few.parquet")
	newSingle(t).exec("COPY (SELECT range AS i FROM range(25)) TO '%s'", few)
	g := newTurnstile()
	nodes := pondtest.New(t, 3, g.option())
	long := g.fill(t, nodes[0].Session, 3*pondtest.Slots)
	for i, n := range nodes {
		rows, err := n.SQL(testContext(t), "SELECT count(*) AS c FROM '"+few+"'")
		if got := rowsOf(t, rows, err); !slices.Equal(got.rows, []string{"25"}) {
			t.Errorf("node %d: %v", i, got.rows)
		}
	}
	close(g.pass)
	if got := long(); len(got.rows) != 12 {
		t.Errorf("the long job: %v", got.rows)
	}
}

// TestNextSlot: where there is no slot more for small queries, one is served by the
// first slot that falls free, though the long job has more tasks.
func TestNextSlot(t *testing.T) {
	g := newTurnstile()
	node := pondtest.New(t, 1, g.option(), pond.WithMemory(256*mib), pond.WithSlots(1))[0]
	long := g.fill(t, node.Session, 1)
	answer := make(chan error, 1)
	go func() {
		rows, err := node.SQL(testContext(t), "SELECT count(*) AS c FROM range(25)")
		if err == nil {
			for _, e := range rows.All() {
				err = e
			}
		}
		answer <- err
	}()
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	for planned := false; !planned; <-tick.C {
		jobs, err := node.Jobs(testContext(t))
		if err != nil {
			t.Fatal(err)
		}
		planned = len(jobs) == 2 && !slices.ContainsFunc(jobs, func(j *pond.Status) bool { return len(j.Stages) == 0 })
	}
	served := false
	for tries := 0; !served && tries < 6; tries++ { // that there is work may not have reached the worker yet
		g.pass <- struct{}{} // one task of the long job ends, no other
		select {
		case err := <-answer:
			if served = true; err != nil {
				t.Fatal(err)
			}
		case <-g.began:
		}
	}
	if !served {
		t.Error("tasks of the long job went first")
	}
	close(g.pass)
	if got := long(); len(got.rows) != 12 {
		t.Errorf("the long job: %v", got.rows)
	}
}
