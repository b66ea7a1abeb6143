package api

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/pondmesh/pond/actors/plan"
)

// fakePond is nodes that do as they are told, on the clock of a synctest bubble.
type fakePond struct {
	t     *testing.T
	do    map[string]string // by address: answer, refuse, hang, break, busy
	asked []string
	said  []string
}

func (p *fakePond) reach(patience time.Duration, given ...string) *reach {
	return &reach{
		patience: patience, given: given, gone: map[string]bool{},
		told: func(s string) { p.said = append(p.said, s) },
		probe: func(ctx context.Context, addr string) error {
			switch p.do[addr] {
			case "answer", "busy":
				return nil
			case "hang":
				<-ctx.Done()
			}
			return errors.New("no answer")
		},
		lookup: func(_ context.Context, host string) ([]net.IP, error) {
			if host == "pond.example" {
				return []net.IP{net.IPv4(10, 0, 0, 1), net.ParseIP("fd00::1"), net.IPv4(10, 0, 0, 2)}, nil
			}
			return nil, errors.New("no such host")
		},
	}
}

// once is one request of a node.
func (p *fakePond) once(ctx context.Context, addr string, heard func(http.Header)) error {
	p.asked = append(p.asked, addr)
	switch p.do[addr] {
	case "answer":
		heard(http.Header{})
		return nil
	case "learn":
		heard(http.Header{NodesHeader: {"b,c"}})
		return nil
	case "busy": // for longer than anybody waits for one who is silent
		select {
		case <-time.After(10 * time.Minute):
			heard(http.Header{})
			return nil
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	case "hang":
		<-ctx.Done()
		return context.Cause(ctx)
	case "break":
		return &missed{err: notReached(addr, "the connection broke")}
	case "stream":
		heard(http.Header{})
		return &missed{err: notReached(addr, "the connection broke"), begun: true}
	case "deny":
		heard(http.Header{})
		return &plan.Error{Kind: plan.KindDenied, Text: "no"}
	}
	return &missed{err: notReached(addr, "nothing listens there"), unsent: true}
}

// TestReach: which nodes a request is made of, and what comes of it.
func TestReach(t *testing.T) {
	for _, test := range []struct {
		name     string
		given    string
		do       string // a=answer,b=hang: of each node
		then     string // the same after the first request; empty: there is only one
		once     bool   // the request may not be repeated
		patience time.Duration
		asked    string
		kind     plan.Kind     // of the last request's error
		says     []string      // in it, or in what was told
		takes    time.Duration // the last request, at least; it takes a minute longer at most
	}{
		{name: "one that answers", given: "a", do: "a=answer", patience: time.Minute, asked: "a"},
		{name: "a wrong address", given: "a", patience: time.Minute, asked: "a", kind: plan.KindUnavailable, says: []string{"nothing listens"}},
		{name: "the second answers", given: "a,b", do: "b=answer", patience: time.Minute, asked: "a b", says: []string{"node a does not answer", "asking b"}},
		{name: "none", given: "a,b", do: "b=break", patience: time.Minute, asked: "a b", kind: plan.KindUnavailable, says: []string{"a: nothing listens", "b: the connection broke"}},
		{name: "all addresses of a name", given: "pond.example:9", do: "10.0.0.2:9=answer", patience: time.Minute, asked: "10.0.0.1:9 10.0.0.2:9"},
		{name: "a name that nobody knows", given: "nobody.example:9", patience: time.Minute, asked: "nobody.example:9", kind: plan.KindUnavailable},
		{name: "no", given: "a,b", do: "a=deny,b=answer", patience: time.Minute, asked: "a", kind: plan.KindDenied},
		{name: "a learned one", given: "a", do: "a=learn,b=answer", then: "b=refuse,c=answer", patience: time.Minute, asked: "a a b c", says: []string{"asking b", "asking c"}},
		{name: "gone for good", given: "a", do: "a=answer", then: "a=refuse", patience: 2 * time.Minute, asked: "a a a…", kind: plan.KindUnavailable,
			says: []string{"asking it again, for 2m0s", "no node has answered for 2m0s"}, takes: 2 * time.Minute},
		{name: "no patience", given: "a", do: "a=learn,b=answer", then: "b=answer", asked: "a a", kind: plan.KindUnavailable},
		{name: "not to be repeated, and perhaps heard", given: "a,b", do: "a=answer", then: "a=break,b=answer", once: true, patience: time.Minute, asked: "a a", kind: plan.KindUnavailable},
		{name: "not to be repeated, and not heard", given: "a,b", do: "a=answer", then: "b=answer", once: true, patience: time.Minute, asked: "a a b"},
		{name: "broken off within the answer", given: "a,b", do: "a=answer", then: "a=stream,b=answer", patience: time.Minute, asked: "a a", kind: plan.KindUnavailable},
		{name: "frozen", given: "a,b", do: "a=answer", then: "a=hang,b=answer", patience: time.Minute, asked: "a a b", says: []string{"silent", "while b answers", "asking b"}, takes: 4 * time.Second},
		{name: "frozen at first", given: "a,b", do: "a=hang,b=answer", patience: time.Minute, asked: "a b", takes: 4 * time.Second},
		{name: "busy", given: "a,b", do: "a=busy,b=answer", patience: time.Minute, asked: "a", takes: 10 * time.Minute},
		{name: "all frozen", given: "a,b", do: "a=answer", then: "a=hang,b=hang", patience: time.Minute, asked: "a a", kind: plan.KindUnavailable,
			says: []string{"this machine is cut off"}, takes: time.Minute},
	} {
		t.Run(test.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				p := &fakePond{t: t}
				r := p.reach(test.patience, strings.Split(test.given, ",")...)
				rounds := []string{test.do}
				if test.then != "" || strings.Contains(test.asked, "a a") {
					rounds = append(rounds, test.then)
				}
				var err error
				var took time.Duration
				for _, do := range rounds {
					p.do = map[string]string{}
					for _, x := range strings.Split(do, ",") {
						addr, what, _ := strings.Cut(x, "=")
						p.do[addr] = what
					}
					begun := time.Now()
					err = r.ask(t.Context(), !test.once, p.once)
					took = time.Since(begun)
				}
				asked := strings.Join(p.asked, " ")
				if more, ok := strings.CutSuffix(test.asked, "…"); ok && strings.HasPrefix(asked, more) {
					asked = test.asked
				}
				if asked != test.asked || err == nil != (test.kind == 0) || err != nil && plan.KindOf(err) != test.kind {
					t.Errorf("asked %s, want %s: %v", asked, test.asked, err)
				}
				if took < test.takes || took > test.takes+time.Minute {
					t.Errorf("it took %v", took)
				}
				all := fmt.Sprint(err, p.said)
				for _, want := range test.says {
					if !strings.Contains(all, want) {
						t.Errorf("%q is not said: %s", want, all)
					}
				}
			})
		})
	}
}

// TestReachEnds: a caller's end is a request's, whatever it waits for.
func TestReachEnds(t *testing.T) {
	for _, does := range []string{"refuse", "hang", "busy"} {
		synctest.Test(t, func(t *testing.T) {
			p := &fakePond{t: t, do: map[string]string{"a": "answer"}}
			r := p.reach(time.Hour, "a")
			if err := r.ask(t.Context(), true, p.once); err != nil {
				t.Fatal(err)
			}
			p.do["a"] = does
			why := errors.New("the caller has gone")
			ctx, stop := context.WithTimeoutCause(t.Context(), 3*time.Second, why)
			defer stop()
			if err := r.ask(ctx, true, p.once); !errors.Is(err, why) {
				t.Errorf("%s: %v", does, err)
			}
		})
	}
}

// TestRepeats: what may be asked twice.
func TestRepeats(t *testing.T) {
	for _, test := range []struct {
		method, path string
		in           any
		want         bool
	}{
		{"GET", "/v1/members", nil, true},
		{"GET", "/v1/jobs/0a/watch", nil, true},
		{"POST", "/v1/jobs/0a/cancel", struct{}{}, true},
		{"POST", "/v1/jobs?watch", &JobSpec{ID: "0a"}, true},
		{"POST", "/v1/jobs", &JobSpec{}, false}, // it would be another job
		{"POST", "/v1/leave", struct{}{}, false},
		{"DELETE", "/v1/datasets/sales", nil, false}, // another may have made it again
		{"GET", "/v1/jobs/0a/never-heard-of", nil, false},
		{"GET", "/v1/jobs//watch", nil, false},
		{"PUT", "/v1/members", nil, false},
	} {
		if got := mayRepeat(test.method, test.path, test.in); got != test.want {
			t.Errorf("%s %s: %v", test.method, test.path, got)
		}
	}
	paths := map[string]bool{}
	for _, r := range repeats {
		if paths[r.method+r.path] || !slices.Contains([]string{http.MethodGet, http.MethodPost, http.MethodPut, http.MethodDelete}, r.method) {
			t.Errorf("%s %s", r.method, r.path)
		}
		paths[r.method+r.path] = true
	}
}
