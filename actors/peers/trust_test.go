package peers

import (
	"context"
	"testing"
	"time"

	"github.com/pondmesh/pond/actors/api"
	"github.com/pondmesh/pond/actors/plan"
	"github.com/pondmesh/pond/mesh"
)

func TestTrust(t *testing.T) {
	m := mesh.Member{ID: "a", Boot: "1"}
	denied := &plan.Error{Kind: plan.KindDenied}
	var tr trust
	if !tr.begin(m) || tr.begin(m) {
		t.Error("a boot is called on once")
	}
	tr.end(m, context.DeadlineExceeded)
	if !tr.begin(m) || tr.refused("a") {
		t.Error("one that did not answer is called on again")
	}
	tr.end(m, denied)
	if !tr.refused("a") || tr.begin(m) {
		t.Error("who refused once does not change its mind")
	}
	again := mesh.Member{ID: "a", Boot: "2"}
	if !tr.begin(again) || tr.refused("a") {
		t.Error("a new boot is another matter")
	}
	tr.end(m, denied) // late
	if tr.refused("a") {
		t.Error("the answer of an old boot counts for the new one")
	}
	tr.end(again, denied)
	tr.keep(nil)
	if tr.refused("a") || !tr.begin(again) {
		t.Error("who is gone is not forgotten")
	}
}

// TestSkew: a clock that differs is noticed, and who says nothing of it is not.
func TestSkew(t *testing.T) {
	now := time.Now()
	for _, test := range []struct {
		v    *api.Version
		want time.Duration
	}{
		{nil, 0}, {&api.Version{}, 0},
		{&api.Version{Now: now.UnixMilli()}, 0},
		{&api.Version{Now: now.Add(-time.Minute).UnixMilli()}, time.Minute},
		{&api.Version{Now: now.Add(time.Hour).UnixMilli()}, time.Hour},
	} {
		if got := skewOf(test.v, now); got != test.want {
			t.Errorf("%+v: %v, want %v", test.v, got, test.want)
		}
	}
}
