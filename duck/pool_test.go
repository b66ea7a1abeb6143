//go:build duckdb_arrow

package duck

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"sync"
	"testing"
	"time"
)

func TestPool(t *testing.T) {
	spill := filepath.Join(t.TempDir(), "spill")
	ctx := context.Background()
	p := NewPool(PoolConfig{
		Engine: Config{Memory: 64 << 20, Threads: 1, SpillDir: spill},
		Blank:  1, Idle: 2,
		Setup: func(ctx context.Context, e *Engine) error {
			_, err := e.Exec(ctx, "CREATE TABLE by_setup AS SELECT 1")
			return err
		},
	})
	a, b := Access{Dirs: []string{t.TempDir()}}, Access{Dirs: []string{t.TempDir()}}
	get := func(a Access, memory int64) *Engine {
		t.Helper()
		e, err := p.Get(ctx, Options{Access: a, Memory: memory})
		if err != nil {
			t.Fatal(err)
		}
		return e
	}
	first := get(a, 100<<20)
	if got := value(t, first, "SELECT current_setting('memory_limit')"); got != "100.0 MiB" {
		t.Errorf("memory_limit is %s", got)
	}
	if _, err := first.Exec(ctx, "FROM '"+b.Dirs[0]+"/x.csv'"); !errors.Is(err, ErrDenied) {
		t.Errorf("not locked: %v", err)
	}
	exec(t, first, "CREATE TEMP TABLE mine AS SELECT 1; CREATE TABLE mine2 AS SELECT 1")
	p.Put(first)
	if again := get(a, 100<<20); again != first {
		t.Error("the idle engine was not used again")
	}
	if _, err := first.Exec(ctx, "FROM mine"); !errors.Is(err, ErrQuery) {
		t.Errorf("it still has the last user's table: %v", err)
	}
	odd, err := p.Get(ctx, Options{Access: a, Threads: 3, Optimizers: "join_order"})
	if err != nil {
		t.Fatal(err)
	}
	if got := value(t, odd, "SELECT current_setting('threads') || current_setting('disabled_optimizers') || current_setting('memory_limit')"); got != "3join_order64.0 MiB" {
		t.Errorf("settings are %s", got)
	}
	if err := odd.Close(); err != nil {
		t.Error(err)
	}
	p.Put(odd)
	if other := get(a, 0); other == first {
		t.Error("one engine was given to two")
	} else {
		p.Put(other)
	}
	for _, a := range []Access{b, a} { // the second of these evicts the oldest
		e := get(a, 1<<28)
		p.Put(e)
	}
	p.Put(first)
	if len(p.idle) != 2 {
		t.Errorf("%d idle engines", len(p.idle))
	}
	closed := get(b, 50<<20)
	if err := closed.Close(); err != nil {
		t.Fatal(err)
	}
	p.Put(closed)

	var wg sync.WaitGroup
	for range 6 {
		wg.Go(func() {
			e, err := p.Get(ctx, Options{Access: a, Memory: 100 << 20})
			if err != nil {
				t.Error(err)
				return
			}
			if _, err := e.Exec(ctx, "CREATE TEMP TABLE x AS SELECT 1"); err != nil {
				t.Error(err)
			}
			p.Put(e)
		})
	}
	wg.Wait()
	out := get(a, 100<<20)
	if err := p.Close(); err != nil {
		t.Fatal(err)
	}
	if _, err := p.Get(ctx, Options{Access: a}); !errors.Is(err, ErrClosed) {
		t.Errorf("Get after Close: %v", err)
	}
	p.Put(out)
	if left, err := os.ReadDir(spill); err != nil || len(left) != 0 {
		t.Errorf("spill directories left: %v, %v", left, err)
	}
}

// TestPoolTidies: engines are opened and closed behind the users' backs, while
// they have none, or after a while.
func TestPoolTidies(t *testing.T) {
	ctx := context.Background()
	p := NewPool(PoolConfig{Engine: Config{Memory: 64 << 20, Threads: 1}, Blank: 2, Idle: 1})
	defer p.Close()
	state := func() (blank, idle, over int) {
		p.mu.Lock()
		defer p.mu.Unlock()
		return len(p.blank), len(p.idle), len(p.over)
	}
	tidied := func() bool {
		blank, idle, over := state()
		return blank == 2 && idle == 1 && over == 0
	}
	get := func(memory int64) *Engine {
		t.Helper()
		e, err := p.Get(ctx, Options{Memory: memory})
		if err != nil {
			t.Fatal(err)
		}
		return e
	}
	eventually(t, "blank engines", func() bool { n, _, _ := state(); return n == 2 })
	a, b := get(100<<20), get(200<<20)
	p.Put(a)
	p.Put(b) // in a's place
	eventually(t, "tidied", tidied)
	if err := a.Reset(ctx); !errors.Is(err, ErrClosed) {
		t.Errorf("of an engine too many: %v", err)
	}
	out := get(300 << 20)
	eventually(t, "tidied while an engine is out", tidied)
	p.Put(out)
}

// TestPoolWarm: a blank engine that is opened beyond those that are kept is the first
// user's, and nobody's after. Nothing is left of what it has rehearsed.
func TestPoolWarm(t *testing.T) {
	ctx := context.Background()
	p := NewPool(PoolConfig{Engine: Config{Memory: 64 << 20, Threads: 1, SpillDir: t.TempDir()}, Idle: 1})
	defer p.Close()
	if err := p.Warm(ctx); err != nil {
		t.Fatal(err)
	}
	warm := p.blank[0]
	if warm.left.any {
		t.Error("the first user's Reset cleans up the rehearsal")
	}
	if left, err := os.ReadDir(warm.config.SpillDir); err != nil || len(left) > 0 {
		t.Errorf("left by the rehearsal: %v, %v", left, err)
	}
	a, err := p.Get(ctx, Options{})
	if err != nil || a != warm {
		t.Fatalf("not the warm engine: %v", err)
	}
	b, err := p.Get(ctx, Options{})
	if err != nil {
		t.Fatal(err)
	}
	p.Put(a)
	p.Put(b) // in a's place, which is closed when engines would be opened
	eventually(t, "tidied", func() bool { return errors.Is(a.Reset(ctx), ErrClosed) })
	p.mu.Lock()
	defer p.mu.Unlock()
	if n := len(p.blank); n != 0 {
		t.Errorf("%d blank engines, of which nobody asked for any", n)
	}
}

// TestPoolWarmFails: a rehearsal that fails, here for its file, is nobody's concern.
func TestPoolWarmFails(t *testing.T) {
	ctx := context.Background()
	p := NewPool(PoolConfig{Engine: Config{Memory: 64 << 20, Threads: 1, SpillDir: t.TempDir()}, Idle: 1,
		Setup: func(_ context.Context, e *Engine) error {
			return os.MkdirAll(filepath.Join(e.config.SpillDir, rehearsedFile, "taken"), 0o700)
		}})
	defer p.Close()
	if err := p.Warm(ctx); err != nil {
		t.Fatal(err)
	}
	if n := len(p.blank); n != 0 {
		t.Errorf("%d engines are kept whose rehearsal failed", n)
	}
	e, err := p.Get(ctx, Options{})
	if err != nil {
		t.Fatal(err)
	}
	p.Put(e)
}

// eventually repeats f until it is content.
func eventually(t *testing.T, what string, f func() bool) {
	t.Helper()
	end := time.After(time.Minute)
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	for !f() {
		select {
		case <-tick.C:
		case <-end:
			t.Fatalf("never: %s", what)
		}
	}
}
