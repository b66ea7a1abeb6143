package api

import (
	"context"
	"errors"
	"fmt"
	"io"
	"iter"

	"github.com/apache/arrow-go/v18/arrow"
	"github.com/apache/arrow-go/v18/arrow/memory"

	"github.com/pondmesh/pond/actors/plan"
	"github.com/pondmesh/pond/shuffle"
	"github.com/pondmesh/pond/shuffle/transfer"
)

// ResultReader reads the rows of ended jobs straight from the nodes that hold
// them.
type ResultReader struct {
	api    *Client
	blocks *transfer.Client
}

// NewResultReader returns a reader that shares connections with both clients.
func NewResultReader(c *Client, blocks *transfer.Client) *ResultReader {
	return &ResultReader{api: c, blocks: blocks}
}

// Result is the rows of a job that has succeeded.
type Result struct {
	// Schema is the columns, with DECIMAL(38,0) for HUGEINT; nil when the job
	// wrote files.
	Schema *arrow.Schema
	info   *ResultInfo
	stored *arrow.Schema // of the rows as the nodes hold them
	huge   bool          // Schema differs from stored
	blocks *transfer.Client
}

// Open fetches a result's columns.
func (r *ResultReader) Open(ctx context.Context, info *ResultInfo) (*Result, error) {
	out := &Result{info: info, blocks: r.blocks}
	if len(info.Parts) == 0 {
		return out, nil
	}
	first := info.Parts[0]
	s, err := r.api.at(first.Addr).schema(ctx, first.Segment)
	if err != nil {
		return nil, resultLost(err)
	}
	out.stored = s
	out.Schema, out.huge = DecimalSchema(s)
	return out, nil
}

// Len is the number of rows.
func (r *Result) Len() int64 {
	n := int64(0)
	for _, p := range r.info.Parts {
		n += p.Rows
	}
	return n
}

// All yields the batches in order of partition. A batch is valid until the next
// one is asked for: who keeps it calls Retain.
func (r *Result) All(ctx context.Context) iter.Seq2[arrow.RecordBatch, error] {
	return func(yield func(arrow.RecordBatch, error) bool) {
		rows, err := r.open(ctx)
		if err != nil {
			yield(nil, err)
			return
		}
		defer rows.Close()
		for {
			rec, err := rows.Next()
			if errors.Is(err, io.EOF) {
				return
			}
			if err != nil {
				yield(nil, resultLost(FetchError(ctx, err)))
				return
			}
			if r.huge {
				stored := rec
				rec = DecimalBatch(stored, r.Schema)
				stored.Release()
			}
			more := yield(rec, nil)
			rec.Release()
			if !more {
				return
			}
		}
	}
}

func (r *Result) open(ctx context.Context) (*transfer.Rows, error) {
	runs := make([]transfer.Run, 0, len(r.info.Parts))
	for _, p := range r.info.Parts {
		if p.Rows == 0 {
			continue
		}
		id, err := shuffle.ParseSegmentID(p.Segment)
		if err != nil {
			return nil, err
		}
		runs = append(runs, transfer.Run{Addr: p.Addr, Segment: id, Partition: transfer.AllPartitions, Rows: -1})
	}
	return r.blocks.Rows(ctx, r.stored, memory.NewGoAllocator(), runs)
}

// resultLost says what to do about a result that is no longer there.
func resultLost(err error) error {
	te := plan.AsError(err)
	if te.Kind != plan.KindFetch && te.Kind != plan.KindUnavailable {
		return err
	}
	return &plan.Error{Kind: plan.KindUnavailable, Op: "read the result", Text: te.Text,
		Hint: "the node that held it is gone or has let go of it: submit the job again (what is still held is reused), or write to files"}
}

// FetchError gives an error of package transfer its kind. Segments that are gone
// or damaged are KindFetch; the caller adds which tasks made them.
func FetchError(ctx context.Context, err error) error {
	var le *transfer.LostError
	switch {
	case errors.Is(err, io.EOF):
		return err
	case errors.As(err, &le):
		return &plan.Error{Kind: plan.KindFetch, Op: "fetch", Subject: le.Addr, Text: le.Error()}
	case ctx.Err() != nil:
		return context.Cause(ctx)
	case errors.Is(err, transfer.ErrUnavailable), errors.Is(err, transfer.ErrStalled):
		return &plan.Error{Kind: plan.KindUnavailable, Op: "fetch", Text: err.Error()}
	}
	return fmt.Errorf("fetch rows: %w", err)
}
