//go:build duckdb_arrow

package duck

// #include <stdlib.h>
// #include "bridge.h"
import "C"

import (
	"context"
	"errors"
	"fmt"
	"runtime/cgo"
	"strconv"
	"strings"
	"unsafe"

	"github.com/apache/arrow-go/v18/arrow"
	"github.com/apache/arrow-go/v18/arrow/array"
	"github.com/apache/arrow-go/v18/arrow/cdata"
	"github.com/apache/arrow-go/v18/arrow/memory"
	"github.com/duckdb/duckdb-go/v2/mapping"

	"github.com/pondmesh/pond/duck/vec"
)

// Func is a scalar SQL function written in Go.
type Func struct {
	Name     string
	Args     []string // DuckDB types
	Result   string   // DuckDB type
	Volatile bool     // equal arguments may give different results
	// Call computes one result a row of args, at most vec.MaxRows rows at a
	// time, from several threads at once; it sees NULLs. The columns are named
	// c0, c1, … and typed as vec.Field.Arrow types them. args is valid only
	// during the call unless retained; the result, whose type must be Result's,
	// is released by the engine. ctx is the query's. An error is returned by
	// the query, as it is.
	Call func(ctx context.Context, args arrow.RecordBatch) (arrow.Array, error)
}

// function is a registered Func.
type function struct {
	Func
	engine *Engine
	args   *vec.Schema
	result vec.Field
	c      *C.pond_func
	shape  shape
}

// RegisterFunc adds f to the engine, for as long as the engine lives.
func (e *Engine) RegisterFunc(f Func) error {
	o, err := e.begin(context.Background(), "register function "+f.Name)
	if err != nil {
		return err
	}
	return o.end(e.registerFunc(f))
}

func (e *Engine) registerFunc(f Func) error {
	if f.Name == "" || f.Call == nil {
		return errors.New("a function needs a name and a body")
	}
	nulls := make([]string, len(f.Args)+1)
	for i, t := range append([]string{f.Result}, f.Args...) {
		nulls[i] = "CAST(NULL AS " + t + ") AS c" + strconv.Itoa(i-1)
	}
	query := "SELECT " + strings.Replace(strings.Join(nulls, ", "), " AS c-1", " AS result", 1)
	schema, err := schemaOf(e.conn, query)
	if err != nil {
		return err
	}
	s, err := prepare(e.conn, query)
	if err != nil {
		return err
	}
	defer mapping.DestroyPrepare(&s)

	fn := &function{Func: f, engine: e, args: &vec.Schema{Fields: schema.Fields[1:]}, result: vec.Field{Name: "c0", Type: schema.Fields[0].Type}}
	fn.shape = newShape(fn.args)
	fn.c = (*C.pond_func)(C.malloc(C.sizeof_pond_func))
	*fn.c = C.pond_func{handle: C.uintptr_t(cgo.NewHandle(fn)), shape: fn.shape.c}
	e.funcs = append(e.funcs, fn)

	def := mapping.CreateScalarFunction()
	defer mapping.DestroyScalarFunction(&def)
	mapping.ScalarFunctionSetName(def, f.Name)
	for i := range schema.Fields {
		t := mapping.PreparedStatementColumnLogicalType(s, mapping.IdxT(i))
		if i == 0 {
			mapping.ScalarFunctionSetReturnType(def, t)
		} else {
			mapping.ScalarFunctionAddParameter(def, t)
		}
		mapping.DestroyLogicalType(&t)
	}
	if f.Volatile {
		mapping.ScalarFunctionSetVolatile(def)
	}
	mapping.ScalarFunctionSetSpecialHandling(def)
	mapping.ScalarFunctionSetExtraInfo(def, unsafe.Pointer(fn.c), nil)
	mapping.ScalarFunctionSetFunction(def, C.pond_func_call)
	if mapping.RegisterScalarFunction(e.conn, def) == mapping.StateError {
		return fmt.Errorf("DuckDB refuses the name %q: it may be taken", f.Name)
	}
	return nil
}

func (e *Engine) freeFuncs() {
	for _, f := range e.funcs {
		cgo.Handle(f.c.handle).Delete()
		C.free(unsafe.Pointer(f.c))
		f.shape.free()
	}
	e.funcs = nil
}

// pondFuncCall computes a Go function over one chunk. DuckDB calls it from any
// of its threads, and while it plans, for constant arguments.
//
//export pondFuncCall
func pondFuncCall(handle C.uintptr_t, views *C.pond_view, rows C.uint64_t, result unsafe.Pointer) C.int {
	f := cgo.Handle(handle).Value().(*function)
	o := f.engine.current.Load()
	if o == nil {
		return 1 // called from the side: Parse and Usage call no functions
	}
	err := safely(func() error {
		chunk := newChunk(f.args)
		fill(chunk, unsafe.Slice(views, f.c.shape.node_count), int(rows))
		args, err := batchOf(chunk)
		if err != nil {
			return err
		}
		defer args.Release()
		out, err := f.Call(o.ctx, args)
		if err != nil {
			return err
		}
		defer out.Release()
		return f.give(out, int(rows), result)
	})
	if err != nil {
		o.fail(err)
		return 1
	}
	return 0
}

// batchOf copies a chunk into Arrow.
func batchOf(c *vec.Chunk) (arrow.RecordBatch, error) {
	if len(c.Columns) == 0 {
		return array.NewRecordBatch(c.Schema.Arrow(), nil, int64(c.Rows)), nil
	}
	b := vec.NewBuilder(c.Schema, memory.DefaultAllocator)
	defer b.Release()
	if err := b.Append(c, nil, 0); err != nil {
		return nil, err
	}
	return b.Batch(), nil
}

// give copies a function's result to DuckDB's vector.
func (f *function) give(out arrow.Array, rows int, result unsafe.Pointer) error {
	if out.Len() != rows {
		return fmt.Errorf("duck: function %s returned %d rows for %d: %w", f.Name, out.Len(), rows, ErrQuery)
	}
	field := f.result.Arrow()
	if !arrow.TypeEqual(out.DataType(), field.Type) {
		return fmt.Errorf("duck: function %s returned %s, which is not how Arrow carries %s: %s: %w", f.Name, out.DataType(), f.Result, field.Type, ErrQuery)
	}
	schema := (*C.pond_arrow_schema)(C.calloc(1, C.sizeof_pond_arrow_schema))
	defer C.free(unsafe.Pointer(schema))
	cdata.ExportArrowSchema(asRows(arrow.NewSchema([]arrow.Field{field}, nil)), (*cdata.CArrowSchema)(unsafe.Pointer(schema)))
	defer cdata.ReleaseCArrowSchema((*cdata.CArrowSchema)(unsafe.Pointer(schema)))
	var converted unsafe.Pointer
	if err := textError(C.pond_read_schema(f.engine.side.Ptr, schema, &converted)); err != nil {
		return err
	}
	defer C.pond_free_schema(converted)
	var c C.pond_arrow_array
	exportColumns([]arrow.ArrayData{rebase(out.Data(), 0, rows)}, int64(rows), &c)
	return textError(C.pond_read_array(f.engine.side.Ptr, converted, &c, C.uint64_t(rows), result))
}

// textError is C's text as an error, nil if it is NULL; it frees the text.
func textError(text *C.char) error {
	if text == nil {
		return nil
	}
	defer C.free(unsafe.Pointer(text))
	return newError(C.GoString(text), "")
}
