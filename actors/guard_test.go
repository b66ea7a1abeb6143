package actors

import (
	"log/slog"
	"net/http"
	"net/http/httptest"
	"testing"

	"github.com/pondmesh/pond/actors/peers"
	"github.com/pondmesh/pond/mesh"
)

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

// TestGuard: what a web page can make a browser send is refused before a route sees it.
func TestGuard(t *testing.T) {
	n := &Node{id: "n", log: slog.New(slog.DiscardHandler)}
	served := (&server{n: n}).guard(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { t.Error("it is served") }))
	r := httptest.NewRequest("POST", "/v1/jobs", nil)
	r.Host = "evil.example:7780"
	w := httptest.NewRecorder()
	if served.ServeHTTP(w, r); w.Code != http.StatusForbidden {
		t.Errorf("%d %s", w.Code, w.Body)
	}
}
