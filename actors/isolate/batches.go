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

// batchMax bounds the bytes of a batch that crosses.
const batchMax = 4 << 30

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
func readBatch(r io.Reader) (arrow.RecordBatch, error) {
	n, err := readLength(r, batchMax)
	if err != nil {
		return nil, err
	}
	in, err := ipc.NewReader(io.LimitReader(r, int64(n)))
	if err != nil {
		return nil, fmt.Errorf("isolate: read a batch: %w", err)
	}
	defer in.Release()
	if !in.Next() {
		return nil, fmt.Errorf("isolate: read a batch: %w", errors.Join(in.Err(), io.ErrUnexpectedEOF))
	}
	rec := plain(in.RecordBatch())
	for in.Next() { // to the stream's end, after which the next one begins
	}
	return rec, nil
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
