package replicas

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"math/rand/v2"
	"net"
	"net/http"
	"path/filepath"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/pondmesh/pond/actors/plan"
	"github.com/pondmesh/pond/fs"
	"github.com/pondmesh/pond/fs/collect"
	"github.com/pondmesh/pond/fs/disks"
	"github.com/pondmesh/pond/fs/layout"
	"github.com/pondmesh/pond/fs/register"
	"github.com/pondmesh/pond/fs/replica"
	"github.com/pondmesh/pond/mesh"
)

// pond is some nodes on a network and on disks in memory: tests of it run in a bubble of
// package synctest, so that time passes only when nothing else happens.
type pond struct {
	t     *testing.T
	nodes map[mesh.NodeID]*node
	mu    sync.Mutex
	view  *mesh.View
	// The register of the layout, and whether it can be reached.
	data    []byte
	version uint64
	cut     bool
	leaving map[mesh.NodeID]bool
	more    map[mesh.NodeID][]string // folders of more disks
	dir     string                   // of what is beside the disks
	judge   func(ctx context.Context, n *node, ids []fs.UploadID) error
}

// Get and CAS make the pond its own Registers.
func (p *pond) Get(context.Context, register.Key) ([]byte, uint64, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.cut {
		return nil, 0, register.ErrMinority
	}
	return p.data, p.version, nil
}

func (p *pond) CAS(_ context.Context, _ register.Key, _ register.ChangeID, expect uint64, data []byte) (uint64, []byte, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.cut {
		return 0, nil, register.ErrMinority
	}
	if expect != p.version {
		return p.version, p.data, register.ErrConflict
	}
	p.data, p.version = data, p.version+1
	return p.version, p.data, nil
}

// node is one of them.
type node struct {
	*Replicas
	p      *pond
	id     mesh.NodeID
	disk   vfs.FS
	first  *fs.Store
	server *http.Server
	conns  chan net.Conn
	closed chan struct{}
	meet   atomic.Pointer[meeting]
	clone  *vfs.MemFS // its disk as a crash left it
	adopts func(fs.Info) error
}

// meeting comes before a request is served, which it may be given to serve; false: it is
// served as it is.
type meeting func(w http.ResponseWriter, r *http.Request, serve http.HandlerFunc) bool

// bubble runs a test on a pond of nodes a, b, c and so on.
func bubble(t *testing.T, nodes int, test func(t *testing.T, p *pond)) {
	synctest.Test(t, func(t *testing.T) {
		p := &pond{t: t, nodes: map[mesh.NodeID]*node{}, leaving: map[mesh.NodeID]bool{}, dir: t.TempDir()}
		for i := range nodes {
			p.start(mesh.NodeID(rune('a'+i)), vfs.NewCrashableMem())
		}
		defer func() {
			for _, n := range p.nodes {
				n.stop()
			}
			time.Sleep(time.Minute) // servers linger over connections that they close
		}()
		test(t, p)
	})
}

// shortTimes are ten minutes for a day.
var shortTimes = collect.Times{Lease: time.Hour, Retention: 24 * time.Hour, Tombstone: 70 * time.Minute, Away: time.Hour}

const shortScrub = time.Hour

// start brings a node up on a disk.
func (p *pond) start(id mesh.NodeID, disk vfs.FS) *node {
	p.t.Helper()
	store, err := fs.Open(context.Background(), "/d", fs.Options{FS: disk})
	if err != nil {
		p.t.Fatal(err)
	}
	n := &node{p: p, id: id, disk: disk, first: store, conns: make(chan net.Conn), closed: make(chan struct{})}
	all, err := disks.Open(context.Background(), store, p.more[id], fs.Options{FS: disk})
	if err != nil {
		p.t.Fatal(err)
	}
	n.Replicas, err = Open(Config{Self: id, Disks: all, View: p.seen, Dial: p.dial, CacheMax: 1 << 20, Times: shortTimes, Scrub: shortScrub, Drained: filepath.Join(p.dir, string(id)), Adopt: func(info fs.Info) error { return n.adopts(info) }, Log: slog.New(slog.DiscardHandler),
		Judge: func(ctx context.Context, ids []fs.UploadID) error { return p.judge(ctx, n, ids) }})
	if err != nil {
		p.t.Fatal(err)
	}
	mux := http.NewServeMux()
	handle := func(pattern string, f func(http.ResponseWriter, *http.Request) (any, error)) {
		serve := func(w http.ResponseWriter, r *http.Request) {
			out, err := f(w, r)
			switch {
			case err != nil && errors.Is(err, plan.ErrNotFound):
				w.WriteHeader(http.StatusNotFound)
			case err != nil:
				w.WriteHeader(http.StatusInternalServerError)
			case out != nil:
				_ = json.NewEncoder(w).Encode(out)
			}
		}
		mux.HandleFunc(pattern, func(w http.ResponseWriter, r *http.Request) {
			if meet := n.meet.Load(); meet == nil || !(*meet)(w, r, serve) {
				serve(w, r)
			}
		})
	}
	handle("PUT /v1/uploads/{id}", n.ServePut)
	handle("GET /v1/uploads/{id}", n.ServeGet)
	handle("POST /v1/uploads/{id}/verify", n.ServeVerify)
	handle("POST /v1/inventory", n.ServeInventory)
	n.server = &http.Server{Handler: mux, ErrorLog: slog.NewLogLogger(slog.DiscardHandler, 0)}
	go n.server.Serve(n)
	p.mu.Lock()
	defer p.mu.Unlock()
	p.nodes[id] = n
	p.look()
	return n
}

// look makes the view that of the nodes that are up. The caller holds mu.
func (p *pond) look() {
	p.view = &mesh.View{}
	for id := range p.nodes {
		m := mesh.Member{ID: id, Host: string(id), API: 1, State: mesh.Alive}
		if p.leaving[id] {
			m.State = mesh.Leaving
		}
		p.view.Members = append(p.view.Members, m)
	}
	slices.SortFunc(p.view.Members, func(a, b mesh.Member) int { return bytes.Compare([]byte(a.ID), []byte(b.ID)) })
}

func (p *pond) seen() *mesh.View {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.view
}

// stop ends a node as a crash would; others still see it.
func (n *node) stop() {
	select {
	case <-n.closed:
		return
	default:
	}
	close(n.closed)
	n.server.Close()
	n.Replicas.Close()
	_ = n.store.Close()
	n.first.Close()
}

// forget has the others see that a node is gone.
func (p *pond) forget(id mesh.NodeID) {
	p.mu.Lock()
	defer p.mu.Unlock()
	delete(p.nodes, id)
	p.look()
}

func (p *pond) dial(ctx context.Context, _, addr string) (net.Conn, error) {
	host, _, err := net.SplitHostPort(addr)
	if err != nil {
		return nil, err
	}
	p.mu.Lock()
	n := p.nodes[mesh.NodeID(host)]
	p.mu.Unlock()
	if n == nil {
		return nil, fmt.Errorf("nobody is at %s", addr)
	}
	ours, theirs := net.Pipe()
	select {
	case n.conns <- theirs:
		return ours, nil
	case <-n.closed:
		return nil, fmt.Errorf("nobody listens at %s", addr)
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

// A node is its own net.Listener.
func (n *node) Accept() (net.Conn, error) {
	select {
	case c := <-n.conns:
		return c, nil
	case <-n.closed:
		return nil, net.ErrClosed
	}
}
func (n *node) Close() error   { return nil }
func (n *node) Addr() net.Addr { return &net.TCPAddr{} }

// on has a node's requests pass f first, unless it is nil.
func (n *node) on(f meeting) {
	if f == nil {
		n.meet.Store(nil)
		return
	}
	n.meet.Store(&f)
}

// crash ends a node as kill -9 would: what it does from now on reaches no disk and no
// other node.
func (n *node) crash() {
	n.clone = n.disk.(*vfs.MemFS).CrashClone(vfs.CrashCloneCfg{UnsyncedDataPercent: 100, RNG: rand.New(rand.NewPCG(1, 1))})
	go n.stop()
	<-n.closed
}

// powerLoss ends a node so that nothing stays that was not fsynced.
func (n *node) powerLoss() {
	n.clone = n.disk.(*vfs.MemFS).CrashClone(vfs.CrashCloneCfg{})
	go n.stop()
	<-n.closed
}

// again brings a node up that has crashed.
func (n *node) again() *node { return n.p.start(n.id, n.clone) }

// content is bytes of a seed.
func content(seed uint64, n int) []byte {
	b := make([]byte, n)
	rng := rand.NewChaCha8([32]byte{byte(seed)})
	_, _ = rng.Read(b)
	return b
}

// file writes a file beside a node's store.
func (n *node) file(b []byte) string {
	n.p.t.Helper()
	f, err := n.disk.Create("/draft", "test")
	if err == nil {
		_, err = f.Write(bytes.Clone(b))
		err = errors.Join(err, f.Close())
	}
	if err != nil {
		n.p.t.Fatal(err)
	}
	return "/draft"
}

func (n *node) mustPut(class replica.Class, b []byte) Copy {
	n.p.t.Helper()
	c, err := n.Put(context.Background(), class, n.file(b))
	if err != nil {
		n.p.t.Fatal(err)
	}
	return c
}

// has reports whether a node holds a good copy, durably.
func (n *node) has(c Copy, b []byte) bool {
	r, err := n.store.Reader(c.ID)
	if err != nil {
		return false
	}
	defer r.Close()
	got, err := io.ReadAll(io.NewSectionReader(r, 0, r.Size()))
	return err == nil && bytes.Equal(got, b) && r.Info().Durable
}

func (n *node) wantRead(c Copy, b []byte) {
	n.p.t.Helper()
	got, err := n.read(c, 0, -1)
	if err != nil || !bytes.Equal(got, b) {
		n.p.t.Fatalf("node %s reads %d bytes of %d, %v", n.id, len(got), len(b), err)
	}
}

func (n *node) read(c Copy, off, k int64) ([]byte, error) {
	in, err := n.Open(context.Background(), c.ID, c.Holders, off, k)
	if err != nil {
		return nil, err
	}
	defer in.Close()
	return io.ReadAll(in)
}

// rot changes a byte of a node's copy.
func (n *node) rot(id fs.UploadID, at int64) {
	n.p.t.Helper()
	f, err := n.disk.OpenReadWrite("/d/data/"+id.String(), "test")
	if err != nil {
		n.p.t.Fatal(err)
	}
	b := make([]byte, 1)
	_, err = f.ReadAt(b, at)
	b[0] ^= 1
	if err == nil {
		_, err = f.WriteAt(b, at)
	}
	if err := errors.Join(err, f.Close()); err != nil {
		n.p.t.Fatal(err)
	}
}

// others are the nodes but one.
func (p *pond) but(id ...mesh.NodeID) (out []*node) {
	for _, n := range p.nodes {
		if !slices.Contains(id, n.id) {
			out = append(out, n)
		}
	}
	slices.SortFunc(out, func(a, b *node) int { return bytes.Compare([]byte(a.id), []byte(b.id)) })
	return out
}

var three = replica.Class{Want: 3, Min: 2}

// eventually waits for what goes on by itself; time passes while nothing else happens.
func eventually(t *testing.T, what string, ok func() bool) {
	t.Helper()
	for range 1000 {
		synctest.Wait()
		if ok() {
			return
		}
		time.Sleep(time.Second)
	}
	t.Fatalf("%s: not even after a quarter of an hour", what)
}

// follow has all nodes look after their copies.
func (p *pond) follow() {
	for _, n := range p.but() {
		n.Follow(p)
	}
}

// laid waits until there is a layout of so many nodes, and all have come to it.
func (p *pond) laid(members int) layout.Layout {
	p.t.Helper()
	var l layout.Layout
	eventually(p.t, fmt.Sprintf("a layout of %d nodes", members), func() bool {
		data, _, err := p.Get(p.t.Context(), layoutKey)
		l = layout.Layout{}
		if err == nil && len(data) > 0 {
			err = json.Unmarshal(data, &l)
		}
		return err == nil && len(l.Versions) == 1 && len(l.Current().Members) == members && l.AllSeen()
	})
	return l
}

// placed waits until each upload is at its owners, good, and nowhere else.
func (p *pond) placed(l layout.Layout, all map[fs.UploadID][]byte) {
	p.t.Helper()
	for id, b := range all {
		owners := l.Owners(layout.GroupOf(id))
		eventually(p.t, fmt.Sprintf("upload %s at %v", id, owners), func() bool {
			for _, n := range p.but() {
				if n.has(Copy{ID: id}, b) != slices.Contains(owners, replica.Node(n.id)) {
					return false
				}
			}
			return true
		})
	}
}

// putAll puts some uploads.
func (p *pond) putAll(count int) map[fs.UploadID][]byte {
	p.t.Helper()
	all := map[fs.UploadID][]byte{}
	for i := range count {
		b := content(uint64(i), 1000*i+1)
		c := p.but()[i%len(p.nodes)].mustPut(p.but()[0].Published(), b)
		all[c.ID] = b
	}
	return all
}
