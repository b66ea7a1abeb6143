package prepare

import (
	"crypto/sha256"
	"sync"
)

// memo remembers results that cannot change, such as those of a query over one
// version of its files. The zero value is ready, and safe for concurrent use. Its
// values are never changed.
type memo[V any] struct {
	mu    sync.Mutex
	size  int
	known map[memoKey]V
}

// memoKey is a hash of all that a value depends on.
type memoKey [sha256.Size]byte

// memoMax is the most bytes that a memo keeps, of values without what surrounds
// them, and memoEach what it takes that to be.
const (
	memoMax  = 8 << 20
	memoEach = 500
)

func (m *memo[V]) get(key memoKey) (V, bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	v, ok := m.known[key]
	return v, ok
}

// put remembers v, of that many bytes; when it all becomes too much, the others
// are forgotten.
func (m *memo[V]) put(key memoKey, v V, bytes int) {
	bytes += memoEach
	if bytes > memoMax {
		return
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.known == nil || m.size+bytes > memoMax {
		m.known, m.size = map[memoKey]V{}, 0
	}
	m.known[key] = v
	m.size += bytes
}
