package shuffle

import (
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"hash/crc32"
)

// ErrCorrupt is returned, wrapped, by every reader of this package for bytes that
// no writer of it wrote.
var ErrCorrupt = errors.New("corrupt segment")

// ErrLimit is returned, wrapped, for bytes that ask for more than the caller's
// [Limits], and for rows too large for any block.
var ErrLimit = errors.New("limit exceeded")

// SegmentID names a segment: 128 bits, never reused.
type SegmentID [16]byte

// String is the id as 32 hex digits.
func (id SegmentID) String() string { return hex.EncodeToString(id[:]) }

// ParseSegmentID reads what String wrote.
func ParseSegmentID(s string) (SegmentID, error) {
	var id SegmentID
	if len(s) != hex.EncodedLen(len(id)) {
		return id, fmt.Errorf("shuffle: segment id %.40q: not 32 hex digits", s)
	}
	if _, err := hex.Decode(id[:], []byte(s)); err != nil {
		return SegmentID{}, fmt.Errorf("shuffle: segment id %q: %w", s, err)
	}
	return id, nil
}

// Extent is a contiguous run of whole blocks of one partition in a segment.
type Extent struct {
	Offset int64 // of the first block's header, in the segment
	Length int64 // bytes, headers included
	Rows   int64
	Raw    int64 // payload bytes when decoded
}

// Codec is how a block's payload is encoded. Values are on disk: append only.
type Codec uint8

// The codecs. A block that does not shrink, by a quarter with s2, is stored as None
// whatever was asked.
const (
	S2   Codec = iota // the default: fast both ways
	Zstd              // half the bytes at a third of the speed: for slow links
	LZ4               // decodes fastest
	None
	codecEnd
)

var codecNames = [codecEnd]string{"s2", "zstd", "lz4", "none"}

func (c Codec) String() string {
	if c < codecEnd {
		return codecNames[c]
	}
	return fmt.Sprintf("codec(%d)", uint8(c))
}

// ParseCodec is the codec that String calls s.
func ParseCodec(s string) (Codec, error) {
	for c, name := range codecNames {
		if s == name {
			return Codec(c), nil
		}
	}
	return 0, fmt.Errorf("shuffle: codec %.20q: want s2, zstd, lz4 or none", s)
}

// Bounds of a block. No writer exceeds them and no reader accepts more.
const (
	BlockHeaderLen = 32
	// MaxBlockRaw is the largest decoded payload, and so the largest row.
	MaxBlockRaw = 256 << 20
	// MaxBlockRows is the most rows of a block.
	MaxBlockRows = 1 << 24
	// MaxBlockLen is the largest block, header included: a payload that does
	// not shrink is stored as it is.
	MaxBlockLen = BlockHeaderLen + MaxBlockRaw
	// MaxPartitions is the most partitions of a segment.
	MaxPartitions = 1 << 16
)

const (
	blockMagic   = "PBLK"
	blockVersion = 2 // 1 had no packed values, and is read as well
)

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

func checksum(b []byte) uint32 { return crc32.Checksum(b, castagnoli) }

// BlockHeader precedes a block's payload.
type BlockHeader struct {
	Codec    Codec
	Rows     int
	Raw      int    // bytes of the payload, decoded
	Encoded  int    // bytes of the payload, as it stands
	Layout   uint32 // checksum of the schema's physical layout
	Checksum uint32 // of the payload, as it stands
}

func (h *BlockHeader) put(b []byte) {
	copy(b, blockMagic)
	b[4], b[5], b[6], b[7] = blockVersion, byte(h.Codec), 0, 0
	binary.LittleEndian.PutUint32(b[8:], uint32(h.Rows))
	binary.LittleEndian.PutUint32(b[12:], uint32(h.Raw))
	binary.LittleEndian.PutUint32(b[16:], uint32(h.Encoded))
	binary.LittleEndian.PutUint32(b[20:], h.Layout)
	binary.LittleEndian.PutUint32(b[24:], h.Checksum)
	binary.LittleEndian.PutUint32(b[28:], checksum(b[:28]))
}

// ParseBlockHeader reads and checks the header at the start of b. Bytes after
// it are not looked at.
func ParseBlockHeader(b []byte) (BlockHeader, error) {
	if len(b) < BlockHeaderLen {
		return BlockHeader{}, fmt.Errorf("shuffle: block header: %d bytes of %d: %w", len(b), BlockHeaderLen, ErrCorrupt)
	}
	if string(b[:4]) != blockMagic {
		return BlockHeader{}, fmt.Errorf("shuffle: block header: starts with %q: %w", b[:4], ErrCorrupt)
	}
	if binary.LittleEndian.Uint32(b[28:]) != checksum(b[:28]) {
		return BlockHeader{}, fmt.Errorf("shuffle: block header: checksum differs: %w", ErrCorrupt)
	}
	if b[4] < 1 || b[4] > blockVersion || b[6] != 0 || b[7] != 0 || b[5] >= byte(codecEnd) {
		return BlockHeader{}, fmt.Errorf("shuffle: block header: version %d, codec %d, flags %d: not known here: %w",
			b[4], b[5], binary.LittleEndian.Uint16(b[6:]), ErrCorrupt)
	}
	raw, encoded, rows := binary.LittleEndian.Uint32(b[12:]), binary.LittleEndian.Uint32(b[16:]), binary.LittleEndian.Uint32(b[8:])
	if raw > MaxBlockRaw || encoded > raw || rows > MaxBlockRows {
		return BlockHeader{}, fmt.Errorf("shuffle: block header: %d rows, %d bytes as %d: %w", rows, raw, encoded, ErrCorrupt)
	}
	return BlockHeader{
		Codec: Codec(b[5]), Rows: int(rows), Raw: int(raw), Encoded: int(encoded),
		Layout:   binary.LittleEndian.Uint32(b[20:]),
		Checksum: binary.LittleEndian.Uint32(b[24:]),
	}, nil
}

// BlockSize is the length of the block whose header stands at the start of
// header: [BlockHeaderLen] to [MaxBlockLen] bytes. A reader of a stream of
// blocks reads a header, asks this, and reads the rest.
func BlockSize(header []byte) (total int64, err error) {
	h, err := ParseBlockHeader(header)
	if err != nil {
		return 0, err
	}
	return int64(BlockHeaderLen + h.Encoded), nil
}
