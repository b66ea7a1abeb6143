package wire

import (
	"fmt"
	"net"
	"sync"
	"sync/atomic"

	"google.golang.org/grpc/credentials"

	"github.com/pondmesh/pond/actors/refusals"
)

// boundCreds are credentials of a server that has a bounded number of connections,
// those whose handshake is under way included. gRPC bounds only streams of each; one
// beyond is hung up on, and its node calls again after a while.
type boundCreds struct {
	credentials.TransportCredentials
	most    int64
	open    *atomic.Int64
	refused *refusals.Log
}

func (c boundCreds) ServerHandshake(raw net.Conn) (net.Conn, credentials.AuthInfo, error) {
	if c.open.Add(1) > c.most {
		c.open.Add(-1)
		err := fmt.Errorf("wire: this node has %d connections of nodes, as many as it takes", c.most)
		c.refused.Note("a connection of a node", "from", raw.RemoteAddr(), "err", err)
		return nil, nil, err
	}
	conn, info, err := c.TransportCredentials.ServerHandshake(raw)
	if err != nil {
		c.open.Add(-1)
		return nil, nil, err
	}
	return &boundConn{Conn: conn, open: c.open}, info, nil
}

func (c boundCreds) Clone() credentials.TransportCredentials {
	c.TransportCredentials = c.TransportCredentials.Clone()
	return c
}

// boundConn counts until it is closed.
type boundConn struct {
	net.Conn
	open *atomic.Int64
	once sync.Once
}

func (c *boundConn) Close() error {
	c.once.Do(func() { c.open.Add(-1) })
	return c.Conn.Close()
}
