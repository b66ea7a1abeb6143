package exec

import (
	"context"
	"fmt"
	"time"

	"github.com/pondmesh/pond/actors/api"
	"github.com/pondmesh/pond/actors/engines"
	"github.com/pondmesh/pond/actors/journal"
	"github.com/pondmesh/pond/actors/plan"
	"github.com/pondmesh/pond/shuffle"
)

// writeSegment cuts the query's rows into a segment and commits it.
func (t *task) writeSegment(ctx context.Context, in *plan.TaskInput) (*Outcome, error) {
	x := &t.packet.Stage().Exchange
	k, err := t.keyed(ctx, x)
	if err != nil {
		return nil, err
	}
	part, err := t.partitioner(ctx, x, k.at, in)
	if err != nil {
		return nil, err
	}
	u, err := t.m.Journal.Create()
	if err != nil {
		return nil, err
	}
	defer u.Abort()
	if IsResult(t.packet) {
		u = &boundedDraft{Draft: u, limits: t.m.Limits}
	}
	codec, err := codecOf(t.packet.Codec)
	if err != nil {
		return nil, err
	}
	w, err := shuffle.NewWriter(u, shuffle.WriterConfig{Schema: k.schema, Keys: k.before, Partitioner: part, Codec: codec, Ordered: t.packet.Stage().Ordered,
		Threads: t.threads, Memory: max(t.a.Memory*writerShare/100, writerMemoryMin), Mem: t.m.Buffers, Log: t.m.Log})
	if err != nil {
		return nil, err
	}
	defer w.Abort()
	if t.packet.Stage().Ordered {
		_, err = t.engine.Fetch(ctx, k.query, w.Append)
	} else {
		_, err = t.engine.Drain(ctx, k.query, w.Append)
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

// commit makes the segment visible, with the facts that a coordinator needs.
func (t *task) commit(d journal.Draft, sum shuffle.Summary) (*Outcome, error) {
	h := api.Held{
		Stage: t.a.ID.Task.Stage, Index: t.a.Stage, Partition: t.a.ID.Task.Partition, Tasks: t.packet.Tasks, Attempt: t.a.ID.Attempt, Job: t.a.Job, Owner: t.packet.Owner,
		Lineage: t.a.Lineage, Rows: sum.Rows, RawBytes: sum.RawBytes, Sum: sum.Sum, Created: time.Now().UnixMilli(), Partitions: len(sum.PartitionRows),
	}
	if h.Partitions <= partitionStatsMax {
		h.PartitionRows, h.PartitionBytes = sum.PartitionRows, sum.PartitionBytes
	}
	h, err := d.Commit(h)
	return &Outcome{Segment: h}, err
}

// partitionStatsMax is how many partitions' sizes are kept with a segment's facts;
// those of more are read from its index.
const partitionStatsMax = 1024

// partitioner is how the stage's exchange cuts; its keys are the columns at.
func (t *task) partitioner(ctx context.Context, x *plan.Exchange, at []int, in *plan.TaskInput) (shuffle.Partitioner, error) {
	switch x.Kind {
	case plan.Single:
		return shuffle.One(), nil
	case plan.Hash:
		return shuffle.Hash(x.Partitions, at), nil
	case plan.ByColumn, plan.User:
		return shuffle.ByColumn(x.Partitions), nil
	case plan.RoundRobin:
		return shuffle.RoundRobin(x.Partitions, t.a.ID.Task.Partition%x.Partitions), nil
	case plan.Random:
		return shuffle.Random(x.Partitions, x.Seed+uint64(t.a.ID.Task.Partition)), nil
	case plan.Range:
		bounds, err := t.bounds(ctx, x.Bounds, in)
		if err != nil {
			return nil, err
		}
		return shuffle.Range(bounds)
	}
	return nil, &plan.Error{Kind: plan.KindInternal, Text: fmt.Sprintf("unknown exchange %q", x.Kind)}
}
