package transfer

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"

	"github.com/pondmesh/pond/shuffle"
)

// Path is where [Handler] answers and [Client] asks.
const Path = "/v1/blocks"

// AllPartitions as a Want's Partition asks for all of a segment's partitions,
// in order.
const AllPartitions = -1

// The errors of a transfer, for errors.Is. Errors of a context are returned unchanged.
var (
	// ErrGone: the node does not hold the segment (any longer). It comes in a
	// [LostError].
	ErrGone = errors.New("segment gone")
	// ErrDenied: the segment is not the caller's to read. It comes in a [LostError].
	ErrDenied = errors.New("segment denied")
	// ErrStalled: no byte came for the stall timeout, and retries did not help.
	ErrStalled = errors.New("transfer stalled")
	// ErrUnavailable: the node cannot be reached, is too busy, or fails, and
	// retries did not help.
	ErrUnavailable = errors.New("node unavailable")
	// ErrProtocol: the other side does not speak this protocol. Not retried.
	ErrProtocol = errors.New("transfer protocol violated")
)

// LostError says which segments a node cannot give, now or later. Reason is
// [ErrGone], shuffle.ErrCorrupt when it holds them but not readably, or [ErrDenied].
type LostError struct {
	Addr     string
	Segments []shuffle.SegmentID // each once
	Reason   error
	Detail   string // the first one's explanation
}

func (e *LostError) Error() string {
	ids := make([]string, 0, 4)
	for i, id := range e.Segments {
		if i == 3 && len(e.Segments) > 4 {
			ids = append(ids, fmt.Sprintf("and %d more", len(e.Segments)-i))
			break
		}
		ids = append(ids, id.String())
	}
	s := fmt.Sprintf("transfer: fetch from %s: %v: %s", e.Addr, e.Reason, strings.Join(ids, ", "))
	if e.Detail != "" {
		s += ": " + e.Detail
	}
	return s
}

// Unwrap is the reason.
func (e *LostError) Unwrap() error { return e.Reason }

// Source serves the segments of a node. It is called concurrently and should keep the
// indexes of segments in use in memory: a consumer asks for one partition each
// of many segments, and each consumer asks for the same segments.
type Source interface {
	// Open opens a committed segment. The error is ErrGone, wrapped, when it is
	// not here (any longer), and ErrDenied when it is not given to whoever the Source
	// is for; any other error is taken as passing.
	Open(ctx context.Context, id shuffle.SegmentID) (Segment, error)
}

// Segment is an open segment. Its bytes never change, and stay readable until
// Close even when the segment is deleted. One goroutine uses it.
type Segment interface {
	io.ReaderAt
	// Extents are a partition's, in order; AllPartitions: those of all. None for
	// a partition without rows. shuffle.ErrCorrupt when the index does not say.
	Extents(partition int) ([]shuffle.Extent, error)
	// File is the file in which the extents stand, for sendfile, or nil. Its
	// position is moved: it must be no other Segment's. It is asked for only
	// when much is to be sent, so that one descriptor can serve the ReadAt of
	// many Segments, and File opens one of its own.
	File() *os.File
	Close() error
}

// Want is a partition of a segment, or all of them in order.
type Want struct {
	Segment   shuffle.SegmentID
	Partition int // or AllPartitions
}

// Block is one whole encoded block, not yet verified: see shuffle.Decode.
type Block struct {
	Want int    // index in the wants given to Fetch
	Data []byte // valid until Release
	// Release gives Data back. It must be called, once used or not; calling it
	// again does nothing. Blocks not released count against the window.
	Release func()
}
