package shuffle

import (
	"encoding/binary"
	"fmt"
)

// # Index and footer
//
// Runs follow one another without gaps from byte 8 on, and so do the extents
// within a run, in order of partition. So the index need not name offsets. It
// is all unsigned varints:
//
//	a run:     how many extents it has
//	an extent: partition, less the one before it in the run; length; rows; raw
//
// and a partition that a run does not have costs nothing.
//
//	footer
//	 0  8  magic "PONDFOOT"
//	 8  4  version, 1
//	12  4  partitions
//	16  8  where the runs end and the schema starts
//	24  4  schema bytes
//	28  4  index bytes
//	32  8  rows
//	40  8  raw bytes
//	48  8  blocks
//	56  8  extents
//	64  4  checksum of the schema
//	68  4  checksum of the index
//	72  4  0
//	76  4  checksum of bytes 0 to 75
const (
	segmentMagic   = "PONDSEG1"
	footerMagic    = "PONDFOOT"
	segmentVersion = 1
	footerLen      = 80
)

// Bounds of what OpenSegment reads into memory.
const (
	schemaBytesMax = 8 << 20
	indexBytesMax  = 64 << 20
	indexEntryMin  = 4 // bytes
)

// footer is the fixed end of a segment.
type footer struct {
	partitions          int
	end                 int64 // of the runs
	schema, index       int64 // bytes
	rows, raw, blocks   int64
	extents             int64
	schemaSum, indexSum uint32
}

func (f *footer) put(b []byte) {
	le := binary.LittleEndian
	copy(b, footerMagic)
	le.PutUint32(b[8:], segmentVersion)
	le.PutUint32(b[12:], uint32(f.partitions))
	le.PutUint64(b[16:], uint64(f.end))
	le.PutUint32(b[24:], uint32(f.schema))
	le.PutUint32(b[28:], uint32(f.index))
	le.PutUint64(b[32:], uint64(f.rows))
	le.PutUint64(b[40:], uint64(f.raw))
	le.PutUint64(b[48:], uint64(f.blocks))
	le.PutUint64(b[56:], uint64(f.extents))
	le.PutUint32(b[64:], f.schemaSum)
	le.PutUint32(b[68:], f.indexSum)
	le.PutUint32(b[72:], 0)
	le.PutUint32(b[76:], checksum(b[:76]))
}

// parseFooter reads the footer of a segment of size bytes.
func parseFooter(b []byte, size int64) (f footer, err error) {
	le := binary.LittleEndian
	if string(b[:8]) != footerMagic || le.Uint32(b[76:]) != checksum(b[:76]) || le.Uint32(b[8:]) != segmentVersion {
		return f, fmt.Errorf("footer: no footer of a segment: %w", ErrCorrupt)
	}
	u64 := func(at int) int64 { return int64(le.Uint64(b[at:])) }
	f = footer{
		partitions: int(le.Uint32(b[12:])), end: u64(16),
		schema: int64(le.Uint32(b[24:])), index: int64(le.Uint32(b[28:])),
		rows: u64(32), raw: u64(40), blocks: u64(48), extents: u64(56),
		schemaSum: le.Uint32(b[64:]), indexSum: le.Uint32(b[68:]),
	}
	ok := f.partitions >= 1 && f.partitions <= MaxPartitions &&
		f.schema <= schemaBytesMax && f.index <= indexBytesMax &&
		f.end >= int64(len(segmentMagic)) && f.end == size-footerLen-f.index-f.schema &&
		f.rows >= 0 && f.raw >= 0 && f.blocks >= 0 && f.extents >= 0 && f.extents <= f.index/indexEntryMin
	if !ok {
		return f, fmt.Errorf("footer: %d partitions, %d+%d bytes of %d: %w", f.partitions, f.schema, f.index, size, ErrCorrupt)
	}
	return f, nil
}

// indexer writes the index, run by run.
type indexer struct {
	b       []byte
	extents int64
}

// run appends one run: its extents, in order of partition, partition beside.
func (x *indexer) run(partitions []int, extents []Extent) {
	x.b = binary.AppendUvarint(x.b, uint64(len(extents)))
	last := 0
	for i, e := range extents {
		x.b = binary.AppendUvarint(x.b, uint64(partitions[i]-last))
		x.b = binary.AppendUvarint(x.b, uint64(e.Length))
		x.b = binary.AppendUvarint(x.b, uint64(e.Rows))
		x.b = binary.AppendUvarint(x.b, uint64(e.Raw))
		last = partitions[i]
	}
	x.extents += int64(len(extents))
}

var errIndex = fmt.Errorf("index: does not add up: %w", ErrCorrupt)

// placed is an extent and whose it is.
type placed struct {
	Extent
	partition int
}

// parseIndex reads the extents in the order of the file and checks that they
// fill it and sum up to the footer's totals.
func parseIndex(b []byte, f *footer) ([]placed, error) {
	out := make([]placed, 0, f.extents) // bounded by the index's own length
	at, rows, raw := int64(len(segmentMagic)), int64(0), int64(0)
	bad := false
	next := func(most int64) int64 {
		v, n := binary.Uvarint(b)
		if n <= 0 || v > uint64(most) {
			bad = true
			return 0
		}
		b = b[n:]
		return int64(v)
	}
	for len(b) > 0 && !bad {
		n, partition := next(int64(f.partitions)), int64(0)
		bad = bad || n == 0
		for i := int64(0); i < n && !bad; i++ {
			step := next(int64(f.partitions) - 1 - partition)
			bad = bad || i > 0 && step == 0 || len(out) == int(f.extents)
			partition += step
			e := Extent{Offset: at, Length: next(f.end - at), Rows: next(f.rows - rows), Raw: next(f.raw - raw)}
			bad = bad || e.Length < BlockHeaderLen
			at, rows, raw = at+e.Length, rows+e.Rows, raw+e.Raw
			out = append(out, placed{e, int(partition)})
		}
	}
	if bad || at != f.end || rows != f.rows || raw != f.raw || len(out) != int(f.extents) {
		return nil, errIndex
	}
	return out, nil
}
