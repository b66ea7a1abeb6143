package actors

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"syscall"
	"time"

	"github.com/pondmesh/pond/actors/api"
	"github.com/pondmesh/pond/actors/engines"
	"github.com/pondmesh/pond/actors/journal"
	"github.com/pondmesh/pond/actors/plan"
	"github.com/pondmesh/pond/actors/wire"
	"github.com/pondmesh/pond/duck"
	"github.com/pondmesh/pond/shuffle"
)

// Shares of an attempt's memory, in percent, beside engines.MemoryShare: buffers of
// the rows that leave, blocks that arrive.
const (
	writerShare = 20
	fetchShare  = 10
)

// task is one attempt at work: an engine, what it reads, and where rows go.
type task struct {
	n       *Node
	a       *attempt
	packet  *api.Packet
	engine  *duck.Engine
	threads int
	spools  []*spool
	steps   []plan.Step
	query   string
	spill   int64
	frugal  bool // the second try of what ran out of memory
}

// runTask reads, computes and commits: all that a partition does. What runs out
// of memory is tried once more with one thread and small buffers: DuckDB's sorts,
// for one, may need more memory for a second thread than they have.
func (n *Node) runTask(ctx context.Context, a *attempt) (*wire.Done, error) {
	packet, err := a.packets.get(ctx, a.key.stage, a.version)
	if err != nil {
		return nil, err
	}
	in, err := plan.Assign(packet.Job, a.key.stage, a.key.partition, packet.Up)
	if err != nil {
		return nil, err
	}
	cpu := threadCPU()
	t := &task{n: n, a: a, packet: packet, threads: a.threads}
	done, err := t.try(ctx, in)
	if err != nil && plan.AsError(err).Kind == plan.KindMemory && ctx.Err() == nil {
		n.log.Info("a task is short of memory and runs again with less", "job", a.job, "attempt", a.id(), "threads", t.threads, "err", err)
		t = &task{n: n, a: a, packet: packet, threads: 1, frugal: true}
		done, err = t.try(ctx, in)
	}
	if err != nil {
		return nil, t.nameFiles(err, in)
	}
	done.SpillBytes, done.CpuMs = t.spill, (threadCPU() - cpu).Milliseconds()
	return done, nil
}

// try runs the task from its beginning, in an engine of its own.
func (t *task) try(ctx context.Context, in plan.TaskInput) (_ *wire.Done, err error) {
	t.steps, t.query = t.packet.Stage().Bind(t.a.key.partition, t.packet.Tasks)
	t.engine, err = t.n.engines.Get(ctx, engines.ForStage(t.packet.Stage(), t.packet.Access, t.a.memory, t.threads))
	if err != nil {
		return nil, engines.Error("open DuckDB", err)
	}
	defer t.n.engines.Put(t.engine)
	defer t.closeSpools()
	defer t.watchSpill()()
	return t.run(ctx, in)
}

// filesNamed is how many files an error names.
const filesNamed = 3

// nameFiles adds what the task read to an error that DuckDB ran into: of a
// damaged file it says what is wrong, but not always which it is. Errors in a
// statement, which point at it, need no files.
func (t *task) nameFiles(err error, in plan.TaskInput) error {
	var te *plan.Error
	if !errors.As(err, &te) || te.Kind != plan.KindUser || te.Hint != "" || strings.Contains(te.Text, "LINE 1:") {
		return err
	}
	var files []string
	for _, p := range in.Parts {
		for _, piece := range p.Pieces {
			files = append(files, piece.Path)
		}
	}
	if len(files) == 0 {
		for _, p := range t.packet.Access {
			if !strings.HasSuffix(p, "/") {
				files = append(files, p)
			}
		}
	}
	if len(files) == 0 {
		return err
	}
	with := *te
	with.Hint = "the task read " + strings.Join(files[:min(len(files), filesNamed)], ", ")
	if more := len(files) - filesNamed; more > 0 {
		with.Hint += fmt.Sprintf(" and %d more", more)
	}
	with.Hint += ": look whether they are whole"
	return &with
}

func (t *task) run(ctx context.Context, in plan.TaskInput) (*wire.Done, error) {
	stage := t.packet.Stage()
	for i := range stage.Inputs {
		if err := t.openInput(ctx, &stage.Inputs[i], &in.Parts[i]); err != nil {
			return nil, err
		}
	}
	for i := range t.steps {
		if err := t.runStep(ctx, &t.steps[i]); err != nil {
			return nil, err
		}
	}
	if stage.Exchange.Kind == plan.Files {
		return t.writeFile(ctx)
	}
	return t.writeSegment(ctx, &in)
}

func (t *task) closeSpools() {
	for _, s := range t.spools {
		if err := s.close(); err != nil {
			t.n.log.Warn("removing a spool", "err", err)
		}
	}
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
	return engines.Error("run", define(ctx, s.View, s.SQL))
}

// writeSegment cuts the query's rows into a segment and commits it.
func (t *task) writeSegment(ctx context.Context, in *plan.TaskInput) (*wire.Done, error) {
	x := &t.packet.Stage().Exchange
	part, keys, err := t.partitioner(ctx, x, in)
	if err != nil {
		return nil, err
	}
	query := t.query
	if len(keys) > 0 {
		query = fmt.Sprintf("SELECT %s, q.* FROM (%s) AS q", strings.Join(keys, ", "), t.query)
	}
	schema, err := t.engine.Schema(ctx, query)
	if err != nil {
		return nil, engines.Error("run", err)
	}
	u, err := t.n.segments.Create()
	if err != nil {
		return nil, err
	}
	defer u.Abort()
	codec, err := codecOf(t.packet.Codec)
	if err != nil {
		return nil, err
	}
	w, err := shuffle.NewWriter(u, shuffle.WriterConfig{Schema: schema, Keys: len(keys), Partitioner: part, Codec: codec,
		Threads: t.threads, Memory: max(t.a.memory*writerShare/100, writerMemoryMin), Mem: t.n.buffers, Log: t.n.log})
	if err != nil {
		return nil, err
	}
	defer w.Abort()
	if t.packet.Stage().Ordered {
		_, err = t.engine.Fetch(ctx, query, w.Append)
	} else {
		_, err = t.engine.Drain(ctx, query, w.Append)
	}
	if err != nil {
		return nil, journal.StorageError(engines.Error("run", err))
	}
	sum, err := w.Finish()
	if err != nil {
		return nil, journal.StorageError(err)
	}
	return t.commit(u, sum)
}

// codecOf is the codec of that name; s2 when none is given.
func codecOf(name string) (shuffle.Codec, error) {
	if name == "" {
		return shuffle.S2, nil
	}
	c, err := shuffle.ParseCodec(name)
	if err != nil {
		return 0, &plan.Error{Kind: plan.KindUser, Op: "encode", Text: err.Error()}
	}
	return c, nil
}

// writerMemoryMin is enough for a segment's buffers whatever the budget.
const writerMemoryMin = 8 << 20

func (t *task) commit(u journal.Draft, sum shuffle.Summary) (*wire.Done, error) {
	h := api.Held{
		Stage: t.a.stageID, Index: t.a.key.stage, Partition: t.a.key.partition, Tasks: t.packet.Tasks, Attempt: t.a.key.attempt, Job: t.a.job,
		Lineage: t.a.lineage, Rows: sum.Rows, RawBytes: sum.RawBytes, Created: time.Now().UnixMilli(), Partitions: len(sum.PartitionRows),
	}
	inline := len(sum.PartitionRows) <= wire.PartitionsInlineMax
	if inline {
		h.PartitionRows, h.PartitionBytes = sum.PartitionRows, sum.PartitionBytes
	}
	h, err := u.Commit(h)
	if err != nil {
		return nil, err
	}
	id, err := shuffle.ParseSegmentID(h.Segment)
	if err != nil {
		return nil, err
	}
	return &wire.Done{Segment: &wire.Segment{Id: id[:], Rows: h.Rows, RawBytes: h.RawBytes, Bytes: h.Bytes, Partitions: int32(h.Partitions),
		StatsInline: inline, PartitionRows: h.PartitionRows, PartitionBytes: h.PartitionBytes}}, nil
}

// partitioner is how the stage's exchange cuts, and the key expressions that
// stand before the rows for it.
func (t *task) partitioner(ctx context.Context, x *plan.Exchange, in *plan.TaskInput) (shuffle.Partitioner, []string, error) {
	switch x.Kind {
	case plan.Single:
		return shuffle.One(), nil, nil
	case plan.Hash:
		return shuffle.Hash(x.Partitions, len(x.Keys)), x.Keys, nil
	case plan.ByColumn, plan.User:
		return shuffle.ByColumn(x.Partitions), x.Keys, nil
	case plan.RoundRobin:
		return shuffle.RoundRobin(x.Partitions, t.a.key.partition%x.Partitions), nil, nil
	case plan.Random:
		return shuffle.Random(x.Partitions, x.Seed+uint64(t.a.key.partition)), nil, nil
	case plan.Range:
		bounds, err := t.bounds(ctx, x.Bounds, in)
		if err != nil {
			return nil, nil, err
		}
		p, err := shuffle.Range(bounds)
		return p, []string{x.SortKey()}, err
	}
	return nil, nil, &plan.Error{Kind: plan.KindInternal, Text: fmt.Sprintf("unknown exchange %q", x.Kind)}
}

// spillPause is how often a task looks at what it has spilled.
const spillPause = 100 * time.Millisecond

// watchSpill keeps the most bytes that the engine spills, until stop returns:
// when a query has ended they are gone.
func (t *task) watchSpill() (stop func()) {
	quit, done := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(done)
		tick := time.NewTicker(spillPause)
		defer tick.Stop()
		for {
			select {
			case <-tick.C:
				t.spill = max(t.spill, t.engine.Spill())
			case <-quit:
				return
			}
		}
	}()
	return func() {
		close(quit)
		<-done
	}
}

// threadCPU is the processor time of the whole process: with several tasks at
// once it is shared out only in their sum.
func threadCPU() time.Duration {
	var u syscall.Rusage
	if syscall.Getrusage(syscall.RUSAGE_SELF, &u) != nil {
		return 0
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}
