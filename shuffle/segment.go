package shuffle

import (
	"io"

	"github.com/apache/arrow-go/v18/arrow"
)

// Segment is the verified index of a segment. It is immutable and holds no
// blocks.
type Segment struct{}

// OpenSegment reads and verifies the footer, schema and index of a segment of
// size bytes. Blocks are verified by [Decode].
func OpenSegment(r io.ReaderAt, size int64) (*Segment, error) { return nil, nil }

// Schema is the schema of every block: the writer's, without its keys.
func (s *Segment) Schema() *arrow.Schema { return nil }

// Partitions is how many partitions the segment was cut into.
func (s *Segment) Partitions() int { return 0 }

// Extents is where partition p's blocks are, in the order they were written.
func (s *Segment) Extents(p int) []Extent { return nil }

// Rows is how many rows partition p has.
func (s *Segment) Rows(p int) int64 { return 0 }

// Summary is what the writer's Finish returned.
func (s *Segment) Summary() Summary { return Summary{} }
