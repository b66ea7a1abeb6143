package terms_test

import (
	"context"
	"errors"
	"strings"
	"testing"

	"github.com/pondmesh/pond/actors/api"
	"github.com/pondmesh/pond/actors/plan"
	"github.com/pondmesh/pond/actors/terms"
	"github.com/pondmesh/pond/fs/register"
	"github.com/pondmesh/pond/fs/register/registertest"
	"github.com/pondmesh/pond/mesh"
)

const job plan.JobID = "00000000000000000000000000000001"

var (
	a1 = api.Driver{Node: "a", Boot: "1"}
	a2 = api.Driver{Node: "a", Boot: "2"}
	b1 = api.Driver{Node: "b", Boot: "1"}
)

func recordOf(d api.Driver, term uint64, homes ...string) *api.Record {
	return &api.Record{Spec: &api.JobSpec{ID: job}, Driver: d, Term: term, Homes: homes}
}

func isGone(gone ...api.Driver) func(api.Driver) bool {
	return func(d api.Driver) bool {
		for _, g := range gone {
			if g == d {
				return true
			}
		}
		return false
	}
}

// A term has one driver; what one has decided, the next inherits; who is not the
// latest decides nothing.
func TestVote(t *testing.T) {
	ctx, r := t.Context(), new(registertest.Memory)
	one := terms.First(r, job, a1)
	if _, s, err := terms.Raise(ctx, r, recordOf(a1, 1), b1, isGone()); !errors.Is(err, plan.ErrFenced) || s.Driver != a1 {
		t.Errorf("taking over from a living driver: %v, %+v", err, s)
	}
	two, _, err := terms.Raise(ctx, r, recordOf(a1, 1), b1, isGone(a1))
	if err != nil || two.Number() != 2 {
		t.Fatalf("%v, %v", two, err)
	}
	if again, _, err := terms.Raise(ctx, r, recordOf(a1, 1), b1, isGone(a1)); err != nil || again.Number() != 2 {
		t.Errorf("a driver that asks again: %+v, %v", again, err)
	}
	if err := one.Decide(ctx, terms.Publish, 1, nil); !errors.Is(err, plan.ErrFenced) {
		t.Errorf("an old driver publishes: %v", err)
	}
	for range 2 {
		if err := two.Decide(ctx, terms.Publish, 7, nil); err != nil {
			t.Error(err)
		}
	}
	three, s, err := terms.Raise(ctx, r, recordOf(a1, 1), a2, isGone(a1, b1))
	if err != nil || three.Number() != 3 || three.Inherited().Decision != terms.Publish || three.Inherited().Rows != 7 {
		t.Fatalf("%+v, %+v, %v", three, s, err)
	}
	why := &plan.Error{Kind: plan.KindResource, Text: strings.Repeat("no room ", 10_000)}
	if err := three.Decide(ctx, terms.Failed, 0, why); err != nil {
		t.Error(err)
	}
	_, s, err = terms.Raise(ctx, r, recordOf(a1, 1), b1, isGone(a1, a2, b1))
	if !errors.Is(err, plan.ErrFenced) || s.Decision != terms.Failed || len(s.Error.Text) > 4<<10 || s.Error.Err().Kind != plan.KindResource {
		t.Errorf("taking over what is over: %v, %+v", err, s)
	}
	if err := three.Decide(ctx, terms.Cancelled, 0, nil); !errors.Is(err, plan.ErrFenced) {
		t.Errorf("a second end: %v", err)
	}
}

// The first term decides without having been raised.
func TestFirstTermDecides(t *testing.T) {
	ctx, r := t.Context(), new(registertest.Memory)
	if err := terms.First(r, job, a1).Decide(ctx, terms.Cancelled, 0, nil); err != nil {
		t.Error(err)
	}
	if _, s, err := terms.Raise(ctx, r, recordOf(a1, 1), b1, isGone(a1)); !errors.Is(err, plan.ErrFenced) || !s.Decision.Ended() {
		t.Errorf("taking over what was cancelled: %v, %+v", err, s)
	}
}

// minority is registers of which too few keepers answer.
type minority struct{ registertest.Memory }

func (*minority) CAS(context.Context, register.Key, register.ChangeID, uint64, []byte) (uint64, []byte, error) {
	return 0, nil, register.ErrMinority
}

func TestMinority(t *testing.T) {
	r := new(minority)
	if _, _, err := terms.Raise(t.Context(), r, recordOf(a1, 1), b1, isGone(a1)); !errors.Is(err, register.ErrMinority) {
		t.Error(err)
	}
	if err := terms.First(r, job, a1).Decide(t.Context(), terms.Publish, 0, nil); !errors.Is(err, register.ErrMinority) {
		t.Error(err)
	}
}

// The first home that lives takes over, the others after it; who leaves does not.
func TestTurn(t *testing.T) {
	v := &mesh.View{Members: []mesh.Member{{ID: "a", Boot: "2"}, {ID: "b", Boot: "1"}, {ID: "c", Boot: "1", State: mesh.Leaving}, {ID: "d", Boot: "1"}}}
	rec := recordOf(a1, 1, "c", "gone", "b", "a")
	for _, c := range []struct {
		self string
		turn int
		ok   bool
	}{{"a", 1, true}, {"b", 0, true}, {"c", 0, false}, {"d", 3, true}, {"gone", 0, false}} {
		if turn, ok := terms.Turn(v, rec, mesh.NodeID(c.self)); turn != c.turn || ok != c.ok {
			t.Errorf("%s: turn %d, %t", c.self, turn, ok)
		}
	}
	for d, gone := range map[api.Driver]bool{a1: true, a2: false, b1: false, {Node: "c", Boot: "1"}: true, {Node: "gone", Boot: "1"}: true} {
		if terms.Gone(v, d) != gone {
			t.Errorf("%v: gone %t", d, !gone)
		}
	}
}

// A first driver that comes back to its job is given its term if no other has begun, and
// hears of the other if one has.
func TestFirstTermAgain(t *testing.T) {
	ctx, r := t.Context(), new(registertest.Memory)
	one, _, err := terms.Raise(ctx, r, recordOf(a1, 1), a1, isGone())
	if err != nil || one.Number() != 1 {
		t.Fatalf("%+v, %v", one, err)
	}
	if err := one.Decide(ctx, terms.Publish, 1, nil); err != nil {
		t.Error(err)
	}
	if _, _, err := terms.Raise(ctx, r, recordOf(a1, 1), b1, isGone(a1)); err != nil {
		t.Fatal(err)
	}
	if _, s, err := terms.Raise(ctx, r, recordOf(a1, 1), a1, isGone()); !errors.Is(err, plan.ErrFenced) || s.Term != 2 || s.Driver != b1 {
		t.Errorf("the job was taken over: %v, %+v", err, s)
	}
	if three, _, err := terms.Raise(ctx, r, recordOf(a1, 1), a1, isGone(b1)); err != nil || three.Number() != 3 || three.Inherited().Decision != terms.Publish {
		t.Errorf("who took it over is gone: %+v, %v", three, err)
	}
}

// Of two first drivers of a job one has its term; who takes it over leaves neither.
func TestClaim(t *testing.T) {
	ctx, r := t.Context(), new(registertest.Memory)
	one, other := terms.First(r, job, a1), terms.First(r, job, b1)
	for range 2 {
		if err := one.Claim(ctx); err != nil {
			t.Error(err)
		}
	}
	if err := other.Claim(ctx); !errors.Is(err, plan.ErrFenced) {
		t.Errorf("the second first driver: %v", err)
	}
	if err := one.Decide(ctx, terms.Publish, 1, nil); err != nil {
		t.Error(err)
	}
	if err := one.Claim(ctx); err != nil {
		t.Error(err)
	}
	two, _, err := terms.Raise(ctx, r, recordOf(a1, 1), b1, isGone(a1))
	if err != nil || two.Number() != 2 || two.Inherited().Decision != terms.Publish {
		t.Errorf("%+v, %v", two, err)
	}
	if err := one.Claim(ctx); !errors.Is(err, plan.ErrFenced) {
		t.Errorf("a former driver: %v", err)
	}
	if err := terms.First(new(minority), job, a1).Claim(ctx); !errors.Is(err, register.ErrMinority) {
		t.Errorf("too few keepers: %v", err)
	}
}
