package peers

import (
	"context"

	"golang.org/x/sync/errgroup"
)

// callsMax is how many nodes are asked at once.
const callsMax = 32

// Each calls f for 0 to n-1, several at once, and returns the first error.
func Each(ctx context.Context, n int, f func(ctx context.Context, i int) error) error {
	g, ctx := errgroup.WithContext(ctx)
	g.SetLimit(callsMax)
	for i := range n {
		g.Go(func() error { return f(ctx, i) })
	}
	return g.Wait()
}
