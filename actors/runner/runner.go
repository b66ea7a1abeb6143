package actors

import (
	"context"
	"fmt"
	"os"
	"path/filepath"

	"github.com/pondmesh/pond/actors/engines"
	"github.com/pondmesh/pond/actors/exec"
	"github.com/pondmesh/pond/actors/isolate"
	"github.com/pondmesh/pond/actors/prepare"
	"github.com/pondmesh/pond/actors/process"
	"github.com/pondmesh/pond/actors/sandbox"
	"github.com/pondmesh/pond/actors/setup"
	"github.com/pondmesh/pond/duck/vec"
)

// runner runs task attempts: an exec.Machine, or an isolate.Machine.
type runner interface {
	Run(ctx context.Context, a exec.Attempt, packets exec.Packets) (*exec.Outcome, error)
}

// Engine processes that a node keeps: blank ones beside those that slots use, and
// used ones that wait for a next request of their access.
const (
	blankProcesses = 2
	idlePerSlot    = 2
	idlePlanning   = 2
)

// openEngines starts what runs and plans queries: processes, or engines in this one.
func (n *Node) openEngines(ctx context.Context) error {
	c := n.cfg
	n.tasks = engines.Config{Memory: c.SlotsMemory(), Slots: c.Slots, Dir: filepath.Join(c.Dir, setup.SpillDir), SpillMax: c.SpillMax, Funcs: c.Funcs, Log: c.Log}
	if err := os.RemoveAll(n.tasks.Dir); err != nil { // of a process that was killed
		return fmt.Errorf("actors: clear %s: %w", n.tasks.Dir, err)
	}
	if len(c.Program) == 0 {
		n.log.Warn("DuckDB runs in this process: what crashes DuckDB ends it, and it may keep memory that DuckDB frees (a program that calls pond.Main first thing in main has engine processes)")
		pool, err := engines.Open(ctx, n.tasks)
		if pool != nil {
			n.engines = pool
			n.planner = prepare.New(prepare.Local{Engines: pool}, n.tasks, n.rules, n.log)
		}
		return err
	}
	budget := isolate.Budget(c.Memory)
	n.tasks.Memory = budget.Inside(n.tasks.SlotMemory()) * int64(max(c.Slots, 1))
	settings, err := isolate.Settings(n.tasks.SlotMemory(), n.limits(), c.Funcs)
	if err != nil {
		return err
	}
	pool := process.NewPool(process.Config{
		Program: c.Program, Config: settings, Dir: n.tasks.Dir, Blank: blankProcesses,
		Idle: c.Slots*idlePerSlot + idlePlanning, Memory: budget.Processes(), Log: n.log,
	})
	n.engines = pool
	n.log.Info("DuckDB runs in engine processes", "protection", sandbox.Protection())
	d := isolate.NewDuckDB(pool, c.Funcs, c.Memory, n.log)
	n.planner = prepare.New(d, n.tasks, n.rules, n.log)
	if _, err := d.Parse(ctx, "SELECT 1"); err != nil { // an engine process that cannot start is told now
		return fmt.Errorf("actors: start an engine process: %w", err)
	}
	return nil
}

// limits are those that the node's operator has set.
func (n *Node) limits() exec.Limits {
	return exec.Limits{Spill: n.cfg.SpillMax, Result: n.cfg.ResultMax, Output: n.cfg.OutputMax}
}

// startMachine makes what runs attempts, once blocks can be read.
func (n *Node) startMachine() {
	switch e := n.engines.(type) {
	case *engines.Pool:
		n.machine = &exec.Machine{
			Engines: e, Journal: n.segments, Blocks: n.blocks, Mem: engines.NewAllocator(),
			Buffers:  vec.NewPool(engines.NewAllocator(), n.cfg.Memory*bufferPoolShare/100),
			SpoolDir: filepath.Join(n.tasks.Dir, "spools"), Limits: n.limits(), Log: n.log,
		}
	case *process.Pool:
		n.machine = &isolate.Machine{Processes: e, Memory: isolate.Budget(n.cfg.Memory), Journal: n.segments, Blocks: n.blocks, Funcs: n.cfg.Funcs, Limits: n.limits(), Faults: n.cfg.Faults, Log: n.log}
	}
}
