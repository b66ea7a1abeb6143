package api

import (
	"bytes"
	"context"
	"fmt"
	"os"

	"github.com/pondmesh/pond/shuffle"
	"github.com/pondmesh/pond/shuffle/transfer"
)

// inline is a segment that came with the job's end. It serves its one id, to any number
// of readers.
type inline struct {
	id    string
	bytes []byte
	index *shuffle.Segment
}

// newInline is the first part of a result, if it came with it and is a segment.
func newInline(info *ResultInfo) *inline {
	if len(info.Parts) == 0 || len(info.First) == 0 {
		return nil
	}
	index, err := shuffle.OpenSegment(bytes.NewReader(info.First), int64(len(info.First)))
	if err != nil {
		return nil
	}
	return &inline{id: info.Parts[0].Segment, bytes: info.First, index: index}
}

func (in *inline) is(p ResultPart) bool { return in != nil && in.id == p.Segment }

// Open implements transfer.Source.
func (in *inline) Open(_ context.Context, id shuffle.SegmentID) (transfer.Segment, error) {
	if id.String() != in.id {
		return nil, fmt.Errorf("segment %s: %w", id, transfer.ErrGone)
	}
	return inlineSegment{bytes.NewReader(in.bytes), in.index}, nil
}

// inlineSegment implements transfer.Segment.
type inlineSegment struct {
	*bytes.Reader
	index *shuffle.Segment
}

func (s inlineSegment) Extents(partition int) ([]shuffle.Extent, error) {
	return transfer.Extents(s.index, partition), nil
}

func (s inlineSegment) File() *os.File { return nil }
func (s inlineSegment) Close() error   { return nil }
