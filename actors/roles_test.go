package actors

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"regexp"
	"strings"
	"testing"

	"github.com/pondmesh/pond/actors/api"
	"github.com/pondmesh/pond/actors/auth"
	"github.com/pondmesh/pond/actors/setup"
	"github.com/pondmesh/pond/actors/token"
)

// leastRoles is what each route asks for.
var leastRoles = map[auth.Role][]string{
	auth.Read: {"GET /v1/jobs", "GET /v1/jobs/{id}", "GET /v1/jobs/{id}/watch", "GET /v1/datasets", "GET /v1/members", "GET /v1/version", "GET /v1/usage", "GET /metrics"},
	auth.Submit: {"POST /v1/jobs", "GET /v1/job-id", "GET /v1/jobs/{id}/spec", "GET /v1/jobs/{id}/rows", "POST /v1/jobs/{id}/cancel", "POST /v1/jobs/{id}/renew",
		"GET /v1/jobs/{id}/explain", "POST /v1/actors/{kind}/{key}", "POST /v1/describe", "POST /v1/explain", "DELETE /v1/datasets/{name}", "POST /v1/blocks", "GET /v1/segments/{id}/schema"},
	auth.Admin: {"POST /v1/leave", "POST /v1/registers/recover", "GET /v1/faults", "POST /v1/faults", "DELETE /v1/faults"},
	auth.Node: {"PUT /v1/specs/{id}", "GET /v1/specs", "POST /v1/jobs/{id}/start", "GET /v1/jobs/{id}/packet", "GET /v1/jobs/{id}/read", "GET /v1/segments/{id}/parts", "DELETE /v1/segments/{id}",
		"POST /v1/held", "POST /v1/registers", "PUT /v1/uploads/{id}", "GET /v1/uploads/{id}", "POST /v1/uploads/{id}/verify", "POST /v1/inventory"},
}

// caller is a TLS connection of a client with a role; none: without a certificate.
func caller(role string) *tls.ConnectionState {
	if role == "" {
		return &tls.ConnectionState{}
	}
	u := &url.URL{Scheme: "pond", Host: role, Path: "/ann"}
	return &tls.ConnectionState{PeerCertificates: []*x509.Certificate{{URIs: []*url.URL{u}, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth}}}}
}

// TestRoutesRefuse: every route turns away every caller whose role is less than it
// asks for, nobody and clients that claim to be nodes included, whatever headers say.
func TestRoutesRefuse(t *testing.T) {
	n := faultyNode(t, chaosKey)
	served, known := newServer(n).Handler, 0
	for least, routes := range leastRoles {
		for _, route := range routes {
			known++
			method, path, _ := strings.Cut(route, " ")
			for role, is := range map[string]auth.Role{"": 0, "boss": 0, "node": 0, "read": auth.Read, "submit": auth.Submit, "admin": auth.Admin} {
				if is >= least {
					continue // its handler would answer
				}
				r := httptest.NewRequest(method, "https://127.0.0.1"+regexp.MustCompile(`{\w+}`).ReplaceAllString(path, "x"), nil)
				r.TLS = caller(role)
				r.Header.Set("X-Pond-Role", "node")
				r.Header.Set(api.HopHeader, "1")
				r.Header.Set(api.ChaosKeyHeader, chaosKey)
				r.Header.Set(api.CallerHeader, "pond://node/n1")
				w := httptest.NewRecorder()
				served.ServeHTTP(w, r)
				if w.Code != http.StatusForbidden {
					t.Errorf("%s for %q: %d %s", route, role, w.Code, w.Body)
				}
			}
			r := calledAt(httptest.NewRequest(method, "http://127.0.0.1"+regexp.MustCompile(`{\w+}`).ReplaceAllString(path, "x"), nil), 7948)
			r.Header.Set(api.ChaosKeyHeader, chaosKey)
			w := httptest.NewRecorder()
			served.ServeHTTP(w, r)
			if w.Code != http.StatusUnauthorized {
				t.Errorf("%s without TLS and token: %d %s", route, w.Code, w.Body)
			}
		}
	}
	text, err := os.ReadFile("http.go")
	if err != nil {
		t.Fatal(err)
	}
	if all := len(regexp.MustCompile(`"[A-Z]+ /[a-z][^"]*", auth\.`).FindAll(text, -1)); all != known {
		t.Errorf("%d routes are registered, and %d are tried here", all, known)
	}
	if regexp.MustCompile(`mux\.Handle(Func)?\("[A-Z]`).Match(text) {
		t.Error("a route is registered without a role")
	}
	if all := regexp.MustCompile(`anyone\("([^"]*)"`).FindAllSubmatch(text, -1); len(all) != 2 || string(all[0][1]) != "GET /healthz" || string(all[1][1]) != "GET /readyz" {
		t.Errorf("routes for all are %s", all)
	}
}

// TestIdentify: the header of a request that is passed on is heard from nodes alone, and
// passing one on tells whose it is and nothing that its caller has claimed.
func TestIdentify(t *testing.T) {
	node := caller("node")
	node.PeerCertificates[0].ExtKeyUsage = []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth}
	ann := auth.Identity{User: "ann", Role: auth.Submit}
	s := &server{n: &Node{}}
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
		got, err := s.identify(r)
		if got != test.want || (err == nil) != (test.want != auth.Identity{}) {
			t.Errorf("%q: %v, %v; want %v", test.header, got, err, test.want)
			continue
		}
		if tell(r.Header, got); err != nil {
			continue
		}
		r.TLS = node // as the next node sees it
		if next, err := s.identify(r); err != nil || next.Role != got.Role || got.Role != auth.Node && next != got {
			t.Errorf("%q, passed on: %v, %v; want %v", test.header, next, err, got)
		}
	}
}

// TestTokens: without TLS a token says who calls, and a caller without one is told what
// to do. What is passed on carries the node's own, and whose it is.
func TestTokens(t *testing.T) {
	secret, other := token.Secret(bytes.Repeat([]byte{1}, 32)), token.Secret(bytes.Repeat([]byte{2}, 32))
	s := &server{n: &Node{id: "n", log: slog.New(slog.DiscardHandler), cfg: setup.Config{Secret: secret}}}
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
		s.only(auth.Submit, func(w http.ResponseWriter, r *http.Request) {
			got = callerOf(r)
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
		if next, err := s.identify(r); next != got || err != nil {
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
	s := &server{n: &Node{id: "n", log: slog.New(slog.DiscardHandler)}}
	for _, test := range []struct {
		least auth.Role
		by    *tls.ConnectionState
	}{{auth.Read, caller("read")}, {auth.Submit, caller("submit")}, {auth.Submit, caller("admin")}, {auth.Admin, caller("admin")}} {
		r := httptest.NewRequest(http.MethodGet, "/", nil)
		r.TLS = test.by
		w := httptest.NewRecorder()
		s.only(test.least, func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusNoContent) })(w, r)
		if w.Code != http.StatusNoContent {
			t.Errorf("%s: %d %s", test.least, w.Code, w.Body)
		}
	}
}
