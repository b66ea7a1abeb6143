package actors

import (
	"context"
	"errors"
	"fmt"
	"io"

	"github.com/apache/arrow-go/v18/arrow"
	"github.com/apache/arrow-go/v18/arrow/memory"

	"github.com/pondmesh/pond/actors/plan"
	"github.com/pondmesh/pond/shuffle"
	"github.com/pondmesh/pond/shuffle/transfer"
)

// share is a run of rows of one segment's partition, and who holds it.
type share struct {
	addr      string // API of the holder
	segment   shuffle.SegmentID
	task      plan.TaskID // that made it: to be run again when it is lost
	partition int         // or transfer.AllPartitions
	skip      int64       // rows left out at the front
	rows      int64       // rows taken; -1: all that follow
}

// blockStream reads shares one after another as record batches. Shares of one
// node that follow one another are one request.
type blockStream struct {
	ctx    context.Context
	client *transfer.Client
	decode *shuffle.Decoder
	shares []share

	cur   *transfer.Stream
	base  int // index in shares of the current request's first want
	next  int // first share not yet asked for
	skip  []int64
	limit []int64
}

func newBlockStream(ctx context.Context, c *transfer.Client, schema *arrow.Schema, mem memory.Allocator, shares []share) (*blockStream, error) {
	d, err := shuffle.NewDecoder(schema, mem, shuffle.Limits{})
	if err != nil {
		return nil, fmt.Errorf("actors: read blocks: %w", err)
	}
	return &blockStream{ctx: ctx, client: c, decode: d, shares: shares}, nil
}

// Next is the next batch, which the caller releases, or io.EOF.
func (b *blockStream) Next() (arrow.RecordBatch, error) {
	for {
		if b.cur == nil {
			if err := b.open(); err != nil {
				return nil, err
			}
		}
		block, err := b.cur.Next()
		if errors.Is(err, io.EOF) {
			b.cur.Close()
			b.cur = nil
			continue
		}
		if err != nil {
			return nil, b.lost(err)
		}
		rec, err := b.cut(block)
		if err != nil || rec != nil {
			return rec, err
		}
	}
}

// open asks for the shares that come next and are with one node.
func (b *blockStream) open() error {
	if b.next == len(b.shares) {
		return io.EOF
	}
	addr := b.shares[b.next].addr
	var wants []transfer.Want
	b.base, b.skip, b.limit = b.next, b.skip[:0], b.limit[:0]
	for ; b.next < len(b.shares) && b.shares[b.next].addr == addr; b.next++ {
		s := b.shares[b.next]
		wants = append(wants, transfer.Want{Segment: s.segment, Partition: s.partition})
		b.skip, b.limit = append(b.skip, s.skip), append(b.limit, s.rows)
	}
	cur, err := b.client.Fetch(b.ctx, addr, wants)
	if err != nil {
		return b.lost(err)
	}
	b.cur = cur
	return nil
}

// cut turns a block into a batch, cut to its share's rows; nil when none of
// its rows are wanted.
func (b *blockStream) cut(block transfer.Block) (arrow.RecordBatch, error) {
	defer block.Release()
	w := block.Want
	if b.limit[w] == 0 {
		return nil, nil
	}
	if b.skip[w] > 0 {
		h, err := shuffle.ParseBlockHeader(block.Data)
		if err == nil && int64(h.Rows) <= b.skip[w] {
			b.skip[w] -= int64(h.Rows)
			return nil, nil
		}
	}
	rec, err := b.decode.Decode(block.Data)
	if err != nil {
		s := b.shares[b.base+w]
		return nil, &plan.Error{Kind: plan.KindFetch, Op: "decode", Subject: s.segment.String(), Text: err.Error(), Lost: []plan.TaskID{s.task}}
	}
	from, rows := b.skip[w], rec.NumRows()-b.skip[w]
	b.skip[w] = 0
	if b.limit[w] >= 0 {
		rows = min(rows, b.limit[w])
		b.limit[w] -= rows
	}
	if from == 0 && rows == rec.NumRows() {
		return rec, nil
	}
	defer rec.Release()
	return rec.NewSlice(from, from+rows), nil
}

// lost says which producers have to be run again, when err is that segments are
// gone or corrupt.
func (b *blockStream) lost(err error) error {
	var le *transfer.LostError
	switch {
	case errors.As(err, &le):
		te := &plan.Error{Kind: plan.KindFetch, Op: "fetch", Subject: le.Addr, Text: le.Error()}
		gone := map[shuffle.SegmentID]bool{}
		for _, id := range le.Segments {
			gone[id] = true
		}
		for _, s := range b.shares {
			if gone[s.segment] {
				te.Lost = append(te.Lost, s.task)
			}
		}
		return te
	case b.ctx.Err() != nil:
		return context.Cause(b.ctx)
	case errors.Is(err, transfer.ErrUnavailable), errors.Is(err, transfer.ErrStalled):
		return &plan.Error{Kind: plan.KindUnavailable, Op: "fetch", Text: err.Error()}
	}
	return fmt.Errorf("actors: fetch: %w", err)
}

// Close ends the request that is under way.
func (b *blockStream) Close() error {
	if b.cur != nil {
		b.cur.Close()
		b.cur = nil
	}
	b.next = len(b.shares)
	return nil
}

// spread deals shares into n lists of about equal rows, nodes kept together so
// that each list makes few requests.
func spread(shares []share, n int) [][]share {
	if n <= 1 || len(shares) <= 1 {
		return [][]share{shares}
	}
	byAddr := map[string][]share{}
	var addrs []string
	for _, s := range shares {
		if byAddr[s.addr] == nil {
			addrs = append(addrs, s.addr)
		}
		byAddr[s.addr] = append(byAddr[s.addr], s)
	}
	out := make([][]share, n)
	for i, addr := range addrs {
		list := byAddr[addr]
		for k := range n {
			part := list[len(list)*k/n : len(list)*(k+1)/n]
			// Lists start with different nodes, so that not all ask one at once.
			out[(k+i)%n] = append(out[(k+i)%n], part...)
		}
	}
	for k := range out {
		if len(out[k]) > 1 {
			at := len(out[k]) * k / n
			out[k] = append(out[k][at:len(out[k]):len(out[k])], out[k][:at]...)
		}
	}
	return out
}
