package shuffle

import (
	"errors"
	"io"
	"log/slog"

	"github.com/apache/arrow-go/v18/arrow/memory"
	"github.com/pondmesh/pond/duck/vec"
)

// WriterConfig is how a segment is cut and encoded. Schema and Partitioner are
// required; zero means the default elsewhere.
type WriterConfig struct {
	Schema      *vec.Schema // of the chunks, keys included
	Keys        int         // leading columns that only the Partitioner sees
	Partitioner Partitioner
	Codec       Codec
	Threads     int              // how many threads append at once; default 1
	Memory      int64            // bound on rows held and blocks not yet written; default 256 MiB
	BlockBytes  int              // raw bytes of a full block; default 256 KiB
	Mem         memory.Allocator // where buffers come from; default the Go heap; see [vec.Pool]
	Log         *slog.Logger     // default: discard
}

// Summary is what a segment holds.
type Summary struct {
	Rows           int64
	RawBytes       int64 // payloads, decoded
	Bytes          int64 // the file
	Blocks         int64
	PartitionRows  []int64
	PartitionBytes []int64 // blocks, headers included
}

// Writer cuts chunks into partitions and writes a segment.
type Writer struct{}

// NewWriter starts a segment on dst, which it writes to in order, from one
// goroutine at a time, and never closes.
func NewWriter(dst io.Writer, c WriterConfig) (*Writer, error) {
	return nil, errors.New("shuffle: not yet")
}

// Append takes the rows of c. It may be called from several threads at once; c
// is not kept. Rows that one thread appends keep their order within their
// partition when only that thread appends. After an error every later Append
// and Finish returns it.
func (w *Writer) Append(c *vec.Chunk) error { return nil }

// Finish writes what is left, the index and the footer, and frees the buffers.
// No Append may be under way.
func (w *Writer) Finish() (Summary, error) { return Summary{}, nil }

// Abort frees the buffers; the segment is not valid. Calling it after Finish
// does nothing, so it can be deferred.
func (w *Writer) Abort() {}
