// Package delay waits, no longer than a context lets it.
package delay

import (
	"context"
	"time"
)

// For waits for d. It returns early, with the cause, when ctx ends.
func For(ctx context.Context, d time.Duration) error {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}
