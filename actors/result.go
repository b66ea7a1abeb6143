package actors

import (
	"context"
	"errors"
	"io"
	"iter"

	"github.com/apache/arrow-go/v18/arrow"
	"github.com/apache/arrow-go/v18/arrow/memory"

	"github.com/pondmesh/pond/actors/api"
	"github.com/pondmesh/pond/actors/plan"
	"github.com/pondmesh/pond/shuffle"
	"github.com/pondmesh/pond/shuffle/transfer"
)

// ResultReader reads the rows of ended jobs straight from the nodes that hold
// them.
type ResultReader struct {
	API    *api.Client
	Blocks *transfer.Client
	Mem    memory.Allocator
}

// NewResultReader returns a reader for clients that are not nodes themselves.
func NewResultReader(c *api.Client, blocks *transfer.Client) *ResultReader {
	return &ResultReader{API: c, Blocks: blocks, Mem: memory.NewGoAllocator()}
}

// Schema is the columns of a result; nil when the job wrote files.
func (r *ResultReader) Schema(ctx context.Context, info *api.ResultInfo) (*arrow.Schema, error) {
	if len(info.Parts) == 0 {
		return nil, nil
	}
	b, err := r.API.At(info.Parts[0].Addr).Schema(ctx, info.Parts[0].Segment)
	if err != nil {
		return nil, resultLost(err)
	}
	return DecodeSchema(b)
}

// Rows yields a result's batches in order of partition. A batch is valid until
// the next one is asked for: who keeps it calls Retain.
func (r *ResultReader) Rows(ctx context.Context, schema *arrow.Schema, info *api.ResultInfo) iter.Seq2[arrow.RecordBatch, error] {
	return func(yield func(arrow.RecordBatch, error) bool) {
		shares := make([]share, 0, len(info.Parts))
		for _, p := range info.Parts {
			if p.Rows == 0 {
				continue
			}
			id, err := shuffle.ParseSegmentID(p.Segment)
			if err != nil {
				yield(nil, err)
				return
			}
			shares = append(shares, share{addr: p.Addr, segment: id, partition: transfer.AllPartitions, rows: -1})
		}
		stream, err := newBlockStream(ctx, r.Blocks, schema, r.Mem, shares)
		if err != nil {
			yield(nil, err)
			return
		}
		defer stream.Close()
		for {
			rec, err := stream.Next()
			if errors.Is(err, io.EOF) {
				return
			}
			if err != nil {
				yield(nil, resultLost(err))
				return
			}
			more := yield(rec, nil)
			rec.Release()
			if !more {
				return
			}
		}
	}
}

// resultLost says what to do when a result is no longer there.
func resultLost(err error) error {
	te := plan.AsError(err)
	if te.Kind != plan.KindFetch && te.Kind != plan.KindUnavailable {
		return err
	}
	return &plan.Error{Kind: plan.KindUnavailable, Op: "read the result", Text: te.Text,
		Hint: "the node that held it is gone or has let go of it: submit the job again (what is still held is reused), or write to files"}
}
