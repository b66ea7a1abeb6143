//go:build duckdb_arrow

package duck

// #include <stdlib.h>
// #include "bridge.h"
import "C"

import (
	"errors"
	"runtime"
	"unsafe"

	"github.com/apache/arrow-go/v18/arrow"
	"github.com/apache/arrow-go/v18/arrow/memory"
)

// loaded is a batch as C reads it. Its memory stays in place until it is released.
type loaded struct {
	record  arrow.RecordBatch
	nodes   []C.pond_input // in C's memory
	pins    runtime.Pinner
	foreign []*exported
}

// errDamaged is a batch whose buffers are shorter than it says.
var errDamaged = errors.New("duck: a batch of rows does not hang together: its buffers are too short")

// load takes a batch over, whose columns are filled by targets.
func load(record arrow.RecordBatch, targets []C.pond_target) (*loaded, error) {
	p := (*C.pond_input)(C.calloc(C.size_t(max(1, len(targets))), C.sizeof_pond_input))
	l := &loaded{record: record, nodes: unsafe.Slice(p, len(targets))}
	used := 0
	for _, c := range record.Columns() {
		n, err := l.array(targets[used:], l.nodes[used:], c.Data())
		if err != nil {
			l.release()
			return nil, err
		}
		used += n
	}
	return l, nil
}

// arrays are where C finds the columns.
func (l *loaded) arrays() *C.pond_input { return unsafe.SliceData(l.nodes) }

func (l *loaded) release() {
	for i := range l.nodes {
		if l.nodes[i].chunk != nil {
			C.pond_free_chunk(l.nodes[i].chunk)
		}
	}
	for _, x := range l.foreign {
		x.free()
	}
	C.free(unsafe.Pointer(l.arrays()))
	l.pins.Unpin()
	l.record.Release()
}

// array fills the nodes of an array and of those inside it, and returns how many
// they are. Lengths that are within the buffers C looks at as it goes.
func (l *loaded) array(t []C.pond_target, nodes []C.pond_input, d arrow.ArrayData) (int, error) {
	node, at, rows := &nodes[0], int64(d.Offset()), int64(d.Len())
	node.at, node.rows = C.uint64_t(at), C.uint64_t(rows)
	end := at + rows
	if t[0].op == C.pond_put_import {
		x := export(d)
		l.foreign = append(l.foreign, x)
		node.foreign = x.root
		return 1, nil
	}
	b := d.Buffers()
	if t[0].op != C.pond_put_null && t[0].op != C.pond_put_unions && d.NullN() != 0 && b[0] != nil && b[0].Len() > 0 {
		if node.valid = (*C.uint8_t)(l.pointer(b[0], (end+7)/8)); node.valid == nil && rows > 0 {
			return 0, errDamaged
		}
	}
	ok := true
	values := func(i int, need int64) unsafe.Pointer {
		if rows == 0 || need == 0 {
			return nil
		}
		p := l.pointer(b[i], need)
		ok = ok && p != nil
		return p
	}
	kids := d.Children()
	switch t[0].op {
	case C.pond_put_bools:
		node.data = (*C.uint8_t)(values(1, (end+7)/8))
	case C.pond_put_fixed, C.pond_put_narrow, C.pond_put_uuids, C.pond_put_intervals:
		node.data = (*C.uint8_t)(values(1, end*int64(t[0].from)))
	case C.pond_put_unions:
		node.data = (*C.uint8_t)(values(1, end))
	case C.pond_put_strings, C.pond_put_strings64:
		node.offsets = values(1, (end+1)*offsetBytes(t[0].op))
		if b[2] != nil && b[2].Len() > 0 {
			node.room = C.uint64_t(b[2].Len())
			node.data = (*C.uint8_t)(l.pointer(b[2], 1))
		}
	case C.pond_put_lists, C.pond_put_lists64:
		node.offsets = values(1, (end+1)*offsetBytes(t[0].op))
		node.room = C.uint64_t(kids[0].Len())
	}
	if !ok {
		return 0, errDamaged
	}
	used := 1
	if t[0].op < C.pond_put_lists {
		return used, nil
	}
	for _, k := range kids {
		n, err := l.array(t[used:], nodes[used:], k)
		if err != nil {
			return 0, err
		}
		used += n
	}
	return used, nil
}

func offsetBytes(op C.uint32_t) int64 {
	if op == C.pond_put_strings64 || op == C.pond_put_lists64 {
		return 8
	}
	return 4
}

// pointer is the memory of b, kept in place; nil if it is shorter than need.
func (l *loaded) pointer(b *memory.Buffer, need int64) unsafe.Pointer {
	if b == nil || int64(b.Len()) < need {
		return nil
	}
	p := unsafe.Pointer(&b.Bytes()[0])
	l.pins.Pin(p)
	return p
}
