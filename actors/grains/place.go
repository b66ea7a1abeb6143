package grains

import (
	"github.com/pondmesh/pond/mesh/offers"
	"github.com/pondmesh/pond/mesh/ring"
)

// Member is a live node, as far as placing actors is concerned.
type Member struct {
	Node, Addr, Zone string // Addr is where it is called
	Leaving          bool
	Offers           offers.Set
}

// Owner is the member on which a key of a kind lives: of those that offer the kind and
// stay, the one that the ring ranks highest. There may be none.
func Owner(members []Member, kind, key string) (Member, bool) {
	nodes, name := make([]ring.Node, 0, len(members)), offers.Actor(kind)
	for _, m := range members {
		if !m.Leaving && m.Offers.Has(name) {
			nodes = append(nodes, ring.Node{ID: m.Node, Zone: m.Zone, Weight: 1})
		}
	}
	for _, first := range ring.Rank(nodes, kind+"/"+key, 1) {
		for _, m := range members {
			if m.Node == first.ID {
				return m, true
			}
		}
	}
	return Member{}, false
}
