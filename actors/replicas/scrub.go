package replicas

import (
	"context"
	"errors"
	"sync"
	"time"

	"github.com/pondmesh/pond/fs"
	"github.com/pondmesh/pond/mesh/delay"
)

// Bounds of the scrub.
const (
	scrubPeriod = 7 * 24 * time.Hour // in which all copies are read
	scrubRate   = 32 << 20           // bytes a second, at most
	scrubShare  = 100                // of the period is between two passes, and looks at tombstones
)

// scrubs reads all copies, one after another, at such a pace that all are read in a
// period, and forgets tombstones whose time is over.
func (r *Replicas) scrubs() {
	for delay.For(r.ctx, r.cfg.Scrub/scrubShare) == nil {
		if err := r.scrub(r.ctx); err != nil && r.ctx.Err() == nil {
			r.log.Warn("reading all copies", "err", err)
		}
	}
}

// scrub reads all copies once, in its own time.
func (r *Replicas) scrub(ctx context.Context) error {
	size, _ := r.store.Usage()
	pace := 0.9 * float64(r.cfg.Scrub) / float64(max(size, 1)) // nanoseconds a byte
	return r.readAll(ctx, max(pace, float64(time.Second)/scrubRate), func(int64) {})
}

// readAll reads all copies once, at so many nanoseconds a byte at least, and tells how much
// of each it has read.
func (r *Replicas) readAll(ctx context.Context, pace float64, tell func(bytes int64)) error {
	now := time.Now()
	for info, err := range r.store.List("") {
		switch {
		case err != nil:
			return err
		case info.Kind == fs.KindBuried && r.cfg.Times.Expired(info.Committed, now):
			if err := r.store.Delete(info.ID); err != nil {
				return err
			}
		case info.Kind == kindCopy:
			if _, err := r.verify(ctx, info.ID); err == nil {
				r.done.scrubbedBytes.Add(info.Size)
			} else {
				if errors.Is(err, fs.ErrOffline) || ctx.Err() != nil {
					return err
				}
				r.log.Warn("a copy cannot be read", "upload", info.ID, "err", err)
			}
			tell(info.Size)
			if err := delay.For(ctx, time.Duration(pace*float64(info.Size))); err != nil {
				return err
			}
		}
	}
	return nil
}

// bucket is a token bucket of bytes.
type bucket struct {
	rate, burst float64
	mu          sync.Mutex
	tokens      float64
	last        time.Time
}

// take waits until n bytes may pass.
func (b *bucket) take(ctx context.Context, n int) error {
	b.mu.Lock()
	now := time.Now()
	if !b.last.IsZero() {
		b.tokens += now.Sub(b.last).Seconds() * b.rate
	} else {
		b.tokens = b.burst
	}
	b.last = now
	b.tokens = min(b.tokens, b.burst) - float64(n)
	wait := time.Duration(max(0, -b.tokens) / b.rate * float64(time.Second))
	b.mu.Unlock()
	if wait == 0 {
		return nil
	}
	return delay.For(ctx, wait)
}
