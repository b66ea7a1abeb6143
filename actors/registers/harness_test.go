package registers

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/pondmesh/pond/actors/api"
	"github.com/pondmesh/pond/fs/register"
)

// deadline is of what a busy machine may take its time for.
const deadline = 60 * time.Second

// net is a pond of nodes whose calls cross no network: one that loses, doubles and
// delays, if it is told to.
type net struct {
	t     *testing.T
	grace time.Duration
	seed  uint64

	mu      sync.Mutex
	rng     *rand.Rand
	nodes   map[string]*node
	down    map[string]bool    // not in the view, and does not answer
	cut     map[[2]string]bool // one does not reach the other
	loss    float64
	changed chan struct{}
	leaving map[string]bool
}

type node struct {
	name, zone string
	keeper     *Memory
	*Registers
}

func newNet(t *testing.T) *net {
	n := &net{t: t, grace: time.Hour, nodes: map[string]*node{}, down: map[string]bool{}, cut: map[[2]string]bool{}, leaving: map[string]bool{}, changed: make(chan struct{})}
	n.seed = rand.Uint64()
	t.Logf("seed %d", n.seed)
	n.rng = rand.New(rand.NewPCG(n.seed, 1))
	t.Cleanup(func() {
		for _, nd := range n.nodes {
			nd.Close()
		}
	})
	return n
}

// change changes what the nodes see, and wakes them.
func (n *net) change(f func()) {
	n.mu.Lock()
	defer n.mu.Unlock()
	f()
	close(n.changed)
	n.changed = make(chan struct{})
}

// start starts a node, or starts it again.
func (n *net) start(name string, seeds ...string) *node {
	n.t.Helper()
	n.mu.Lock()
	nd := n.nodes[name]
	n.mu.Unlock()
	if nd == nil {
		nd = &node{name: name, keeper: NewMemory(name)}
	} else {
		nd = &node{name: name, zone: nd.zone, keeper: nd.keeper}
		nd.keeper.Restart()
	}
	var err error
	nd.Registers, err = Open(Config{
		Node: name, Keeper: nd.keeper, Seeds: func(context.Context) (out []Seed) {
			for _, s := range seeds {
				out = append(out, Seed{s, []string{s}})
			}
			return out
		}, Grace: n.grace, Log: slog.New(slog.DiscardHandler),
		View: func() ([]Member, <-chan struct{}) { return n.view() },
		Ask: func(ctx context.Context, addr string, c *api.RegisterCall) (*api.RegisterReply, error) {
			return n.carry(ctx, name, addr, c)
		},
	})
	if err != nil {
		n.t.Fatal(err)
	}
	n.change(func() {
		n.nodes[name] = nd
		delete(n.down, name)
	})
	return nd
}

// kill ends a node without a word.
func (n *net) kill(name string) {
	n.change(func() { n.down[name] = true })
	n.nodes[name].Close()
}

func (n *net) view() (out []Member, changed <-chan struct{}) {
	n.mu.Lock()
	defer n.mu.Unlock()
	for name, nd := range n.nodes {
		if !n.down[name] {
			out = append(out, Member{Node: name, Addr: name, Zone: nd.zone, Leaving: n.leaving[name]})
		}
	}
	return out, n.changed
}

var errLost = errors.New("lost")

// carry takes a call there and the reply back.
func (n *net) carry(ctx context.Context, from, to string, c *api.RegisterCall) (*api.RegisterReply, error) {
	n.mu.Lock()
	nd := n.nodes[to]
	dead := nd == nil || n.down[to] || n.down[from] || n.cut[[2]string{from, to}] || n.cut[[2]string{to, from}]
	lostThere, lostBack, twice := n.rng.Float64() < n.loss, n.rng.Float64() < n.loss, n.rng.Float64() < n.loss
	late := time.Duration(0)
	if n.loss > 0 {
		late = time.Duration(n.rng.IntN(3)) * time.Millisecond
	}
	n.mu.Unlock()
	if dead || lostThere {
		return nil, errLost
	}
	if late > 0 {
		time.Sleep(late)
	}
	reply, err := nd.Answer(ctx, c)
	if twice {
		reply, err = nd.Answer(ctx, c)
	}
	if lostBack && err == nil {
		return nil, errLost
	}
	return reply, err
}

// await waits until something is so.
func (n *net) await(what string, so func() bool) {
	n.t.Helper()
	for end := time.Now().Add(deadline); !so(); {
		if time.Now().After(end) {
			for name, nd := range n.nodes {
				n.t.Logf("%s: down %v, roster %+v, why %s", name, n.down[name], nd.Roster(), nd.why)
			}
			n.t.Fatalf("not in %v: %s", deadline, what)
		}
		time.Sleep(10 * time.Millisecond)
	}
}

// keepers are the nodes of a settled roster, as a node knows it; none while it changes.
func (nd *node) keepers() (out []string) {
	r := nd.Roster()
	if r.Joint() {
		return nil
	}
	for _, k := range r.Keepers {
		out = append(out, NodeOf(k))
	}
	return out
}

// agree waits until nodes know of keepers on exactly these nodes.
func (n *net) agree(keepers []string, nodes ...string) {
	n.t.Helper()
	n.await(fmt.Sprintf("%v know %v", nodes, keepers), func() bool {
		for _, name := range nodes {
			if got := n.nodes[name].keepers(); !slices.Equal(got, keepers) {
				return false
			}
		}
		return true
	})
}

func (nd *node) set(t *testing.T, key, value string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), deadline)
	defer cancel()
	for {
		_, version, err := nd.Get(ctx, register.Key(key))
		if err == nil {
			_, _, err = nd.CAS(ctx, register.Key(key), NewChange(), version, []byte(value))
		}
		if errors.Is(err, register.ErrConflict) {
			continue
		}
		if err != nil {
			t.Fatal(err)
		}
		return
	}
}

func (nd *node) want(t *testing.T, key, value string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), deadline)
	defer cancel()
	data, _, err := nd.Get(ctx, register.Key(key))
	if err != nil || string(data) != value {
		t.Fatalf("%s has %q of %q, %v; want %q", nd.name, data, key, err, value)
	}
}
