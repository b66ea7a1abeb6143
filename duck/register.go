//go:build duckdb_arrow

package duck

import (
	"context"
	"errors"

	"github.com/apache/arrow-go/v18/arrow"
)

// Stream yields batches of one schema.
type Stream interface {
	// Next is the next batch, which the caller releases, or io.EOF.
	Next() (arrow.RecordBatch, error)
	Close() error
}

// Opener opens a stream from its beginning. It is called once a scan, so once
// or more a query, from DuckDB's threads; ctx ends with the query, and Next
// must then return.
type Opener func(ctx context.Context) (Stream, error)

// Register makes view the UNION ALL of streams, which all have schema. It can
// be scanned any number of times; each scan opens each stream anew and closes
// it by the end of the query. No streams make an empty view. Fields whose
// metadata carries vec.TypeKey have that DuckDB type. An error of an Opener or
// a Stream is returned, as it is, by the query that reads the view.
func (e *Engine) Register(ctx context.Context, view string, schema *arrow.Schema, streams []Opener) error {
	return errors.ErrUnsupported
}

// Func is a scalar SQL function written in Go.
type Func struct {
	Name     string
	Args     []string // DuckDB types
	Result   string   // DuckDB type
	Volatile bool     // equal arguments may give different results
	// Call computes one result a row of args, at most vec.MaxRows rows at a
	// time, from several threads at once; it sees NULLs. args is valid only
	// during the call; the result, whose type must be Result's, is released by
	// the engine. ctx is the query's.
	Call func(ctx context.Context, args arrow.RecordBatch) (arrow.Array, error)
}

// RegisterFunc adds f to the engine, for as long as the engine lives.
func (e *Engine) RegisterFunc(f Func) error { return errors.ErrUnsupported }
