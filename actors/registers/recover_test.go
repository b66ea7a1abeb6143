package registers

import (
	"errors"
	"testing"

	"github.com/pondmesh/pond/actors/plan"
)

// Most keepers are gone for good: with an operator's word those that live go on with what
// they hold, and one that comes back keeps nothing any more.
func TestRecover(t *testing.T) {
	n := newNet(t)
	n.start("a")
	n.start("b", "a")
	n.start("c", "a")
	n.agree([]string{"a", "b", "c"}, "a", "b", "c")
	n.nodes["a"].set(t, "x", "1")
	if _, err := n.nodes["a"].Recover(t.Context(), true); !errors.Is(err, plan.ErrExists) {
		t.Fatalf("while all answer: %v", err)
	}
	n.kill("b")
	if _, err := n.nodes["a"].Recover(t.Context(), true); !errors.Is(err, plan.ErrExists) {
		t.Fatalf("while a majority answers: %v", err)
	}
	n.nodes["a"].set(t, "x", "2")
	n.kill("c")
	would, err := n.nodes["a"].Recover(t.Context(), false)
	if err != nil || would.Done || len(would.Alive) != 1 || len(would.Gone) != 2 || len(would.Next) != 1 {
		t.Fatalf("%+v, %v", would, err)
	}
	if r := n.nodes["a"].Roster(); len(r.Keepers) != 3 {
		t.Fatalf("without consent: %+v", r)
	}
	did, err := n.nodes["a"].Recover(t.Context(), true)
	if err != nil || !did.Done || did.Registers != 1 {
		t.Fatalf("%+v, %v", did, err)
	}
	n.nodes["a"].want(t, "x", "2")
	n.nodes["a"].set(t, "x", "3")
	n.start("d", "a")
	n.start("e", "a")
	n.agree([]string{"a", "d", "e"}, "a", "d", "e")
	n.start("b", "a") // with what it knew
	n.agree([]string{"a", "d", "e"}, "a", "b", "d", "e")
	n.start("c", "a")
	n.agree([]string{"a", "d", "e"}, "a", "b", "c", "d", "e") // five would be, were b and c new
	for _, node := range []string{"a", "b", "c", "d", "e"} {
		n.nodes[node].want(t, "x", "3")
	}
	n.nodes["b"].set(t, "x", "4")
	n.nodes["d"].want(t, "x", "4")
}
