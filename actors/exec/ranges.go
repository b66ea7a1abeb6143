package exec

import (
	"context"
	"errors"

	"github.com/apache/arrow-go/v18/arrow"

	"github.com/pondmesh/pond/actors/api"
	"github.com/pondmesh/pond/actors/plan"
	"github.com/pondmesh/pond/shuffle"
	"github.com/pondmesh/pond/shuffle/transfer"
)

// blockRange is a run of rows, and the task that made them: it runs again when they
// are lost.
type blockRange struct {
	transfer.Run
	task plan.TaskID
}

// blockStream reads ranges one after another. Its errors name the tasks whose
// rows are lost.
type blockStream struct {
	*transfer.Rows
	ctx    context.Context
	ranges []blockRange
}

func newBlockStream(ctx context.Context, c *transfer.Client, d *shuffle.Decoder, ranges []blockRange) *blockStream {
	runs := make([]transfer.Run, len(ranges))
	for i, s := range ranges {
		runs[i] = s.Run
	}
	return &blockStream{Rows: c.Rows(ctx, d, runs), ctx: ctx, ranges: ranges}
}

// Next is the next batch, which the caller releases, or io.EOF.
func (b *blockStream) Next() (arrow.RecordBatch, error) {
	rec, err := b.Rows.Next()
	if err != nil {
		err = b.lost(err)
	}
	return rec, err
}

// lost adds the tasks to run again to an error of segments that are gone or
// damaged.
func (b *blockStream) lost(err error) error {
	var le *transfer.LostError
	if !errors.As(err, &le) {
		return api.FetchError(b.ctx, err)
	}
	pe := plan.AsError(api.FetchError(b.ctx, err))
	gone := map[string]bool{}
	for _, id := range le.Segments {
		gone[id.String()] = true
	}
	for _, s := range b.ranges {
		if gone[s.Segment.String()] {
			pe.Lost = append(pe.Lost, s.task)
		}
	}
	return pe
}

// spread deals ranges into n lists of about equal rows, nodes kept together so
// that each list makes few requests.
func spread(ranges []blockRange, n int) [][]blockRange {
	if n <= 1 || len(ranges) <= 1 {
		return [][]blockRange{ranges}
	}
	byAddr := map[string][]blockRange{}
	var addrs []string
	for _, s := range ranges {
		if byAddr[s.Addr] == nil {
			addrs = append(addrs, s.Addr)
		}
		byAddr[s.Addr] = append(byAddr[s.Addr], s)
	}
	out := make([][]blockRange, n)
	for i, addr := range addrs {
		list := byAddr[addr]
		for k := range n {
			part := list[len(list)*k/n : len(list)*(k+1)/n]
			// Lists start with different nodes, so that not all ask one at once.
			out[(k+i)%n] = append(out[(k+i)%n], part...)
		}
	}
	for k := range out {
		if len(out[k]) > 1 {
			at := len(out[k]) * k / n
			out[k] = append(out[k][at:len(out[k]):len(out[k])], out[k][:at]...)
		}
	}
	return out
}
