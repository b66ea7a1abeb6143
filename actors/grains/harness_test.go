package grains_test

import (
	"context"
	"fmt"
	"log/slog"
	"testing"
	"time"

	"github.com/asynkron/protoactor-go/actor"

	"github.com/pondmesh/pond/actors/grains"
	"github.com/pondmesh/pond/actors/kinds"
	"github.com/pondmesh/pond/actors/plan"
	"github.com/pondmesh/pond/fs/register/registertest"
	"github.com/pondmesh/pond/mesh/offers"
)

// pond is hosts that call one another by function calls, with registers in memory. Each
// sees the members that the test lets it see.
type pond struct {
	t         *testing.T
	registers registertest.Memory
	hosts     map[string]*host
}

type host struct {
	*grains.Host
	view chan view // holds the latest
}

type view struct {
	members []grains.Member
	changed chan struct{}
}

// newPond starts hosts of the kinds, which all see one another.
func newPond(t *testing.T, names []string, list ...kinds.Kind) *pond {
	t.Helper()
	p := &pond{t: t, hosts: map[string]*host{}}
	var registry kinds.Registry
	for _, k := range list {
		if err := registry.Add(k); err != nil {
			t.Fatal(err)
		}
	}
	for _, name := range names {
		h := &host{view: make(chan view, 1)}
		h.view <- view{p.members(names...), make(chan struct{})}
		system := actor.NewActorSystem(actor.WithLoggerFactory(func(*actor.ActorSystem) *slog.Logger { return slog.New(slog.DiscardHandler) }))
		h.Host = grains.Open(grains.Config{Self: name, System: system, Kinds: &registry, View: h.look, Call: p.call, Registers: &p.registers, Log: slog.New(slog.DiscardHandler)})
		p.hosts[name] = h
		t.Cleanup(func() { h.Close(); system.Shutdown() })
	}
	return p
}

// members offer every kind, and are called by their names.
func (p *pond) members(names ...string) (out []grains.Member) {
	set, err := offers.New(offers.Actor("counter"), offers.Actor("probe"))
	if err != nil {
		p.t.Fatal(err)
	}
	for _, n := range names {
		out = append(out, grains.Member{Node: n, Addr: n, Offers: set})
	}
	return out
}

func (h *host) look() ([]grains.Member, <-chan struct{}) {
	v := <-h.view
	h.view <- v
	return v.members, v.changed
}

// see changes what a host believes.
func (p *pond) see(name string, members ...string) {
	h := p.hosts[name]
	v := <-h.view
	h.view <- view{p.members(members...), make(chan struct{})}
	close(v.changed)
}

func (p *pond) call(ctx context.Context, addr, kind, key string, msg []byte) ([]byte, error) {
	h := p.hosts[addr]
	if h == nil {
		return nil, &plan.Error{Kind: plan.KindUnavailable, Op: kinds.OpActivate, Text: "nothing listens there"}
	}
	return h.Deliver(ctx, kind, key, msg)
}

// owner is the host on which a key lives, if all of names do.
func (p *pond) owner(key string, names ...string) string {
	m, ok := grains.Owner(p.members(names...), "counter", key)
	if !ok {
		p.t.Fatal("nobody owns the key")
	}
	return m.Node
}

// ask wants a reply.
func (p *pond) ask(from, kind, key, msg string) string {
	p.t.Helper()
	reply, err := p.hosts[from].Call(p.t.Context(), kind, key, []byte(msg))
	if err != nil {
		p.t.Fatalf("%s calls %s/%s: %v", from, kind, key, err)
	}
	return string(reply)
}

// receive is an actor that is a function.
type receive func(ctx kinds.Context, msg []byte) ([]byte, error)

func (f receive) Receive(ctx kinds.Context, msg []byte) ([]byte, error) { return f(ctx, msg) }

// counter counts in its state: "add" is told the new count, "get" the present one.
var counter = kinds.Kind{Name: "counter", New: func(string) kinds.Actor {
	return receive(func(ctx kinds.Context, msg []byte) ([]byte, error) {
		b, err := ctx.Load()
		if err != nil {
			return nil, err
		}
		n := 0
		fmt.Sscan(string(b), &n)
		if string(msg) == "add" {
			n++
			if err := ctx.Save(fmt.Append(nil, n)); err != nil {
				return nil, err
			}
		}
		return fmt.Append(nil, n), nil
	})
}}

// probe is a kind of actors that do what the test says.
func probe(f func(ctx kinds.Context, msg []byte) ([]byte, error)) kinds.Kind {
	return kinds.Kind{Name: "probe", New: func(string) kinds.Actor { return receive(f) }}
}

// settle is a pause of the test's own clock.
func settle(d time.Duration) { time.Sleep(d) }
