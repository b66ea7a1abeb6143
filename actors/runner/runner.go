// Package runner is the DuckDB of one node, for tasks and for planning: in engine
// processes, which may crash and be ended without harm to the node, or in the node's own.
//
// It refuses to know jobs and nodes, and what is run: packages exec and isolate do that
// for tasks, prepare for planning.
package runner

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"

	"github.com/pondmesh/pond/actors/engines"
	"github.com/pondmesh/pond/actors/exec"
	"github.com/pondmesh/pond/actors/funcs"
	"github.com/pondmesh/pond/actors/isolate"
	"github.com/pondmesh/pond/actors/prepare"
	"github.com/pondmesh/pond/actors/process"
	"github.com/pondmesh/pond/actors/sandbox"
	"github.com/pondmesh/pond/duck/vec"
	"github.com/pondmesh/pond/fs/faults"
	"github.com/pondmesh/pond/shuffle/transfer"
)

// Engine processes that a node keeps: blank ones beside those that slots use, and
// used ones that wait for a next request of their access.
const (
	blankProcesses = 2
	idlePerSlot    = 2
	idlePlanning   = 2
)

// bufferPoolShare is how much of the node's memory free buffers may hold, in percent.
const bufferPoolShare = 5

// Config is a node's settings.
type Config struct {
	Program     []string // started for engine processes; nil: DuckDB runs in this process
	Memory      int64    // bytes, of the whole node
	SlotsMemory int64    // of these, of all slots together
	Slots       int
	Dir         string // for what is spilled; what is in it goes
	Limits      exec.Limits
	Funcs       *funcs.Registry // required
	Faults      *faults.Injector
	Log         *slog.Logger
}

// Runner runs task attempts, once it is given where segments are, and plans.
type Runner struct {
	DuckDB prepare.DuckDB // for planning
	Tasks  engines.Config // of the engines that run tasks

	c         Config
	engines   *engines.Pool // one of both
	processes *process.Pool
	machine   machine
}

// machine is an exec.Machine, or an isolate.Machine.
type machine interface {
	Run(ctx context.Context, a exec.Attempt, packets exec.Packets) (*exec.Outcome, error)
}

// Journal is where segments are committed and read: see journal.Segments.
type Journal interface {
	exec.Journal
	isolate.Journal
}

// Open starts what runs and plans queries. An engine process that cannot start is told
// now. The caller closes the Runner.
func Open(ctx context.Context, c Config) (*Runner, error) {
	r := &Runner{c: c, Tasks: engines.Config{Memory: c.SlotsMemory, Slots: c.Slots, Dir: c.Dir, SpillMax: c.Limits.Spill, Funcs: c.Funcs, Log: c.Log}}
	if err := os.RemoveAll(c.Dir); err != nil { // of a process that was killed
		return nil, fmt.Errorf("runner: clear %s: %w", c.Dir, err)
	}
	if len(c.Program) == 0 {
		c.Log.Warn("DuckDB runs in this process: what crashes DuckDB ends it, and it may keep memory that DuckDB frees (a program that calls pond.Main first thing in main has engine processes)")
		var err error
		if r.engines, err = engines.Open(ctx, r.Tasks); err != nil {
			return nil, errors.Join(err, r.Close())
		}
		r.DuckDB = prepare.Local{Engines: r.engines}
		return r, nil
	}
	budget := isolate.Budget(c.Memory)
	r.Tasks.Memory = budget.Inside(r.Tasks.SlotMemory()) * int64(max(c.Slots, 1))
	settings, err := isolate.Settings(r.Tasks.SlotMemory(), c.Limits, c.Funcs)
	if err != nil {
		return nil, err
	}
	r.processes = process.NewPool(process.Config{
		Program: c.Program, Config: settings, Dir: c.Dir, Blank: blankProcesses,
		Idle: c.Slots*idlePerSlot + idlePlanning, Memory: budget.Processes(), Log: c.Log,
	})
	c.Log.Info("DuckDB runs in engine processes", "protection", sandbox.Protection())
	r.DuckDB = isolate.NewDuckDB(r.processes, c.Funcs, c.Memory, c.Log)
	if _, err := r.DuckDB.Parse(ctx, "SELECT 1"); err != nil {
		return nil, errors.Join(fmt.Errorf("runner: start an engine process: %w", err), r.Close())
	}
	return r, nil
}

// Reach tells where tasks put their segments, and reads those of others. It is called
// once, before Run.
func (r *Runner) Reach(j Journal, blocks *transfer.Client) {
	if r.processes != nil {
		r.machine = &isolate.Machine{Processes: r.processes, Memory: isolate.Budget(r.c.Memory), Journal: j, Blocks: blocks, Funcs: r.c.Funcs, Limits: r.c.Limits, Faults: r.c.Faults, Log: r.c.Log}
		return
	}
	r.machine = &exec.Machine{
		Engines: r.engines, Journal: j, Blocks: blocks, Mem: engines.NewAllocator(),
		Buffers:  vec.NewPool(engines.NewAllocator(), r.c.Memory*bufferPoolShare/100),
		SpoolDir: filepath.Join(r.c.Dir, "spools"), Limits: r.c.Limits, Log: r.c.Log,
	}
}

// Run runs an attempt to its end: see exec.Machine.Run.
func (r *Runner) Run(ctx context.Context, a exec.Attempt, packets exec.Packets) (*exec.Outcome, error) {
	return r.machine.Run(ctx, a, packets)
}

// Processes is how the engine processes stand; zero where there are none.
func (r *Runner) Processes() process.Stats {
	if r.processes == nil {
		return process.Stats{}
	}
	return r.processes.Stats()
}

// Close ends all engines, and what they run.
func (r *Runner) Close() error {
	if r.processes != nil {
		return r.processes.Close()
	}
	return r.engines.Close()
}
