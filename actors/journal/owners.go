package journal

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"

	"github.com/pondmesh/pond/actors/api"
	"github.com/pondmesh/pond/shuffle"
	"github.com/pondmesh/pond/shuffle/transfer"
)

// For is what of the segments a caller may read who is no node: those made by jobs of
// owners that owns accepts. Others are transfer.ErrDenied.
func (s *Segments) For(owns func(owner string) bool) transfer.Source { return owned{s, owns} }

type owned struct {
	*Segments
	owns func(owner string) bool
}

// Open implements transfer.Source.
func (o owned) Open(ctx context.Context, id shuffle.SegmentID) (transfer.Segment, error) {
	if err := o.check(id, o.owns); err != nil {
		return nil, err
	}
	return o.Segments.Open(ctx, id)
}

// Allow is nil if a segment is one of For, else a plan.Error: of kind denied, or fetch if
// the segment is gone or damaged.
func (s *Segments) Allow(id shuffle.SegmentID, owns func(owner string) bool) error {
	err := s.check(id, owns)
	if errors.Is(err, transfer.ErrDenied) {
		return api.Foreign("read segment", id.String())
	}
	return lostError(id, err)
}

// check is nil, transfer.ErrDenied, or why the segment cannot be read.
func (s *Segments) check(id shuffle.SegmentID, owns func(owner string) bool) error {
	o, err := s.acquire(id)
	if err != nil {
		return s.judge(id, err)
	}
	facts := o.r.Info().Attrs
	s.mu.Lock()
	s.release(o)
	s.mu.Unlock()
	var h struct{ Owner string }
	if err := json.Unmarshal(facts, &h); err != nil {
		return fmt.Errorf("segment %s: its facts: %w: %w", id, transfer.ErrDenied, err)
	}
	if !owns(h.Owner) {
		return fmt.Errorf("segment %s: %w: it is another user's", id, transfer.ErrDenied)
	}
	return nil
}
