package shuffle

import (
	"fmt"
	"io"

	"github.com/apache/arrow-go/v18/arrow"
)

// Segment is the verified index of a segment: where each partition's blocks
// are. It is immutable, holds no blocks, and does not keep the reader.
type Segment struct {
	schema  *arrow.Schema
	footer  footer
	extents []Extent // by partition, then by offset
	starts  []int32  // of each partition in extents; one more than partitions
}

// OpenSegment reads and verifies the head, footer, schema and index of a
// segment of size bytes. Blocks are verified by [Decode].
func OpenSegment(r io.ReaderAt, size int64) (*Segment, error) {
	s, err := openSegment(r, size)
	if err != nil {
		return nil, fmt.Errorf("shuffle: open segment of %d bytes: %w", size, err)
	}
	return s, nil
}

func openSegment(r io.ReaderAt, size int64) (*Segment, error) {
	if size < int64(len(segmentMagic))+footerLen {
		return nil, fmt.Errorf("too short: %w", ErrCorrupt)
	}
	var head [len(segmentMagic)]byte
	var foot [footerLen]byte
	if err := readFull(r, head[:], 0); err != nil {
		return nil, err
	}
	if string(head[:]) != segmentMagic {
		return nil, fmt.Errorf("starts with %q: %w", head, ErrCorrupt)
	}
	if err := readFull(r, foot[:], size-footerLen); err != nil {
		return nil, err
	}
	f, err := parseFooter(foot[:], size)
	if err != nil {
		return nil, err
	}
	tail := make([]byte, f.schema+f.index)
	if err := readFull(r, tail, f.end); err != nil {
		return nil, err
	}
	schema, index := tail[:f.schema], tail[f.schema:]
	if checksum(schema) != f.schemaSum || checksum(index) != f.indexSum {
		return nil, fmt.Errorf("schema or index: checksum differs: %w", ErrCorrupt)
	}
	s := &Segment{footer: f}
	if s.schema, err = DecodeSchema(schema); err != nil {
		return nil, err
	}
	list, err := parseIndex(index, &f)
	if err != nil {
		return nil, err
	}
	s.arrange(list)
	return s, nil
}

// readFull fills b; a file shorter than it was said to be is corrupt.
func readFull(r io.ReaderAt, b []byte, at int64) error {
	n, err := r.ReadAt(b, at)
	switch {
	case n == len(b):
		return nil
	case err == io.EOF || err == nil:
		return fmt.Errorf("%d bytes of %d at %d: %w", n, len(b), at, ErrCorrupt)
	}
	return err
}

// arrange sorts the extents by partition, keeping their order, and joins those
// that touch.
func (s *Segment) arrange(list []placed) {
	counts := make([]int32, s.footer.partitions+1)
	for _, e := range list {
		counts[e.partition+1]++
	}
	for p := range s.footer.partitions {
		counts[p+1] += counts[p]
	}
	sorted := make([]Extent, len(list))
	next := append([]int32(nil), counts...)
	for _, e := range list {
		sorted[next[e.partition]] = e.Extent
		next[e.partition]++
	}
	s.starts = make([]int32, s.footer.partitions+1)
	s.extents = sorted[:0]
	for p := range s.footer.partitions {
		s.starts[p] = int32(len(s.extents))
		for _, e := range sorted[counts[p]:counts[p+1]] {
			n := len(s.extents) - 1
			if n >= int(s.starts[p]) && s.extents[n].Offset+s.extents[n].Length == e.Offset {
				s.extents[n].Length += e.Length
				s.extents[n].Rows += e.Rows
				s.extents[n].Raw += e.Raw
				continue
			}
			s.extents = append(s.extents, e)
		}
	}
	s.starts[s.footer.partitions] = int32(len(s.extents))
}

// Schema is the schema of every block: the writer's, without its keys.
func (s *Segment) Schema() *arrow.Schema { return s.schema }

// Partitions is how many partitions the segment was cut into.
func (s *Segment) Partitions() int { return s.footer.partitions }

// Extents is where partition p's blocks are, in the order they were written.
// The caller does not change it. A p out of range has none.
func (s *Segment) Extents(p int) []Extent {
	if p < 0 || p >= s.footer.partitions {
		return nil
	}
	return s.extents[s.starts[p]:s.starts[p+1]:s.starts[p+1]]
}

// Rows is how many rows partition p has.
func (s *Segment) Rows(p int) int64 {
	n := int64(0)
	for _, e := range s.Extents(p) {
		n += e.Rows
	}
	return n
}

// Summary returns the summary that the writer's Finish returned, but for its Sum.
func (s *Segment) Summary() Summary {
	f := &s.footer
	out := Summary{
		Rows: f.rows, RawBytes: f.raw, Blocks: f.blocks, Bytes: f.end + f.schema + f.index + footerLen,
		PartitionRows: make([]int64, f.partitions), PartitionBytes: make([]int64, f.partitions),
	}
	for p := range f.partitions {
		for _, e := range s.Extents(p) {
			out.PartitionRows[p] += e.Rows
			out.PartitionBytes[p] += e.Length
		}
	}
	return out
}
