package vec

import (
	"math/bits"
	"sync"

	"github.com/apache/arrow-go/v18/arrow/memory"
)

// The pool's classes are the powers of two between these. Larger buffers go
// straight through.
const (
	poolMinBits = 6
	poolMaxBits = 26
)

// Pool is an Arrow allocator that keeps freed buffers, up to a limit, so that the
// buffers of every block and task burden neither the garbage collector nor the
// system allocator. Memory from it is not zeroed. It is safe for concurrent use.
type Pool struct {
	mem   memory.Allocator
	limit int64

	mu   sync.Mutex
	held int64
	free [poolMaxBits + 1][][]byte
}

// NewPool makes a pool over mem (a C allocator, when the memory is for DuckDB
// to read) that keeps at most limit bytes of free buffers.
func NewPool(mem memory.Allocator, limit int64) *Pool {
	return &Pool{mem: mem, limit: limit}
}

// poolClass is the class whose buffers hold size bytes.
func poolClass(size int) int { return max(poolMinBits, bits.Len(uint(max(size, 1)-1))) }

// Allocate is a buffer of size bytes, which may hold anything.
func (p *Pool) Allocate(size int) []byte {
	class := poolClass(size)
	if class > poolMaxBits {
		return p.mem.Allocate(size)
	}
	p.mu.Lock()
	if list := p.free[class]; len(list) > 0 {
		b := list[len(list)-1]
		p.free[class] = list[:len(list)-1]
		p.held -= int64(len(b))
		p.mu.Unlock()
		return b[:size]
	}
	p.mu.Unlock()
	return p.mem.Allocate(1 << class)[:size]
}

// Reallocate is a buffer of size bytes that starts with b's; b is freed.
func (p *Pool) Reallocate(size int, b []byte) []byte {
	if size <= cap(b) {
		return b[:size]
	}
	out := p.Allocate(size)
	copy(out, b)
	p.Free(b)
	return out
}

// Free takes b back.
func (p *Pool) Free(b []byte) {
	b = b[:cap(b)]
	class := poolClass(len(b))
	if len(b) != 1<<class || class > poolMaxBits {
		p.mem.Free(b)
		return
	}
	p.mu.Lock()
	if p.held+int64(len(b)) <= p.limit {
		p.free[class] = append(p.free[class], b)
		p.held += int64(len(b))
		p.mu.Unlock()
		return
	}
	p.mu.Unlock()
	p.mem.Free(b)
}

// Trim gives back to the allocator beneath all that is free.
func (p *Pool) Trim() {
	p.mu.Lock()
	free := p.free
	p.free = [poolMaxBits + 1][][]byte{}
	p.held = 0
	p.mu.Unlock()
	for _, list := range free {
		for _, b := range list {
			p.mem.Free(b)
		}
	}
}
