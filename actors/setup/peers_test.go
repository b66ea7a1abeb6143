package setup

import (
	"crypto/tls"
	"encoding/json"
	"net"
	"net/http"
	"net/http/httptest"
	"strconv"
	"strings"
	"testing"

	"github.com/pondmesh/pond/actors/api"
)

// livingPeer answers as a node with that identity does, and returns its base address.
func livingPeer(t *testing.T, id string) string {
	t.Helper()
	mux := http.NewServeMux()
	srv := httptest.NewServer(mux)
	t.Cleanup(srv.Close)
	port := srv.Listener.Addr().(*net.TCPAddr).Port
	base := net.JoinHostPort("127.0.0.1", strconv.Itoa(port-api.PortOffset))
	mux.HandleFunc("GET /v1/members", func(w http.ResponseWriter, _ *http.Request) {
		_ = json.NewEncoder(w).Encode(api.Members{Members: []api.MemberInfo{{ID: id, Addr: base, API: srv.Listener.Addr().String()}, {ID: "died", API: "127.0.0.1:1"}}})
	})
	mux.HandleFunc("GET /v1/version", func(w http.ResponseWriter, _ *http.Request) {
		_ = json.NewEncoder(w).Encode(api.Version{Node: id})
	})
	return base
}

// folderOf is a data folder of the node with that identity.
func folderOf(t *testing.T, id string) string {
	t.Helper()
	dir := t.TempDir()
	if err := writeOnce(dir+"/"+idFile, id+"\n"); err != nil {
		t.Fatal(err)
	}
	return dir
}

// TestAskPeers: who would not be trusted, or is a copy of a living node, does not
// begin to start.
func TestAskPeers(t *testing.T) {
	peer := livingPeer(t, "a1")
	for _, test := range []struct {
		name string
		c    Config
		says string
	}{
		{"TLS for a node without", Config{Dir: t.TempDir(), Peers: []string{peer}, TLS: &tls.Config{}}, "without TLS"},
		{"a copied folder", Config{Dir: folderOf(t, "a1"), Peers: []string{peer}}, "runs with the identity"},
		{"a node that comes back", Config{Dir: folderOf(t, "died"), Peers: []string{peer}}, ""},
		{"a new folder", Config{Dir: t.TempDir(), Peers: []string{peer}}, ""},
		{"nobody there", Config{Dir: t.TempDir(), Peers: []string{"127.0.0.1:1"}}, ""},
	} {
		err := askPeers(t.Context(), &test.c)
		if (err == nil) != (test.says == "") || err != nil && !strings.Contains(err.Error(), test.says) {
			t.Errorf("%s: %v", test.name, err)
		}
	}
}

// TestReach: an address of this machine alone will do only among its own nodes.
func TestReach(t *testing.T) {
	for _, test := range []struct {
		advertise string
		seeds     []string
		refused   bool
	}{
		{"127.0.0.1", nil, false},
		{"127.0.0.1", []string{"192.0.2.1:7946"}, true},
		{"127.0.0.1", []string{"192.0.2.1:7946", "127.0.0.1:7946"}, false},
		{"192.0.2.7", []string{"192.0.2.1:7946"}, false},
	} {
		c := Config{Advertise: test.advertise, Peers: test.seeds, seeds: test.seeds}
		if err := c.checkReach(t.Context()); (err != nil) != test.refused {
			t.Errorf("%s among %v: %v", test.advertise, test.seeds, err)
		}
	}
}
