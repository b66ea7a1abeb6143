//go:build duckdb_arrow

package duck

// #include <stdlib.h>
// #include "bridge.h"
import "C"

import (
	"runtime"
	"unsafe"

	"github.com/apache/arrow-go/v18/arrow"
	"github.com/apache/arrow-go/v18/arrow/array"
	"github.com/apache/arrow-go/v18/arrow/bitutil"
	"github.com/apache/arrow-go/v18/arrow/memory"
)

// exported is an array as DuckDB's own reader of Arrow takes it, pinned where its
// memory is Go's, until it is freed. All its C structs are one block.
//
// Arrow-go's own export leaves Go memory unpinned.
type exported struct {
	root  *C.pond_arrow_array
	pins  runtime.Pinner
	block unsafe.Pointer

	arrays   []C.pond_arrow_array // the rest of the block
	pointers []unsafe.Pointer
	zeros    unsafe.Pointer // what an empty buffer points at
}

// zeroBytes is enough for the one offset that an empty list or string array has.
const zeroBytes = 64

// export makes d, which must outlive it, readable to DuckDB.
func export(d arrow.ArrayData) *exported {
	arrays, pointers := measure(d)
	arraysBytes, pointerBytes := arrays*C.sizeof_pond_arrow_array, pointers*int(unsafe.Sizeof(unsafe.Pointer(nil)))
	x := &exported{}
	x.block = C.calloc(1, C.size_t(arraysBytes+pointerBytes+zeroBytes))
	x.arrays = unsafe.Slice((*C.pond_arrow_array)(x.block), arrays)
	x.pointers = unsafe.Slice((*unsafe.Pointer)(unsafe.Add(x.block, arraysBytes)), pointers)
	x.zeros = unsafe.Add(x.block, arraysBytes+pointerBytes)
	x.root = x.takeArray()
	x.fill(x.root, d)
	return x
}

func (x *exported) free() {
	x.pins.Unpin()
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
	a.length, a.offset, a.null_count = C.int64_t(d.Len()), C.int64_t(d.Offset()), nullsOf(d)
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
}

// nullsOf counts d's NULLs: of a dictionary's rows DuckDB takes an unknown number for none.
func nullsOf(d arrow.ArrayData) C.int64_t {
	b := d.Buffers()
	if d.NullN() != array.UnknownNullCount || len(b) == 0 || b[0] == nil || b[0].Len() == 0 {
		return C.int64_t(d.NullN())
	}
	return C.int64_t(d.Len() - bitutil.CountSetBits(b[0].Bytes(), d.Offset(), d.Len()))
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
	x.pins.Pin(p)
	return p
}

func (x *exported) sizes(buffers []*memory.Buffer) unsafe.Pointer {
	words := x.takePointers(max(1, len(buffers)))
	for i, b := range buffers {
		*(*int64)(unsafe.Pointer(&words[i])) = int64(b.Len())
	}
	return unsafe.Pointer(&words[0])
}
