package transfer

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strconv"
	"time"

	"github.com/pondmesh/pond/shuffle"
)

// busyAfterMax is the longest that a busy node's Retry-After is obeyed for.
const busyAfterMax = 5 * time.Second

// busyError: the node has no stream to spare.
type busyError struct{ after time.Duration }

func (e *busyError) Error() string { return "too many streams there" }
func (e *busyError) Unwrap() error { return ErrUnavailable }

// watchdog cancels an attempt that waits too long for a byte.
type watchdog struct {
	limit time.Duration
	timer *time.Timer
}

func newWatchdog(limit time.Duration, bite func()) *watchdog {
	return &watchdog{limit, time.AfterFunc(limit, bite)}
}

func (w *watchdog) watch() { w.timer.Reset(w.limit) }
func (w *watchdog) rest()  { w.timer.Stop() }

// tap is a response's body. Before it waits for more, all that came before is
// handed on.
type tap struct {
	body  io.Reader
	asm   *assembler
	watch *watchdog
}

func (t *tap) Read(p []byte) (int, error) {
	t.asm.flush()
	t.watch.watch()
	n, err := t.body.Read(p)
	t.watch.rest()
	return n, err
}

// remote asks the node for the unfinished wants. nil: there was progress, and the
// rest can be asked for at once.
func (s *Stream) remote(ctx context.Context, careful bool) error {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	watch := newWatchdog(s.client.cfg.StallTimeout, func() { cancel(ErrStalled) })
	defer watch.rest()
	err := s.request(ctx, watch, careful)
	if err != nil && errors.Is(context.Cause(ctx), ErrStalled) && !errors.Is(err, ErrProtocol) {
		return fmt.Errorf("no byte for %v: %w", watch.limit, ErrStalled)
	}
	return err
}

func (s *Stream) request(ctx context.Context, watch *watchdog, careful bool) error {
	todo := s.todo()
	u := url.URL{Scheme: "http", Host: s.addr, Path: Path}
	if s.client.cfg.TLS != nil {
		u.Scheme = "https"
	}
	if name := ReadFor(ctx); name != "" {
		u.RawQuery = url.Values{readerParam: {name}}.Encode()
	}
	body := newRequest(s.wants, todo, s.off, careful).encode()
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, u.String(), bytes.NewReader(body))
	if err != nil {
		return fmt.Errorf("%w: %w", ErrProtocol, err) // no such address: trying again cannot help
	}
	req.Header.Set("Content-Type", requestType)
	req.Header["Idempotency-Key"] = nil // not sent: an idle connection found dead is replaced
	resp, err := s.client.send(req)
	watch.rest()
	if err != nil {
		return fmt.Errorf("%w: %w", ErrUnavailable, err)
	}
	defer func() { _ = resp.Body.Close() }() // reading is over, one way or the other
	if err := checkResponse(resp); err != nil {
		return err
	}
	br, ok := s.client.bufs.Get().(*bufio.Reader)
	if !ok {
		br = bufio.NewReaderSize(nil, readBuffer)
	}
	br.Reset(&tap{resp.Body, &s.asm, watch})
	defer func() {
		br.Reset(nil)
		s.client.bufs.Put(br)
	}()
	return s.frames(ctx, br, todo)
}

func checkResponse(resp *http.Response) error {
	switch code := resp.StatusCode; {
	case code == http.StatusServiceUnavailable && resp.Header.Get("Retry-After") != "":
		after, err := strconv.ParseUint(resp.Header.Get("Retry-After"), 10, 16)
		if err != nil {
			after = 1
		}
		return &busyError{min(max(time.Second, time.Duration(after)*time.Second), busyAfterMax)}
	case code >= http.StatusInternalServerError:
		return fmt.Errorf("status %d: %w", code, ErrUnavailable)
	case code != http.StatusOK:
		text, _ := io.ReadAll(io.LimitReader(resp.Body, maxText)) // the status says enough
		return fmt.Errorf("status %d: %s: %w", code, statusText(errors.New(string(text))), ErrProtocol)
	}
	if got := resp.Header.Get("Content-Type"); got != responseType {
		return fmt.Errorf("content type %.64q: %w", got, ErrProtocol)
	}
	return nil
}

// frames reads the answer to todo.
func (s *Stream) frames(ctx context.Context, r *bufio.Reader, todo []int) error {
	var header [frameHeaderLen]byte
	for left := len(todo); left > 0; {
		if _, err := io.ReadFull(r, header[:]); err != nil {
			return broken(err)
		}
		f, err := parseFrame(header[:])
		if err != nil {
			return err
		}
		if int64(f.want) >= int64(len(todo)) || s.ended[todo[f.want]] {
			return fmt.Errorf("frame for want %d of %d: not wanted: %w", f.want, len(todo), ErrProtocol)
		}
		want := todo[f.want]
		if f.kind == kindEnd && f.status != statusOK {
			if err := s.failed(r, want, f); err != nil {
				return err
			}
			left--
			continue
		}
		s.tellLost()
		if want != s.cur || f.offset != s.off || s.total >= 0 && s.total != f.total {
			return fmt.Errorf("frame for want %d, %d bytes at %d of %d, after want %d, %d of %d: %w",
				want, f.length, f.offset, f.total, s.cur, s.off, s.total, ErrProtocol)
		}
		s.total = f.total
		if f.kind == kindData {
			err = s.asm.feed(ctx, r, f.length)
		} else if left--; s.asm.whole() {
			s.end(want)
		} else {
			err = fmt.Errorf("the last block is cut short: %w", shuffle.ErrCorrupt)
		}
		if corrupt(err) {
			s.lose(want, shuffle.ErrCorrupt, statusText(err))
			return nil // the rest of its bytes is of no use: ask for the others
		}
		if err != nil {
			return broken(err)
		}
	}
	if r.Buffered() > 0 {
		return fmt.Errorf("%d bytes after the last frame: %w", r.Buffered(), ErrProtocol)
	}
	return nil // Close keeps the connection only if that was all there is
}

// failed ends a want with the status in f, whose text follows.
func (s *Stream) failed(r io.Reader, want int, f frame) error {
	text := make([]byte, f.length)
	if _, err := io.ReadFull(r, text); err != nil {
		return broken(err)
	}
	detail := statusText(errors.New(string(text)))
	switch f.status {
	case statusGone:
		s.lose(want, ErrGone, detail)
	case statusCorrupt:
		s.lose(want, shuffle.ErrCorrupt, detail)
	case statusDenied:
		s.lose(want, ErrDenied, detail)
	default:
		return fmt.Errorf("segment %s: %s: %w", s.wants[want].Segment, detail, ErrUnavailable)
	}
	return nil
}

// broken is a connection that ended too early.
func broken(err error) error {
	if err == io.EOF {
		err = io.ErrUnexpectedEOF
	}
	return fmt.Errorf("%w: %w", ErrUnavailable, err)
}
