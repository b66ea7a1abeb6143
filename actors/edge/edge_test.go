package edge

import (
	"bytes"
	"context"
	"encoding/json"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"go.uber.org/goleak"

	"github.com/pondmesh/pond/actors/api"
	"github.com/pondmesh/pond/actors/auth"
	"github.com/pondmesh/pond/actors/plan"
	"github.com/pondmesh/pond/actors/token"
)

// newEdge is an edge of the node "n", without routes, that is ready.
func newEdge(secret token.Secret, with ...func(*Config)) *Edge {
	c := Config{Node: "n", Secret: secret, Ready: func(http.Header, *http.Request) error { return nil }, Log: slog.New(slog.DiscardHandler)}
	for _, f := range with {
		f(&c)
	}
	return New(c)
}

func ask(e *Edge, r *http.Request) *httptest.ResponseRecorder {
	w := httptest.NewRecorder()
	e.Handler().ServeHTTP(w, r)
	return w
}

// TestGuard: what a web page can make a browser send is refused before a route sees it,
// and what is asked of the API before the node is ready.
func TestGuard(t *testing.T) {
	ready := false
	e := newEdge(nil, func(c *Config) {
		c.Names = []string{"pond.example"}
		c.Ready = func(reply http.Header, _ *http.Request) error {
			if !ready {
				return &plan.Error{Kind: plan.KindUnavailable, Text: "not yet"}
			}
			reply.Set("X-Told", "yes")
			return nil
		}
	})
	served := 0
	for _, path := range []string{"GET /v1/x", "GET /x"} {
		e.Anyone(path, func(http.ResponseWriter, *http.Request) (any, error) { served++; return nil, nil })
	}
	for _, test := range []struct {
		url, origin string
		ready       bool
		code        int
		told        string
	}{
		{"http://127.0.0.1/v1/x", "", false, http.StatusServiceUnavailable, ""},
		{"http://127.0.0.1/x", "", false, http.StatusOK, ""},
		{"http://127.0.0.1/v1/x", "", true, http.StatusOK, "yes"},
		{"http://pond.example/v1/x", "", true, http.StatusOK, "yes"},
		{"http://evil.example:7780/v1/x", "", true, http.StatusForbidden, ""},
		{"http://127.0.0.1/x", "http://evil.example", true, http.StatusForbidden, ""},
		{"http://127.0.0.1/nothing", "", true, http.StatusNotFound, ""},
	} {
		ready = test.ready
		before := served
		r := httptest.NewRequest("GET", test.url, nil)
		if test.origin != "" {
			r.Header.Set("Origin", test.origin)
		}
		w := ask(e, r)
		if w.Code != test.code || w.Header().Get("X-Told") != test.told || (served > before) != (test.code == http.StatusOK) {
			t.Errorf("%s from %q, ready %v: %d %s %v", test.url, test.origin, test.ready, w.Code, w.Body, w.Header())
		}
	}
}

// A body is as large as its route says; one of a route that reads none is small.
func TestBodies(t *testing.T) {
	e := newEdge(nil, func(c *Config) { c.Bodies = map[string]int64{"POST /large": 10_000, "POST /own": -1} })
	for _, route := range []string{"POST /large", "POST /own", "POST /other"} {
		e.Anyone(route, func(_ http.ResponseWriter, r *http.Request) (any, error) {
			var got string
			err := Decode(r, &got)
			return len(got), err
		})
	}
	for _, test := range []struct {
		path string
		n    int
		code int
	}{
		{"/large", 9_000, http.StatusOK}, {"/large", 10_001, http.StatusUnprocessableEntity},
		{"/other", 4_000, http.StatusOK}, {"/other", 9_000, http.StatusUnprocessableEntity}, {"/own", 20_000, http.StatusOK},
	} {
		w := ask(e, httptest.NewRequest("POST", "http://localhost"+test.path, strings.NewReader(`"`+strings.Repeat("x", test.n)+`"`)))
		if w.Code != test.code {
			t.Errorf("%d bytes to %s: %d %s", test.n, test.path, w.Code, w.Body)
		}
	}
	w := ask(e, httptest.NewRequest("POST", "http://localhost/large", strings.NewReader("{")))
	if w.Code != http.StatusUnprocessableEntity || !strings.Contains(w.Body.String(), "not what is expected") {
		t.Errorf("half a body: %d %s", w.Code, w.Body)
	}
}

// An error keeps its kind on the way to a client, and names the node that had it.
func TestErrors(t *testing.T) {
	e := newEdge(nil)
	for i, err := range []error{
		&plan.Error{Kind: plan.KindDenied, Text: "no"},
		&plan.Error{Kind: plan.KindBusy, Node: "other", Text: "full"},
		context.Canceled, io.ErrUnexpectedEOF,
	} {
		w := httptest.NewRecorder()
		e.handle(func(http.ResponseWriter, *http.Request) (any, error) { return nil, err })(w, httptest.NewRequest("GET", "/", nil))
		got := new(api.Error)
		if bad := json.Unmarshal(w.Body.Bytes(), got); bad != nil {
			t.Fatal(bad)
		}
		want := plan.AsError(err)
		if plan.KindOf(got.Err()) != want.Kind || w.Code != api.StatusOf(want.Kind) || got.Node == "" || (got.Node == "n") != (i != 1) {
			t.Errorf("%v: %d %s", err, w.Code, w.Body)
		}
	}
}

// A hidden route is not told from one that does not exist.
func TestHidden(t *testing.T) {
	e := newEdge(nil)
	e.Hidden("GET /secret", auth.Read, func(r *http.Request) bool { return r.Header.Get("Key") == "k" }, func(http.ResponseWriter, *http.Request) (any, error) { return 1, nil })
	get := func(path, key string) (int, string) {
		r := httptest.NewRequest("GET", "http://localhost"+path, nil)
		r.Header.Set("Key", key)
		w := ask(e, r)
		return w.Code, strings.ReplaceAll(w.Body.String(), path, "PATH")
	}
	noCode, no := get("/nothing", "k")
	if code, body := get("/secret", ""); code != noCode || body != no {
		t.Errorf("without the key: %d %s; no route: %d %s", code, body, noCode, no)
	}
	for range 2 { // one request has no effect on the next
		if code, body := get("/secret", "k"); code != http.StatusUnauthorized {
			t.Errorf("with the key, without a token: %d %s", code, body)
		}
		get("/secret", "")
	}
}

// What looks after a node is told by the status whether all is well.
func TestHealth(t *testing.T) {
	e := newEdge(nil)
	var problems []api.Problem
	e.Anyone("GET /healthz", e.Health(func() []api.Problem { return problems }))
	for _, code := range []int{http.StatusOK, http.StatusServiceUnavailable} {
		w := ask(e, httptest.NewRequest("GET", "http://localhost/healthz", nil))
		var h api.Health
		if err := json.Unmarshal(w.Body.Bytes(), &h); err != nil || w.Code != code || h.OK != (code == http.StatusOK) || len(h.Problems) != len(problems) || h.Node != "n" {
			t.Errorf("%d %s %v", w.Code, w.Body, err)
		}
		problems = append(problems, api.Problem{Kind: api.DiskFull, Text: "full"})
	}
}

// TestPassOn: another node answers for the caller, whom the first one vouches for: what
// the caller claims is not heard. One that cannot be reached is an error of its own.
func TestPassOn(t *testing.T) {
	t.Cleanup(func() { goleak.VerifyNone(t) })
	secret := token.Secret(bytes.Repeat([]byte{1}, 32))
	listen := func(e *Edge) string {
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		over := make(chan error, 1)
		go func() { over <- e.Serve(l.(*net.TCPListener)) }()
		t.Cleanup(func() {
			if err := e.Close(context.Background()); err != nil {
				t.Error(err)
			}
			if err := <-over; err != nil {
				t.Error(err)
			}
		})
		return l.Addr().String()
	}
	last, peer := newEdge(secret), api.NewPeer(nil, secret, nil)
	defer peer.Close()
	first := newEdge(secret, func(c *Config) { c.Peer = peer })
	last.Route("GET /v1/who", auth.Submit, func(w http.ResponseWriter, r *http.Request) (any, error) {
		lines := NewLines(w)
		lines.Write(CallerOf(r).String())
		lines.Write(r.Header.Get(api.HopHeader))
		return nil, nil
	})
	to := listen(last)
	first.Route("GET /v1/who", auth.Read, func(w http.ResponseWriter, r *http.Request) (any, error) {
		first.PassOn(w, r, to)
		return nil, nil
	})
	at := listen(first)
	get := func(id auth.Identity) (int, string) {
		req, err := http.NewRequestWithContext(t.Context(), "GET", "http://"+at+"/v1/who", nil)
		if err != nil {
			t.Fatal(err)
		}
		req.Header.Set("Authorization", secret.Call(id, at))
		if id.Role != auth.Node {
			req.Header.Set(api.CallerHeader, "pond://admin/claimed")
		}
		resp, err := http.DefaultClient.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		defer resp.Body.Close()
		body, err := io.ReadAll(resp.Body)
		if err != nil {
			t.Fatal(err)
		}
		return resp.StatusCode, string(body)
	}
	defer http.DefaultClient.CloseIdleConnections()
	ann := auth.Identity{User: "ann", Role: auth.Submit}
	if code, body := get(ann); code != http.StatusOK || body != `"`+ann.String()+"\"\n\"1\"\n" {
		t.Errorf("%d %s", code, body)
	}
	if code, body := get(auth.Identity{User: "bob", Role: auth.Read}); code != http.StatusForbidden || !strings.Contains(body, "bob has the role read") {
		t.Errorf("who may ask the first node only: %d %s", code, body)
	}
	if code, body := get(auth.Identity{Role: auth.Node}); code != http.StatusOK || !strings.Contains(body, "pond://node/") {
		t.Errorf("a node: %d %s", code, body)
	}
	if open, _ := last.Connections(); open["node"] != 1 || open["client"] != 0 {
		t.Errorf("connections: %v", open)
	}
	to = "127.0.0.1:1"
	if code, body := get(ann); code != http.StatusServiceUnavailable || !strings.Contains(body, "127.0.0.1:1") {
		t.Errorf("nobody is there: %d %s", code, body)
	}
}
