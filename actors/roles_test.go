package actors

import (
	"context"
	"crypto/tls"
	"crypto/x509"
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
)

// leastRoles is what each route asks for.
var leastRoles = map[auth.Role][]string{
	auth.Read: {"GET /v1/jobs", "GET /v1/jobs/{id}", "GET /v1/jobs/{id}/watch", "GET /v1/datasets", "GET /v1/datasets/{name}", "GET /v1/storage", "GET /v1/members", "GET /v1/version", "GET /v1/usage", "GET /metrics"},
	auth.Submit: {"POST /v1/jobs", "GET /v1/job-id", "GET /v1/jobs/{id}/spec", "GET /v1/jobs/{id}/rows", "POST /v1/jobs/{id}/cancel", "POST /v1/jobs/{id}/renew",
		"GET /v1/jobs/{id}/explain", "POST /v1/actors/{kind}/{key}", "POST /v1/describe", "POST /v1/explain", "DELETE /v1/datasets/{name}", "GET /v1/datasets/{name}/files", "POST /v1/datasets/{name}/puts/{id}", "DELETE /v1/datasets/{name}/puts/{id}",
		"PUT /v1/datasets/{name}/puts/{id}/files", "POST /v1/datasets/{name}/puts/{id}/publish", "POST /v1/datasets/{name}/puts/{id}/remove", "POST /v1/blocks", "GET /v1/segments/{id}/schema"},
	auth.Admin: {"POST /v1/leave", "POST /v1/registers/recover", "POST /v1/storage/repair", "POST /v1/storage/scrub", "POST /v1/storage/drain", "POST /v1/storage/forget", "GET /v1/faults", "POST /v1/faults", "DELETE /v1/faults"},
	auth.Node: {"PUT /v1/specs/{id}", "GET /v1/specs", "POST /v1/jobs/{id}/start", "GET /v1/jobs/{id}/packet", "GET /v1/jobs/{id}/read", "GET /v1/segments/{id}/parts", "DELETE /v1/segments/{id}",
		"POST /v1/held", "POST /v1/registers", "PUT /v1/uploads/{id}", "GET /v1/uploads/{id}", "POST /v1/uploads/{id}/verify", "POST /v1/inventory", "GET /v1/datasets/{name}/sent"},
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
	served, known := newEdge(n).Handler(), 0
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
	more, err := os.ReadFile("storage/server.go")
	if err != nil {
		t.Fatal(err)
	}
	text = append(text, more...)
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

// calledAt is a request that has come in at a port of loopback.
func calledAt(r *http.Request, port int) *http.Request {
	at := &net.TCPAddr{IP: net.IPv4(127, 0, 0, 1), Port: port}
	return r.WithContext(context.WithValue(r.Context(), http.LocalAddrContextKey, net.Addr(at)))
}
