package intake

import (
	"context"
	"fmt"
	"net"
	"net/http"
	"net/netip"
	"strconv"
	"sync"
	"time"

	"github.com/pondmesh/pond/actors/api"
	"github.com/pondmesh/pond/actors/plan"
)

// Bounds of a node's connections, by who is at the other end. One costs up to 50 KB
// under TLS. A process that may open few files has fewer (see NewConns).
const (
	strangersMax = 1024 // that have not made a request yet; net/http ends them within seconds
	clientsMax   = 1024
	nodesMax     = 2048
	// No address has more than its share of strangers, and no user of the clients'.
	addressShare = 4
	userShare    = 2
	// Above this share of its connections in use, in percent, a client's is not kept for
	// its next request.
	keepPercent = 75
	// filesUnknown is what is counted on where the system does not tell.
	filesUnknown = 1 << 16
	// lingerMax is how long what a client still sends is read once it has been refused.
	lingerMax = time.Second
)

// Party is who is at the other end of a connection.
type Party uint8

// A connection begins as a Stranger's; its first request tells whose it is.
const (
	Stranger Party = iota
	Client
	Node
	parties
)

func (p Party) String() string { return [...]string{"stranger", "client", "node"}[p] }

// Caller is the other end of a connection, once it has made a request. Connections are
// counted by User; those of "" have no share, but all.
type Caller struct {
	Party Party
	User  string
}

// Conns bounds the connections of a server by three counts, so that clients take no
// node's place, and whoever only connects takes nobody's. Strangers beyond the bound
// wait in the listener's queue, for seconds; those of one address beyond its share are
// hung up on. Requests of clients and nodes beyond theirs are answered with a
// plan.Error of kind unavailable and Op api.OpReceive, as bodies beyond TotalMax are:
// clients ask again, or another node.
type Conns struct {
	secure  bool
	refused func(addr net.Addr, why error)
	room    chan struct{} // a token each stranger

	mu     sync.Mutex
	counts [parties]count
}

// count is of one party's connections.
type count struct {
	most, share int            // of all; of one caller
	all         int            // at most most
	of          map[string]int // at most share each
	refused     int64
}

// NewConns returns bounds for a process that may have so many files open, of which
// connections take at most half. Where secure is false, all callers are of this
// machine, and no address has a share. Refused hears of each that is turned away.
func NewConns(files uint64, secure bool, refused func(net.Addr, error)) *Conns {
	c := &Conns{secure: secure, refused: refused}
	all := uint64(strangersMax + clientsMax + nodesMax)
	scaled := func(n int) int { return max(int(min(files/2, all)*uint64(n)/all), 1) }
	for p, n := range [parties]int{strangersMax, clientsMax, nodesMax} {
		c.counts[p] = count{most: scaled(n), share: scaled(n), of: map[string]int{}}
	}
	c.counts[Client].share = max(c.counts[Client].most/userShare, 1)
	if secure {
		c.counts[Stranger].share = max(c.counts[Stranger].most/addressShare, 1)
	}
	c.room = make(chan struct{}, c.counts[Stranger].most)
	return c
}

// Open is how many connections a party has, and Refused how many it was denied.
func (c *Conns) Open(p Party) (open int, refused int64) {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.counts[p].all, c.counts[p].refused
}

// move counts a connection for another caller than before. It fails, and changes
// nothing, where that one has as many as it may.
func (c *Conns) move(from, to *Caller) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if to != nil {
		n := &c.counts[to.Party]
		switch {
		case n.all >= n.most:
			n.refused++
			return fmt.Errorf("this node has %d connections of %ss, as many as it takes", n.all, to.Party)
		case to.User != "" && n.of[to.User] >= n.share:
			n.refused++
			return fmt.Errorf("this node has %d connections of %s, as many as it takes from one", n.share, to.User)
		}
		n.all++
		n.of[to.User]++
	}
	if from != nil {
		n := &c.counts[from.Party]
		n.all--
		if n.of[from.User]--; n.of[from.User] == 0 {
			delete(n.of, from.User)
		}
	}
	return nil
}

// scarce reports whether a party has so many that none is to be kept for later.
func (c *Conns) scarce(p Party) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.counts[p].all*100 > c.counts[p].most*keepPercent
}

// conn is a connection that is counted until it is closed. It is a TCPConn for
// net/http's sendfile.
type conn struct {
	*net.TCPConn
	bounds *Conns

	mu     sync.Mutex
	by     Caller
	closed bool
}

// claim counts the connection for who has made a request on it. A node's stays one.
func (c *conn) claim(by Caller) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.closed || by == c.by || c.by.Party == Node {
		return nil
	}
	if err := c.bounds.move(&c.by, &by); err != nil {
		return err
	}
	if c.by.Party == Stranger {
		<-c.bounds.room
	}
	c.by = by
	return nil
}

func (c *conn) Close() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if !c.closed {
		c.closed = true
		_ = c.bounds.move(&c.by, nil) // takes nobody's place
		if c.by.Party == Stranger {
			<-c.bounds.room
		}
	}
	return c.TCPConn.Close()
}

// Listen returns l with bounds.
func (c *Conns) Listen(l *net.TCPListener) net.Listener {
	return &listener{TCPListener: l, bounds: c, closed: make(chan struct{})}
}

type listener struct {
	*net.TCPListener
	bounds *Conns
	once   sync.Once
	closed chan struct{}
}

// Accept waits for room before it takes a connection out of the kernel's queue.
func (l *listener) Accept() (net.Conn, error) {
	select {
	case l.bounds.room <- struct{}{}:
	case <-l.closed:
		return nil, net.ErrClosed
	}
	for {
		raw, err := l.AcceptTCP()
		if err != nil {
			<-l.bounds.room
			return nil, err
		}
		by := Caller{Stranger, l.bounds.address(raw.RemoteAddr())}
		err = l.bounds.move(nil, &by)
		if err == nil {
			return &conn{TCPConn: raw, bounds: l.bounds, by: by}, nil
		}
		l.bounds.refused(raw.RemoteAddr(), err)
		raw.Close()
	}
}

func (l *listener) Close() error {
	l.once.Do(func() { close(l.closed) })
	return l.TCPListener.Close()
}

// address is what strangers are counted by: an IPv6 host may call from any address of
// its network.
func (c *Conns) address(a net.Addr) string {
	t, ok := a.(*net.TCPAddr)
	if !ok || !c.secure {
		return ""
	}
	ip := t.AddrPort().Addr().Unmap()
	if ip.Is6() {
		return netip.PrefixFrom(ip, hostBits).Masked().String()
	}
	return ip.String()
}

// hostBits of an IPv6 address name a network that is one customer's.
const hostBits = 64

type connKey struct{}

// Context is for an http.Server's ConnContext: Bound finds the connection by it.
func (c *Conns) Context(ctx context.Context, nc net.Conn) context.Context {
	if t, ok := nc.(interface{ NetConn() net.Conn }); ok { // TLS
		nc = t.NetConn()
	}
	return context.WithValue(ctx, connKey{}, nc)
}

// Bound has next serve requests on connections within bounds, and refuse the others.
// Who tells whose a request is; the connection counts as the caller's from then on. A
// Stranger's ends with the request.
func (c *Conns) Bound(who func(*http.Request) Caller, refuse func(http.ResponseWriter, *http.Request, error), next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		nc, ok := r.Context().Value(connKey{}).(*conn)
		if !ok {
			next.ServeHTTP(w, r)
			return
		}
		by := who(r)
		if by.Party == Stranger {
			w.Header().Set("Connection", "close")
			next.ServeHTTP(w, r)
			return
		}
		if err := nc.claim(by); err != nil {
			_ = http.NewResponseController(w).SetReadDeadline(time.Now().Add(lingerMax))
			w.Header().Set("Connection", "close")
			w.Header().Set("Retry-After", strconv.Itoa(retryAfter))
			refuse(w, r, &plan.Error{Kind: plan.KindUnavailable, Op: api.OpReceive, Subject: r.Method + " " + r.URL.Path, Text: err.Error() + ": try again in a while"})
			return
		}
		if by.Party == Client && c.scarce(Client) {
			w.Header().Set("Connection", "close")
		}
		next.ServeHTTP(w, r)
	})
}
