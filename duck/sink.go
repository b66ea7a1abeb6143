//go:build duckdb_arrow

package duck

// #include <stdlib.h>
// #include "bridge.h"
import "C"

import (
	"context"
	"crypto/rand"
	"encoding/binary"
	"errors"
	"fmt"
	"runtime/cgo"
	"runtime/debug"
	"sync"
	"sync/atomic"
	"unsafe"

	"github.com/duckdb/duckdb-go/v2/mapping"

	"github.com/pondmesh/pond/duck/vec"
)

// sinkName is the function through which rows leave. Each engine has one, in its
// own database; a Drain gives it a shape, a nonce and a reader while it runs:
//
//	SELECT count(s) FROM (SELECT pond_sink($pond_nonce, c0, c1, …) AS s FROM (query) AS t(c0, c1, …))
//
// It is volatile, so DuckDB neither folds it nor calls it once for equal rows,
// and takes NULLs. The count is compared with what the reader saw.
const sinkName = "pond_sink"

// drain is a running Drain as the sink function finds it.
type drain struct {
	op     *op
	query  bound
	emit   func(*vec.Chunk) error
	chunks sync.Pool // of *vec.Chunk
	rows   atomic.Int64
}

// registerInternals adds the engine's own functions to the database.
func (e *Engine) registerInternals() error {
	e.sink = (*C.pond_sink)(C.calloc(1, C.sizeof_pond_sink))
	anyType, result := mapping.CreateLogicalType(mapping.TypeAny), mapping.CreateLogicalType(mapping.TypeUTinyInt)
	defer mapping.DestroyLogicalType(&anyType)
	defer mapping.DestroyLogicalType(&result)

	sink := mapping.CreateScalarFunction()
	defer mapping.DestroyScalarFunction(&sink)
	mapping.ScalarFunctionSetName(sink, sinkName)
	mapping.ScalarFunctionSetVarargs(sink, anyType)
	mapping.ScalarFunctionSetSpecialHandling(sink)
	mapping.ScalarFunctionSetExtraInfo(sink, unsafe.Pointer(e.sink), nil)
	mapping.ScalarFunctionSetFunction(sink, C.pond_sink_call)
	mapping.ScalarFunctionSetVolatile(sink)
	mapping.ScalarFunctionSetReturnType(sink, result)
	if mapping.RegisterScalarFunction(e.conn, sink) == mapping.StateError {
		return errors.New("cannot register the engine's functions")
	}
	return errors.Join(e.registerMean(), e.registerScan())
}

// meanName is a function that divides a sum by a count as DuckDB's avg does, to the
// last digit: for averages that are put together from parts.
const meanName = "pond_mean"

func (e *Engine) registerMean() error {
	f := mapping.CreateScalarFunction()
	defer mapping.DestroyScalarFunction(&f)
	mapping.ScalarFunctionSetName(f, meanName)
	for _, id := range []mapping.Type{mapping.TypeAny, mapping.TypeBigInt, mapping.TypeBoolean} {
		t := mapping.CreateLogicalType(id)
		mapping.ScalarFunctionAddParameter(f, t)
		mapping.DestroyLogicalType(&t)
	}
	result := mapping.CreateLogicalType(mapping.TypeDouble)
	defer mapping.DestroyLogicalType(&result)
	mapping.ScalarFunctionSetReturnType(f, result)
	mapping.ScalarFunctionSetFunction(f, C.pond_mean_call)
	if mapping.RegisterScalarFunction(e.conn, f) == mapping.StateError {
		return errors.New("cannot register the engine's functions")
	}
	return nil
}

// Drain runs query and hands every row to emit exactly once, in no order, from
// several of DuckDB's threads at once. A chunk is valid only during the call.
// An error of emit stops the query and is returned as it is.
func (e *Engine) Drain(ctx context.Context, query string, emit func(*vec.Chunk) error) (rows int64, err error) {
	o, err := e.begin(ctx, "drain")
	if err != nil {
		return 0, err
	}
	rows, err = o.drain(query, emit, inAnyOrder)
	if err = o.end(err); err != nil {
		return 0, err
	}
	return rows, nil
}

func (o *op) drain(query string, emit func(*vec.Chunk) error, sinkQuery func(query string, columns int) string) (int64, error) {
	e := o.engine
	b, err := o.bind(trimQuery(query))
	if err != nil {
		return 0, err
	}
	query, schema := b.query, b.schema
	d := &drain{op: o, query: b, emit: emit}
	d.chunks.New = func() any { return newChunk(schema) }
	nonce := random()
	s, err := prepare(e.conn, sinkQuery(query, len(schema.Fields)))
	if err != nil {
		return 0, err
	}
	defer mapping.DestroyPrepare(&s)
	if mapping.BindInt64(s, 1, nonce) == mapping.StateError {
		return 0, errors.New("cannot bind the sink")
	}

	handle := cgo.NewHandle(d)
	defer handle.Delete()
	shape := newShape(schema)
	defer shape.free()
	*e.sink = C.pond_sink{shape: shape.c, nonce: C.int64_t(nonce), handle: C.uintptr_t(handle)}
	defer func() { *e.sink = C.pond_sink{} }()

	var counted int64
	err = stream(e.conn, s, query, func(chunk mapping.DataChunk) error {
		counted = *(*int64)(mapping.VectorGetData(mapping.DataChunkGetVector(chunk, 0)))
		return nil
	})
	if err != nil {
		return 0, err
	}
	if seen := d.rows.Load(); seen != counted {
		return 0, fmt.Errorf("internal: DuckDB counted %d rows and handed over %d", counted, seen)
	}
	return counted, nil
}

// inAnyOrder calls the sink with each row of query.
func inAnyOrder(query string, columns int) string {
	return "SELECT count(s) FROM (" + sinkRows(query, columns) + ")"
}

// inOrder is inAnyOrder in the order of the query's rows, if they have one: the parts of a
// UNION follow one another, for the last value depends on that, and one thread makes what
// has an order, for a LIMIT has it counted, though it leaves nothing out. All threads make
// the rest: what comes before the last pipeline, and the rows of a join.
func inOrder(query string, columns int) string {
	return "SELECT count(s), last(s) FROM (" + sinkRows(query, columns) + " LIMIT 9223372036854775807)"
}

func sinkRows(query string, columns int) string {
	names := columnNames(columns)
	return "SELECT " + sinkName + "($pond_nonce," + names + ") AS s FROM (\n" + query + "\n) AS t(" + names + ")"
}

func random() int64 {
	var b [8]byte
	rand.Read(b[:]) // never fails
	return int64(binary.LittleEndian.Uint64(b[:]))
}

// pondSinkTypes looks at the types of the columns, of which the first is the nonce.
//
//export pondSinkTypes
func pondSinkTypes(handle C.uintptr_t, chunk unsafe.Pointer) C.int {
	d := cgo.Handle(handle).Value().(*drain)
	if err := safely(func() error { return d.query.same(mapping.DataChunk{Ptr: chunk}, 1) }); err != nil {
		d.op.fail(err)
		return 1
	}
	return 0
}

// pondSinkRows gives the rows of one call of the sink function to the reader.
// DuckDB calls it from any of its threads.
//
//export pondSinkRows
func pondSinkRows(handle C.uintptr_t, views *C.pond_view, rows C.uint64_t) C.int {
	d := cgo.Handle(handle).Value().(*drain)
	chunk := d.chunks.Get().(*vec.Chunk)
	fill(chunk, unsafe.Slice(views, d.op.engine.sink.shape.node_count), int(rows))
	if err := safely(func() error { return d.emit(chunk) }); err != nil {
		d.op.fail(err)
		return 1
	}
	d.rows.Add(int64(rows))
	d.chunks.Put(chunk)
	return 0
}

// safely runs f and makes an error of its panic: a panic must not cross C.
func safely(f func() error) (err error) {
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("duck: panic in a callback: %v\n%s", p, debug.Stack())
		}
	}()
	return f()
}
