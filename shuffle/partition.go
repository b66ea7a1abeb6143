package shuffle

import "github.com/pondmesh/pond/duck/vec"

// Partitioner says which partition each row of a chunk goes to. Its keys are
// the chunk's first columns; they are not part of what is written (see
// [WriterConfig].Keys). It is called from several threads at once.
type Partitioner interface {
	// Partitions is how many there are: 1 to [MaxPartitions].
	Partitions() int
	// Assign sets out[i], below Partitions, for each row i of c.
	Assign(c *vec.Chunk, out []uint32) error
}

// Hash assigns by the stable hash of the first keys columns (hash.go): equal
// keys meet in one partition, whatever their type's width, in every process
// and version.
func Hash(n, keys int) Partitioner { return nil }

// Range assigns by the first column, a Blob that DuckDB's create_sort_key made:
// the partition is how many of the bounds are at or below the key. Bounds
// ascend and are not copied; there is one partition more than there are bounds.
// Equal bounds leave partitions empty.
func Range(bounds [][]byte) (Partitioner, error) { return nil, nil }

// ByColumn assigns by the first column, an integer of any width: the
// partition's number. NULL or a number outside 0 to n-1 is an error.
func ByColumn(n int) Partitioner { return nil }

// RoundRobin deals rows out in turn, from partition start on. With several
// threads the turn is taken chunk by chunk.
func RoundRobin(n, start int) Partitioner { return nil }

// Random assigns by a generator: the same seed and order of chunks give the
// same partitions.
func Random(n int, seed uint64) Partitioner { return nil }

// One puts every row into partition 0.
func One() Partitioner { return nil }
