package peers

import (
	"context"
	"errors"

	"golang.org/x/sync/errgroup"

	"github.com/pondmesh/pond/actors/api"
	"github.com/pondmesh/pond/actors/plan"
	"github.com/pondmesh/pond/mesh"
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

// Answer is what a node said.
type Answer[T any] struct {
	Node mesh.Member
	Said T
	Err  error // it did not answer, or not in time
}

// Why says in a few words why there is no answer.
func (a *Answer[T]) Why() string {
	switch {
	case a.Err == nil:
		return "it said nothing"
	case errors.Is(a.Err, plan.ErrUnavailable), errors.Is(a.Err, plan.ErrDeadline), errors.Is(a.Err, context.DeadlineExceeded), errors.Is(a.Err, context.Canceled):
		return "it does not answer"
	}
	return plan.AsError(a.Err).Text
}

// Ask asks nodes at once, by here the one that asks, and returns their answers in the
// nodes' order. That one did not is in the log, with what was asked.
func Ask[T any](ctx context.Context, p *Peers, nodes []mesh.Member, what string, here func() T, there func(context.Context, *api.Peer) (T, error)) []Answer[T] {
	out := make([]Answer[T], len(nodes))
	_ = Each(ctx, len(nodes), func(ctx context.Context, i int) error {
		a := &out[i]
		if a.Node = nodes[i]; a.Node.ID == p.Self {
			a.Said = here()
			return nil
		}
		if a.Said, a.Err = there(ctx, p.API.At(a.Node.APIAddr())); a.Err != nil {
			p.Log.Debug("asking for "+what, "node", a.Node.ID, "err", a.Err)
		}
		return nil
	})
	return out
}
