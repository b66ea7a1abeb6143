//go:build duckdb_arrow

package actors_test

import (
	"context"
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/pondmesh/pond/actors"
	"github.com/pondmesh/pond/actors/registers"
	"github.com/pondmesh/pond/actors/setup"
	"github.com/pondmesh/pond/fs/register"
)

// keepersOf are the nodes that keep the registers, as a node knows; none while that
// changes.
func keepersOf(n *actors.Node) (out []string) {
	r := n.Registers().Roster()
	if r.Joint() {
		return nil
	}
	for _, k := range r.Keepers {
		out = append(out, registers.NodeOf(k))
	}
	return out
}

// tellsKeepers reports whether what a node tells of the members agrees with the registers.
func tellsKeepers(n *actors.Node) bool {
	keepers, told := keepersOf(n), n.Members()
	for _, m := range told.Members {
		if m.Keeper != slices.Contains(keepers, m.ID) {
			return false
		}
	}
	return len(told.MissingKeepers) == 0 && told.Registers == ""
}

// await waits until something is so; a busy machine may take its time.
func await(t testing.TB, what string, so func() bool) {
	t.Helper()
	for end := time.Now().Add(5 * time.Minute); !so(); time.Sleep(20 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatal("not in five minutes: ", what)
		}
	}
}

// Five nodes keep the registers by themselves; one that is killed is replaced, one that
// leaves hands over, and all that was written is there.
func TestKeepers(t *testing.T) {
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Minute)
	defer cancel()
	var nodes []*actors.Node
	start := func() *actors.Node {
		c := setup.Config{Dir: t.TempDir(), Memory: 256 << 20, Slots: 1, KeeperGrace: time.Second}
		if len(nodes) > 0 {
			c.Peers = []string{nodes[0].Addr()}
		}
		n, err := actors.Start(ctx, c)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { n.Close() })
		nodes = append(nodes, n)
		return n
	}
	start()
	if _, _, err := nodes[0].Registers().CAS(ctx, "k", "1", 0, []byte("x")); err != nil {
		t.Fatal(err)
	}
	for range 4 {
		start()
	}
	await(t, "five keepers", func() bool { return len(keepersOf(nodes[0])) == 5 })
	for i := range 20 {
		key := register.Key(fmt.Sprint("k", i))
		if _, _, err := nodes[i%5].Registers().CAS(ctx, key, registers.NewChange(), 0, []byte(key)); err != nil {
			t.Fatal(err)
		}
	}
	gone := nodes[0].ID()
	if err := nodes[0].Close(); err != nil {
		t.Fatal(err)
	}
	nodes = nodes[1:]
	start()
	await(t, "the killed keeper is replaced", func() bool {
		k := keepersOf(nodes[0])
		return len(k) == 5 && !slices.Contains(k, gone)
	})
	if err := nodes[0].Leave(ctx); err != nil { // it comes back, perhaps
		t.Fatal(err)
	}
	t.Cleanup(func() { // before the nodes are closed
		if t.Failed() {
			t.Logf("the registers' keepers: %v\nwhat is told: %+v", keepersOf(nodes[1]), nodes[1].Members())
		}
	})
	await(t, "three keepers of four nodes", func() bool { return len(keepersOf(nodes[1])) == 3 })
	await(t, "members tell of the keepers", func() bool { return tellsKeepers(nodes[1]) })
	last := nodes[len(nodes)-1].Registers()
	for i := range 20 {
		key := register.Key(fmt.Sprint("k", i))
		if data, version, err := last.Get(ctx, key); err != nil || version != 1 || string(data) != string(key) {
			t.Errorf("%s: %q, %d, %v", key, data, version, err)
		}
	}
}
