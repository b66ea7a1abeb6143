package delay

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"
)

// TestFor: it lasts as long as it is told, or until the context ends.
func TestFor(t *testing.T) {
	gone := errors.New("gone")
	for _, c := range []struct {
		ends, pause, took time.Duration
		err               error
	}{{time.Hour, time.Second, time.Second, nil}, {time.Second, time.Hour, time.Second, gone}, {0, time.Hour, 0, gone}, {time.Hour, 0, 0, nil}} {
		synctest.Test(t, func(t *testing.T) {
			ctx, cancel := context.WithCancelCause(t.Context())
			defer cancel(nil)
			if c.ends == 0 {
				cancel(gone)
			}
			stop := time.AfterFunc(c.ends, func() { cancel(gone) })
			defer stop.Stop()
			start := time.Now()
			if err := For(ctx, c.pause); err != c.err || time.Since(start) != c.took {
				t.Errorf("%+v: %v after %v", c, err, time.Since(start))
			}
		})
	}
}
