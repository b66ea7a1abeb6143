package api

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"sync"

	"github.com/apache/arrow-go/v18/arrow"
	"github.com/apache/arrow-go/v18/arrow/memory"

	"github.com/pondmesh/pond/actors/plan"
	"github.com/pondmesh/pond/shuffle"
	"github.com/pondmesh/pond/shuffle/transfer"
)

// remakesMax is how often one reading has its job run once more for the sake of one
// part: the first time with what nodes still hold, then from the beginning.
const remakesMax = 3

// reading is one reading of a result, part by part. Rows that were yielded cannot
// be taken back, so the holder checks the whole of a part before its first row is.
type reading struct {
	*Result
	yield  func(arrow.RecordBatch, error) bool
	parts  []ResultPart
	at     int  // the part that is read; those before have been yielded
	begun  bool // some of its rows have been yielded
	over   bool // nobody wants more
	tries  int
	passed <-chan error // the check of parts[at], when it is under way
}

// all reads every part. What is lost before any of its rows were yielded is made
// anew, and the reading goes on.
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
			x.at, x.tries = x.at+1, 0
			continue
		}
		x.passed = nil
		err = lostPart(err, x.parts, x.at)
		if x.begun {
			return err
		}
		if x.parts, err = x.again(ctx, err, x.parts, x.at, x.tries); err != nil {
			return err
		}
		x.tries++
	}
	return nil
}

// part yields the rows of the current part. The next one is checked meanwhile.
func (x *reading) part(ctx context.Context) error {
	x.begun = false
	passed := x.passed
	if passed == nil {
		passed = x.check(ctx, x.at)
	}
	if err := <-passed; err != nil {
		return err
	}
	x.passed = x.check(ctx, x.at+1)
	p := x.parts[x.at]
	if p.Rows == 0 {
		return nil
	}
	id, err := shuffle.ParseSegmentID(p.Segment)
	if err != nil {
		return err
	}
	decode, err := shuffle.NewDecoder(x.stored, memory.NewGoAllocator(), shuffle.Limits{})
	if err != nil {
		return err
	}
	rows := x.reader.blocks.Rows(ctx, decode, []transfer.Run{{Addr: p.Addr, Segment: id, Partition: transfer.AllPartitions, Rows: p.Rows}})
	defer rows.Close()
	for !x.over {
		rec, err := rows.Next()
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			<-x.check(ctx, x.at) // so that the holder finds the damage that this reader found
			return FetchError(ctx, err)
		}
		if err := x.give(rec); err != nil {
			return err
		}
	}
	return nil
}

func (x *reading) give(rec arrow.RecordBatch) error {
	if x.recast {
		plain, err := PlainBatch(rec, x.Schema)
		rec.Release()
		if err != nil {
			return err
		}
		rec = plain
	}
	x.begun = true
	x.over = !x.yield(rec, nil)
	rec.Release()
	return nil
}

// check has the holder of the i-th part, if there is one, read all of it.
func (x *reading) check(ctx context.Context, i int) <-chan error {
	done := make(chan error, 1)
	if i >= len(x.parts) {
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
	s, err := r.reader.api.at(p.Addr).schema(ctx, p.Segment, true)
	if err == nil && r.stored != nil && !sameTypes(s, r.stored) {
		err = &plan.Error{Kind: plan.KindFetch, Op: "read segment", Subject: p.Segment, Text: "its columns are not those of the result"}
	}
	return err
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

// again runs the job once more when rows are lost, and returns the new parts if the
// first read of them are those that were read.
func (r *Result) again(ctx context.Context, why error, parts []ResultPart, read, tries int) ([]ResultPart, error) {
	if r.remake == nil || tries == remakesMax || !errors.Is(why, plan.ErrFetch) {
		return nil, why
	}
	r.checkAll(ctx, parts[read:])
	info, err := r.remake(ctx, why, tries > 0)
	if err != nil {
		return nil, err
	}
	if !goesOn(parts, info.Parts, read) {
		return nil, why
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.parts = info.Parts
	return info.Parts, nil
}

// goesOn reports whether a reading of old that has got through the first parts may
// go on in parts that were made later: those read must be the same segments, for
// the rows of others may lie in another order.
func goesOn(old, made []ResultPart, read int) bool {
	return read <= len(made) && slices.EqualFunc(old[:read], made[:read], func(a, b ResultPart) bool {
		return a.Segment == b.Segment || a.Rows == 0 && b.Rows == 0
	})
}

// lostPart says which part of a result cannot be read, why, and what to do. That
// its node cannot be reached is another matter than that the rows are lost.
func lostPart(err error, parts []ResultPart, at int) error {
	pe := plan.AsError(err)
	out := &plan.Error{Kind: pe.Kind, Op: "read the result", Node: parts[at].Addr, Text: pe.Text,
		Subject: fmt.Sprintf("part %d of %d (segment %s)", at+1, len(parts), parts[at].Segment)}
	switch pe.Kind {
	case plan.KindFetch:
		out.Hint = "run the statement again: what is damaged is made anew, what is still held is reused"
	case plan.KindUnavailable:
		out.Hint = "the node that holds it cannot be reached: read the result later, or run the statement again"
	default:
		return err
	}
	return out
}
