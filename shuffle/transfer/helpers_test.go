package transfer

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"log/slog"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"sync"
	"testing"

	"go.uber.org/goleak"

	"github.com/pondmesh/pond/shuffle"
)

func TestMain(m *testing.M) {
	if os.Getenv(childEnv) != "" {
		child()
		return
	}
	goleak.VerifyTestMain(m)
}

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// block is a block with a payload of n random bytes.
func block(r *rand.Rand, n int) []byte {
	b := make([]byte, shuffle.BlockHeaderLen+n)
	for i := shuffle.BlockHeaderLen; i+8 <= len(b); i += 8 {
		binary.LittleEndian.PutUint64(b[i:], r.Uint64())
	}
	header(b, uint32(n))
	return b
}

// header writes a valid block header that claims a payload of n bytes.
func header(b []byte, n uint32) {
	copy(b, "PBLK")
	b[4], b[5] = 1, byte(shuffle.None)
	binary.LittleEndian.PutUint32(b[8:], 1)
	binary.LittleEndian.PutUint32(b[12:], n)
	binary.LittleEndian.PutUint32(b[16:], n)
	binary.LittleEndian.PutUint32(b[28:], crc32.Checksum(b[:28], castagnoli))
}

// memSegment is a segment in memory, or in file when that is set.
type memSegment struct {
	data   []byte
	parts  [][]shuffle.Extent
	path   string   // of a file with data
	shared *os.File // path, open
	badAt  int64    // reads of this byte fail; 0: none
	indexE error
}

func (m *memSegment) extents(p int) ([]shuffle.Extent, error) {
	if m.indexE != nil {
		return nil, m.indexE
	}
	if p == AllPartitions {
		var all []shuffle.Extent
		for _, e := range m.parts {
			all = append(all, e...)
		}
		return all, nil
	}
	if p >= len(m.parts) {
		return nil, fmt.Errorf("partition %d of %d: %w", p, len(m.parts), shuffle.ErrCorrupt)
	}
	return m.parts[p], nil
}

// bytes is what a want of partition p is to deliver.
func (m *memSegment) bytes(p int) []byte {
	var b []byte
	extents, _ := m.extents(p)
	for _, e := range extents {
		b = append(b, m.data[e.Offset:e.Offset+e.Length]...)
	}
	return b
}

// makeSegment has parts partitions of blocks blocks, of payloads up to size,
// written in runs.
func makeSegment(r *rand.Rand, runs, parts, blocks, size int) *memSegment {
	m := &memSegment{data: []byte("PONDSEG1"), parts: make([][]shuffle.Extent, parts)}
	for range runs {
		for p := range parts {
			at := len(m.data)
			for range blocks {
				m.data = append(m.data, block(r, r.IntN(size+1))...)
			}
			if n := len(m.data) - at; n > 0 {
				m.parts[p] = append(m.parts[p], shuffle.Extent{Offset: int64(at), Length: int64(n), Rows: int64(blocks)})
			}
		}
	}
	return m
}

type openSegment struct {
	*memSegment
	file *os.File
	src  *memSource
}

func (o *openSegment) ReadAt(p []byte, at int64) (int, error) {
	if m := o.memSegment; m.badAt > 0 && at <= m.badAt && m.badAt < at+int64(len(p)) {
		return 0, errors.New("bad sector")
	}
	if o.shared != nil {
		return o.shared.ReadAt(p, at)
	}
	return bytes.NewReader(o.data).ReadAt(p, at)
}
func (o *openSegment) Extents(p int) ([]shuffle.Extent, error) { return o.extents(p) }
func (o *openSegment) File() *os.File {
	if o.file == nil && o.path != "" {
		o.file, _ = os.Open(o.path) // nil will do
	}
	return o.file
}
func (o *openSegment) Close() error {
	o.src.mu.Lock()
	o.src.open--
	o.src.mu.Unlock()
	if o.file != nil {
		return o.file.Close()
	}
	return nil
}

// memSource is a Source that counts.
type memSource struct {
	mu     sync.Mutex
	segs   map[shuffle.SegmentID]*memSegment
	open   int
	opened int
	onOpen func(n int, id shuffle.SegmentID) error // nil: never fails
}

func (s *memSource) Open(_ context.Context, id shuffle.SegmentID) (Segment, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.opened++
	if s.onOpen != nil {
		if err := s.onOpen(s.opened, id); err != nil {
			return nil, err
		}
	}
	m := s.segs[id]
	if m == nil {
		return nil, fmt.Errorf("open %s: %w", id, ErrGone)
	}
	o := &openSegment{memSegment: m, src: s}
	if m.path != "" && m.shared == nil {
		f, err := os.Open(m.path)
		if err != nil {
			return nil, err
		}
		m.shared = f
	}
	s.open++
	return o, nil
}

func (s *memSource) stillOpen() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.open
}

func id(n int) shuffle.SegmentID {
	var s shuffle.SegmentID
	binary.BigEndian.PutUint64(s[8:], uint64(n))
	return s
}

func newRand(t testing.TB) *rand.Rand {
	seed := rand.Uint64()
	t.Logf("seed %d", seed)
	return rand.New(rand.NewPCG(seed, 1))
}

// logTo is a logger whose lines show when the test fails.
func logTo(t testing.TB) *slog.Logger {
	return slog.New(slog.NewTextHandler(t.Output(), &slog.HandlerOptions{Level: slog.LevelDebug}))
}

// serve serves src on loopback.
func serve(t testing.TB, src Source, limits Limits) *httptest.Server {
	t.Helper()
	srv := httptest.NewServer(Handler(Everyone(src), limits, logTo(t)))
	t.Cleanup(srv.Close)
	return srv
}

func addrOf(srv *httptest.Server) string { return strings.TrimPrefix(srv.URL, "http://") }

func newTestClient(t testing.TB, cfg ClientConfig) *Client {
	t.Helper()
	c := NewClient(cfg)
	t.Cleanup(func() { _ = c.Close() })
	return c
}

// collect reads a stream: the bytes of each want, the losses, and the error.
func collect(s *Stream, wants int) (got [][]byte, lost []*LostError, err error) {
	got = make([][]byte, wants)
	last := 0
	for {
		b, err := s.Next()
		var l *LostError
		switch {
		case err == io.EOF:
			return got, lost, nil
		case errors.As(err, &l):
			lost = append(lost, l)
			continue
		case err != nil:
			return got, lost, err
		}
		if size, err := shuffle.BlockSize(b.Data); err != nil || size != int64(len(b.Data)) {
			return got, lost, fmt.Errorf("not one whole block: %d bytes, header says %d, %w", len(b.Data), size, err)
		}
		if b.Want < last {
			return got, lost, fmt.Errorf("want %d after %d", b.Want, last)
		}
		last = b.Want
		got[b.Want] = append(got[b.Want], b.Data...)
		b.Release()
	}
}

// check compares what was delivered with what the source has.
func check(t testing.TB, src *memSource, wants []Want, got [][]byte) {
	t.Helper()
	for i, w := range wants {
		if want := src.segs[w.Segment].bytes(w.Partition); !bytes.Equal(got[i], want) {
			t.Fatalf("want %d: %d bytes delivered, not equal to the %d there are", i, len(got[i]), len(want))
		}
	}
}

var _ http.Handler = (*handler)(nil)
