//go:build duckdb_arrow

package duck

// #include <stdlib.h>
// #include "bridge.h"
import "C"

import (
	"errors"
	"fmt"
	"io"
	"math"
	"runtime/cgo"
	"slices"
	"sync"
	"sync/atomic"
	"unsafe"

	"github.com/apache/arrow-go/v18/arrow"
	"github.com/duckdb/duckdb-go/v2/mapping"
)

// scanName is the table function that registered views read: pond_scan(i) is the
// i-th source. Its columns are c0, c1, … after one of no meaning, which DuckDB reads
// where it only wants the rows: it takes the first.
const scanName = "pond_scan"

func (e *Engine) registerScan() error {
	number := mapping.CreateLogicalType(mapping.TypeBigInt)
	defer mapping.DestroyLogicalType(&number)
	f := mapping.CreateTableFunction()
	defer mapping.DestroyTableFunction(&f)
	mapping.TableFunctionSetName(f, scanName)
	mapping.TableFunctionAddParameter(f, number)
	mapping.TableFunctionSetExtraInfo(f, e.self, nil)
	mapping.TableFunctionSupportsProjectionPushdown(f, true)
	mapping.TableFunctionSetBind(f, C.pond_scan_bind)
	mapping.TableFunctionSetInit(f, C.pond_scan_init)
	mapping.TableFunctionSetLocalInit(f, C.pond_scan_local)
	mapping.TableFunctionSetFunction(f, C.pond_scan_call)
	if mapping.RegisterTableFunction(e.conn, f) == mapping.StateError {
		return errors.New("cannot register the engine's functions")
	}
	return nil
}

// scan is one scan of a source in a query, by one or more threads.
type scan struct {
	op      *op
	source  *source
	columns []int           // that the query reads
	schema  *arrow.Schema   // of those
	targets []C.pond_target // in C's memory
	feeds   []feed
	next    atomic.Int64 // the first feed that no thread has begun
	rows    atomic.Int64 // read from all feeds
	handle  cgo.Handle
}

// feed is a stream of a scan.
type feed struct {
	mu     sync.Mutex
	open   Opener // nil: it has ended
	stream Stream // nil: it is not open
}

// reader is one thread of a scan. It reads one feed after the other, each by itself
// as long as there are others that nobody reads.
type reader struct {
	scan   *scan
	at     int           // the feed that it reads,
	helped int           // and how many of all it has looked at since the last was begun
	same   *arrow.Schema // of the last batch: it is known to be right
	batch  *loaded
	held   []*loaded // read before it; the chunk that is being filled points into the last ones
	handle cgo.Handle
}

// threadRows is how many rows are worth a thread.
const threadRows = 16 << 10

// threads is the most threads that may scan s, if DuckDB has so many.
func (s *source) threads() int64 {
	if s.rows == UnknownRows {
		return math.MaxInt32
	}
	return 1 + s.rows/threadRows
}

// handleAt is the handle that a pointer to C's memory leads to.
func handleAt(p unsafe.Pointer) cgo.Handle { return cgo.Handle(*(*C.uintptr_t)(p)) }

// pondScanBind says what a scan returns. DuckDB calls it while it plans.
//
//export pondScanBind
func pondScanBind(ptr unsafe.Pointer) {
	info := mapping.BindInfo{Ptr: ptr}
	err := safely(func() error {
		e := handleAt(mapping.BindGetExtraInfo(info)).Value().(*Engine)
		n := mapping.BindGetParameter(info, 0)
		defer mapping.DestroyValue(&n)
		i := mapping.GetInt64(n)
		if i < 0 || i >= int64(len(e.sources)) {
			return fmt.Errorf("there is no stream %d", i)
		}
		s := e.sources[i]
		none := mapping.CreateLogicalType(mapping.TypeUTinyInt)
		defer mapping.DestroyLogicalType(&none)
		mapping.BindAddResultColumn(info, "none", none)
		for k, t := range s.intake.types {
			mapping.BindAddResultColumn(info, fmt.Sprintf("c%d", k), t)
		}
		if s.rows >= 0 {
			mapping.BindSetCardinality(info, mapping.IdxT(s.rows), true)
		}
		C.pond_bind_source(ptr, C.uintptr_t(i))
		return nil
	})
	if err != nil {
		mapping.BindSetError(info, err.Error())
	}
}

// pondScanInit begins a scan.
//
//export pondScanInit
func pondScanInit(ptr unsafe.Pointer) {
	info := mapping.InitInfo{Ptr: ptr}
	err := safely(func() error {
		e := handleAt(mapping.InitGetExtraInfo(info)).Value().(*Engine)
		i, o := int(C.pond_init_source(ptr)), e.current.Load()
		if o == nil || i >= len(e.sources) {
			return fmt.Errorf("stream %d is gone", i)
		}
		sc := &scan{op: o, source: e.sources[i], feeds: make([]feed, len(e.sources[i].streams))}
		for k, open := range sc.source.streams {
			sc.feeds[k].open = open
		}
		var places []int
		for k := range int(mapping.InitGetColumnCount(info)) {
			if c := mapping.InitGetColumnIndex(info, mapping.IdxT(k)); c > 0 && c <= mapping.IdxT(len(sc.source.intake.types)) {
				sc.columns, places = append(sc.columns, int(c)-1), append(places, k)
			}
		}
		sc.schema = pick(sc.source.schema, sc.columns)
		sc.targets = sc.source.intake.pick(sc.columns, places)
		sc.handle = cgo.NewHandle(sc)
		o.mu.Lock()
		o.scans = append(o.scans, sc)
		o.mu.Unlock()
		C.pond_init_handle(ptr, C.uintptr_t(sc.handle))
		mapping.InitSetMaxThreads(info, mapping.IdxT(sc.source.threads()))
		return nil
	})
	if err != nil {
		mapping.InitSetError(info, err.Error())
	}
}

// pondScanNext gives r its next batch and reports whether there is one, -1 after an
// error. The chunk that is being filled has rows of that many batches. DuckDB calls it
// from any thread, but for one r once at a time.
//
//export pondScanNext
func pondScanNext(handle C.uintptr_t, r *C.pond_reader, batches C.int) C.int {
	sc := cgo.Handle(handle).Value().(*scan)
	if r.handle == 0 {
		r.handle = C.uintptr_t(sc.newReader().handle)
		r.columns, r.targets = C.uint32_t(len(sc.columns)), unsafe.SliceData(sc.targets)
	}
	rd := cgo.Handle(r.handle).Value().(*reader)
	err := safely(func() error { return rd.advance(int(batches)) })
	if err != nil {
		sc.op.fail(err)
		return -1
	}
	if rd.batch == nil {
		return 0
	}
	r.arrays, r.at, r.rows = rd.batch.arrays(), 0, C.uint64_t(rd.batch.record.NumRows())
	return 1
}

// newReader is a reader that ends with the query.
func (s *scan) newReader() *reader {
	r := &reader{scan: s, at: int(s.next.Add(1) - 1)}
	r.handle = cgo.NewHandle(r)
	s.op.mu.Lock()
	defer s.op.mu.Unlock()
	s.op.readers = append(s.op.readers, r)
	return r
}

// advance moves to the next batch that has rows, if any. Of those before it the last
// keep are still needed.
func (r *reader) advance(keep int) error {
	if r.batch != nil {
		r.held, r.batch = append(r.held, r.batch), nil
	}
	r.drop(keep)
	for {
		batch, err := r.read()
		if batch == nil || err != nil {
			return err
		}
		if batch.NumRows() > 0 {
			r.batch, err = load(batch, r.scan.targets)
			return err
		}
		batch.Release()
	}
}

// drop releases the batches that are held, but for the last keep.
func (r *reader) drop(keep int) {
	n := len(r.held) - keep
	for _, b := range r.held[:n] {
		b.release()
	}
	r.held = slices.Delete(r.held, 0, n)
}

// read is the next batch, nil after the last. When all feeds have begun it helps with
// those that have not ended.
func (r *reader) read() (arrow.RecordBatch, error) {
	feeds := r.scan.feeds
	for {
		if r.at < len(feeds) {
			if batch, err := r.readFeed(&feeds[r.at]); batch != nil || err != nil {
				return batch, err
			}
		}
		if r.at = int(r.scan.next.Add(1) - 1); r.at < len(feeds) {
			continue
		}
		if r.at = r.helped; r.at == len(feeds) {
			return nil, r.scan.complete()
		}
		r.helped++
	}
}

// complete says, once all feeds have ended, whether they had the rows they were
// declared to have: DuckDB takes any end for the end of the data.
func (s *scan) complete() error {
	if got := s.rows.Load(); s.source.rows != UnknownRows && got != s.source.rows {
		return fmt.Errorf("duck: streams ended after %d of %d rows: %w", got, s.source.rows, ErrShort)
	}
	return nil
}

// readFeed is the next batch of f, nil at its end.
func (r *reader) readFeed(f *feed) (arrow.RecordBatch, error) {
	batch, err := f.read(r.scan)
	if batch == nil || err != nil {
		return nil, err
	}
	if r.same != batch.Schema() {
		if err := sameTypes(batch.Schema(), r.scan.schema); err != nil {
			batch.Release()
			return nil, err
		}
		r.same = batch.Schema()
	}
	return batch, nil
}

func (f *feed) read(s *scan) (batch arrow.RecordBatch, err error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.open == nil {
		return nil, nil
	}
	if f.stream == nil {
		if f.stream, err = f.open(s.op.ctx, s.columns); err != nil {
			s.op.fail(err)
			return nil, err
		}
	}
	switch batch, err = f.stream.Next(); {
	case err == io.EOF:
		f.close(s.op)
		return nil, nil
	case err != nil:
		s.op.fail(err) // before another thread can find rows missing
		return nil, err
	}
	s.rows.Add(batch.NumRows())
	return batch, nil
}

// close ends the stream. Nobody reads it any more.
func (f *feed) close(o *op) {
	f.open = nil
	if f.stream == nil {
		return
	}
	if err := safely(f.stream.Close); err != nil {
		o.engine.config.Log.Warn("duck: closing a stream", "error", err)
	}
	f.stream = nil
}

// closeScans ends what the op's query has read. DuckDB calls for none of it any more.
func (o *op) closeScans() {
	for _, r := range o.readers {
		if r.batch != nil {
			r.held = append(r.held, r.batch)
		}
		r.drop(0)
		r.handle.Delete()
	}
	for _, s := range o.scans {
		for i := range s.feeds {
			s.feeds[i].close(o)
		}
		C.free(unsafe.Pointer(unsafe.SliceData(s.targets)))
		s.handle.Delete()
	}
	o.readers, o.scans = nil, nil
}
