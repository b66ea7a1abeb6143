package edge

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"

	"github.com/pondmesh/pond/actors/api"
	"github.com/pondmesh/pond/actors/auth"
	"github.com/pondmesh/pond/actors/intake"
	"github.com/pondmesh/pond/actors/token"
)

// A connection is a node's or a client's by certificate, without TLS by token, and a
// stranger's until there is one.
func TestWhose(t *testing.T) {
	secret := token.Secret(bytes.Repeat([]byte{1}, 32))
	e := newEdge(secret)
	for role, want := range map[string]intake.Caller{
		"submit": {Party: intake.Client, User: "ann"},
		"node":   {Party: intake.Client}, // a client's that says it is a node's
		"":       {Party: intake.Client},
		"boss":   {Party: intake.Client},
	} {
		r := httptest.NewRequest(http.MethodGet, "/", nil)
		r.TLS = caller(role)
		r.Header.Set("Authorization", secret.Call(auth.Identity{Role: auth.Node}, "127.0.0.1:7948")) // nobody asks for it
		if got := e.whose(r); got != want {
			t.Errorf("certificate %q: %+v", role, got)
		}
	}
	r := httptest.NewRequest(http.MethodGet, "/", nil)
	r.TLS = caller("node")
	r.TLS.PeerCertificates[0].ExtKeyUsage = []x509.ExtKeyUsage(nil) // one that may serve
	if got := e.whose(r); got.Party != intake.Node {
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
		if got := e.whose(r); got != c.want {
			t.Errorf("%.20q: %+v", c.header, got)
		}
	}
}

// caller is a TLS connection of a client with a role; none: without a certificate.
func caller(role string) *tls.ConnectionState {
	if role == "" {
		return &tls.ConnectionState{}
	}
	u := &url.URL{Scheme: "pond", Host: role, Path: "/ann"}
	return &tls.ConnectionState{PeerCertificates: []*x509.Certificate{{URIs: []*url.URL{u}, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth}}}}
}

// TestIdentify: the header of a request that is passed on is heard from nodes alone, and
// passing one on tells whose it is and nothing that its caller has claimed.
func TestIdentify(t *testing.T) {
	node := caller("node")
	node.PeerCertificates[0].ExtKeyUsage = []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth}
	ann := auth.Identity{User: "ann", Role: auth.Submit}
	e := newEdge(nil)
	for _, test := range []struct {
		by     *tls.ConnectionState
		header string
		want   auth.Identity // zero: refused
	}{
		{caller("submit"), "", ann},
		{caller("submit"), "pond://admin/ann", ann},
		{caller("submit"), "pond://submit/bob", ann},
		{caller("admin"), "pond://submit/bob", auth.Identity{User: "ann", Role: auth.Admin}},
		{node, "", auth.Identity{User: "ann", Role: auth.Node}},
		{node, "pond://submit/bob", auth.Identity{User: "bob", Role: auth.Submit}},
		{node, "pond://boss/bob", auth.Identity{}},
		{node, "bob", auth.Identity{}},
		{caller(""), "pond://admin/ann", auth.Identity{}},
		{nil, "", auth.Identity{}},
	} {
		r := httptest.NewRequest(http.MethodGet, "/", nil)
		r.TLS = test.by
		if test.header != "" {
			r.Header.Set(api.CallerHeader, test.header)
		}
		got, err := e.identify(r)
		if got != test.want || (err == nil) != (test.want != auth.Identity{}) {
			t.Errorf("%q: %v, %v; want %v", test.header, got, err, test.want)
			continue
		}
		if tell(r.Header, got); err != nil {
			continue
		}
		r.TLS = node // as the next node sees it
		if next, err := e.identify(r); err != nil || next.Role != got.Role || got.Role != auth.Node && next != got {
			t.Errorf("%q, passed on: %v, %v; want %v", test.header, next, err, got)
		}
	}
}

// TestTokens: without TLS a token says who calls, and a caller without one is told what
// to do. What is passed on carries the node's own, and whose it is.
func TestTokens(t *testing.T) {
	secret, other := token.Secret(bytes.Repeat([]byte{1}, 32)), token.Secret(bytes.Repeat([]byte{2}, 32))
	e := newEdge(secret)
	ann, node := auth.Identity{User: "ann", Role: auth.Submit}, auth.Identity{Role: auth.Node}
	own := secret.Call(node, "127.0.0.1:7948")
	lasting := func(s token.Secret, id auth.Identity) string { return token.Header(s.Token(token.Claim{Identity: id})) }
	for _, test := range []struct {
		header string
		code   int // of a route for those that submit
		want   auth.Identity
	}{
		{"", http.StatusUnauthorized, auth.Identity{}},
		{"Basic YTpi", http.StatusUnauthorized, auth.Identity{}},
		{token.Header("x.y"), http.StatusUnauthorized, auth.Identity{}},
		{lasting(other, node), http.StatusUnauthorized, auth.Identity{}},
		{lasting(secret, auth.Identity{User: "ann", Role: auth.Read}), http.StatusForbidden, auth.Identity{}},
		{lasting(secret, ann), http.StatusNoContent, ann},
		{secret.Call(ann, "127.0.0.1:7948"), http.StatusNoContent, ann},
		{secret.Call(ann, "127.0.0.1:7958"), http.StatusUnauthorized, auth.Identity{}}, // as another user might have heard it there
		{lasting(secret, auth.Identity{Role: auth.Admin}), http.StatusNoContent, auth.Identity{Role: auth.Admin}},
		{own, http.StatusNoContent, node},
	} {
		r := calledAt(httptest.NewRequest(http.MethodGet, "/", nil), 7948)
		r.Header.Set("Authorization", test.header)
		r.Header.Set(api.CallerHeader, "pond://boss/claimed")
		if test.want.Role == auth.Node {
			r.Header.Del(api.CallerHeader) // it would be heard
		}
		var got auth.Identity
		w := httptest.NewRecorder()
		e.only(auth.Submit, func(w http.ResponseWriter, r *http.Request) {
			got = CallerOf(r)
			w.WriteHeader(http.StatusNoContent)
		})(w, r)
		if w.Code != test.code || got != test.want || (w.Code == http.StatusUnauthorized) != (w.Header().Get("WWW-Authenticate") != "") {
			t.Errorf("%.40q: %d, %v: %s", test.header, w.Code, got, w.Body)
		}
		if said := w.Body.String(); w.Code == http.StatusUnauthorized && (!strings.Contains(said, "--token-file") || !strings.Contains(said, `"denied"`)) {
			t.Errorf("%.40q: %s", test.header, said)
		}
		if got == (auth.Identity{}) {
			continue
		}
		tell(r.Header, got)
		if left := r.Header.Get("Authorization"); left != "" {
			t.Errorf("%.40q is passed on", left)
		}
		r.Header.Set("Authorization", own)
		if next, err := e.identify(r); next != got || err != nil {
			t.Errorf("%v is passed on as %v, %v", got, next, err)
		}
	}
}

// calledAt is a request that has come in at a port of loopback.
func calledAt(r *http.Request, port int) *http.Request {
	at := &net.TCPAddr{IP: net.IPv4(127, 0, 0, 1), Port: port}
	return r.WithContext(context.WithValue(r.Context(), http.LocalAddrContextKey, net.Addr(at)))
}

// TestRoutesAdmit: a role suffices for what it is for.
func TestRoutesAdmit(t *testing.T) {
	e := newEdge(nil)
	for _, test := range []struct {
		least auth.Role
		by    *tls.ConnectionState
	}{{auth.Read, caller("read")}, {auth.Submit, caller("submit")}, {auth.Submit, caller("admin")}, {auth.Admin, caller("admin")}} {
		r := httptest.NewRequest(http.MethodGet, "/", nil)
		r.TLS = test.by
		w := httptest.NewRecorder()
		e.only(test.least, func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusNoContent) })(w, r)
		if w.Code != http.StatusNoContent {
			t.Errorf("%s: %d %s", test.least, w.Code, w.Body)
		}
	}
}
