// Package replicas carries the copies of uploads between nodes: it sends a file down a
// chain of nodes ([Replicas.Put]), reads one from whoever has it ([Replicas.Open]) and
// makes one a local file ([Replicas.Local]).
//
// What is decided, packages fs/replica, fs/layout and fs/repair decide; what is stored,
// fs/disks stores. Here is what acts: HTTP between nodes, pipes, time.
//
//	Put:  file ─▶ own store ─▶ PUT ─▶ node ─▶ PUT ─▶ node      each checks every frame,
//	                    ◀── lines ◀──   ◀── lines ◀──           and tells when it is durable
//	Open: own store, or GET of frames with their checksums from one node after another
//
// It refuses to know package actors' Node, names and datasets, and who may read what: its
// routes are for nodes alone. It trusts no bytes without their checksum, and no report of
// damage that it has not seen itself.
//
// Read put.go, receive.go, then read.go, serve.go and local.go.
package replicas

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"slices"
	"sync"
	"time"

	"github.com/pondmesh/pond/actors/plan"
	"github.com/pondmesh/pond/actors/syserr"
	"github.com/pondmesh/pond/fs"
	"github.com/pondmesh/pond/fs/collect"
	"github.com/pondmesh/pond/fs/disks"
	"github.com/pondmesh/pond/fs/layout"
	"github.com/pondmesh/pond/fs/replica"
	"github.com/pondmesh/pond/mesh"
	"github.com/pondmesh/pond/mesh/ring"
)

// Kinds of uploads in a node's store.
const (
	kindCopy   = "copy"   // one of as many as its class says
	kindCached = "cached" // here because it was read here; it may go at any time
	// kindSegment is package journal's: it has copies while its job runs, which no layout
	// counts: who drives the job has them made, and made again.
	kindSegment = "segment"
)

// Bounds.
const (
	// StallMax is how long a node may take no byte, give no byte or say nothing before
	// another is asked.
	StallMax      = 5 * time.Second
	commitMax     = 5 * time.Minute // a copy's fsync may take
	receivingMax  = 64              // copies that are received at once: each takes a batch of memory
	verifyingMax  = 2
	chainMax      = 16 // nodes of a chain
	idlePerHost   = 8
	idleTimeout   = time.Minute
	dialTimeout   = 2 * time.Second
	readBuffer    = fs.FrameSize
	copiesDefault = 3 // of what is published
	copiesEnough  = 2
)

// Config is what the copies need of their node.
type Config struct {
	Self  mesh.NodeID
	Disks *disks.Disks
	View  func() *mesh.View // who is alive, this node included
	TLS   *tls.Config       // nil: plain HTTP
	// Authorization is that header of a request of addr; nil, or empty: none.
	Authorization func(addr string) (string, error)
	// Dial connects to a node's API; nil: a net.Dialer.
	Dial func(ctx context.Context, network, addr string) (net.Conn, error)
	// CacheMax is how many bytes of other nodes' uploads are kept because they were read
	// here.
	CacheMax int64
	// Judge says which of some uploads nothing refers to, and deletes those; nil: nobody
	// can. It is asked by a node that was away for longer than tombstones are kept.
	Judge func(ctx context.Context, ids []fs.UploadID) error
	// Segments is the one of the Disks that segments lie on; nil: any.
	Segments *fs.Store
	// Adopt takes a segment that another node made, and that is here now; nil: none are taken.
	Adopt func(fs.Info) error
	// Drained is a file that is there while this node is to be no place of copies.
	Drained string
	Times   collect.Times // zero: those of a pond
	Scrub   time.Duration // in which all copies are read; 0: scrubPeriod
	Log     *slog.Logger
}

// Replicas are one node's part in the pond's copies. Its methods may be called from many
// goroutines. They end with Close.
type Replicas struct {
	cfg   Config
	store *disks.Disks
	log   *slog.Logger
	http  *http.Transport

	ctx  context.Context
	stop context.CancelFunc
	life sync.Mutex // held to start a goroutine, and to end
	goes sync.WaitGroup

	receiving chan struct{} // a place for each copy that is received
	verifying chan struct{} // a place for each copy that is read whole
	reporting chan struct{} // a place for each report of damage under way
	pace      pace
	cache     cache

	registers Registers
	wake      chan struct{} // the rounds have something to do
	throttle  bucket        // of what is copied for repair
	beside    bucket        // of segments that nobody waits for
	done      done

	counting sync.Mutex // of holding
	holding  holding

	asked pass // the last reading of all copies that was asked for

	mu       sync.Mutex
	known    known
	stale    bool                      // what is here may have been deleted
	incoming map[fs.UploadID]*incoming // whose bytes come in
}

// Open starts the node's part. The disks are their owner's to close after Close.
func Open(cfg Config) (*Replicas, error) {
	r := &Replicas{cfg: cfg, store: cfg.Disks, log: cfg.Log,
		receiving: make(chan struct{}, receivingMax), reporting: make(chan struct{}, reportsMax), verifying: make(chan struct{}, verifyingMax), wake: make(chan struct{}, 1),
		throttle: bucket{rate: repairRate, burst: repairBurst}, beside: bucket{rate: plan.CopyRate, burst: repairBurst}, incoming: map[fs.UploadID]*incoming{}}
	r.ctx, r.stop = context.WithCancel(context.Background())
	if cfg.Scrub == 0 {
		r.cfg.Scrub = scrubPeriod
	}
	if cfg.Times == (collect.Times{}) {
		r.cfg.Times = collect.Kept()
	}
	if cfg.Dial == nil {
		r.cfg.Dial = (&net.Dialer{Timeout: dialTimeout}).DialContext
	}
	r.known = known{told: map[replica.Node]time.Time{}, drained: map[replica.Node]bool{}, answered: map[replica.Node]time.Time{}, here: map[replica.Node]time.Time{}, acks: map[replica.Node]layout.Ack{}, bytes: map[replica.Node]int64{}, begun: time.Now()}
	if err := r.readDrained(); err != nil {
		r.stop()
		return nil, err
	}
	r.http = newTransport(&r.cfg)
	if err := r.cache.open(r.store); err != nil {
		r.stop()
		return nil, fmt.Errorf("replicas: %w", err)
	}
	return r, nil
}

func newTransport(cfg *Config) *http.Transport {
	protocols := new(http.Protocols)
	protocols.SetHTTP1(true)
	t := &http.Transport{
		// No proxy, whatever the environment says: nodes are in one mesh.
		DialContext: cfg.Dial, Protocols: protocols, DisableCompression: true, MaxIdleConnsPerHost: idlePerHost, IdleConnTimeout: idleTimeout,
		TLSHandshakeTimeout: StallMax, ExpectContinueTimeout: StallMax, ReadBufferSize: readBuffer, WriteBufferSize: readBuffer,
	}
	if cfg.TLS != nil {
		t.TLSClientConfig = cfg.TLS.Clone()
		t.TLSClientConfig.NextProtos = []string{"http/1.1"}
	}
	return t
}

// Close ends what is under way.
func (r *Replicas) Close() {
	r.life.Lock()
	r.stop()
	r.life.Unlock()
	r.goes.Wait()
	r.http.CloseIdleConnections()
}

// spawn starts a goroutine that Close waits for, unless that has begun.
func (r *Replicas) spawn(f func()) bool {
	r.life.Lock()
	defer r.life.Unlock()
	if r.ctx.Err() != nil {
		return false
	}
	r.goes.Go(f)
	return true
}

// within ends with the Replicas too.
func (r *Replicas) within(ctx context.Context) (context.Context, context.CancelCauseFunc) {
	ctx, cancel := context.WithCancelCause(ctx)
	unhook := context.AfterFunc(r.ctx, func() { cancel(fs.ErrClosed) })
	return ctx, func(err error) { unhook(); cancel(err) }
}

// Copy is an upload as it was stored.
type Copy struct {
	ID      fs.UploadID
	Size    int64         // bytes
	Holders []mesh.NodeID // that said they have it, durably; the first is where it was made
	Short   bool          // enough copies, but fewer than there should be: a repair is due
}

// Published is the class of what others rely on, in a pond of as many nodes as are there
// now: three copies, of which two are enough, if there are so many nodes.
func (r *Replicas) Published() replica.Class {
	n := 0
	for _, m := range r.cfg.View().Members {
		if m.State == mesh.Alive && (m.ID == r.cfg.Self || !r.isDrained(replica.Node(m.ID))) { // what is stored here is here first
			n++
		}
	}
	want := max(1, min(copiesDefault, n))
	return replica.Class{Want: want, Min: min(copiesEnough, want)}
}

// candidates are the nodes that an upload may be sent to: its owners by the layout, if
// there is one, and then all others that take uploads, the best first.
func (r *Replicas) candidates(id fs.UploadID) (out []replica.Node) {
	members := r.cfg.View().Members
	nodes := make([]ring.Node, 0, len(members))
	for _, m := range members {
		if m.State == mesh.Alive && !r.isDrained(replica.Node(m.ID)) {
			nodes = append(nodes, ring.Node{ID: string(m.ID), Zone: m.Zone, Weight: 1})
		}
	}
	g := layout.GroupOf(id)
	l := r.Layout()
	for _, n := range l.Owners(g) {
		if slices.ContainsFunc(nodes, func(m ring.Node) bool { return m.ID == string(n) }) {
			out = append(out, n)
		}
	}
	for _, n := range ring.Rank(nodes, fmt.Sprintf("group/%d", g), len(nodes)) {
		if !slices.Contains(out, replica.Node(n.ID)) {
			out = append(out, replica.Node(n.ID))
		}
	}
	return out
}

// everybody are all nodes that may have an upload: those that are alive, and members of
// the layout, which may be away.
func (r *Replicas) everybody() []replica.Node {
	out := []replica.Node{r.self()}
	for _, m := range r.cfg.View().Members {
		if m.ID != r.cfg.Self {
			out = append(out, replica.Node(m.ID))
		}
	}
	l := r.Layout()
	for _, v := range l.Versions {
		for _, m := range v.Members {
			if m.Weight > 0 && !slices.Contains(out, m.Node) {
				out = append(out, m.Node)
			}
		}
	}
	return out
}

// url is a path of a node's API; "" if nothing is known of the node.
func (r *Replicas) url(n replica.Node, path string) string {
	m, ok := r.cfg.View().Find(mesh.NodeID(n))
	if !ok {
		return ""
	}
	if r.cfg.TLS != nil {
		return "https://" + m.APIAddr() + path
	}
	return "http://" + m.APIAddr() + path
}

func (r *Replicas) self() replica.Node { return replica.Node(r.cfg.Self) }

func nodeIDs(nodes []replica.Node) (out []mesh.NodeID) {
	for _, n := range nodes {
		out = append(out, mesh.NodeID(n))
	}
	return out
}

func replicaNodes(nodes []mesh.NodeID) (out []replica.Node) {
	for _, n := range nodes {
		out = append(out, replica.Node(n))
	}
	return slices.Clip(out)
}

// told gives an error its kind for other nodes: what package fs/replica says of the
// copies stays visible to errors.Is on this one.
func told(op string, id fs.UploadID, err error) error {
	kind, hint := plan.KindInternal, ""
	switch {
	case errors.Is(err, replica.ErrLost):
		kind, hint = plan.KindLost, "what is damaged was kept, in the folder quarantine of the nodes' stores"
	case errors.Is(err, replica.ErrUnavailable), errors.Is(err, replica.ErrTooFew):
		kind, hint = plan.KindUnavailable, "when the nodes that hold it are back, it can be read again"
	case errors.Is(err, fs.ErrOffline), syserr.Disk(err):
		own := syserr.Own(op, "", err)
		kind, hint = own.Kind, own.Hint
	case errors.Is(err, fs.ErrNotFound), errors.Is(err, replica.ErrDeleted):
		kind = plan.KindNotFound
	case errors.Is(err, fs.ErrInvalid):
		kind = plan.KindUser
	}
	return &failure{err, &plan.Error{Kind: kind, Op: op, Subject: "upload " + id.String(), Text: err.Error(), Hint: hint}}
}

// failure is an error with what other nodes are told of it.
type failure struct {
	err  error
	told *plan.Error
}

func (f *failure) Error() string   { return f.told.Error() }
func (f *failure) Unwrap() []error { return []error{f.err, f.told} }
