package vec

import (
	"github.com/apache/arrow-go/v18/arrow"
	"github.com/apache/arrow-go/v18/arrow/memory"
)

// Builder gathers one partition's rows in Arrow's layout. It is not safe for
// concurrent use. Release frees its buffers.
type Builder struct{}

// NewBuilder makes an empty builder of schema's columns; no memory is taken
// until rows arrive.
func NewBuilder(schema *Schema, mem memory.Allocator) *Builder { return nil }

// Append copies the chosen rows of c (indexes below c.Rows; nil: all), but for
// its first skip columns: the rest must be the builder's schema.
func (b *Builder) Append(c *Chunk, rows []uint16, skip int) error { return nil }

// Rows is how many rows the builder holds.
func (b *Builder) Rows() int { return 0 }

// Bytes is how many bytes of buffers those rows fill.
func (b *Builder) Bytes() int64 { return 0 }

// Batch hands the rows over as a batch, which the caller releases, and leaves
// the builder empty.
func (b *Builder) Batch() arrow.RecordBatch { return nil }

// Reset drops the rows and keeps the buffers.
func (b *Builder) Reset() {}

// Release drops the rows and frees the buffers; the builder can be used again.
func (b *Builder) Release() {}
