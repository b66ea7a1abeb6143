//go:build duckdb_arrow

package actors

import (
	"context"
	"net"
	"net/http/httptest"
	"testing"
	"time"

	"github.com/pondmesh/pond/actors/plan"
	"github.com/pondmesh/pond/actors/setup"
	"github.com/pondmesh/pond/mesh"
)

func startNode(t *testing.T, c setup.Config) *Node {
	t.Helper()
	c.Dir, c.Memory, c.Slots = t.TempDir(), 256<<20, 1
	n, err := Start(t.Context(), c)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { n.Close() })
	return n
}

// TestUntrusted: a member whose API speaks another protocol than ours, as one with
// other certificates does, is listed as what it is.
func TestUntrusted(t *testing.T) {
	n := startNode(t, setup.Config{})
	stranger := httptest.NewTLSServer(nil)
	defer stranger.Close()
	base, err := (&setup.Config{Bind: "127.0.0.1"}).BasePort()
	if err != nil {
		t.Fatal(err)
	}
	m, err := mesh.Join(t.Context(), mesh.Config{Node: "stranger", Port: base, Label: n.cfg.Label, Seeds: []string{n.Addr()},
		ActorsPort: base + 1, APIPort: stranger.Listener.Addr().(*net.TCPAddr).Port})
	if err != nil {
		t.Fatal(err)
	}
	defer m.Close()
	for deadline := time.After(time.Minute); ; {
		states := map[string]string{}
		for _, x := range n.Members().Members {
			states[x.ID] = x.State
		}
		if states["stranger"] == stateUntrusted {
			if states[n.ID()] != "alive" {
				t.Errorf("%v", states)
			}
			return
		}
		select {
		case <-time.After(20 * time.Millisecond):
		case <-deadline:
			t.Fatalf("the stranger is never told from the others: %v", states)
		}
	}
}

func TestTrust(t *testing.T) {
	m := mesh.Member{ID: "a", Boot: "1"}
	denied := &plan.Error{Kind: plan.KindDenied}
	var tr trust
	if !tr.begin(m) || tr.begin(m) {
		t.Error("a boot is called on once")
	}
	tr.end(m, context.DeadlineExceeded)
	if !tr.begin(m) || tr.refused("a") {
		t.Error("one that did not answer is called on again")
	}
	tr.end(m, denied)
	if !tr.refused("a") || tr.begin(m) {
		t.Error("who refused once does not change its mind")
	}
	again := mesh.Member{ID: "a", Boot: "2"}
	if !tr.begin(again) || tr.refused("a") {
		t.Error("a new boot is another matter")
	}
	tr.end(m, denied) // late
	if tr.refused("a") {
		t.Error("the answer of an old boot counts for the new one")
	}
	tr.end(again, denied)
	tr.keep(nil)
	if tr.refused("a") || !tr.begin(again) {
		t.Error("who is gone is not forgotten")
	}
}
