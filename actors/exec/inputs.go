package exec

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"

	"github.com/apache/arrow-go/v18/arrow"
	"github.com/apache/arrow-go/v18/arrow/ipc"

	"github.com/pondmesh/pond/actors/engines"
	"github.com/pondmesh/pond/actors/plan"
	"github.com/pondmesh/pond/duck"
	"github.com/pondmesh/pond/duck/lexer"
	"github.com/pondmesh/pond/shuffle"
	"github.com/pondmesh/pond/shuffle/transfer"
)

// streamsPerThread is how many streams of blocks feed each thread of DuckDB: blocks
// of one are fetched while it reads another, and decoded by the thread that reads.
const streamsPerThread = 2

// openInput makes an input's view over this task's part of it.
func (t *task) openInput(ctx context.Context, in *plan.Input, part *plan.TaskPart) error {
	switch {
	case in.Scan != nil && in.Scan.Format == plan.Arrow:
		return t.openArrow(ctx, in, part)
	case in.Scan != nil:
		return engines.Error("read", t.engine.View(ctx, in.View, in.Scan.SQL(part.Pieces)))
	case in.Literal != nil:
		return t.openLiteral(ctx, in, part)
	}
	return t.openRead(ctx, in, part)
}

// openRead makes a view over blocks of other stages' segments.
func (t *task) openRead(ctx context.Context, in *plan.Input, part *plan.TaskPart) error {
	byStage := map[int][]blockRange{}
	for _, b := range part.Blocks {
		s, err := t.rangesOf(b)
		if err != nil {
			return err
		}
		byStage[b.Stage] = append(byStage[b.Stage], s...)
	}
	views := make([]string, 0, len(in.Read.Stages))
	for k, st := range in.Read.Stages {
		view := in.View
		if len(in.Read.Stages) > 1 {
			view = fmt.Sprintf("%s_%d", in.View, k)
			views = append(views, view)
		}
		if err := t.openStage(ctx, view, st, byStage[st], in.Read.Ordered); err != nil {
			return err
		}
	}
	if len(views) == 0 {
		return nil
	}
	return t.union(ctx, in.View, views)
}

func (t *task) union(ctx context.Context, view string, views []string) error {
	selects := make([]string, len(views))
	for i, v := range views {
		selects[i] = "SELECT * FROM " + lexer.QuoteName(v)
	}
	return engines.Error("union", t.engine.View(ctx, view, strings.Join(selects, " UNION ALL ")))
}

// rangesOf names the segment that holds b and where it is. Of a run of
// partitions each is a range of its own.
func (t *task) rangesOf(b plan.Blocks) ([]blockRange, error) {
	loc := t.packet.Where[b.Stage][b.Segment]
	id, err := shuffle.ParseSegmentID(loc.Segment)
	if err != nil {
		return nil, fmt.Errorf("exec: segment of stage %d task %d: %w", b.Stage, b.Segment, err)
	}
	info := t.packet.Up[b.Stage][b.Segment]
	task := plan.TaskID{Stage: t.packet.Job.Stages[b.Stage].ID, Partition: b.Segment}
	var out []blockRange
	skip, left := b.Skip, b.Rows
	for p := b.Partition; p < b.Partition+b.Count && left > 0; p++ {
		rows := info.Rows[p]
		if skip >= rows {
			skip -= rows
			continue
		}
		take := min(rows-skip, left)
		out = append(out, blockRange{task: task, Run: transfer.Run{Addr: loc.Addr, Others: loc.Others, Segment: id, Partition: p, Skip: skip, Rows: take}})
		skip, left = 0, left-take
	}
	return out, nil
}

// openStage registers one producing stage's ranges as a view.
func (t *task) openStage(ctx context.Context, view string, stage int, ranges []blockRange, ordered bool) error {
	schema, err := t.schema(ctx, stage)
	if err != nil {
		return err
	}
	n := t.threads * streamsPerThread
	if ordered {
		n = 1
	}
	rows := int64(0)
	for _, s := range ranges {
		rows += s.Rows
	}
	client := t.m.Blocks.Consumer(max(t.a.Memory*fetchShare/100/int64(n), fetchWindowMin))
	decode, err := shuffle.NewDecoder(schema, t.m.Buffers, shuffle.Limits{})
	if err != nil {
		return err
	}
	var openers []duck.Opener
	for _, list := range spread(ranges, n) {
		if len(list) > 0 {
			openers = append(openers, func(ctx context.Context, columns []int) (duck.Stream, error) {
				return newBlockStream(ctx, client, decode.Intake(columns), list), nil
			})
		}
	}
	return engines.Error("read", t.engine.Register(ctx, view, schema, openers, rows))
}

// Bounds of blocks on their way to one consumer, in bytes: one lets a block through
// whatever the budget, the other is a node's.
const (
	fetchWindowMin     = 1 << 20
	nodeFetchWindowMin = 4 << 20
)

// FetchWindow is how many bytes of blocks may be on their way to a node whose
// slots have that much memory each.
func FetchWindow(slotMemory int64) int64 {
	return max(slotMemory*fetchShare/100, nodeFetchWindowMin)
}

// schema is that of a stage's output, from the first node that tells it of those that hold
// the first segment.
func (t *task) schema(ctx context.Context, stage int) (schema *arrow.Schema, err error) {
	where := t.packet.Where[stage]
	if len(where) == 0 {
		return nil, &plan.Error{Kind: plan.KindInternal, Op: "read", Text: fmt.Sprintf("stage %d has no segments", stage)}
	}
	for _, addr := range where[0].Holders() {
		schema, err = t.packets.Schema(ctx, t.packet.Job.Stages[stage].ID, addr, where[0].Segment)
		if err == nil || ctx.Err() != nil {
			return schema, err
		}
	}
	return nil, t.lostSchema(err, stage)
}

// lostSchema names the producer whose segment is gone.
func (t *task) lostSchema(err error, stage int) error {
	if te := plan.AsError(err); te.Kind == plan.KindFetch {
		lost := *te
		lost.Lost = []plan.TaskID{{Stage: t.packet.Job.Stages[stage].ID, Partition: 0}}
		return &lost
	}
	return err
}

// bounds reads the rows of a bounds stage: sort keys, ascending.
func (t *task) bounds(ctx context.Context, stage int, in *plan.TaskInput) ([][]byte, error) {
	var ranges []blockRange
	for _, b := range in.Bounds {
		s, err := t.rangesOf(b)
		if err != nil {
			return nil, err
		}
		ranges = append(ranges, s...)
	}
	schema, err := t.schema(ctx, stage)
	if err != nil {
		return nil, err
	}
	decode, err := shuffle.NewDecoder(schema, t.m.Buffers, shuffle.Limits{})
	if err != nil {
		return nil, err
	}
	stream := newBlockStream(ctx, t.m.Blocks.Consumer(fetchWindowMin), decode, ranges)
	defer stream.Close()
	var out [][]byte
	for {
		rec, err := stream.Next()
		if errors.Is(err, io.EOF) {
			return out, nil
		}
		if err != nil {
			return nil, err
		}
		col, ok := rec.Column(0).(interface{ Value(int) []byte })
		for i := range int(rec.NumRows()) {
			if ok {
				out = append(out, bytes.Clone(col.Value(i)))
			}
		}
		rec.Release()
	}
}

// openLiteral registers rows that the job carries.
func (t *task) openLiteral(ctx context.Context, in *plan.Input, part *plan.TaskPart) error {
	r, err := ipc.NewReader(bytes.NewReader(in.Literal.IPC))
	if err != nil {
		return &plan.Error{Kind: plan.KindUser, Op: "read rows", Text: err.Error()}
	}
	schema := r.Schema()
	r.Release()
	open := duck.Whole(func(context.Context) (duck.Stream, error) {
		r, err := ipc.NewReader(bytes.NewReader(in.Literal.IPC), ipc.WithAllocator(t.m.Mem))
		if err != nil {
			return nil, &plan.Error{Kind: plan.KindUser, Op: "read rows", Text: err.Error()}
		}
		return &cutStream{in: &ipcStream{r: r}, skip: part.First, left: part.Count}, nil
	})
	return engines.Error("read rows", t.engine.Register(ctx, in.View, schema, []duck.Opener{open}, part.Count))
}

// openArrow registers Arrow IPC files, or streams in files.
func (t *task) openArrow(ctx context.Context, in *plan.Input, part *plan.TaskPart) error {
	like := in.Scan.Like
	if len(part.Pieces) > 0 {
		like = part.Pieces[0].Path
	}
	f, err := openArrowFile(like, t.m.Mem)
	if err != nil {
		return err
	}
	schema := f.Schema()
	f.Close()
	var openers []duck.Opener
	for _, p := range part.Pieces {
		openers = append(openers, duck.Whole(func(context.Context) (duck.Stream, error) {
			f, err := openArrowFile(p.Path, t.m.Mem)
			if err != nil {
				return nil, err
			}
			if !f.Schema().Equal(schema) {
				f.Close()
				return nil, &plan.Error{Kind: plan.KindUser, Op: "read", Subject: p.Path, Text: "its schema is not that of " + like}
			}
			return f, nil
		}))
	}
	if len(in.Scan.Options.Columns) == 0 {
		return engines.Error("read", t.engine.Register(ctx, in.View, schema, openers, duck.UnknownRows))
	}
	all := in.View + "_all"
	if err := t.engine.Register(ctx, all, schema, openers, duck.UnknownRows); err != nil {
		return engines.Error("read", err)
	}
	return engines.Error("read", t.engine.View(ctx, in.View, fmt.Sprintf("SELECT %s FROM %s", quoteList(in.Scan.Options.Columns), lexer.QuoteName(all))))
}

func quoteList(names []string) string {
	s := ""
	for i, c := range names {
		if i > 0 {
			s += ", "
		}
		s += lexer.QuoteName(c)
	}
	return s
}

// ipcStream is an IPC stream as a duck.Stream.
type ipcStream struct {
	r    *ipc.Reader
	file *os.File
}

func (s *ipcStream) Schema() *arrow.Schema { return s.r.Schema() }

func (s *ipcStream) Next() (arrow.RecordBatch, error) {
	if !s.r.Next() {
		if err := s.r.Err(); err != nil && !errors.Is(err, io.EOF) {
			return nil, damagedArrow(s.name(), err)
		}
		return nil, io.EOF
	}
	rec := s.r.RecordBatch()
	rec.Retain()
	return rec, nil
}

func (s *ipcStream) name() string {
	if s.file == nil {
		return "the job's rows"
	}
	return s.file.Name()
}

func (s *ipcStream) Close() error {
	s.r.Release()
	if s.file != nil {
		return s.file.Close()
	}
	return nil
}

// cutStream leaves out the first skip rows and ends after left more.
type cutStream struct {
	in         duck.Stream
	skip, left int64
}

func (s *cutStream) Next() (arrow.RecordBatch, error) {
	for s.left > 0 {
		rec, err := s.in.Next()
		if err != nil {
			return nil, err
		}
		n := rec.NumRows()
		if n <= s.skip {
			s.skip -= n
			rec.Release()
			continue
		}
		take := min(n-s.skip, s.left)
		cut := rec.NewSlice(s.skip, s.skip+take)
		rec.Release()
		s.skip, s.left = 0, s.left-take
		return cut, nil
	}
	return nil, io.EOF
}

func (s *cutStream) Close() error { return s.in.Close() }
