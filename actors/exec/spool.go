package exec

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"os"

	"github.com/apache/arrow-go/v18/arrow"
	"github.com/apache/arrow-go/v18/arrow/memory"

	"github.com/pondmesh/pond/actors/plan"
	"github.com/pondmesh/pond/actors/syserr"
	"github.com/pondmesh/pond/duck"
	"github.com/pondmesh/pond/shuffle"
)

const (
	spoolBufferBytes = 1 << 20
	spoolBlockBytes  = 1 << 20
)

// spool is batches on disk, as shuffle blocks one after another: written once,
// read any number of times. It is removed by close.
type spool struct {
	file   *os.File
	schema *arrow.Schema
	mem    memory.Allocator
	w      *bufio.Writer
	buf    []byte
	size   int64 // bytes
	rows   int64 // and rows written
}

func newSpool(dir string, schema *arrow.Schema, mem memory.Allocator) (*spool, error) {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, err
	}
	f, err := os.CreateTemp(dir, "spool-*")
	if err != nil {
		return nil, err
	}
	return &spool{file: f, schema: schema, mem: mem, w: bufio.NewWriterSize(f, spoolBufferBytes)}, nil
}

// write appends a batch, whose types must be the spool's. It keeps nothing of it.
// An error without a kind is about the batch.
func (s *spool) write(rec arrow.RecordBatch) error {
	if !sameTypes(rec.Schema(), s.schema) {
		return fmt.Errorf("the function returned %v, but it was declared to return %v", rec.Schema(), s.schema)
	}
	var err error
	if s.buf, _, err = shuffle.EncodeBatch(s.buf[:0], rec, shuffle.S2, spoolBlockBytes); err != nil {
		return err
	}
	s.size += int64(len(s.buf))
	s.rows += rec.NumRows()
	if _, err = s.w.Write(s.buf); err != nil {
		return syserr.Own("write", s.file.Name(), err)
	}
	return nil
}

func sameTypes(a, b *arrow.Schema) bool {
	if a.NumFields() != b.NumFields() {
		return false
	}
	for i := range a.NumFields() {
		if !arrow.TypeEqual(a.Field(i).Type, b.Field(i).Type) {
			return false
		}
	}
	return true
}

func (s *spool) finish() error {
	s.buf = nil
	return s.w.Flush()
}

// open reads the spool from its beginning.
func (s *spool) open(_ context.Context, columns []int) (duck.Stream, error) {
	d, err := shuffle.NewDecoder(s.schema, s.mem, shuffle.Limits{})
	if err != nil {
		return nil, err
	}
	return &spoolReader{s: s, decode: d.Intake(columns), r: bufio.NewReaderSize(io.NewSectionReader(s.file, 0, s.size), spoolBufferBytes), left: s.size}, nil
}

// damaged wraps an error of reading the spooled rows: the task runs again, elsewhere
// if it can.
func (s *spool) damaged(err error) error {
	return &plan.Error{Kind: plan.KindStorage, Op: "read back", Subject: s.file.Name(), Text: "what the task spooled is damaged: " + err.Error(), Hint: "look at the disk of that node's data folder"}
}

func (s *spool) close() error {
	return errors.Join(s.file.Close(), os.Remove(s.file.Name()))
}

type spoolReader struct {
	s      *spool
	decode *shuffle.Decoder
	r      *bufio.Reader
	buf    []byte
	left   int64 // bytes not yet read: a file that ends before is no end of the rows
}

func (r *spoolReader) Next() (arrow.RecordBatch, error) {
	if r.left == 0 {
		return nil, io.EOF
	}
	rec, err := r.block()
	if err != nil {
		return nil, r.s.damaged(err)
	}
	return rec, nil
}

// block reads the next block.
func (r *spoolReader) block() (arrow.RecordBatch, error) {
	head, err := r.r.Peek(shuffle.BlockHeaderLen)
	if err != nil {
		return nil, err
	}
	size, err := shuffle.BlockSize(head)
	if err != nil {
		return nil, err
	}
	if int64(cap(r.buf)) < size {
		r.buf = make([]byte, size)
	}
	if _, err := io.ReadFull(r.r, r.buf[:size]); err != nil {
		return nil, err
	}
	r.left -= size
	return r.decode.Decode(r.buf[:size])
}

func (r *spoolReader) Close() error { return nil }
