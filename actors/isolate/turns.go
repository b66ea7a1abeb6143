package isolate

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/pondmesh/pond/actors/plan"
)

// Turns of planning requests on a node.
const (
	quickTurns = 2
	slowTurns  = 2
	quickTime  = time.Second // for which a request has a quick turn
	waitingMax = 1024        // requests that wait for a turn of either kind
)

// turns bounds the requests that run at once, and keeps slow ones from holding up the
// others. A request begins in a quick turn. After quickTime it goes on in a slow turn;
// while none is free it is stopped, and begins anew once one is.
type turns struct{ quick, slow lane }

func newTurns() *turns { return &turns{newLane(quickTurns), newLane(slowTurns)} }

// errSlow is the cause of the end of a request that is to begin anew.
var errSlow = errors.New("isolate: the request takes longer than a quick turn")

// do runs work in a turn. It may run it twice, the first time with a context that ends.
func (t *turns) do(ctx context.Context, work func(context.Context) error) error {
	if err := t.quick.enter(ctx); err != nil {
		return err
	}
	if err := t.first(ctx, work); !errors.Is(err, errSlow) {
		return err
	}
	if err := t.slow.enter(ctx); err != nil {
		return err
	}
	defer t.slow.leave()
	return work(ctx)
}

// first runs work in the quick turn that it has, and then in a slow one if there is one.
func (t *turns) first(ctx context.Context, work func(context.Context) error) error {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	has, over := t.quick, make(chan struct{})
	timer := time.AfterFunc(quickTime, func() {
		defer close(over)
		if !t.slow.tryEnter() {
			cancel(errSlow)
			return
		}
		has.leave()
		has = t.slow
	})
	err := work(ctx)
	if !timer.Stop() {
		<-over
	}
	has.leave()
	return err
}

// lane is a number of turns.
type lane struct {
	taken   chan struct{} // a token for each turn that is taken
	waiting chan struct{} // the same for each request that waits
}

func newLane(n int) lane { return lane{make(chan struct{}, n), make(chan struct{}, waitingMax)} }

func (l lane) tryEnter() bool {
	select {
	case l.taken <- struct{}{}:
		return true
	default:
		return false
	}
}

func (l lane) leave() { <-l.taken }

// enter waits for a turn.
func (l lane) enter(ctx context.Context) error {
	if l.tryEnter() {
		return nil
	}
	select {
	case l.waiting <- struct{}{}:
		defer func() { <-l.waiting }()
	default:
		return &plan.Error{Kind: plan.KindResource, Op: "plan", Text: fmt.Sprintf("%d statements wait to be planned on this node, and no more may", waitingMax), Hint: "submit it again later, or to another node"}
	}
	select {
	case l.taken <- struct{}{}:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}
