//go:build duckdb_arrow

package storage

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/pondmesh/pond/actors/access"
	"github.com/pondmesh/pond/actors/api"
	"github.com/pondmesh/pond/actors/carry"
	"github.com/pondmesh/pond/actors/datasets"
	"github.com/pondmesh/pond/actors/peers"
	"github.com/pondmesh/pond/actors/plan"
	"github.com/pondmesh/pond/actors/replicas"
	"github.com/pondmesh/pond/fs"
	"github.com/pondmesh/pond/fs/collect"
	"github.com/pondmesh/pond/fs/disks"
	"github.com/pondmesh/pond/fs/register/registertest"
	"github.com/pondmesh/pond/fs/replica"
	"github.com/pondmesh/pond/mesh"
)

// pond is nodes with stores, copies and servers of their own, over HTTP, and registers in
// memory.
type pond struct {
	t         *testing.T
	view      *mesh.View
	nodes     []*node
	registers *registertest.Memory
}

type node struct {
	id       mesh.NodeID
	client   *api.Peer
	disks    *disks.Disks
	replicas *replicas.Replicas
	datasets *datasets.Datasets
	server   *Server
	// before comes ahead of each request; false ends it.
	before atomic.Pointer[func(r *http.Request) bool]
}

var quiet = slog.New(slog.DiscardHandler)

// openPond starts a pond of n nodes.
func openPond(t *testing.T, n int) *pond {
	t.Helper()
	p := &pond{t: t, view: &mesh.View{}, registers: &registertest.Memory{}}
	muxes := make([]*http.ServeMux, n)
	for i := range n {
		nd := &node{id: mesh.NodeID(rune('a' + i))}
		p.nodes, muxes[i] = append(p.nodes, nd), http.NewServeMux()
		server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if before := nd.before.Load(); before == nil || (*before)(r) {
				muxes[i].ServeHTTP(w, r)
			}
		}))
		t.Cleanup(server.Close)
		addr := netip.MustParseAddrPort(server.Listener.Addr().String())
		p.view.Members = append(p.view.Members, mesh.Member{ID: nd.id, Host: addr.Addr().String(), API: int(addr.Port()), State: mesh.Alive})
	}
	for i, nd := range p.nodes {
		p.serve(nd, muxes[i])
	}
	return p
}

func (p *pond) serve(nd *node, mux *http.ServeMux) {
	p.t.Helper()
	dir := p.t.TempDir()
	store, err := fs.Open(p.t.Context(), filepath.Join(dir, "store"), fs.Options{})
	if err != nil {
		p.t.Fatal(err)
	}
	all, err := disks.Open(p.t.Context(), store, nil, fs.Options{})
	if err != nil {
		p.t.Fatal(err)
	}
	nd.disks = all
	seen := func() *mesh.View { return p.view }
	if nd.replicas, err = replicas.Open(replicas.Config{Self: nd.id, Disks: all, View: seen, CacheMax: 1 << 20, Drained: filepath.Join(dir, "drained"), Log: quiet}); err != nil {
		p.t.Fatal(err)
	}
	nd.replicas.Follow(p.registers)
	rules, err := access.New(access.Config{})
	if err != nil {
		p.t.Fatal(err)
	}
	nd.datasets = datasets.New(datasets.Config{Registers: p.registers, Uploads: nd.replicas, Dir: dir})
	own := api.NewPeer(nil, nil, nil)
	m, _ := p.view.Find(nd.id)
	nd.client = own.At(m.APIAddr())
	s, err := New(Config{Datasets: func() *datasets.Datasets { return nd.datasets }, Copies: nd.replicas, Footers: columnsAsText{}, Rules: rules, View: seen, Dir: filepath.Join(dir, "puts"), Room: store.Room, Log: quiet,
		Peers: &peers.Peers{Self: nd.id, View: seen, API: own, Log: quiet}})
	if err != nil {
		p.t.Fatal(err)
	}
	nd.server = s
	routes := append(s.Routes(), Route{Pattern: "PUT /v1/uploads/{id}", Answer: nd.replicas.ServePut}, Route{Pattern: "GET /v1/uploads/{id}", Answer: nd.replicas.ServeGet},
		Route{Pattern: "POST /v1/inventory", Answer: nd.replicas.ServeInventory})
	for _, r := range routes {
		mux.HandleFunc(r.Pattern, func(w http.ResponseWriter, req *http.Request) {
			switch out, err := r.Answer(w, req); {
			case err != nil:
				w.WriteHeader(api.StatusOf(plan.KindOf(err)))
				_ = json.NewEncoder(w).Encode(api.FromError(err))
			case out != nil:
				_ = json.NewEncoder(w).Encode(out)
			}
		})
	}
	p.t.Cleanup(func() {
		own.Close()
		nd.replicas.Close()
		_ = store.Close()
	})
}

// on sets what comes before each request of a node; nil: nothing.
func (n *node) on(before func(r *http.Request) bool) {
	if before == nil {
		n.before.Store(nil)
		return
	}
	n.before.Store(&before)
}

// holders are the nodes of which each has a copy of all files of a dataset.
func (p *pond) holders(name string) (count []int) {
	p.t.Helper()
	_, m, err := p.nodes[0].datasets.Look(p.t.Context(), name, 0)
	if err != nil {
		p.t.Fatal(err)
	}
	count = make([]int, len(m.Files))
	for i, f := range m.Files {
		for _, n := range p.nodes {
			if info, err := n.replicas.Stat(fs.UploadID(f.Upload)); err == nil && info.Kind == "copy" {
				count[i]++
			}
		}
	}
	return count
}

// A client that goes away between a file's first copy and the others leaves one copy: the
// put that goes on, at whichever node, publishes no file of which there is one copy alone.
func TestPutGoesOnWithOneCopy(t *testing.T) {
	from := filepath.Join(t.TempDir(), "f")
	if err := os.WriteFile(from, []byte("some bytes"), 0o600); err != nil {
		t.Fatal(err)
	}
	put := carry.Putting{Name: "d", ID: "one", Mode: "error", Files: []carry.Local{{From: from, Path: "f", Size: 10}}}
	for name, next := range map[string]int{"the node that took it": 0, "another": 1} {
		t.Run(name, func(t *testing.T) {
			p := openPond(t, 3)
			p.half(put)
			of := collect.Origin{Dataset: put.Name}
			var err error
			if of.Lease, err = p.nodes[0].datasets.Lease(t.Context(), put.Name, put.ID); err != nil {
				t.Fatal(err)
			}
			held, err := p.nodes[0].datasets.Held(of)
			if err != nil || len(held) != 1 {
				t.Fatalf("the fault did not happen: %+v, %v", held, err)
			}
			if version, err := carry.Put(t.Context(), p.nodes[next].client, put); version != 1 || err != nil {
				t.Fatalf("version %d, %v", version, err)
			}
			if count := p.holders("d"); len(count) != 1 || count[0] < 2 {
				t.Errorf("copies: %v", count)
			}
		})
	}
}

// A put whose files cannot have enough copies is refused, whatever is there of it.
func TestPutTooFew(t *testing.T) {
	from := filepath.Join(t.TempDir(), "f")
	if err := os.WriteFile(from, []byte("some bytes"), 0o600); err != nil {
		t.Fatal(err)
	}
	p := openPond(t, 3)
	put := carry.Putting{Name: "d", ID: "one", Mode: "error", Files: []carry.Local{{From: from, Path: "f", Size: 10}}}
	p.half(put)
	for _, n := range p.nodes[1:] {
		n.on(func(r *http.Request) bool { return r.Method != http.MethodPut }) // says nothing
	}
	lease, err := p.nodes[0].datasets.Lease(t.Context(), put.Name, put.ID)
	if err != nil {
		t.Fatal(err)
	}
	for range 2 { // what is there of it stays
		if held, err := p.nodes[0].server.held(t.Context(), put.Name, lease); !errors.Is(err, replica.ErrTooFew) {
			t.Errorf("%+v, %v", held, err)
		}
	}
	for _, n := range p.nodes {
		n.on(nil)
	}
	if version, err := carry.Put(t.Context(), p.nodes[0].client, put); version != 1 || err != nil {
		t.Errorf("version %d, %v", version, err)
	}
	if count := p.holders("d"); len(count) != 1 || count[0] < 2 {
		t.Errorf("copies: %v", count)
	}
}

// half puts a file, and goes away when the first node has it and sends it to another.
func (p *pond) half(put carry.Putting) {
	p.t.Helper()
	ctx, cancel := context.WithCancel(p.t.Context())
	defer cancel()
	var over sync.WaitGroup
	for _, n := range p.nodes[1:] {
		n.on(func(r *http.Request) bool {
			if r.Method != http.MethodPut {
				return true
			}
			over.Add(1)
			defer over.Done()
			cancel()
			_, _ = io.Copy(io.Discard, r.Body)
			<-r.Context().Done()
			return false
		})
	}
	if _, err := carry.Put(ctx, p.nodes[0].client, put); !errors.Is(err, context.Canceled) {
		p.t.Fatal(err)
	}
	over.Wait()
	for _, n := range p.nodes {
		n.on(nil)
	}
}
