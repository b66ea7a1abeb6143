package replicas

import (
	"context"
	"errors"
	"slices"
	"testing"
	"time"

	"github.com/pondmesh/pond/fs"
	"github.com/pondmesh/pond/mesh"
)

// TestDrain: a node that leaves holds nothing in the end, and all that it held is with
// the others; one that is the last to stay waits for nobody.
func TestDrain(t *testing.T) {
	bubble(t, 5, func(t *testing.T, p *pond) {
		p.follow()
		all := p.putAll(12)
		p.placed(p.laid(5), all)
		p.leave("b")
		begun := time.Now()
		if err := p.nodes["b"].Drain(t.Context()); err != nil {
			t.Fatal(err)
		}
		if took := time.Since(begun); took > 2*time.Minute {
			t.Errorf("it took %v", took)
		}
		n := p.nodes["b"]
		n.stop()
		p.forget("b")
		p.placed(p.laid(4), all)
		for _, id := range []mesh.NodeID{"a", "c", "d", "e"} {
			p.leave(id)
		}
		if err := p.nodes["a"].Drain(t.Context()); err != nil {
			t.Error(err)
		}
	})
}

// TestDrainOfFew: where as many copies are wanted as there are nodes, or more, one that
// leaves waits until all that stay have all, and no longer: nothing can be dropped then.
func TestDrainOfFew(t *testing.T) {
	for _, nodes := range []int{2, 3, 4} {
		bubble(t, nodes, func(t *testing.T, p *pond) {
			p.follow()
			all := p.putAll(12)
			p.placed(p.laid(nodes), all)
			for id, b := range all {
				if !p.nodes["b"].has(Copy{ID: id}, b) {
					continue
				}
				for _, n := range p.but("b") { // it alone has it now
					if err := n.store.Delete(id); err != nil && !errors.Is(err, fs.ErrNotFound) {
						t.Fatal(err)
					}
				}
			}
			p.leave("b")
			begun := time.Now()
			ctx, cancel := context.WithTimeout(t.Context(), time.Hour)
			defer cancel()
			if err := p.nodes["b"].Drain(ctx); err != nil {
				t.Fatal(err)
			}
			if took := time.Since(begun); took > time.Minute {
				t.Errorf("of %d nodes, one took %v to leave", nodes, took)
			}
			p.nodes["b"].stop()
			p.forget("b")
			for id, b := range all {
				if !slices.ContainsFunc(p.but(), func(n *node) bool { return n.has(Copy{ID: id}, b) }) {
					t.Errorf("of %d nodes, one left with the only copy of %s", nodes, id)
				}
			}
			p.placed(p.laid(nodes-1), all)
		})
	}
}

// TestDrained: a node that is drained is given nothing, after a restart neither, and what it
// had is with the others; then it is a place of copies again.
func TestDrained(t *testing.T) {
	bubble(t, 4, func(t *testing.T, p *pond) {
		p.follow()
		all := p.putAll(12)
		p.placed(p.laid(4), all)
		if err := p.nodes["b"].SetDrained(true); err != nil {
			t.Fatal(err)
		}
		p.placed(p.laid(3), all)
		if left, err := p.nodes["b"].Left(t.Context()); err != nil || left != (Left{}) {
			t.Errorf("%+v is left, %v", left, err)
		}
		b := p.nodes["b"]
		b.stop()
		p.start("b", b.disk).Follow(p)
		time.Sleep(time.Hour)
		for i := range 12 { // it is given none of those that come later
			bytes := content(uint64(100+i), 1000)
			all[p.nodes["a"].mustPut(three, bytes).ID] = bytes
		}
		p.placed(p.laid(3), all)
		if err := p.nodes["b"].SetDrained(false); err != nil {
			t.Fatal(err)
		}
		p.placed(p.laid(4), all)
	})
}
