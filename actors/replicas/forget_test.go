package replicas

import (
	"errors"
	"slices"
	"testing"
	"time"

	"github.com/pondmesh/pond/fs/register"
	"github.com/pondmesh/pond/fs/replica"
)

// TestForget: two of five nodes are gone for good, and nobody comes in their place: nothing
// is moved, however long it takes, until somebody says so. Then those that are left make
// what the two were to hold.
func TestForget(t *testing.T) {
	bubble(t, 5, func(t *testing.T, p *pond) {
		p.follow()
		all := p.putAll(12)
		p.placed(p.laid(5), all)
		a := p.nodes["a"]
		if err := a.Forget(t.Context(), []replica.Node{"d"}); !errors.Is(err, ErrThere) {
			t.Errorf("a node that is there: %v", err)
		}
		if err := a.Forget(t.Context(), []replica.Node{"x"}); !errors.Is(err, ErrNoPlace) {
			t.Errorf("a node that never was: %v", err)
		}
		p.nodes["d"].stop()
		p.nodes["e"].stop()
		p.forget("d")
		p.forget("e")
		time.Sleep(time.Hour)
		s, err := a.Status()
		if err != nil || !s.Braked || s.Members != 5 || !slices.Equal(s.Gone, []replica.Node{"d", "e"}) {
			t.Fatalf("after an hour: %+v, %v", s, err)
		}
		old, version, err := a.readLayout(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		for range 2 {
			if err := a.Forget(t.Context(), []replica.Node{"d", "e"}); err != nil {
				t.Fatal(err)
			}
		}
		if err := a.change(t.Context(), old.See("a", 1), version); !errors.Is(err, register.ErrConflict) {
			t.Errorf("what was worked out before the nodes were given up undoes it: %v", err)
		}
		p.placed(p.laid(3), all)
		if s, err := a.Status(); err != nil || s.Braked || len(s.Gone) > 0 {
			t.Errorf("at the end: %+v, %v", s, err)
		}
	})
}
