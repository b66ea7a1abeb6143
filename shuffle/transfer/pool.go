package transfer

import (
	"math/bits"
	"sync"
	"sync/atomic"
)

const (
	slabMin = 32 << 10  // a stream's first buffer
	slabMax = 256 << 10 // and its largest, but for larger blocks
	// slabExtra keeps a block of a round payload in its size class.
	slabExtra  = 4 << 10
	slabClass0 = 15 // log2 slabMin
	slabTypes  = 16
)

// slab is memory for one or several blocks. It goes back to its pool, and its
// bytes to the window, when nobody holds it.
type slab struct {
	buf    []byte
	class  int
	held   atomic.Int32
	pool   *pool
	window *window
}

func (s *slab) drop() {
	if s.held.Add(-1) == 0 {
		s.window.give(int64(len(s.buf)))
		s.pool.classes[s.class].Put(s)
	}
}

// pool keeps slabs by size: powers of two from slabMin, plus slabExtra.
type pool struct{ classes [slabTypes]sync.Pool }

// slabSize is the class and size of the smallest slab of n bytes or more.
func slabSize(n int64) (class int, size int64) {
	class = max(0, bits.Len64(uint64(max(0, n-slabExtra-1)))-slabClass0)
	return class, slabMin<<class + slabExtra
}

// get is a slab of n bytes or more that the caller holds and that counts
// against w, which the caller has asked.
func (p *pool) get(n int64, w *window) *slab {
	class, size := slabSize(n)
	s, ok := p.classes[class].Get().(*slab)
	if !ok {
		s = &slab{buf: make([]byte, size), class: class, pool: p}
	}
	s.window = w
	s.held.Store(1)
	return s
}

// window is how many bytes a consumer may hold.
type window struct {
	mu   sync.Mutex
	free int64         // below 0 when streams were let through
	wake chan struct{} // closed when free grows; nil: nobody waits
}

func newWindow(n int64) *window { return &window{free: n} }

// take takes n bytes. When there are too few it takes none, and says what to
// wait for before trying again.
func (w *window) take(n int64) (wait <-chan struct{}) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if n <= w.free {
		w.free -= n
		return nil
	}
	if w.wake == nil {
		w.wake = make(chan struct{})
	}
	return w.wake
}

// force takes n bytes even if there are too few.
func (w *window) force(n int64) {
	w.mu.Lock()
	w.free -= n
	w.mu.Unlock()
}

func (w *window) give(n int64) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.free += n
	if w.wake != nil {
		close(w.wake)
		w.wake = nil
	}
}
