package api

import (
	"errors"
	"testing"

	"github.com/pondmesh/pond/actors/plan"
)

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
