//go:build duckdb_arrow

package chaos_test

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"github.com/pondmesh/pond"
	"github.com/pondmesh/pond/chaos"
)

// The oracle sees every planted difference.
func TestOracleSeesDifferences(t *testing.T) {
	o, ctx := newOracle(t), testContext(t)
	const right = "SELECT i AS id, i % 7 AS k, CASE WHEN i % 5 > 0 THEN 'v' || i END AS s FROM range(10000) AS t(i)"
	for name, c := range map[string]struct {
		rows string
		same bool
	}{
		"the same":            {right, true},
		"another order":       {right + " ORDER BY s DESC, id", true},
		"a row lost":          {right + " WHERE i <> 4711", false},
		"a row twice":         {right + " UNION ALL (" + right + " LIMIT 1)", false},
		"one lost, one twice": {right + " WHERE i <> 4711 UNION ALL (" + right + " WHERE i = 4710)", false},
		"a value changed":     {"SELECT id, k, CASE WHEN id = 4711 THEN 'x' ELSE s END AS s FROM (" + right + ")", false},
		"NULL for a value":    {"SELECT id, k, CASE WHEN id <> 4711 THEN s END AS s FROM (" + right + ")", false},
		"values swapped":      {"SELECT id, CASE id WHEN 1 THEN 2 WHEN 2 THEN 1 ELSE k END AS k, s FROM (" + right + ")", false},
		"another type":        {"SELECT id::INTEGER AS id, k, s FROM (" + right + ")", false},
		"another name":        {"SELECT id AS di, k, s FROM (" + right + ")", false},
		"no rows":             {right + " LIMIT 0", false},
	} {
		err := o.CompareQueries(ctx, c.rows, right)
		if c.same && err != nil || !c.same && !errors.Is(err, chaos.ErrDiffers) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// A run whose fault never fires is an error, and a fault keeps to its budget.
func TestFaultsFire(t *testing.T) {
	ctx, c := newCluster(t, 1)
	job := submit(t, ctx, groupBy(t, c.Nodes()[0].Session(), light))
	never := &chaos.Fault{Name: "never", When: chaos.Started(99), Do: func(context.Context, *pond.Status) error { return nil }}
	r, err := chaos.Run(ctx, job, never)
	if !errors.Is(err, chaos.ErrNotFired) || r.Status.State != "succeeded" {
		t.Errorf("a fault that never fired: %v, %v", r, err)
	}
	times, undone := 0, 0
	often := &chaos.Fault{Name: "often", When: chaos.Started(0), Budget: 2,
		Do:   func(context.Context, *pond.Status) error { times++; return nil },
		Undo: func() error { undone++; return nil }}
	job = submit(t, ctx, groupBy(t, c.Nodes()[0].Session(), heavy/4))
	if r, err = chaos.Run(ctx, job, often); err != nil || times != 2 || len(r.Fired) != 2 || undone != 2 {
		t.Errorf("a fault with a budget of 2 fired %d times and was undone %d times: %v", times, undone, err)
	}
	// What is prepared fires when it has come about, or never; it is undone in either case.
	for work, comes := range map[int]bool{heavy / 6: true, heavy / 7: false} {
		undone := 0
		later := &chaos.Fault{Name: "later", When: chaos.Started(0), Do: func(context.Context, *pond.Status) error { return nil },
			Happened: func(context.Context) (time.Time, bool) { return time.Now(), comes }, Undo: func() error { undone++; return nil }}
		r, err = chaos.Run(ctx, submit(t, ctx, groupBy(t, c.Nodes()[0].Session(), work)), later)
		if errors.Is(err, chaos.ErrNotFired) == comes || undone != 1 || (len(r.Fired) == 1) != comes {
			t.Errorf("what happens later: %t; fired %d times, undone %d times: %v", comes, len(r.Fired), undone, err)
		}
	}
	broken := errors.New("broken")
	job = submit(t, ctx, groupBy(t, c.Nodes()[0].Session(), heavy/5))
	if _, err = chaos.Run(ctx, job, &chaos.Fault{Name: "broken", When: chaos.Started(0), Do: func(context.Context, *pond.Status) error { return broken }}); !errors.Is(err, broken) {
		t.Errorf("a fault that could not be done: %v", err)
	}
}

// A folder watch sees what is there for a moment.
func TestFolderWatch(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "out")
	w := chaos.WatchFolder(dir)
	ctx := testContext(t)
	must(t, os.Mkdir(dir, 0o755))
	must(t, os.WriteFile(filepath.Join(dir, "a"), nil, 0o644))
	must(t, chaos.Await(ctx, func(context.Context) error {
		if !slices.Contains(w.Now(), "a") {
			return errors.New("not seen yet")
		}
		return nil
	}))
	must(t, os.WriteFile(filepath.Join(dir, ".b"), nil, 0o644))
	must(t, chaos.Await(ctx, func(context.Context) error {
		if !slices.Contains(w.Now(), ".b a") {
			return errors.New("not seen yet")
		}
		return nil
	}))
	seen, err := w.Seen()
	if err != nil || seen[len(seen)-1] != ".b a" || !slices.Contains(seen, "a") {
		t.Errorf("saw %q, %v", seen, err)
	}
}
