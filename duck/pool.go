//go:build duckdb_arrow

package duck

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"slices"
	"sync"
	"time"

	"github.com/pondmesh/pond/duck/lexer"
	"github.com/pondmesh/pond/duck/vec"
)

// PoolConfig bounds the engines that a Pool keeps.
type PoolConfig struct {
	Engine Config // of every engine; SpillDir is the parent of theirs
	Blank  int    // engines kept open and unlocked, ready for any Options
	Idle   int    // locked engines kept for the next Get of the same Options
	// Setup, when set, is run on every engine once it is open. It is for
	// RegisterFunc: whatever else it makes is dropped between two users.
	Setup func(ctx context.Context, e *Engine) error
}

// Pool keeps engines warm: opening one takes tens of milliseconds. It bounds
// the engines it keeps, not those that are out.
type Pool struct {
	config PoolConfig
	ctx    context.Context // ends with Close
	cancel context.CancelFunc
	wake   chan struct{} // tells tend that a blank engine was taken, or one is to be closed
	used   chan struct{} // tells tend that an engine came back
	done   chan struct{} // closed when tend has ended

	mu     sync.Mutex
	blank  []*Engine
	idle   []*Engine // least recently used first
	out    int       // engines that users have
	over   []*Engine // to be closed
	closed bool
}

// resetTime bounds how long Put may take to clean an engine before it is
// closed instead.
const resetTime = 10 * time.Second

// Opening an engine takes a core for 10 to 20 ms, and closing one some too, so both
// happen between queries: when no engine is out and none has come or gone for
// tidyPause. After tidyMax they happen in any case.
const (
	tidyPause = 50 * time.Millisecond
	tidyMax   = time.Second
	overMax   = 8 // engines that wait to be closed
)

// NewPool starts a pool, which owns one goroutine until Close.
func NewPool(c PoolConfig) *Pool {
	if c.Engine.Log == nil {
		c.Engine.Log = slog.New(slog.DiscardHandler)
	}
	p := &Pool{config: c, wake: make(chan struct{}, 1), used: make(chan struct{}, 1), done: make(chan struct{})}
	p.ctx, p.cancel = context.WithCancel(context.Background())
	go p.tend()
	return p
}

// tend keeps Blank engines open, and closes those that are too many.
func (p *Pool) tend() {
	defer close(p.done)
	p.refill()
	var tidy <-chan time.Time
	var since time.Time // there has been something to tidy
	for {
		select {
		case <-p.ctx.Done():
			return
		case <-p.wake:
			if tidy == nil {
				since = time.Now()
			}
			tidy = tidyAfter(since)
		case <-p.used:
			if tidy != nil {
				tidy = tidyAfter(since)
			}
		case <-tidy:
			if tidy = nil; p.busy() && time.Since(since) < tidyMax {
				tidy = tidyAfter(since)
				continue
			}
			p.refill()
			p.closeOver()
		}
	}
}

// tidyAfter is when to look next whether to tidy, of what there has been to tidy
// since then.
func tidyAfter(since time.Time) <-chan time.Time {
	return time.After(min(tidyPause, tidyMax-time.Since(since)))
}

// closeOver closes the surplus engines.
func (p *Pool) closeOver() {
	p.mu.Lock()
	over := p.over
	p.over = nil
	p.mu.Unlock()
	for _, e := range over {
		p.discard(e)
	}
}

// refill opens blank engines until there are enough. After a failure it waits to
// be woken.
func (p *Pool) refill() {
	for p.short() {
		e, err := p.open(p.ctx)
		if err != nil {
			if p.ctx.Err() == nil {
				p.config.Engine.Log.Warn("duck: pool", "error", err)
			}
			break
		}
		p.keep(&p.blank, e, p.config.Blank)
	}
}

// Warm opens a blank engine beyond those that are kept open, and rehearses with it: one
// that is taken from the pool is not replaced then. One that fails at that, as on a full
// disk, is closed, and others are opened when they are needed.
func (p *Pool) Warm(ctx context.Context) error {
	e, err := p.open(ctx)
	if err != nil {
		return err
	}
	if err := e.rehearse(ctx); err != nil {
		p.config.Engine.Log.Debug("duck: pool", "error", err)
		p.discard(e)
		return nil
	}
	p.keep(&p.blank, e, p.config.Blank+1)
	return nil
}

// notify wakes the receiver of c, without blocking.
func notify(c chan struct{}) {
	select {
	case c <- struct{}{}:
	default:
	}
}

// busy reports whether users have engines.
func (p *Pool) busy() bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.out > 0
}

func (p *Pool) short() bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return !p.closed && len(p.blank) < p.config.Blank
}

// keep appends e to list. When that is too many, the oldest is closed, soon.
func (p *Pool) keep(list *[]*Engine, e *Engine, most int) {
	if now := p.replace(list, e, most); now != nil {
		p.discard(now)
	}
}

// replace is keep but for an engine that has to be closed now.
func (p *Pool) replace(list *[]*Engine, e *Engine, most int) *Engine {
	p.mu.Lock()
	defer p.mu.Unlock()
	*list = append(*list, e)
	if !p.closed && len(*list) <= most {
		return nil
	}
	oldest := (*list)[0]
	*list = (*list)[1:]
	if p.closed || len(p.over) == overMax {
		return oldest
	}
	p.over = append(p.over, oldest)
	notify(p.wake)
	return nil
}

func (p *Pool) discard(e *Engine) {
	if err := e.Close(); err != nil {
		p.config.Engine.Log.Warn("duck: pool", "error", err)
	}
}

// open starts an engine with a spill directory of its own.
func (p *Pool) open(ctx context.Context) (*Engine, error) {
	c := p.config.Engine
	if c.SpillDir != "" {
		if err := os.MkdirAll(c.SpillDir, 0o700); err != nil {
			return nil, fmt.Errorf("duck: open: %w", err)
		}
		dir, err := os.MkdirTemp(c.SpillDir, "engine-")
		if err != nil {
			return nil, fmt.Errorf("duck: open: %w", err)
		}
		c.SpillDir = dir
	}
	e, err := Open(ctx, c)
	if err != nil {
		if c.SpillDir != "" {
			_ = os.Remove(c.SpillDir)
		}
		return nil, err
	}
	if p.config.Setup != nil {
		if err := p.config.Setup(ctx, e); err != nil {
			p.discard(e)
			return nil, err
		}
	}
	return e, nil
}

// Options are the settings that an engine is locked to for its user. A zero Memory
// or Threads means that of PoolConfig.Engine.
type Options struct {
	Access
	Memory     int64  // bytes
	Threads    int    // of DuckDB
	Optimizers string // those that are switched off, with commas between
	// Grouped: the rows of a COPY with PARTITION_BY come folder by folder, so few
	// files need to be open, and few rows to wait for others of their folder.
	Grouped bool
}

// Get returns an engine locked to o. The caller gives it back with Put, even when
// it has closed it.
func (p *Pool) Get(ctx context.Context, o Options) (*Engine, error) {
	e, err := p.get(ctx, o)
	if err == nil {
		p.lent(1)
	}
	return e, err
}

func (p *Pool) lent(n int) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.out += n
}

func (p *Pool) get(ctx context.Context, o Options) (*Engine, error) {
	o.Memory = cmp.Or(o.Memory, p.config.Engine.Memory)
	o.Threads = cmp.Or(o.Threads, p.config.Engine.Threads)
	key := fmt.Sprintf("%q %q %t %d %d %q %t", o.Dirs, o.Files, o.Ordered, o.Memory, o.Threads, o.Optimizers, o.Grouped)
	e, err := p.take(key)
	if err != nil {
		return nil, err
	}
	if e != nil && e.poolKey == key {
		return e, nil
	}
	if e == nil {
		if e, err = p.open(ctx); err != nil {
			return nil, err
		}
	}
	if err := e.lockTo(ctx, o); err != nil {
		p.discard(e)
		return nil, err
	}
	e.poolKey = key
	return e, nil
}

// lockTo locks a blank engine to o.
func (e *Engine) lockTo(ctx context.Context, o Options) error {
	var set []string
	if o.Memory > 0 && o.Memory != e.config.Memory {
		set = append(set, setMemory(o.Memory))
	}
	if o.Threads > 0 && o.Threads != e.config.Threads {
		set = append(set, fmt.Sprintf("SET GLOBAL threads = %d", o.Threads))
	}
	if o.Optimizers != "" {
		set = append(set, "SET GLOBAL disabled_optimizers = "+lexer.QuoteText(o.Optimizers))
	}
	if o.Grouped {
		set = append(set, openFiles(groupedFilesMax), fmt.Sprintf("SET GLOBAL partitioned_write_flush_threshold = %d", vec.MaxRows))
	}
	if err := e.configure(ctx, "set up", set...); err != nil {
		return err
	}
	return e.Lock(ctx, o.Access)
}

// take returns an idle engine of key, else a blank one, else nil.
func (p *Pool) take(key string) (*Engine, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.closed {
		return nil, fmt.Errorf("duck: pool: %w", ErrClosed)
	}
	for i := len(p.idle) - 1; i >= 0; i-- {
		if e := p.idle[i]; e.poolKey == key {
			p.idle = append(p.idle[:i], p.idle[i+1:]...)
			return e, nil
		}
	}
	n := len(p.blank)
	if n == 0 {
		return nil, nil
	}
	e := p.blank[n-1]
	p.blank = p.blank[:n-1]
	notify(p.wake)
	return e, nil
}

// Put takes an engine back from its user: it is reset and kept, or closed.
func (p *Pool) Put(e *Engine) {
	defer p.lent(-1)
	if e.poolKey == "" || p.config.Idle == 0 {
		p.discard(e)
		return
	}
	ctx, cancel := context.WithTimeout(p.ctx, resetTime)
	defer cancel()
	if err := e.Reset(ctx); err != nil {
		if !errors.Is(err, ErrClosed) && p.ctx.Err() == nil {
			p.config.Engine.Log.Warn("duck: pool", "error", err)
		}
		p.discard(e)
		return
	}
	p.keep(&p.idle, e, p.config.Idle)
	notify(p.used)
}

// Close closes the engines that the pool holds and ends its goroutine. Engines
// out on Get stay their users'; Put closes them.
func (p *Pool) Close() error {
	p.cancel()
	<-p.done
	p.mu.Lock()
	p.closed = true
	all := slices.Concat(p.blank, p.idle, p.over)
	p.blank, p.idle, p.over = nil, nil, nil
	p.mu.Unlock()
	var err error
	for _, e := range all {
		err = errors.Join(err, e.Close())
	}
	return err
}
