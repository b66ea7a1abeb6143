package mesh

import (
	"context"
	"fmt"
	"log"
	"net"
	"strings"
	"syscall"
	"time"

	"github.com/hashicorp/memberlist"
)

type gossipTransport = memberlist.NodeAwareTransport

// transport is memberlist's own over UDP and TCP, except that shutting it down
// ends the connections it dialed: a peer that keeps silent cannot hold up Close.
type transport struct {
	*memberlist.NetTransport
	ctx    context.Context
	cancel context.CancelFunc
}

func listen(host string, port int, log *log.Logger) (*transport, error) {
	nt, err := memberlist.NewNetTransport(&memberlist.NetTransportConfig{BindAddrs: []string{host}, BindPort: port, Logger: log})
	if err != nil {
		addr := hostPort(host, port)
		if strings.Contains(err.Error(), syscall.EADDRINUSE.Error()) { // memberlist keeps only the text
			return nil, fmt.Errorf("listen on %s: %w", addr, ErrPortInUse)
		}
		return nil, fmt.Errorf("listen on %s: %w", addr, err)
	}
	t := &transport{NetTransport: nt}
	t.ctx, t.cancel = context.WithCancel(context.Background())
	return t, nil
}

func (t *transport) DialAddressTimeout(a memberlist.Address, timeout time.Duration) (net.Conn, error) {
	dialer := net.Dialer{Timeout: timeout}
	conn, err := dialer.DialContext(t.ctx, "tcp", a.Addr)
	if err != nil {
		return nil, err
	}
	return &dialed{Conn: conn, stop: context.AfterFunc(t.ctx, func() { conn.Close() })}, nil
}

func (t *transport) DialTimeout(addr string, timeout time.Duration) (net.Conn, error) {
	return t.DialAddressTimeout(memberlist.Address{Addr: addr}, timeout)
}

func (t *transport) Shutdown() error {
	t.cancel()
	return t.NetTransport.Shutdown()
}

type dialed struct {
	net.Conn
	stop func() bool
}

func (d *dialed) Close() error {
	d.stop()
	return d.Conn.Close()
}
