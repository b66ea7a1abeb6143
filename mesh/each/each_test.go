package each

import (
	"context"
	"errors"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
)

// Each is called once, and never more at once than may be.
func TestDo(t *testing.T) {
	for _, n := range []int{0, 1, 3, 10} {
		synctest.Test(t, func(t *testing.T) {
			var mu sync.Mutex
			var called []int
			var running atomic.Int32
			gate := make(chan struct{})
			done := make(chan error, 1)
			go func() {
				done <- Do(t.Context(), 3, n, func(_ context.Context, i int) error {
					running.Add(1)
					defer running.Add(-1)
					<-gate
					mu.Lock()
					defer mu.Unlock()
					called = append(called, i)
					return nil
				})
			}()
			for left := n; left > 0; left-- {
				synctest.Wait()
				if got := int(running.Load()); got != min(left, 3) {
					t.Errorf("%d of %d run with %d left", got, n, left)
				}
				gate <- struct{}{}
			}
			if err := <-done; err != nil {
				t.Error(err)
			}
			slices.Sort(called)
			for i, c := range called {
				if i != c {
					t.Fatalf("called with %d", called)
				}
			}
			if len(called) != n {
				t.Errorf("called with %d, not %d times", called, n)
			}
		})
	}
}

// The first that fails ends the others, and no more begin; so does the end of the context.
func TestDoFails(t *testing.T) {
	broken, over := errors.New("broken"), errors.New("over")
	calls := 0
	err := Do(t.Context(), 1, 10, func(_ context.Context, i int) error {
		if calls++; i == 2 {
			return broken
		}
		return nil
	})
	if !errors.Is(err, broken) || calls != 3 {
		t.Errorf("%v after %d calls", err, calls)
	}
	err = Do(t.Context(), 2, 2, func(ctx context.Context, i int) error {
		if i == 1 {
			return broken
		}
		<-ctx.Done() // by the other's failure
		return context.Cause(ctx)
	})
	if !errors.Is(err, broken) {
		t.Error(err)
	}
	ctx, cancel := context.WithCancelCause(t.Context())
	cancel(over)
	if err := Do(ctx, 2, 3, func(context.Context, int) error { t.Error("called"); return nil }); !errors.Is(err, over) {
		t.Error(err)
	}
}
