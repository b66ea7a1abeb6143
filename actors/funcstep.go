package actors

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"runtime/debug"

	"github.com/apache/arrow-go/v18/arrow"

	"github.com/pondmesh/pond/actors/journal"
	"github.com/pondmesh/pond/actors/plan"
	"github.com/pondmesh/pond/duck"
	"github.com/pondmesh/pond/duck/vec"
)

// runFunc makes a step's view from what a Go function makes of the step's
// query. The function's output is spooled to disk, compressed: an engine runs
// one query at a time, so the query that reads the output cannot run beside the
// one that feeds the function, and what reads it twice must see the same rows.
func (t *task) runFunc(ctx context.Context, s *plan.Step) error {
	f, ok := t.n.cfg.Funcs.lookupBatch(s.Func.Name)
	if !ok {
		return &plan.Error{Kind: plan.KindUser, Op: "call", Subject: s.Func.Name, Text: "no such Go function on this node",
			Hint: "register it on every node before it joins (pond.WithBatchFunc and its like)"}
	}
	in, err := t.engine.Schema(ctx, s.SQL)
	if err != nil {
		return engineError("run", err)
	}
	var out *arrow.Schema
	err = guard(t.n.log, s.Func.Name, func() error {
		if out, err = f.schema(in.Arrow()); err == nil && out == nil {
			err = errors.New("the function gives no schema")
		}
		return err
	})
	if err != nil {
		return err
	}
	sp, err := newSpool(t.n.spoolDir(), out, t.n.mem)
	if err != nil {
		return journal.StorageError(err)
	}
	t.spools = append(t.spools, sp)
	call := func(rec arrow.RecordBatch) error {
		return guard(t.n.log, s.Func.Name, func() error {
			return f.call(ctx, rec, func(rec arrow.RecordBatch) error { return sp.write(s.Func.Name, rec) })
		})
	}
	if err := t.eachBatch(ctx, s.SQL, in, s.Func.BatchRows, call); err != nil {
		return journal.StorageError(engineError("call", err))
	}
	if err := sp.finish(); err != nil {
		return journal.StorageError(err)
	}
	return engineError("call", t.engine.Register(ctx, s.View, out, []duck.Opener{sp.open}))
}

// eachBatch runs a query and calls f with its rows, in the query's order, in
// batches of exactly size rows but for the last; 0: as is convenient.
func (t *task) eachBatch(ctx context.Context, sql string, schema *vec.Schema, size int, f func(arrow.RecordBatch) error) error {
	if size == 0 {
		size = batchRowsWritten
	}
	b := vec.NewBuilder(schema, t.n.mem)
	defer b.Release()
	flush := func() error {
		rec := b.Batch()
		defer rec.Release()
		return f(rec)
	}
	_, err := t.engine.Fetch(ctx, sql, func(c *vec.Chunk) error {
		for from := 0; from < c.Rows; {
			n := min(size-b.Rows(), c.Rows-from)
			if err := b.Append(c, rowRange(from, n), 0); err != nil {
				return err
			}
			if from += n; b.Rows() == size {
				if err := flush(); err != nil {
					return err
				}
			}
		}
		return nil
	})
	if err == nil && b.Rows() > 0 {
		err = flush()
	}
	return err
}

func rowRange(from, n int) []uint16 {
	rows := make([]uint16, n)
	for i := range rows {
		rows[i] = uint16(from + i)
	}
	return rows
}

// guard turns a panic of a user's function, or an error without a kind, into
// the user's error.
func guard(log *slog.Logger, name string, f func() error) (err error) {
	defer func() {
		if r := recover(); r != nil {
			log.Error("a function panicked", "function", name, "panic", r, "stack", string(debug.Stack()))
			err = userError(name, fmt.Errorf("the function panicked: %v (the node's log has the stack)", r))
		}
	}()
	return userError(name, f())
}

func userError(name string, err error) error {
	var te *plan.Error
	if err == nil || errors.As(err, &te) || errors.Is(err, context.Canceled) || errors.Is(err, context.DeadlineExceeded) {
		return err
	}
	return &plan.Error{Kind: plan.KindUser, Op: "call", Subject: name, Text: err.Error()}
}
