//go:build duckdb_arrow

package chaos_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/pondmesh/pond"
	"github.com/pondmesh/pond/chaos"
	"github.com/pondmesh/pond/duck"
)

// binary is the pondnode under test, built once.
var binary string

func TestMain(m *testing.M) {
	if len(os.Args) > 2 && os.Args[1] == actorNode {
		os.Exit(runActorNode(os.Args[2:]))
	}
	dir, err := os.MkdirTemp("", "pond-chaos-")
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	binary = filepath.Join(dir, "pondnode")
	code := 1
	if out, err := exec.Command("go", "build", "-tags", "duckdb_arrow", "-o", binary, "../cmd/pondnode").CombinedOutput(); err != nil {
		fmt.Fprintf(os.Stderr, "building pondnode: %v\n%s", err, out)
	} else {
		code = m.Run()
	}
	os.RemoveAll(dir)
	os.Exit(code)
}

// Bounds of the tests.
const (
	testTimeout = 8 * time.Minute  // one test, waiting for its turn excluded: after so long it hangs, however busy the machine is
	turnTimeout = 10 * time.Minute // waiting for other clusters of this machine
)

func testContext(t *testing.T) context.Context {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), testTimeout)
	t.Cleanup(cancel)
	return ctx
}

// long skips what takes many seconds.
func long(t *testing.T) {
	t.Helper()
	if testing.Short() {
		t.Skip("long: breaks real processes while a job of several seconds runs; run without -short")
	}
}

// nodeFlags make nodes small enough for several on two cores.
var nodeFlags = []string{"--memory", "512MiB", "--slots", "2", "--log-level", "info"}

// newCluster starts nodes, and ends them with the test. Of a test that failed
// it shows the logs.
func newCluster(t *testing.T, nodes int, flags ...string) (context.Context, *chaos.Cluster) {
	t.Helper()
	return clusterOf(t, chaos.Options{Nodes: nodes, Flags: flags})
}

// clusterOf is newCluster with options of which only some are given.
func clusterOf(t *testing.T, o chaos.Options) (context.Context, *chaos.Cluster) {
	t.Helper()
	turn, cancel := context.WithTimeout(context.Background(), turnTimeout)
	defer cancel()
	o.Binary, o.Dir, o.Flags = binary, t.TempDir(), append(slices.Clone(nodeFlags), o.Flags...)
	c, err := chaos.Start(turn, o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := c.Close(); err != nil {
			t.Error(err)
		}
		for _, n := range c.Nodes() {
			if n.Panicked() {
				t.Errorf("node %s panicked", n.ID())
			}
			if t.Failed() {
				t.Logf("--- log of node %s at %s\n%s", n.ID(), n.Addr(), tail(n.Log(), 40))
			}
		}
	})
	return testContext(t), c
}

func tail(s string, lines int) string {
	all := strings.SplitAfter(s, "\n")
	return strings.Join(all[max(0, len(all)-lines):], "")
}

// newOracle opens the one DuckDB that answers are compared with.
func newOracle(t *testing.T) *chaos.Oracle {
	t.Helper()
	o, err := chaos.NewOracle(testContext(t), oracleConfig(t))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { o.Close() })
	return o
}

func oracleConfig(t *testing.T) duck.Config {
	t.Helper()
	return duck.Config{Threads: 2, Memory: 1 << 30, SpillDir: filepath.Join(t.TempDir(), "oracle")}
}

// Data that every long test reads.
const (
	dataFiles = 16
	fileRows  = 100_000
)

var data = struct {
	once sync.Once
	dir  string
	err  error
}{}

// dataGlob names the Parquet files, made on first use.
func dataGlob(t *testing.T) string {
	t.Helper()
	data.once.Do(func() {
		data.dir = filepath.Join(filepath.Dir(binary), "data")
		if data.err = os.MkdirAll(data.dir, 0o755); data.err != nil {
			return
		}
		o := newOracle(t)
		for i := range dataFiles {
			data.err = errors.Join(data.err, o.Exec(testContext(t), fmt.Sprintf(
				"COPY (SELECT i AS id, (hash(i) %% 997)::INTEGER AS k, i %% 7 AS v, CASE WHEN i %% 11 <> 0 THEN 'row ' || i END AS s, (i %% 10007 * 0.25)::DECIMAL(12, 2) AS price FROM range(%d, %d) AS t(i)) TO '%s' (FORMAT parquet)",
				i*fileRows, (i+1)*fileRows, filepath.Join(data.dir, fmt.Sprintf("%03d.parquet", i)))))
		}
	})
	if data.err != nil {
		t.Fatal(data.err)
	}
	return filepath.Join(data.dir, "*.parquet")
}

// burn is a condition that is true after about n·5 ns of one core, once a task.
func burn(n int) string {
	return fmt.Sprintf("(SELECT count(*) FROM range(%d) AS b(i) WHERE hash(i) %% 1009 = 7) > 0", n)
}

// groupBy is a shuffled job of two stages: 16 tasks that read and cut, 8 that
// sum up. Each burns time, the latter more of it: few nodes run them all at once,
// and that half of them are done has to be heard before all are.
func groupBy(t *testing.T, s *pond.Session, work int) *pond.DataFrame {
	return s.ReadParquet(dataGlob(t)).
		Repartition(dataFiles, pond.ByFiles()).
		SQL("SELECT k, v, s, price FROM {0} WHERE "+burn(work)).
		Repartition(8, pond.ByHash("k")).
		SQL("SELECT k, count(*) AS n, sum(v)::BIGINT AS v, min(s) AS s, sum(price) AS price FROM {0} WHERE " + burn(3*work) + " GROUP BY k")
}

func groupByOracle(t *testing.T) string {
	return "SELECT k, count(*) AS n, sum(v)::BIGINT AS v, min(s) AS s, sum(price) AS price FROM '" + dataGlob(t) + "' GROUP BY k"
}

// follow runs a job with faults, and wants it to succeed.
func follow(t *testing.T, ctx context.Context, job *pond.Job, faults ...*chaos.Fault) *chaos.Report {
	t.Helper()
	r, err := chaos.Run(ctx, job, faults...)
	if err != nil {
		t.Fatalf("%v\n%v", err, r)
	}
	t.Log(r)
	if r.Status.State != "succeeded" {
		t.Fatalf("the job did not succeed: %+v", r.Status.Error)
	}
	return r
}

func submit(t *testing.T, ctx context.Context, df *pond.DataFrame) *pond.Job {
	t.Helper()
	job, err := df.Submit(ctx)
	if err != nil {
		t.Fatal(err)
	}
	return job
}

// at is a job as its coordinator's node tells of it, which faults spare.
func at(t *testing.T, ctx context.Context, c *chaos.Cluster, job *pond.Job) *pond.Job {
	t.Helper()
	s, err := job.Status(ctx)
	if err != nil {
		t.Fatal(err)
	}
	n := c.Node(s.Coordinator)
	if n == nil {
		t.Fatalf("job %s is coordinated by %q, which is no node of the cluster", job.ID(), s.Coordinator)
	}
	return n.Session().Job(job.ID())
}

// compare wants a job's rows to be the oracle's.
func compare(t *testing.T, ctx context.Context, job *pond.Job, query string) {
	t.Helper()
	rows, err := job.Rows(ctx)
	if err != nil {
		t.Fatal(err)
	}
	if err := newOracle(t).Compare(ctx, rows, query); err != nil {
		t.Fatal(err)
	}
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}
