package main

import (
	"context"
	"fmt"
	"log/slog"
	"net"
	"os"

	"github.com/pondmesh/pond/shuffle"
	"github.com/pondmesh/pond/shuffle/transfer"
)

// blocksRole serves segments in files as a node does, and beside them, on a
// bare connection, meaningless bytes: the most that the machine can do.
func blocksRole(_ context.Context, c roleConfig, l *lines) error {
	src := segmentFiles{}
	for i, path := range c.Segments {
		src[segmentID(i)] = path
	}
	blocks, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	raw, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	go serveRaw(raw)
	srv := transfer.NewServer(transfer.Handler(transfer.Everyone(src), transfer.Limits{}, slog.New(slog.DiscardHandler)), nil)
	go srv.Serve(blocks)
	defer srv.Close()
	defer raw.Close()
	if err := l.out.Encode(hello{Addr: blocks.Addr().String(), Raw: raw.Addr().String()}); err != nil {
		return err
	}
	l.end()
	return nil
}

const rawBuffer = 512 << 10

// serveRaw sends to each connection until it closes.
func serveRaw(l net.Listener) {
	buf := make([]byte, rawBuffer)
	for {
		conn, err := l.Accept()
		if err != nil {
			return
		}
		go func() {
			defer conn.Close()
			for {
				if _, err := conn.Write(buf); err != nil {
					return
				}
			}
		}()
	}
}

// segmentID is the i-th served segment's.
func segmentID(i int) (id shuffle.SegmentID) {
	id[0] = byte(i + 1)
	return id
}

// segmentFiles are segments in files, by id.
type segmentFiles map[shuffle.SegmentID]string

func (s segmentFiles) Open(_ context.Context, id shuffle.SegmentID) (transfer.Segment, error) {
	path, ok := s[id]
	if !ok {
		return nil, fmt.Errorf("segment %s: %w", id, transfer.ErrGone)
	}
	return openSegment(path)
}

// segmentFile is one, open.
type segmentFile struct {
	f   *os.File
	seg *shuffle.Segment
}

func openSegment(path string) (*segmentFile, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	info, err := f.Stat()
	if err != nil {
		f.Close()
		return nil, err
	}
	seg, err := shuffle.OpenSegment(f, info.Size())
	if err != nil {
		f.Close()
		return nil, err
	}
	return &segmentFile{f, seg}, nil
}

func (s *segmentFile) Extents(p int) ([]shuffle.Extent, error) {
	return transfer.Extents(s.seg, p), nil
}

func (s *segmentFile) ReadAt(p []byte, off int64) (int, error) { return s.f.ReadAt(p, off) }
func (s *segmentFile) File() *os.File                          { return s.f }
func (s *segmentFile) Close() error                            { return s.f.Close() }
