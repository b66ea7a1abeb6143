//go:build duckdb_arrow

package duck

import (
	"context"
	"errors"
	"log/slog"
)

// Config is what an Engine is opened with. The zero Memory, Threads and
// SpillMax are DuckDB's own defaults.
type Config struct {
	Memory   int64        // bytes DuckDB may hold; it spills beyond
	Threads  int          // threads of DuckDB, the caller's included
	SpillDir string       // a directory of the engine's own: created by Open, removed by Close; empty: no spilling
	SpillMax int64        // bytes it may spill
	Log      *slog.Logger // nil: silent
}

// Engine is one in-memory DuckDB. Its methods may be called concurrently;
// queries run one at a time. Callbacks given to it must not call it.
type Engine struct{}

// Open starts an engine. It is not locked: it may read any file until Lock.
func Open(ctx context.Context, c Config) (*Engine, error) { return nil, errors.ErrUnsupported }

// SetMemory changes the memory budget, in bytes. After Lock it is ErrLocked.
func (e *Engine) SetMemory(ctx context.Context, bytes int64) error { return errors.ErrUnsupported }

// Access is what SQL may read and write besides the engine's own spill directory.
type Access struct {
	Dirs  []string // directories, with all below them
	Files []string // single files
	// Ordered keeps the order of files and streams where the query itself does
	// not order its rows, at the price of some memory and speed. ORDER BY is
	// kept either way.
	Ordered bool
}

// Lock confines the engine to a and freezes its settings, for good.
func (e *Engine) Lock(ctx context.Context, a Access) error { return errors.ErrUnsupported }

// Usage is what an engine holds now.
type Usage struct {
	Memory int64 // bytes
	Spill  int64 // bytes in the spill directory
}

// Usage may be called while a query runs.
func (e *Engine) Usage(ctx context.Context) (Usage, error) { return Usage{}, errors.ErrUnsupported }

// Reset drops all that queries left behind (tables, views, registered streams,
// open transactions), so that the next task with the same Access can use the
// engine. Registered functions stay.
func (e *Engine) Reset(ctx context.Context) error { return errors.ErrUnsupported }

// Close interrupts a running query, waits for it, and frees everything. It is
// idempotent.
func (e *Engine) Close() error { return errors.ErrUnsupported }
