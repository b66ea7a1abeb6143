package shuffle

import (
	"fmt"
	"slices"
	"sync"

	"github.com/pondmesh/pond/duck/vec"
)

// lane is one thread's side of a writer: the rows it has gathered, a builder a
// partition, and the blocks it has made of them.
type lane struct {
	w        *Writer
	enc      encoder
	builders []*vec.Builder // by partition; nil until the first row
	reserved int64          // bytes that the builders have taken

	to    [vec.MaxRows]uint32 // partition of each row
	rows  [vec.MaxRows]uint16 // rows in order of partition
	count []int32             // by partition: rows, then where they end in rows
	found []uint32            // the partitions that the chunk has rows for

	hashes [vec.MaxRows]uint64 // of each row
	sum    uint64              // of all hashes so far

	mu     sync.Mutex // guards what steal takes
	blocks []pending
	slabs  [][]byte // memory of blocks; the last has used bytes in use
	used   int
}

// pending is a block that waits to be written. Its bytes lie in a slab.
type pending struct {
	partition int
	rows, raw int64
	bytes     []byte
}

// Slabs start small, for tasks of a few rows, and double.
const (
	slabMin = 16 << 10
	slabMax = 1 << 20
)

func newLane(w *Writer) *lane {
	return &lane{
		w: w, enc: encoder{layout: w.layout, codec: w.c.Codec},
		builders: make([]*vec.Builder, w.partitions), count: make([]int32, w.partitions),
	}
}

// largeChunk is from when on a chunk's rows are taken one by one, so that
// blocks and memory stay bounded though its strings are long.
const largeChunk = 4 << 20

func (l *lane) append(c *vec.Chunk) error {
	if c.Rows == 0 {
		return nil
	}
	step := c.Rows
	if c.Exceeds(min(largeChunk, l.w.laneMax/2), l.w.c.Keys) {
		step = 1
	}
	if l.w.partitions == 1 && step > 1 {
		if err := l.addUp(c, nil); err != nil {
			return err
		}
		return l.add(0, c, nil)
	}
	if err := l.w.c.Partitioner.Assign(c, l.to[:c.Rows]); err != nil {
		return err
	}
	if err := l.addUp(c, l.to[:c.Rows]); err != nil {
		return err
	}
	if err := l.sort(c.Rows); err != nil {
		return err
	}
	start := int32(0)
	for _, p := range l.found {
		end := l.count[p]
		l.count[p] = 0
		for start < end {
			next := min(start+int32(step), end)
			if err := l.add(int(p), c, l.rows[start:next]); err != nil {
				return err
			}
			start = next
		}
	}
	return nil
}

// sort puts the indexes of n rows in order of partition, by counting.
// Afterwards count is, for each partition found, where its rows end.
func (l *lane) sort(n int) error {
	l.found = l.found[:0]
	for i, p := range l.to[:n] {
		if int(p) >= len(l.count) {
			for _, p := range l.found {
				l.count[p] = 0
			}
			return fmt.Errorf("shuffle: row %d: partition %d of %d", i, p, len(l.count))
		}
		if l.count[p] == 0 {
			l.found = append(l.found, p)
		}
		l.count[p]++
	}
	at := int32(0)
	for _, p := range l.found {
		l.count[p], at = at, at+l.count[p]
	}
	for i, p := range l.to[:n] {
		l.rows[l.count[p]] = uint16(i)
		l.count[p]++
	}
	return nil
}

// add appends rows of c to partition p's builder, and makes blocks if it is
// full or the lane holds too much.
func (l *lane) add(p int, c *vec.Chunk, rows []uint16) error {
	b := l.builders[p]
	if b == nil {
		b = vec.NewBuilder(l.w.schema, l.w.c.Mem)
		l.builders[p] = b
	}
	before := b.Reserved()
	err := b.Append(c, rows, l.w.c.Keys)
	l.reserved += b.Reserved() - before
	if err != nil {
		return fmt.Errorf("shuffle: partition %d: %w", p, err)
	}
	if b.Bytes() >= int64(l.w.c.BlockBytes) {
		if err := l.emit(p, b); err != nil {
			return err
		}
		if b.Reserved() > int64(4*l.w.c.BlockBytes) { // a row out of the ordinary
			l.drop(b)
		}
	}
	if l.reserved > l.w.laneMax {
		return l.relieve()
	}
	return nil
}

// emit makes a block of b's rows.
func (l *lane) emit(p int, b *vec.Builder) error {
	rows := b.Rows()
	if rows == 0 {
		return nil
	}
	if err := l.enc.payload(rows, b.Parts()); err != nil {
		return fmt.Errorf("shuffle: partition %d: %w", p, err)
	}
	b.Reset()
	n, err := l.queue(p, rows)
	if err != nil {
		return fmt.Errorf("shuffle: partition %d: %w", p, err)
	}
	if cap(l.enc.raw) > 8*l.w.c.BlockBytes { // again, out of the ordinary
		l.enc.raw = nil
	}
	return l.w.queued(n)
}

// queue makes a block of the encoder's payload right where it waits, and returns
// its size.
func (l *lane) queue(p, rows int) (int64, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	raw := len(l.enc.raw)
	room := l.room(BlockHeaderLen + encodedMax(raw))
	block, err := l.enc.seal(room, rows)
	if err != nil {
		return 0, err
	}
	if &block[0] != &room[:1][0] { // the codec took more for a while
		block = append(room, block...)
	}
	l.used += len(block)
	l.blocks = append(l.blocks, pending{p, int64(rows), int64(raw), block})
	return int64(len(block)), nil
}

// room returns an empty slice at the end of the last slab, with capacity for n
// bytes; the caller adds the bytes it fills to used. The caller holds mu.
func (l *lane) room(n int) []byte {
	last := len(l.slabs) - 1
	if last < 0 || len(l.slabs[last])-l.used < n {
		size := slabMin
		if last >= 0 {
			size = min(2*len(l.slabs[last]), slabMax)
		}
		l.slabs = append(l.slabs, l.w.c.Mem.Allocate(max(size, n)))
		l.used, last = 0, last+1
	}
	return l.slabs[last][l.used : l.used : l.used+n]
}

// steal takes the waiting blocks and the memory they lie in.
func (l *lane) steal() (blocks []pending, slabs [][]byte) {
	l.mu.Lock()
	defer l.mu.Unlock()
	blocks, slabs = l.blocks, l.slabs
	l.blocks, l.slabs, l.used = nil, nil, 0
	return blocks, slabs
}

// drop frees b's buffers.
func (l *lane) drop(b *vec.Builder) {
	l.reserved -= b.Reserved()
	b.Release()
}

// relieve makes blocks of the largest builders and frees them, until half of
// the lane's memory is free: the fewest and fullest blocks for the room they
// make.
func (l *lane) relieve() error {
	order := make([]int, 0, len(l.builders))
	for p, b := range l.builders {
		if b != nil && b.Reserved() > 0 {
			order = append(order, p)
		}
	}
	slices.SortFunc(order, func(x, y int) int { return int(l.builders[y].Reserved() - l.builders[x].Reserved()) })
	for _, p := range order {
		if l.reserved <= l.w.laneMax/2 {
			break
		}
		b := l.builders[p]
		if err := l.emit(p, b); err != nil {
			return err
		}
		l.drop(b)
	}
	return nil
}

// drain makes blocks of all rows, and frees the builders.
func (l *lane) drain() error {
	for p, b := range l.builders {
		if b == nil {
			continue
		}
		if err := l.emit(p, b); err != nil {
			return err
		}
		l.drop(b)
	}
	return nil
}

func (l *lane) release() {
	for _, b := range l.builders {
		if b != nil {
			l.drop(b)
		}
	}
	_, slabs := l.steal()
	for _, s := range slabs {
		l.w.c.Mem.Free(s)
	}
	l.enc = encoder{}
}
