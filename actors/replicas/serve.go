package replicas

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"syscall"
	"time"

	"github.com/pondmesh/pond/fs"
	"github.com/pondmesh/pond/fs/replica"
	"github.com/pondmesh/pond/mesh/delay"
)

// sendPiece is how many bytes go out under one deadline.
const sendPiece = 4 << 20

// ServeGet answers with a run of frames: first the checksums of all, then their bytes,
// which this node has not looked at: who asked does. HEAD tells the size and the digest.
func (r *Replicas) ServeGet(w http.ResponseWriter, req *http.Request) (any, error) {
	id, err := fs.ParseUploadID(req.PathValue("id"))
	if err != nil {
		return nil, told("read", id, err)
	}
	whole, err := r.store.Reader(id)
	switch {
	case errors.Is(err, fs.ErrCorrupt):
		r.report(r.self(), id)
		w.Header().Set(whyHeader, whyCorrupt)
		return nil, told("read", id, fs.ErrNotFound)
	case err != nil:
		return nil, told("read", id, err)
	}
	defer whole.Close()
	if k := whole.Info().Kind; k != kindCopy && k != kindCached {
		if k == fs.KindBuried {
			w.Header().Set(whyHeader, whyDeleted)
		}
		return nil, told("read", id, fs.ErrNotFound)
	}
	writeAttrs(w.Header(), whole.Info().Attrs)
	w.Header().Set(sizeHeader, strconv.FormatInt(whole.Size(), 10))
	w.Header().Set(digestHeader, whole.Digest().String())
	if req.Method == http.MethodHead {
		return nil, nil
	}
	first, err1 := strconv.ParseInt(req.URL.Query().Get("frame"), 10, 64)
	count, err2 := strconv.ParseInt(req.URL.Query().Get("count"), 10, 64)
	if errors.Join(err1, err2) != nil || first < 0 || count < 0 || count > rangeFrames {
		return nil, told("read", id, fmt.Errorf("%w: frames %q, as many as %q", fs.ErrInvalid, req.URL.Query().Get("frame"), req.URL.Query().Get("count")))
	}
	r.cache.used(id)
	if err := sendFrames(w, whole, first, max(0, min(count, frames(whole.Size())-first))); err != nil {
		r.log.Debug("sending frames", "upload", id, "err", err)
		if _, ok := errors.AsType[*readError](err); ok {
			r.report(r.self(), id)
		}
		panic(http.ErrAbortHandler) // half an answer is none
	}
	return nil, nil
}

// readError is of the disk, not of the connection.
type readError struct{ error }

func sendFrames(w http.ResponseWriter, whole *fs.Reader, first, count int64) error {
	from := first * fs.FrameSize
	n := max(0, min(count*fs.FrameSize, whole.Size()-from))
	w.Header().Set("Content-Type", "application/octet-stream")
	w.Header().Set("Content-Length", strconv.FormatInt(n+crcSize*count, 10))
	sums := make([]byte, 0, crcSize*count)
	for i := range count {
		sums = binary.BigEndian.AppendUint32(sums, whole.CRCs()[first+i])
	}
	if _, err := w.Write(sums); err != nil {
		return err
	}
	conn := http.NewResponseController(w)
	for done := int64(0); done < n; {
		_ = conn.SetWriteDeadline(time.Now().Add(idleMax))
		k := min(sendPiece, n-done)
		if err := sendBytes(w, whole, from+done, k); err != nil {
			return err
		}
		done += k
	}
	_ = conn.SetWriteDeadline(time.Time{})
	return nil
}

// sendBytes goes from the file to the socket in the kernel, if there are both.
func sendBytes(w io.Writer, whole *fs.Reader, at, n int64) error {
	var in io.Reader = &seenReader{in: io.NewSectionReader(whole.Raw(), at, n)}
	if f := whole.File(); f != nil {
		if _, err := f.Seek(at, io.SeekStart); err != nil {
			return &readError{err}
		}
		in = f
	}
	_, err := io.CopyN(w, in, n)
	if seen, ok := in.(*seenReader); errors.Is(err, io.EOF) || ok && seen.err != nil {
		return &readError{err}
	}
	return err
}

// seenReader remembers that it was the reading that failed.
type seenReader struct {
	in  io.Reader
	err error
}

func (s *seenReader) Read(p []byte) (int, error) {
	n, err := s.in.Read(p)
	if err != nil && !errors.Is(err, io.EOF) {
		s.err = err
	}
	return n, err
}

// State is what a node says of its copy, having read all of it.
type State struct {
	Held   bool   `json:"held"` // and good
	Digest string `json:"digest,omitempty"`
}

// ServeVerify reads the node's copy of an upload. A damaged one goes into quarantine.
func (r *Replicas) ServeVerify(_ http.ResponseWriter, req *http.Request) (any, error) {
	id, err := fs.ParseUploadID(req.PathValue("id"))
	if err != nil {
		return nil, told("verify", id, err)
	}
	state, err := r.verify(req.Context(), id)
	if err != nil {
		return nil, told("verify", id, err)
	}
	return state, nil
}

// A copy whose disk answers with an error is read again after a pause, so often; then it
// is as good as damaged.
const (
	eioTries = 3
	eioPause = 10 * time.Second
)

// verify reads this node's copy. The error is why nothing can be said of it.
func (r *Replicas) verify(ctx context.Context, id fs.UploadID) (State, error) {
	select { // two at once, that readers come through
	case r.verifying <- struct{}{}:
		defer func() { <-r.verifying }()
	case <-ctx.Done():
		return State{}, context.Cause(ctx)
	}
	seen := r.seen(id)
	err := r.store.Verify(ctx, id)
	for try := 1; errors.Is(err, syscall.EIO); try++ {
		r.log.Error("a copy cannot be read", "upload", id, "try", try, "err", err)
		if try == eioTries {
			return State{}, r.putAside(seen, err)
		}
		if err := delay.For(ctx, eioPause); err != nil {
			return State{}, err
		}
		err = r.store.Verify(ctx, id)
	}
	switch {
	case errors.Is(err, fs.ErrNotFound):
		return State{}, nil
	case errors.Is(err, fs.ErrCorrupt):
		return State{}, r.putAside(seen, err)
	case err != nil:
		return State{}, err
	}
	whole, err := r.store.Reader(id)
	if errors.Is(err, fs.ErrNotFound) {
		return State{}, nil
	}
	if err != nil {
		return State{}, err
	}
	defer whole.Close()
	if k := whole.Info().Kind; k != kindCopy && k != kindCached {
		return State{}, nil
	}
	return State{Held: true, Digest: whole.Digest().String()}, nil
}

// seen is what can be told of a copy before it is read: what is then said of its bytes is
// about that copy, and not about one that has come since.
func (r *Replicas) seen(id fs.UploadID) fs.Info {
	info, _ := r.store.Stat(id)
	info.ID = id
	return info
}

// putAside takes a copy that was found damaged out of use.
func (r *Replicas) putAside(seen fs.Info, why error) error {
	err := r.store.Quarantine(seen)
	if errors.Is(err, fs.ErrNotFound) {
		return nil // somebody else found it too
	}
	if err == nil {
		r.log.Error("a damaged copy is put aside", "upload", seen.ID, "err", why)
		r.done.quarantined.Add(1)
		r.cache.gone(seen.ID)
		r.nudge()
	}
	return err
}

// report has a node look at its copy, which has been found damaged.
func (r *Replicas) report(n replica.Node, id fs.UploadID) {
	select {
	case r.reporting <- struct{}{}:
	default:
		return
	}
	begun := r.spawn(func() {
		defer func() { <-r.reporting }()
		ctx, cancel := context.WithTimeout(r.ctx, reportMax)
		defer cancel()
		if _, err := r.stateAt(ctx, n, id); err != nil {
			r.log.Warn("a damaged copy is not looked at", "upload", id, "node", n, "err", err)
		}
	})
	if !begun {
		<-r.reporting
	}
}

// stateAt has a node verify its copy, and tell.
func (r *Replicas) stateAt(ctx context.Context, n replica.Node, id fs.UploadID) (State, error) {
	if n == r.self() {
		return r.verify(ctx, id)
	}
	var out State
	return out, r.call(ctx, n, "/v1/uploads/"+id.String()+"/verify", nil, &out)
}
