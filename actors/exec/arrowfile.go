package exec

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"

	"github.com/apache/arrow-go/v18/arrow"
	"github.com/apache/arrow-go/v18/arrow/ipc"
	"github.com/apache/arrow-go/v18/arrow/memory"

	"github.com/pondmesh/pond/actors/plan"
	"github.com/pondmesh/pond/actors/syserr"
	"github.com/pondmesh/pond/duck"
	"github.com/pondmesh/pond/duck/vec"
)

// arrowMagic begins an Arrow IPC file; a stream begins otherwise.
var arrowMagic = []byte("ARROW1")

// arrowStream is an Arrow file or stream that is being read.
type arrowStream interface {
	duck.Stream
	Schema() *arrow.Schema
}

// openArrowFile opens an Arrow IPC file, in the file or the stream format.
func openArrowFile(path string, mem memory.Allocator) (arrowStream, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, syserr.File("read", path, err)
	}
	head := make([]byte, len(arrowMagic))
	_, err = f.ReadAt(head, 0)
	if err == nil && bytes.Equal(head, arrowMagic) {
		r, err := ipc.NewFileReader(f, ipc.WithAllocator(mem))
		if err == nil {
			return &arrowFile{r: r, file: f}, nil
		}
		f.Close()
		return nil, notArrow(path, err)
	}
	r, err := ipc.NewReader(f, ipc.WithAllocator(mem))
	if err != nil {
		f.Close()
		return nil, notArrow(path, err)
	}
	return &ipcStream{r: r, file: f}, nil
}

// damagedArrow is err of a file that began as one.
func damagedArrow(path string, err error) error {
	if syserr.Disk(err) {
		return syserr.File("read", path, err)
	}
	return &plan.Error{Kind: plan.KindUser, Op: "read", Subject: path, Text: err.Error(), Hint: "look whether the file is whole"}
}

func notArrow(path string, err error) error {
	if syserr.Disk(err) {
		return syserr.File("read", path, err)
	}
	return &plan.Error{Kind: plan.KindUser, Op: "read", Subject: path, Text: "not an Arrow IPC file or stream: " + err.Error()}
}

type arrowFile struct {
	r    *ipc.FileReader
	file *os.File
	next int
}

func (a *arrowFile) Schema() *arrow.Schema { return a.r.Schema() }

func (a *arrowFile) Next() (arrow.RecordBatch, error) {
	if a.next == a.r.NumRecords() {
		return nil, io.EOF
	}
	rec, err := a.r.RecordBatchAt(a.next)
	if err != nil {
		return nil, damagedArrow(a.file.Name(), err)
	}
	a.next++
	return rec, nil
}

func (a *arrowFile) Close() error { return errors.Join(a.r.Close(), a.file.Close()) }

// batchRowsWritten is how many rows a record batch of an output file has.
const batchRowsWritten = 64 << 10

// writeArrow writes the task's rows as an Arrow IPC file.
func (t *task) writeArrow(ctx context.Context, path string) (rows int64, err error) {
	schema, err := t.engine.Schema(ctx, t.query)
	if err != nil {
		return 0, err
	}
	f, err := os.Create(path)
	if err != nil {
		return 0, err
	}
	defer func() { err = errors.Join(err, f.Close()) }()
	w, err := ipc.NewFileWriter(f, ipc.WithSchema(schema.Arrow()))
	if err != nil {
		return 0, fmt.Errorf("exec: write %s: %w", path, err)
	}
	b := vec.NewBuilder(schema, t.m.Mem)
	defer b.Release()
	flush := func() error {
		rec, err := b.Batch()
		if err != nil {
			return err
		}
		defer rec.Release()
		return w.Write(rec)
	}
	rows, err = t.engine.Fetch(ctx, t.query, func(c *vec.Chunk) error {
		if err := b.Append(c, nil, 0); err != nil || b.Rows() < batchRowsWritten {
			return err
		}
		return flush()
	})
	if err == nil && b.Rows() > 0 {
		err = flush()
	}
	return rows, errors.Join(err, w.Close())
}
