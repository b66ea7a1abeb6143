package transfer

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"

	"github.com/apache/arrow-go/v18/arrow"

	"github.com/pondmesh/pond/shuffle"
)

// Run is consecutive rows of one partition of a segment, and the node that holds
// it.
type Run struct {
	Addr      string   // API of the holder
	Others    []string // APIs of further holders, asked in turn for what Addr cannot give
	Segment   shuffle.SegmentID
	Partition int   // or AllPartitions
	Skip      int64 // rows left out at the front
	Rows      int64 // rows taken, which must be there; -1: all that follow
}

// Rows reads runs one after another as record batches. Neighbouring runs of one
// node are one request.
type Rows struct {
	ctx    context.Context
	client *Client
	decode *shuffle.Decoder
	runs   []Run

	cur   *Stream
	held  *Block // taken from cur; an earlier run was found short
	base  int    // index in runs of the current request's first want
	next  int    // first run not yet asked for
	at    int    // the want of the latest block: those before it are over
	skip  []int64
	given []int64 // rows returned, by want
	limit []int64 // rows still due, by want; -1: not known
}

// Rows returns a reader of runs, whose segments all have the decoder's schema.
func (c *Client) Rows(ctx context.Context, d *shuffle.Decoder, runs []Run) *Rows {
	return &Rows{ctx: ctx, client: c, decode: d, runs: runs}
}

// Next is the next batch, which the caller releases, or io.EOF. A *LostError
// names segments that are gone or damaged, or that end before the rows of their run, and
// of which no other holder is known.
func (r *Rows) Next() (arrow.RecordBatch, error) {
	for {
		rec, err := r.read()
		if err == nil || errors.Is(err, io.EOF) {
			return rec, err
		}
		if err = r.elsewhere(err); err != nil {
			r.settle(err)
			return nil, err
		}
	}
}

// read is the next batch of the nodes that are asked now.
func (r *Rows) read() (arrow.RecordBatch, error) {
	for {
		if r.cur == nil {
			if err := r.open(); err != nil {
				return nil, err
			}
		}
		block, err := r.block()
		if errors.Is(err, io.EOF) {
			r.leave()
			if err := r.short(len(r.limit)); err != nil {
				return nil, err
			}
			continue
		}
		if err != nil {
			return nil, err
		}
		if err := r.short(block.Want); err != nil { // rows before those of the block: they come first
			r.held = &block
			return nil, err
		}
		r.at = block.Want
		rec, err := r.cut(block)
		if err != nil || rec != nil {
			return rec, err
		}
	}
}

// block is the next one of the request that is under way.
func (r *Rows) block() (Block, error) {
	if b := r.held; b != nil {
		r.held = nil
		return *b, nil
	}
	return r.cur.Next()
}

// leave ends the request that is under way.
func (r *Rows) leave() {
	if r.held != nil {
		r.held.Release()
		r.held = nil
	}
	if r.cur != nil {
		r.cur.Close()
		r.cur = nil
	}
}

// open asks for the next runs that are with one node.
func (r *Rows) open() error {
	if r.next == len(r.runs) {
		return io.EOF
	}
	addr := r.runs[r.next].Addr
	var wants []Want
	r.base, r.at = r.next, 0
	r.skip, r.given, r.limit = r.skip[:0], r.given[:0], r.limit[:0]
	client := *r.client
	for ; r.next < len(r.runs) && r.runs[r.next].Addr == addr; r.next++ {
		run := r.runs[r.next]
		wants = append(wants, Want{Segment: run.Segment, Partition: run.Partition})
		r.skip, r.given, r.limit = append(r.skip, run.Skip), append(r.given, 0), append(r.limit, run.Rows)
		if len(run.Others) > 0 {
			client.cfg.RetriesMax = min(client.cfg.RetriesMax, retriesBeforeOthers)
		}
	}
	cur, err := client.Fetch(r.ctx, addr, wants)
	if err != nil {
		return err
	}
	r.cur = cur
	return nil
}

// retriesBeforeOthers is how often a node is asked again while others hold the rows too.
const retriesBeforeOthers = 1

// elsewhere has other holders asked for what an error says that a node does not give, from
// the row on that was reached. What nobody else is known to hold is the error that remains.
func (r *Rows) elsewhere(err error) error {
	var lost *LostError
	named := errors.As(err, &lost)
	if r.ctx.Err() != nil || !named && (r.cur == nil || !errors.Is(err, ErrUnavailable) && !errors.Is(err, ErrStalled)) {
		return err
	}
	rest, from := r.rest(), r.runs[r.base].Addr
	moved := map[shuffle.SegmentID]bool{}
	for i := range rest {
		run := &rest[i]
		if run.Addr != from || named && !slices.Contains(lost.Segments, run.Segment) {
			continue
		}
		if len(run.Others) == 0 {
			if !named {
				return err
			}
			continue
		}
		run.Addr, run.Others = run.Others[0], run.Others[1:]
		moved[run.Segment] = true
	}
	if len(moved) == 0 {
		return err
	}
	r.leave()
	r.runs, r.next, r.limit = rest, 0, nil
	if !named {
		return nil
	}
	left := slices.DeleteFunc(slices.Clone(lost.Segments), func(id shuffle.SegmentID) bool { return moved[id] })
	if len(left) == 0 {
		return nil
	}
	r.runs = slices.DeleteFunc(rest, func(run Run) bool { return run.Addr == from && slices.Contains(left, run.Segment) })
	only := *lost
	only.Segments = left
	return &only
}

// rest is what remains of the runs: of those of the request that is under way, what has
// not been returned.
func (r *Rows) rest() []Run {
	var rest []Run
	for w := r.at; w < len(r.limit); w++ {
		run := r.runs[r.base+w]
		run.Skip += r.given[w]
		if run.Rows = r.limit[w]; run.Rows != 0 {
			rest = append(rest, run)
		}
	}
	return append(rest, r.runs[r.next:]...)
}

// short names the segments of the request's first runs, which are over, that gave fewer
// rows than were due: an end that comes too early is a loss, not an end.
func (r *Rows) short(runs int) error {
	var lost *LostError
	for w, due := range r.limit[:runs] {
		if due <= 0 {
			continue
		}
		run := r.runs[r.base+w]
		if lost == nil {
			lost = &LostError{Addr: run.Addr, Reason: shuffle.ErrCorrupt, Detail: fmt.Sprintf("it ended %d rows early", due)}
		}
		if !slices.Contains(lost.Segments, run.Segment) {
			lost.Segments = append(lost.Segments, run.Segment)
		}
	}
	if lost == nil {
		return nil
	}
	return lost
}

// settle expects no more rows of segments that err says are lost.
func (r *Rows) settle(err error) {
	var lost *LostError
	if !errors.As(err, &lost) {
		return
	}
	for w := range r.limit {
		if slices.Contains(lost.Segments, r.runs[r.base+w].Segment) {
			r.limit[w] = 0
		}
	}
}

// cut turns a block into a batch, cut to its run's rows; nil when none of its
// rows are wanted.
func (r *Rows) cut(block Block) (arrow.RecordBatch, error) {
	defer block.Release()
	w := block.Want
	if r.limit[w] == 0 {
		return nil, nil
	}
	if r.skip[w] > 0 {
		h, err := shuffle.ParseBlockHeader(block.Data)
		if err == nil && int64(h.Rows) <= r.skip[w] {
			r.skip[w] -= int64(h.Rows)
			return nil, nil
		}
	}
	rec, err := r.decode.Decode(block.Data)
	if err != nil {
		run := r.runs[r.base+w]
		return nil, &LostError{Addr: run.Addr, Segments: []shuffle.SegmentID{run.Segment}, Reason: shuffle.ErrCorrupt, Detail: err.Error()}
	}
	from, rows := r.skip[w], rec.NumRows()-r.skip[w]
	r.skip[w] = 0
	if r.limit[w] >= 0 {
		rows = min(rows, r.limit[w])
		r.limit[w] -= rows
	}
	r.given[w] += rows
	if from == 0 && rows == rec.NumRows() {
		return rec, nil
	}
	defer rec.Release()
	return rec.NewSlice(from, from+rows), nil
}

// Close ends the request that is under way.
func (r *Rows) Close() error {
	r.leave()
	r.next = len(r.runs)
	return nil
}
