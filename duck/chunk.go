//go:build duckdb_arrow

package duck

// #include <stdlib.h>
// #include "bridge.h"
import "C"

import (
	"unsafe"

	"github.com/pondmesh/pond/duck/vec"
)

// shape is a schema's columns as C walks them; free frees it.
type shape struct{ c *C.pond_shape }

func newShape(s *vec.Schema) shape {
	var nodes []C.pond_node
	for _, f := range s.Fields {
		nodes = appendNodes(nodes, f.Type)
	}
	size := C.size_t(len(nodes)) * C.sizeof_pond_node
	c := (*C.pond_shape)(C.malloc(C.sizeof_pond_shape))
	*c = C.pond_shape{columns: C.uint32_t(len(s.Fields)), node_count: C.uint32_t(len(nodes)), nodes: (*C.pond_node)(C.malloc(size))}
	copy(unsafe.Slice(c.nodes, len(nodes)), nodes)
	return shape{c}
}

func (s shape) free() {
	C.free(unsafe.Pointer(s.c.nodes))
	C.free(unsafe.Pointer(s.c))
}

// appendNodes appends t's tree in pre-order.
func appendNodes(nodes []C.pond_node, t *vec.Type) []C.pond_node {
	switch t.Kind {
	case vec.List, vec.Array:
		n := C.pond_node{shape: C.pond_list, children: 1}
		if t.Kind == vec.Array {
			n = C.pond_node{shape: C.pond_array, children: 1, size: C.uint64_t(t.Size)}
		}
		return appendNodes(append(nodes, n), t.Fields[0].Type)
	case vec.Map:
		nodes = append(nodes, C.pond_node{shape: C.pond_list, children: 1}, C.pond_node{shape: C.pond_struct, children: 2})
	case vec.Struct:
		nodes = append(nodes, C.pond_node{shape: C.pond_struct, children: C.uint32_t(len(t.Fields))})
	case vec.Union:
		nodes = append(nodes, C.pond_node{shape: C.pond_struct, children: C.uint32_t(len(t.Fields) + 1)}, C.pond_node{})
	default:
		return append(nodes, C.pond_node{shape: C.pond_flat})
	}
	for _, f := range t.Fields {
		nodes = appendNodes(nodes, f.Type)
	}
	return nodes
}

// newChunk is an empty chunk of s, to be filled many times.
func newChunk(s *vec.Schema) *vec.Chunk {
	c := &vec.Chunk{Schema: s, Columns: make([]vec.Vector, len(s.Fields))}
	for i, f := range s.Fields {
		c.Columns[i] = newVector(f.Type)
	}
	return c
}

func newVector(t *vec.Type) vec.Vector {
	v := vec.Vector{Type: t}
	switch t.Kind {
	case vec.Map:
		entry := newVector(&vec.Type{Kind: vec.Struct, Fields: t.Fields})
		v.Children = []vec.Vector{entry}
		return v
	case vec.Union:
		v.Children = append(v.Children, vec.Vector{Type: &vec.Type{Kind: vec.Uint8, SQL: "UTINYINT"}})
	}
	for _, f := range t.Fields {
		v.Children = append(v.Children, newVector(f.Type))
	}
	return v
}

// fill points c at the vectors that C found.
func fill(c *vec.Chunk, views []C.pond_view, rows int) {
	c.Rows = rows
	for i := range c.Columns {
		views = fillVector(&c.Columns[i], views)
	}
}

func fillVector(v *vec.Vector, views []C.pond_view) []C.pond_view {
	v.Rows = int(views[0].rows)
	v.Valid = validity(unsafe.Pointer(views[0].valid), v.Rows)
	v.Data = views[0].data
	if v.Type.Kind == vec.Null {
		v.Data = nil
	}
	views = views[1:]
	for i := range v.Children {
		views = fillVector(&v.Children[i], views)
	}
	return views
}
