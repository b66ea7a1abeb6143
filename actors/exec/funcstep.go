package exec

import (
	"context"

	"github.com/apache/arrow-go/v18/arrow"

	"github.com/pondmesh/pond/actors/engines"
	"github.com/pondmesh/pond/actors/journal"
	"github.com/pondmesh/pond/actors/plan"
	"github.com/pondmesh/pond/duck"
	"github.com/pondmesh/pond/duck/vec"
)

// runFunc makes a step's view from the output of a Go function over the step's
// query. The output is spooled to disk, compressed: an engine runs one query at a
// time, so the query that reads the output cannot run beside the one that feeds
// the function, and a query that reads it twice must see the same rows.
func (t *task) runFunc(ctx context.Context, s *plan.Step) error {
	f, err := t.m.Engines.Config.Funcs.Batch(s.Func.Name)
	if err != nil {
		return err
	}
	in, err := t.engine.Schema(ctx, s.SQL)
	if err != nil {
		return engines.Error("run", err)
	}
	out, err := f.Output(t.m.Log, in.Arrow())
	if err != nil {
		return err
	}
	sp, err := newSpool(t.m.SpoolDir, out, t.m.Mem)
	if err != nil {
		return journal.StorageError(err)
	}
	t.spools = append(t.spools, sp)
	write := func(rec arrow.RecordBatch) error {
		if err := sp.write(rec); err != nil {
			return err
		}
		return t.m.Limits.checkSpools(t.spools)
	}
	call := func(rec arrow.RecordBatch) error { return f.Run(ctx, t.m.Log, rec, write) }
	if err := t.eachBatch(ctx, s.SQL, in, s.Func.BatchRows, call); err != nil {
		return journal.StorageError(engines.Error("call", err))
	}
	if err := sp.finish(); err != nil {
		return journal.StorageError(err)
	}
	return engines.Error("call", t.engine.Register(ctx, s.View, out, []duck.Opener{sp.open}, sp.rows))
}

// eachBatch runs a query and calls f with its rows, in the query's order, in
// batches of exactly size rows but for the last; 0: as is convenient.
func (t *task) eachBatch(ctx context.Context, sql string, schema *vec.Schema, size int, f func(arrow.RecordBatch) error) error {
	if size == 0 {
		size = batchRowsWritten
	}
	b := vec.NewBuilder(schema, t.m.Mem)
	defer b.Release()
	flush := func() error {
		rec, err := b.Batch()
		if err != nil {
			return err
		}
		defer rec.Release()
		return f(rec)
	}
	_, err := t.engine.Fetch(ctx, sql, func(c *vec.Chunk) error {
		for from := 0; from < c.Rows; {
			n := min(size-b.Rows(), c.Rows-from)
			if err := b.Append(c, rowNumbers(from, n), 0); err != nil {
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

func rowNumbers(from, n int) []uint16 {
	rows := make([]uint16, n)
	for i := range rows {
		rows[i] = uint16(from + i)
	}
	return rows
}
