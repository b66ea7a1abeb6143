package replicas

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"slices"
	"strconv"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/pondmesh/pond/fs"
	"github.com/pondmesh/pond/fs/replica"
	"github.com/pondmesh/pond/mesh"
	"github.com/pondmesh/pond/mesh/delay"
)

// busyPause is how long a node that takes no more at once is left alone.
const busyPause = 500 * time.Millisecond

// Put stores a file as an upload with as many copies as its class wants, this node's the
// first. The file is moved into the node's store where that is on the same disk, and
// copied and removed otherwise: nobody may write it any more. It returns once enough
// nodes have it durably; replica.ErrTooFew if there are not so many, and the upload is
// buried then.
func (r *Replicas) Put(ctx context.Context, class replica.Class, path string) (Copy, error) {
	return r.PutAs(ctx, class, path, nil)
}

// PutAs is Put of an upload that says something of itself, at most AttrsMax bytes: all its
// copies do. An error, which may be that the context has ended, leaves those that were made,
// for whoever collects what says so: by then others may have found enough of them.
func (r *Replicas) PutAs(ctx context.Context, class replica.Class, path string, attrs []byte) (Copy, error) {
	if len(attrs) > AttrsMax {
		return Copy{}, fmt.Errorf("replicas: put %s: %d bytes of attrs: %w", path, len(attrs), fs.ErrInvalid)
	}
	info, err := r.take(path, attrs)
	if err != nil {
		return Copy{}, fmt.Errorf("replicas: put %s: %w", path, err)
	}
	return r.Spread(ctx, class, info.ID)
}

// take makes a file an upload of this node's store.
func (r *Replicas) take(path string, attrs []byte) (fs.Info, error) {
	u, err := r.store.Import(kindCopy, path)
	if errors.Is(err, syscall.EXDEV) {
		u, err = r.takeCopy(path)
	}
	if err != nil {
		return fs.Info{}, err
	}
	defer u.Abort()
	return u.Commit(attrs, true)
}

// takeCopy copies a file that is on another disk.
func (r *Replicas) takeCopy(path string) (*fs.Upload, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	u, err := r.store.Create(kindCopy)
	if err != nil {
		return nil, err
	}
	_, err = io.CopyBuffer(u, struct{ io.Reader }{f}, make([]byte, batchBytes))
	if err == nil {
		err = os.Remove(path)
	}
	if err != nil {
		return nil, errors.Join(err, u.Abort())
	}
	return u, nil
}

// Spread sends an upload that this node has to the other nodes that are to hold it. It may
// be repeated: nodes that have it say so.
func (r *Replicas) Spread(ctx context.Context, class replica.Class, id fs.UploadID) (Copy, error) {
	c, err := r.spread(ctx, class, id)
	if errors.Is(err, replica.ErrTooFew) && !r.says(id) {
		if e := r.store.Bury(time.Now(), id); e != nil {
			r.log.Warn("an upload with too few copies stays", "upload", id, "err", e)
		}
	}
	if err != nil {
		return c, told("store", id, err)
	}
	if l := r.Layout(); l.Current() == nil {
		r.nudge() // now there is something to be laid out
	}
	if c.Short {
		r.log.Warn("an upload has fewer copies than it is to have", "upload", id, "holders", c.Holders, "want", class.Want)
	}
	return c, nil
}

// says reports whether an upload says something of itself, by which others may find it.
func (r *Replicas) says(id fs.UploadID) bool {
	info, err := r.store.Stat(id)
	return err != nil || len(info.Attrs) > 0
}

func (r *Replicas) spread(ctx context.Context, class replica.Class, id fs.UploadID) (Copy, error) {
	whole, err := r.store.Reader(id)
	if err != nil {
		return Copy{}, err
	}
	defer whole.Close()
	p, err := r.push(ctx, class, wholeSource(whole))
	if err != nil {
		return Copy{}, err
	}
	return Copy{ID: id, Size: whole.Size(), Holders: nodeIDs(p.Holders()), Short: p.Short()}, p.Err()
}

// Secure makes a segment of this node durable, which nobody drops meanwhile.
func (r *Replicas) Secure(id fs.UploadID) error {
	if err := r.store.Keep(id, kindSegment); err != nil {
		return told("keep", id, err)
	}
	return nil
}

// Share has other nodes hold a segment of this node too, durably and under those facts, so
// that as many as want hold it, this one among them. It returns the others: fewer if no
// more take it. beside says that nobody waits for it: it is slow enough then to be no burden.
func (r *Replicas) Share(ctx context.Context, id fs.UploadID, want int, facts []byte, beside bool) (others []mesh.NodeID, err error) {
	whole, err := r.store.Reader(id)
	if err != nil {
		return nil, told("share", id, err)
	}
	defer whole.Close()
	src := wholeSource(whole)
	if src.attrs = facts; beside {
		src.slow = &r.beside
	}
	p, err := r.push(ctx, replica.Class{Want: want, Min: 1}, src)
	if err != nil {
		return nil, err
	}
	if err := p.Err(); err != nil {
		return nil, told("share", id, err)
	}
	return nodeIDs(p.Holders()[1:]), nil
}

// push sends an upload to nodes until there are enough copies, or no node is left.
func (r *Replicas) push(ctx context.Context, class replica.Class, src source) (*replica.Push, error) {
	p := replica.NewPush(class, []replica.Node{r.self()}, r.candidates(src.id))
	for {
		chain := p.Next()
		if len(chain) == 0 {
			return p, nil
		}
		said := r.send(ctx, chain, src)
		if err := ctx.Err(); err != nil {
			return nil, context.Cause(ctx)
		}
		p.Heard(chain, said)
		r.log.Debug("a copy was sent", "upload", src.id, "chain", chain, "said", said)
		if slices.ContainsFunc(said, func(s replica.Said) bool { return s.Outcome == replica.Busy }) {
			if err := delay.For(ctx, busyPause); err != nil {
				return nil, err
			}
		}
	}
}

// source is an upload to send, of which frames may still be on their way here.
type source struct {
	order
	raw io.ReaderAt
	// crc is a frame's checksum, once the frame is there.
	crc func(ctx context.Context, frame int64) (uint32, error)
	// slow bounds how fast it goes; nil: nothing does.
	slow *bucket
}

func wholeSource(whole *fs.Reader) source {
	o := order{id: whole.Info().ID, kind: whole.Info().Kind, size: whole.Size(), digest: whole.Digest(), attrs: whole.Info().Attrs}
	return source{order: o, raw: whole.Raw(),
		crc: func(_ context.Context, frame int64) (uint32, error) { return whole.CRCs()[frame], nil }}
}

// send has a chain of nodes receive an upload, and returns what they said: those of whom
// nothing was heard are not among them.
func (r *Replicas) send(ctx context.Context, chain []replica.Node, src source) (said []replica.Said) {
	err := r.sendTo(ctx, chain, src, func(s replica.Said) { said = append(said, s) })
	if err != nil {
		r.log.Warn("sending a copy", "upload", src.id, "chain", chain, "said", said, "err", err)
	}
	return said
}

func (r *Replicas) sendTo(ctx context.Context, chain []replica.Node, src source, heard func(replica.Said)) error {
	ctx, cancel := r.within(ctx)
	defer cancel(nil)
	src.chain = chain[1:]
	dog := watch(cancel)
	defer dog.rest()
	body := &outgoing{ctx: ctx, src: src, dog: dog}
	req, err := http.NewRequestWithContext(ctx, http.MethodPut, r.url(chain[0], src.path()), body)
	if err != nil {
		return err
	}
	if req.ContentLength = bodySize(src.size); src.size == 0 {
		req.Body = http.NoBody
	}
	req.Header.Set("Expect", "100-continue")
	req.Header.Set(sizeHeader, strconv.FormatInt(src.size, 10))
	req.Header.Set(digestHeader, src.digest.String())
	writeAttrs(req.Header, src.attrs)
	if src.kind == kindSegment {
		req.Header.Set(kindHeader, kindSegment)
	}
	err = r.exchange(req, func(in io.Reader) error { return readLines(in, chain, dog.moved, heard) })
	if err == nil {
		return nil
	}
	if body.broken.Load() {
		err = errors.Join(errNotHere, err)
	}
	return errors.Join(err, context.Cause(ctx))
}

// errNotHere: the sender lacks what it was to send.
var errNotHere = errors.New("the upload broke off here")

// exchange makes a request, and has use read a good answer.
func (r *Replicas) exchange(req *http.Request, use func(io.Reader) error) error {
	resp, err := r.do(req)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		return fmt.Errorf("HTTP %d", resp.StatusCode)
	}
	return use(resp.Body)
}

// outgoing is the body of a PUT: frames, each with its checksum.
type outgoing struct {
	ctx   context.Context
	src   source
	dog   *watchdog
	frame int64
	buf   []byte
	rest  []byte // of buf, not yet read
	// broken: what is to be sent is not here, which is not the receiver's fault.
	broken atomic.Bool
}

// Read has the watchdog rest while a frame is waited for: that is not the receiver's
// doing.
func (o *outgoing) Read(p []byte) (int, error) {
	o.dog.rest()
	defer o.dog.moved()
	if len(o.rest) == 0 {
		if o.frame == frames(o.src.size) {
			return 0, io.EOF
		}
		if err := o.fill(); err != nil {
			o.broken.Store(true)
			return 0, err
		}
	}
	n := copy(p, o.rest)
	o.rest = o.rest[n:]
	return n, nil
}

func (o *outgoing) fill() error {
	crc, err := o.src.crc(o.ctx, o.frame)
	if err != nil {
		return err
	}
	if o.buf == nil {
		o.buf = make([]byte, fs.FrameSize+crcSize)
	}
	n := frameLen(o.src.size, o.frame)
	if o.src.slow != nil {
		if err := o.src.slow.take(o.ctx, n); err != nil {
			return err
		}
	}
	if got, err := o.src.raw.ReadAt(o.buf[:n], o.frame*fs.FrameSize); got < n {
		return fmt.Errorf("frame %d of upload %s: %w", o.frame, o.src.id, errors.Join(err, io.ErrUnexpectedEOF))
	}
	binary.BigEndian.PutUint32(o.buf[n:], crc)
	o.rest = o.buf[:n+crcSize]
	o.frame++
	return nil
}

// Close implements io.Closer.
func (o *outgoing) Close() error { return nil }
