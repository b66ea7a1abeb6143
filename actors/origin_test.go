package actors

import (
	"log/slog"
	"net/http"
	"net/http/httptest"
	"testing"

	"github.com/pondmesh/pond/actors/peers"
	"github.com/pondmesh/pond/mesh"
)

// What a web page of another origin can make a browser send is refused, and what
// the command line and curl send is not.
func TestGuard(t *testing.T) {
	n := &Node{id: "n", log: slog.New(slog.DiscardHandler), peers: &peers.Peers{View: func() *mesh.View { return new(mesh.View) }}}
	n.cfg.Bind, n.cfg.Advertise = "127.0.0.1", "db.example"
	n.up.Store(true)
	served := (&server{n: n}).guard(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {}))
	for _, c := range []struct {
		name, method, host, header, value string
		want                              int
	}{
		{"curl", "POST", "127.0.0.1:7780", "", "", 200},
		{"IPv6", "POST", "[::1]:7780", "", "", 200},
		{"localhost", "GET", "localhost:7780", "", "", 200},
		{"advertised", "POST", "DB.example:7780", "", "", 200},
		{"its own page", "POST", "localhost:7780", "Origin", "http://localhost:7780", 200},
		{"foreign name", "POST", "evil.example:7780", "", "", 403},
		{"foreign name reads", "GET", "evil.example", "", "", 403},
		{"rebound, so of the same origin", "POST", "evil.example:7780", "Origin", "http://evil.example:7780", 403},
		{"no host", "GET", "", "", "", 403},
		{"an address in a foreign name", "GET", "127.0.0.1.evil.example:7780", "", "", 403},
		{"cross-origin", "POST", "127.0.0.1:7780", "Origin", "http://evil.example", 403},
		{"cross-origin delete", "DELETE", "127.0.0.1:7780", "Origin", "http://evil.example", 403},
		{"cross-origin read", "GET", "127.0.0.1:7780", "Origin", "http://evil.example", 403},
		{"an image of another site", "GET", "127.0.0.1:7780", "Sec-Fetch-Site", "cross-site", 403},
		{"opaque origin", "POST", "127.0.0.1:7780", "Origin", "null", 403},
	} {
		r := httptest.NewRequest(c.method, "/v1/jobs", nil)
		r.Host = c.host
		if c.header != "" {
			r.Header.Set(c.header, c.value)
		}
		w := httptest.NewRecorder()
		served.ServeHTTP(w, r)
		if w.Code != c.want {
			t.Errorf("%s: %d, want %d: %s", c.name, w.Code, c.want, w.Body)
		}
	}
}

// TestNotYetUp: who asks a node that still calls its peers is told so, at once.
func TestNotYetUp(t *testing.T) {
	n := &Node{id: "n", log: slog.New(slog.DiscardHandler), peers: &peers.Peers{View: func() *mesh.View { return new(mesh.View) }}}
	served := (&server{n: n}).guard(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {}))
	for _, up := range []bool{false, true} {
		n.up.Store(up)
		w := httptest.NewRecorder()
		served.ServeHTTP(w, httptest.NewRequest("GET", "http://127.0.0.1/v1/members", nil))
		if up != (w.Code == http.StatusOK) || !up && w.Code != http.StatusServiceUnavailable {
			t.Errorf("up: %v: %d %s", up, w.Code, w.Body)
		}
	}
}
