//go:build duckdb_arrow

package actors

import (
	"net"
	"net/http/httptest"
	"testing"
	"time"

	"github.com/pondmesh/pond/actors/peers"
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
	m, err := mesh.Join(t.Context(), mesh.Config{Node: "stranger", Port: base, Label: n.cfg.Label, Key: n.cfg.GossipKey, Seeds: []string{n.Addr()},
		ActorsPort: base + 1, APIPort: stranger.Listener.Addr().(*net.TCPAddr).Port})
	if err != nil {
		t.Fatal(err)
	}
	defer m.Close()
	for deadline := time.After(5 * time.Minute); ; {
		states := map[string]string{}
		for _, x := range n.Members().Members {
			states[x.ID] = x.State
		}
		if states["stranger"] == peers.StateUntrusted {
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
