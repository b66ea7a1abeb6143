package registers

import (
	"context"
	"crypto/rand"
	"fmt"
	"log/slog"
	"maps"
	"sync"

	"github.com/pondmesh/pond/actors/api"
	"github.com/pondmesh/pond/fs/register"
)

// Memory is a Keeper without a disk, for tests. What it has survives a Restart, as on
// one.
type Memory struct {
	mu    sync.Mutex
	acc   *register.Acceptor
	state register.State
	fail  error
}

// NewMemory is a new keeper of a node.
func NewMemory(node string) *Memory {
	m := &Memory{state: register.State{ID: register.KeeperID(node + "/" + rand.Text()), Cells: map[register.Key]register.Cell{}}}
	m.Restart()
	return m
}

// Restart has the keeper go on from what was written, failures forgotten.
func (m *Memory) Restart() {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.fail = nil
	m.acc = register.NewAcceptor(register.State{ID: m.state.ID, Roster: m.state.Roster, Cells: maps.Clone(m.state.Cells)})
}

// FailWith has everything fail from now on.
func (m *Memory) FailWith(err error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.fail = err
}

// ID implements Keeper, as do the others.
func (m *Memory) ID() register.KeeperID { return m.state.ID }

func (m *Memory) Lost() bool { return false }

func (m *Memory) Err() error {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.fail
}

func (m *Memory) Answer(_ context.Context, requests []register.Request) (replies []register.Reply, err error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.fail != nil {
		return nil, m.fail
	}
	for _, q := range requests {
		reply, w := m.acc.Step(q)
		switch {
		case w == nil:
		case w.Roster != nil:
			m.state.Roster = *w.Roster
		default:
			m.state.Cells[w.Key] = w.Cell
		}
		replies = append(replies, reply)
	}
	return replies, nil
}

// Alone is the registers of a pond of one node, in memory: for tests of what uses them.
func Alone(node string) (*Registers, error) {
	never := make(chan struct{})
	return Open(Config{
		Node: node, Keeper: NewMemory(node), Log: slog.New(slog.DiscardHandler),
		Seeds: func(context.Context) []Seed { return nil },
		View:  func() ([]Member, <-chan struct{}) { return []Member{{Node: node}}, never },
		Ask: func(_ context.Context, addr string, _ *api.RegisterCall) (*api.RegisterReply, error) {
			return nil, fmt.Errorf("registers: nobody is at %q", addr)
		},
	})
}
