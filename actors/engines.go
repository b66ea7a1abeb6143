package actors

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"slices"
	"strings"

	"github.com/apache/arrow-go/v18/arrow"
	"github.com/apache/arrow-go/v18/arrow/memory"
	"github.com/apache/arrow-go/v18/arrow/memory/mallocator"

	"github.com/pondmesh/pond/actors/plan"
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

// enginesKeptPerSlot is how many locked engines wait for a next task like one
// before: a job's tasks that keep the order of rows, or read files, take turns
// with those that do not.
const enginesKeptPerSlot = 4

// newAllocator is memory that DuckDB may read: outside Go's heap.
func newAllocator() memory.Allocator { return mallocator.NewMallocator() }

// slotMemory is an even share of a node's memory.
func (c Config) slotMemory() int64 { return c.Memory / int64(max(c.Slots, 1)) }

func fetchWindow(c Config) int64 { return max(c.slotMemory()*fetchShare/100, 4<<20) }

// engines are a node's warm DuckDBs, in one pool, and one engine beside them that
// reads file footers and parses SQL for the planner. It is not locked, and never
// runs a user's SQL.
type engines struct {
	*duck.Pool
	cfg     Config
	version string
	planner *duck.Engine
}

func newEngines(ctx context.Context, cfg Config, spill string) (*engines, error) {
	e := &engines{cfg: cfg}
	var err error
	e.planner, err = duck.Open(ctx, duck.Config{Memory: plannerMemory, Threads: max(cfg.Slots, 1), SpillDir: filepath.Join(spill, "planner"), Log: cfg.Log})
	if err != nil {
		return nil, fmt.Errorf("actors: open DuckDB: %w", err)
	}
	_, err = e.planner.Fetch(ctx, "SELECT version()", func(c *vec.Chunk) error {
		e.version = string((*vec.Str)(c.Columns[0].Data).Bytes())
		return nil
	})
	slots := max(cfg.Slots, 1)
	e.Pool = duck.NewPool(duck.PoolConfig{
		Engine: duck.Config{Memory: cfg.slotMemory() * engineShare / 100, Threads: 1, SpillDir: filepath.Join(spill, "engines"), Log: cfg.Log},
		Blank:  slots + 1, // of which one plans
		Idle:   slots*enginesKeptPerSlot + planningKept,
		Much:   cfg.Memory / 2,
		Setup:  e.setup,
	})
	return e, errors.Join(err, e.tryFuncs(ctx))
}

// stageTerms are those of an engine that runs tasks of a stage, with what an
// attempt is granted.
func stageTerms(stage *plan.Stage, access []string, memory int64, threads int) duck.Terms {
	terms := duck.Terms{Memory: memory * engineShare / 100, Threads: threads}
	// Stages whose SQL reads no files share engines whatever their jobs read.
	if len(stage.Access) > 0 || slices.ContainsFunc(stage.Inputs, func(in plan.Input) bool { return in.Scan != nil }) {
		terms.Access = accessOf(access)
	}
	terms.Ordered = stage.Ordered
	if stage.Planned {
		terms.Optimizers = plannedOff
	}
	return terms
}

// plannedOff are optimizers that are off where a stage is planned. The order of
// joins is settled; and DuckDB loses rows of an ASOF LEFT JOIN with nothing when
// it pulls empty results up, as those of a task often are.
const plannedOff = "join_order,empty_result_pullup"

// wholeTerms are those of a job's only task, as a node like this one is granted it.
func (n *Node) wholeTerms(job *compiledJob) duck.Terms {
	return stageTerms(job.plan.Stages[0], job.access, n.cfg.slotMemory(), n.threads(allCores))
}

// threads is how many of those that a task is granted it takes here.
func (n *Node) threads(granted int) int { return max(min(granted, max(n.cfg.Slots, cores())), 1) }

// planning are the terms of an engine whose optimizer makes plans that can be
// read and written back: one of logical.OptimizerTries is off. It plans a user's
// query, and never runs it.
func planning(access []string, off string) duck.Terms {
	return duck.Terms{Access: accessOf(access), Memory: plannerMemory, Threads: 1, Optimizers: off}
}

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

// tryFuncs has one engine take the Go functions, so that a mistake in one is told
// when the node starts.
func (e *engines) tryFuncs(ctx context.Context) error {
	if len(e.cfg.Funcs.scalars()) == 0 {
		return nil
	}
	d, err := e.Get(ctx, duck.Terms{})
	if err != nil {
		return err
	}
	e.Put(d)
	return nil
}

// planningKept is how many planning engines stay warm beside those of slots.
const planningKept = 3

// plannerMemory bounds the planner's engine, in bytes.
const plannerMemory = 256 << 20

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

func (e *engines) close() error { return errors.Join(e.planner.Close(), e.Close()) }

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
	var te *plan.Error
	if err == nil || errors.As(err, &te) {
		return err
	}
	for _, k := range duckKinds {
		if errors.Is(err, k.err) {
			return &plan.Error{Kind: k.kind, Op: op, Text: duckText(err)}
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
