package api

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/pondmesh/pond/actors/plan"
)

// node is a server that answers as it is told, and a client of it.
func node(t *testing.T, answer http.HandlerFunc) *Client {
	t.Helper()
	srv := httptest.NewServer(answer)
	t.Cleanup(srv.Close)
	c := NewPondClient(ClientConfig{Addrs: []string{strings.TrimPrefix(srv.URL, "http://")}})
	t.Cleanup(c.Close)
	return c
}

// TestRequests: each call makes the request that the package's comment lists. All but
// those about the very node, and jobs without an id, may be made again.
func TestRequests(t *testing.T) {
	var asked, body string
	c := node(t, func(w http.ResponseWriter, r *http.Request) {
		b := new(strings.Builder)
		if r.ContentLength > 0 {
			var v any
			if err := json.NewDecoder(r.Body).Decode(&v); err != nil {
				t.Error(err)
			}
			fmt.Fprint(b, v)
		}
		asked, body = r.Method+" "+r.URL.String(), b.String()
		switch {
		case strings.HasSuffix(r.URL.Path, "/job-id"):
			fmt.Fprint(w, `"0b"`)
		case r.URL.Path == "/v1/usage" || r.URL.Path == "/v1/jobs" && r.Method == "GET":
			fmt.Fprint(w, `[]`)
		default:
			fmt.Fprint(w, `{"state":"succeeded"}`)
		}
	})
	ctx := t.Context()
	spec, unnamed := &JobSpec{ID: "0a"}, &JobSpec{}
	run := func(s *JobSpec) error {
		for _, err := range c.Run(ctx, s) {
			return err
		}
		return nil
	}
	for _, test := range []struct {
		want   string
		in     any
		call   func() error
		repeat bool
	}{
		{"GET /v1/job-id", nil, func() error { _, err := c.NewJobID(ctx); return err }, true},
		{"POST /v1/jobs", spec, func() error { _, err := c.Submit(ctx, spec); return err }, true},
		{"POST /v1/jobs", unnamed, func() error { _, err := c.Submit(ctx, unnamed); return err }, false},
		{"POST /v1/jobs?watch", spec, func() error { return run(spec) }, true},
		{"POST /v1/jobs?watch", unnamed, func() error { return run(unnamed) }, false},
		{"GET /v1/jobs", nil, func() error { _, err := c.Jobs(ctx); return err }, true},
		{"GET /v1/jobs/0a", nil, func() error { _, err := c.Job(ctx, "0a"); return err }, true},
		{"GET /v1/jobs/0a/spec", nil, func() error { _, err := c.Spec(ctx, "0a"); return err }, true},
		{"POST /v1/jobs/0a/cancel", nil, func() error { _, err := c.Cancel(ctx, "0a"); return err }, true},
		{"POST /v1/jobs/0a/renew", nil, func() error { return c.Renew(ctx, "0a") }, true},
		{"GET /v1/jobs/0a/watch", nil, func() error {
			for _, err := range c.Watch(ctx, "0a") {
				return err
			}
			return nil
		}, true},
		{"POST /v1/explain", spec, func() error { _, err := c.Explain(ctx, spec, false); return err }, true},
		{"POST /v1/explain?format=json", spec, func() error { _, err := c.Explain(ctx, spec, true); return err }, true},
		{"GET /v1/jobs/0a/explain", nil, func() error { _, err := c.ExplainJob(ctx, "0a", false); return err }, true},
		{"POST /v1/describe", nil, func() error { _, err := c.Describe(ctx, &Query{SQL: "SELECT 1"}); return err }, true},
		{"GET /v1/members", nil, func() error { _, err := c.Members(ctx); return err }, true},
		{"GET /v1/usage", nil, func() error { _, err := c.Usage(ctx); return err }, true},
		{"GET /v1/version", nil, func() error { _, err := c.Version(ctx); return err }, true},
		{"POST /v1/leave", nil, func() error { return c.Leave(ctx) }, false},
		{"POST /v1/registers/recover", nil, func() error { _, err := c.Recover(ctx, false); return err }, false},
		{"POST /v1/registers/recover?force", nil, func() error { _, err := c.Recover(ctx, true); return err }, false},
	} {
		if err := test.call(); err != nil || asked != test.want {
			t.Errorf("%s: asked %s: %v", test.want, asked, err)
		}
		method, path, _ := strings.Cut(asked, " ")
		if got := mayRepeat(method, path, test.in); got != test.repeat {
			t.Errorf("%s: it may be asked again: %v", test.want, got)
		}
		if test.in == spec && !strings.Contains(body, "0a") {
			t.Errorf("%s: the spec did not come: %s", test.want, body)
		}
	}
}

// TestWatch: a job is followed to its end; anything else is told as what it is.
func TestWatch(t *testing.T) {
	running, ended := `{"id":"0a","state":"running"}`+"\n", `{"id":"0a","state":"failed","error":{"kind":"user","error":"why"}}`+"\n"
	for name, test := range map[string]struct {
		lines  string
		states string
		err    error
		broken bool
	}{
		"to its end":     {running + running + ended + running, "running running failed", nil, false},
		"refused":        {`{"error":{"kind":"denied","error":"no"}}`, "", plan.ErrDenied, false},
		"broken off":     {running, "running", plan.ErrUnavailable, true},
		"within a line":  {running + running[:10], "running", plan.ErrUnavailable, true},
		"nothing at all": {"", "", plan.ErrUnavailable, true},
		"nonsense":       {"hello\n", "", plan.ErrUnavailable, true},
	} {
		c := node(t, func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, test.lines) })
		var states []string
		var last error
		for s, err := range c.at(c.reach.given[0]).Watch(t.Context(), "0a") {
			if last = err; err == nil {
				states = append(states, string(s.State))
			}
		}
		if strings.Join(states, " ") != test.states || !errors.Is(last, test.err) || Broken(last) != test.broken {
			t.Errorf("%s: %v, %v", name, states, last)
		}
	}
	c := node(t, func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, running+running+ended) })
	n := 0
	for range c.Watch(t.Context(), "0a") {
		n++
		break
	}
	if n != 1 {
		t.Errorf("one who wants no more got %d", n)
	}
}

// TestBrokenAnswers: part of an answer is none, and says so; the caller's own end is the
// caller's.
func TestBrokenAnswers(t *testing.T) {
	for _, body := range []string{"", "{", `{"node":"n`, "<html>", `{"node":7}`} {
		c := node(t, func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, body) })
		one := c.at(c.reach.given[0])
		if _, err := one.Version(t.Context()); !errors.Is(err, plan.ErrUnavailable) || !Broken(err) || !Unsure(err) {
			t.Errorf("%q: %v", body, err)
		}
	}
	why := errors.New("the caller has gone")
	ctx, cancel := context.WithCancelCause(t.Context())
	c := node(t, func(w http.ResponseWriter, r *http.Request) {
		w.(http.Flusher).Flush()
		cancel(why)
		<-r.Context().Done()
	})
	if _, err := c.Version(ctx); !errors.Is(err, why) || Broken(err) {
		t.Errorf("%v", err)
	}
}

// TestPeerRequests: what nodes ask one another is asked of the node meant, and marked
// where it must not be passed on.
func TestPeerRequests(t *testing.T) {
	var asked, hop string
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		asked, hop = r.Method+" "+r.URL.String(), r.Header.Get(HopHeader)
		switch {
		case r.URL.Path == "/v1/held" || r.Method == "GET" && r.URL.Path == "/v1/specs":
			fmt.Fprint(w, `[]`)
		case r.Method == "GET":
			w.WriteHeader(http.StatusOK)
		default:
			fmt.Fprint(w, `{}`)
		}
	}))
	defer srv.Close()
	p := NewPeer(nil, nil, nil).At(strings.TrimPrefix(srv.URL, "http://"))
	defer p.Close()
	ctx := t.Context()
	for want, call := range map[string]func() error{
		"PUT /v1/specs/0a":                                func() error { return p.PutRecord(ctx, &Record{Spec: &JobSpec{ID: "0a"}}) },
		"GET /v1/specs":                                   func() error { _, err := p.Records(ctx); return err },
		"POST /v1/jobs/0a/start":                          func() error { _, err := p.Start(ctx, "0a"); return err },
		"POST /v1/registers":                              func() error { _, err := p.Registers(ctx, &RegisterCall{}); return err },
		"POST /v1/jobs/0a/cancel?unclaimed=d":             func() error { return p.Abandon(ctx, &JobSpec{ID: "0a", Digest: "d"}) },
		"DELETE /v1/segments/s?job=0a&term=2&stage=t":     func() error { return p.DropSegment(ctx, "0a", 2, "t", "s") },
		"POST /v1/held":                                   func() error { _, err := p.Held(ctx, []plan.StageID{"t"}); return err },
		"GET /v1/jobs/0a/packet?term=2&stage=3&version=4": func() error { _, err := p.Packet(ctx, "0a", 2, 3, 4); return empty(err) },
		"GET /v1/segments/s/schema":                       func() error { _, err := p.Schema(ctx, "s"); return empty(err) },
		"GET /v1/segments/s/parts":                        func() error { _, err := p.Parts(ctx, "s"); return empty(err) },
	} {
		if err := call(); err != nil || asked != want || hop != "" {
			t.Errorf("%s: asked %s, hop %q: %v", want, asked, hop, err)
		}
	}
	if _, err := p.Hop().Held(ctx, nil); err != nil || hop == "" {
		t.Errorf("a request that is not to be passed on is not marked: %v", err)
	}
}

// empty is the error of an answer that is empty where it must not be.
func empty(err error) error {
	if err == nil {
		return errors.New("an empty answer was taken")
	}
	return nil
}
