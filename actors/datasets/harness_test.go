package datasets

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/pondmesh/pond/actors/api"
	"github.com/pondmesh/pond/actors/registers"
	"github.com/pondmesh/pond/actors/replicas"
	"github.com/pondmesh/pond/fs"
	"github.com/pondmesh/pond/fs/dataset"
	"github.com/pondmesh/pond/fs/disks"
	"github.com/pondmesh/pond/fs/repair"
	"github.com/pondmesh/pond/fs/replica"
	"github.com/pondmesh/pond/mesh"
)

// pond is nodes with registers, stores and copies of their own: registers call one
// another, copies go over HTTP.
type pond struct {
	t         *testing.T
	mu        sync.Mutex // of view and registers
	view      *mesh.View
	registers map[string]*registers.Registers // by address
	nodes     []*node
}

type node struct {
	*Datasets
	id       mesh.NodeID
	replicas *replicas.Replicas
	store    *fs.Store
	dir      string
	server   *httptest.Server
}

var quiet = slog.New(slog.DiscardHandler)

// open starts a pond of n nodes, which see one another from the first.
func open(t *testing.T, n int) *pond {
	t.Helper()
	p := &pond{t: t, view: &mesh.View{}, registers: map[string]*registers.Registers{}}
	for i := range n {
		p.nodes = append(p.nodes, p.serve(mesh.NodeID(rune('a'+i))))
	}
	for _, nd := range p.nodes {
		p.openRegisters(nd)
	}
	return p
}

// serve starts a node's copies.
func (p *pond) serve(id mesh.NodeID) *node {
	p.t.Helper()
	nd := &node{id: id, dir: p.t.TempDir()}
	store, err := fs.Open(p.t.Context(), filepath.Join(nd.dir, "store"), fs.Options{})
	if err != nil {
		p.t.Fatal(err)
	}
	nd.store = store
	all, err := disks.Open(p.t.Context(), store, nil, fs.Options{})
	if err != nil {
		p.t.Fatal(err)
	}
	nd.replicas, err = replicas.Open(replicas.Config{Self: id, Disks: all, View: p.seen, CacheMax: 1 << 20, Log: quiet})
	if err != nil {
		p.t.Fatal(err)
	}
	mux := http.NewServeMux()
	for pattern, f := range map[string]func(http.ResponseWriter, *http.Request) (any, error){
		"PUT /v1/uploads/{id}": nd.replicas.ServePut, "GET /v1/uploads/{id}": nd.replicas.ServeGet, "POST /v1/uploads/{id}/verify": nd.replicas.ServeVerify,
	} {
		mux.HandleFunc(pattern, func(w http.ResponseWriter, r *http.Request) {
			switch out, err := f(w, r); {
			case err != nil:
				w.WriteHeader(http.StatusNotFound)
			case out != nil:
				_ = json.NewEncoder(w).Encode(out)
			}
		})
	}
	nd.server = httptest.NewServer(mux)
	addr := netip.MustParseAddrPort(nd.server.Listener.Addr().String())
	p.mu.Lock()
	defer p.mu.Unlock()
	p.view.Members = append(p.view.Members, mesh.Member{ID: id, Host: addr.Addr().String(), API: int(addr.Port()), State: mesh.Alive})
	p.t.Cleanup(func() {
		nd.server.Close()
		nd.replicas.Close()
		store.Close()
	})
	return nd
}

func (p *pond) openRegisters(nd *node) {
	p.t.Helper()
	m, _ := p.view.Find(nd.id)
	never := make(chan struct{})
	r, err := registers.Open(registers.Config{
		Node: string(nd.id), Keeper: registers.NewMemory(string(nd.id)), Grace: time.Hour, Log: quiet,
		Seeds: func(context.Context) []registers.Seed { return nil },
		View: func() (out []registers.Member, changed <-chan struct{}) {
			for _, m := range p.seen().Members {
				out = append(out, registers.Member{Node: string(m.ID), Addr: m.APIAddr()})
			}
			return out, never
		},
		Ask: func(ctx context.Context, addr string, c *api.RegisterCall) (*api.RegisterReply, error) {
			p.mu.Lock()
			other := p.registers[addr]
			p.mu.Unlock()
			if other == nil {
				return nil, fmt.Errorf("nobody is at %s", addr)
			}
			return other.Answer(ctx, c)
		},
	})
	if err != nil {
		p.t.Fatal(err)
	}
	p.t.Cleanup(r.Close)
	p.mu.Lock()
	defer p.mu.Unlock()
	p.registers[m.APIAddr()] = r
	nd.Datasets = New(Config{Registers: r, Uploads: nd.replicas, Dir: nd.dir})
}

func (p *pond) seen() *mesh.View {
	p.mu.Lock()
	defer p.mu.Unlock()
	return &mesh.View{Members: slices.Clone(p.view.Members)}
}

var columns = []dataset.Column{{Name: "a", Type: "BIGINT"}}

// made uploads files whose content is their paths', from this node.
func (n *node) made(t *testing.T, paths ...string) (out []dataset.File) {
	t.Helper()
	for _, path := range paths {
		f := n.uploaded(t, []byte(path))
		f.Path = path
		out = append(out, f)
	}
	return out
}

// uploaded uploads a file, whose path is not said yet.
func (n *node) uploaded(t *testing.T, data []byte) dataset.File {
	t.Helper()
	file := filepath.Join(n.dir, rand.Text())
	if err := os.WriteFile(file, data, 0o600); err != nil {
		t.Fatal(err)
	}
	c, err := n.replicas.Put(t.Context(), n.replicas.Published(), file)
	if err != nil {
		t.Fatal(err)
	}
	f := dataset.File{Upload: repair.ID(c.ID), Size: c.Size, Rows: 1}
	for _, h := range c.Holders {
		f.Holders = append(f.Holders, replica.Node(h))
	}
	return f
}

// job is a publication of a job with a lease.
func (d *Datasets) job(t *testing.T, name, job string, mode dataset.Mode, files []dataset.File) Publication {
	t.Helper()
	lease, err := d.Begin(t.Context(), name, job, dataset.Writer{}, mode)
	if err != nil {
		t.Fatal(err)
	}
	return Publication{Name: name, Job: job, Lease: lease, Mode: mode, Columns: columns, Files: files}
}

// paths are those of the files that a pattern finds.
func (d *Datasets) paths(t *testing.T, pattern string) string {
	t.Helper()
	list, err := d.Find(t.Context(), pattern)
	if err != nil {
		t.Fatalf("%s: %v", pattern, err)
	}
	var out []string
	for _, o := range list {
		out = append(out, strings.TrimPrefix(o.Name, "pond://sales/"))
	}
	return strings.Join(out, " ")
}
