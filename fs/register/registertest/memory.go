// Package registertest has registers for tests: [Memory], in one process. They keep to
// what package register promises, and to nothing of how it is kept.
package registertest

import (
	"context"
	"sync"

	"github.com/pondmesh/pond/fs/register"
)

// Memory is registers in one process. The zero value is empty and ready.
type Memory struct {
	mu     sync.Mutex
	values map[register.Key]value
	before func() error
}

type value struct {
	data    []byte
	version uint64
}

// Before has f called ahead of each operation, which fails with its error; nil ends that.
func (m *Memory) Before(f func() error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.before = f
}

// begin calls what comes before an operation.
func (m *Memory) begin() error {
	m.mu.Lock()
	before := m.before
	m.mu.Unlock()
	if before == nil {
		return nil
	}
	return before()
}

// Get is the value of a key, and its version; 0 is that of none.
func (m *Memory) Get(_ context.Context, key register.Key) ([]byte, uint64, error) {
	if err := m.begin(); err != nil {
		return nil, 0, err
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	v := m.values[key]
	return v.data, v.version, nil
}

// CAS stores a value in place of the version that is expected, or says what is there.
func (m *Memory) CAS(_ context.Context, key register.Key, _ register.ChangeID, expect uint64, data []byte) (uint64, []byte, error) {
	if err := m.begin(); err != nil {
		return 0, nil, err
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	v := m.values[key]
	if v.version != expect {
		return v.version, v.data, register.ErrConflict
	}
	if m.values == nil {
		m.values = map[register.Key]value{}
	}
	m.values[key] = value{data, expect + 1}
	return expect + 1, data, nil
}
