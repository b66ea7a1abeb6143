package shuffle

import (
	"errors"
	"fmt"
	"sync"

	"github.com/klauspost/compress/s2"
	"github.com/klauspost/compress/zstd"
	"github.com/pierrec/lz4/v4"
)

// compressor holds what compressing needs between blocks. It is not safe for
// concurrent use.
type compressor struct {
	zstd *zstd.Encoder
	lz4  lz4.Compressor
	rest int // payloads that are stored as they are before s2 is tried again,
	last int // and how many those were after it failed last
}

// worth is the share of a payload that a codec must save, as 1/worth; else the
// payload is stored as it is and costs nothing to read.
const worth = 32

// worthS2 is worth for s2, which is for fast links: it spends as much time on a byte
// as moving it takes. Where links are slow zstd is chosen.
const worthS2 = 4

// restMax bounds how many payloads pass before s2 is tried again.
const restMax = 15

// compress appends src, encoded, to dst and returns the codec it took.
func (c *compressor) compress(dst, src []byte, codec Codec) ([]byte, Codec, error) {
	at := len(dst)
	var err error
	least := len(src) / worth
	if codec == S2 {
		least = len(src) / worthS2
		if c.rest > 0 {
			c.rest--
			codec = None
		}
	}
	switch codec {
	case S2:
		dst = grow(dst, s2.MaxEncodedLen(len(src)))
		dst = dst[:at+len(s2.Encode(dst[at:cap(dst)], src))]
	case LZ4:
		dst = grow(dst, lz4.CompressBlockBound(len(src)))
		var n int
		if n, err = c.lz4.CompressBlock(src, dst[at:cap(dst)]); n == 0 {
			n = len(src) // does not shrink
		}
		dst = dst[:at+n]
	case Zstd:
		if c.zstd == nil {
			if c.zstd, err = newZstd(); err != nil {
				return dst, None, err
			}
		}
		dst = c.zstd.EncodeAll(src, dst)
	}
	if err != nil {
		return dst[:at], None, fmt.Errorf("shuffle: encode with %s: %w", codec, err)
	}
	if codec == None {
		return append(dst, src...), None, nil
	}
	if len(dst)-at > len(src)-least-1 {
		if codec == S2 {
			c.last = min(2*c.last+1, restMax)
			c.rest = c.last
		}
		return append(dst[:at], src...), None, nil
	}
	c.last = 0
	return dst, codec, nil
}

// encodedMax is room for n bytes however compress encodes them.
func encodedMax(n int) int { return max(s2.MaxEncodedLen(n), lz4.CompressBlockBound(n)) }

func newZstd() (*zstd.Encoder, error) {
	// Our own checksum covers the payload; zstd's would be a second.
	return zstd.NewWriter(nil, zstd.WithEncoderLevel(zstd.SpeedFastest), zstd.WithEncoderConcurrency(1),
		zstd.WithEncoderCRC(false), zstd.WithSingleSegment(true), zstd.WithLowerEncoderMem(true))
}

// grow makes room for n more bytes.
func grow(b []byte, n int) []byte {
	if cap(b)-len(b) >= n {
		return b
	}
	out := make([]byte, len(b), max(2*cap(b), len(b)+n))
	copy(out, b)
	return out
}

// unzstd keeps idle decoders, which are costly to make and hold no goroutine.
var unzstd = sync.Pool{New: func() any {
	d, err := zstd.NewReader(nil, zstd.WithDecoderConcurrency(1), zstd.WithDecoderLowmem(true),
		zstd.WithDecodeAllCapLimit(true), zstd.WithDecoderMaxMemory(MaxBlockRaw))
	if err != nil {
		return err
	}
	return d
}}

var errLength = errors.New("decoded length differs")

// decompress fills dst, exactly, from src. It never takes memory by what src
// says of itself.
func decompress(dst, src []byte, codec Codec) error {
	switch codec {
	case None:
		if copy(dst, src) != len(dst) || len(src) != len(dst) {
			return errLength
		}
		return nil
	case S2:
		if n, err := s2.DecodedLen(src); err != nil || n != len(dst) {
			return errLength
		}
		_, err := s2.Decode(dst, src)
		return err
	case LZ4:
		if n, err := lz4.UncompressBlock(src, dst); err != nil || n != len(dst) {
			return errLength
		}
		return nil
	case Zstd:
		d, ok := unzstd.Get().(*zstd.Decoder)
		if !ok {
			return errors.New("no zstd decoder")
		}
		defer unzstd.Put(d)
		out, err := d.DecodeAll(src, dst[:0:len(dst)])
		if err != nil {
			return err
		}
		if len(out) != len(dst) || len(out) > 0 && &out[0] != &dst[0] {
			return errLength
		}
		return nil
	}
	return fmt.Errorf("codec %d is not known", codec)
}
