// Package engines keeps a node's DuckDBs warm, each locked down for its work, and
// translates an engine's errors into those of a task.
//
//	Open ─▶ Pool.Get(options of a stage, of planning, …) ─▶ duck.Engine ─▶ Put
//	     └▶ Pool.Planner: parses, reads footers, matches file names
//
// It refuses to know the queries: packages prepare and exec do. Package duck has
// the engine itself; DuckDB's settings and the lock are there.
//
// Read engines.go, then errors.go.
package engines

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"sync"

	"github.com/apache/arrow-go/v18/arrow"
	"github.com/apache/arrow-go/v18/arrow/memory"
	"github.com/apache/arrow-go/v18/arrow/memory/mallocator"

	"github.com/pondmesh/pond/actors/funcs"
	"github.com/pondmesh/pond/actors/plan"
	"github.com/pondmesh/pond/duck"
)

// MemoryShare is DuckDB's share of an attempt's memory, in percent. The rest is
// for rows that leave and blocks that arrive.
const MemoryShare = 70

// keptPerSlot is how many locked engines wait for a next task like one before: a
// job's tasks that keep the order of rows, or read files, take turns with those
// that do not. planningKept more are warm for planning.
const (
	keptPerSlot  = 4
	planningKept = 3
)

// plannerMemory bounds an engine that plans, in bytes.
const plannerMemory = 256 << 20

// Config bounds the resources of a pool.
type Config struct {
	Memory int64 // bytes, of all slots together
	Slots  int   // tasks at once
	Warm   bool  // one engine is opened at once, others as they are needed; else one a slot, and one that plans, are kept open, ready for any work
	Dir    string
	// SpillMax is how many bytes each engine may spill; 0: as DuckDB has it.
	SpillMax int64
	Funcs    *funcs.Registry // that SQL may call; nil: none
	Log      *slog.Logger
}

// warmThreadsMax is how many threads a warm engine begins with, at most. On small nodes that
// is as many as a task has that is alone there, so that they need not be set first. More
// than a few take longer to start, to confine and to end than that takes.
const warmThreadsMax = 4

// SlotMemory is an even share of the memory.
func (c Config) SlotMemory() int64 { return c.Memory / int64(max(c.Slots, 1)) }

// Threads is how many of those that a task is granted it takes here.
func (c Config) Threads(granted int) int { return max(min(granted, max(c.Slots, Cores())), 1) }

// Cores is how many this process may use: a container may have fewer than its
// machine.
func Cores() int { return runtime.GOMAXPROCS(0) }

// NewAllocator is memory that DuckDB may read: outside Go's heap.
func NewAllocator() memory.Allocator { return mallocator.NewMallocator() }

// Pool is a node's warm engines. It is safe for concurrent use.
type Pool struct {
	*duck.Pool
	Config Config // never changed

	mu      sync.Mutex
	planner *duck.Engine // nil until it is needed
	closed  bool
}

// Open starts a pool, whose engines spill below c.Dir. A Go function that DuckDB
// does not take is an error at once. The caller closes the pool, also when Open
// fails and returns one.
func Open(ctx context.Context, c Config) (*Pool, error) {
	if c.Funcs == nil {
		c.Funcs = new(funcs.Registry)
	}
	p := &Pool{Config: c}
	slots := max(c.Slots, 1)
	blank, threads := slots+1, 1
	if c.Warm {
		blank, threads = 0, min(c.Threads(plan.AllCores), warmThreadsMax)
	}
	p.Pool = duck.NewPool(duck.PoolConfig{
		Engine: duck.Config{Memory: c.SlotMemory() * MemoryShare / 100, Threads: threads, SpillDir: filepath.Join(c.Dir, "engines"), SpillMax: c.SpillMax, Log: c.Log},
		Blank:  blank,
		Idle:   slots*keptPerSlot + planningKept,
		Setup:  p.setup,
	})
	if c.Warm {
		return p, p.Pool.Warm(ctx) // which registers the functions
	}
	return p, p.tryFuncs(ctx)
}

// Close ends all engines.
func (p *Pool) Close() error {
	p.mu.Lock()
	defer p.mu.Unlock()
	err := p.Pool.Close()
	if p.closed = true; p.planner != nil {
		err = errors.Join(err, p.planner.Close())
	}
	return err
}

// Planner is the engine that parses SQL and reads footers and columns of files. It is
// not locked, and never runs a user's SQL. It is the pool's, which opens it when it is
// needed first, and again when DuckDB has given it up.
func (p *Pool) Planner(ctx context.Context) (*duck.Engine, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	switch {
	case p.closed:
		return nil, duck.ErrClosed
	case p.planner != nil && !p.planner.Broken():
		return p.planner, nil
	case p.planner != nil:
		if err := p.planner.Close(); err != nil {
			p.Config.Log.Warn("engines: closing an engine", "err", err)
		}
		p.planner = nil
	}
	e, err := duck.Open(ctx, duck.Config{Memory: plannerMemory, Threads: max(p.Config.Slots, 1), SpillDir: filepath.Join(p.Config.Dir, "planner"), Log: p.Config.Log})
	if err != nil {
		return nil, fmt.Errorf("engines: open DuckDB: %w", err)
	}
	p.planner = e
	return e, nil
}

// ForStage returns the options of an engine that runs tasks of a stage. access
// lists the paths that the job may read, staging is the folder to which a stage
// writes files (empty: it is only bound), memory and threads are an attempt's grant.
func ForStage(stage *plan.Stage, access []string, staging string, memory int64, threads int) duck.Options {
	o := duck.Options{Memory: memory * MemoryShare / 100, Threads: threads}
	// Stages whose SQL reads no files share engines whatever their jobs read.
	if len(stage.Access) > 0 || slices.ContainsFunc(stage.Inputs, func(in plan.Input) bool { return in.Scan != nil }) {
		o.Access = accessOf(access)
	}
	if stage.Exchange.Write != nil && staging != "" {
		o.Dirs = append(o.Dirs, staging)
	}
	o.Ordered, o.Grouped = stage.Ordered, stage.Exchange.Grouped
	if stage.Optimized {
		o.Optimizers = plannedOff
	}
	return o
}

// plannedOff is the optimizer that is off where a stage is planned: the order of joins
// is settled.
const plannedOff = "join_order"

// ForPlanning are the options of an engine whose optimizer makes plans that can be
// read and written back: one of logical.OptimizerTries is off. It plans a user's
// query, and never runs it.
func ForPlanning(access []string, off string) duck.Options {
	return duck.Options{Access: accessOf(access), Memory: plannerMemory, Threads: 1, Optimizers: off}
}

// ForBinding are the options of an engine that names and types a query's columns.
func ForBinding(access []string) duck.Options { return duck.Options{Access: accessOf(access)} }

// accessOf tells files from folders, which end in a slash.
func accessOf(paths []string) (acc duck.Access) {
	for _, p := range paths {
		if strings.HasSuffix(p, "/") {
			acc.Dirs = append(acc.Dirs, p)
		} else {
			acc.Files = append(acc.Files, p)
		}
	}
	return acc
}

// tryFuncs registers the Go functions with one engine, so that a mistake in one
// fails the start of the node.
func (p *Pool) tryFuncs(ctx context.Context) error {
	if len(p.Config.Funcs.Scalars()) == 0 {
		return nil
	}
	d, err := p.Get(ctx, duck.Options{})
	if err != nil {
		return err
	}
	p.Put(d)
	return nil
}

// setup gives an engine the Go functions.
func (p *Pool) setup(_ context.Context, d *duck.Engine) error {
	for _, f := range p.Config.Funcs.Scalars() {
		err := d.RegisterFunc(duck.Func{Name: f.Name, Args: f.Args, Result: f.Result, Volatile: f.Volatile,
			Call: func(ctx context.Context, args arrow.RecordBatch) (arrow.Array, error) {
				return f.Run(ctx, p.Config.Log, args)
			}})
		if err != nil {
			return fmt.Errorf("engines: register function %s: %w", f.Name, err)
		}
	}
	return nil
}
