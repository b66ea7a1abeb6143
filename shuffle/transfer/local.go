package transfer

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"

	"github.com/pondmesh/pond/shuffle"
)

// local reads wants from the own store, through the same assembler.
func (s *Stream) local(ctx context.Context, _ bool) error {
	shelf := newShelf(s.client.cfg.Local)
	defer shelf.close()
	br, ok := s.client.bufs.Get().(*bufio.Reader)
	if !ok {
		br = bufio.NewReaderSize(nil, readBuffer)
	}
	defer func() {
		br.Reset(nil)
		s.client.bufs.Put(br)
	}()
	var spans []span
	for s.cur < len(s.wants) {
		err := ctx.Err()
		if err == nil {
			spans, err = s.localWant(ctx, shelf, br, spans)
		}
		switch {
		case err == nil:
			s.end(s.cur)
		case ctx.Err() != nil:
			return ctx.Err()
		case errors.Is(err, ErrGone):
			s.lose(s.cur, ErrGone, statusText(err))
		case errors.Is(err, ErrDenied):
			s.lose(s.cur, ErrDenied, statusText(err))
		case corrupt(err):
			s.lose(s.cur, shuffle.ErrCorrupt, statusText(err))
		default:
			return fmt.Errorf("segment %s: %w: %w", s.wants[s.cur].Segment, ErrUnavailable, err)
		}
	}
	return nil
}

// localWant reads the current want from the offset reached.
func (s *Stream) localWant(ctx context.Context, shelf *shelf, br *bufio.Reader, spans []span) ([]span, error) {
	w := s.wants[s.cur]
	seg, err := shelf.get(ctx, w.Segment)
	if err != nil {
		return spans, err
	}
	spans, s.total, err = layout(spans[:0], seg, w.Partition, s.off)
	if err != nil {
		return nil, err
	}
	s.tellLost() // before the blocks that follow
	for _, sp := range spans {
		br.Reset(io.NewSectionReader(seg, sp.offset, sp.length))
		if err := s.asm.feed(ctx, br, sp.length); err != nil {
			if ctx.Err() == nil && !corrupt(err) {
				err = fmt.Errorf("read at %d: %w: %w", s.off, shuffle.ErrCorrupt, err)
			}
			return spans, err
		}
	}
	if !s.asm.whole() {
		return spans, fmt.Errorf("the last block is cut short: %w", shuffle.ErrCorrupt)
	}
	return spans, nil
}
