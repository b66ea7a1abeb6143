//go:build duckdb_arrow

package engines_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/apache/arrow-go/v18/arrow"

	"github.com/pondmesh/pond/actors/engines"
	"github.com/pondmesh/pond/actors/funcs"
	"github.com/pondmesh/pond/actors/plan"
	"github.com/pondmesh/pond/duck"
	"github.com/pondmesh/pond/duck/vec"
)

func open(t *testing.T, f *funcs.Registry) *engines.Pool {
	t.Helper()
	p, err := engines.Open(t.Context(), engines.Config{Memory: 256 << 20, Slots: 2, Dir: t.TempDir(), Funcs: f, Log: slog.New(slog.DiscardHandler)})
	if p != nil {
		t.Cleanup(func() { p.Close() })
	}
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// number is the one number that a query gives in an engine.
func number(t *testing.T, p *engines.Pool, o duck.Options, sql string) (n int64, err error) {
	t.Helper()
	e, err := p.Get(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	defer p.Put(e)
	_, err = e.Fetch(t.Context(), sql, func(c *vec.Chunk) error {
		n = *(*int64)(c.Columns[0].Data)
		return nil
	})
	return n, err
}

// SQL reaches the files and folders that its job may read, and no others; a stage
// that reads none reaches none, whatever its job may read.
func TestAccess(t *testing.T) {
	p := open(t, nil)
	dir := t.TempDir()
	paths := map[string]string{"mine": filepath.Join(dir, "mine.csv"), "folder": filepath.Join(dir, "sub", "a.csv"), "other": filepath.Join(dir, "other.csv")}
	if err := os.Mkdir(filepath.Join(dir, "sub"), 0o755); err != nil {
		t.Fatal(err)
	}
	for _, path := range paths {
		if err := os.WriteFile(path, []byte("i\n1\n2\n"), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	access := []string{paths["mine"], filepath.Join(dir, "sub") + "/"}
	reads, computes := &plan.Stage{Access: access}, &plan.Stage{}
	for _, c := range []struct {
		name    string
		options duck.Options
		file    string
		ok      bool
	}{
		{"stage", engines.ForStage(reads, access, "", 256<<20, 1), "mine", true},
		{"stage, folder", engines.ForStage(reads, access, "", 256<<20, 1), "folder", true},
		{"stage, other", engines.ForStage(reads, access, "", 256<<20, 1), "other", false},
		{"stage that reads nothing", engines.ForStage(computes, access, "", 256<<20, 1), "mine", false},
		{"planning", engines.ForPlanning(access, "join_order"), "mine", true},
		{"binding", engines.ForBinding(access), "other", false},
	} {
		n, err := number(t, p, c.options, fmt.Sprintf("SELECT count(*) FROM read_csv('%s')", paths[c.file]))
		if c.ok && (n != 2 || err != nil) || !c.ok && !errors.Is(engines.Error("read", err), plan.ErrQuery) {
			t.Errorf("%s: %d, %v", c.name, n, err)
		}
	}
}

func TestForStage(t *testing.T) {
	scan := &plan.Stage{Ordered: true, Inputs: []plan.Input{{Scan: &plan.Scan{}}}}
	if o := engines.ForStage(scan, []string{"/f", "/d/"}, "", 1000, 3); o.Memory != 700 || o.Threads != 3 || !o.Ordered || o.Optimizers != "" || len(o.Files) != 1 || len(o.Dirs) != 1 {
		t.Errorf("a scan: %+v", o)
	}
	planned := &plan.Stage{Optimized: true}
	if o := engines.ForStage(planned, []string{"/f"}, "", 1000, 1); !strings.Contains(o.Optimizers, "join_order") || len(o.Files) != 0 || o.Ordered {
		t.Errorf("a planned stage: %+v", o)
	}
}

func TestShares(t *testing.T) {
	c := engines.Config{Memory: 1000, Slots: 4}
	if c.SlotMemory() != 250 || (engines.Config{Memory: 1000}).SlotMemory() != 1000 {
		t.Errorf("a slot's memory: %d", c.SlotMemory())
	}
	most := max(4, engines.Cores())
	for granted, want := range map[int]int{0: 1, 1: 1, 3: 3, plan.AllCores: most} {
		if got := c.Threads(granted); got != want {
			t.Errorf("%d threads granted: %d, want %d", granted, got, want)
		}
	}
}

// Functions of Go run in every engine; one that panics fails its query alone, and
// one that DuckDB does not take fails the start.
func TestFuncs(t *testing.T) {
	f := new(funcs.Registry)
	err := f.AddScalar(funcs.Scalar{Name: "same", Args: []string{"BIGINT"}, Result: "BIGINT", Call: func(_ context.Context, args arrow.RecordBatch) (arrow.Array, error) {
		a := args.Column(0)
		a.Retain()
		return a, nil
	}})
	err = errors.Join(err, f.AddScalar(funcs.Scalar{Name: "slips", Args: []string{"BIGINT"}, Result: "BIGINT", Call: func(context.Context, arrow.RecordBatch) (arrow.Array, error) { panic("oh") }}))
	if err != nil {
		t.Fatal(err)
	}
	p := open(t, f)
	if _, err := number(t, p, duck.Options{}, "SELECT slips(1)"); !errors.Is(engines.Error("run", err), plan.ErrQuery) || !strings.Contains(err.Error(), "panicked: oh") {
		t.Errorf("a panic: %v", err)
	}
	if n, err := number(t, p, duck.Options{}, "SELECT sum(same(range))::BIGINT FROM range(4)"); n != 6 || err != nil {
		t.Errorf("afterwards: %d, %v", n, err)
	}
	odd := new(funcs.Registry)
	if err := odd.AddScalar(funcs.Scalar{Name: "odd", Result: "NO SUCH TYPE", Call: func(context.Context, arrow.RecordBatch) (arrow.Array, error) { return nil, nil }}); err != nil {
		t.Fatal(err)
	}
	q, err := engines.Open(t.Context(), engines.Config{Memory: 64 << 20, Dir: t.TempDir(), Funcs: odd, Log: slog.New(slog.DiscardHandler)})
	if err == nil || !strings.Contains(err.Error(), "odd") {
		t.Errorf("a function of an odd type: %v", err)
	}
	if q != nil {
		q.Close()
	}
}

// TestForStageWrites: only a stage that writes may reach where it does.
func TestForStageWrites(t *testing.T) {
	writes := &plan.Stage{Exchange: plan.Exchange{Write: &plan.Write{}}}
	if o := engines.ForStage(writes, nil, "/out", 1000, 1); len(o.Dirs) != 1 || o.Dirs[0] != "/out" {
		t.Errorf("it may reach %q", o.Dirs)
	}
	for _, o := range []duck.Options{engines.ForStage(writes, nil, "", 1000, 1), engines.ForStage(&plan.Stage{}, nil, "/out", 1000, 1)} {
		if len(o.Dirs) != 0 {
			t.Errorf("it may reach %q", o.Dirs)
		}
	}
}
