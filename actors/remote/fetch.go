package remote

import (
	"cmp"
	"context"
	"errors"
	"io"
	"os"
	"slices"
	"sync"
	"time"

	"github.com/pondmesh/pond/fs/object"
)

// Bounds of fetching. Each request reads at most requestBytes; parts that are closer
// than gapBytes are read together, since a request costs as much as those.
const (
	requestsMax  = 16 // of a node, at once
	requestBytes = 8 << 20
	requestTime  = time.Minute
	requestTries = 4
	retryPause   = 200 * time.Millisecond // twice as long each time
	gapBytes     = 64 << 10
	findTime     = 2 * time.Minute
)

// span is a range of bytes: [from, to).
type span struct{ from, to int64 }

// normal is spans sorted, joined where they touch or are no further apart than gap.
func normal(list []span, gap int64) (out []span) {
	list = slices.Clone(list)
	slices.SortFunc(list, func(a, b span) int { return cmp.Or(cmp.Compare(a.from, b.from), cmp.Compare(a.to, b.to)) })
	for _, s := range list {
		switch last := len(out) - 1; {
		case s.from >= s.to:
		case last >= 0 && s.from <= out[last].to+gap:
			out[last].to = max(out[last].to, s.to)
		default:
			out = append(out, s)
		}
	}
	return out
}

// without is the parts of want that have lacks; both are normal.
func without(want, have []span) (out []span) {
	for _, w := range want {
		for _, h := range have {
			if h.to <= w.from {
				continue
			}
			if h.from >= w.to {
				break
			}
			if h.from > w.from {
				out = append(out, span{w.from, h.from})
			}
			w.from = h.to
		}
		if w.from < w.to {
			out = append(out, w)
		}
	}
	return out
}

func sum(list []span) (n int64) {
	for _, s := range list {
		n += s.to - s.from
	}
	return n
}

// lock waits until nobody else fetches parts of the entry.
func (e *entry) lock(ctx context.Context) error {
	select {
	case e.fetch <- struct{}{}:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

func (e *entry) unlock() { <-e.fetch }

// bring fetches what is missing of spans. The entry is locked.
func (c *Cache) bring(ctx context.Context, e *entry, want []span) error {
	missing := without(normal(want, 0), e.have)
	if len(missing) == 0 {
		return nil
	}
	missing = without(normal(missing, gapBytes), e.have)
	if err := c.reserve(e, sum(missing)); err != nil {
		return err
	}
	f, err := os.OpenFile(e.local, os.O_WRONLY, 0)
	if err == nil {
		err = errors.Join(c.fetchAll(ctx, e, f, missing), f.Close())
	} else {
		err = diskError(e.object.Name, err)
	}
	if err != nil {
		c.free(e, sum(missing))
		return err
	}
	e.have = normal(slices.Concat(e.have, missing), 0)
	return nil
}

// fetchAll fetches spans, some at a time.
func (c *Cache) fetchAll(ctx context.Context, e *entry, f *os.File, list []span) error {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	var group sync.WaitGroup
	for _, s := range list {
		for ; s.from < s.to; s.from += requestBytes {
			part := span{s.from, min(s.from+requestBytes, s.to)}
			select {
			case c.turns <- struct{}{}:
			case <-ctx.Done():
				group.Wait()
				return failure(ctx, context.Cause(ctx))
			}
			group.Go(func() {
				defer func() { <-c.turns }()
				if err := c.fetchPart(ctx, e.object, f, part); err != nil {
					cancel(err)
				}
			})
		}
	}
	group.Wait()
	return context.Cause(ctx)
}

// fetchPart fetches one span, again where its place does not answer.
func (c *Cache) fetchPart(ctx context.Context, o object.Object, f *os.File, s span) error {
	pause := retryPause
	for try := 1; ; try++ {
		err := c.request(ctx, o, f, s)
		if err == nil || !errors.Is(err, object.ErrUnavailable) || try == requestTries || ctx.Err() != nil {
			return failure(ctx, err)
		}
		c.c.Log.Info("a part of an object is asked for again", "object", o.Name, "from", s.from, "to", s.to, "try", try, "err", err)
		select {
		case <-time.After(pause):
			pause *= 2
		case <-ctx.Done():
			return failure(ctx, err)
		}
	}
}

// request asks once, for so long.
func (c *Cache) request(ctx context.Context, o object.Object, f *os.File, s span) error {
	source, err := c.source("read", o.Name)
	if err != nil {
		return err
	}
	late := &object.Error{Op: "read", Name: o.Name, Kind: object.ErrUnavailable, Detail: "no whole answer within " + requestTime.String()}
	limited, cancel := context.WithTimeoutCause(ctx, requestTime, late)
	defer cancel()
	r, err := source.Open(limited, o, s.from, s.to-s.from)
	if err == nil {
		w := &diskWriter{w: io.NewOffsetWriter(f, s.from)}
		_, err = io.Copy(w, r)
		r.Close()
		if w.err != nil {
			return diskError(o.Name, w.err)
		}
	}
	if err != nil && limited.Err() != nil && ctx.Err() == nil {
		return late
	}
	return err
}

// diskWriter keeps the error of the disk apart from that of the network.
type diskWriter struct {
	w   io.Writer
	err error
}

func (d *diskWriter) Write(p []byte) (n int, err error) {
	n, d.err = d.w.Write(p)
	return n, d.err
}
