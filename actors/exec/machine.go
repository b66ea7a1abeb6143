package exec

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"runtime/debug"
	"syscall"
	"time"

	"github.com/apache/arrow-go/v18/arrow"
	"github.com/apache/arrow-go/v18/arrow/memory"

	"github.com/pondmesh/pond/actors/api"
	"github.com/pondmesh/pond/actors/engines"
	"github.com/pondmesh/pond/actors/journal"
	"github.com/pondmesh/pond/actors/plan"
	"github.com/pondmesh/pond/duck"
	"github.com/pondmesh/pond/shuffle/transfer"
)

// Shares of an attempt's memory, in percent, beside engines.MemoryShare: buffers of
// the rows that leave, blocks that arrive.
const (
	writerShare = 20
	fetchShare  = 10
)

// Machine runs task attempts on one node, several at once. Its fields are set
// before the first Run, and not changed.
type Machine struct {
	Engines  *engines.Pool
	Journal  Journal
	Blocks   *transfer.Client // reads segments, of this node and of others
	Mem      memory.Allocator // for blocks that DuckDB reads: outside Go's heap
	Buffers  memory.Allocator // for rows on their way into segments
	SpoolDir string           // where the output of Go functions waits
	Limits   Limits
	Log      *slog.Logger
	// Deaf is told that DuckDB still plans a query whose time for that is over, and was told
	// to stop; nil: nobody can end it.
	Deaf func()
}

// Journal takes the segments that attempts commit.
type Journal interface {
	Create() (journal.Draft, error)
}

// Packets gives what all tasks of a stage share. Both wait for a coordinator or
// another node, and are cached: tasks ask as they need.
type Packets interface {
	// Get is the packet of a stage, of that version or a newer one.
	Get(ctx context.Context, stage int, version uint64) (*api.Packet, error)
	// Schema is that of a stage's output, read from the segment at addr.
	Schema(ctx context.Context, stage plan.StageID, addr, segment string) (*arrow.Schema, error)
}

// Attempt is one attempt at a task, as it was granted.
type Attempt struct {
	Job     plan.JobID
	ID      plan.AttemptID
	Stage   int    // index of ID.Task.Stage in the job
	Version uint64 // of the packet, at least
	Memory  int64  // bytes that it may use
	Threads int    // of its DuckDB, at least 1
	Lineage uint64 // of its inputs: stored with its output
	Frugal  bool   // one thread and small buffers, from the start
}

// Outcome is the committed output of an attempt: a segment, or staged files.
type Outcome struct {
	Segment api.Held // without an id when files were written
	Copies  []string // nodes that hold the segment too
	Files   Files    // without a manifest when a segment was
	Spilled int64    // the most bytes that DuckDB spilled at once
	CPU     time.Duration
}

// Files are the files that an attempt wrote to the staging folder.
type Files struct {
	Manifest string // names the list of them
	Count    int64
	Rows     int64
	Bytes    int64
	// Columns are those of the query, in its order, where a dataset is written: of some no
	// file tells.
	Columns []plan.Column
}

// task is one try at an attempt: an engine, its inputs, and its output.
type task struct {
	m       *Machine
	a       Attempt
	packets Packets
	packet  *api.Packet
	engine  *duck.Engine
	threads int
	spools  []*spool // closed, and so removed, when the try ends
	steps   []plan.Step
	query   string
	spill   int64 // written by watchSpill until it stops
	frugal  bool  // the second try of what ran out of memory
}

// Run reads, computes and commits. What runs out of memory is tried once more
// with one thread and small buffers: DuckDB's sorts, for one, may need more memory
// for a second thread than they have. An error has left nothing behind but a
// staged file, which is never published. Errors are plan.Errors, or a context's.
func (m *Machine) Run(ctx context.Context, a Attempt, packets Packets) (_ *Outcome, err error) {
	defer func() {
		if r := recover(); r != nil {
			m.Log.Error("a task attempt panicked", "job", a.Job, "attempt", a.ID, "panic", r, "stack", string(debug.Stack()))
			err = &plan.Error{Kind: plan.KindInternal, Text: fmt.Sprintf("panic: %v", r)}
		}
	}()
	packet, err := packets.Get(ctx, a.Stage, a.Version)
	if err != nil {
		return nil, err
	}
	in, err := plan.Assign(packet.Job, a.Stage, a.ID.Task.Partition, packet.Up)
	if err != nil {
		return nil, err
	}
	cpu := processCPU()
	t := &task{m: m, a: a, packets: packets, packet: packet, threads: a.Threads, frugal: a.Frugal}
	if a.Frugal {
		t.threads = 1
	}
	out, err := t.try(ctx, in)
	if err != nil && !t.frugal && plan.AsError(err).Kind == plan.KindMemory && ctx.Err() == nil {
		m.Log.Info("a task is short of memory and runs again with less", "job", a.Job, "attempt", a.ID, "threads", t.threads, "err", err)
		t = &task{m: m, a: a, packets: packets, packet: packet, threads: 1, frugal: true}
		out, err = t.try(ctx, in)
	}
	if err != nil {
		files := FilesOf(packet, a)
		return nil, Named(a, packet.Stage(), engines.Where(m.Engines.Which(ctx, err, files), files))
	}
	out.Spilled, out.CPU = t.spill, processCPU()-cpu
	return out, nil
}

// Named adds the task to an error that is about nothing else: by its stage's name, which
// has the step's in it.
func Named(a Attempt, stage *plan.Stage, err error) error {
	var pe *plan.Error
	if !errors.As(err, &pe) || pe.Subject != "" {
		return err
	}
	with := *pe
	with.Subject = fmt.Sprintf("stage %d (%s) task %d", a.Stage, stage.Name, a.ID.Task.Partition)
	return &with
}

// try runs the task from its beginning, in an engine of its own.
func (t *task) try(ctx context.Context, in plan.TaskInput) (_ *Outcome, err error) {
	t.steps, t.query = t.packet.Stage().Bind(t.a.ID.Task.Partition, t.packet.Tasks)
	o := engines.ForStage(t.packet.Stage(), t.packet.Access, t.packet.Staging, t.a.Memory, t.threads)
	o.Grouped = t.grouped()
	t.engine, err = t.m.Engines.Get(ctx, o)
	if err != nil {
		return nil, engines.Error("open DuckDB", err)
	}
	defer t.m.Engines.Put(t.engine)
	defer t.closeSpools()
	defer t.watchSpill()()
	out, err := t.run(ctx, in)
	return out, t.m.Limits.explain(err)
}

// FilesOf are the files that an attempt reads, or may read.
func FilesOf(packet *api.Packet, a Attempt) (files []string) {
	in, err := plan.Assign(packet.Job, a.Stage, a.ID.Task.Partition, packet.Up)
	if err != nil {
		return nil
	}
	for _, p := range in.Parts {
		for _, piece := range p.Pieces {
			files = append(files, piece.Path)
		}
	}
	if len(files) == 0 {
		files = packet.Stage().Access
	}
	return engines.FilesOf(files)
}

func (t *task) run(ctx context.Context, in plan.TaskInput) (*Outcome, error) {
	stage := t.packet.Stage()
	for i := range stage.Inputs {
		if err := t.openInput(ctx, &stage.Inputs[i], &in.Parts[i]); err != nil {
			return nil, err
		}
	}
	if stage.Unbound { // whose steps are views
		if err := t.bindFirst(ctx); err != nil {
			return nil, err
		}
	} else if err := t.runSteps(ctx); err != nil {
		return nil, err
	}
	if stage.Exchange.Kind == plan.Files {
		return t.writeFile(ctx)
	}
	return t.writeSegment(ctx, &in)
}

// bindFirst has DuckDB bind a query that it has not seen, in the time of planning. What runs it
// right afterwards finds it bound, unless its rows leave by the sink function: DuckDB binds
// that with the query in it once more, in about the same time.
func (t *task) bindFirst(ctx context.Context) error {
	d := engines.PlanTime(len(t.packet.Access))
	defer t.listen(d + deafAfter)()
	ctx, cancel := engines.WithTime(ctx, d)
	defer cancel()
	if err := t.runSteps(ctx); err != nil {
		return err
	}
	_, err := t.engine.Schema(ctx, t.query)
	return engines.Error("run", err)
}

// listen tells that DuckDB is deaf after that time, unless stop is called before. stop waits
// until it is told: it is about this attempt, and no later one.
func (t *task) listen(d time.Duration) (stop func()) {
	if t.m.Deaf == nil {
		return func() {}
	}
	told := make(chan struct{})
	timer := time.AfterFunc(d, func() {
		defer close(told)
		t.m.Deaf()
	})
	return func() {
		if !timer.Stop() {
			<-told
		}
	}
}

// deafAfter is how long after it was told to stop DuckDB is taken to hear nothing.
const deafAfter = 500 * time.Millisecond

func (t *task) closeSpools() {
	for _, s := range t.spools {
		if err := s.close(); err != nil {
			t.m.Log.Warn("removing a spool", "err", err)
		}
	}
}

// runSteps makes what the query reads beside its inputs.
func (t *task) runSteps(ctx context.Context) error {
	for i := range t.steps {
		if err := t.runStep(ctx, &t.steps[i]); err != nil {
			return err
		}
	}
	return nil
}

// runStep makes a view, a table, or a Go function's output.
func (t *task) runStep(ctx context.Context, s *plan.Step) error {
	if s.Func != nil {
		return t.runFunc(ctx, s)
	}
	define := t.engine.View
	if s.Materialize {
		define = t.engine.Table
	}
	err := define(ctx, s.View, s.SQL)
	if t.packet.Stage().Unbound { // its steps are the user's views
		return engines.InView(s.View, err)
	}
	return engines.Error("run", err)
}

// spillPause is the interval at which a task measures its spilled bytes.
const spillPause = 100 * time.Millisecond

// watchSpill keeps the most bytes that the engine spills, until stop returns:
// when a query has ended they are gone.
func (t *task) watchSpill() (stop func()) {
	return Every(spillPause, func() error {
		t.spill = max(t.spill, t.engine.Spill())
		return nil
	}, nil)
}

// processCPU is the processor time of the whole process: with several tasks at
// once it is shared out only in their sum.
func processCPU() time.Duration {
	var u syscall.Rusage
	if syscall.Getrusage(syscall.RUSAGE_SELF, &u) != nil {
		return 0
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}
