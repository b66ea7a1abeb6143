package registers

import (
	"context"
	"errors"
	"fmt"
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
	n.change(func() { n.leaving["a"] = true })
	ctx, cancel := context.WithTimeout(t.Context(), deadline)
	defer cancel()
	if err := n.nodes["a"].Leave(ctx); err != nil {
		t.Fatal(err)
	}
	n.kill("a")
	n.agree([]string{"b", "c", "d"}, "b", "c", "d", "e")
	n.kill("b")
	n.start("f", "e")
	n.await("b is replaced", func() bool { return len(n.nodes["e"].keepers()) == 3 })
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
