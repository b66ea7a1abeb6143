package shuffle

import (
	"bufio"
	"cmp"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"slices"
	"sync"
	"sync/atomic"

	"github.com/apache/arrow-go/v18/arrow/memory"
	"github.com/pondmesh/pond/duck/vec"
)

// WriterConfig is how a segment is cut and encoded. Schema and
// Partitioner are required; zero means the default elsewhere.
type WriterConfig struct {
	Schema      *vec.Schema // of the chunks, keys included
	Keys        int         // leading columns that only the Partitioner sees
	Partitioner Partitioner
	Codec       Codec
	Threads     int              // how many append at once; more wait; default 1
	Ordered     bool             // rows come from one thread, in an order that counts: Sum covers it
	Memory      int64            // bound on rows held and blocks not yet written; default 256 MiB
	BlockBytes  int              // raw bytes of a full block; default 256 KiB
	Mem         memory.Allocator // where buffers come from; default: the Go heap, pooled; see [vec.Pool]
	Log         *slog.Logger     // default: discard
}

// Defaults and bounds of a writer.
const (
	defaultMemory = 256 << 20
	memoryMin     = 1 << 20
	threadsMax    = 1024
	writeBuffer   = 64 << 10 // larger blocks pass it by
)

// Summary describes the content of a segment.
type Summary struct {
	Rows           int64
	RawBytes       int64 // payloads, decoded
	Bytes          int64 // the file
	Blocks         int64
	PartitionRows  []int64
	PartitionBytes []int64 // blocks, headers included
	// Sum is of hashes of all rows and their partitions (rowsum.go): two segments of
	// the same rows have the same. It is not in the file: a segment read has 0.
	Sum uint64
}

// Writer cuts chunks into partitions and writes a segment.
//
// Rows gather in lanes, one a thread, as a builder a partition. A full builder
// becomes a block, at once and on the thread that filled it. Blocks wait in
// their lane until together they take their share of Memory; then they are
// written as one run, in order of partition. When builders take more than
// theirs, the largest become blocks before they are full.
type Writer struct {
	c          WriterConfig
	layout     *layout
	partitions int
	schema     *vec.Schema // of the payload
	laneMax    int64       // bytes of builders, a lane
	runMax     int64       // bytes of waiting blocks, all lanes
	waiting    atomic.Int64
	appended   atomic.Int64 // rows; counted when Ordered
	failed     atomic.Pointer[error]
	free       chan struct{} // a token a lane

	mu    sync.Mutex
	idle  []*lane // last used, first taken: one caller keeps to one lane
	lanes []*lane
	done  bool

	io      sync.Mutex // held while a run is written
	dst     *bufio.Writer
	at      int64
	index   indexer
	summary Summary
}

// NewWriter starts a segment on dst, which it writes to in order, from one
// goroutine at a time, and never closes or syncs.
func NewWriter(dst io.Writer, c WriterConfig) (*Writer, error) {
	if err := c.complete(); err != nil {
		return nil, fmt.Errorf("shuffle: writer: %w", err)
	}
	w := &Writer{c: c, laneMax: c.Memory / 2 / int64(c.Threads), runMax: c.Memory / 4, free: make(chan struct{}, c.Threads)}
	w.schema = &vec.Schema{Fields: c.Schema.Fields[c.Keys:]}
	w.partitions = c.Partitioner.Partitions()
	var err error
	if w.layout, err = newLayout(w.schema.Blocks()); err != nil {
		return nil, err
	}
	w.dst = bufio.NewWriterSize(dst, writeBuffer)
	w.summary.PartitionRows = make([]int64, w.partitions)
	w.summary.PartitionBytes = make([]int64, w.partitions)
	n, err := w.dst.WriteString(segmentMagic)
	w.at = int64(n)
	return w, err
}

// complete checks c and fills in the defaults.
func (c *WriterConfig) complete() error {
	if c.Schema == nil || c.Partitioner == nil || c.Keys < 0 || c.Keys > len(c.Schema.Fields) {
		return fmt.Errorf("no schema, no partitioner or %d keys", c.Keys)
	}
	payload := vec.Schema{Fields: c.Schema.Fields[c.Keys:]}
	if err := payload.Check(); err != nil {
		return err
	}
	c.Threads = cmp.Or(c.Threads, 1)
	c.Memory = max(cmp.Or(c.Memory, defaultMemory), memoryMin)
	c.BlockBytes = cmp.Or(c.BlockBytes, DefaultBlockBytes)
	if n := c.Partitioner.Partitions(); n < 1 || n > MaxPartitions || c.Threads < 1 || c.Threads > threadsMax {
		return fmt.Errorf("%d partitions of %d, %d threads of %d: %w", n, MaxPartitions, c.Threads, threadsMax, ErrLimit)
	}
	if c.Codec >= codecEnd || c.BlockBytes < 1 || c.BlockBytes > MaxBlockRaw/4 {
		return fmt.Errorf("codec %s, blocks of %d bytes: %w", c.Codec, c.BlockBytes, ErrLimit)
	}
	if c.Mem == nil {
		c.Mem = vec.NewPool(memory.NewGoAllocator(), c.Memory/4)
	}
	if c.Log == nil {
		c.Log = slog.New(slog.DiscardHandler)
	}
	return nil
}

var errFinished = errors.New("shuffle: the writer has finished")

// Append takes the rows of c. It may be called from several threads at once; c
// is not kept. Rows keep their order within a partition when one thread appends
// them all. After an error every later Append and Finish returns it.
func (w *Writer) Append(c *vec.Chunk) error {
	return w.with(func(l *lane) error {
		if len(c.Columns) != len(w.c.Schema.Fields) || c.Rows < 0 || c.Rows > vec.MaxRows {
			return fmt.Errorf("shuffle: append: %d columns, %d rows", len(c.Columns), c.Rows)
		}
		return l.append(c)
	})
}

// with runs f on a lane that nobody else uses. A panic, from a vector that
// contradicts its type, becomes the writer's error.
func (w *Writer) with(f func(*lane) error) (err error) {
	if err := w.err(); err != nil {
		return err
	}
	w.free <- struct{}{}
	l, err := w.take()
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("shuffle: append: panic: %v", p)
		}
		if l != nil {
			w.mu.Lock()
			w.idle = append(w.idle, l)
			w.mu.Unlock()
		}
		<-w.free
		if err != nil {
			w.fail(err)
		}
	}()
	if err != nil {
		return err
	}
	return f(l)
}

// take is an idle lane, or a new one; tokens bound how many there are.
func (w *Writer) take() (*lane, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.done {
		return nil, errFinished
	}
	if n := len(w.idle); n > 0 {
		l := w.idle[n-1]
		w.idle = w.idle[:n-1]
		return l, nil
	}
	l := newLane(w)
	w.lanes = append(w.lanes, l)
	return l, nil
}

func (w *Writer) err() error {
	if e := w.failed.Load(); e != nil {
		return *e
	}
	return nil
}

func (w *Writer) fail(err error) { w.failed.CompareAndSwap(nil, &err) }

// queued counts n more bytes of waiting blocks and writes a run when they are
// too many. While one thread writes, the others go on until they too are here.
func (w *Writer) queued(n int64) error {
	if w.waiting.Add(n) < w.runMax {
		return nil
	}
	w.io.Lock()
	defer w.io.Unlock()
	if w.waiting.Load() < w.runMax {
		return nil
	}
	return w.run()
}

// run writes every waiting block, in order of partition, then lane, then age.
// The caller holds io.
func (w *Writer) run() error {
	w.mu.Lock()
	lanes := slices.Clone(w.lanes)
	w.mu.Unlock()
	var blocks []pending
	var slabs [][]byte
	for _, l := range lanes {
		b, s := l.steal()
		blocks, slabs = append(blocks, b...), append(slabs, s...)
	}
	slices.SortStableFunc(blocks, func(a, b pending) int { return a.partition - b.partition })
	err := w.write(blocks)
	for _, s := range slabs {
		w.c.Mem.Free(s)
	}
	return err
}

// write writes blocks, sorted by partition, as one run.
func (w *Writer) write(blocks []pending) error {
	if len(blocks) == 0 {
		return nil
	}
	var partitions []int
	var extents []Extent
	for _, b := range blocks {
		if n := len(partitions); n == 0 || partitions[n-1] != b.partition {
			partitions = append(partitions, b.partition)
			extents = append(extents, Extent{Offset: w.at})
		}
		if _, err := w.dst.Write(b.bytes); err != nil {
			return fmt.Errorf("shuffle: write: %w", err)
		}
		size := int64(len(b.bytes))
		e := &extents[len(extents)-1]
		e.Length += size
		e.Rows += b.rows
		e.Raw += b.raw
		w.at += size
		w.waiting.Add(-size)
		w.summary.Rows += b.rows
		w.summary.RawBytes += b.raw
		w.summary.PartitionRows[b.partition] += b.rows
		w.summary.PartitionBytes[b.partition] += size
	}
	w.summary.Blocks += int64(len(blocks))
	w.index.run(partitions, extents)
	if len(w.index.b) > indexBytesMax {
		return fmt.Errorf("shuffle: index of %d extents: more memory for the writer makes fewer: %w", w.index.extents, ErrLimit)
	}
	w.c.Log.Debug("shuffle: run written", "blocks", len(blocks), "partitions", len(partitions), "at", w.at)
	return nil
}

// close marks the writer done and says whether it was not before.
func (w *Writer) close() bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	was := w.done
	w.done = true
	return !was
}

// Finish writes the remaining rows, the index and the footer, and frees the
// buffers. No Append may be under way. Without an error the segment is whole once
// dst has stored its bytes.
func (w *Writer) Finish() (Summary, error) {
	if !w.close() {
		return Summary{}, errFinished
	}
	defer w.release()
	w.drain()
	if err := w.err(); err != nil {
		return Summary{}, err
	}
	for _, l := range w.lanes {
		w.summary.Sum += l.sum
	}
	w.io.Lock()
	defer w.io.Unlock()
	err := w.run()
	if err == nil {
		err = w.end()
	}
	if err != nil {
		w.fail(err)
		return Summary{}, err
	}
	return w.summary, nil
}

// drain makes blocks of all that the lanes hold, each lane on a goroutine that
// ends before drain does.
func (w *Writer) drain() {
	var all sync.WaitGroup
	for _, l := range w.lanes {
		all.Go(func() {
			if w.err() == nil {
				if err := l.drain(); err != nil {
					w.fail(err)
				}
			}
		})
	}
	all.Wait()
}

// end writes schema, index and footer.
func (w *Writer) end() error {
	schema, err := EncodeSchema(w.layout.schema)
	if err != nil {
		return fmt.Errorf("shuffle: finish: %w", err)
	}
	f := footer{
		partitions: w.partitions, end: w.at,
		schema: int64(len(schema)), index: int64(len(w.index.b)),
		rows: w.summary.Rows, raw: w.summary.RawBytes, blocks: w.summary.Blocks, extents: w.index.extents,
		schemaSum: checksum(schema), indexSum: checksum(w.index.b),
	}
	var foot [footerLen]byte
	f.put(foot[:])
	for _, b := range [][]byte{schema, w.index.b, foot[:]} {
		if _, err := w.dst.Write(b); err != nil {
			return fmt.Errorf("shuffle: finish: %w", err)
		}
		w.at += int64(len(b))
	}
	if err := w.dst.Flush(); err != nil {
		return fmt.Errorf("shuffle: finish: %w", err)
	}
	w.summary.Bytes = w.at
	return nil
}

// Abort frees the buffers; the bytes written so far are no segment. No Append may
// be under way. After Finish it does nothing, so that it can be deferred.
func (w *Writer) Abort() {
	if w.close() {
		w.release()
	}
}

func (w *Writer) release() {
	for _, l := range w.lanes {
		l.release()
	}
}
