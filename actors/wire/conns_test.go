package wire

import (
	"errors"
	"net"
	"strings"
	"testing"

	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/credentials/insecure"

	"github.com/pondmesh/pond/mesh/bounded"
)

// failing are credentials that take nobody.
type failing struct {
	credentials.TransportCredentials
}

func (failing) ServerHandshake(net.Conn) (net.Conn, credentials.AuthInfo, error) {
	return nil, nil, errors.New("no")
}

// Connections beyond the bound are refused; one that is closed, or whose handshake
// fails, makes room, once.
func TestBoundCreds(t *testing.T) {
	creds := boundCreds{TransportCredentials: insecure.NewCredentials(), open: &bounded.Conns{Most: 2}}
	shake := func(c credentials.TransportCredentials) (net.Conn, error) {
		near, far := net.Pipe()
		t.Cleanup(func() { near.Close(); far.Close() })
		conn, _, err := c.ServerHandshake(near)
		return conn, err
	}
	var open []net.Conn
	for range creds.open.Most {
		conn, err := shake(creds.Clone())
		if err != nil {
			t.Fatal(err)
		}
		open = append(open, conn)
	}
	if _, err := shake(creds); err == nil || !strings.Contains(err.Error(), "has 2 connections of nodes, as many as it takes") {
		t.Errorf("beyond: %v", err)
	}
	open[0].Close()
	open[0].Close()
	if n := creds.open.Open(); n != 1 {
		t.Errorf("%d are counted when one of two is closed", n)
	}
	no := creds
	no.TransportCredentials = failing{}
	if _, err := shake(no); err == nil || creds.open.Open() != 1 {
		t.Errorf("a handshake that fails: %v, %d are counted", err, creds.open.Open())
	}
	if _, err := shake(creds); err != nil {
		t.Errorf("once there is room: %v", err)
	}
}
