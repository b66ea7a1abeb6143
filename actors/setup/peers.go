package setup

import (
	"context"
	"net"
	"strconv"
	"time"

	"github.com/pondmesh/pond/actors/api"
	"github.com/pondmesh/pond/actors/plan"
	"golang.org/x/sync/errgroup"
)

// askTimeout is how long a peer is waited for, and asksMax how many are asked at
// once.
const (
	askTimeout = 2 * time.Second
	asksMax    = 32
)

func seedsOf(peers []string) ([]string, error) {
	var seeds []string
	for _, p := range peers {
		host, port, err := api.SplitPeer(p)
		if err != nil {
			return nil, err
		}
		seeds = append(seeds, net.JoinHostPort(host, strconv.Itoa(port)))
	}
	return seeds, nil
}

// askPeers calls on the peers before anything is started. Gossip knows no
// certificates: without this a node that nobody trusts would stand among the
// others as alive. Peers that do not answer are left to gossip to judge.
func askPeers(ctx context.Context, c *Config) error {
	id, err := readNodeID(c.Dir)
	if err != nil {
		return err
	}
	client := api.NewPeer(c.TLS, c.Secret, nil)
	defer client.Close()
	g, ctx := errgroup.WithContext(ctx)
	g.SetLimit(asksMax)
	for _, peer := range c.Peers {
		g.Go(func() error { return askPeer(ctx, client, c, id, peer) })
	}
	return g.Wait()
}

func askPeer(ctx context.Context, client *api.Peer, c *Config, id, peer string) error {
	addr, err := api.Addr(peer)
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, askTimeout)
	defer cancel()
	m, err := client.At(addr).Members(ctx)
	switch {
	case plan.KindOf(err) == plan.KindDenied:
		te := *plan.AsError(err)
		te.Op, te.Subject = "join", "peer "+peer
		return &te
	case err != nil || id == "":
		return nil
	}
	return checkTwin(ctx, client, c, id, m)
}

// checkReach refuses an address that only this machine can call, as its own name
// often has, for a node whose peers are elsewhere.
func (c *Config) checkReach(ctx context.Context) error {
	if here, known := loopback(ctx, c.Advertise); !here || !known || len(c.seeds) == 0 {
		return nil
	}
	for _, seed := range c.seeds {
		host, _, err := net.SplitHostPort(seed)
		if here, known := loopback(ctx, host); err != nil || here || !known {
			return nil
		}
	}
	return badSetting("advertise", "give --bind, or --advertise, an address of this machine's network",
		"every machine calls itself by %s: %s could not call this node back", c.Advertise, some(c.Peers))
}

// loopback reports whether a host means the machine that asks, where that is known.
func loopback(ctx context.Context, host string) (is, known bool) {
	ips, err := net.DefaultResolver.LookupIP(ctx, "ip", host)
	if err != nil || len(ips) == 0 {
		return false, false
	}
	return ips[0].IsLoopback(), true
}

// checkTwin refuses to start beside a living node of the same identity: the data
// folder is a copy. A node that was here before and has only just died does not
// answer.
func checkTwin(ctx context.Context, client *api.Peer, c *Config, id string, seen *api.Members) error {
	for _, m := range seen.Members {
		if m.ID != id {
			continue
		}
		if v, err := client.At(m.API).Version(ctx); err != nil || v.Node != id {
			continue
		}
		return notOurs(c.Dir, "give each node a folder of its own; if this one is a copy, remove "+idFile+" from it",
			"the node at %s runs with the identity that is kept there, %s", m.Addr, id)
	}
	return nil
}
