// Package bounded counts connections that others have made, so that those beyond a number
// are hung up on.
package bounded

import (
	"net"
	"sync"
	"sync/atomic"
)

// Conns counts up to Most connections. It is safe for concurrent use.
type Conns struct {
	Most int64

	open atomic.Int64 // 0 <= open <= Most, but for a moment in Take
}

// Take counts one more, and reports whether there was room for it. Whoever has taken
// gives back, or closes what Count returned.
func (c *Conns) Take() bool {
	if c.open.Add(1) > c.Most {
		c.open.Add(-1)
		return false
	}
	return true
}

// Give is Take undone.
func (c *Conns) Give() { c.open.Add(-1) }

// Open is how many are counted.
func (c *Conns) Open() int64 { return c.open.Load() }

// Count is nc, which was taken, and is given back when it is closed.
func (c *Conns) Count(nc net.Conn) net.Conn { return &conn{Conn: nc, of: c} }

type conn struct {
	net.Conn
	of   *Conns
	once sync.Once
}

func (c *conn) Close() error {
	c.once.Do(c.of.Give)
	return c.Conn.Close()
}
