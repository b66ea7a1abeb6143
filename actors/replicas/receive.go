package replicas

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"net/http"
	"sync"
	"sync/atomic"
	"time"

	"github.com/pondmesh/pond/fs"
	"github.com/pondmesh/pond/fs/replica"
)

const (
	batchBytes = 16 * fs.FrameSize // written at once
	// idleMax is how long bytes may fail to come. The sender, which replaces who stalls,
	// is to notice first.
	idleMax = 3 * StallMax
)

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// ServePut receives a copy, passes it on while it comes, and tells line by line what
// became of it on each node. The error is of a request that is none.
func (r *Replicas) ServePut(w http.ResponseWriter, req *http.Request) (any, error) {
	o, err := readOrder(req)
	if err != nil {
		return nil, told("receive", o.id, err)
	}
	out := newLines(w)
	defer out.open()
	select {
	case r.receiving <- struct{}{}:
		defer func() { <-r.receiving }()
	default:
		out.say(replica.Said{Node: r.self(), Outcome: replica.Busy})
		return nil, nil
	}
	ctx, cancel := r.within(req.Context())
	defer cancel(nil)
	in := &incoming{order: o, body: req.Body, conn: http.NewResponseController(w), r: r, over: make(chan struct{})}
	defer close(in.over)
	r.endStalled(ctx, o.id)
	u, err := r.create(&o)
	if errors.Is(err, fs.ErrExists) {
		r.had(ctx, out, o)
		return nil, nil
	}
	if err != nil {
		r.log.Warn("a copy is refused", "upload", o.id, "size", o.size, "err", err)
		out.say(replica.Said{Node: r.self(), Outcome: outcomeOf(err)})
		return nil, nil
	}
	defer u.Abort()
	in.u = u
	if err := in.receive(ctx, out); err != nil {
		r.log.Warn("a copy has not come", "upload", o.id, "size", o.size, "err", err)
	}
	return nil, nil
}

// create begins a copy. Segments are all on one disk.
func (r *Replicas) create(o *order) (*fs.Upload, error) {
	if o.kind == kindSegment && r.cfg.Segments != nil {
		return r.cfg.Segments.CreateCopy(o.id, o.kind, o.size)
	}
	return r.store.CreateCopy(o.id, o.kind, o.size)
}

// outcomeOf is what a node says of a copy that it could not store.
func outcomeOf(err error) replica.Outcome {
	switch {
	case err == nil:
		return replica.Stored
	case errors.Is(err, fs.ErrNoSpace):
		return replica.Full
	case errors.Is(err, fs.ErrBusy):
		return replica.Busy
	}
	return replica.Unreachable
}

// had answers for an upload that is here, or is buried here.
func (r *Replicas) had(ctx context.Context, out *lines, o order) {
	out.open()
	defer out.beat()()
	whole, outcome := r.same(o)
	if whole == nil {
		out.say(replica.Said{Node: r.self(), Outcome: outcome})
		return
	}
	defer whole.Close()
	out.say(replica.Said{Node: r.self(), Outcome: outcome})
	if len(o.chain) > 0 {
		r.passOn(ctx, o.chain, wholeSource(whole), out)
	}
}

// same is the store's own copy, if it is the one that is meant.
func (r *Replicas) same(o order) (*fs.Reader, replica.Outcome) {
	whole, err := r.store.Reader(o.id)
	switch {
	case errors.Is(err, fs.ErrNotFound), errors.Is(err, fs.ErrCorrupt):
		return nil, replica.Busy // gone meanwhile, or going: later it is received
	case err != nil:
		return nil, replica.Unreachable
	}
	if whole.Info().Kind == fs.KindBuried || whole.Digest() != o.digest {
		r.log.Error("another upload has the id of one that is sent here, or it was deleted", "upload", o.id, "kind", whole.Info().Kind)
		whole.Close()
		return nil, replica.Refused
	}
	if whole.Info().Kind == kindCached {
		if err := r.keep(o.id); err != nil {
			r.log.Warn("a cached upload cannot be kept", "upload", o.id, "err", err)
			whole.Close()
			return nil, replica.Busy
		}
	}
	return whole, replica.Had
}

// passOn sends an upload to the rest of its chain, and tells what they say.
func (r *Replicas) passOn(ctx context.Context, chain []replica.Node, src source, out *lines) {
	heard := map[replica.Node]bool{}
	err := r.sendTo(ctx, chain, src, func(s replica.Said) {
		heard[s.Node] = true
		out.say(s)
	})
	if err == nil || ctx.Err() != nil {
		return
	}
	r.log.Warn("passing a copy on", "upload", src.id, "chain", chain, "err", err)
	if !heard[chain[0]] && !errors.Is(err, errNotHere) { // those behind it have no blame
		out.say(replica.Said{Node: chain[0], Outcome: replica.Unreachable})
	}
}

// incoming is a copy that is received.
type incoming struct {
	order
	r    *Replicas
	u    *fs.Upload
	body io.ReadCloser
	conn *http.ResponseController
	here progress
	last atomic.Int64  // when bytes came, in nanoseconds
	over chan struct{} // closed when it has ended
}

// endStalled ends the receiving of an upload of which no bytes have come for long, because
// a node before this one stalls: whoever sends the upload again has heard of that.
func (r *Replicas) endStalled(ctx context.Context, id fs.UploadID) {
	r.mu.Lock()
	old := r.incoming[id]
	r.mu.Unlock()
	if old == nil || time.Since(time.Unix(0, old.last.Load())) < StallMax/2 {
		return
	}
	_ = old.conn.SetReadDeadline(time.Now())
	select {
	case <-old.over:
	case <-ctx.Done():
	case <-time.After(StallMax):
	}
}

// reads notes that an upload's bytes come in, until the returned function is called.
func (r *Replicas) reads(in *incoming) (over func()) {
	in.last.Store(time.Now().UnixNano())
	r.mu.Lock()
	defer r.mu.Unlock()
	r.incoming[in.id] = in
	return func() {
		r.mu.Lock()
		defer r.mu.Unlock()
		delete(r.incoming, in.id)
	}
}

// receive stores what comes, has it passed on beside, and tells the end of both.
func (in *incoming) receive(ctx context.Context, out *lines) error {
	in.here.more = make(chan struct{})
	var on sync.WaitGroup
	if len(in.chain) > 0 {
		written, err := in.u.Written()
		if err != nil {
			return err
		}
		defer written.Close()
		on.Go(func() { in.r.passOn(ctx, in.chain, source{order: in.order, raw: written, crc: in.here.crc}, out) })
	}
	defer on.Wait()
	err := in.read()
	if err != nil {
		in.here.fail(err)
	}
	out.open()
	stop := out.beat()
	defer stop()
	if err == nil {
		defer time.AfterFunc(commitMax, stop).Stop()
		err = in.commit()
	}
	out.say(replica.Said{Node: in.r.self(), Outcome: outcomeOf(err)})
	on.Wait()
	return err
}

// commit makes the copy durable, and hands on a segment. One that nobody takes goes again.
func (in *incoming) commit() error {
	info, err := in.u.Commit(in.attrs, true)
	if err != nil || in.kind != kindSegment {
		return err
	}
	err = errNoSegments
	if in.r.cfg.Adopt != nil {
		err = in.r.cfg.Adopt(info)
	}
	if err != nil {
		err = errors.Join(err, in.r.store.Delete(in.id))
	}
	return err
}

var errNoSegments = errors.New("this node takes no segments of others")

// read takes the body, frame by frame, into the store.
func (in *incoming) read() error {
	defer in.r.reads(in)()
	buf := make([]byte, 0, min(in.size, batchBytes))
	var crcs []uint32
	for frame, all := int64(0), frames(in.size); frame < all; frame++ {
		now := time.Now()
		in.last.Store(now.UnixNano())
		_ = in.conn.SetReadDeadline(now.Add(idleMax))
		n := frameLen(in.size, frame)
		crc, err := in.frame(buf[len(buf) : len(buf)+n])
		if err != nil {
			return err
		}
		buf, crcs = buf[:len(buf)+n], append(crcs, crc)
		if len(buf)+fs.FrameSize <= cap(buf) && frame+1 < all {
			continue
		}
		if _, err := in.u.Write(buf); err != nil {
			return err
		}
		in.here.add(crcs)
		buf, crcs = buf[:0], crcs[:0]
	}
	_ = in.conn.SetReadDeadline(time.Time{})
	if n, err := in.body.Read(make([]byte, 1)); n > 0 || !errors.Is(err, io.EOF) {
		return fmt.Errorf("%w: bytes behind the last frame, %w", fs.ErrCorrupt, err)
	}
	if sums := in.u.Sums(); sums.Digest() != in.digest {
		return fmt.Errorf("%w: its digest is %s, and not %s as was said", fs.ErrCorrupt, sums.Digest(), in.digest)
	}
	return nil
}

// frame reads one, and checks it.
func (in *incoming) frame(p []byte) (uint32, error) {
	var tail [crcSize]byte
	_, err := io.ReadFull(in.body, p)
	if err == nil {
		_, err = io.ReadFull(in.body, tail[:])
	}
	if err != nil {
		return 0, err
	}
	crc := binary.BigEndian.Uint32(tail[:])
	if crc32.Checksum(p, castagnoli) != crc {
		return 0, fmt.Errorf("%w: a frame came with another checksum", fs.ErrCorrupt)
	}
	return crc, nil
}

// progress is how many frames of an upload are here.
type progress struct {
	mu   sync.Mutex
	crcs []uint32
	err  error
	more chan struct{} // closed when there are more, or none will come
}

func (p *progress) add(crcs []uint32) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.crcs = append(p.crcs, crcs...)
	close(p.more)
	p.more = make(chan struct{})
}

func (p *progress) fail(err error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.err = err
	close(p.more)
	p.more = make(chan struct{})
}

// crc is a frame's, once that is here.
func (p *progress) crc(ctx context.Context, frame int64) (uint32, error) {
	for {
		p.mu.Lock()
		crcs, err, more := p.crcs, p.err, p.more
		p.mu.Unlock()
		switch {
		case frame < int64(len(crcs)):
			return crcs[frame], nil
		case err != nil:
			return 0, err
		}
		select {
		case <-more:
		case <-ctx.Done():
			return 0, context.Cause(ctx)
		}
	}
}
