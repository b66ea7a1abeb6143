package isolate

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io"

	"github.com/apache/arrow-go/v18/arrow"
	"github.com/apache/arrow-go/v18/arrow/array"
	"github.com/apache/arrow-go/v18/arrow/ipc"
	"github.com/apache/arrow-go/v18/arrow/memory"

	"github.com/pondmesh/pond/shuffle"
)

// A call of a function is its name, then what it is called with. Batches are IPC
// streams of their own, each after its length, for their schemas may differ. Lengths
// are of 8 bytes, little-endian.

// nameMax bounds a function's name.
const nameMax = 1 << 10

func writeName(w io.Writer, name string) error {
	_, err := w.Write(append(binary.LittleEndian.AppendUint64(nil, uint64(len(name))), name...))
	return err
}

func readName(r io.Reader) (string, error) {
	n, err := readLength(r, nameMax)
	if err != nil {
		return "", errNoName
	}
	b := make([]byte, n)
	if _, err := io.ReadFull(r, b); err != nil {
		return "", errNoName
	}
	return string(b), nil
}

func readLength(r io.Reader, most uint64) (uint64, error) {
	var b [8]byte
	if _, err := io.ReadFull(r, b[:]); err != nil {
		return 0, err
	}
	n := binary.LittleEndian.Uint64(b[:])
	if n > most {
		return 0, fmt.Errorf("isolate: %d bytes, at most %d", n, most)
	}
	return n, nil
}

// Bounds of a batch that crosses. What it says that it takes is believed up to the bytes
// that there are of it: it may be of a process that was taken over.
const (
	batchMax  = callMax // bytes
	rowsMax   = shuffle.MaxBlockRows
	batchMore = 1 << 20 // bytes beyond those that came, for padding
)

// batchWriter writes batches one after another.
func batchWriter(w io.Writer) func(arrow.RecordBatch) error {
	return func(rec arrow.RecordBatch) error { return writeBatch(w, rec) }
}

func writeBatch(w io.Writer, rec arrow.RecordBatch) error {
	var buf bytes.Buffer
	out := ipc.NewWriter(&buf, ipc.WithSchema(rec.Schema()))
	if err := errors.Join(out.Write(rec), out.Close()); err != nil {
		return fmt.Errorf("isolate: write a batch: %w", err)
	}
	if _, err := w.Write(binary.LittleEndian.AppendUint64(nil, uint64(buf.Len()))); err != nil {
		return err
	}
	_, err := w.Write(buf.Bytes())
	return err
}

// readBatch reads the next batch, which the caller releases, or io.EOF.
func readBatch(r io.Reader) (rec arrow.RecordBatch, err error) {
	n, err := readLength(r, batchMax)
	if err != nil {
		return nil, err
	}
	defer func() {
		if p := recover(); p != nil { // the library's, and limited's
			rec, err = nil, fmt.Errorf("isolate: read a batch: %v", p)
		}
	}()
	most := int64(n) + batchMore
	limits := []ipc.Option{ipc.WithMetadataSizeLimit(most), ipc.WithBodySizeLimit(most), ipc.WithAllocator(&limited{Allocator: memory.DefaultAllocator, left: most})}
	in, err := ipc.NewReaderFromMessageReader(ipc.NewMessageReader(io.LimitReader(r, int64(n)), limits...), limits...) // ipc.NewReader keeps to no limit
	if err != nil {
		return nil, fmt.Errorf("isolate: read a batch: %w", err)
	}
	defer in.Release()
	if !in.Next() {
		return nil, fmt.Errorf("isolate: read a batch: %w", errors.Join(in.Err(), io.ErrUnexpectedEOF))
	}
	if rec = in.RecordBatch(); rec.NumRows() > rowsMax {
		return nil, fmt.Errorf("isolate: read a batch: %d rows, at most %d", rec.NumRows(), rowsMax)
	}
	rec = plain(rec)
	for in.Next() { // to the stream's end, after which the next one begins
	}
	return rec, nil
}

// limited is an Allocator of so many bytes. It panics beyond them, as readers of batches
// take an Allocator to do.
type limited struct {
	memory.Allocator
	left int64
}

func (l *limited) take(n int) {
	if l.left -= int64(n); l.left < 0 {
		panic("more memory than a batch of its length takes")
	}
}

// Allocate implements memory.Allocator.
func (l *limited) Allocate(n int) []byte {
	l.take(n)
	return l.Allocator.Allocate(n)
}

// Reallocate implements memory.Allocator.
func (l *limited) Reallocate(n int, b []byte) []byte {
	l.take(max(n-len(b), 0))
	return l.Allocator.Reallocate(n, b)
}

// plain is a batch without extension types, as batches are that have not crossed: which
// of them a program knows depends on what it links. The caller releases it.
func plain(rec arrow.RecordBatch) arrow.RecordBatch {
	schema := shuffle.PlainSchema(rec.Schema())
	columns := make([]arrow.Array, rec.NumCols())
	for i, c := range rec.Columns() {
		data := plainData(c.Data(), schema.Field(i).Type)
		columns[i] = array.MakeFromData(data)
		data.Release()
	}
	defer func() {
		for _, c := range columns {
			c.Release()
		}
	}()
	return array.NewRecordBatch(schema, columns, rec.NumRows())
}

// plainData is d as values of type t, which has no extension types.
func plainData(d arrow.ArrayData, t arrow.DataType) arrow.ArrayData {
	var children []arrow.ArrayData
	if n, ok := t.(arrow.NestedType); ok {
		for i, f := range n.Fields() {
			children = append(children, plainData(d.Children()[i], f.Type))
		}
	}
	out := array.NewData(t, d.Len(), d.Buffers(), children, d.NullN(), d.Offset())
	for _, c := range children {
		c.Release()
	}
	if dict, ok := d.Dictionary().(*array.Data); ok && dict != nil {
		out.SetDictionary(dict)
	}
	return out
}

// writeArray writes an array as a batch of one column.
func writeArray(w io.Writer, a arrow.Array) error {
	schema := arrow.NewSchema([]arrow.Field{{Name: "result", Type: a.DataType(), Nullable: true}}, nil)
	rec := array.NewRecordBatch(schema, []arrow.Array{a}, int64(a.Len()))
	defer rec.Release()
	return writeBatch(w, rec)
}

// readArray reads what writeArray wrote. The caller releases it.
func readArray(r io.Reader) (arrow.Array, error) {
	rec, err := readBatch(r)
	if err != nil {
		return nil, err
	}
	defer rec.Release()
	if rec.NumCols() != 1 {
		return nil, fmt.Errorf("isolate: %d columns where one is expected", rec.NumCols())
	}
	a := rec.Column(0)
	a.Retain()
	return a, nil
}
