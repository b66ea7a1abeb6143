//go:build duckdb_arrow

package duck

import (
	"errors"
	"strings"
)

// Sentinels that errors.Is matches against what the engine returns.
var (
	ErrQuery       = errors.New("query error")          // the SQL or its data is wrong: running it again will not help
	ErrMemory      = errors.New("out of memory")        // the memory budget was not enough
	ErrInterrupted = errors.New("interrupted")          // the context ended; matches the context's cause too
	ErrDiskFull    = errors.New("disk full")            // the disk, or the spill limit
	ErrDenied      = errors.New("denied by the engine") // SQL reached for what it was not given
	ErrIO          = errors.New("file error")           // a file is missing, unreadable or damaged
	ErrBroken      = errors.New("engine is unusable")   // DuckDB failed inside: close the engine
	ErrClosed      = errors.New("engine is closed")     // used after Close
	ErrLocked      = errors.New("engine is locked")     // SetMemory or Lock after Lock
)

// Error is an error that DuckDB itself reported, in its own words.
type Error struct {
	Type     string // "Parser", "Binder", "Catalog", "Conversion", "IO", "Out of Memory", "INTERRUPT" …; as DuckDB names it
	Message  string // DuckDB's own text
	Query    string // what was run
	Position int    // byte offset in Query of what is wrong, from Parse; -1: not known
	cause    error  // the context's cause, when it was interrupted
}

func (e *Error) Error() string { return e.Message }

// Unwrap is the context's cause when the query was interrupted, else nil.
func (e *Error) Unwrap() error { return e.cause }

// Is matches the sentinel of the error's class.
func (e *Error) Is(target error) bool { return e.class() == target }

func (e *Error) class() error {
	switch {
	case strings.Contains(e.Message, "max_temp_directory_size"), strings.Contains(e.Message, "No space left on device"):
		return ErrDiskFull
	case strings.Contains(e.Message, "configuration has been locked"), strings.Contains(e.Message, "disabled through configuration"):
		return ErrDenied
	}
	switch e.Type {
	case "Out of Memory":
		return ErrMemory
	case "INTERRUPT":
		return ErrInterrupted
	case "Permission":
		return ErrDenied
	case "IO":
		return ErrIO
	case "FATAL", "INTERNAL":
		return ErrBroken
	}
	return ErrQuery
}
