package wire

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"sync"
	"sync/atomic"
	"time"

	"github.com/asynkron/protoactor-go/actor"
	"google.golang.org/protobuf/proto"

	"github.com/pondmesh/pond/actors/plan"
	"github.com/pondmesh/pond/actors/refusals"
	"github.com/pondmesh/pond/actors/token"
)

// Config configures a Wire. Node, Boot and Handle are required.
type Config struct {
	Bind      string // host to listen on; default 127.0.0.1
	Advertise string // host that peers dial; default Bind
	Port      int    // 0: a free one
	// TLS serves and dials: a certificate, RootCAs and ClientCAs, and
	// RequireAndVerifyClientCert. ServerName defaults to "pond", a name that
	// every node's certificate has. It is copied. Nil: plain, on loopback only.
	TLS *tls.Config
	// Secret lets in without TLS only those that have it. Nil: everybody on loopback.
	Secret      token.Secret
	Node        string // this node's id: letters, digits, - and _
	Boot        string // this start's id, likewise
	Log         *slog.Logger
	Refused     *refusals.Log // hears of messages and peers that are turned away; nil: nobody
	Handle      Handler
	CallTimeout time.Duration // of a Call, and of a handler for a Send; default 10 s
	// Switch joins this Wire to others of the same process instead of to the
	// network: Bind and TLS are then unused. Nil: the network.
	Switch *Switch
}

// Peer is the sender of a message.
type Peer struct {
	Node string
	Boot string
	Addr string // host:port of its router
}

// Handler answers a message. It is called from a bounded pool of goroutines,
// many at once, and must be short: what takes long is started and left. ctx
// ends when the caller no longer waits. msg has been validated and belongs to
// the handler, the reply to the Wire. A nil reply is an Ack. An error reaches
// the caller as a *plan.Error of the kind that plan.KindOf finds; the reply
// to, or error of, a Send goes nowhere.
type Handler func(ctx context.Context, from Peer, msg proto.Message) (proto.Message, error)

// Wire is one node's end of the control plane. Its methods may be called from
// any goroutine.
type Wire struct {
	conf   Config
	addr   string
	log    *slog.Logger
	system *actor.ActorSystem
	links  *links
	net    carrier
	jobs   chan job

	base    context.Context // of the handlers
	cancel  context.CancelFunc
	workers sync.WaitGroup
	running atomic.Int64 // jobs accepted and not yet answered
	dropped atomic.Int64 // one-way messages that found the pool full
	closing atomic.Bool  // new work is refused
	closed  chan struct{}
	once    sync.Once
	err     error // of Close
}

// Open listens. The Wire lives until Close, not until ctx ends. A taken port is
// ErrPortInUse; a configuration that would leave a port open to strangers is
// plan.ErrDenied.
func Open(ctx context.Context, c Config) (*Wire, error) {
	c, err := c.withDefaults()
	if err != nil {
		return nil, err
	}
	if c.Switch != nil {
		return c.Switch.join(c)
	}
	tries := 1
	if c.Port == 0 {
		tries = freePortTries
	}
	for range tries {
		var port int
		if port, err = probe(ctx, c.Bind, c.Port); err != nil {
			return nil, err
		}
		w := newWire(c, port)
		if err = listen(w, port); err == nil {
			return w, nil
		}
		w.stopWorkers()
	}
	return nil, err
}

// carrier takes envelopes to other nodes' routers, and tells links what became
// of the connections.
type carrier interface {
	carry(addr string, env *Envelope) error
	lost(addr string, reason error)
	// close ends every connection; in order if nothing was cut short, so that
	// messages under way arrive.
	close(orderly bool)
}

func (c Config) withDefaults() (Config, error) {
	if c.Bind == "" {
		c.Bind = "127.0.0.1"
	}
	if c.Advertise == "" {
		c.Advertise = c.Bind
	}
	if c.CallTimeout <= 0 {
		c.CallTimeout = callTimeoutDefault
	}
	if c.Log == nil {
		c.Log = slog.New(slog.DiscardHandler)
	}
	var k checker
	k.id("node", c.Node, nodeBytesMax)
	k.id("boot", c.Boot, nodeBytesMax)
	if k.problem != "" || c.Handle == nil {
		return c, fmt.Errorf("wire: open: a node, a boot and a handler are required: %s", k.problem)
	}
	ip := net.ParseIP(c.Advertise)
	if ip != nil && ip.IsUnspecified() {
		return c, fmt.Errorf("wire: open: peers cannot dial %s: give a host to advertise", c.Advertise)
	}
	if c.Switch != nil {
		return c, nil
	}
	if c.TLS == nil {
		if bind := net.ParseIP(c.Bind); c.Bind != "localhost" && (bind == nil || !bind.IsLoopback()) {
			return c, fmt.Errorf("wire: listen on %s without TLS: %w", c.Bind, plan.ErrDenied)
		}
		return c, nil
	}
	c.TLS = c.TLS.Clone()
	if c.TLS.ClientAuth != tls.RequireAndVerifyClientCert || c.TLS.ClientCAs == nil || c.TLS.RootCAs == nil {
		return c, fmt.Errorf("wire: TLS without RequireAndVerifyClientCert, ClientCAs and RootCAs: %w", plan.ErrDenied)
	}
	if c.TLS.InsecureSkipVerify {
		return c, fmt.Errorf("wire: TLS that does not verify: %w", plan.ErrDenied)
	}
	if c.TLS.ServerName == "" {
		c.TLS.ServerName = "pond"
	}
	c.TLS.MinVersion = max(c.TLS.MinVersion, tls.VersionTLS13)
	return c, nil
}

func newWire(c Config, port int) *Wire {
	w := &Wire{
		conf:   c,
		addr:   address(c, port),
		log:    c.Log,
		links:  newLinks(),
		jobs:   make(chan job, handlersQueueMax),
		closed: make(chan struct{}),
	}
	w.base, w.cancel = context.WithCancel(context.Background())
	w.system = actor.NewActorSystem(actor.WithLoggerFactory(func(*actor.ActorSystem) *slog.Logger { return quietLogger(c.Log) }))
	w.system.ProcessRegistry.Add(&router{w}, routerName)
	for range handlersMax {
		w.workers.Go(w.work)
	}
	return w
}

// Addr is host:port of this node's router, as peers dial it.
func (w *Wire) Addr() string { return w.addr }

// System is the node's actor system, for actors of this node. Actors of other
// nodes cannot be reached through it, nor these by other nodes. Whoever spawns
// an actor stops it, before Close.
func (w *Wire) System() *actor.ActorSystem { return w.system }

// Close refuses new work, lets running handlers and calls end, and their messages
// reach the peers; if ctx ends first they are cut short, and Close returns an error.
// Once closed it returns the same again.
func (w *Wire) Close(ctx context.Context) error {
	w.once.Do(func() {
		w.err = w.close(ctx)
		close(w.closed)
	})
	<-w.closed
	return w.err
}

func (w *Wire) close(ctx context.Context) error {
	w.closing.Store(true)
	err := w.links.settle(ctx, func() bool {
		calls, bytes := w.links.waiting()
		return w.running.Load() == 0 && calls == 0 && bytes == 0
	})
	w.links.end(ErrClosed)
	w.net.close(err == nil)
	if !w.stopWorkers() && err == nil {
		err = errors.New("a handler does not end")
	}
	if !w.system.IsStopped() {
		w.system.Shutdown()
	}
	if err != nil {
		return fmt.Errorf("wire: close: work was cut short: %w", err)
	}
	return nil
}

// stopWorkers ends the pool; false: a handler ignores the end of its context.
func (w *Wire) stopWorkers() bool {
	w.cancel()
	ended := make(chan struct{})
	go func() {
		w.workers.Wait()
		close(ended)
	}()
	select {
	case <-ended:
		return true
	case <-time.After(hangUpTimeout):
		return false
	}
}
