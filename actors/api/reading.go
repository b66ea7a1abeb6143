package api

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"sync"
	"time"

	"github.com/apache/arrow-go/v18/arrow"
	"github.com/apache/arrow-go/v18/arrow/memory"

	"github.com/pondmesh/pond/actors/plan"
	"github.com/pondmesh/pond/shuffle"
	"github.com/pondmesh/pond/shuffle/transfer"
)

// Bounds of one part of a result that cannot be read.
const (
	remakesMax = 3 // times that the job is run once more: at first with what nodes still hold, then from the beginning
	returnsMax = 5 // times that its holder has come back, and breaks off again without a row between
)

// reading is one reading of a result, part by part. Rows that were yielded cannot
// be taken back, so the holder checks the whole of a part before its first row is.
type reading struct {
	*Result
	yield   func(arrow.RecordBatch, error) bool
	parts   []ResultPart
	at      int  // the part that is read; those before have been yielded
	over    bool // nobody wants more
	given   given
	segment string // whose first rows are the ones that were given of the part; empty: of several
	rows    int64  // how many
	remakes int
	returns int
	passed  <-chan error // the check of parts[at], when it is under way
	here    *inline      // a part that need not be asked for
}

// all reads every part. What is lost is made anew, and the reading goes on behind the
// rows that were yielded.
func (x *reading) all(ctx context.Context) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	if x.fresh.Swap(false) {
		passed := make(chan error, 1)
		passed <- nil
		x.passed = passed
	}
	for x.at < len(x.parts) && !x.over {
		err := x.part(ctx)
		if err == nil {
			x.at, x.remakes, x.returns, x.segment, x.rows = x.at+1, 0, 0, "", 0
			continue
		}
		x.passed = nil
		if err = x.mend(ctx, lostPart(err, x.parts, x.at)); err != nil {
			return err
		}
	}
	return nil
}

// mend gets the present part back: from its holder, if that has not been asked yet or
// answers again, else by running the job once more.
func (x *reading) mend(ctx context.Context, why error) error {
	if x.here.is(x.parts[x.at]) && errors.Is(why, plan.ErrFetch) {
		x.here = nil
		return nil
	}
	back, why := x.settle(ctx, why, x.parts[x.at])
	switch {
	case back && x.returns < returnsMax:
		x.returns++
		return nil
	case back, x.given.many:
		return why
	}
	made, err := x.again(ctx, why, x.parts, x.at, x.remakes)
	if err != nil {
		return err
	}
	x.remakes++
	if err := x.sameRows(ctx, made); err != nil {
		return err
	}
	if x.at < len(made) && made[x.at].Segment != x.segment {
		x.segment = ""
	}
	x.parts = made
	return nil
}

// sameRows refuses a result made anew in which the parts that were read have other
// rows. Segments that are still the same need no look.
func (x *reading) sameRows(ctx context.Context, made []ResultPart) error {
	if x.at >= len(made) && (x.at > 0 || x.given.begun()) {
		return errOtherRows
	}
	for i := range x.at {
		if made[i].Segment == x.parts[i].Segment || made[i].Rows == 0 && x.parts[i].Rows == 0 {
			continue
		}
		var all tally
		var hashes []uint64
		err := x.read(ctx, made[i], 0, func(rec arrow.RecordBatch) error {
			hashes = rowHashes(hashes[:0], rec)
			all.add(hashes)
			return nil
		})
		if err != nil {
			return lostPart(err, made, i)
		}
		if all != x.given.before[i] {
			return errOtherRows
		}
	}
	return nil
}

// part yields the rows of the current part. The next one is checked meanwhile.
func (x *reading) part(ctx context.Context) error {
	passed := x.passed
	if passed == nil {
		passed = x.check(ctx, x.at)
	}
	if err := <-passed; err != nil {
		return err
	}
	x.passed = x.check(ctx, x.at+1)
	p := x.parts[x.at]
	if x.segment != p.Segment {
		x.given.begins()
		if x.rows = 0; !x.given.begun() {
			x.segment = p.Segment
		}
	}
	if p.Rows > x.rows {
		if err := x.read(ctx, p, x.rows, x.give); err != nil || x.over {
			return err
		}
	}
	return x.given.ends()
}

// read passes on a part's rows behind the first so many.
func (x *reading) read(ctx context.Context, p ResultPart, skip int64, use func(arrow.RecordBatch) error) error {
	id, err := shuffle.ParseSegmentID(p.Segment)
	if err != nil {
		return err
	}
	decode, err := shuffle.NewDecoder(x.stored, memory.NewGoAllocator(), shuffle.Limits{})
	if err != nil {
		return err
	}
	rows := x.blocks(p).Rows(transfer.For(ctx, string(x.job)), decode, []transfer.Run{{Addr: p.Addr, Others: p.Others, Segment: id, Partition: transfer.AllPartitions, Skip: skip, Rows: p.Rows - skip}})
	defer rows.Close()
	for !x.over {
		rec, err := rows.Next()
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			_ = x.checkPart(ctx, p) // so that the holder finds the damage that this reader found
			return FetchError(ctx, err)
		}
		err = use(rec)
		rec.Release()
		if err != nil {
			return err
		}
	}
	return nil
}

// blocks reads a part's.
func (x *reading) blocks(p ResultPart) *transfer.Client {
	if x.here.is(p) {
		return x.reader.blocks.From(p.Addr, x.here)
	}
	return x.reader.blocks
}

// give yields what of a batch has not been given yet.
func (x *reading) give(stored arrow.RecordBatch) (err error) {
	x.rows += stored.NumRows()
	x.returns = 0
	x.given.take(stored, func(rec arrow.RecordBatch) bool {
		if x.recast {
			if rec, err = PlainBatch(rec, x.Schema); err != nil {
				return false
			}
			defer rec.Release()
		}
		x.over = !x.yield(rec, nil)
		return !x.over
	})
	return err
}

// check has the holder of the i-th part, if there is one, read all of it. A part that is
// here needs none.
func (x *reading) check(ctx context.Context, i int) <-chan error {
	done := make(chan error, 1)
	if i >= len(x.parts) || x.here.is(x.parts[i]) {
		done <- nil
		return done
	}
	p := x.parts[i]
	go func() { done <- x.checkPart(ctx, p) }()
	return done
}

// checkPart has a part's holder read all of it. Parts without rows are good.
func (r *Result) checkPart(ctx context.Context, p ResultPart) error {
	if p.Rows == 0 {
		return nil
	}
	s, err := r.schemaOf(ctx, p)
	if err == nil && r.stored != nil && !sameTypes(s, r.stored) {
		err = &plan.Error{Kind: plan.KindFetch, Op: "read segment", Subject: p.Segment, Text: "its columns are not those of the result"}
	}
	return err
}

// schemaOf is a part's columns, from a holder that has read all of it. What one cannot give
// another may: the part is lost only if all have lost it.
func (r *Result) schemaOf(ctx context.Context, p ResultPart) (s *arrow.Schema, err error) {
	for _, addr := range p.Holders() {
		s, why := r.reader.api.at(addr).schema(ctx, p.Segment, true)
		if why == nil {
			return s, nil
		}
		if err == nil || errors.Is(why, plan.ErrUnavailable) {
			err = why
		}
	}
	return nil, err
}

// sameTypes compares the types of columns: a query whose text names its partition
// may name its columns otherwise in each part.
func sameTypes(a, b *arrow.Schema) bool {
	return slices.EqualFunc(a.Fields(), b.Fields(), func(x, y arrow.Field) bool { return arrow.TypeEqual(x.Type, y.Type) })
}

// checksMax is how many parts are checked at a time once one is lost.
const checksMax = 8

// checkAll makes holders find their damaged parts: the job reuses the parts that
// they keep when it runs once more.
func (r *Result) checkAll(ctx context.Context, parts []ResultPart) {
	var wg sync.WaitGroup
	defer wg.Wait()
	turns := make(chan struct{}, checksMax)
	for _, p := range parts {
		turns <- struct{}{}
		wg.Go(func() {
			_ = r.checkPart(ctx, p) // only the holder's reaction matters
			<-turns
		})
	}
}

// Bounds of waiting until it is clear whether a part's holder is gone.
const (
	settlePause = 250 * time.Millisecond
	settleMax   = 30 * time.Second
)

// settle finds out what became of the holders of a part that cannot be reached. back: one
// answers again. Holders that no other node sees any more are gone, and what they held is
// lost.
func (r *Result) settle(ctx context.Context, why error, p ResultPart) (back bool, _ error) {
	if !errors.Is(why, plan.ErrUnavailable) {
		return false, why
	}
	ctx, cancel := context.WithTimeout(ctx, settleMax)
	defer cancel()
	for {
		m, err := r.reader.api.Members(ctx)
		if err != nil {
			return false, why
		}
		if !slices.ContainsFunc(m.Members, func(m MemberInfo) bool { return slices.Contains(p.Holders(), m.API) }) {
			lost := *plan.AsError(why)
			lost.Kind, lost.Text, lost.Hint = plan.KindFetch, "the node that held it is gone: "+lost.Text, lostHint
			return false, &lost
		}
		for _, addr := range p.Holders() {
			if r.reader.api.at(addr).answers(ctx) == nil {
				return true, why
			}
		}
		select {
		case <-time.After(settlePause):
		case <-ctx.Done():
			return false, why
		}
	}
}

// again runs the job once more when rows are lost, and returns the new parts.
func (r *Result) again(ctx context.Context, why error, parts []ResultPart, read, tries int) ([]ResultPart, error) {
	if r.remake == nil || tries == remakesMax || !errors.Is(why, plan.ErrFetch) {
		return nil, why
	}
	r.checkAll(ctx, parts[read:])
	info, err := r.remake(ctx, why, tries > 0)
	if err != nil {
		return nil, err
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.parts = info.Parts
	return info.Parts, nil
}

// lostHint is for rows of an ended job: reading them has no effect that could come
// twice.
const lostHint = "run the statement again: what is lost is made anew, what is still held is reused"

// lostPart says which part of a result cannot be read, why, and what to do. That
// its node cannot be reached is another matter than that the rows are lost.
func lostPart(err error, parts []ResultPart, at int) error {
	pe := plan.AsError(err)
	out := &plan.Error{Kind: pe.Kind, Op: "read the result", Node: parts[at].Addr, Text: pe.Text,
		Subject: fmt.Sprintf("part %d of %d (segment %s)", at+1, len(parts), parts[at].Segment)}
	switch pe.Kind {
	case plan.KindFetch:
		out.Hint = lostHint
	case plan.KindUnavailable:
		out.Hint = "the node that holds it cannot be reached from here: read the result later, or from a machine that reaches it"
	default:
		return err
	}
	return out
}
