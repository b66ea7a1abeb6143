//go:build duckdb_arrow

package duck

// #include <stdlib.h>
// #include "bridge.h"
import "C"

import (
	"runtime"
	"runtime/cgo"
	"unsafe"

	"github.com/apache/arrow-go/v18/arrow"
	"github.com/apache/arrow-go/v18/arrow/memory"
)

// exported are columns in DuckDB's hands: kept, and pinned where their memory is
// Go's, until DuckDB releases them. All C structs of an export are one block.
//
// Arrow-go's own export is not used: it applies the offset of a sliced struct
// to its fields twice, and leaves Go memory unpinned.
type exported struct {
	columns []arrow.ArrayData
	pins    runtime.Pinner
	block   unsafe.Pointer

	arrays   []C.pond_arrow_array // the rest of the block
	pointers []unsafe.Pointer
	zeros    unsafe.Pointer // what an empty buffer points at
}

// zeroBytes is enough for the one offset that an empty list or string array has.
const zeroBytes = 64

// exportBatch fills out with batch, which it retains.
func exportBatch(batch arrow.RecordBatch, out *C.pond_arrow_array) {
	columns := make([]arrow.ArrayData, batch.NumCols())
	for i := range columns {
		columns[i] = batch.Column(i).Data()
		columns[i].Retain()
	}
	exportColumns(columns, batch.NumRows(), out)
}

// exportColumns fills out with one column: a struct of columns, which are
// released when DuckDB has done with them.
func exportColumns(columns []arrow.ArrayData, rows int64, out *C.pond_arrow_array) {
	arrays, pointers := 1, 1+1+1+len(columns) // the root and its column: structs of one buffer each
	for _, c := range columns {
		a, p := measure(c)
		arrays += a
		pointers += p
	}
	arraysBytes, pointerBytes := arrays*C.sizeof_pond_arrow_array, pointers*int(unsafe.Sizeof(unsafe.Pointer(nil)))
	x := &exported{columns: columns}
	x.block = C.calloc(1, C.size_t(arraysBytes+pointerBytes+zeroBytes))
	x.arrays = unsafe.Slice((*C.pond_arrow_array)(x.block), arrays)
	x.pointers = unsafe.Slice((*unsafe.Pointer)(unsafe.Add(x.block, arraysBytes)), pointers)
	x.zeros = unsafe.Add(x.block, arraysBytes+pointerBytes)

	column := x.takeArray()
	child := x.takePointers(1)
	child[0] = unsafe.Pointer(column)
	out.n_children, out.children = 1, (**C.pond_arrow_array)(unsafe.Pointer(&child[0]))
	for _, a := range []*C.pond_arrow_array{out, column} {
		a.length, a.n_buffers = C.int64_t(rows), 1
		a.buffers = (*unsafe.Pointer)(unsafe.Pointer(&x.takePointers(1)[0]))
	}
	x.fillChildren(column, columns)
	column.release = (*[0]byte)(C.pond_release_child)
	out.release = (*[0]byte)(C.pond_release_array)
	out.private_data = C.uintptr_t(cgo.NewHandle(x))
}

// pondRelease ends what exportColumns began.
//
//export pondRelease
func pondRelease(handle C.uintptr_t) {
	h := cgo.Handle(handle)
	x := h.Value().(*exported)
	h.Delete()
	x.pins.Unpin()
	for _, c := range x.columns {
		c.Release()
	}
	C.free(x.block)
}

// measure counts the arrays and pointers that d and all below it take.
func measure(d arrow.ArrayData) (arrays, pointers int) {
	arrays, pointers = 1, len(buffersOf(d))+len(d.Children())
	if hasSizes(d) {
		pointers += 1 + max(1, len(d.Buffers())-2) // the pointer, and the sizes themselves
	}
	for _, c := range below(d) {
		a, p := measure(c)
		arrays += a
		pointers += p
	}
	return arrays, pointers
}

// below are d's children and its dictionary.
func below(d arrow.ArrayData) []arrow.ArrayData {
	all := d.Children()
	if dict := dictionary(d); dict != nil {
		all = append(all[:len(all):len(all)], dict)
	}
	return all
}

func dictionary(d arrow.ArrayData) arrow.ArrayData {
	if d.DataType().ID() != arrow.DICTIONARY {
		return nil
	}
	return d.Dictionary()
}

// buffersOf are d's buffers as the C data interface has them: types without a
// validity bitmap have no place for one.
func buffersOf(d arrow.ArrayData) []*memory.Buffer {
	b := d.Buffers()
	switch storage(d.DataType()).ID() {
	case arrow.NULL, arrow.DENSE_UNION, arrow.SPARSE_UNION, arrow.RUN_END_ENCODED:
		if len(b) > 0 {
			return b[1:]
		}
	}
	return b
}

func storage(t arrow.DataType) arrow.DataType {
	for {
		x, ok := t.(arrow.ExtensionType)
		if !ok {
			return t
		}
		t = x.StorageType()
	}
}

// hasSizes reports whether d's type has an extra buffer with its buffers' sizes.
func hasSizes(d arrow.ArrayData) bool {
	id := storage(d.DataType()).ID()
	return id == arrow.STRING_VIEW || id == arrow.BINARY_VIEW
}

func (x *exported) takeArray() *C.pond_arrow_array {
	a := &x.arrays[0]
	x.arrays = x.arrays[1:]
	return a
}

func (x *exported) takePointers(n int) []unsafe.Pointer {
	p := x.pointers[:n]
	x.pointers = x.pointers[n:]
	return p
}

func (x *exported) fill(a *C.pond_arrow_array, d arrow.ArrayData) {
	a.length, a.offset, a.null_count = C.int64_t(d.Len()), C.int64_t(d.Offset()), C.int64_t(d.NullN())
	buffers := buffersOf(d)
	a.n_buffers = C.int64_t(len(buffers))
	if hasSizes(d) {
		a.n_buffers++
	}
	if a.n_buffers > 0 {
		pointers := x.takePointers(int(a.n_buffers))
		bitmap := len(buffers) == len(d.Buffers())
		for i, b := range buffers {
			pointers[i] = x.buffer(b, bitmap && i == 0)
		}
		if hasSizes(d) {
			pointers[len(buffers)] = x.sizes(d.Buffers()[2:])
		}
		a.buffers = (*unsafe.Pointer)(unsafe.Pointer(&pointers[0]))
	}
	x.fillChildren(a, d.Children())
	if dict := dictionary(d); dict != nil {
		a.dictionary = x.takeArray()
		x.fill(a.dictionary, dict)
	}
	a.release = (*[0]byte)(C.pond_release_child)
}

func (x *exported) fillChildren(a *C.pond_arrow_array, children []arrow.ArrayData) {
	a.n_children = C.int64_t(len(children))
	if len(children) == 0 {
		return
	}
	pointers := x.takePointers(len(children))
	for i, d := range children {
		child := x.takeArray()
		pointers[i] = unsafe.Pointer(child)
		x.fill(child, d)
	}
	a.children = (**C.pond_arrow_array)(unsafe.Pointer(&pointers[0]))
}

// buffer is b's memory; only a bitmap may be missing.
func (x *exported) buffer(b *memory.Buffer, bitmap bool) unsafe.Pointer {
	if b == nil || b.Len() == 0 {
		if bitmap {
			return nil
		}
		return x.zeros
	}
	p := unsafe.Pointer(&b.Bytes()[0])
	x.pin(p)
	return p
}

func (x *exported) sizes(buffers []*memory.Buffer) unsafe.Pointer {
	words := x.takePointers(max(1, len(buffers)))
	for i, b := range buffers {
		*(*int64)(unsafe.Pointer(&words[i])) = int64(b.Len())
	}
	return unsafe.Pointer(&words[0])
}

// pin keeps Go memory in place. Memory of C's allocators needs no pin, and the
// runtime says so by a panic.
func (x *exported) pin(p unsafe.Pointer) {
	defer func() { _ = recover() }()
	x.pins.Pin(p)
}
