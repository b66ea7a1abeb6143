//go:build duckdb_arrow

package duck

// #cgo CFLAGS: -fexceptions
// #cgo darwin LDFLAGS: -Wl,-undefined,dynamic_lookup
// #include <stdlib.h>
// #include "bridge.h"
import "C"

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"runtime/cgo"
	"strconv"
	"sync"
	"sync/atomic"
	"unsafe"

	"github.com/duckdb/duckdb-go/v2/mapping"

	"github.com/pondmesh/pond/duck/lexer"
)

// Config configures an Engine. The zero Memory, Threads and SpillMax are DuckDB's
// own defaults.
type Config struct {
	Memory   int64        // bytes DuckDB may hold; it spills beyond. What streams hold is not counted
	Threads  int          // threads of DuckDB, the caller's included
	SpillDir string       // a directory of the engine's own: created by Open, removed by Close; empty: no spilling
	SpillMax int64        // bytes it may spill
	Log      *slog.Logger // nil: silent
}

// Engine is one in-memory DuckDB. Its methods may be called concurrently;
// queries run one at a time. Callbacks given to it must not call it, but for
// Usage, Parse and Deparse, which do not wait for the query. The time zone
// is UTC wherever the engine runs.
type Engine struct {
	config Config
	db     mapping.Database

	// closing ends when Close is called; it ends the running query.
	closing context.Context
	close   context.CancelCauseFunc
	closed  sync.Once

	turn    chan struct{}      // holds one token: its taker may use the fields below
	conn    mapping.Connection // where queries run
	locked  bool
	left    leftovers          // what Reset must look for
	hazards bool               // views and macros may be hazardous to stream
	bound   bound              // what Schema left for the next operation
	current atomic.Pointer[op] // the running query, for callbacks
	sink    *C.pond_sink
	funcs   []*function
	self    unsafe.Pointer // C's memory, with the handle by which callbacks find the engine
	sources []*source      // what views read
	broken  atomic.Bool    // DuckDB is unusable
	suspect atomic.Bool    // DuckDB failed inside: Reset refuses

	poolKey string // what Pool keeps it for

	sideTurn chan struct{}                        // the same for
	side     mapping.Connection                   // what must work while a query runs
	asides   map[string]mapping.PreparedStatement // of side, by their text: few
}

// Open starts an engine. It is not locked: it may read any file until Lock.
func Open(ctx context.Context, c Config) (*Engine, error) {
	if err := ctx.Err(); err != nil {
		return nil, fmt.Errorf("duck: open: %w", context.Cause(ctx))
	}
	if C.pond_linked() == 0 {
		return nil, errors.New("duck: open: the DuckDB library that was linked lacks streaming results")
	}
	if c.Log == nil {
		c.Log = slog.New(slog.DiscardHandler)
	}
	if c.SpillDir != "" {
		dir, err := filepath.Abs(c.SpillDir)
		if err != nil {
			return nil, fmt.Errorf("duck: open: %w", err)
		}
		c.SpillDir = dir
		if err := os.MkdirAll(dir, 0o700); err != nil {
			return nil, fmt.Errorf("duck: open: %w", err)
		}
	}
	e := &Engine{config: c, turn: make(chan struct{}, 1), sideTurn: make(chan struct{}, 1),
		asides: map[string]mapping.PreparedStatement{}}
	e.closing, e.close = context.WithCancelCause(context.Background())
	e.self = C.malloc(C.sizeof_uintptr_t)
	*(*C.uintptr_t)(e.self) = C.uintptr_t(cgo.NewHandle(e))
	if err := e.open(); err != nil {
		e.free()
		return nil, fmt.Errorf("duck: open: %w", err)
	}
	e.turn <- struct{}{}
	e.sideTurn <- struct{}{}
	return e, nil
}

func (e *Engine) open() error {
	var config mapping.Config
	if mapping.CreateConfig(&config) == mapping.StateError {
		return errors.New("no configuration")
	}
	defer mapping.DestroyConfig(&config)
	for _, s := range e.config.settings() {
		if mapping.SetConfig(config, s[0], s[1]) == mapping.StateError {
			return fmt.Errorf("no such setting: %s", s[0])
		}
	}
	var text string
	if mapping.OpenExt(":memory:", &e.db, config, &text) == mapping.StateError {
		return newError(text, "")
	}
	for _, conn := range []*mapping.Connection{&e.conn, &e.side} {
		if mapping.Connect(e.db, conn) == mapping.StateError {
			return errors.New("no connection")
		}
	}
	// DuckDB's caches of footers and of file contents notice a change by a time in
	// whole seconds: a file that is rewritten within its second would be read as it was.
	first := openFiles(openFilesMax) + "; SET GLOBAL TimeZone = 'UTC'; SET GLOBAL enable_external_file_cache = false"
	if e.config.SpillMax > 0 {
		// As a configuration DuckDB shows this limit but does not keep to it.
		first += "; SET GLOBAL max_temp_directory_size = " + lexer.QuoteText(bytesText(e.config.SpillMax))
	}
	if _, err := run(e.conn, first); err != nil {
		return err
	}
	return e.registerInternals()
}

// How many files of an output DuckDB writes at once: with more partitions it closes
// some, and begins new files for them later. Each thread keeps rows back until it has
// many, 2,048 of each column for each partition, however few they are: 5,000 partitions
// of six columns take 400 MB a thread. Rows that come grouped need neither.
const (
	openFilesMax    = 100
	groupedFilesMax = 8
)

func openFiles(n int) string {
	return fmt.Sprintf("SET GLOBAL partitioned_write_max_open_files = %d", n)
}

// settings are those that an engine is born with.
func (c Config) settings() [][2]string {
	list := [][2]string{
		{"autoinstall_known_extensions", "false"},
		{"autoload_known_extensions", "false"},
		{"allow_community_extensions", "false"},
		{"allow_unsigned_extensions", "false"},
		{"allow_persistent_secrets", "false"},
		{"arrow_lossless_conversion", "true"},
		{"temp_directory", c.SpillDir},
	}
	if c.Memory > 0 {
		list = append(list, [2]string{"memory_limit", bytesText(c.Memory)})
	}
	if c.Threads > 0 {
		list = append(list, [2]string{"threads", strconv.Itoa(c.Threads)})
	}
	return list
}

// bytesText is n as DuckDB reads sizes.
func bytesText(n int64) string { return strconv.FormatInt(n, 10) + "B" }

func setMemory(bytes int64) string {
	return "SET GLOBAL memory_limit = " + lexer.QuoteText(bytesText(bytes))
}

// Access lists the paths that SQL may read and write besides the engine's own
// spill directory.
type Access struct {
	Dirs  []string // directories, with all below them
	Files []string // single files
	// Ordered keeps the order of files and streams where the query itself does
	// not order its rows, at the price of some memory and speed. ORDER BY is
	// kept either way.
	Ordered bool
}

// Lock confines the engine to a and freezes its settings permanently. Paths are
// resolved before they are checked, links included.
func (e *Engine) Lock(ctx context.Context, a Access) error {
	dirs, err := absolute(a.Dirs)
	if err != nil {
		return fmt.Errorf("duck: lock: %w", err)
	}
	files, err := absolute(a.Files)
	if err != nil {
		return fmt.Errorf("duck: lock: %w", err)
	}
	var set []string // what differs from DuckDB's defaults, which nothing else changes: a SET takes a third of a millisecond
	if !a.Ordered {
		set = append(set, "SET GLOBAL preserve_insertion_order = false")
	}
	if len(dirs) > 0 {
		set = append(set, "SET GLOBAL allowed_directories = "+quoteList(dirs))
	}
	if len(files) > 0 {
		set = append(set, "SET GLOBAL allowed_paths = "+quoteList(files))
	}
	// The order matters: each may only be set before the next.
	err = e.configure(ctx, "lock", append(set, "SET GLOBAL enable_external_access = false", "SET GLOBAL lock_configuration = true")...)
	if err == nil {
		e.locked = true
	}
	return err
}

// absolute makes paths absolute, and leaves those that are as they are: what .. in
// them means depends on links.
func absolute(paths []string) ([]string, error) {
	out := make([]string, len(paths))
	for i, p := range paths {
		if out[i] = p; filepath.IsAbs(p) {
			continue
		}
		abs, err := filepath.Abs(p)
		if err != nil {
			return nil, err
		}
		out[i] = abs
	}
	return out, nil
}

// configure runs statements that change settings.
func (e *Engine) configure(ctx context.Context, what string, statements ...string) error {
	o, err := e.begin(ctx, what)
	if err != nil {
		return err
	}
	if e.locked {
		return o.end(ErrLocked)
	}
	for _, s := range statements {
		if _, err := run(e.conn, s); err != nil {
			return o.end(err)
		}
	}
	return o.end(nil)
}

// Usage is the memory and disk space that an engine holds now.
type Usage struct {
	Memory int64 // bytes
	Spill  int64 // bytes in the spill directory
}

// Usage may be called while a query runs.
func (e *Engine) Usage(ctx context.Context) (Usage, error) {
	rows, err := e.aside(ctx, "SELECT sum(memory_usage_bytes)::BIGINT FROM duckdb_memory()")
	if err != nil {
		return Usage{}, fmt.Errorf("duck: usage: %w", err)
	}
	memory, _ := strconv.ParseInt(rows[0][0], 10, 64)
	return Usage{Memory: memory, Spill: e.Spill()}, nil
}

// Spill is the bytes in the spill directory, for which DuckDB is not asked.
func (e *Engine) Spill() (bytes int64) {
	if e.config.SpillDir == "" {
		return 0
	}
	files, _ := os.ReadDir(e.config.SpillDir)
	for _, f := range files {
		if info, err := f.Info(); err == nil && info.Mode().IsRegular() { // DuckDB removes them as it goes
			bytes += info.Size()
		}
	}
	return bytes
}

// Close interrupts a running query, waits for it, and frees everything. It is
// idempotent.
func (e *Engine) Close() error {
	var err error
	e.closed.Do(func() {
		e.close(ErrClosed)
		<-e.turn // kept: nothing runs after this
		<-e.sideTurn
		err = e.free()
	})
	return err
}

func (e *Engine) free() error {
	e.bound.free()
	for _, s := range e.asides {
		mapping.DestroyPrepare(&s)
	}
	for _, c := range []*mapping.Connection{&e.side, &e.conn} {
		mapping.Disconnect(c)
	}
	mapping.Close(&e.db)
	e.freeSources(0)
	e.freeFuncs()
	if e.self != nil {
		handleAt(e.self).Delete()
		C.free(e.self)
	}
	C.free(unsafe.Pointer(e.sink))
	if e.config.SpillDir == "" {
		return nil
	}
	if err := os.RemoveAll(e.config.SpillDir); err != nil {
		return fmt.Errorf("duck: close: %w", err)
	}
	return nil
}

// Broken reports whether DuckDB has given the engine up: it is only to be closed.
func (e *Engine) Broken() bool { return e.broken.Load() }

// Version is DuckDB's.
func Version() string { return mapping.LibraryVersion() }

// trouble notes what an error that DuckDB failed with inside means for the engine:
// one that DuckDB has given up is unusable, another may end its work but is not
// kept for more.
func (e *Engine) trouble(err error) {
	var de *Error
	if !errors.As(err, &de) {
		return
	}
	switch de.class() {
	case ErrBroken, ErrOverrun:
		e.broken.Store(true)
	case ErrInternal:
		e.suspect.Store(true)
	default:
		return
	}
	e.config.Log.Error("duck: DuckDB failed inside", "error", de.Message, "query", de.Query, "stack", de.Stack)
}
