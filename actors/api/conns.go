package api

import (
	"context"
	"fmt"
	"net"
	"sync"
	"time"

	"github.com/pondmesh/pond/actors/plan"
)

// Bounds of Conns.
const (
	connDialTimeout = 2 * time.Second
	lostAddrsMax    = 4096 // addresses that are refused; beyond, any one is forgotten
)

// Conns are a node's HTTP connections to other nodes. Those to a node that is
// lost from the view are cut, and none are made until it is back: a frozen machine
// still accepts connections, and a caller would wait for as long as it is frozen.
type Conns struct {
	mu   sync.Mutex
	open map[string]map[*conn]struct{} // by address; no address is in both
	lost map[string]bool               // at most lostAddrsMax
}

// NewConns returns a set that is empty, and refuses nobody.
func NewConns() *Conns {
	return &Conns{open: map[string]map[*conn]struct{}{}, lost: map[string]bool{}}
}

// Dial is net.Dialer.DialContext for nodes that are not lost.
func (s *Conns) Dial(ctx context.Context, network, addr string) (net.Conn, error) {
	if s.isLost(addr) {
		return nil, errLost(addr)
	}
	raw, err := (&net.Dialer{Timeout: connDialTimeout}).DialContext(ctx, network, addr)
	if err != nil {
		return nil, err
	}
	c := &conn{Conn: raw, all: s, addr: addr}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.lost[addr] {
		raw.Close()
		return nil, errLost(addr)
	}
	if s.open[addr] == nil {
		s.open[addr] = map[*conn]struct{}{}
	}
	s.open[addr][c] = struct{}{}
	return c, nil
}

func errLost(addr string) error {
	return fmt.Errorf("the node at %s is lost: %w", addr, plan.ErrUnavailable)
}

func (s *Conns) isLost(addr string) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.lost[addr]
}

// Cut ends every connection to addr and refuses new ones.
func (s *Conns) Cut(addr string) {
	s.mu.Lock()
	for old := range s.lost {
		if len(s.lost) < lostAddrsMax {
			break
		}
		delete(s.lost, old)
	}
	s.lost[addr] = true
	cut := s.open[addr]
	delete(s.open, addr)
	s.mu.Unlock()
	for c := range cut {
		c.Conn.Close()
	}
}

// Mend allows connections to addr again.
func (s *Conns) Mend(addr string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.lost, addr)
}

// conn is a connection that is forgotten when it is closed.
type conn struct {
	net.Conn
	all  *Conns
	addr string
}

func (c *conn) Close() error {
	c.all.mu.Lock()
	if all := c.all.open[c.addr]; all != nil {
		delete(all, c)
		if len(all) == 0 {
			delete(c.all.open, c.addr)
		}
	}
	c.all.mu.Unlock()
	return c.Conn.Close()
}
