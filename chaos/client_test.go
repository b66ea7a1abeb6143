//go:build duckdb_arrow

package chaos_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/apache/arrow-go/v18/arrow/array"

	"github.com/pondmesh/pond"
	"github.com/pondmesh/pond/chaos"
)

// heavySQL is groupBy as a statement: of several seconds.
func heavySQL(t *testing.T) string {
	return "SELECT k, count(*) AS n, sum(v)::BIGINT AS v, min(s) AS s, sum(price) AS price FROM '" + dataGlob(t) + "' WHERE " + burn(5*heavy) + " GROUP BY k ORDER BY k"
}

// running waits until a job that was not there before runs, and returns its status.
func running(ctx context.Context, via *chaos.Node, before map[string]bool) (found *pond.Status, err error) {
	err = chaos.Await(ctx, func(ctx context.Context) error {
		jobs, err := via.Session().Jobs(ctx)
		if err != nil {
			return err
		}
		for _, j := range jobs {
			if j.State == "running" && !before[j.ID] && chaos.Started(0)(j) {
				found = j
				return nil
			}
		}
		return errors.New("no task of a new job runs")
	})
	return found, err
}

func known(t *testing.T, ctx context.Context, via *chaos.Node) map[string]bool {
	t.Helper()
	jobs, err := via.Session().Jobs(ctx)
	must(t, err)
	ids := map[string]bool{}
	for _, j := range jobs {
		ids[j.ID] = true
	}
	return ids
}

// The node that a command asks is killed, or frozen, while another coordinates its
// job: the command says so, asks another node for the same job, and its rows are those
// of one DuckDB. It knew one node, and was told of the others.
func TestAskedNodeDies(t *testing.T) {
	long(t)
	ctx, c := newCluster(t, 2)
	via := c.Nodes()[0]
	asked, err := c.Add(ctx, "--slots", "0") // one with slots would coordinate what it is asked for
	must(t, err)
	must(t, c.AwaitMembers(ctx, 3))
	for i, test := range []struct {
		name   string
		freeze bool
		args   func(id string) []string // of a job that was submitted; id empty: it submits
	}{
		{"sql", false, func(string) []string { return []string{"sql", "--force", heavySQL(t)} }},
		{"submit, frozen", true, func(string) []string { return []string{"submit", "--force", heavySQL(t)} }},
		{"job result", false, func(id string) []string { return []string{"job", "result", id} }},
	} {
		t.Run(test.name, func(t *testing.T) {
			for try := range 20 {
				out := filepath.Join(t.TempDir(), fmt.Sprintf("%d-%d.parquet", i, try))
				before := known(t, ctx, via)
				id := ""
				if strings.HasPrefix(test.name, "job") {
					job, err := via.Session().Submit(ctx, heavySQL(t), pond.Force(true), pond.Reuse(false))
					must(t, err)
					id = job.ID()
				}
				args := append(test.args(id), "--peer", asked.Addr(), "--out", out)
				if id == "" {
					args = append(args, "--no-reuse")
				}
				p, err := chaos.Spawn(ctx, "", binary, args...)
				must(t, err)
				s, err := running(ctx, via, before)
				must(t, err)
				if s.Coordinator == asked.ID() { // that is another test
					must(t, p.Signal(os.Interrupt))
					_, err := p.Wait(ctx)
					must(t, err)
					continue
				}
				if test.freeze {
					must(t, asked.Stop())
				} else {
					must(t, asked.Kill9(ctx))
				}
				e, err := p.Wait(ctx)
				must(t, err)
				if test.freeze {
					must(t, asked.Cont())
				} else {
					must(t, asked.Restart(ctx))
				}
				if e.Code != 0 || !strings.Contains(e.Stderr, "node "+asked.Addr()+" does not answer") {
					t.Fatalf("%q: %v", args, e)
				}
				must(t, newOracle(t).CompareQueries(ctx, "SELECT * FROM '"+out+"'", groupByOracle(t)))
				for id := range known(t, ctx, via) {
					if !before[id] && id != s.ID {
						t.Errorf("job %s is another than %s, which was asked for", id, s.ID)
					}
				}
				must(t, c.AwaitMembers(ctx, 3))
				t.Log(e.Stderr)
				return
			}
			t.Fatal("the node asked coordinated each time")
		})
	}
}

// Nodes die while their rows are read: the one that was asked first, in the middle of a
// part, later another. The reader has lost rows made anew, and every row comes once.
func TestHoldersDieWhileRead(t *testing.T) {
	long(t)
	ctx, c := newCluster(t, 3)
	nodes := c.Nodes()
	s, err := pond.Connect(nodes[0].Addr()+","+nodes[1].Addr(), pond.OnWarning(func(err error) { t.Log(err) }))
	must(t, err)
	defer s.Close()
	rows, err := s.ReadParquet(dataGlob(t)).Repartition(dataFiles, pond.ByFiles()).
		Repartition(6, pond.ByHash("id")).SQL("SELECT id, s FROM {0}").Collect(ctx)
	must(t, err)
	const all = dataFiles * fileRows
	seen, n := make([]bool, all), 0
	kill := map[int]*chaos.Node{1: nodes[0], all / 2: nodes[2]}
	for rec, err := range rows.All() {
		must(t, err)
		for _, id := range rec.Column(0).(*array.Int64).Int64Values() {
			if seen[id] {
				t.Fatalf("row %d came twice", id)
			}
			seen[id] = true
			n++
		}
		for at, node := range kill {
			if n >= at {
				delete(kill, at)
				must(t, node.Kill9(ctx))
			}
		}
	}
	if n != all || len(kill) > 0 {
		t.Errorf("%d rows of %d; %d nodes were to die", n, all, len(kill))
	}
}
