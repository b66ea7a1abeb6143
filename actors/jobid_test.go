//go:build duckdb_arrow

package actors_test

import (
	"context"
	"errors"
	"net"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"strconv"
	"testing"

	"github.com/pondmesh/pond"
	"github.com/pondmesh/pond/actors"
	"github.com/pondmesh/pond/actors/api"
	"github.com/pondmesh/pond/actors/auth"
	"github.com/pondmesh/pond/actors/plan"
	"github.com/pondmesh/pond/actors/setup"
	"github.com/pondmesh/pond/actors/token"
)

// The same submission again is the same job, whichever node is asked; its id names no other.
func TestJobIDTaken(t *testing.T) {
	ctx, n, _ := startNode(t)
	second, err := actors.Start(ctx, setup.Config{Dir: t.TempDir(), Memory: 256 << 20, Slots: 2, Peers: []string{n.Addr()}})
	if err != nil {
		t.Fatal(err)
	}
	defer second.Close()
	var asked [2]*api.Client
	for i, addr := range []string{n.APIAddr(), second.APIAddr()} {
		asked[i] = api.NewClient(addr, nil)
		defer asked[i].Close()
	}
	for _, c := range asked { // both see both
		for both := false; !both; {
			m, err := c.Members(ctx)
			if err != nil {
				t.Fatal(err)
			}
			both = len(m.Members) == 2
		}
	}
	id, err := asked[0].NewJobID(ctx)
	if err != nil {
		t.Fatal(err)
	}
	spec := func(sql string) *api.JobSpec { return &api.JobSpec{ID: id, Query: api.Query{SQL: sql, Dir: "/"}} }
	const sql = "SELECT sum(a.range * b.range) AS s FROM range(3000000) a, range(3000000) b"
	for _, c := range asked {
		if st, err := c.Submit(ctx, spec(sql)); err != nil || st.ID != id || st.Coordinator != n.ID() {
			t.Fatalf("the submission, handed in again: %+v, %v", st, err)
		}
	}
	for _, ended := range []bool{false, true} {
		for _, c := range asked {
			if _, err := c.Submit(ctx, spec("SELECT 2 AS b")); !errors.Is(err, plan.ErrExists) {
				t.Errorf("another job by the id, ended %t: %v", ended, err)
			}
		}
		if jobs, err := asked[1].Jobs(ctx); err != nil || len(jobs) != 1 || jobs[0].State.Ended() != ended {
			t.Errorf("the jobs are %+v, %v", jobs, err)
		}
		if _, err := asked[0].Cancel(ctx, id); err != nil {
			t.Fatal(err)
		}
	}
	if st, err := asked[1].Submit(ctx, spec(sql)); err == nil && st.State != api.Cancelled {
		t.Errorf("the submission after its end: %+v", st)
	}
}

// A call whose context ends before any answer has come cancels its job, though the
// connection to the node stays as it is.
func TestCancelBeforeAnswer(t *testing.T) {
	ctx, n, _ := startNode(t)
	node, err := url.Parse("http://" + n.APIAddr())
	if err != nil {
		t.Fatal(err)
	}
	front := httptest.NewUnstartedServer(nil)
	began, release := make(chan struct{}), make(chan struct{})
	proxy := httputil.NewSingleHostReverseProxy(node)
	front.Config.Handler = http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if !r.URL.Query().Has("watch") {
			proxy.ServeHTTP(w, r)
			return
		}
		r = r.WithContext(context.WithoutCancel(r.Context())) // the node does not see the client go
		answer := httptest.NewRecorder()
		go func() {
			defer close(release)
			proxy.ServeHTTP(answer, r)
		}()
		close(began)
		<-release
	})
	front.Start()
	defer front.Close()
	_, text, err := net.SplitHostPort(front.Listener.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	port, err := strconv.Atoi(text)
	if err != nil {
		t.Fatal(err)
	}
	secret, err := token.Find()
	if err != nil {
		t.Fatal(err)
	}
	anywhere := secret.Token(token.Claim{Identity: auth.Identity{Role: auth.Admin}}) // that of a call is for the node's port
	s, err := pond.Connect(net.JoinHostPort("127.0.0.1", strconv.Itoa(port-api.PortOffset)), pond.WithToken(anywhere))
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	call, stop := context.WithCancel(ctx)
	defer stop()
	done := make(chan error, 1)
	go func() {
		_, err := s.SQL(call, "SELECT sum(a.range * b.range) AS s FROM range(3000000) a, range(3000000) b")
		done <- err
	}()
	select {
	case <-began:
	case err := <-done:
		t.Fatal(err)
	}
	for running := false; !running; { // it runs, and nobody has told the client
		jobs, err := n.Jobs(ctx)
		if err != nil {
			t.Fatal(err)
		}
		running = len(jobs) == 1 && jobs[0].State == api.Running
	}
	stop()
	if err := <-done; !errors.Is(err, context.Canceled) {
		t.Errorf("the call: %v", err)
	}
	<-release // the job's end
	if jobs, err := n.Jobs(ctx); err != nil || len(jobs) != 1 || jobs[0].State != api.Cancelled {
		t.Errorf("the jobs are %+v, %v", jobs, err)
	}
}
