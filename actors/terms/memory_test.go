package terms_test

import (
	"context"
	"sync"

	"github.com/pondmesh/pond/fs/register"
)

// memory is terms.Registers in one process, for tests.
type memory struct {
	mu     sync.Mutex
	values map[register.Key]memoryValue
}

type memoryValue struct {
	data    []byte
	version uint64
}

// Get implements terms.Registers.
func (m *memory) Get(_ context.Context, key register.Key) ([]byte, uint64, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	v := m.values[key]
	return v.data, v.version, nil
}

// CAS implements terms.Registers.
func (m *memory) CAS(_ context.Context, key register.Key, _ register.ChangeID, expect uint64, data []byte) (uint64, []byte, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	v := m.values[key]
	if v.version != expect {
		return v.version, v.data, register.ErrConflict
	}
	if m.values == nil {
		m.values = map[register.Key]memoryValue{}
	}
	m.values[key] = memoryValue{data, expect + 1}
	return expect + 1, data, nil
}
