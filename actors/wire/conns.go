package wire

import (
	"fmt"
	"net"

	"google.golang.org/grpc/credentials"

	"github.com/pondmesh/pond/actors/refusals"
	"github.com/pondmesh/pond/mesh/bounded"
)

// boundCreds are credentials of a server that has a bounded number of connections,
// those whose handshake is under way included. gRPC bounds only streams of each; one
// beyond is hung up on, and its node calls again after a while.
type boundCreds struct {
	credentials.TransportCredentials
	open    *bounded.Conns
	refused *refusals.Log
}

func (c boundCreds) ServerHandshake(raw net.Conn) (net.Conn, credentials.AuthInfo, error) {
	if !c.open.Take() {
		err := fmt.Errorf("wire: this node has %d connections of nodes, as many as it takes", c.open.Most)
		c.refused.Note("a connection of a node", "from", raw.RemoteAddr(), "err", err)
		return nil, nil, err
	}
	conn, info, err := c.TransportCredentials.ServerHandshake(raw)
	if err != nil {
		c.open.Give()
		return nil, nil, err
	}
	return c.open.Count(conn), info, nil
}

func (c boundCreds) Clone() credentials.TransportCredentials {
	c.TransportCredentials = c.TransportCredentials.Clone()
	return c
}
