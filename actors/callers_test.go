package actors

import (
	"bytes"
	"crypto/x509"
	"net/http"
	"net/http/httptest"
	"testing"

	"github.com/pondmesh/pond/actors/auth"
	"github.com/pondmesh/pond/actors/intake"
	"github.com/pondmesh/pond/actors/setup"
	"github.com/pondmesh/pond/actors/token"
)

// A connection is a node's or a client's by certificate, without TLS by token, and a
// stranger's until there is one.
func TestWhose(t *testing.T) {
	secret := token.Secret(bytes.Repeat([]byte{1}, 32))
	n := &Node{cfg: setup.Config{Secret: secret}}
	for role, want := range map[string]intake.Caller{
		"submit": {Party: intake.Client, User: "ann"},
		"node":   {Party: intake.Client}, // a client's that says it is a node's
		"":       {Party: intake.Client},
		"boss":   {Party: intake.Client},
	} {
		r := httptest.NewRequest(http.MethodGet, "/", nil)
		r.TLS = caller(role)
		r.Header.Set("Authorization", secret.Call(auth.Identity{Role: auth.Node}, "127.0.0.1:7948")) // nobody asks for it
		if got := n.whose(r); got != want {
			t.Errorf("certificate %q: %+v", role, got)
		}
	}
	r := httptest.NewRequest(http.MethodGet, "/", nil)
	r.TLS = caller("node")
	r.TLS.PeerCertificates[0].ExtKeyUsage = []x509.ExtKeyUsage(nil) // one that may serve
	if got := n.whose(r); got.Party != intake.Node {
		t.Errorf("a node's certificate: %+v", got)
	}
	for _, c := range []struct {
		header string
		want   intake.Caller
	}{
		{"", intake.Caller{}},
		{"Bearer x", intake.Caller{}},
		{secret.Call(auth.Identity{Role: auth.Node}, "127.0.0.1:1"), intake.Caller{}},
		{secret.Call(auth.Identity{Role: auth.Node}, "127.0.0.1:7948"), intake.Caller{Party: intake.Node}},
		{secret.Call(auth.Identity{Role: auth.Admin}, "localhost:7948"), intake.Caller{Party: intake.Client}},
		{secret.Call(auth.Identity{User: "ann", Role: auth.Read}, "[::1]:7948"), intake.Caller{Party: intake.Client, User: "ann"}},
	} {
		r := calledAt(httptest.NewRequest(http.MethodGet, "/", nil), 7948)
		r.Header.Set("Authorization", c.header)
		if got := n.whose(r); got != c.want {
			t.Errorf("%.20q: %+v", c.header, got)
		}
	}
}
