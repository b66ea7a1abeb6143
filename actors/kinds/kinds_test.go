package kinds_test

import (
	"errors"
	"slices"
	"strings"
	"testing"

	"github.com/pondmesh/pond/actors/kinds"
	"github.com/pondmesh/pond/actors/plan"
)

func TestRegistry(t *testing.T) {
	var r kinds.Registry
	make := func(string) kinds.Actor { return nil }
	for _, name := range []string{"session", "a-b_9", strings.Repeat("n", kinds.NameMax)} {
		if err := r.Add(kinds.Kind{Name: name, New: make}); err != nil {
			t.Error(err)
		}
	}
	for _, name := range []string{"", "a b", "a/b", "é", strings.Repeat("n", kinds.NameMax+1)} {
		if err := r.Add(kinds.Kind{Name: name, New: make}); !errors.Is(err, plan.ErrQuery) {
			t.Errorf("%q: %v", name, err)
		}
	}
	if r.Add(kinds.Kind{Name: "nothing"}) == nil {
		t.Error("a kind without a function is taken")
	}
	if names := r.Names(); len(names) != 3 || !slices.IsSorted(names) {
		t.Errorf("names: %v", names)
	}
	if _, ok := r.Get("session"); !ok {
		t.Error("a kind is missing")
	}
	if _, ok := new(kinds.Registry).Get("session"); ok {
		t.Error("an empty registry has a kind")
	}
}

func TestCheckKey(t *testing.T) {
	for _, key := range []string{"alice", "a/b?c=d#e%20", "Ünïcode 名", "...", strings.Repeat("k", kinds.KeyMax)} {
		if err := kinds.CheckKey(key); err != nil {
			t.Errorf("%q: %v", key, err)
		}
	}
	for _, key := range []string{"", ".", "..", "a\x00", "a\nb", "\xff", strings.Repeat("k", kinds.KeyMax+1)} {
		if err := kinds.CheckKey(key); !errors.Is(err, plan.ErrQuery) {
			t.Errorf("%q: %v", key, err)
		}
	}
}

// A message of as many bytes as may be is taken, and one more is told with both figures.
func TestCheckMessage(t *testing.T) {
	if err := errors.Join(kinds.CheckMessage(nil), kinds.CheckMessage(make([]byte, kinds.MessageMax))); err != nil {
		t.Error(err)
	}
	err := kinds.CheckMessage(make([]byte, kinds.MessageMax+1))
	if !errors.Is(err, plan.ErrQuery) || !strings.Contains(err.Error(), "1048577 bytes are more than the 1048576") {
		t.Error(err)
	}
}
