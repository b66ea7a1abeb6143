package replicas

import (
	"cmp"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"net/http"
	"slices"
	"strconv"
	"sync"
	"time"

	"github.com/pondmesh/pond/fs"
	"github.com/pondmesh/pond/fs/layout"
	"github.com/pondmesh/pond/fs/replica"
	"github.com/pondmesh/pond/mesh"
)

// Bounds of reading.
const (
	// rangeFrames is how many frames are asked of a node at once: 256 MiB.
	rangeFrames = 4096
	reportsMax  = 16 // reports of damage under way; beyond, the scrub finds it
	reportMax   = 10 * time.Minute
	// A second node is asked when a node's first bytes take longer than those of nearly
	// all reads before.
	hedgeFirst = 200 * time.Millisecond
	hedgeMin   = 20 * time.Millisecond
	hedgeMax   = 2 * time.Second
	paceKept   = 64
)

// Open reads n bytes of an upload from off on, to its end if n is negative: from this
// node's store, or from any node that has it, holders first. Every byte was checked
// against its frame's checksum. A damaged copy is reported to its holder, and the reading
// goes on with another. Errors, of Open or of a Read: replica.ErrUnavailable when nodes
// that may have it do not answer, replica.ErrLost when all have answered and none has a
// good copy. The caller closes it.
func (r *Replicas) Open(ctx context.Context, id fs.UploadID, holders []mesh.NodeID, off, n int64) (io.ReadCloser, error) {
	s, err := r.open(ctx, id, holders, off, n)
	if err != nil {
		return nil, err
	}
	return s, nil
}

func (r *Replicas) open(ctx context.Context, id fs.UploadID, holders []mesh.NodeID, off, n int64) (*stream, error) {
	if off < 0 {
		return nil, told("read", id, fmt.Errorf("at %d: %w", off, fs.ErrInvalid))
	}
	s := &stream{r: r, id: id, at: off, end: -1, want: n}
	s.ctx, s.cancel = r.within(ctx)
	l := r.Layout()
	s.fetch = replica.NewFetch(replicaNodes(holders), l.Places(layout.GroupOf(id)), r.everybody())
	s.local = true
	if err := s.begin(); err != nil {
		s.Close()
		return nil, err
	}
	return s, nil
}

// stream reads an upload from one node after another.
type stream struct {
	r      *Replicas
	id     fs.UploadID
	ctx    context.Context
	cancel context.CancelCauseFunc
	fetch  *replica.Fetch
	local  bool  // this node's own store has not been asked
	at     int64 // of the next byte
	want   int64 // bytes as they were asked for, before the size was known
	end    int64 // -1: the size is not known yet
	size   int64
	attrs  []byte
	part   *part // nil: nobody is read from
	rest   []byte
	err    error
}

// begin finds the first who has it.
func (s *stream) begin() error {
	if err := s.find(); err != nil {
		return err
	}
	s.size, s.attrs = s.part.size, s.part.attrs
	if s.at > s.size {
		return told("read", s.id, fmt.Errorf("at %d of %d bytes: %w", s.at, s.size, fs.ErrInvalid))
	}
	s.end = s.size
	if s.want >= 0 {
		s.end = min(s.size, s.at+s.want)
	}
	s.skip()
	return nil
}

// skip leaves out of the first frame what was not asked for.
func (s *stream) skip() {
	s.rest = s.part.first
	s.rest = s.rest[min(s.at%fs.FrameSize, int64(len(s.rest))):]
}

// Read implements io.Reader.
func (s *stream) Read(p []byte) (int, error) {
	for s.err == nil {
		if s.at >= s.end {
			return 0, io.EOF
		}
		if len(s.rest) > 0 {
			n := copy(p, s.rest[:min(int64(len(s.rest)), s.end-s.at)])
			s.rest = s.rest[n:]
			s.at += int64(n)
			return n, nil
		}
		s.more()
	}
	return 0, s.err
}

// more has the next frame, from whomever.
func (s *stream) more() {
	if s.part != nil {
		rest, err := s.part.next()
		if err == nil {
			s.rest = rest
			return
		}
		s.lose(err)
	}
	if s.err = s.find(); s.err != nil {
		return
	}
	s.skip()
}

// lose is a part that came to its end, or broke.
func (s *stream) lose(err error) {
	node := s.part.node
	s.part.close()
	s.part = nil
	switch {
	case s.ctx.Err() != nil:
	case errors.Is(err, io.EOF): // its range is over, and the same node has the next
		s.fetch.Return(node)
	default:
		s.fetch.Heard(node, s.r.findingOf(node, s.id, err))
	}
}

// find asks for the frame at s.at on, until somebody gives it.
func (s *stream) find() error {
	if s.local {
		s.local = false
		if p, err := s.r.localPart(s.id, s.at); err == nil {
			s.part = p
			s.fetch.Take(s.r.self())
			return nil
		} else if !errors.Is(err, fs.ErrNotFound) {
			s.fetch.Take(s.r.self())
			s.fetch.Heard(s.r.self(), s.r.findingOf(s.r.self(), s.id, err))
		}
	}
	p, err := s.r.ask(s.ctx, s.fetch, s.id, s.at, s.count())
	if err != nil {
		if s.ctx.Err() != nil {
			return context.Cause(s.ctx)
		}
		return told("read", s.id, err)
	}
	s.part = p
	return nil
}

// count is how many frames are still to be read, as far as is known.
func (s *stream) count() int64 {
	end := s.end
	if end < 0 {
		if s.want < 0 {
			return rangeFrames
		}
		end = s.at + s.want
	}
	return min(rangeFrames, max(1, frames(end)-s.at/fs.FrameSize))
}

// Close implements io.Closer.
func (s *stream) Close() error {
	if s.part != nil {
		s.part.close()
		s.part = nil
	}
	s.cancel(fs.ErrClosed)
	if s.err == nil {
		s.err = fs.ErrClosed
	}
	return nil
}

// part is a run of frames from one node.
type part struct {
	node  replica.Node
	size  int64 // of the upload
	attrs []byte
	first []byte
	next  func() ([]byte, error) // each shares memory with the one before; io.EOF after the last
	close func()
}

// localPart reads this node's own copy.
func (r *Replicas) localPart(id fs.UploadID, at int64) (*part, error) {
	whole, err := r.store.Reader(id)
	if err != nil {
		return nil, err
	}
	if k := whole.Info().Kind; k != kindCopy && k != kindCached {
		whole.Close()
		if k == fs.KindBuried {
			return nil, replica.ErrDeleted
		}
		return nil, fs.ErrNotFound
	}
	buf, frame := make([]byte, fs.FrameSize), at/fs.FrameSize
	next := func() ([]byte, error) {
		if frame >= frames(whole.Size()) {
			return nil, io.EOF
		}
		n := frameLen(whole.Size(), frame)
		_, err := whole.ReadAt(buf[:n], frame*fs.FrameSize)
		frame++
		return buf[:n], err
	}
	p := &part{node: r.self(), size: whole.Size(), attrs: whole.Info().Attrs, next: next, close: func() { whole.Close() }}
	if p.first, err = next(); err != nil && !errors.Is(err, io.EOF) {
		whole.Close()
		return nil, err
	}
	r.cache.used(id)
	return p, nil
}

// answer is what came of asking one node.
type answer struct {
	node replica.Node
	part *part
	err  error
}

// ask asks one node after another, and a second beside one that is slow, for frames at
// an offset.
func (r *Replicas) ask(ctx context.Context, f *replica.Fetch, id fs.UploadID, at, count int64) (*part, error) {
	answers, asked := make(chan answer), map[replica.Node]context.CancelCauseFunc{}
	over := make(chan struct{})
	defer close(over)
	var slow *time.Timer
	for {
		for n := f.Next(); n != ""; n = f.Next() {
			one, cancel := context.WithCancelCause(ctx)
			asked[n] = cancel
			if !r.spawn(func() { r.askOne(one, cancel, n, id, at, count, answers, over) }) {
				cancel(fs.ErrClosed)
				return nil, fs.ErrClosed
			}
			slow = time.NewTimer(r.pace.hedge())
			defer slow.Stop()
		}
		if len(asked) == 0 {
			return nil, cmp.Or(f.Err(), replica.ErrUnavailable)
		}
		select {
		case <-ctx.Done():
			return nil, context.Cause(ctx) // which ends those that are asked
		case <-slow.C:
			for n := range asked {
				f.Heard(n, replica.Slow)
			}
		case a := <-answers:
			delete(asked, a.node)
			if a.err != nil {
				f.Heard(a.node, r.findingOf(a.node, id, a.err))
				continue
			}
			for n, cancel := range asked { // they may be asked again
				cancel(errOutrun)
				f.Return(n)
			}
			return a.part, nil
		}
	}
}

var errOutrun = errors.New("another node was faster")

func (r *Replicas) askOne(ctx context.Context, cancel context.CancelCauseFunc, n replica.Node, id fs.UploadID, at, count int64, answers chan<- answer, over <-chan struct{}) {
	begun := time.Now()
	p, err := r.get(ctx, cancel, n, id, at/fs.FrameSize, count)
	if err == nil {
		r.pace.note(time.Since(begun))
	} else {
		cancel(err)
	}
	select {
	case answers <- answer{n, p, err}:
	case <-over:
		if p != nil {
			p.close()
		}
		cancel(nil)
	}
}

// get asks a node for frames, and returns once the first is here.
func (r *Replicas) get(ctx context.Context, cancel context.CancelCauseFunc, n replica.Node, id fs.UploadID, first, count int64) (*part, error) {
	if n == r.self() {
		return r.localPart(id, first*fs.FrameSize)
	}
	dog := watch(cancel)
	defer dog.rest()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, r.url(n, fmt.Sprintf("/v1/uploads/%s?frame=%d&count=%d", id, first, count)), nil)
	if err != nil {
		return nil, err
	}
	resp, err := r.do(req)
	if err != nil {
		return nil, errors.Join(err, context.Cause(ctx))
	}
	p, err := readPart(resp, dog, first, count)
	if err != nil {
		resp.Body.Close()
		return nil, errors.Join(err, context.Cause(ctx))
	}
	p.node = n
	p.close = func() { dog.rest(); cancel(nil); resp.Body.Close() }
	return p, nil
}

// readPart reads the reply's checksums, and its first frame.
func readPart(resp *http.Response, dog *watchdog, first, count int64) (*part, error) {
	switch resp.StatusCode {
	case http.StatusOK:
	case http.StatusNotFound:
		switch resp.Header.Get(whyHeader) {
		case whyCorrupt:
			return nil, fs.ErrCorrupt
		case whyDeleted:
			return nil, replica.ErrDeleted
		}
		return nil, fs.ErrNotFound
	default:
		return nil, fmt.Errorf("HTTP %d", resp.StatusCode)
	}
	size, err := strconv.ParseInt(resp.Header.Get(sizeHeader), 10, 64)
	if err != nil || size < 0 || size > fs.SizeMax {
		return nil, fmt.Errorf("an upload of %q bytes", resp.Header.Get(sizeHeader))
	}
	count = max(0, min(count, frames(size)-first))
	sums := make([]byte, crcSize*count)
	if _, err := io.ReadFull(resp.Body, sums); err != nil {
		return nil, err
	}
	buf, frame := make([]byte, fs.FrameSize), int64(0)
	p := &part{size: size}
	if p.attrs, err = readAttrs(resp.Header); err != nil {
		return nil, err
	}
	p.next = func() ([]byte, error) {
		if frame == count {
			return nil, io.EOF
		}
		dog.moved()
		defer dog.rest()
		b := buf[:frameLen(size, first+frame)]
		if _, err := io.ReadFull(resp.Body, b); err != nil {
			return nil, errors.Join(errBroken, err)
		}
		if crc32.Checksum(b, castagnoli) != binary.BigEndian.Uint32(sums[crcSize*frame:]) {
			return nil, fmt.Errorf("%w: frame %d", fs.ErrCorrupt, first+frame)
		}
		frame++
		return b, nil
	}
	if p.first, err = p.next(); err != nil && !(count == 0 && errors.Is(err, io.EOF)) {
		return nil, err
	}
	return p, nil
}

var errBroken = errors.New("the answer broke off")

// findingOf is what an error of reading from a node means. Damage is reported to it.
func (r *Replicas) findingOf(n replica.Node, id fs.UploadID, err error) replica.Finding {
	r.log.Debug("reading a copy", "upload", id, "node", n, "err", err)
	switch {
	case errors.Is(err, fs.ErrNotFound):
		return replica.Absent
	case errors.Is(err, replica.ErrDeleted):
		return replica.Deleted
	case errors.Is(err, fs.ErrCorrupt):
		r.report(n, id)
		return replica.Corrupt
	}
	return replica.Silent
}

// pace is how long first bytes took lately.
type pace struct {
	mu   sync.Mutex
	took []time.Duration // the last ones, at most paceKept
	at   int
}

func (p *pace) note(d time.Duration) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if len(p.took) < paceKept {
		p.took = append(p.took, d)
		return
	}
	p.took[p.at] = d
	p.at = (p.at + 1) % paceKept
}

// hedge is how long a node is waited for alone: as long as 19 of 20 took, or more.
func (p *pace) hedge() time.Duration {
	p.mu.Lock()
	sorted := slices.Clone(p.took)
	p.mu.Unlock()
	if len(sorted) < paceKept/4 {
		return hedgeFirst
	}
	slices.Sort(sorted)
	return min(max(2*sorted[len(sorted)*19/20], hedgeMin), hedgeMax)
}
