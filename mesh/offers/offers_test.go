package offers_test

import (
	"fmt"
	"testing"

	"github.com/pondmesh/pond/mesh/offers"
)

func TestSet(t *testing.T) {
	var names []string
	for i := range offers.NamesMax {
		names = append(names, offers.Func(fmt.Sprint("f", i)))
	}
	full, err := offers.New(names...)
	if err != nil || len(full) != offers.BytesMax {
		t.Fatalf("%d names take %d bytes, %v", len(names), len(full), err)
	}
	if !full.HasAll(names) {
		t.Error("a name is missing")
	}
	if _, err := offers.New(append(names, "more")...); err == nil {
		t.Error("there are more names than fit")
	}
	none, err := offers.New()
	if err != nil || none != "" || none.Has("") || !none.HasAll(nil) {
		t.Errorf("of none: %q, %v", none, err)
	}
	if full.HasAll([]string{names[0], "another"}) || full.Has("another") {
		t.Error("a name that is not there")
	}
	a, _ := offers.New("x", "y", "x")
	if b, _ := offers.New("y", "x"); a != b {
		t.Errorf("order and repetition matter: %q, %q", a, b)
	}
	if offers.Func("UPPER") != offers.Func("upper") || offers.Actor("UPPER") == offers.Actor("upper") || offers.Func("x") == offers.Actor("x") {
		t.Error("names of functions have no case, those of actors have, and they are apart")
	}
}

// The digests are gossiped between versions: they must never change.
func TestFrozen(t *testing.T) {
	if s, _ := offers.New(offers.Func("shout"), offers.Actor("session")); s != "Tj3idHKk" {
		t.Errorf("%q", s)
	}
}
