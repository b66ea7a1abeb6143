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
	intake *intake // of the result
	target []C.pond_target
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

	in, err := e.resultIntake(f.Result, schema.Fields[0])
	if err != nil {
		return err
	}
	fn := &function{Func: f, engine: e, intake: in, target: in.pick([]int{0}, []int{0}), args: &vec.Schema{Fields: schema.Fields[1:]}, result: vec.Field{Name: "c0", Type: schema.Fields[0].Type}}
	fn.shape = newShape(fn.args)
	fn.c = (*C.pond_func)(C.malloc(C.sizeof_pond_func))
	*fn.c = C.pond_func{handle: C.uintptr_t(cgo.NewHandle(fn)), shape: fn.shape.c, target: unsafe.SliceData(fn.target)}
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
		C.free(unsafe.Pointer(unsafe.SliceData(f.target)))
		f.intake.free()
	}
	e.funcs = nil
}

// resultIntake says how a result of type field comes in. Types that Arrow carries as
// others, as it does ENUM, are refused.
func (e *Engine) resultIntake(text string, field vec.Field) (*intake, error) {
	in, err := e.newIntake(arrow.NewSchema([]arrow.Field{field.Arrow()}, nil))
	if err != nil {
		return nil, err
	}
	t, err := describe(in.types[0])
	if err == nil && !sameLayout(t, field.Type) {
		err = newError(fmt.Sprintf("Binder Error: a Go function cannot return %s: let it return %s, and cast that", text, t.SQL), "")
	}
	if err != nil {
		in.free()
		return nil, err
	}
	return in, nil
}

// sameLayout reports whether DuckDB holds values of both types alike.
func sameLayout(a, b *vec.Type) bool {
	same := a.Kind == b.Kind && a.Storage == b.Storage && len(a.Fields) == len(b.Fields)
	for i := 0; same && i < len(a.Fields); i++ {
		same = sameLayout(a.Fields[i].Type, b.Fields[i].Type)
	}
	return same
}

// pondFuncCall computes a Go function over one chunk. DuckDB calls it from any
// of its threads, and while it plans, for constant arguments. given is released by
// pondFuncRelease, and array with it.
//
//export pondFuncCall
func pondFuncCall(handle C.uintptr_t, views *C.pond_view, rows C.uint64_t, array **C.pond_input, given *C.uintptr_t) C.int {
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
		l, err := f.load(out, int(rows))
		if err != nil {
			return err
		}
		*array, *given = l.arrays(), C.uintptr_t(cgo.NewHandle(l))
		return nil
	})
	if err != nil {
		o.fail(err)
		return 1
	}
	return 0
}

//export pondFuncRelease
func pondFuncRelease(given C.uintptr_t) {
	h := cgo.Handle(given)
	h.Value().(*loaded).release()
	h.Delete()
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
	return b.Batch()
}

// load makes a function's result readable to C.
func (f *function) load(out arrow.Array, rows int) (*loaded, error) {
	if out.Len() != rows {
		return nil, fmt.Errorf("duck: function %s returned %d rows for %d: %w", f.Name, out.Len(), rows, ErrQuery)
	}
	field := f.result.Arrow()
	if !arrow.TypeEqual(out.DataType(), field.Type) {
		return nil, fmt.Errorf("duck: function %s returned %s, which is not how Arrow carries %s: %s: %w", f.Name, out.DataType(), f.Result, field.Type, ErrQuery)
	}
	return load(array.NewRecordBatch(arrow.NewSchema([]arrow.Field{field}, nil), []arrow.Array{out}, int64(rows)), f.target)
}
