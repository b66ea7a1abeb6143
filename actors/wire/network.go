package wire

import (
	"context"
	"errors"
	"fmt"
	"net"
	"strconv"
	"strings"
	"syscall"

	"github.com/asynkron/protoactor-go/actor"
	"github.com/asynkron/protoactor-go/remote"
	"google.golang.org/protobuf/proto"
)

// network is the carrier between processes: protoactor's remote, with a guard
// in front of its server and a dialer behind its client.
type network struct {
	system *actor.ActorSystem
	server *remote.Remote
	links  *links
}

// probe finds out whether the port is free, and which one is when it is 0:
// remote would panic.
func probe(ctx context.Context, host string, port int) (int, error) {
	var lc net.ListenConfig
	addr := net.JoinHostPort(host, strconv.Itoa(port))
	l, err := lc.Listen(ctx, "tcp", addr)
	if errors.Is(err, syscall.EADDRINUSE) {
		return 0, fmt.Errorf("wire: listen on %s: %w", addr, ErrPortInUse)
	}
	if err != nil {
		return 0, fmt.Errorf("wire: listen on %s: %w", addr, err)
	}
	defer l.Close()
	return l.Addr().(*net.TCPAddr).Port, nil
}

// listen makes remote serve w on port, which was free a moment ago.
func listen(w *Wire, port int) error {
	g := &guard{addr: w.addr, log: w.log, refused: w.conf.Refused, secret: w.conf.Secret, ready: make(chan struct{})}
	host := w.conf.Bind
	if strings.Contains(host, ":") {
		host = "[" + host + "]"
	}
	rc := remote.Configure(host, port,
		remote.WithAdvertisedHost(w.addr),
		remote.WithServerOptions(g.serverOptions(w.conf.TLS)...),
		remote.WithDialOptions(dialOptions(w.links, w.conf.TLS, w.conf.Secret)...),
		remote.WithEndpointWriterBatchSize(batchMessages),
		remote.WithEndpointWriterQueueSize(writerQueueStart),
	)
	rc.MaxRetryCount = 1 // more would leak a connection a try
	n := &network{system: w.system, server: remote.NewRemote(w.system, rc), links: w.links}
	if err := startRemote(n.server, w.addr); err != nil {
		return err
	}
	// After remote's own subscription, so that it has let go of the address
	// before links do.
	w.system.EventStream.Subscribe(func(e any) {
		if t, ok := e.(*remote.EndpointTerminatedEvent); ok {
			n.links.forget(t.Address)
		}
	})
	w.net = n
	close(g.ready)
	return nil
}

// startRemote makes errors of remote's panics.
func startRemote(r *remote.Remote, addr string) (err error) {
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("wire: listen on %s: %v", addr, p)
			if strings.Contains(err.Error(), syscall.EADDRINUSE.Error()) {
				err = fmt.Errorf("wire: listen on %s: %w", addr, ErrPortInUse)
			}
		}
	}()
	r.Start()
	return nil
}

func (n *network) carry(addr string, env *Envelope) error {
	p, err := n.links.enqueue(addr, proto.Size(env))
	if err != nil {
		return err
	}
	n.system.Root.Send(p.pid, env)
	return nil
}

func (n *network) lost(addr string, reason error) { n.links.lost(addr, reason) }

func (n *network) close(orderly bool) {
	if orderly {
		for _, p := range n.links.all() {
			n.links.hangUp(p)
		}
		n.links.settleShortly(n.links.closed)
	}
	for _, p := range n.links.all() {
		n.links.down(p, ErrClosed)
	}
	n.server.Shutdown(false)
	// Streams are gone at once; endpoints that wait out a failed dial are left
	// to end by themselves, within two seconds.
	n.links.settleShortly(n.links.closed)
}
