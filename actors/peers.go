package actors

import (
	"context"
	"net"
	"sync"
	"time"

	"github.com/pondmesh/pond/actors/api"
	"github.com/pondmesh/pond/actors/plan"
	"github.com/pondmesh/pond/mesh"
)

// greetTimeout is how long another node's API is waited for that is only to show
// whether it trusts this one.
const greetTimeout = 2 * time.Second

// stateUntrusted is how a member is listed that gossips with this node and refuses
// it on every other port, or is refused.
const stateUntrusted = "untrusted"

// askPeers calls on the peers before anything is started. Gossip knows no
// certificates: without this a node that nobody trusts would stand among the
// others as alive. Peers that do not answer are left to gossip to judge.
func askPeers(ctx context.Context, c *Config) error {
	id, err := readNodeID(c.Dir)
	if err != nil {
		return err
	}
	client := api.NewPeer(c.TLS, nil)
	defer client.Close()
	return forEach(ctx, len(c.Peers), func(ctx context.Context, i int) error {
		addr, err := api.Addr(c.Peers[i])
		if err != nil {
			return err
		}
		ctx, cancel := context.WithTimeout(ctx, greetTimeout)
		defer cancel()
		m, err := client.At(addr).Members(ctx)
		switch {
		case plan.KindOf(err) == plan.KindDenied:
			te := *plan.AsError(err)
			te.Op, te.Subject = "join", "peer "+c.Peers[i]
			return &te
		case err != nil || id == "":
			return nil
		}
		return checkTwin(ctx, client, c, id, m)
	})
}

// checkReach refuses an address that only this machine can call, as its own name
// often has, for a node whose peers are elsewhere.
func (c *Config) checkReach(ctx context.Context, seeds []string) error {
	if here, known := loopback(ctx, c.Advertise); !here || !known || len(seeds) == 0 {
		return nil
	}
	for _, seed := range seeds {
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

// trust holds the other nodes' answers to this node's first calls.
type trust struct {
	mu    sync.Mutex
	boots map[mesh.NodeID]mesh.BootID // that answered, or are being asked
	deny  map[mesh.NodeID]bool        // of these, those that refuse or are refused
}

// begin reports whether a boot of a node is to be called on.
func (t *trust) begin(m mesh.Member) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.boots == nil {
		t.boots, t.deny = map[mesh.NodeID]mesh.BootID{}, map[mesh.NodeID]bool{}
	}
	if t.boots[m.ID] == m.Boot {
		return false
	}
	t.boots[m.ID] = m.Boot
	delete(t.deny, m.ID)
	return true
}

// end notes what came of it.
func (t *trust) end(m mesh.Member, err error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	switch kind := plan.KindOf(err); {
	case t.boots[m.ID] != m.Boot: // another boot since
	case err == nil:
	case kind == plan.KindDenied:
		t.deny[m.ID] = true
	default:
		delete(t.boots, m.ID) // it is asked again
	}
}

// keep forgets the nodes that are gone.
func (t *trust) keep(members []mesh.Member) {
	t.mu.Lock()
	defer t.mu.Unlock()
	here := map[mesh.NodeID]bool{}
	for _, m := range members {
		here[m.ID] = true
	}
	for id := range t.boots {
		if !here[id] {
			delete(t.boots, id)
			delete(t.deny, id)
		}
	}
}

func (t *trust) refused(id mesh.NodeID) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.deny[id]
}

// skewMax is how far clocks may differ unremarked. Deadlines are points in time,
// told from node to node; nothing else depends on clocks.
const skewMax = 10 * time.Second

// skewOf is how far another node's clock differs; 0 where it did not say.
func skewOf(v *api.Version, now time.Time) time.Duration {
	if v == nil || v.Now == 0 {
		return 0
	}
	return time.UnixMilli(v.Now).Sub(now).Abs().Round(time.Second)
}

// greet calls on the nodes that are new, and tells this node's keeper of those
// that refuse it, or that it refuses.
func (n *Node) greet(members []mesh.Member) {
	n.trust.keep(members)
	for _, m := range members {
		if m.ID == n.id || !n.trust.begin(m) {
			continue
		}
		n.goes.Go(func() {
			ctx, cancel := context.WithTimeout(n.ctx, greetTimeout)
			defer cancel()
			v, err := n.api.At(m.APIAddr()).Hop().Version(ctx)
			n.trust.end(m, err)
			if skew := skewOf(v, time.Now()); skew > skewMax {
				n.log.Warn("the clocks of two nodes differ: deadlines of jobs come too early or too late; set both by NTP", "node", m.ID, "addr", m.GossipAddr(), "by", skew)
			}
			if plan.KindOf(err) == plan.KindDenied {
				te := plan.AsError(err)
				n.log.Error("a node of this pond and this one do not trust each other: neither works for the other", "node", m.ID, "addr", m.GossipAddr(), "why", te.Text, "next", te.Hint)
			}
		})
	}
}
