package journal

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"sync"

	"github.com/pondmesh/pond/actors/plan"
	"github.com/pondmesh/pond/fs"
	"github.com/pondmesh/pond/shuffle"
	"github.com/pondmesh/pond/shuffle/transfer"
)

// openSegmentsMax bounds the indexes that are kept in memory.
const openSegmentsMax = 512

// openSegment is a segment's index, kept while it is asked for often. It closes
// when refs comes to 0, whether or not the segment has been deleted.
type openSegment struct {
	r    Reader
	seg  *shuffle.Segment
	refs int   // segmentRefs, and one while it stands in Segments.open
	used int64 // Segments.clock when last asked for: the oldest gives way
}

// Open implements transfer.Source. A segment that cannot be read is dropped.
func (s *Segments) Open(ctx context.Context, id shuffle.SegmentID) (transfer.Segment, error) {
	o, err := s.acquire(id)
	if err != nil {
		return nil, s.judge(id, err)
	}
	job := readFor(ctx)
	s.noteRead(job)
	return &segmentRef{s: s, id: id, o: o, job: job}, nil
}

// acquire is a segment's index, with one more user.
func (s *Segments) acquire(id shuffle.SegmentID) (*openSegment, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.clock++
	if o := s.open[id]; o != nil {
		o.refs++
		o.used = s.clock
		return o, nil
	}
	r, err := s.store.Reader(fs.UploadID(id))
	if err != nil {
		return nil, err
	}
	seg, err := shuffle.OpenSegment(r, r.Size())
	if err != nil {
		r.Close()
		return nil, err
	}
	o := &openSegment{r: r, seg: seg, refs: 2, used: s.clock}
	s.open[id] = o
	s.trim()
	return o, nil
}

// Schema is a segment's Arrow schema, encoded.
func (s *Segments) Schema(ctx context.Context, id shuffle.SegmentID) ([]byte, error) {
	r, err := s.ref(ctx, id)
	if err != nil {
		return nil, err
	}
	defer r.Close()
	return shuffle.EncodeSchema(r.o.seg.Schema())
}

// Parts is the rows and bytes of each of a segment's partitions.
func (s *Segments) Parts(ctx context.Context, id shuffle.SegmentID) (*plan.SegmentInfo, error) {
	r, err := s.ref(ctx, id)
	if err != nil {
		return nil, err
	}
	defer r.Close()
	sum := r.o.seg.Summary()
	return &plan.SegmentInfo{Rows: sum.PartitionRows, Bytes: sum.PartitionBytes}, nil
}

func (s *Segments) ref(ctx context.Context, id shuffle.SegmentID) (*segmentRef, error) {
	r, err := s.Open(ctx, id)
	if err != nil {
		return nil, lostError(id, err)
	}
	return r.(*segmentRef), nil
}

// trim closes the least recently used segment beyond the bound; the lock is held.
func (s *Segments) trim() {
	if len(s.open) <= openSegmentsMax {
		return
	}
	var oldest shuffle.SegmentID
	age := int64(-1)
	for id, o := range s.open {
		if age < 0 || o.used < age {
			oldest, age = id, o.used
		}
	}
	o := s.open[oldest]
	delete(s.open, oldest)
	s.release(o)
}

// closeIdle closes the segments that are kept open for no job: without it, files of
// jobs long ended would stay open up to the bound. The lock is held.
func (s *Segments) closeIdle() {
	busy := map[string]bool{}
	for _, stages := range s.inUse {
		for stage := range stages {
			for _, h := range s.byStage[stage] {
				busy[h.Segment] = true
			}
		}
	}
	for id, o := range s.open {
		if !busy[id.String()] {
			delete(s.open, id)
			s.release(o)
		}
	}
}

// release drops one use; the lock is held.
func (s *Segments) release(o *openSegment) {
	if o.refs--; o.refs == 0 {
		o.r.Close()
	}
}

// segmentRef is one user's hold on an open segment.
type segmentRef struct {
	s    *Segments
	id   shuffle.SegmentID
	o    *openSegment
	own  Reader     // opened by File, whose position is nobody else's
	job  plan.JobID // whose rows are read; empty: none's
	once sync.Once
}

func (r *segmentRef) Extents(partition int) ([]shuffle.Extent, error) {
	if partition < transfer.AllPartitions || partition >= r.o.seg.Partitions() {
		return nil, fmt.Errorf("partition %d of %d: %w", partition, r.o.seg.Partitions(), transfer.ErrGone)
	}
	return transfer.Extents(r.o.seg, partition), nil
}

func (r *segmentRef) Partitions() int { return r.o.seg.Partitions() }

// ReadAt is io.ReaderAt. A segment that cannot be read is dropped.
func (r *segmentRef) ReadAt(p []byte, off int64) (int, error) {
	n, err := r.o.r.ReadAt(p, off)
	if err != nil && !errors.Is(err, io.EOF) {
		err = r.s.judge(r.id, err)
	}
	return n, err
}

// File opens the segment once more: the caller moves the file's position, so it
// can be no other user's.
func (r *segmentRef) File() *os.File {
	if r.own == nil {
		own, err := r.s.store.Reader(r.o.r.Info().ID)
		if err != nil {
			return nil // deleted meanwhile: the open file is read instead
		}
		r.own = own
	}
	return r.own.File()
}

func (r *segmentRef) Close() error {
	r.once.Do(func() {
		if r.own != nil {
			r.own.Close()
		}
		r.s.noteRead(r.job)
		r.s.mu.Lock()
		defer r.s.mu.Unlock()
		r.s.release(r.o)
		if len(r.s.inUse) == 0 { // a result was read: nobody else will close it
			r.s.closeIdle()
		}
	})
	return nil
}
