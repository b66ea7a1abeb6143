// Package shuffle cuts a query's rows into partitions, encodes them as blocks,
// and writes the blocks to a segment: one append-only file with the output of one
// task attempt, for all its consumers.
//
//	Chunk ─ Partitioner ─▶ partition of each row
//	Chunk ─ Writer ──────▶ a vec.Builder a partition ─ full ─▶ block ─▶ run ─▶ segment
//	segment ─ OpenSegment ─▶ extents of a partition ─ Decode ─▶ arrow.RecordBatch
//
// # Block
//
// A block is some rows of one partition. It stands alone: it can be cut out of
// its segment, sent, stored and decoded by anyone who has the Arrow schema.
// Integers are little-endian; checksums are CRC-32C.
//
//	 0  4  magic "PBLK"
//	 4  1  version, 2; 1 had no packed integers
//	 5  1  codec: 0 s2, 1 zstd, 2 lz4, 3 none
//	 6  2  flags, 0
//	 8  4  rows
//	12  4  raw bytes: the payload's length when decoded
//	16  4  encoded bytes: the payload's length here
//	20  4  layout: a checksum of the column types' physical layout
//	24  4  checksum of the payload as encoded
//	28  4  checksum of bytes 0 to 27
//	32  …  payload
//
// The decoded payload is drawn in layout.go.
//
// # Segment
//
//	0  8  magic "PONDSEG1"
//	8  …  runs: blocks, in order of partition within a run; no gaps
//	      schema: the Arrow schema as an IPC stream
//	      index: which extent (contiguous blocks of one partition) is where
//	      footer, 80 bytes: lengths, totals, checksums
//
// Index and footer are drawn in index.go.
//
// The package refuses to know DuckDB (package duck makes the chunks), who
// consumes a segment, and how it travels: that is shuffle/transfer. It trusts
// no byte that it reads: sizes are checked against limits before memory is
// taken, every offset before it is used, and damaged bytes give [ErrCorrupt],
// never a panic and never a wrong row.
//
// Read format.go next, then writer.go.
package shuffle
