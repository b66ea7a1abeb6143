package transfer

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"os"
	"sync"

	"github.com/pondmesh/pond/shuffle"
)

const (
	// frameMax is the most data of a frame that is read before it is sent.
	frameMax = 256 << 10
	// aheadMax is how much is read at once for small neighbours in a segment.
	aheadMax = 64 << 10
	// sendfileMin is from where on the kernel moves a span by itself.
	sendfileMin = 256 << 10
	// sendfileSlice is the most data sent under one write deadline.
	sendfileSlice = 8 << 20
)

// sendBuffer holds the buffers of a stream; it is pooled.
type sendBuffer struct {
	out   [2 * (frameHeaderLen + frameMax)]byte // frames not yet written
	ahead [aheadMax]byte
	spans []span
}

func sendBuffers() *sync.Pool { return &sync.Pool{New: func() any { return new(sendBuffer) }} }

// sender answers one request.
type sender struct {
	ctx      context.Context
	log      *slog.Logger
	rq       *request
	shelf    *shelf
	out      *response
	sendfile bool

	failed []failure // found by plan, in order of wants
	buf    *sendBuffer
	used   int // of buf.out

	// buf.ahead holds aheadLen bytes of segment aheadOf at aheadAt.
	aheadOf  uint32
	aheadAt  int64
	aheadLen int
}

type failure struct {
	want   int
	status status
	text   string
}

func newSender(ctx context.Context, src Source, rq *request, buf *sendBuffer) *sender {
	return &sender{ctx: ctx, rq: rq, shelf: newShelf(src), buf: buf}
}

// locate is where the bytes of a want are. The spans are valid until the next
// call.
func (s *sender) locate(want int) (seg Segment, spans []span, total int64, err error) {
	a := s.rq.asks[want]
	if seg, err = s.shelf.get(s.ctx, s.rq.segments[a.segment]); err != nil {
		return nil, nil, 0, err
	}
	spans, total, err = layout(s.buf.spans[:0], seg, int(a.partition), a.offset)
	if err == nil {
		s.buf.spans = spans
	}
	return seg, spans, total, err
}

// whole is the file that the kernel is to send sp from as one frame, or nil.
func (s *sender) whole(seg Segment, sp span) *os.File {
	if !s.sendfile || sp.length < sendfileMin {
		return nil
	}
	return seg.File()
}

// plan finds the wants that cannot be answered and the length of the response. An
// error means that the consumer is gone.
func (s *sender) plan() (length int64, err error) {
	for i := range s.rq.asks {
		if err := s.ctx.Err(); err != nil {
			return 0, err
		}
		seg, spans, _, err := s.locate(i)
		length += frameHeaderLen
		if err != nil {
			text := statusText(err)
			length += int64(len(text))
			s.failed = append(s.failed, failure{i, s.explain(i, err), text})
			continue
		}
		for _, sp := range spans {
			frames := (sp.length + frameMax - 1) / frameMax
			if s.whole(seg, sp) != nil {
				frames = 1
			}
			length += frames*frameHeaderLen + sp.length
		}
	}
	return length, nil
}

// explain logs why a want cannot be answered, and classes it.
func (s *sender) explain(want int, err error) status {
	st, level := statusOf(err), slog.LevelWarn
	if st == statusGone || st == statusDenied || s.ctx.Err() != nil {
		level = slog.LevelDebug
	}
	a := s.rq.asks[want]
	s.log.Log(s.ctx, level, "transfer: want not answered", "segment", s.rq.segments[a.segment].String(), "partition", a.partition, "err", err)
	return st
}

// send writes the response: first the permanently lost wants, by reason, then the
// others in order. A temporary failure is written in its turn: the consumer stops there.
func (s *sender) send() error {
	for _, st := range []status{statusGone, statusCorrupt, statusDenied} {
		for _, f := range s.failed {
			if f.status != st {
				continue
			}
			if err := s.refuse(f.want, f.status, f.text); err != nil {
				return err
			}
		}
	}
	failed := s.failed
	for i := range s.rq.asks {
		err := s.ctx.Err()
		switch {
		case err != nil:
		case len(failed) == 0 || failed[0].want != i:
			err = s.answer(i)
		default:
			if failed[0].status == statusInternal {
				err = s.refuse(i, failed[0].status, failed[0].text)
			}
			failed = failed[1:]
		}
		if err != nil {
			return err
		}
	}
	return s.flush()
}

// refuse ends a want that cannot be answered.
func (s *sender) refuse(want int, st status, text string) error {
	f := frame{want: uint32(want), kind: kindEnd, status: st, length: int64(len(text))}
	b, err := s.begin(f, len(text))
	copy(b, text)
	return err
}

// answer sends a want. Errors are those of the connection, or of a frame that
// cannot be completed; others end the want, without the text for which plan has
// reserved no bytes.
func (s *sender) answer(want int) error {
	seg, spans, total, err := s.locate(want)
	if err != nil {
		return s.refuse(want, s.explain(want, err), "")
	}
	f := frame{want: uint32(want), kind: kindData, offset: s.rq.asks[want].offset, total: total}
	for _, sp := range spans {
		if file := s.whole(seg, sp); file != nil {
			f.length = sp.length
			if err := s.sendFile(f, file, sp); err != nil {
				return err
			}
			f.offset += f.length
			continue
		}
		for ; sp.length > 0; sp.offset, sp.length = sp.offset+f.length, sp.length-f.length {
			f.length = min(sp.length, frameMax)
			if err := s.reserve(frameHeaderLen + int(f.length)); err != nil {
				return err
			}
			at := s.buf.out[s.used+frameHeaderLen:][:f.length]
			if err := s.read(at, want, seg, sp.offset); err != nil {
				err = fmt.Errorf("%d bytes at %d: %w: %w", f.length, sp.offset, shuffle.ErrCorrupt, err)
				return s.refuse(want, s.explain(want, err), "")
			}
			f.put(s.buf.out[s.used:])
			s.used += frameHeaderLen + len(at)
			f.offset += f.length
		}
	}
	_, err = s.begin(frame{want: uint32(want), kind: kindEnd, offset: total, total: total}, 0)
	return err
}

// read fills dst. Wants that follow one another in a request often do so in
// their segment too: small ones are read together.
func (s *sender) read(dst []byte, want int, seg Segment, at int64) error {
	of := s.rq.asks[want].segment
	if s.aheadOf == of && at >= s.aheadAt && at+int64(len(dst)) <= s.aheadAt+int64(s.aheadLen) {
		copy(dst, s.buf.ahead[at-s.aheadAt:])
		return nil
	}
	next := want + 1
	if len(dst) <= aheadMax/2 && next < len(s.rq.asks) && s.rq.asks[next].segment == of {
		n, err := seg.ReadAt(s.buf.ahead[:], at)
		s.aheadOf, s.aheadAt, s.aheadLen = of, at, n
		if n < len(dst) {
			return short(err)
		}
		copy(dst, s.buf.ahead[:])
		return nil
	}
	if n, err := seg.ReadAt(dst, at); n < len(dst) {
		return short(err)
	}
	return nil
}

func short(err error) error {
	if err == nil || err == io.EOF {
		return io.ErrUnexpectedEOF
	}
	return err
}

// sendFile sends one frame with the kernel's help. When the file fails in the
// middle the connection is lost, and the consumer asks again, carefully.
func (s *sender) sendFile(f frame, file *os.File, sp span) error {
	if _, err := s.begin(f, 0); err != nil {
		return err
	}
	if err := s.flush(); err != nil {
		return err
	}
	if _, err := file.Seek(sp.offset, io.SeekStart); err != nil {
		return fmt.Errorf("send file: %w", err)
	}
	for left := sp.length; left > 0; {
		n := min(left, sendfileSlice)
		s.out.extend()
		sent, err := io.Copy(s.out.w, io.LimitReader(file, n)) // ReaderFrom: sendfile
		if err != nil {
			return fmt.Errorf("send file: %w", err)
		}
		if sent < n {
			return fmt.Errorf("send file: %w", io.ErrUnexpectedEOF)
		}
		left -= n
	}
	return nil
}

// begin puts a frame's header and makes room for n bytes after it, at most
// frameMax, which the caller fills.
func (s *sender) begin(f frame, n int) ([]byte, error) {
	if err := s.reserve(frameHeaderLen + n); err != nil {
		return nil, err
	}
	f.put(s.buf.out[s.used:])
	b := s.buf.out[s.used+frameHeaderLen:][:n]
	s.used += frameHeaderLen + n
	return b, nil
}

// reserve makes room for n bytes, at most a frame.
func (s *sender) reserve(n int) error {
	if n <= len(s.buf.out)-s.used {
		return nil
	}
	return s.flush()
}

func (s *sender) flush() error {
	if s.used == 0 {
		return nil
	}
	_, err := s.out.Write(s.buf.out[:s.used])
	s.used = 0
	return err
}
