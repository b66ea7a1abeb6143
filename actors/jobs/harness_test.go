package jobs

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"

	"github.com/pondmesh/pond/actors/api"
	"github.com/pondmesh/pond/actors/fair"
	"github.com/pondmesh/pond/actors/journal"
	"github.com/pondmesh/pond/actors/peers"
	"github.com/pondmesh/pond/actors/plan"
	"github.com/pondmesh/pond/actors/prepare"
	"github.com/pondmesh/pond/fs/register/registertest"
	"github.com/pondmesh/pond/mesh"
)

// pond is nodes that have jobs, and nothing else of a node: what drives a job does what
// the test says. They talk over pipes, so that time is the bubble's.
type pond struct {
	t         *testing.T
	most      fair.Limits
	registers registertest.Memory
	mu        sync.Mutex
	view      *mesh.View
	nodes     map[mesh.NodeID]*node
}

// node is one of them.
type node struct {
	*Jobs
	p       *pond
	member  mesh.Member
	disk    journal.Memory
	conns   chan net.Conn
	server  http.Server
	stop    context.CancelFunc
	goes    sync.WaitGroup
	driving func(*Job) // what a driver does at first; by default its job runs
	planned error      // what comes of planning
}

// driver drives a job until it is told otherwise.
type driver struct {
	n        *node
	r        *Job
	admitted chan struct{}
	stopped  chan struct{}
	once     sync.Once
}

func (d *driver) Send(msg any) {
	switch m := msg.(type) {
	case *Admitted:
		close(d.admitted)
	case *Cancel:
		go d.n.end(d.r, api.Cancelled, &plan.Error{Kind: plan.KindCancelled, Text: m.Reason})
	}
}

// drive waits for a place, and does what the node's drivers do.
func (d *driver) drive() {
	if !d.n.Admitted(d.r) {
		select {
		case <-d.admitted:
		case <-d.stopped:
			return
		case <-d.n.Context.Done():
			return
		}
	}
	d.n.driving(d.r)
}

func (d *driver) Stop()  { d.once.Do(func() { close(d.stopped) }) }
func (d *driver) Close() { d.Stop() }

// givenUp reports whether a job's driver was stopped.
func givenUp(r *Job) bool {
	select {
	case <-r.Driver.(*driver).stopped:
		return true
	default:
		return false
	}
}

// bubble runs f with a pond of so many nodes, a, b and so on, in a bubble.
func bubble(t *testing.T, nodes int, f func(*testing.T, *pond)) {
	t.Helper()
	limited(t, nodes, fair.Limits{Jobs: 2 * endedRunsMax, Waiting: 1}, f)
}

// limited is bubble with nodes that drive so many jobs.
func limited(t *testing.T, nodes int, most fair.Limits, f func(*testing.T, *pond)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		p := &pond{t: t, most: most, nodes: map[mesh.NodeID]*node{}}
		var all []mesh.Member
		for i := range nodes {
			all = append(all, mesh.Member{ID: mesh.NodeID(rune('a' + i)), Boot: "1", Host: string(rune('a' + i)), API: 1, Slots: 2, Memory: 1 << 30})
		}
		p.see(all...)
		for _, m := range all {
			p.start(m)
		}
		f(t, p)
		for _, n := range p.nodes {
			n.die()
		}
	})
}

// see is the view that all nodes have from now on.
func (p *pond) see(members ...mesh.Member) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.view = &mesh.View{Members: members}
}

// lose takes a node out of the view.
func (p *pond) lose(id mesh.NodeID) {
	p.see(slices.DeleteFunc(slices.Clone(p.now().Members), func(m mesh.Member) bool { return m.ID == id })...)
}

func (p *pond) now() *mesh.View {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.view
}

func (p *pond) start(m mesh.Member) {
	log := slog.New(slog.DiscardHandler)
	n := &node{p: p, member: m, conns: make(chan net.Conn)}
	records, err := journal.OpenRecords(&n.disk, 0, log)
	if err != nil {
		p.t.Fatal(err)
	}
	ctx, stop := context.WithCancel(context.Background())
	n.stop = stop
	ps := &peers.Peers{Self: m.ID, View: p.now, API: api.NewPeer(nil, nil, p.dial), Here: func() []api.JobStatus { return n.List() }, Log: log}
	n.Jobs = New(Host{Context: ctx, Me: func() mesh.Member { return m }, Peers: ps, Records: records, Registers: &p.registers,
		Planner: n, Slots: m.Slots, Limits: p.most, NewDriver: n.newDriver, Go: n.goes.Go, Log: log})
	n.driving = func(r *Job) {
		s := r.Spec.Status()
		s.State, s.Coordinator, s.Term, s.Started = api.Running, string(m.ID), r.Term.Number(), 1
		r.Tell(s)
	}
	p.nodes[m.ID] = n
	n.server.Handler = n.routes()
	go n.server.Serve(n)
	n.goes.Go(n.Follow)
}

// die ends the node as a kill would. Others still see it.
func (n *node) die() {
	n.stop()
	n.server.Close()
	n.goes.Wait()
	n.Peers.API.Close()
}

// Fill implements Planner.
func (n *node) Fill(context.Context, *api.JobSpec) error { return nil }

// Compile implements Planner.
func (n *node) Compile(context.Context, *api.JobSpec, api.Capacity) (*prepare.Job, error) {
	return &prepare.Job{Plan: &plan.Job{}}, n.planned
}

func (n *node) newDriver(r *Job) (Driver, error) {
	d := &driver{n: n, r: r, admitted: make(chan struct{}), stopped: make(chan struct{})}
	go d.drive()
	return d, nil
}

// end is a job's end as its driver tells it.
func (n *node) end(r *Job, state api.State, err error) {
	n.Leave(r)
	n.End(r, n.ended(r, state, err))
}

// ended is a job's end in this node's words.
func (n *node) ended(r *Job, state api.State, err error) *api.JobStatus {
	s := r.Spec.Status()
	s.State, s.Coordinator, s.Term, s.Ended = state, string(n.member.ID), r.Term.Number(), 1
	if err != nil {
		s.Error = api.FromError(err)
	}
	return s
}

// routes are those of package api that jobs need.
func (n *node) routes() http.Handler {
	mux := http.NewServeMux()
	route := func(pattern string, f func(r *http.Request, id plan.JobID) (any, error)) {
		mux.HandleFunc(pattern, func(w http.ResponseWriter, r *http.Request) {
			out, err := f(r, plan.JobID(r.PathValue("id")))
			if err != nil {
				w.WriteHeader(api.StatusOf(plan.KindOf(err)))
				out = api.FromError(err)
			}
			_ = json.NewEncoder(w).Encode(out)
		})
	}
	route("PUT /v1/specs/{id}", func(r *http.Request, id plan.JobID) (any, error) {
		rec := new(api.Record)
		if err := json.NewDecoder(r.Body).Decode(rec); err != nil {
			return nil, err
		}
		defer n.Fence(id, rec.Term)
		return struct{}{}, n.Records.Put(rec)
	})
	route("GET /v1/specs", func(*http.Request, plan.JobID) (any, error) { return n.List(), nil })
	route("POST /v1/jobs/{id}/start", func(r *http.Request, id plan.JobID) (any, error) {
		return n.Coordinate(r.Context(), n.Records.Get(id))
	})
	route("POST /v1/jobs/{id}/cancel", func(r *http.Request, id plan.JobID) (any, error) {
		if n.Knows(id) {
			return n.Cancel(r.Context(), id)
		}
		if addr, ok := n.Peers.Node(r.Context(), id); ok && r.Header.Get(api.HopHeader) == "" {
			return n.Peers.API.At(addr).Hop().Cancel(r.Context(), id)
		}
		return nil, peers.NoJob(id)
	})
	route("GET /v1/jobs/{id}", func(r *http.Request, id plan.JobID) (any, error) {
		if n.Knows(id) {
			return n.Status(id)
		}
		if r.Header.Get(api.HopHeader) != "" {
			return nil, peers.NoJob(id)
		}
		addr, ok := n.Peers.Node(r.Context(), id)
		if !ok {
			return nil, n.Peers.WhyNot(r.Context(), id)
		}
		return n.Peers.API.At(addr).Hop().Job(r.Context(), id)
	})
	return mux
}

func (p *pond) dial(ctx context.Context, _, addr string) (net.Conn, error) {
	host, _, _ := strings.Cut(addr, ":")
	n := p.nodes[mesh.NodeID(host)]
	if n == nil {
		return nil, fmt.Errorf("dial %s: no such host", addr)
	}
	here, there := net.Pipe()
	select {
	case n.conns <- there:
		return here, nil
	case <-n.Context.Done():
		return nil, fmt.Errorf("dial %s: connection refused", addr)
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

// Accept implements net.Listener.
func (n *node) Accept() (net.Conn, error) {
	select {
	case c := <-n.conns:
		return c, nil
	case <-n.Context.Done():
		return nil, io.EOF
	}
}

// Addr implements net.Listener.
func (n *node) Addr() net.Addr { return &net.UnixAddr{Name: string(n.member.ID)} }

// Close implements net.Listener.
func (n *node) Close() error { return nil }
