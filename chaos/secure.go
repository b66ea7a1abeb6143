package chaos

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"github.com/pondmesh/pond"
	"github.com/pondmesh/pond/chaos/netns"
	"github.com/pondmesh/pond/chaos/scenario"
)

// netPort is the base port of every node in a namespace: gossip is on it.
const netPort = 7946

// realm is a network of namespaces, with the keys that nodes beyond loopback need.
type realm struct {
	net    *netns.Network
	binary string
	dir    string // of certificates
	client *tls.Config
}

func newRealm(ctx context.Context, o Options) (*realm, error) {
	n, err := netns.New()
	if err != nil {
		return nil, fmt.Errorf("chaos: %w", err)
	}
	r := &realm{net: n, binary: o.Binary, dir: filepath.Join(o.Dir, "tls")}
	err = r.make(ctx, "init")
	if err == nil {
		err = r.make(ctx, "issue", n.Addr())
	}
	if err == nil {
		r.client, err = r.load(n.Addr())
	}
	if err != nil {
		return nil, errors.Join(err, n.Close())
	}
	return r, nil
}

// make has the binary make keys and certificates.
func (r *realm) make(ctx context.Context, args ...string) error {
	e, err := Command(ctx, "", r.binary, append(append([]string{"tls"}, args...), "--dir", r.dir)...)
	if err != nil {
		return err
	}
	if e.Code != 0 {
		return fmt.Errorf("chaos: pondnode tls %q: %v", args, e)
	}
	return nil
}

// load is the configuration of the holder of a certificate.
func (r *realm) load(name string) (*tls.Config, error) {
	cert, err := tls.LoadX509KeyPair(r.file(name+".crt"), r.file(name+".key"))
	if err != nil {
		return nil, fmt.Errorf("chaos: certificate: %w", err)
	}
	pem, err := os.ReadFile(r.file("ca.crt"))
	if err != nil {
		return nil, fmt.Errorf("chaos: authority: %w", err)
	}
	pool := x509.NewCertPool()
	if !pool.AppendCertsFromPEM(pem) {
		return nil, errors.New("chaos: authority: it holds no certificate")
	}
	return &tls.Config{Certificates: []tls.Certificate{cert}, RootCAs: pool, MinVersion: tls.VersionTLS13}, nil
}

func (r *realm) file(name string) string { return filepath.Join(r.dir, name) }

// host makes the namespace of one more node, and its certificate.
func (r *realm) host(ctx context.Context) (*netns.Host, error) {
	h, err := r.net.Add()
	if err != nil {
		return nil, fmt.Errorf("chaos: %w", err)
	}
	return h, r.make(ctx, "issue", h.Addr())
}

// flags are those of a node on the host.
func (r *realm) flags(h *netns.Host) []string {
	return []string{"--bind", h.Addr(), "--gossip-key", r.file("gossip.key"), "--tls-cert", r.file(h.Addr() + ".crt"), "--tls-key", r.file(h.Addr() + ".key"), "--tls-ca", r.file("ca.crt")}
}

// TLS is how clients call the nodes; nil for nodes on loopback.
func (c *Cluster) TLS() *tls.Config {
	if c.realm == nil {
		return nil
	}
	return c.realm.client
}

// Connect is pond.Connect to nodes of this cluster.
func (c *Cluster) Connect(addrs string, o ...pond.ClientOption) (*pond.Session, error) {
	if t := c.TLS(); t != nil {
		o = append(o, pond.WithTLS(t))
	}
	return pond.Connect(addrs, o...)
}

// Network makes the network of a node in a namespace fail as a fault says; nil: it
// works. Both ways of the node to all others fail, and to this process.
func (n *Node) Network(f *scenario.Fault) error {
	if n.host == nil {
		return fmt.Errorf("chaos: network of node %s: it is on loopback: %w", n.id, errors.ErrUnsupported)
	}
	if f == nil {
		n.host.Set(nil)
		return nil
	}
	r := &netns.Rule{In: f.Way != scenario.Out, Out: f.Way != scenario.In, Loss: f.Loss}
	switch f.Do {
	case scenario.Cut:
		r.Loss = 100
	case scenario.Delay:
		r.Late = time.Duration(f.Late)
	}
	if f.Gossip {
		r.Ports = []uint16{netPort}
	}
	n.host.Set(r)
	return nil
}
