//go:build duckdb_arrow

package pond_test

import (
	"context"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/apache/arrow-go/v18/arrow"
	"github.com/apache/arrow-go/v18/arrow/array"
	"github.com/apache/arrow-go/v18/arrow/memory"

	"github.com/pondmesh/pond"
	"github.com/pondmesh/pond/chaos/pondtest"
)

// noise is a Go function that gives random numbers, and says of itself that it always
// gives the same.
type noise struct {
	rows [3]atomic.Int64 // that each node has asked it for
	once sync.Once
	away chan struct{} // closed when another node than the first has asked
}

func (n *noise) on(node int) pond.Option {
	return pond.WithScalarFunc(pond.ScalarFunc{Name: "noise", Args: []string{"BIGINT"}, Result: "BIGINT", Version: "1",
		Call: func(ctx context.Context, args arrow.RecordBatch) (arrow.Array, error) {
			if node > 0 {
				n.once.Do(func() { close(n.away) })
			}
			select { // the first node, which drives the job, does not make all rows alone
			case <-n.away:
			case <-ctx.Done():
				return nil, ctx.Err()
			}
			n.rows[node].Add(args.NumRows())
			b := array.NewInt64Builder(memory.DefaultAllocator)
			defer b.Release()
			for range args.NumRows() {
				b.Append(rand.Int64N(1 << 40))
			}
			return b.NewArray(), nil
		}})
}

// TestRowsThatChange: rows that nobody said are random are read by one stage, lost with
// their node, and made anew for another. Both stages have read the same rows in the end.
func TestRowsThatChange(t *testing.T) {
	const rows, slots = 3000, 4
	var g gate
	n := &noise{away: make(chan struct{})}
	var nodes []*pond.Node
	for i := range 3 {
		options := []pond.Option{n.on(i), pond.WithSlots(slots),
			pond.WithScalarFunc(pond.ScalarFunc{Name: "pass", Args: []string{"BIGINT", "BIGINT"}, Result: "BIGINT", Version: "1", Call: g.pass})}
		if i == 0 {
			nodes = pondtest.New(t, 1, options...)
		} else {
			nodes = append(nodes, pondtest.Join(t, nodes, options...))
		}
	}
	s := nodes[0].Session
	made := s.FromRows([]string{"n", "BIGINT"}, []any{rows}).FlatMap("unnest(range(n)) AS id").Repartition(2*slots, pond.ByRows()).
		Map("id, noise(id) AS x").Repartition(4, pond.ByHash("id"))
	late := s.FromRows([]string{"k", "BIGINT"}, []any{0}).Map("pass(1, k) AS k").Broadcast(4)
	early := made.Map("id, x AS early").Repartition(5, pond.ByHash("early")).Repartition(4, pond.ByHash("id"))
	both := made.SQL("SELECT id, x + k AS late FROM {0}, {1}", late).Repartition(6, pond.ByHash("late")).Repartition(4, pond.ByHash("id")).
		SQL("SELECT id, early, late FROM {0} JOIN {1} USING (id)", early)

	shut := g.close(1, -1)
	var once sync.Once
	kill := func() {
		victim := 1
		if n.rows[1].Load() == 0 {
			victim = 2
		}
		if err := nodes[victim].Close(); err != nil { // as a crash is, to the others
			t.Error(err)
		}
		close(shut.open)
	}
	answer := both.Filter("early = late").Consolidate(1).SQL("SELECT count(*) AS rows, count(DISTINCT id) AS ids FROM {0}")
	got, err := answer.Collect(testContext(t), pond.OnStatus(func(st *pond.Status) {
		for _, s := range st.Stages {
			if s.Tasks == 5 && s.Done == 5 { // what is read early has been read
				once.Do(kill)
			}
		}
	}))
	wantLines(t, lines(t, got, err), "3000|3000")
	if n.rows[0].Load()+n.rows[1].Load()+n.rows[2].Load() <= rows {
		t.Error("no rows were made again")
	}
}
