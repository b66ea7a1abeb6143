package peers

import (
	"context"
	"fmt"
	"log/slog"
	"testing"

	"github.com/pondmesh/pond/actors/api"
	"github.com/pondmesh/pond/actors/plan"
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

// A node that is there and refuses has answered.
func TestWhy(t *testing.T) {
	for _, c := range []struct {
		err  error
		want string
	}{
		{nil, "it said nothing"},
		{&plan.Error{Kind: plan.KindUnavailable, Text: "connection refused"}, "it does not answer"},
		{fmt.Errorf("asking: %w", context.DeadlineExceeded), "it does not answer"},
		{&plan.Error{Kind: plan.KindDenied, Op: "call", Text: "its certificate is not trusted"}, "its certificate is not trusted"},
		{&plan.Error{Kind: plan.KindStorage, Op: "read", Text: "input/output error"}, "input/output error"},
	} {
		if got := (&Answer[int]{Err: c.err}).Why(); got != c.want {
			t.Errorf("%v is told as %q, want %q", c.err, got, c.want)
		}
	}
}
