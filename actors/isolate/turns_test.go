package isolate

import (
	"context"
	"errors"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/pondmesh/pond/actors/plan"
)

// However many requests never end, others are answered soon: by the slow ones that
// came before, one quick turn after the other.
func TestSlowRequestsHoldUpNobody(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		turns := newTurns()
		ctx, end := context.WithCancel(t.Context())
		var all sync.WaitGroup
		var mu sync.Mutex
		now, most := 0, 0
		work := func(ctx context.Context) error {
			mu.Lock()
			now++
			most = max(most, now)
			mu.Unlock()
			<-ctx.Done()
			mu.Lock()
			now--
			mu.Unlock()
			return context.Cause(ctx)
		}
		const slow = 10
		for range slow {
			all.Go(func() {
				if err := turns.do(ctx, work); !errors.Is(err, context.Canceled) {
					t.Errorf("a slow one: %v", err)
				}
			})
		}
		synctest.Wait()
		began := time.Now()
		for i := range 100 {
			if err := turns.do(ctx, func(context.Context) error { return nil }); err != nil {
				t.Errorf("a quick one: %v", err)
			}
			if took := time.Since(began); took > slow/quickTurns*quickTime {
				t.Fatalf("quick one %d waited for %v", i, took)
			}
		}
		time.Sleep(time.Hour)
		began = time.Now()
		if err := turns.do(ctx, func(context.Context) error { return nil }); err != nil || time.Since(began) > 0 {
			t.Errorf("later: %v after %v", err, time.Since(began))
		}
		if want := quickTurns + slowTurns; most > want {
			t.Errorf("%d ran at once, of %d that may", most, want)
		}
		end()
		all.Wait()
		if q, s := len(turns.quick.taken), len(turns.slow.taken); q+s > 0 {
			t.Errorf("%d quick and %d slow turns are kept", q, s)
		}
	})
}

// A request that becomes slow goes on where it is, if there is a slow turn, and is done
// again if there was none.
func TestSlowRequestsEnd(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		turns := newTurns()
		var all sync.WaitGroup
		var mu sync.Mutex
		begun := 0
		for range slowTurns + 3 {
			all.Go(func() {
				err := turns.do(t.Context(), func(ctx context.Context) error {
					mu.Lock()
					begun++
					mu.Unlock()
					select {
					case <-time.After(10 * quickTime):
						return nil
					case <-ctx.Done():
						return context.Cause(ctx)
					}
				})
				if err != nil {
					t.Errorf("%v", err)
				}
			})
		}
		all.Wait()
		if begun != slowTurns+3*2 {
			t.Errorf("%d were begun", begun)
		}
	})
}

// Who waits hears of the end of its context, and too many do not wait at all.
func TestWaiting(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := newLane(1)
		ctx, end := context.WithCancelCause(t.Context())
		if err := l.enter(ctx); err != nil {
			t.Fatal(err)
		}
		why := errors.New("why")
		var all sync.WaitGroup
		for range waitingMax {
			all.Go(func() {
				if err := l.enter(ctx); !errors.Is(err, why) {
					t.Errorf("%v", err)
				}
			})
		}
		synctest.Wait()
		if err := l.enter(ctx); !errors.Is(err, plan.ErrResource) {
			t.Errorf("one too many: %v", err)
		}
		end(why)
		all.Wait()
		l.leave()
		if err := l.enter(t.Context()); err != nil {
			t.Errorf("afterwards: %v", err)
		}
	})
}
