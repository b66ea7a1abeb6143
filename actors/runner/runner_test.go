//go:build duckdb_arrow

package runner

import (
	"context"
	"log/slog"
	"os"
	"path/filepath"
	"reflect"
	"testing"

	"github.com/apache/arrow-go/v18/arrow"

	"github.com/pondmesh/pond/actors/api"
	"github.com/pondmesh/pond/actors/exec"
	"github.com/pondmesh/pond/actors/funcs"
	"github.com/pondmesh/pond/actors/isolate"
	"github.com/pondmesh/pond/actors/journal"
	"github.com/pondmesh/pond/actors/plan"
	"github.com/pondmesh/pond/actors/process"
	"github.com/pondmesh/pond/fs"
	"github.com/pondmesh/pond/shuffle/transfer"
)

// TestMain makes this program an engine process when it is started as one.
func TestMain(m *testing.M) {
	if process.Main(isolate.Serve) {
		return
	}
	os.Exit(m.Run())
}

func config(t *testing.T, program []string) Config {
	return Config{Program: program, Memory: 512 << 20, SlotsMemory: 512 << 20, Slots: 2, Funcs: new(funcs.Registry), Dir: filepath.Join(t.TempDir(), "spill"), Log: slog.New(slog.DiscardHandler)}
}

// packets give the one stage that there is.
type packets struct{}

func (packets) Get(_ context.Context, stage int, version uint64) (*api.Packet, error) {
	return &api.Packet{ID: "00000000000000000000000000000001", Index: stage, Version: version, Tasks: 1, Job: &plan.Job{Stages: []*plan.Stage{
		{ID: "s0", Query: "SELECT range AS a, range % 7 AS b FROM range(1000)", Exchange: plan.Exchange{Kind: plan.Hash, Partitions: 3, Keys: []string{"b"}}, Tasks: plan.Tasks{N: 1}},
	}}}, nil
}

func (packets) Schema(context.Context, plan.StageID, string, string) (*arrow.Schema, error) {
	return nil, plan.ErrInternal
}

// TestInAndOut: what a task makes, and what is planned, is the same in this process and
// in an engine process, which alone are counted.
func TestInAndOut(t *testing.T) {
	made, trees := map[string]api.Held{}, map[string]string{}
	for name, program := range map[string][]string{"in": nil, "out": process.Program()} {
		r, err := Open(t.Context(), config(t, program))
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() {
			if err := r.Close(); err != nil {
				t.Error(err)
			}
		})
		tree, err := r.DuckDB.Parse(t.Context(), "SELECT 1 AS x")
		if err != nil {
			t.Fatal(err)
		}
		trees[name] = string(tree.JSON)
		store, err := fs.Open(t.Context(), t.TempDir(), fs.Options{})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { store.Close() })
		segments, err := journal.OpenSegments(journal.OnDisk(store), 1<<30, slog.New(slog.DiscardHandler))
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(segments.Close)
		blocks := transfer.NewClient(transfer.ClientConfig{})
		t.Cleanup(func() { blocks.Close() })
		r.Reach(segments, blocks)
		out, err := r.Run(t.Context(), exec.Attempt{Job: "00000000000000000000000000000001", ID: plan.AttemptID{Task: plan.TaskID{Stage: "s0"}, Attempt: 1}, Memory: r.Tasks.SlotMemory(), Threads: 1}, packets{})
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		if started := r.Processes().Started; (started > 0) != (program != nil) {
			t.Errorf("%s: %d processes have started", name, started)
		}
		if inside := r.Tasks.SlotMemory(); (inside < 256<<20) != (program != nil) {
			t.Errorf("%s: a task has %d bytes: a process has some of its own, within the slot's", name, inside)
		}
		made[name] = out.Segment
	}
	in, out := made["in"], made["out"]
	if in.Rows != 1000 || in.Rows != out.Rows || !reflect.DeepEqual(in.PartitionRows, out.PartitionRows) || trees["in"] != trees["out"] {
		t.Errorf("%+v\n%+v\n%v", in, out, trees)
	}
}

// TestCannotStart: a program that is no engine process is told at once, and what was
// spilled before is gone by then.
func TestCannotStart(t *testing.T) {
	c := config(t, []string{"/bin/false"})
	left := filepath.Join(c.Dir, "left")
	if err := os.MkdirAll(left, 0o755); err != nil {
		t.Fatal(err)
	}
	if _, err := Open(t.Context(), c); plan.KindOf(err) != plan.KindResource {
		t.Errorf("it is taken for an engine process: %v", err)
	}
	if _, err := os.Stat(left); !os.IsNotExist(err) {
		t.Errorf("left from before: %v", err)
	}
}
