package actors

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"sync"

	"github.com/apache/arrow-go/v18/arrow"
	"github.com/apache/arrow-go/v18/arrow/memory"
	"github.com/apache/arrow-go/v18/arrow/memory/mallocator"

	"github.com/pondmesh/pond/actors/plan"
	"github.com/pondmesh/pond/actors/plan/logical"
	"github.com/pondmesh/pond/duck"
	"github.com/pondmesh/pond/duck/vec"
)

// Shares of what one attempt may use, in percent: DuckDB, buffers of the rows
// that leave, blocks that arrive.
const (
	engineShare = 70
	writerShare = 20
	fetchShare  = 10
)

// enginesKeptPerSlot is how many locked engines wait for a next task like an
// earlier one: a job's tasks that keep the order of rows take turns with those
// that need not.
const enginesKeptPerSlot = 2

// newAllocator is memory that DuckDB may read: outside Go's heap.
func newAllocator() memory.Allocator { return mallocator.NewMallocator() }

func fetchWindow(c Config) int64 { return max(c.Memory/int64(max(c.Slots, 1))*fetchShare/100, 4<<20) }

// engines are a node's warm DuckDBs, in one pool a number of threads, and one
// engine beside them that reads file footers and parses SQL for the planner. It
// is not locked, and never runs a user's SQL.
type engines struct {
	cfg     Config
	spill   string
	version string
	planner *duck.Engine
	// planning has engines whose optimizer is set to make plans that can be read
	// and written back. They plan users' queries, locked, and never run them.
	planning *duck.Pool

	mu    sync.Mutex
	pools map[poolKey]*duck.Pool
}

func newEngines(ctx context.Context, cfg Config, spill string) (*engines, error) {
	e := &engines{cfg: cfg, spill: spill, pools: map[poolKey]*duck.Pool{}}
	var err error
	e.planner, err = duck.Open(ctx, duck.Config{Memory: plannerMemory, Threads: max(cfg.Slots, 1), SpillDir: filepath.Join(spill, "planner"), Log: cfg.Log})
	if err != nil {
		return nil, fmt.Errorf("actors: open DuckDB: %w", err)
	}
	_, err = e.planner.Fetch(ctx, "SELECT version()", func(c *vec.Chunk) error {
		e.version = string((*vec.Str)(c.Columns[0].Data).Bytes())
		return nil
	})
	e.pool(1, false)
	e.planning = duck.NewPool(duck.PoolConfig{
		Engine: duck.Config{Memory: plannerMemory, Threads: 1, SpillDir: filepath.Join(spill, "planning"), Log: cfg.Log},
		Blank:  planningKept, Idle: planningKept,
		Setup: func(ctx context.Context, d *duck.Engine) error {
			return errors.Join(e.setup(ctx, d), without(ctx, d, logical.DisabledOptimizers))
		},
	})
	return e, errors.Join(err, e.tryFuncs(ctx))
}

// tryFuncs has one engine take the Go functions, so that a mistake in one is told
// when the node starts.
func (e *engines) tryFuncs(ctx context.Context) error {
	if len(e.cfg.Funcs.scalars()) == 0 {
		return nil
	}
	d, err := e.planning.Get(ctx, duck.Access{}, plannerMemory)
	if err != nil {
		return err
	}
	e.planning.Put(d)
	return nil
}

// planningKept is how many planning engines stay warm.
const planningKept = 2

// plannerMemory bounds the planner's engine, in bytes.
const plannerMemory = 256 << 20

// poolKey is what the engines of a pool have in common.
type poolKey struct {
	threads int
	planned bool // plan.Stage.Planned
}

// pool is the pool of engines for such a stage.
func (e *engines) pool(threads int, planned bool) *duck.Pool {
	e.mu.Lock()
	defer e.mu.Unlock()
	key := poolKey{threads, planned}
	p := e.pools[key]
	if p == nil {
		slots := max(e.cfg.Slots/threads, 1)
		p = duck.NewPool(duck.PoolConfig{
			Engine: duck.Config{Memory: e.cfg.Memory / int64(slots) * engineShare / 100, Threads: threads,
				SpillDir: filepath.Join(e.spill, fmt.Sprintf("%d-%t", threads, planned)), Log: e.cfg.Log},
			Blank: slots,
			Idle:  slots * enginesKeptPerSlot,
			Setup: func(ctx context.Context, d *duck.Engine) error {
				if !planned {
					return e.setup(ctx, d)
				}
				return errors.Join(e.setup(ctx, d), without(ctx, d, "join_order"))
			},
		})
		e.pools[key] = p
	}
	return p
}

// without switches optimizers of an engine off.
func without(ctx context.Context, d *duck.Engine, optimizers string) error {
	_, err := d.Exec(ctx, "SET disabled_optimizers = "+plan.QuoteString(optimizers))
	return err
}

// setup gives an engine the node's Go functions.
func (e *engines) setup(_ context.Context, d *duck.Engine) error {
	for _, f := range e.cfg.Funcs.scalars() {
		err := d.RegisterFunc(duck.Func{Name: f.Name, Args: f.Args, Result: f.Result, Volatile: f.Volatile,
			Call: func(ctx context.Context, args arrow.RecordBatch) (out arrow.Array, err error) {
				err = guard(e.cfg.Log, f.Name, func() error {
					out, err = f.Call(ctx, args)
					if err == nil && (out == nil || int64(out.Len()) != args.NumRows()) {
						err = fmt.Errorf("the function did not return a value for each of %d rows", args.NumRows())
					}
					return err
				})
				return out, err
			}})
		if err != nil {
			return fmt.Errorf("actors: register function %s: %w", f.Name, err)
		}
	}
	return nil
}

func (e *engines) close() error {
	e.mu.Lock()
	defer e.mu.Unlock()
	errs := []error{e.planner.Close(), e.planning.Close()}
	for _, p := range e.pools {
		errs = append(errs, p.Close())
	}
	return errors.Join(errs...)
}

// duckKinds says what an engine's error means for the task.
var duckKinds = []struct {
	err  error
	kind plan.Kind
}{
	{duck.ErrMemory, plan.KindMemory},
	{duck.ErrInterrupted, plan.KindCancelled},
	{duck.ErrDiskFull, plan.KindResource},
	{duck.ErrIO, plan.KindResource},
	{duck.ErrDenied, plan.KindUser},
	{duck.ErrQuery, plan.KindUser},
	{duck.ErrBroken, plan.KindInternal},
}

// engineError is err, of an engine, as a task's error. Errors that passed
// through the engine (a lost segment, a Go function's) stay what they are.
func engineError(op string, err error) error {
	var te *plan.TaskError
	if err == nil || errors.As(err, &te) {
		return err
	}
	for _, k := range duckKinds {
		if errors.Is(err, k.err) {
			return &plan.TaskError{Kind: k.kind, Op: op, Text: duckText(err)}
		}
	}
	return err
}

// duckText is what DuckDB itself says, where it is DuckDB that says something.
func duckText(err error) string {
	var e *duck.Error
	if errors.As(err, &e) {
		return e.Message
	}
	return err.Error()
}
