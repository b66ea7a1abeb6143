package transfer

import (
	"context"
	"fmt"
	"io"

	"github.com/pondmesh/pond/shuffle"
)

// Blocks wait in the assembler before they are queued, so that small ones share
// a lock and a wake-up: at most so many, and so many bytes.
const (
	pendingMax      = 64
	pendingBytesMax = slabMax
)

// assembler cuts the bytes of wants into whole blocks. A block that was begun
// survives a broken connection.
type assembler struct {
	stream  *Stream
	slab    *slab
	begun   int   // where in slab the current block begins
	fill    int   // and how far slab is filled
	size    int64 // of the current block; 0: its header is not complete
	next    int64 // size of the slab after this one
	pending []item
	waiting int // bytes of pending
}

// feed reads n bytes of the current want from r. It keeps the stream's offset,
// also when it fails. shuffle.ErrCorrupt means that the bytes are not blocks.
func (a *assembler) feed(ctx context.Context, r io.Reader, n int64) error {
	s := a.stream
	for n > 0 {
		part := int64(a.fill - a.begun)
		goal := a.size
		if goal == 0 {
			goal = shuffle.BlockHeaderLen
		}
		if err := a.reserve(ctx, goal); err != nil {
			return err
		}
		k := min(n, goal-part)
		got, err := io.ReadFull(r, a.slab.buf[a.fill:a.fill+int(k)])
		a.fill += got
		s.off += int64(got)
		s.moved += int64(got)
		n -= int64(got)
		if err != nil {
			return err
		}
		if part+k < goal {
			continue
		}
		if a.size == 0 {
			if err := a.header(); err != nil {
				return err
			}
		}
		if int64(a.fill-a.begun) == a.size {
			a.emit()
		}
	}
	return nil
}

// header learns the size of the current block.
func (a *assembler) header() error {
	s := a.stream
	size, err := shuffle.BlockSize(a.slab.buf[a.begun:a.fill])
	if err != nil {
		return err
	}
	begin := s.off - shuffle.BlockHeaderLen
	if size > s.client.cfg.MaxBlock || size > s.total-begin {
		return fmt.Errorf("block of %d bytes at %d of %d, at most %d: %w", size, begin, s.total, s.client.cfg.MaxBlock, shuffle.ErrCorrupt)
	}
	a.size = size
	return nil
}

// reserve makes room for a current block of n bytes.
func (a *assembler) reserve(ctx context.Context, n int64) error {
	if a.slab != nil && int64(len(a.slab.buf)-a.begun) >= n {
		return nil
	}
	a.next = min(max(slabMin, a.next), slabMax)
	fresh, err := a.acquire(ctx, max(n, a.next))
	if err != nil {
		return err
	}
	a.next *= 2
	if a.slab != nil {
		copy(fresh.buf, a.slab.buf[a.begun:a.fill])
		a.slab.drop()
	}
	a.slab, a.begun, a.fill = fresh, 0, a.fill-a.begun
	return nil
}

// acquire waits until the window has room, or the consumer nothing to do.
func (a *assembler) acquire(ctx context.Context, n int64) (*slab, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	s, w := a.stream, a.stream.client.window
	_, size := slabSize(n)
	wait := w.take(size)
	if wait != nil {
		a.flush()
	}
	for ; wait != nil; wait = w.take(size) {
		if s.starving() {
			w.force(size)
			break
		}
		select {
		case <-wait:
		case <-s.fed:
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	}
	return s.client.pool.get(n, w), nil
}

// starving says whether Next waits and has nothing to wait for but this.
func (s *Stream) starving() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.hungry && s.head == len(s.queue)
}

func (a *assembler) emit() {
	a.slab.held.Add(1)
	a.pending = append(a.pending, item{want: a.stream.cur, data: a.slab.buf[a.begun:a.fill:a.fill], slab: a.slab})
	a.waiting += a.fill - a.begun
	a.begun, a.size = a.fill, 0
	if len(a.pending) >= pendingMax || a.waiting >= pendingBytesMax {
		a.flush()
	}
}

// flush queues the blocks that are whole.
func (a *assembler) flush() {
	if len(a.pending) > 0 {
		a.stream.push(a.pending)
		clear(a.pending)
		a.pending, a.waiting = a.pending[:0], 0
	}
}

// whole says whether the bytes so far end with a block's end.
func (a *assembler) whole() bool { return a.fill == a.begun }

// discard forgets the block that was begun.
func (a *assembler) discard() { a.fill, a.size = a.begun, 0 }

// end releases the buffers of the assembler.
func (a *assembler) end() {
	a.flush()
	if a.slab != nil {
		a.slab.drop()
		a.slab = nil
	}
}
