package shuffle

import (
	"encoding/binary"
	"fmt"
	"iter"

	"github.com/pondmesh/pond/duck/vec"
)

// encoder turns parts into blocks. It keeps its buffers from block to block and
// is not safe for concurrent use.
type encoder struct {
	layout *layout
	codec  Codec
	raw    []byte
	compressor
}

// seal appends to dst the block whose payload is in e.raw.
func (e *encoder) seal(dst []byte, rows int) ([]byte, error) {
	at := len(dst)
	dst = append(dst, make([]byte, BlockHeaderLen)...)
	dst, codec, err := e.compress(dst, e.raw, e.codec)
	if err != nil {
		return dst[:at], err
	}
	body := dst[at+BlockHeaderLen:]
	h := BlockHeader{Codec: codec, Rows: rows, Raw: len(e.raw), Encoded: len(body), Layout: e.layout.sum, Checksum: checksum(body)}
	h.put(dst[at:])
	return dst, nil
}

// payload sets e.raw to the payload of a block, as layout.go draws it.
func (e *encoder) payload(rows int, parts iter.Seq[*vec.Part]) error {
	if rows > MaxBlockRows {
		return fmt.Errorf("shuffle: a block of %d rows: %w", rows, ErrLimit)
	}
	n := e.layout.parts
	e.raw = grow(e.raw[:0], int(padded(int64(n))))[:padded(int64(n))]
	clear(e.raw)
	i := 0
	for p := range parts {
		flags := byte(0)
		size := int64(len(e.raw)) + padded(int64(len(p.Data))) + padded(int64(4*len(p.Lengths))) + padded(int64(len(p.Valid)))
		if size > MaxBlockRaw {
			return fmt.Errorf("shuffle: a block of %d bytes or more, from %d rows: %w", size, rows, ErrLimit)
		}
		e.raw = grow(e.raw, int(size)-len(e.raw)+24)
		if p.Nulls > 0 && p.Valid != nil {
			flags |= 1
			e.raw = pad(append(e.raw, p.Valid...))
		}
		if len(p.Lengths) > 0 {
			code := lengthCode(p.MaxLength)
			flags |= code << 1
			e.raw = pad(appendLengths(e.raw, p.Lengths, code))
		}
		if i >= n {
			return fmt.Errorf("shuffle: more than the schema's %d arrays", n)
		}
		code := byte(0)
		if s := e.layout.all[i]; s.form == formFixed {
			e.raw, code = pack(e.raw, s.width, p)
		}
		if code == 0 {
			e.raw = append(e.raw, p.Data...)
		}
		e.raw = pad(e.raw)
		e.raw[i] = flags | code<<3
		i++
	}
	if i != n {
		return fmt.Errorf("shuffle: %d of the schema's %d arrays", i, n)
	}
	return nil
}

var zeros [8]byte

func pad(b []byte) []byte { return append(b, zeros[:-len(b)&7]...) }

// appendLengths writes each length in the bytes that code says.
func appendLengths(b []byte, lengths []uint32, code byte) []byte {
	at, width := len(b), int(lengthWidths[code])
	b = b[:at+width*len(lengths)]
	out := b[at:]
	switch code {
	case 1:
		for i, n := range lengths {
			out[i] = byte(n)
		}
	case 2:
		for i, n := range lengths {
			binary.LittleEndian.PutUint16(out[2*i:], uint16(n))
		}
	default:
		for i, n := range lengths {
			binary.LittleEndian.PutUint32(out[4*i:], n)
		}
	}
	return b
}
