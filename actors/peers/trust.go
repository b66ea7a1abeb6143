package peers

import (
	"context"
	"sync"
	"time"

	"github.com/pondmesh/pond/actors/api"
	"github.com/pondmesh/pond/actors/plan"
	"github.com/pondmesh/pond/mesh"
)

// greetTimeout is how long another node's API is waited for that is only to show
// whether it trusts this one.
const greetTimeout = 2 * time.Second

// StateUntrusted is how a member is listed that gossips with this node and refuses
// it on every other port, or is refused.
const StateUntrusted = "untrusted"

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

// Refused reports whether a member refuses this node, or is refused by it.
func (p *Peers) Refused(id mesh.NodeID) bool { return p.trust.refused(id) }

// Greet calls on the members that are new, each in a goroutine that start begins,
// and tells this node's keeper of those that refuse it, or that it refuses.
func (p *Peers) Greet(ctx context.Context, members []mesh.Member, start func(func())) {
	p.trust.keep(members)
	for _, m := range members {
		if m.ID != p.Self && p.trust.begin(m) {
			start(func() { p.call(ctx, m) })
		}
	}
}

func (p *Peers) call(ctx context.Context, m mesh.Member) {
	ctx, cancel := context.WithTimeout(ctx, greetTimeout)
	defer cancel()
	v, err := p.API.At(m.APIAddr()).Hop().Version(ctx)
	p.trust.end(m, err)
	if skew := skewOf(v, time.Now()); skew > skewMax {
		p.Log.Warn("the clocks of two nodes differ: deadlines of jobs come too early or too late; set both by NTP", "node", m.ID, "addr", m.GossipAddr(), "by", skew)
	}
	if plan.KindOf(err) == plan.KindDenied {
		te := plan.AsError(err)
		p.Log.Error("a node of this pond and this one do not trust each other: neither works for the other", "node", m.ID, "addr", m.GossipAddr(), "why", te.Text, "next", te.Hint)
	}
}
