// Package each does the same for many, several at once.
package each

import (
	"context"
	"sync"
)

// Do calls f for 0 to n-1, atOnce at a time, until one fails or ctx ends: that is its error,
// which ends the context of the others. It returns when none runs.
func Do(ctx context.Context, atOnce, n int, f func(ctx context.Context, i int) error) error {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	turns := make(chan struct{}, atOnce)
	var all sync.WaitGroup
	for i := range n {
		turns <- struct{}{}
		if ctx.Err() != nil {
			break
		}
		all.Go(func() {
			defer func() { <-turns }()
			if err := f(ctx, i); err != nil {
				cancel(err)
			}
		})
	}
	all.Wait()
	return context.Cause(ctx)
}
