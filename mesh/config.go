package mesh

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"regexp"
	"time"

	"github.com/pondmesh/pond/mesh/offers"
)

// Errors of [Join], for errors.Is.
var (
	ErrPortInUse  = errors.New("port in use")
	ErrNoSeed     = errors.New("no such peer")          // unknown or unreachable
	ErrWrongKey   = errors.New("different gossip key")  // or one has a key and the other none
	ErrWrongLabel = errors.New("different mesh label")  // or no gossip port at all
	ErrInsecure   = errors.New("key required")          // bound beyond loopback without one
	ErrConfig     = errors.New("invalid configuration") // the text says what
	ErrClosed     = errors.New("mesh closed")
)

// Config configures [Join]. Zero values are defaults where one is named.
type Config struct {
	Node NodeID // empty: made up; Self().ID says what, and the caller keeps it
	// Bind is the address to listen on, 127.0.0.1 by default. Any but a
	// loopback address needs a Key.
	Bind string
	// Advertise is the host others reach this node at, by default the bound
	// address, or a private address of this machine if Bind is 0.0.0.0.
	Advertise string
	Port      int // gossip, TCP and UDP; the caller picks a free one
	// Ports announced to the others; 0 if not served.
	ActorsPort, APIPort int
	// Seeds are host:port of any nodes of the mesh; without a port, Port is
	// meant. One that answers is enough, the others are tried again later.
	// A name means all the addresses that it has. None: this node starts a mesh of
	// its own. So may a node that finds only itself among its seeds.
	Seeds []string
	// JoinFor is how long Join calls seeds of which none answers. 0: once.
	// Negative: until its context ends.
	JoinFor time.Duration
	Label   string // keeps meshes apart that share a network
	Key     []byte // AES: 16, 24 or 32 bytes, or none

	Zone, Version string // at most 64 bytes each
	Slots         int
	Memory        int64 // bytes
	Offers        offers.Set

	Tuning Tuning
	Log    *slog.Logger // nil: discarded
	// OnPause, if set, is called when the process did not run for so long that
	// others may have declared it dead: whatever it was doing must stop. A new
	// boot of the node is announced after OnPause returns, so it should return
	// soon. It must not call Close or Leave.
	OnPause func(gap time.Duration)

	// For tests: to cut the wire, and to skip time for the watchdog.
	wrap    func(gossipTransport) gossipTransport
	clock   func() time.Time
	resolve func(ctx context.Context, host string) ([]net.IP, error)
}

// Tuning holds what trades detection time against traffic and false alarms.
// Zero fields take the default: a dead node is noticed after 2 to 3 s.
type Tuning struct {
	ProbeInterval           time.Duration // 500 ms
	ProbeTimeout            time.Duration // 200 ms
	SuspicionMult           int           // 3
	SuspicionMaxTimeoutMult int           // 3
	GossipInterval          time.Duration // 100 ms
	ReconnectInterval       time.Duration // 5 s: how often Serf calls on the dead
	ReconnectTimeout        time.Duration // 24 h: when Serf forgets them
	RejoinInterval          time.Duration // 5 s: how often lost seeds and members are called, for ever
	JoinTimeout             time.Duration // 5 s: how long a round of calling seeds takes
}

func (t Tuning) withDefaults() Tuning {
	set(&t.ProbeInterval, 500*time.Millisecond)
	set(&t.ProbeTimeout, 200*time.Millisecond)
	set(&t.SuspicionMult, 3)
	set(&t.SuspicionMaxTimeoutMult, 3)
	set(&t.GossipInterval, 100*time.Millisecond)
	set(&t.ReconnectInterval, 5*time.Second)
	set(&t.ReconnectTimeout, 24*time.Hour)
	set(&t.RejoinInterval, 5*time.Second)
	set(&t.JoinTimeout, 5*time.Second)
	return t
}

func set[T time.Duration | int](v *T, otherwise T) {
	if *v <= 0 {
		*v = otherwise
	}
}

// textBytesMax bounds a node id, zone or version, so that the tags fit in what
// gossip carries; labelBytesMax is memberlist's own bound.
const (
	textBytesMax  = 64
	labelBytesMax = 255
)

var nodeIDPattern = regexp.MustCompile(`^[A-Za-z0-9._-]{1,64}$`)

// Check says what [Join] would refuse of c, without starting anything: it wraps
// ErrConfig or ErrInsecure.
func (c Config) Check(ctx context.Context) error {
	if _, err := c.checked(ctx); err != nil {
		return fmt.Errorf("mesh: %w", err)
	}
	return nil
}

// checked returns c with defaults filled in, names resolved to addresses, and a
// node id.
func (c Config) checked(ctx context.Context) (Config, error) {
	if c.Node == "" {
		c.Node = NodeID("node-" + randomHex(4))
	}
	if c.Bind == "" {
		c.Bind = "127.0.0.1"
	}
	if c.Log == nil {
		c.Log = slog.New(slog.DiscardHandler)
	}
	if c.clock == nil {
		c.clock = time.Now
	}
	if c.resolve == nil {
		c.resolve = Lookup
	}
	c.Tuning = c.Tuning.withDefaults()
	switch {
	case !nodeIDPattern.MatchString(string(c.Node)):
		return c, fmt.Errorf("%w: node id %q: want 1 to %d letters, digits, '.', '_' or '-'", ErrConfig, c.Node, textBytesMax)
	case c.Port < 1 || c.Port > 65535:
		return c, fmt.Errorf("%w: gossip port %d: want 1 to 65535", ErrConfig, c.Port)
	case len(c.Zone) > textBytesMax || len(c.Version) > textBytesMax:
		return c, fmt.Errorf("%w: zone or version longer than %d bytes", ErrConfig, textBytesMax)
	case len(c.Offers) > offers.BytesMax:
		return c, fmt.Errorf("%w: %d bytes of offers: at most %d fit", ErrConfig, len(c.Offers), offers.BytesMax)
	case len(c.Label) > labelBytesMax:
		return c, fmt.Errorf("%w: label longer than %d bytes", ErrConfig, labelBytesMax)
	case len(c.Key) != 0 && len(c.Key) != 16 && len(c.Key) != 24 && len(c.Key) != 32:
		return c, fmt.Errorf("%w: key of %d bytes: want 16, 24 or 32", ErrConfig, len(c.Key))
	}
	bind, err := resolve(ctx, c.Bind)
	if err != nil {
		return c, fmt.Errorf("%w: bind address: %w", ErrConfig, err)
	}
	c.Bind = bind.String()
	if !bind.IsLoopback() && len(c.Key) == 0 {
		return c, fmt.Errorf("bind %s: %w: anyone who reaches a node without a key can join and stop it", c.Bind, ErrInsecure)
	}
	if c.Advertise != "" {
		ip, err := resolve(ctx, c.Advertise)
		if err != nil {
			return c, fmt.Errorf("%w: advertised address: %w", ErrConfig, err)
		}
		c.Advertise = ip.String()
	}
	return c, nil
}

// resolve returns the address of host, an IP address or a name; of several, an
// IPv4 one, so that "localhost" means the same to all.
func resolve(ctx context.Context, host string) (net.IP, error) {
	ips, err := Lookup(ctx, host)
	if err != nil {
		return nil, err
	}
	return ips[0], nil
}

// Lookup returns the addresses of host: the IPv4 ones if it has any, since the
// others are of the same machines. There is at least one.
func Lookup(ctx context.Context, host string) ([]net.IP, error) {
	if ip := net.ParseIP(host); ip != nil {
		return []net.IP{ip}, nil
	}
	ips, err := net.DefaultResolver.LookupIP(ctx, "ip", host)
	if err != nil {
		return nil, err
	}
	var v4 []net.IP
	for _, ip := range ips {
		if ip.To4() != nil {
			v4 = append(v4, ip)
		}
	}
	if len(v4) > 0 {
		return v4, nil
	}
	return ips, nil
}
