package api

import (
	"context"
	"errors"
	"fmt"
	"io"
	"iter"
	"sync"
	"sync/atomic"

	"github.com/apache/arrow-go/v18/arrow"

	"github.com/pondmesh/pond/actors/plan"
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

// Remake runs a result's job once more, because of why, and says where the rows are
// now. What nodes still hold is taken, unless fresh asks that all is made anew.
type Remake func(ctx context.Context, why error, fresh bool) (*ResultInfo, error)

// Result is the rows of a job that has succeeded.
type Result struct {
	// Schema is the columns, with DECIMAL(38,0) for HUGEINT; nil when the job
	// wrote files.
	Schema *arrow.Schema
	reader *ResultReader
	remake Remake
	stored *arrow.Schema // of the rows as the nodes hold them
	recast bool          // Schema differs from stored
	fresh  atomic.Bool   // the first part has just been checked
	job    plan.JobID    // whose rows they are; empty: not known
	first  *inline       // the first part, if it is here

	mu    sync.Mutex
	parts []ResultPart // others after a remake
}

// Open fetches a result's columns. Segments that are gone or damaged are made anew
// with remake, here and while reading; with nil they are an error of kind fetch.
func (r *ResultReader) Open(ctx context.Context, info *ResultInfo, remake Remake) (*Result, error) {
	out := &Result{reader: r, remake: remake, parts: info.Parts, job: info.Job}
	if out.first = newInline(info); out.first != nil {
		out.opened(out.first.index.Schema())
		return out, nil
	}
	for tries, returns := 0, 0; len(out.parts) > 0; {
		first := out.parts[0]
		s, err := out.schemaOf(ctx, first)
		if err == nil {
			out.opened(s)
			break
		}
		back, err := out.settle(ctx, lostPart(err, out.parts, 0), first)
		if back && returns < returnsMax {
			returns++
			continue
		}
		if out.parts, err = out.again(ctx, err, out.parts, 0, tries); err != nil {
			return nil, err
		}
		tries++
	}
	return out, nil
}

// opened takes the columns that came with the first part, or its check.
func (r *Result) opened(s *arrow.Schema) {
	r.stored = s
	r.Schema, r.recast = PlainSchema(s)
	r.fresh.Store(true)
}

// Len is the number of rows.
func (r *Result) Len() int64 {
	n := int64(0)
	for _, p := range r.where() {
		n += p.Rows
	}
	return n
}

func (r *Result) where() []ResultPart {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.parts
}

// All yields the batches in order of partition. A batch is valid until the next
// one is asked for: call Retain to keep it.
func (r *Result) All(ctx context.Context) iter.Seq2[arrow.RecordBatch, error] {
	return func(yield func(arrow.RecordBatch, error) bool) {
		x := &reading{Result: r, parts: r.where(), yield: yield, here: r.first}
		if err := x.all(ctx); err != nil {
			yield(nil, err)
		}
	}
}

// FetchError gives an error of package transfer its kind. Segments that are gone
// or damaged are KindFetch; the caller adds which tasks made them.
func FetchError(ctx context.Context, err error) error {
	var le *transfer.LostError
	switch {
	case errors.Is(err, io.EOF):
		return err
	case errors.Is(err, transfer.ErrDenied):
		return Foreign("fetch", "rows")
	case errors.As(err, &le):
		return &plan.Error{Kind: plan.KindFetch, Op: "fetch", Subject: le.Addr, Text: le.Error()}
	case ctx.Err() != nil:
		return context.Cause(ctx)
	case errors.Is(err, transfer.ErrUnavailable), errors.Is(err, transfer.ErrStalled):
		return &plan.Error{Kind: plan.KindUnavailable, Op: "fetch", Text: err.Error()}
	}
	return fmt.Errorf("fetch rows: %w", err)
}

// Foreign is the error of who may not have what belongs to another user's job.
func Foreign(op, subject string) error {
	return &plan.Error{Kind: plan.KindDenied, Op: op, Subject: subject, Text: "the job is another user's", Hint: "ask its owner, or a user with the role admin"}
}
