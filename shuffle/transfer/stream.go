package transfer

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"sync"
	"sync/atomic"
	"time"

	"github.com/pondmesh/pond/mesh/delay"
	"github.com/pondmesh/pond/shuffle"
)

// Stream is the blocks that one node has for one consumer.
type Stream struct {
	client *Client
	addr   string
	wants  []Want
	cancel context.CancelFunc
	done   chan struct{} // closed when run has ended

	mu     sync.Mutex
	more   sync.Cond
	queue  []item
	head   int           // queue[:head] is taken
	hungry bool          // Next waits
	fed    chan struct{} // of 1: Next has begun to wait
	err    error         // what Next returns when the queue is empty

	// The rest belongs to run.
	cur   int    // the first want not ended
	ended []bool // by want
	off   int64  // where wants[cur] has been read to
	total int64  // bytes of wants[cur], -1: not known
	moved int64  // grows with every byte and every end
	asm   assembler
	lost  *LostError                     // not yet queued
	named map[shuffle.SegmentID]struct{} // in lost
}

// item is a block, or an error that concerns only some wants.
type item struct {
	want int
	data []byte
	slab *slab
	lost *LostError
}

func newStream(c *Client, addr string, wants []Want, cancel context.CancelFunc) *Stream {
	s := &Stream{
		client: c, addr: addr, wants: wants, cancel: cancel,
		done: make(chan struct{}), fed: make(chan struct{}, 1),
		ended: make([]bool, len(wants)), total: -1,
	}
	s.more.L = &s.mu
	s.asm.stream = s
	return s
}

// Next is the next block, in order of wants and within a want in the segment's
// order. io.EOF: all wants have been answered.
//
// A *LostError concerns only the segments it names: Next may be called again
// and goes on with the other wants, io.EOF at their end. After any other error
// every call returns that error. Not for concurrent use.
func (s *Stream) Next() (Block, error) {
	s.mu.Lock()
	for s.head == len(s.queue) {
		if s.err != nil {
			s.mu.Unlock()
			return Block{}, s.err
		}
		s.queue, s.head = s.queue[:0], 0
		s.hungry = true
		select {
		case s.fed <- struct{}{}:
		default:
		}
		s.more.Wait()
	}
	s.hungry = false
	it := s.queue[s.head]
	s.queue[s.head] = item{}
	s.head++
	s.mu.Unlock()
	if it.lost != nil {
		return Block{}, it.lost
	}
	h := &holder{slab: it.slab}
	return Block{Want: it.want, Data: it.data, Release: h.release}, nil
}

// holder makes a second Release harmless.
type holder struct {
	slab     *slab
	released atomic.Bool
}

func (h *holder) release() {
	if !h.released.Swap(true) {
		h.slab.drop()
	}
}

// Close ends the stream, and closes its connection unless all has been read.
// Blocks already handed out stay valid until released. It may be called at any
// time, by any goroutine; a Next that waits returns.
func (s *Stream) Close() error {
	s.cancel()
	<-s.done
	s.finish(fmt.Errorf("transfer: fetch from %s: %w", s.addr, os.ErrClosed), true)
	return nil
}

// push queues items for Next.
func (s *Stream) push(items []item) {
	s.mu.Lock()
	if s.head > 0 && len(s.queue)+len(items) > cap(s.queue) {
		s.queue = s.queue[:copy(s.queue, s.queue[s.head:])]
		s.head = 0
	}
	s.queue = append(s.queue, items...)
	s.mu.Unlock()
	s.more.Signal()
}

// finish makes err what Next returns at the end of the queue; with purge the
// queue ends now.
func (s *Stream) finish(err error, purge bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.err = err
	if purge {
		for _, it := range s.queue[s.head:] {
			if it.slab != nil {
				it.slab.drop()
			}
		}
		s.queue, s.head = nil, 0
	}
	s.more.Broadcast()
}

// run fetches until all wants have ended. It is the stream's one goroutine.
func (s *Stream) run(ctx context.Context) {
	defer close(s.done)
	defer s.cancel()
	err := s.fetch(ctx)
	s.asm.end()
	switch {
	case ctx.Err() != nil:
		s.finish(fmt.Errorf("transfer: fetch from %s: %w", s.addr, ctx.Err()), true)
	case err != nil:
		s.finish(fmt.Errorf("transfer: fetch from %s: %w", s.addr, err), false)
	default:
		s.finish(io.EOF, false)
	}
}

// fetch makes attempts. Only progress makes up for failures.
func (s *Stream) fetch(ctx context.Context) error {
	attempt := s.remote
	if s.client.cfg.Local != nil && s.addr == s.client.cfg.LocalAddr {
		attempt = s.local
	}
	var failures int
	var busy time.Duration
	for tries := 0; s.cur < len(s.wants); tries++ {
		moved := s.moved
		err := attempt(ctx, tries > 0)
		s.asm.flush()
		s.tellLost()
		if s.moved != moved {
			failures, busy = 0, 0
		}
		if err == nil {
			continue
		}
		if ctx.Err() != nil || errors.Is(err, ErrProtocol) {
			return err
		}
		var full *busyError
		wait := time.Duration(0)
		if errors.As(err, &full) {
			wait = jitter(full.after)
			if busy += wait; busy > busyMax {
				return err
			}
		} else {
			if failures++; failures > s.client.cfg.RetriesMax {
				return err
			}
			wait = jitter(min(backoffMax, backoffFirst<<min(failures-1, 16)))
		}
		if delay.For(ctx, wait) != nil {
			return ctx.Err()
		}
	}
	return nil
}

// jitter is d, half to whole: consumers that failed together come back apart.
func jitter(d time.Duration) time.Duration { return d/2 + rand.N(d/2+1) }

// end notes that a want needs nothing more.
func (s *Stream) end(want int) {
	s.ended[want] = true
	s.moved++
	if want != s.cur {
		return
	}
	s.off, s.total = 0, -1
	for s.cur < len(s.wants) && s.ended[s.cur] {
		s.cur++
	}
}

// lose ends a want that the node cannot give.
func (s *Stream) lose(want int, reason error, detail string) {
	if want == s.cur {
		s.asm.discard()
	}
	s.end(want)
	if s.lost != nil && s.lost.Reason != reason {
		s.tellLost()
	}
	if s.lost == nil {
		s.lost = &LostError{Addr: s.addr, Reason: reason, Detail: detail}
		s.named = make(map[shuffle.SegmentID]struct{})
	}
	id := s.wants[want].Segment
	if _, ok := s.named[id]; !ok {
		s.named[id] = struct{}{}
		s.lost.Segments = append(s.lost.Segments, id)
	}
}

// tellLost queues the wants lost since the last call, as one error.
func (s *Stream) tellLost() {
	if s.lost != nil {
		s.asm.flush()
		s.push([]item{{lost: s.lost}})
		s.lost, s.named = nil, nil
	}
}

// todo are the wants not ended, as many as a request may have.
func (s *Stream) todo() []int {
	var todo []int
	for i := s.cur; i < len(s.wants) && len(todo) < DefaultWants; i++ {
		if !s.ended[i] {
			todo = append(todo, i)
		}
	}
	return todo
}

// corrupt reports whether err says that blocks do not hang together.
func corrupt(err error) bool { return errors.Is(err, shuffle.ErrCorrupt) }
