package journal

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strings"
	"syscall"

	"github.com/pondmesh/pond/actors/api"
	"github.com/pondmesh/pond/actors/plan"
	"github.com/pondmesh/pond/fs"
	"github.com/pondmesh/pond/shuffle"
	"github.com/pondmesh/pond/shuffle/transfer"
)

// passing are the errors after which another read may succeed. After any other the
// segment counts as damaged: keeping it would offer it again for ever, and dropping
// it costs one rerun of its task.
var passing = []error{fs.ErrClosed, os.ErrClosed, context.Canceled, context.DeadlineExceeded,
	syscall.EMFILE, syscall.ENFILE, syscall.ENOMEM, syscall.EINTR, syscall.EAGAIN}

func passes(err error) bool {
	for _, p := range passing {
		if errors.Is(err, p) {
			return true
		}
	}
	return false
}

// judge gives an error of reading a segment its class for readers, and drops the
// segment when it is damaged or no longer there. Of a store that is offline nothing
// can be read or dropped: a restart may bring its segments back.
func (s *Segments) judge(id shuffle.SegmentID, err error) error {
	class := shuffle.ErrCorrupt
	switch {
	case passes(err):
		return fmt.Errorf("segment %s: %w", id, err)
	case errors.Is(err, fs.ErrOffline):
		return fmt.Errorf("segment %s: %w: %w", id, transfer.ErrGone, err)
	case errors.Is(err, fs.ErrNotFound):
		class = transfer.ErrGone
	}
	s.dropDamaged(id, err)
	return fmt.Errorf("segment %s: %w: %w", id, class, err)
}

// dropDamaged gives up a segment and says so, once.
func (s *Segments) dropDamaged(id shuffle.SegmentID, why error) {
	s.mu.Lock()
	h, ok := s.find(id.String())
	if ok {
		s.forget(h.Stage, h.Segment)
	}
	s.mu.Unlock()
	if !ok {
		return
	}
	s.log.Warn("dropped a damaged segment: its task runs again when its rows are needed",
		"segment", h.Segment, "stage", h.Stage, "task", h.Partition, "job", h.Job, "bytes", h.Bytes, "err", why)
	s.remove([]fs.UploadID{fs.UploadID(id)})
}

// find looks for a segment in the index; the lock is held.
func (s *Segments) find(segment string) (api.Held, bool) {
	for _, hs := range s.byStage {
		for _, h := range hs {
			if h.Segment == segment {
				return h, true
			}
		}
	}
	return api.Held{}, false
}

// checkBuffer is how much of a segment Check reads at a time.
const checkBuffer = 256 << 10

// Check reads a segment from end to end, from the file as it is now: one that is
// open stays readable when its file is gone. One that is damaged is dropped, and
// the error is plan.ErrFetch.
func (s *Segments) Check(ctx context.Context, id shuffle.SegmentID) error {
	r, err := s.store.Reader(fs.UploadID(id))
	if err != nil {
		return lostError(id, s.judge(id, err))
	}
	defer r.Close()
	size := r.Size()
	buf := make([]byte, min(size, checkBuffer))
	for at := int64(0); at < size; at += int64(len(buf)) {
		if err := ctx.Err(); err != nil {
			return context.Cause(ctx)
		}
		part := buf[:min(int64(len(buf)), size-at)]
		if n, err := r.ReadAt(part, at); n < len(part) {
			return lostError(id, s.judge(id, err))
		}
	}
	return nil
}

// Small is all bytes of a segment, which a client has asked for the result of a job: nil if
// they are more than so many.
func (s *Segments) Small(id shuffle.SegmentID, job plan.JobID, most int64) ([]byte, error) {
	r, err := s.store.Reader(fs.UploadID(id))
	if err != nil {
		return nil, lostError(id, s.judge(id, err))
	}
	defer r.Close()
	if r.Size() > most {
		return nil, nil
	}
	all := make([]byte, r.Size())
	if n, err := r.ReadAt(all, 0); n < len(all) {
		return nil, lostError(id, s.judge(id, err))
	}
	s.noteRead(job)
	return all, nil
}

// lostError turns err into the error of a request for one segment: a plan.Error of
// kind fetch if it is gone or damaged.
func lostError(id shuffle.SegmentID, err error) error {
	if !errors.Is(err, transfer.ErrGone) && !errors.Is(err, shuffle.ErrCorrupt) {
		return err
	}
	text := strings.TrimPrefix(err.Error(), "segment "+id.String()+": ")
	text = strings.Replace(text, "fs: read "+id.String(), "read", 1)
	return &plan.Error{Kind: plan.KindFetch, Op: "read segment", Subject: id.String(), Text: text}
}
