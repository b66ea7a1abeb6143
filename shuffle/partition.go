package shuffle

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"math/bits"
	"sort"
	"sync/atomic"
	"unsafe"

	"github.com/pondmesh/pond/duck/vec"
)

// Partitioner chooses the partition of each row of a chunk. Its keys are the
// chunk's first columns, which are not written (see [WriterConfig].Keys), or, for
// [Hash], any. It is called from several threads at once.
type Partitioner interface {
	// Partitions is how many there are: 1 to [MaxPartitions].
	Partitions() int
	// Assign sets out[i], below Partitions, for each row i of c; out has c.Rows
	// elements.
	Assign(c *vec.Chunk, out []uint32) error
}

// One puts every row into partition 0.
func One() Partitioner { return one{} }

type one struct{}

func (one) Partitions() int { return 1 }
func (one) Assign(c *vec.Chunk, out []uint32) error {
	clear(out[:c.Rows])
	return nil
}

// Hash assigns by the stable hash of these columns, in this order (hash.go): equal
// keys meet in one partition, whatever their type's width, in every process and
// version. They may lie anywhere in the chunk.
func Hash(n int, columns []int) Partitioner { return hash{n, columns} }

type hash struct {
	n       int
	columns []int
}

func (h hash) Partitions() int { return h.n }
func (h hash) Assign(c *vec.Chunk, out []uint32) error {
	var sums [vec.MaxRows]uint64
	if c.Rows > len(sums) {
		return fmt.Errorf("shuffle: hash: chunk of %d rows", c.Rows)
	}
	if err := HashRows(c, h.columns, sums[:c.Rows]); err != nil {
		return err
	}
	for i, sum := range sums[:c.Rows] {
		out[i] = spread(sum, h.n)
	}
	return nil
}

// spread maps a hash evenly onto 0 to n-1, by its high bits.
func spread(sum uint64, n int) uint32 {
	hi, _ := bits.Mul64(sum, uint64(n))
	return uint32(hi)
}

// RoundRobin deals rows out in turn, from partition start on. With several
// threads the turn is taken chunk by chunk.
func RoundRobin(n, start int) Partitioner {
	r := &roundRobin{n: n}
	r.next.Store(uint64(start))
	return r
}

type roundRobin struct {
	n    int
	next atomic.Uint64
}

func (r *roundRobin) Partitions() int { return r.n }
func (r *roundRobin) Assign(c *vec.Chunk, out []uint32) error {
	n := uint64(r.n)
	at := (r.next.Add(uint64(c.Rows)) - uint64(c.Rows)) % n
	for i := range out[:c.Rows] {
		out[i] = uint32(at)
		if at++; at == n {
			at = 0
		}
	}
	return nil
}

// Random assigns by a generator: the same seed and order of chunks give the
// same partitions.
func Random(n int, seed uint64) Partitioner { return &random{n: n, seed: mix(seed + golden)} }

type random struct {
	n    int
	seed uint64
	next atomic.Uint64
}

func (r *random) Partitions() int { return r.n }
func (r *random) Assign(c *vec.Chunk, out []uint32) error {
	at := r.next.Add(uint64(c.Rows)) - uint64(c.Rows)
	for i := range out[:c.Rows] {
		out[i] = spread(mix(r.seed+golden*(at+uint64(i))), r.n)
	}
	return nil
}

// ByColumn assigns by the first column, an integer of any width: the
// partition's number. NULL or a number outside 0 to n-1 is an error.
func ByColumn(n int) Partitioner { return byColumn{n} }

type byColumn struct{ n int }

func (b byColumn) Partitions() int { return b.n }
func (b byColumn) Assign(c *vec.Chunk, out []uint32) error {
	if len(c.Columns) == 0 {
		return fmt.Errorf("shuffle: by column: no column")
	}
	v := &c.Columns[0]
	switch v.Type.Kind {
	case vec.Int8:
		return direct[int8](v, b.n, out[:c.Rows])
	case vec.Int16:
		return direct[int16](v, b.n, out[:c.Rows])
	case vec.Int32:
		return direct[int32](v, b.n, out[:c.Rows])
	case vec.Int64:
		return direct[int64](v, b.n, out[:c.Rows])
	case vec.Uint8:
		return direct[uint8](v, b.n, out[:c.Rows])
	case vec.Uint16:
		return direct[uint16](v, b.n, out[:c.Rows])
	case vec.Uint32:
		return direct[uint32](v, b.n, out[:c.Rows])
	case vec.Uint64:
		return direct[uint64](v, b.n, out[:c.Rows])
	case vec.Int128, vec.Uint128:
		return direct128(v, b.n, out[:c.Rows])
	}
	return fmt.Errorf("shuffle: by column: %s is not an integer", v.Type.SQL)
}

func direct[T int8 | int16 | int32 | int64 | uint8 | uint16 | uint32 | uint64](v *vec.Vector, n int, out []uint32) error {
	for i, x := range data[T](v)[:len(out)] {
		if v.Null(i) {
			return fmt.Errorf("shuffle: by column: partition is NULL, want 0 to %d", n-1)
		}
		if x < 0 || uint64(x) >= uint64(n) {
			return fmt.Errorf("shuffle: by column: partition %d, want 0 to %d", x, n-1)
		}
		out[i] = uint32(x)
	}
	return nil
}

func direct128(v *vec.Vector, n int, out []uint32) error {
	for i, x := range data[[2]uint64](v)[:len(out)] {
		if v.Null(i) {
			return fmt.Errorf("shuffle: by column: partition is NULL, want 0 to %d", n-1)
		}
		if x[1] != 0 || x[0] >= uint64(n) {
			return fmt.Errorf("shuffle: by column: partition %s, want 0 to %d", text128(x, v.Type.Kind == vec.Int128), n-1)
		}
		out[i] = uint32(x[0])
	}
	return nil
}

// data is a vector's values of type T.
func data[T any](v *vec.Vector) []T { return unsafe.Slice((*T)(v.Data), v.Rows) }

// Range assigns by the first column, a Blob that DuckDB's create_sort_key made:
// the partition is how many of the bounds are at or below the key. Bounds
// ascend; there is one partition more than there are bounds. Of equal bounds
// all but the last leave a partition empty.
func Range(bounds [][]byte) (Partitioner, error) {
	if len(bounds) >= MaxPartitions {
		return nil, fmt.Errorf("shuffle: range: %d bounds: %w", len(bounds), ErrLimit)
	}
	r := &ranges{bounds: make([][]byte, len(bounds)), heads: make([]uint64, len(bounds))}
	for i, b := range bounds {
		if i > 0 && bytes.Compare(bounds[i-1], b) > 0 {
			return nil, fmt.Errorf("shuffle: range: bound %d is below the one before it", i)
		}
		r.bounds[i], r.heads[i] = bytes.Clone(b), head(b)
	}
	return r, nil
}

// ranges searches by the first eight bytes as a number, which orders as the
// bytes do, and by whole keys only among bounds whose heads equal the key's.
type ranges struct {
	bounds [][]byte
	heads  []uint64
}

// head is b's first eight bytes; what b lacks counts as zero.
func head(b []byte) uint64 {
	if len(b) >= 8 {
		return binary.BigEndian.Uint64(b)
	}
	var full [8]byte
	copy(full[:], b)
	return binary.BigEndian.Uint64(full[:])
}

func (r *ranges) Partitions() int { return len(r.bounds) + 1 }
func (r *ranges) Assign(c *vec.Chunk, out []uint32) error {
	if len(c.Columns) == 0 || c.Columns[0].Type.Kind != vec.Blob {
		return fmt.Errorf("shuffle: range: the first column is no sort key")
	}
	v := &c.Columns[0]
	keys := data[vec.Str](v)
	for i := range out[:c.Rows] {
		if v.Null(i) {
			return fmt.Errorf("shuffle: range: sort key is NULL")
		}
		out[i] = r.find(keys[i].Bytes())
	}
	return nil
}

// find is the number of bounds at or below key.
func (r *ranges) find(key []byte) uint32 {
	h := head(key)
	at, n := 0, len(r.heads)
	for n > 0 { // the first bound whose head is not below key's
		half := n / 2
		if r.heads[at+half] < h {
			at += half + 1
			n -= half + 1
		} else {
			n = half
		}
	}
	if at == len(r.heads) || r.heads[at] != h {
		return uint32(at)
	}
	ties := sort.Search(len(r.heads)-at, func(i int) bool { return r.heads[at+i] != h })
	return uint32(at + sort.Search(ties, func(i int) bool { return bytes.Compare(r.bounds[at+i], key) > 0 }))
}
