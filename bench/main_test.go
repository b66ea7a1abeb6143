package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/pondmesh/pond"
)

// TestMain lets the test binary be what bench starts itself as.
func TestMain(m *testing.M) {
	if pond.Main() {
		return
	}
	if role := os.Getenv(roleEnv); role != "" {
		os.Exit(runRole(role))
	}
	os.Exit(m.Run())
}

const testFlights = "../cmd/pondnode/sample/*.parquet"

func testContext(t *testing.T) context.Context {
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Minute)
	t.Cleanup(cancel)
	return ctx
}

// testBench is a bench of little data, and its checker.
func testBench(t *testing.T) (*bench, *duckSystem) {
	t.Helper()
	b := &bench{options: options{size: 1 << 20, memory: 256 << 20, threads: 1, runs: 1, nodes: []int{1}}, progress: t.Output()}
	b.dir = t.TempDir()
	checker, err := startDuck(testContext(t), b, "checker", b.memory)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(checker.stop)
	b.data = dataStore{dir: b.dir, size: b.size, flights: testFlights, engine: checker, say: b.say}
	return b, checker
}

// TestRun is the whole program on next to nothing.
func TestRun(t *testing.T) {
	if err := needProc(); err != nil {
		t.Skip(err)
	}
	var out bytes.Buffer
	args := []string{"--size", "1MB", "--memory", "256MB", "--threads", "1", "--runs", "1", "--nodes", "2", "--only", "graysort,join,groupbyfew,encode,small", "--flights", testFlights, "-o", "json"}
	if err := run(testContext(t), args, &out, t.Output()); err != nil {
		t.Fatal(err)
	}
	var r report
	if err := json.Unmarshal(out.Bytes(), &r); err != nil {
		t.Fatal(err)
	}
	if len(r.Results) != 6 || len(r.Figures) != 8+len(encodeSets) {
		t.Fatalf("%d results and %d figures:\n%s", len(r.Results), len(r.Figures), &out)
	}
	for _, x := range r.Results {
		if x.WallMS <= 0 || x.Ratio <= 0 || x.PeakMost <= 0 || x.PeakSum < x.PeakMost || x.Rows <= 0 || len(x.WallsMS) != 1 {
			t.Errorf("%+v", x)
		}
		if x.Workload == "join" && (x.Shuffled > 0) != (x.Nodes > 0) { // so little is sorted in one piece
			t.Errorf("%s on %s shuffled %d bytes", x.Workload, x.System, x.Shuffled)
		}
	}
}

// TestStorage is the measurements of storage that need not wait for a layout to change.
func TestStorage(t *testing.T) {
	if err := needProc(); err != nil {
		t.Skip(err)
	}
	b, checker := testBench(t)
	files, err := makeStorageFiles(testContext(t), b, checker, storageTimes)
	if err != nil {
		t.Fatal(err)
	}
	puts, err := measurePuts(testContext(t), b, files)
	if err != nil {
		t.Fatal(err)
	}
	reads, err := measureReads(testContext(t), b, files)
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range append(puts, reads...) {
		if f.Value <= 0 {
			t.Errorf("%+v", f)
		}
	}
	if left, err := filepath.Glob(filepath.Join(files.dir, "cp-*")); err != nil || len(left) > 0 {
		t.Errorf("copies are left: %v, %v", left, err)
	}
}

const testTPCH = "../duck/logical/testdata/tpch"

// TestTPCH is the 22 queries at a scale so small that what it measures means
// nothing; but the answers are the published ones, or it fails.
func TestTPCH(t *testing.T) {
	if err := needProc(); err != nil {
		t.Skip(err)
	}
	var out bytes.Buffer
	args := []string{"--tpch", testTPCH, "--queries", testTPCH, "--answers", testTPCH, "--memory", "256MB", "--threads", "1", "--runs", "1", "--nodes", "1", "--only", "tpch"}
	if err := run(testContext(t), args, &out, t.Output()); err != nil {
		t.Fatal(err)
	}
	if lines := strings.Count(out.String(), "\n"); lines != 1+2*(1+1+tpchQueries+1) {
		t.Errorf("%d lines:\n%s", lines, &out)
	}
}

// TestWrongAnswer has the bench find an answer that is not the published one.
func TestWrongAnswer(t *testing.T) {
	if err := needProc(); err != nil {
		t.Skip(err)
	}
	b, _ := testBench(t)
	b.tpch, b.queries, b.answers = testTPCH, testTPCH, t.TempDir()
	if err := os.WriteFile(b.answers+"/q01.csv", []byte("l_returnflag\nA\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := b.measureTPCH(testContext(t)); !errors.Is(err, errWrong) {
		t.Fatal(err)
	}
}

// TestWrongResults plants mistakes that the checks must find.
func TestWrongResults(t *testing.T) {
	if err := needProc(); err != nil {
		t.Skip(err)
	}
	b, checker := testBench(t)
	for name, plant := range map[string]struct {
		w    workload
		pond func(ctx context.Context, s *pond.Session, w *work) error
	}{
		"a row less": {fileIO(), func(ctx context.Context, s *pond.Session, w *work) error {
			return s.ReadParquet(w.in[0]).Filter("v NOT LIKE '%00007B  %'").WriteParquet(ctx, w.out)
		}},
		"another value": {fileIO(), func(ctx context.Context, s *pond.Session, w *work) error {
			return s.ReadParquet(w.in[0]).Map("k, CASE WHEN v LIKE '%00007B  %' THEN k ELSE v END AS v").WriteParquet(ctx, w.out)
		}},
		"no order": {graySort(), func(ctx context.Context, s *pond.Session, w *work) error {
			return s.ReadParquet(w.in[0]).WriteParquet(ctx, w.out)
		}},
		"order within files only": {graySort(), func(ctx context.Context, s *pond.Session, w *work) error {
			return s.ReadParquet(w.in[0]).Repartition(4, pond.ByHash("k")).PartialSort("k").WriteParquet(ctx, w.out)
		}},
		"keys in two files": {hashPartition(), func(ctx context.Context, s *pond.Session, w *work) error {
			return s.ReadParquet(w.in[0]).Union(s.ReadParquet(w.in[0])).Repartition(4, pond.ByRoundRobin()).WriteParquet(ctx, w.out)
		}},
	} {
		t.Run(name, func(t *testing.T) {
			w := plant.w
			w.pond = plant.pond
			if name == "keys in two files" { // twice the rows, so that there are keys to find apart
				w.duck = func(w *work) []string {
					return []string{"COPY (SELECT * FROM " + scan(w.in[0]) + " UNION ALL SELECT * FROM " + scan(w.in[0]) + ") TO " + w.file() + " (FORMAT parquet)"}
				}
			}
			if _, err := b.runWorkload(testContext(t), w, checker, b.size, b.memory, b.nodes); !errors.Is(err, errWrong) {
				t.Fatalf("error %v", err)
			}
		})
	}
}

func TestFailingChild(t *testing.T) {
	_, err := startChild(testContext(t), "nobody", roleConfig{Name: "nobody"})
	if err == nil || !strings.Contains(err.Error(), `no role "nobody"`) {
		t.Fatal(err)
	}
}

func TestDuckErrors(t *testing.T) {
	_, checker := testBench(t)
	if err := checker.exec(testContext(t), "SELECT nothing"); err == nil || !strings.Contains(err.Error(), "nothing") {
		t.Fatal(err)
	}
	rows, err := checker.query(testContext(t), "SELECT 42, 'x'")
	if err != nil || len(rows) != 1 || strings.Join(rows[0], " ") != "42 x" {
		t.Fatal(rows, err)
	}
}
