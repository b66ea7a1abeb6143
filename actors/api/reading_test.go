package api

import (
	"errors"
	"testing"

	"github.com/pondmesh/pond/actors/plan"
)

// A reading goes on in new parts only behind segments that are the same.
func TestGoesOn(t *testing.T) {
	part := func(segment string, rows int64) ResultPart { return ResultPart{Segment: segment, Rows: rows} }
	old := []ResultPart{part("a", 1), part("b", 0), part("c", 2)}
	for _, c := range []struct {
		made []ResultPart
		read int
		want bool
	}{
		{[]ResultPart{part("x", 1), part("y", 2)}, 0, true},
		{nil, 0, true},
		{[]ResultPart{part("a", 1), part("y", 0), part("z", 2)}, 2, true},
		{[]ResultPart{part("a", 1), part("y", 1), part("z", 2)}, 2, false},
		{[]ResultPart{part("x", 1), part("b", 0), part("c", 2)}, 1, false},
		{[]ResultPart{part("a", 1)}, 2, false},
	} {
		if got := goesOn(old, c.made, c.read); got != c.want {
			t.Errorf("%d parts read, made %v: %t", c.read, c.made, got)
		}
	}
}

// Lost rows and a node that cannot be reached are told apart, each with its part, its
// holder and what to do.
func TestLostPart(t *testing.T) {
	parts := []ResultPart{{Addr: "h:1", Segment: "a"}, {Addr: "h:2", Segment: "b"}}
	for _, kind := range []plan.Kind{plan.KindFetch, plan.KindUnavailable} {
		err := lostPart(&plan.Error{Kind: kind, Text: "why"}, parts, 1)
		e := plan.AsError(err)
		if e.Kind != kind || e.Node != "h:2" || e.Subject != "part 2 of 2 (segment b)" || e.Text != "why" || e.Hint == "" {
			t.Errorf("%s: %+v", kind, e)
		}
	}
	if other := errors.New("other"); lostPart(other, parts, 0) != other {
		t.Error("another error has changed")
	}
}
