// Package pondtest starts ponds for tests: nodes of this process that know one
// another, with data folders of their own, ended with the test. A pond of three or more
// stands the death of any of them from the start.
//
//	nodes := pondtest.New(t, 3)
//	rows, err := nodes[0].SQL(ctx, "SELECT count(*) FROM 'data/*.parquet'")
//
// The nodes listen on free ports of loopback and share the process, its memory and
// its cores: it refuses to be a measure of speed or of a node's death. Package
// chaos starts real processes, and kills them.
package pondtest

import (
	"context"
	"testing"
	"time"

	"github.com/pondmesh/pond"
	"github.com/pondmesh/pond/fs/register"
)

// The defaults of each node.
const (
	Memory = 512 << 20 // bytes
	Slots  = 2
)

// Bounds of the nodes' getting to know one another.
const (
	meetMax  = time.Minute
	meetPoll = 20 * time.Millisecond
)

// New starts n nodes that all see one another, and of which as many keep the pond's
// registers as of so many nodes do. Options are given to each.
func New(t testing.TB, n int, options ...pond.Option) []*pond.Node {
	t.Helper()
	nodes := make([]*pond.Node, n)
	for i := range nodes {
		nodes[i] = start(t, nodes[:i], options)
	}
	meet(t, nodes, n, register.Size(n))
	return nodes
}

// Join starts one more node beside nodes, which are all of a pond, and returns it
// when all see one another.
func Join(t testing.TB, nodes []*pond.Node, options ...pond.Option) *pond.Node {
	t.Helper()
	n := start(t, nodes, options)
	meet(t, append(nodes[:len(nodes):len(nodes)], n), len(nodes)+1, 0)
	return n
}

func start(t testing.TB, peers []*pond.Node, options []pond.Option) *pond.Node {
	t.Helper()
	own := []pond.Option{pond.WithDir(t.TempDir()), pond.WithMemory(Memory), pond.WithSlots(Slots)}
	if len(peers) > 0 {
		own = append(own, pond.WithPeers(peers[0].Addr()))
	}
	ctx, cancel := context.WithTimeout(t.Context(), meetMax)
	defer cancel()
	node, err := pond.Join(ctx, append(own, options...)...)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { node.Close() })
	return node
}

// meet waits until each of nodes sees n members, and so many keepers of registers at
// least: while there is but one, its death is the pond's.
func meet(t testing.TB, nodes []*pond.Node, n, keepers int) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), meetMax)
	defer cancel()
	tick := time.NewTicker(meetPoll)
	defer tick.Stop()
	for _, node := range nodes {
		for {
			members, err := node.Members(ctx)
			if err != nil {
				t.Fatal(err)
			}
			keep := 0
			for _, m := range members {
				if m.Keeper {
					keep++
				}
			}
			if len(members) == n && keep >= keepers {
				break
			}
			select {
			case <-tick.C:
			case <-ctx.Done():
				t.Fatalf("node %s sees %d members, not %d, of which %d keep registers, not %d", node.ID(), len(members), n, keep, keepers)
			}
		}
	}
}
