//go:build duckdb_arrow

package duck

import (
	"errors"
	"regexp"
	"strconv"
	"strings"
)

// Sentinels that errors.Is matches against what the engine returns.
var (
	ErrQuery       = errors.New("query error")           // the SQL or a value is wrong: running it again will not help
	ErrData        = errors.New("damaged file")          // a file violates its format
	ErrMissing     = errors.New("no such file")          // a path, or a pattern that nothing matches
	ErrPermission  = errors.New("permission denied")     // the system keeps the file from this process
	ErrMemory      = errors.New("out of memory")         // the memory budget was not enough
	ErrInterrupted = errors.New("interrupted")           // the context ended; matches the context's cause too
	ErrDiskFull    = errors.New("disk full")             // the disk, or the spill limit
	ErrDenied      = errors.New("denied by the engine")  // SQL reached beyond its Access
	ErrIO          = errors.New("file error")            // the system failed to read or write a file: its disk or mount
	ErrLimit       = errors.New("a limit of the system") // open files, locks, memory of the system's own
	ErrInternal    = errors.New("DuckDB failed inside")  // a defect of DuckDB; this engine works on
	ErrOverrun     = errors.New("memory was overrun")    // the system saw DuckDB read beyond its memory: close the engine, end the process
	ErrShort       = errors.New("rows are missing")      // streams ended with other than the rows they were registered with
	ErrBroken      = errors.New("engine is unusable")    // DuckDB failed inside: close the engine
	ErrClosed      = errors.New("engine is closed")      // used after Close
	ErrLocked      = errors.New("engine is locked")      // Lock after Lock
)

// Error is an error that DuckDB itself reported, in its own words.
type Error struct {
	Type     string // "Parser", "Binder", "Catalog", "Conversion", "IO", "Out of Memory", "INTERRUPT" …; as DuckDB names it
	Message  string // DuckDB's own text, without the addresses of its code
	Stack    string // where in its code DuckDB failed inside; for logs
	Query    string // the SQL text
	Position int    // byte offset in Query of the mistake, from Parse; -1: not known
	cause    error  // the context's cause, when it was interrupted
}

func (e *Error) Error() string { return e.Message }

// Unwrap is the context's cause when the query was interrupted, else nil.
func (e *Error) Unwrap() error { return e.cause }

// Is matches the sentinel of the error's class.
func (e *Error) Is(target error) bool { return e.class() == target }

// quotes matches what DuckDB's messages quote of a statement: a line of it, and a mark below.
var quotes = regexp.MustCompile(`\n\nLINE (\d+): (.*\n)( *\^)`)

// behind is the error of a statement that is a query behind whole lines, which the query's
// author has not written: the message quotes the query alone.
func behind(err error, head, query string) error {
	var e *Error
	if !errors.As(err, &e) {
		return err
	}
	with := *e
	with.Query = query
	with.Message = quotes.ReplaceAllStringFunc(e.Message, func(s string) string {
		m := quotes.FindStringSubmatch(s)
		n, err := strconv.Atoi(m[1])
		n -= strings.Count(head, "\n")
		line := strconv.Itoa(n)
		shift := len(m[1]) - len(line) // of the mark
		switch {
		case err != nil || shift < 0 || shift >= len(m[3]): // not DuckDB's: a text of the query's
			return s
		case n < 1:
			return ""
		}
		return "\n\nLINE " + line + ": " + m[2] + m[3][shift:]
	})
	return &with
}

// Class is the sentinel that an error with DuckDB's text matches.
func Class(text string) error { return newError(text, "").class() }

// What DuckDB adds to its errors, and nobody here can use.
const (
	inside    = "\nThis error signals an assertion failure within DuckDB."
	solutions = "\n\nPossible solutions:\n" // settings, which are frozen
)

// newError is DuckDB's text as an *Error.
func newError(text, query string) *Error {
	kind, _, ok := strings.Cut(text, " Error: ")
	if !ok || strings.Contains(kind, "\n") {
		kind = ""
	}
	e := &Error{Type: kind, Message: text, Query: query, Position: -1}
	if at := strings.Index(text, "\n\nStack Trace:\n"); at >= 0 {
		e.Message, e.Stack = text[:at], strings.TrimSpace(text[at:])
	}
	e.Message, _, _ = strings.Cut(e.Message, inside)
	e.Message, _, _ = strings.Cut(e.Message, solutions)
	return e
}

// classes maps DuckDB's types of errors (ExceptionType in its source) to ours; any
// other is ErrQuery.
var classes = map[string]error{
	"Out of Memory":   ErrMemory,
	"INTERRUPT":       ErrInterrupted,
	"Permission":      ErrDenied,
	"IO":              ErrData, // if the system call did not fail
	"Invalid":         ErrData, // a library below DuckDB choked on bytes
	"INTERNAL":        ErrInternal,
	"NullPointer":     ErrInternal,
	"FATAL":           ErrBroken,
	"Data Corruption": ErrBroken, // of DuckDB's own storage, not of a file that is read
}

// failures are the system's words, with which DuckDB ends an IO error.
var failures = []struct {
	words string
	class error
}{
	{"No space left on device", ErrDiskFull}, {"Disk quota exceeded", ErrDiskFull}, {"File too large", ErrDiskFull},
	{"Permission denied", ErrPermission}, {"Operation not permitted", ErrPermission}, {"Read-only file system", ErrPermission},
	{"No such file or directory", ErrMissing}, {"No files found that match", ErrMissing}, {"Not a directory", ErrMissing},
	{"File name too long", ErrMissing}, {"Too many levels of symbolic links", ErrMissing},
	{"Too many open files", ErrLimit}, {"Cannot allocate memory", ErrLimit}, {"Resource temporarily unavailable", ErrLimit}, {"No locks available", ErrLimit},
	{"Input/output error", ErrIO}, {"Stale file handle", ErrIO}, {"Connection timed out", ErrIO}, {"Host is down", ErrIO},
	{"Transport endpoint is not connected", ErrIO}, {"No such device", ErrIO}, {"Remote I/O error", ErrIO},
	{"Bad address", ErrOverrun}, // the buffer ended before the read: what lies behind it is overwritten
	{"Failed to write to file", ErrIO}, {"Could not fsync", ErrIO}, {"Could not write", ErrIO},
}

// damage matches DuckDB's messages for damaged files that it reports as invalid
// input. Only the hint of the error depends on it.
var damage = regexp.MustCompile(`magic bytes|too small to be a|Footer length|[Cc]orrupt|[Mm]alformed|Failed to read (Parquet )?file|[Uu]nexpected (EOF|end of)|[Dd]ecompress|not a valid|miniblocks|Invalid unicode|as valid UTF-8|Out of buffer`)

// mended matches messages that sound like damage, but are about a text that is no file's,
// or about whole files that are to be read with other options, which DuckDB then names.
var mended = regexp.MustCompile(`Malformed JSON at byte|schema mismatch in glob`)

func (e *Error) class() error {
	switch e.Type {
	case "IO", "HTTP":
		for _, f := range failures {
			if strings.Contains(e.Message, f.words) {
				return f.class
			}
		}
	case "Out of Memory":
		if strings.Contains(e.Message, "max_temp_directory_size") {
			return ErrDiskFull
		}
	case "Invalid Input":
		switch {
		case strings.Contains(e.Message, "configuration has been locked"):
			return ErrDenied
		case damage.MatchString(e.Message) && !mended.MatchString(e.Message):
			return ErrData
		}
	}
	if class, ok := classes[e.Type]; ok {
		return class
	}
	return ErrQuery
}
