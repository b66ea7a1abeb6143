package mesh

import (
	"context"
	"fmt"
	"log"
	"net"
	"strings"
	"sync"
	"syscall"
	"time"

	"github.com/hashicorp/memberlist"

	"github.com/pondmesh/pond/mesh/bounded"
)

type gossipTransport = memberlist.NodeAwareTransport

// streamsMax bounds the connections that others have made. memberlist ends each after
// streamTimeout, but takes any number.
const streamsMax = 512

// transport is memberlist's own over UDP and TCP, except that connections beyond
// streamsMax are hung up on, and that shutting it down ends the connections it dialed:
// a peer that keeps silent cannot hold up Close.
type transport struct {
	*memberlist.NetTransport
	ctx     context.Context
	cancel  context.CancelFunc
	streams chan net.Conn
	open    bounded.Conns // of streams
	over    chan struct{} // closed when no more come
	once    sync.Once
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
	t := &transport{NetTransport: nt, streams: make(chan net.Conn), over: make(chan struct{}), open: bounded.Conns{Most: streamsMax}}
	t.ctx, t.cancel = context.WithCancel(context.Background())
	go t.take(nt.StreamCh())
	return t, nil
}

// take hands on connections that others make, within the bound.
func (t *transport) take(all <-chan net.Conn) {
	for {
		select {
		case <-t.over:
			return
		case conn := <-all:
			if !t.open.Take() {
				conn.Close()
				continue
			}
			s := t.open.Count(conn)
			select {
			case t.streams <- s:
			case <-t.ctx.Done():
				s.Close()
			}
		}
	}
}

// StreamCh is where memberlist hears of connections that others make.
func (t *transport) StreamCh() <-chan net.Conn { return t.streams }

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
	defer t.once.Do(func() { close(t.over) })
	return t.NetTransport.Shutdown() // hands on what it has accepted
}

type dialed struct {
	net.Conn
	stop func() bool
}

func (d *dialed) Close() error {
	d.stop()
	return d.Conn.Close()
}
