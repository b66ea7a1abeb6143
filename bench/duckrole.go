package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"

	"github.com/apache/arrow-go/v18/arrow"
	"github.com/apache/arrow-go/v18/arrow/memory"
	"github.com/apache/arrow-go/v18/arrow/memory/mallocator"

	"github.com/pondmesh/pond/duck"
	"github.com/pondmesh/pond/duck/vec"
	"github.com/pondmesh/pond/shuffle"
)

// duckRequest is one thing to do; exactly one of the first four is set.
type duckRequest struct {
	Exec  []string `json:"exec,omitempty"`  // statements
	Query string   `json:"query,omitempty"` // whose rows are the answer
	Drain *drain   `json:"drain,omitempty"`
	Check *check   `json:"check,omitempty"`
}

// drain cuts a query's rows into a segment, by the hash of its first column,
// which is not part of the rows.
type drain struct {
	Query      string `json:"query"`
	Partitions int    `json:"partitions"`
	File       string `json:"file"`
}

// check queries a segment's rows, decoded, as the view "segment".
type check struct {
	File  string `json:"file"`
	Query string `json:"query"`
}

type duckReply struct {
	Rows  [][]string `json:"rows,omitempty"`
	Count int64      `json:"count,omitempty"` // rows drained
	Bytes int64      `json:"bytes,omitempty"` // of the segment
	Error string     `json:"error,omitempty"`
}

// queryRowsMax bounds the rows that a query may answer with.
const queryRowsMax = 100_000

// duckRole runs one DuckDB: the competitor, and the oracle of every result.
func duckRole(ctx context.Context, c roleConfig, l *lines) error {
	e, err := duck.Open(ctx, duck.Config{Threads: c.Threads, Memory: c.Memory, SpillDir: c.Dir})
	if err != nil {
		return err
	}
	defer e.Close()
	if err := l.out.Encode(hello{}); err != nil {
		return err
	}
	d := &duckServer{e: e, c: c, mem: mallocator.NewMallocator()}
	for {
		var rq duckRequest
		if err := l.in.Decode(&rq); errors.Is(err, io.EOF) {
			return nil
		} else if err != nil {
			return err
		}
		reply, err := d.do(ctx, rq)
		if err != nil {
			reply = duckReply{Error: err.Error()}
		}
		if err := l.out.Encode(reply); err != nil {
			return err
		}
	}
}

type duckServer struct {
	e   *duck.Engine
	c   roleConfig
	mem memory.Allocator
}

func (d *duckServer) do(ctx context.Context, rq duckRequest) (duckReply, error) {
	switch {
	case rq.Drain != nil:
		return d.drain(ctx, rq.Drain)
	case rq.Check != nil:
		return d.check(ctx, rq.Check)
	case rq.Query != "":
		rows, err := d.rows(ctx, rq.Query)
		return duckReply{Rows: rows}, err
	}
	for _, s := range rq.Exec {
		if _, err := d.e.Exec(ctx, s); err != nil {
			return duckReply{}, err
		}
	}
	return duckReply{}, nil
}

// rows is a query's result as text.
func (d *duckServer) rows(ctx context.Context, query string) ([][]string, error) {
	schema, err := d.e.Schema(ctx, query)
	if err != nil {
		return nil, err
	}
	b := vec.NewBuilder(schema, memory.NewGoAllocator())
	defer b.Release()
	var out [][]string
	_, err = d.e.Fetch(ctx, query, func(c *vec.Chunk) error {
		if len(out)+c.Rows > queryRowsMax {
			return fmt.Errorf("more than %d rows", queryRowsMax)
		}
		if err := b.Append(c, nil, 0); err != nil {
			return err
		}
		rec, err := b.Batch()
		if err != nil {
			return err
		}
		defer rec.Release()
		for i := range int(rec.NumRows()) {
			row := make([]string, rec.NumCols())
			for k := range row {
				row[k] = rec.Column(k).ValueStr(i)
			}
			out = append(out, row)
		}
		return nil
	})
	return out, err
}

// drain does the work of a map task between its query and its commit.
func (d *duckServer) drain(ctx context.Context, rq *drain) (reply duckReply, err error) {
	schema, err := d.e.Schema(ctx, rq.Query)
	if err != nil {
		return reply, err
	}
	f, err := os.Create(rq.File)
	if err != nil {
		return reply, err
	}
	defer func() { err = errors.Join(err, f.Close()) }()
	pool := vec.NewPool(d.mem, d.c.Memory/4)
	defer pool.Trim()
	w, err := shuffle.NewWriter(f, shuffle.WriterConfig{Schema: schema, Keys: 1, Partitioner: shuffle.Hash(rq.Partitions, []int{0}), Threads: d.c.Threads, Mem: pool})
	if err != nil {
		return reply, err
	}
	defer w.Abort()
	if reply.Count, err = d.e.Drain(ctx, rq.Query, w.Append); err != nil {
		return reply, err
	}
	sum, err := w.Finish()
	reply.Bytes = sum.Bytes
	return reply, err
}

func (d *duckServer) check(ctx context.Context, rq *check) (duckReply, error) {
	s, err := openSegment(rq.File)
	if err != nil {
		return duckReply{}, err
	}
	defer s.Close()
	open := duck.Whole(func(context.Context) (duck.Stream, error) { return newSegmentStream(s, d.mem), nil })
	if err := d.e.Register(ctx, "segment", s.seg.Schema(), []duck.Opener{open}, duck.UnknownRows); err != nil {
		return duckReply{}, err
	}
	rows, err := d.rows(ctx, rq.Query)
	_, drop := d.e.Exec(ctx, "DROP VIEW segment")
	return duckReply{Rows: rows}, errors.Join(err, drop)
}

// segmentStream decodes a segment's blocks, one after another.
type segmentStream struct {
	s       *segmentFile
	mem     memory.Allocator
	extents []shuffle.Extent
	block   []byte
}

func newSegmentStream(s *segmentFile, mem memory.Allocator) *segmentStream {
	st := &segmentStream{s: s, mem: mem}
	for p := range s.seg.Partitions() {
		st.extents = append(st.extents, s.seg.Extents(p)...)
	}
	return st
}

func (s *segmentStream) Next() (arrow.RecordBatch, error) {
	for len(s.extents) > 0 && s.extents[0].Length == 0 {
		s.extents = s.extents[1:]
	}
	if len(s.extents) == 0 {
		return nil, io.EOF
	}
	e := &s.extents[0]
	var head [shuffle.BlockHeaderLen]byte
	if _, err := s.s.f.ReadAt(head[:], e.Offset); err != nil {
		return nil, err
	}
	n, err := shuffle.BlockSize(head[:])
	if err != nil {
		return nil, err
	}
	s.block = slices.Grow(s.block[:0], int(n))[:n]
	if _, err := s.s.f.ReadAt(s.block, e.Offset); err != nil {
		return nil, err
	}
	e.Offset, e.Length = e.Offset+n, e.Length-n
	return shuffle.Decode(s.block, s.s.seg.Schema(), s.mem, shuffle.Limits{})
}

func (s *segmentStream) Close() error { return nil }
