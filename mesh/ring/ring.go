// Package ring decides which nodes own a key: weighted rendezvous hashing, with
// replicas kept in different zones. Equal inputs give equal answers on every
// machine and in every version: the arithmetic is integer (one exact division
// aside) and frozen by test vectors, since stored data is found again by it.
//
// It is pure: no clock, no view. It says where
// things should be, never where they are; whoever stores something records the
// actual holders, and the ring is a hint.
//
//	key ──xxh3──▶ 64 bits ── with each node's hash ──mix──▶ h;  cost = -log2(h / 2⁶⁴) / weight
//	                                                        lowest cost owns
//
// A node that leaves gives up only its own share, spread over all others by
// weight; one that joins takes its share from all others. Read Rank first, then
// many.go and cost.go.
package ring

import (
	"cmp"
	"math"
	"slices"

	"github.com/zeebo/xxh3"
)

// Node is a candidate owner.
type Node struct {
	ID string // unique among the candidates
	// Zone names the nodes that fail together: a rack, a site. A node without a
	// zone shares its fate with no other.
	Zone string
	// Weight is the share the node takes, relative to the others'. A node whose
	// weight is not positive and finite takes nothing.
	Weight float64
}

// Rank returns the n best owners of key, best first, fewer if there are fewer.
//
// Zones are distinct while possible: no zone is used twice before every zone
// has been used once, nor three times before every one twice, and so on. The
// order of nodes does not matter, and nodes is not changed.
func Rank(nodes []Node, key string, n int) []Node {
	return rank(nodes, mix(xxh3.HashString(key)), n)
}

type candidate struct {
	node  int // index into nodes
	round int // how many better nodes its zone has
	cost  float64
	hash  uint64
}

func rank(nodes []Node, key uint64, n int) []Node {
	if n <= 0 {
		return nil
	}
	all := make([]candidate, 0, len(nodes))
	for i, node := range nodes {
		if !(node.Weight > 0) || math.IsInf(node.Weight, 1) {
			continue
		}
		h := mix(key ^ xxh3.HashString(node.ID))
		all = append(all, candidate{node: i, cost: cost(h, node.Weight), hash: h})
	}
	all = pick(nodes, all, n)
	out := make([]Node, len(all))
	for i, c := range all {
		out[i] = nodes[c.node]
	}
	return out
}

// pick is the n best of the candidates, in order.
func pick(nodes []Node, all []candidate, n int) []candidate {
	// Best first. Costs are rounded, hashes are not; ids settle the rest.
	slices.SortFunc(all, func(a, b candidate) int {
		return cmp.Or(
			cmp.Compare(a.cost, b.cost),
			cmp.Compare(b.hash, a.hash),
			cmp.Compare(nodes[a.node].ID, nodes[b.node].ID))
	})
	var seen map[string]int
	for i := range all {
		if zone := nodes[all[i].node].Zone; zone != "" {
			if seen == nil {
				seen = make(map[string]int)
			}
			all[i].round = seen[zone]
			seen[zone]++
		}
	}
	if seen != nil {
		slices.SortStableFunc(all, func(a, b candidate) int { return cmp.Compare(a.round, b.round) })
	}
	return all[:min(n, len(all))]
}
