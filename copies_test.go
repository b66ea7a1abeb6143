//go:build duckdb_arrow

package pond_test

import (
	"context"
	"fmt"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/apache/arrow-go/v18/arrow"

	"github.com/pondmesh/pond"
	"github.com/pondmesh/pond/chaos/pondtest"
)

// TestCopies: a node dies that has made, and holds, rows of a stage which the next has not
// read yet. They are made again, unless the job has copies of them, made before the stage was
// done or by now; the tasks that read them meanwhile may have to run again. Four nodes meet in the
// first stage, so that each makes some; the second runs on one of them alone.
func TestCopies(t *testing.T) {
	d, dir := newSingle(t), t.TempDir()
	files := 8
	for i := range files {
		d.exec("COPY (SELECT range AS id, range %% 97 AS k, 'row ' || range AS s FROM range(%d, %d)) TO '%s/%d.parquet'", i*4000, (i+1)*4000, dir, i)
	}
	for mode, again := range map[string]bool{"none": true, "lazy": false, "eager": false} {
		t.Run(mode, func(t *testing.T) {
			var meeting sync.WaitGroup
			meeting.Add(4)
			met := make(chan struct{})
			go func() { meeting.Wait(); close(met) }()
			at := make(chan struct{}, files) // a task of the second stage has begun
			goOn, copied := make(chan struct{}), make(chan struct{})
			allCopied := sync.OnceFunc(func() { close(copied) })
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
				rows, err := df.Collect(testContext(t), pond.OnStatus(func(s *pond.Status) {
					if len(s.Stages) > 0 && s.Stages[0].Copies == files {
						allCopied()
					}
				}))
				got := end{got: rowsOf(t, rows, err)}
				got.status = rows.Status
				ended <- got
			}()
			<-at
			if mode != "none" {
				<-copied
			}
			nodes[1].Close()
			within(t, time.Minute, "the node's death is seen", func() bool {
				members, err := asked.Members(testContext(t))
				return err == nil && len(members) == 3
			})
			close(goOn)
			got := <-ended
			slices.Sort(got.got.rows)
			sameTable(t, got.got, table{got.got.columns, sorted(oracle(t, fmt.Sprintf("SELECT * FROM '%s/*.parquet'", dir)))})
			retries, lost, class := 0, 0, mode
			for _, s := range got.status.Stages {
				retries, lost = retries+s.Retries, lost+s.Lost
			}
			if again {
				class = ""
			}
			first := got.status.Stages[0].Retries
			t.Logf("%s: %d tasks ran again, %d of the first stage, of %d the output was lost", mode, retries, first, lost)
			if (first > 0) != again || (lost > 0) != again || mode == "eager" && retries > 0 || got.status.Copies != class {
				t.Errorf("%d tasks ran again, %d of the first stage, of %d the output was lost, copies %q", retries, first, lost, got.status.Copies)
			}
			if !again && got.status.Stages[0].Nodes[nodes[1].ID()] == 0 {
				t.Errorf("the node that died had made nothing: %v", got.status.Stages[0].Nodes)
			}
		})
	}
}

// TestCopiesOfAResult: the node that has made the rows of a query dies after it, and they are
// read from the one that has a copy: no job runs again.
func TestCopiesOfAResult(t *testing.T) {
	nodes := pondtest.New(t, 3)
	var addrs []string
	for _, n := range nodes {
		addrs = append(addrs, n.Addr())
	}
	s, err := pond.Connect(strings.Join(addrs, ","))
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	ctx := testContext(t)
	job, err := s.Submit(ctx, "SELECT range AS k, 'row ' || range AS v FROM range(10000)", pond.Copies("eager"))
	if err != nil {
		t.Fatal(err)
	}
	st, err := job.Wait(ctx)
	if err != nil || len(st.Stages) != 1 || st.Stages[0].Copies != 1 {
		t.Fatalf("%+v, %v", st, err)
	}
	made := slices.IndexFunc(nodes, func(n *pond.Node) bool { return st.Stages[0].Nodes[n.ID()] == 1 })
	nodes[made].Close()
	rows, err := job.Rows(ctx)
	got := rowsOf(t, rows, err)
	slices.Sort(got.rows)
	sameTable(t, got, table{got.columns, sorted(oracle(t, "SELECT range AS k, 'row ' || range AS v FROM range(10000)"))})
	if all, err := s.Jobs(ctx); err != nil || len(all) != 1 {
		t.Errorf("%d jobs have run, %v", len(all), err)
	}
}
