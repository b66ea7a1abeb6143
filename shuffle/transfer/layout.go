package transfer

import (
	"context"
	"errors"
	"fmt"

	"github.com/pondmesh/pond/shuffle"
)

// maxOpen is how many segments a stream keeps open; more are opened again when
// their turn comes.
const maxOpen = 64

// shelf keeps segments open between uses.
type shelf struct {
	src  Source
	open map[shuffle.SegmentID]Segment
}

func newShelf(src Source) *shelf {
	return &shelf{src: src, open: make(map[shuffle.SegmentID]Segment)}
}

// get is the segment, open until the shelf is closed or too full.
func (s *shelf) get(ctx context.Context, id shuffle.SegmentID) (Segment, error) {
	if seg := s.open[id]; seg != nil {
		return seg, nil
	}
	seg, err := s.src.Open(ctx, id)
	if err != nil {
		return nil, err
	}
	if len(s.open) >= maxOpen {
		s.close()
	}
	s.open[id] = seg
	return seg, nil
}

func (s *shelf) close() {
	for id, seg := range s.open {
		_ = seg.Close() // opened for reading: nothing can be lost
		delete(s.open, id)
	}
}

// span is bytes of a segment to be sent.
type span struct{ offset, length int64 }

// layout is where the bytes of a want stand from offset on, adjacent extents as
// one, and how many it has in all. It appends to spans.
func layout(spans []span, seg Segment, partition int, offset int64) ([]span, int64, error) {
	extents, err := seg.Extents(partition)
	if err != nil {
		return nil, 0, err
	}
	var total int64
	skip := offset
	for _, e := range extents {
		if e.Offset < 0 || e.Length < 0 || e.Offset > maxWantBytes || e.Length > maxWantBytes-total {
			return nil, 0, fmt.Errorf("extent of %d bytes at %d: %w", e.Length, e.Offset, shuffle.ErrCorrupt)
		}
		total += e.Length
		if skip >= e.Length {
			skip -= e.Length
			continue
		}
		sp := span{e.Offset + skip, e.Length - skip}
		skip = 0
		if n := len(spans); n > 0 && spans[n-1].offset+spans[n-1].length == sp.offset {
			spans[n-1].length += sp.length
			continue
		}
		spans = append(spans, sp)
	}
	if offset > total {
		return nil, 0, fmt.Errorf("offset %d of %d bytes: not the segment it was: %w", offset, total, shuffle.ErrCorrupt)
	}
	return spans, total, nil
}

// Extents are those of a partition of s, or of AllPartitions in order.
func Extents(s *shuffle.Segment, partition int) []shuffle.Extent {
	if partition != AllPartitions {
		return s.Extents(partition)
	}
	var all []shuffle.Extent
	for p := range s.Partitions() {
		all = append(all, s.Extents(p)...)
	}
	return all
}

// statusOf says how an error of a Source or Segment travels.
func statusOf(err error) status {
	switch {
	case errors.Is(err, ErrGone):
		return statusGone
	case errors.Is(err, shuffle.ErrCorrupt):
		return statusCorrupt
	case errors.Is(err, ErrDenied):
		return statusDenied
	}
	return statusInternal
}
