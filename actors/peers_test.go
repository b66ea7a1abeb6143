//go:build duckdb_arrow

package actors

import (
	"context"
	"crypto/tls"
	"net"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/pondmesh/pond/actors/plan"
	"github.com/pondmesh/pond/mesh"
)

func startNode(t *testing.T, c Config) *Node {
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
	n := startNode(t, Config{})
	stranger := httptest.NewTLSServer(nil)
	defer stranger.Close()
	base, err := pickPorts("127.0.0.1", 0)
	if err != nil {
		t.Fatal(err)
	}
	m, err := mesh.Join(t.Context(), mesh.Config{Node: "stranger", Port: base, Label: defaultLabel, Seeds: []string{n.Addr()},
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

// TestAskPeers: who would not be trusted, or is a copy of a living node, does not
// begin to start.
func TestAskPeers(t *testing.T) {
	n := startNode(t, Config{})
	for _, test := range []struct {
		name string
		c    Config
		says string
	}{
		{"TLS for a node without", Config{Dir: t.TempDir(), Peers: []string{n.Addr()}, TLS: &tls.Config{}}, "without TLS"},
		{"a copied folder", Config{Dir: n.cfg.Dir, Peers: []string{n.Addr()}}, "runs with the identity"},
		{"another folder", Config{Dir: t.TempDir(), Peers: []string{n.Addr()}}, ""},
		{"nobody there", Config{Dir: t.TempDir(), Peers: []string{"127.0.0.1:1"}}, ""},
	} {
		err := askPeers(t.Context(), &test.c)
		if (err == nil) != (test.says == "") || err != nil && !strings.Contains(err.Error(), test.says) {
			t.Errorf("%s: %v", test.name, err)
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
