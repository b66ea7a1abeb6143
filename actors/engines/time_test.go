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

// A request of planning has 15 seconds, more for files and for PIVOT, and says so when
// they are over; a caller who has less time ends it in words of its own.
func TestWithTime(t *testing.T) {
	for _, c := range []struct {
		sql   string
		files int
		want  time.Duration
	}{
		{"SELECT 1", 0, 15 * time.Second},
		{"SELECT 1", 1000, 65 * time.Second},
		{"PIVOT t ON a USING sum(b)", 0, 10*time.Minute + 15*time.Second},
	} {
		synctest.Test(t, func(t *testing.T) {
			begun := time.Now()
			ctx, cancel := WithTime(t.Context(), c.sql, c.files)
			defer cancel()
			<-ctx.Done()
			err := context.Cause(ctx)
			if took := time.Since(begun); took != c.want || !errors.Is(err, plan.ErrDeadline) || !strings.Contains(err.Error(), "for "+c.want.String()) {
				t.Errorf("%s, %d files: after %v: %v", c.sql, c.files, took, err)
			}
		})
	}
	synctest.Test(t, func(t *testing.T) {
		own := errors.New("own")
		ctx, stop := context.WithTimeoutCause(t.Context(), time.Second, own)
		defer stop()
		ctx, cancel := WithTime(ctx, "SELECT 1", 0)
		defer cancel()
		<-ctx.Done()
		if err := context.Cause(ctx); err != own {
			t.Errorf("%v", err)
		}
	})
}
