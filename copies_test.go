//go:build duckdb_arrow

package pond_test

import (
	"context"
	"fmt"
	"path/filepath"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/apache/arrow-go/v18/arrow"

	"github.com/pondmesh/pond"
	"github.com/pondmesh/pond/chaos/pondtest"
)

// TestCopies: a node dies that has made, and holds, rows of a stage which the next has not
// read yet. They are made again, unless the job has copies of them. Four nodes meet in the
// first stage, so that each makes some; the second runs on one of them alone.
func TestCopies(t *testing.T) {
	d, dir := newSingle(t), t.TempDir()
	files := 8
	for i := range files {
		d.exec("COPY (SELECT range AS id, range %% 97 AS k, 'row ' || range AS s FROM range(%d, %d)) TO '%s/%d.parquet'", i*4000, (i+1)*4000, dir, i)
	}
	for mode, again := range map[string]bool{"none": true, "eager": false} {
		t.Run(mode, func(t *testing.T) {
			var meeting sync.WaitGroup
			meeting.Add(4)
			met := make(chan struct{})
			go func() { meeting.Wait(); close(met) }()
			at := make(chan struct{}, files) // a task of the second stage has begun
			goOn := make(chan struct{})
			same := func(wait func()) pond.BatchFunc {
				once := sync.OnceFunc(wait)
				return func(ctx context.Context, in arrow.RecordBatch, yield func(arrow.RecordBatch) error) error {
					once()
					return yield(in)
				}
			}
			meet := func() pond.Option {
				return pond.WithBatchFunc("meet", "1", nil, same(func() { meeting.Done(); <-met }))
			}
			nodes := pondtest.New(t, 1, pond.WithSlots(1), meet())
			for range 2 {
				nodes = append(nodes, pondtest.Join(t, nodes, pond.WithSlots(1), meet()))
			}
			asked := pondtest.Join(t, nodes, pond.WithSlots(1), meet(), pond.Copies(mode),
				pond.WithBatchFunc("gate", "1", nil, same(func() { at <- struct{}{}; <-goOn })))
			df := asked.ReadParquet(filepath.Join(dir, "*.parquet")).Repartition(files, pond.ByFiles()).MapBatches("meet", 1<<20).
				Repartition(5, pond.ByHash("k")).MapBatches("gate", 1<<20)
			type end struct {
				got    table
				status *pond.Status
			}
			ended := make(chan end, 1)
			go func() {
				rows, err := df.Collect(testContext(t))
				got := end{got: rowsOf(t, rows, err)}
				got.status = rows.Status
				ended <- got
			}()
			<-at
			nodes[1].Close()
			within(t, time.Minute, "the node's death is seen", func() bool {
				members, err := asked.Members(testContext(t))
				return err == nil && len(members) == 3
			})
			close(goOn)
			got := <-ended
			slices.Sort(got.got.rows)
			sameTable(t, got.got, table{got.got.columns, sorted(oracle(t, fmt.Sprintf("SELECT * FROM '%s/*.parquet'", dir)))})
			retries, lost := 0, 0
			for _, s := range got.status.Stages {
				retries, lost = retries+s.Retries, lost+s.Lost
			}
			if (retries > 0) != again || (lost > 0) != again || (got.status.Copies == "eager") == again {
				t.Errorf("%d tasks ran again, of %d the output was lost, copies %q", retries, lost, got.status.Copies)
			}
			if !again && got.status.Stages[0].Nodes[nodes[1].ID()] == 0 {
				t.Errorf("the node that died had made nothing: %v", got.status.Stages[0].Nodes)
			}
		})
	}
}
