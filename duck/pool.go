//go:build duckdb_arrow

package duck

import (
	"context"
	"errors"
)

// PoolConfig says what a Pool keeps.
type PoolConfig struct {
	Engine Config // of every engine; SpillDir is the parent of theirs
	Blank  int    // engines kept open and unlocked, ready for any Access
	Idle   int    // locked engines kept for the next Get with the same Access and memory
	// Setup, when set, is run on every engine once it is open (RegisterFunc).
	Setup func(ctx context.Context, e *Engine) error
}

// Pool keeps engines warm: opening one takes tens of milliseconds.
type Pool struct{}

// NewPool starts a pool, which owns one goroutine until Close.
func NewPool(c PoolConfig) *Pool { return &Pool{} }

// Get is a locked engine with that access and memory budget in bytes. The
// caller gives it back with Put, or closes it.
func (p *Pool) Get(ctx context.Context, a Access, memory int64) (*Engine, error) {
	return nil, errors.ErrUnsupported
}

// Put takes an engine back from its user: it is reset and kept, or closed.
func (p *Pool) Put(e *Engine) {}

// Close closes the engines that the pool holds and ends its goroutine. Engines
// out on Get stay their users'.
func (p *Pool) Close() error { return nil }
