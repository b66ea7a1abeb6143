package engines

import (
	"context"
	"errors"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/pondmesh/pond/actors/plan"
)

// A request of planning has 15 seconds, more for files, and says so when they are over; a
// caller who has less time ends it in words of its own.
func TestWithTime(t *testing.T) {
	for _, c := range []struct {
		files int
		want  time.Duration
	}{{0, 15 * time.Second}, {1000, 65 * time.Second}} {
		synctest.Test(t, func(t *testing.T) {
			begun := time.Now()
			ctx, cancel := WithTime(t.Context(), PlanTime(c.files))
			defer cancel()
			<-ctx.Done()
			err := context.Cause(ctx)
			if took := time.Since(begun); took != c.want || !errors.Is(err, plan.ErrDeadline) || !strings.Contains(err.Error(), "for "+c.want.String()) {
				t.Errorf("%d files: after %v: %v", c.files, took, err)
			}
		})
	}
	synctest.Test(t, func(t *testing.T) {
		own := errors.New("own")
		ctx, stop := context.WithTimeoutCause(t.Context(), time.Second, own)
		defer stop()
		ctx, cancel := WithTime(ctx, PlanTime(0))
		defer cancel()
		<-ctx.Done()
		if err := context.Cause(ctx); err != own {
			t.Errorf("%v", err)
		}
	})
}
