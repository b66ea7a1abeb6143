//go:build duckdb_arrow

package duck

import (
	"context"
	"fmt"
	"sync"
	"time"

	"github.com/duckdb/duckdb-go/v2/mapping"
)

// interruptEvery is how often a query whose context has ended is interrupted
// until it returns: DuckDB forgets an interrupt when a statement begins.
const interruptEvery = 10 * time.Millisecond

// op is one use of an engine's connection. Callbacks find it through the
// engine: it holds the query's context and the first error of a callback.
type op struct {
	engine *Engine
	what   string
	ctx    context.Context // the caller's; ended by Close too, and by end
	cancel context.CancelCauseFunc
	stop   func() bool // both detach the op from
	detach func() bool // the contexts it watches
	bound  bound       // by the operation before

	done    chan struct{} // closed when the query has returned
	watched chan struct{} // closed when the interrupter has

	mu      sync.Mutex
	err     error     // the first error of a callback
	scans   []*scan   // of the query,
	readers []*reader // and their threads
	conn    sync.Mutex
}

// begin waits for the engine and starts an op. Every op ends with end.
func (e *Engine) begin(ctx context.Context, what string) (*op, error) {
	select {
	case <-e.turn:
	case <-e.closing.Done():
		return nil, fmt.Errorf("duck: %s: %w", what, ErrClosed)
	case <-ctx.Done():
		return nil, fmt.Errorf("duck: %s: %w", what, interrupted(ctx, ""))
	}
	o := &op{engine: e, what: what, done: make(chan struct{}), watched: make(chan struct{})}
	o.ctx, o.cancel = context.WithCancelCause(ctx)
	o.detach = context.AfterFunc(e.closing, func() { o.cancel(ErrClosed) })
	o.stop = context.AfterFunc(o.ctx, o.interrupt)
	o.bound, e.bound = e.bound, bound{}
	e.current.Store(o)
	switch {
	case e.closing.Err() != nil:
		return nil, o.end(ErrClosed)
	case o.ctx.Err() != nil:
		return nil, o.end(interrupted(o.ctx, ""))
	case e.broken.Load():
		return nil, o.end(ErrBroken)
	}
	return o, nil
}

// interrupt runs once the op's context has ended, until the op does.
func (o *op) interrupt() {
	defer close(o.watched)
	tick := time.NewTicker(interruptEvery)
	defer tick.Stop()
	for {
		o.connection(func() { mapping.Interrupt(o.engine.conn) })
		select {
		case <-o.done:
			return
		case <-tick.C:
		}
	}
}

// connection runs f while no other f of the op does: Reset replaces the
// connection that interrupt uses.
func (o *op) connection(f func()) {
	o.conn.Lock()
	defer o.conn.Unlock()
	f()
}

// fail records the error of a callback; the first one counts.
func (o *op) fail(err error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.err == nil {
		o.err = err
	}
}

// failed is the first error of a callback.
func (o *op) failed() error {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.err
}

// end gives the engine back and says how the op ended, given how the query did:
// an interruption comes first, then a callback's own error, as it is, then err.
func (o *op) end(err error) error {
	ended := o.ctx.Err() != nil
	cause := context.Cause(o.ctx)
	close(o.done)
	if !o.stop() {
		<-o.watched
	}
	o.detach()
	o.cancel(context.Canceled)
	o.closeScans()
	o.bound.free()
	o.engine.current.Store(nil)
	o.engine.trouble(err)
	o.engine.turn <- struct{}{}

	own := o.failed()
	switch {
	case err == nil && own == nil:
		return nil
	case ended && cause == ErrClosed:
		return fmt.Errorf("duck: %s: %w", o.what, ErrClosed)
	case ended:
		return fmt.Errorf("duck: %s: %w", o.what, &Error{Type: "INTERRUPT", Message: interruptText, Position: -1, cause: cause})
	case own != nil:
		return own
	}
	return fmt.Errorf("duck: %s: %w", o.what, err)
}

const interruptText = "INTERRUPT Error: Interrupted!"

// interrupted is the error of a query whose context has ended.
func interrupted(ctx context.Context, query string) *Error {
	return &Error{Type: "INTERRUPT", Message: interruptText, Query: query, Position: -1, cause: context.Cause(ctx)}
}
