package registers

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/pondmesh/pond/fs/register"
)

// A pond of one node has registers, at once.
func TestAlone(t *testing.T) {
	r, err := Alone("a")
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	ctx := t.Context()
	if data, v, err := r.Get(ctx, "k"); err != nil || v != 0 || data != nil {
		t.Errorf("never written: %q, %d, %v", data, v, err)
	}
	id := NewChange()
	if v, now, err := r.CAS(ctx, "k", id, 0, []byte("x")); err != nil || v != 1 || string(now) != "x" {
		t.Errorf("first: %d, %q, %v", v, now, err)
	}
	if v, now, err := r.CAS(ctx, "k", NewChange(), 0, []byte("y")); !errors.Is(err, register.ErrConflict) || v != 1 || string(now) != "x" {
		t.Errorf("of an old version: %d, %q, %v", v, now, err)
	}
	if v, now, err := r.CAS(ctx, "k", id, 0, []byte("x")); err != nil || v != 1 || string(now) != "x" {
		t.Errorf("the same change again: %d, %q, %v", v, now, err)
	}
	for _, bad := range []struct {
		key register.Key
		id  register.ChangeID
		n   int
	}{{"", id, 0}, {register.RosterKey, id, 0}, {register.FoundingKey, id, 0}, {register.Key(strings.Repeat("k", register.KeyMax+1)), id, 0}, {"k", "", 0}, {"k", id, register.DataMax + 1}} {
		if _, _, err := r.CAS(ctx, bad.key, bad.id, 0, make([]byte, bad.n)); err == nil {
			t.Errorf("taken: %.10q %q %d", bad.key, bad.id, bad.n)
		}
	}
}

// Keepers become three and five as nodes join; a dead one is replaced, a leaving one
// hands over; all registers are readable by all, whoever of the first keepers is gone.
func TestRoster(t *testing.T) {
	n := newNet(t)
	n.start("a")
	n.agree([]string{"a"}, "a")
	n.nodes["a"].set(t, "old", "1")
	n.start("b", "a")
	n.agree([]string{"a"}, "a", "b")
	n.nodes["b"].set(t, "old", "2")
	n.start("c", "b")
	n.agree([]string{"a", "b", "c"}, "a", "b", "c")
	n.start("d", "c")
	n.agree([]string{"a", "b", "c"}, "d")
	n.start("e", "a")
	all := []string{"a", "b", "c", "d", "e"}
	n.agree(all, all...)
	for i := range 20 {
		n.nodes[all[i%5]].set(t, fmt.Sprint("k", i), fmt.Sprint(i))
	}
	n.start("g", "b")
	n.change(func() { n.leaving["a"] = true })
	ctx, cancel := context.WithTimeout(t.Context(), deadline)
	defer cancel()
	if err := n.nodes["a"].Leave(ctx); err != nil {
		t.Fatal(err)
	}
	n.kill("a")
	n.agree([]string{"b", "c", "d", "e", "g"}, "b", "c", "d", "e", "g")
	n.start("f", "e")
	n.kill("b")
	n.nodes["c"].set(t, "k0", "0")
	for i := range 20 {
		n.nodes["e"].want(t, fmt.Sprint("k", i), fmt.Sprint(i))
	}
	n.nodes["f"].want(t, "old", "2")
}

// A minority fails within its deadline, and says how many have answered.
func TestMinority(t *testing.T) {
	n := newNet(t)
	for i, name := range []string{"a", "b", "c"} {
		n.start(name, []string{"a", "b"}[:min(i, 1)]...)
	}
	n.agree([]string{"a", "b", "c"}, "a", "b", "c")
	n.nodes["a"].set(t, "k", "1")
	n.kill("b")
	n.nodes["a"].want(t, "k", "1")
	n.kill("c")
	ctx, cancel := context.WithTimeout(t.Context(), 300*time.Millisecond)
	defer cancel()
	_, _, err := n.nodes["a"].Get(ctx, "k")
	if !errors.Is(err, register.ErrMinority) || !strings.Contains(err.Error(), "1 of 3 keepers answered") {
		t.Errorf("get: %v", err)
	}
	ctx, cancel = context.WithTimeout(t.Context(), 300*time.Millisecond)
	defer cancel()
	_, _, err = n.nodes["a"].CAS(ctx, "k", NewChange(), 1, []byte("2"))
	if !errors.Is(err, register.ErrMinority) {
		t.Errorf("cas: %v", err)
	}
	n.start("b")
	n.nodes["a"].want(t, "k", "1")
}

// All nodes that end at once know the pond when they are started again, whoever is
// first, and found no other.
func TestAllRestart(t *testing.T) {
	n := newNet(t)
	names := []string{"a", "b", "c", "d"}
	n.start("a")
	for _, name := range names[1:] {
		n.start(name, "a")
	}
	n.agree(names[:3], names...)
	n.nodes["d"].set(t, "k", "x")
	n.await("all have noted the keepers", func() bool {
		for _, name := range names {
			if r, err := n.nodes[name].ownRoster(); err != nil || r.Version == 0 {
				return false
			}
		}
		return true
	})
	pond := n.nodes["a"].Roster().Pond
	for _, name := range names {
		n.kill(name)
	}
	for i, name := range names {
		name = names[len(names)-1-i]
		n.start(name, "a")
		if got := n.nodes[name].Roster().Pond; got != pond {
			t.Errorf("%s knows pond %q, not %q", name, got, pond)
		}
	}
	n.nodes["d"].want(t, "k", "x")
}

// A node whose keeper's disk is gone, or has failed, is replaced at once, and becomes a
// keeper again under another id.
func TestDiskLost(t *testing.T) {
	n := newNet(t)
	names := []string{"a", "b", "c"}
	n.start("a")
	n.start("b", "a")
	n.start("c", "a")
	n.agree(names, names...)
	n.nodes["c"].set(t, "k", "x")
	old := n.nodes["b"].self
	n.kill("b")
	n.nodes["b"].keeper = NewMemory("b")
	n.start("b", "a")
	n.await("b keeps under another id", func() bool {
		r := n.nodes["a"].Roster()
		return !r.Joint() && len(r.Keepers) == 3 && !slices.Contains(r.Keepers, old)
	})
	n.start("d", "a")
	n.nodes["a"].keeper.FailWith(errors.New("the disk has failed"))
	n.agree([]string{"b", "c", "d"}, "b", "c", "d")
	n.nodes["a"].want(t, "k", "x")
	if err := n.nodes["a"].Health(); err == nil {
		t.Error("the node of a failed disk is healthy")
	}
}

// Two ponds that meet go on apart, and say so.
func TestTwoPonds(t *testing.T) {
	n := newNet(t)
	n.start("a")
	n.agree([]string{"a"}, "a")
	n.change(func() { n.down["a"] = true })
	n.start("b")
	n.agree([]string{"b"}, "b")
	n.nodes["b"].set(t, "k", "b's")
	n.change(func() { delete(n.down, "a") })
	n.await("they meet", func() bool {
		b := n.nodes["b"]
		b.mu.Lock()
		defer b.mu.Unlock()
		return b.strays["a"]
	})
	n.nodes["a"].set(t, "k", "a's")
	n.nodes["b"].want(t, "k", "b's")
	n.start("c", "a", "b")
	n.await("c is of one of them", func() bool { return n.nodes["c"].Roster().Version > 0 })
	if got := n.nodes["a"].keepers(); !slices.Equal(got, []string{"a"}) {
		t.Errorf("a has taken in %v", got)
	}
}
