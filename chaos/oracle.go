package chaos

import (
	"context"
	"errors"
	"fmt"
	"io"
	"iter"
	"strings"

	"github.com/apache/arrow-go/v18/arrow"
	"github.com/apache/arrow-go/v18/arrow/array"
	"github.com/apache/arrow-go/v18/arrow/memory"

	"github.com/pondmesh/pond"
	"github.com/pondmesh/pond/duck"
	"github.com/pondmesh/pond/duck/vec"
)

// ErrDiffers is an answer that is not DuckDB's.
var ErrDiffers = errors.New("the rows are not those of one DuckDB")

// Bounds of comparing.
const (
	valueRowsMax = 1 << 20 // more rows are compared by digest only
	shownRowsMax = 5
)

// Oracle is one DuckDB that answers on the same input. It compares rows as a
// multiset; floating-point sums, which depend on the order of rows, should be
// rounded by both sides.
type Oracle struct{ engine *duck.Engine }

// NewOracle opens the DuckDB. The caller closes it.
func NewOracle(ctx context.Context, c duck.Config) (*Oracle, error) {
	e, err := duck.Open(ctx, c)
	if err != nil {
		return nil, fmt.Errorf("chaos: oracle: %w", err)
	}
	return &Oracle{e}, nil
}

// Close ends the DuckDB.
func (o *Oracle) Close() error { return o.engine.Close() }

// Exec runs a statement in the oracle's DuckDB, to make data.
func (o *Oracle) Exec(ctx context.Context, sql string) error {
	_, err := o.engine.Exec(ctx, sql)
	return err
}

// Digest is equal for equal multisets of rows: one lost, doubled or changed row
// makes another.
type Digest struct{ Columns, Rows, Sum, Xor string }

// Digest runs a query and digests its rows.
func (o *Oracle) Digest(ctx context.Context, query string) (d Digest, err error) {
	cols, err := o.text(ctx, "SELECT column_name || ' ' || column_type FROM (DESCRIBE "+query+")")
	if err != nil {
		return d, err
	}
	row, err := o.text(ctx, "SELECT count(*) || '|' || coalesce(sum(hash(t)::HUGEINT), 0) || '|' || coalesce(bit_xor(hash(t)), 0) FROM ("+query+") AS t")
	if err != nil {
		return d, err
	}
	f := strings.Split(strings.Join(row, ""), "|")
	if len(f) != 3 {
		return d, fmt.Errorf("chaos: digest of %s: %q", query, row)
	}
	return Digest{Columns: strings.Join(cols, ", "), Rows: f[0], Sum: f[1], Xor: f[2]}, nil
}

// Compare compares a job's rows with those of a query over the same input. What
// differs is ErrDiffers, with some of the rows.
func (o *Oracle) Compare(ctx context.Context, rows *pond.Rows, query string) error {
	const view = "chaos_rows"
	if rows.Schema == nil {
		return fmt.Errorf("chaos: compare: the job has no rows: %w", ErrDiffers)
	}
	open := duck.Whole(func(context.Context) (duck.Stream, error) { return pull(rows.All()), nil })
	if err := o.engine.Register(ctx, view, rows.Schema, []duck.Opener{open}, duck.UnknownRows); err != nil {
		return fmt.Errorf("chaos: compare: %w", err)
	}
	err := o.CompareQueries(ctx, "SELECT * FROM "+view, query)
	return errors.Join(err, o.Exec(context.WithoutCancel(ctx), "DROP VIEW "+view))
}

// CompareQueries compares the rows of two queries, such as one over the output of
// a job and one over its input.
func (o *Oracle) CompareQueries(ctx context.Context, got, want string) error {
	g, err := o.Digest(ctx, got)
	if err != nil {
		return fmt.Errorf("chaos: compare: the job's rows: %w", err)
	}
	w, err := o.Digest(ctx, want)
	if err != nil {
		return fmt.Errorf("chaos: compare: the oracle: %w", err)
	}
	differs := ""
	if g != w {
		differs = fmt.Sprintf("\n got %+v\nwant %+v", g, w)
	}
	if len(w.Rows) < len(fmt.Sprint(valueRowsMax)) && g.Columns == w.Columns {
		for _, side := range []struct{ name, a, b string }{{"too many", got, want}, {"missing", want, got}} {
			rows, err := o.text(ctx, fmt.Sprintf("SELECT t::VARCHAR FROM ((%s) EXCEPT ALL (%s) LIMIT %d) AS t", side.a, side.b, shownRowsMax))
			if err != nil {
				return fmt.Errorf("chaos: compare by value: %w", err)
			}
			if len(rows) > 0 {
				differs += fmt.Sprintf("\n%s: %s", side.name, strings.Join(rows, " "))
			}
		}
	}
	if differs != "" {
		return fmt.Errorf("chaos: %w:%s", ErrDiffers, differs)
	}
	return nil
}

// text runs a query of one VARCHAR column.
func (o *Oracle) text(ctx context.Context, query string) ([]string, error) {
	schema, err := o.engine.Schema(ctx, query)
	if err != nil {
		return nil, err
	}
	b := vec.NewBuilder(schema, memory.DefaultAllocator)
	defer b.Release()
	var out []string
	_, err = o.engine.Fetch(ctx, query, func(c *vec.Chunk) error {
		if err := b.Append(c, nil, 0); err != nil {
			return err
		}
		rec, err := b.Batch()
		if err != nil {
			return err
		}
		defer rec.Release()
		col, ok := rec.Column(0).(*array.String)
		if !ok {
			return fmt.Errorf("chaos: %s is no text", rec.Column(0).DataType())
		}
		for i := range col.Len() {
			out = append(out, strings.Clone(col.Value(i)))
		}
		return nil
	})
	return out, err
}

// pulled is a sequence of batches as a stream. DuckDB's threads ask for them,
// so that iter.Pull will not do: it wants one thread.
type pulled struct {
	batches chan arrow.RecordBatch
	stop    chan struct{}
	err     error // once batches is closed
}

func pull(seq iter.Seq2[arrow.RecordBatch, error]) *pulled {
	p := &pulled{batches: make(chan arrow.RecordBatch), stop: make(chan struct{})}
	go func() {
		defer close(p.batches)
		for rec, err := range seq {
			if err != nil {
				p.err = err
				return
			}
			rec.Retain() // beyond the sequence's own hold
			select {
			case p.batches <- rec:
			case <-p.stop:
				rec.Release()
				return
			}
		}
	}()
	return p
}

// Next is the next batch, or io.EOF.
func (p *pulled) Next() (arrow.RecordBatch, error) {
	rec, ok := <-p.batches
	switch {
	case ok:
		return rec, nil
	case p.err != nil:
		return nil, p.err
	}
	return nil, io.EOF
}

// Close ends the sequence, and waits until it has released its input.
func (p *pulled) Close() error {
	close(p.stop)
	for rec := range p.batches {
		rec.Release()
	}
	return nil
}
