//go:build duckdb_arrow

package duck

import (
	"context"
	"errors"

	"github.com/apache/arrow-go/v18/arrow"
)

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

type function struct{}

func (e *Engine) freeFuncs() {}
