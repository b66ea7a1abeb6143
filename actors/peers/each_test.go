package peers

import (
	"context"
	"log/slog"
	"testing"

	"github.com/pondmesh/pond/actors/api"
	"github.com/pondmesh/pond/mesh"
)

// TestAsk: every node's answer stands in its place, whether it came or not, and the node
// that asks is not called.
func TestAsk(t *testing.T) {
	a, b := otherNode(t, "a", api.JobStatus{ID: "1"}), otherNode(t, "b")
	gone := mesh.Member{ID: "gone", Host: "127.0.0.1", API: 1} // nobody listens
	self := mesh.Member{ID: "self", Host: "127.0.0.1", API: 1}
	p := &Peers{Self: "self", API: api.NewPeer(nil, nil, nil), Log: slog.New(slog.DiscardHandler)}
	defer p.API.Close()
	nodes := []mesh.Member{b, gone, self, a}
	got := Ask(t.Context(), p, nodes, "jobs", func() int { return 5 }, func(ctx context.Context, n *api.Peer) (int, error) {
		list, err := n.Records(ctx)
		return len(list), err
	})
	for i, want := range []int{0, 0, 5, 1} {
		if a := got[i]; a.Node.ID != nodes[i].ID || a.Said != want || (a.Err != nil) != (a.Node.ID == "gone") {
			t.Errorf("%d: %+v", i, a)
		}
	}
}
