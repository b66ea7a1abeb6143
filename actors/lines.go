package actors

import (
	"context"
	"fmt"
	"net"
	"sync"
	"time"

	"github.com/pondmesh/pond/actors/plan"
)

// Bounds of the lines.
const (
	lineDialTimeout = 2 * time.Second
	lostLinesMax    = 4096 // addresses that are refused; beyond, any one is forgotten
)

// lines are the node's HTTP connections to other nodes. Those to a node that is
// lost from the view are cut, and none are made until it is back: a frozen
// machine still takes connections, and who asked it something would wait for as
// long as it is frozen.
type lines struct {
	mu   sync.Mutex
	open map[string]map[*line]struct{} // by address
	lost map[string]bool
}

func newLines() *lines {
	return &lines{open: map[string]map[*line]struct{}{}, lost: map[string]bool{}}
}

// dial is net.Dialer.DialContext for nodes that are not lost.
func (l *lines) dial(ctx context.Context, network, addr string) (net.Conn, error) {
	if l.isLost(addr) {
		return nil, errLost(addr)
	}
	conn, err := (&net.Dialer{Timeout: lineDialTimeout}).DialContext(ctx, network, addr)
	if err != nil {
		return nil, err
	}
	c := &line{Conn: conn, lines: l, addr: addr}
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.lost[addr] {
		conn.Close()
		return nil, errLost(addr)
	}
	if l.open[addr] == nil {
		l.open[addr] = map[*line]struct{}{}
	}
	l.open[addr][c] = struct{}{}
	return c, nil
}

func errLost(addr string) error {
	return fmt.Errorf("the node at %s is lost: %w", addr, plan.ErrUnavailable)
}

func (l *lines) isLost(addr string) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.lost[addr]
}

// cut ends every connection to addr and refuses new ones.
func (l *lines) cut(addr string) {
	l.mu.Lock()
	for old := range l.lost {
		if len(l.lost) < lostLinesMax {
			break
		}
		delete(l.lost, old)
	}
	l.lost[addr] = true
	cut := l.open[addr]
	delete(l.open, addr)
	l.mu.Unlock()
	for c := range cut {
		c.Conn.Close()
	}
}

// mend allows connections to addr again.
func (l *lines) mend(addr string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	delete(l.lost, addr)
}

// line is a connection that is forgotten when it is closed.
type line struct {
	net.Conn
	lines *lines
	addr  string
}

func (c *line) Close() error {
	c.lines.mu.Lock()
	if all := c.lines.open[c.addr]; all != nil {
		delete(all, c)
		if len(all) == 0 {
			delete(c.lines.open, c.addr)
		}
	}
	c.lines.mu.Unlock()
	return c.Conn.Close()
}
