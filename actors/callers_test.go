package actors

import (
	"net/http"
	"net/http/httptest"
	"testing"

	"github.com/pondmesh/pond/actors/api"
	"github.com/pondmesh/pond/actors/intake"
)

// A connection is a node's by its certificate; without TLS by what is asked on it.
func TestWhose(t *testing.T) {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /nodes/{id}", http.NotFound)
	mux.HandleFunc("GET /all", http.NotFound)
	who := whose(mux, map[string]bool{"GET /nodes/{id}": true})
	for _, c := range []struct {
		path, role string // of the certificate; "-": without TLS
		hop        bool
		want       intake.Caller
	}{
		{"/nodes/1", "-", false, intake.Caller{Party: intake.Node}},
		{"/all", "-", true, intake.Caller{Party: intake.Node}},
		{"/all", "-", false, intake.Caller{Party: intake.Client}},
		{"/none", "-", false, intake.Caller{Party: intake.Client}},
		{"/nodes/1", "submit", true, intake.Caller{Party: intake.Client, User: "ann"}},
		{"/nodes/1", "node", true, intake.Caller{Party: intake.Client}}, // a client's that says it is a node's
		{"/nodes/1", "", true, intake.Caller{Party: intake.Client}},
		{"/nodes/1", "boss", false, intake.Caller{Party: intake.Client}},
	} {
		r := httptest.NewRequest(http.MethodGet, c.path, nil)
		if c.role != "-" {
			r.TLS = caller(c.role)
		}
		if c.hop {
			r.Header.Set(api.HopHeader, "1")
		}
		if got := who(r); got != c.want {
			t.Errorf("%+v: %+v", c, got)
		}
	}
	r := httptest.NewRequest(http.MethodGet, "/all", nil)
	r.TLS = caller("node")
	r.TLS.PeerCertificates[0].ExtKeyUsage = nil // one that may serve
	if got := who(r); got.Party != intake.Node {
		t.Errorf("a node's certificate: %+v", got)
	}
}
