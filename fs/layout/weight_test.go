package layout

import (
	"fmt"
	"slices"
	"testing"

	"github.com/pondmesh/pond/fs/replica"
)

func TestWeightOf(t *testing.T) {
	const gib, tib = 1 << 30, 1 << 40
	for bytes, want := range map[int64]float64{
		0: 0, -1: 0, 1: 1, 16 * gib: 1, 31 * gib: 1, 32 * gib: 2, 112 * gib: 7, 255 * gib: 14, 256 * gib: 16,
		tib: 64, tib + tib/10: 64, tib + tib/4: 80, 2*tib - 1: 112, 16 * tib: 1024, 1<<63 - 1: 7 << 26,
	} {
		if got := WeightOf(bytes); got != want {
			t.Errorf("%d bytes weigh %v, want %v", bytes, got, want)
		}
	}
	if n := WeightOf(1<<63 - 1); check(1, []Member{{Node: "a", Weight: n}}) != nil {
		t.Errorf("the largest weight, %v, is no member's", n)
	}
}

// weighted are members a, b, c and so on, of those weights.
func weighted(weights ...float64) (out []Member) {
	for i, w := range weights {
		out = append(out, Member{Node: replica.Node(fmt.Sprintf("node-%c", 'a'+i)), Weight: w})
	}
	return out
}

// TestWeightsSpread: nodes are given groups by weight. With several copies of each, a node
// has one at most, so that a large one has less than its share.
func TestWeightsSpread(t *testing.T) {
	weights := []float64{1, 1, 2, 4, 8}
	for copies, want := range map[int][]float64{1: {1. / 16, 1. / 16, 2. / 16, 4. / 16, 8. / 16}, 2: {.15, .15, .3, .5, .75}} {
		l, err := Layout{}.Change(copies, weighted(weights...))
		if err != nil {
			t.Fatal(err)
		}
		has := map[replica.Node]int{}
		for g := range Group(Groups) {
			for _, n := range l.Owners(g) {
				has[n]++
			}
		}
		for i, m := range l.Current().Members {
			got := float64(has[m.Node]) / Groups
			if copies == 1 && (got < .9*want[i] || got > 1.1*want[i]) {
				t.Errorf("%s of weight %v has %.3f of all groups, want %.3f", m.Node, m.Weight, got, want[i])
			}
			if i > 1 && has[m.Node] <= has[l.Current().Members[i-1].Node] {
				t.Errorf("%d copies: %s of weight %v has %d groups, no more than a lighter one", copies, m.Node, m.Weight, has[m.Node])
			}
		}
	}
}

// TestWeightMoves: when a node's weight rises, it takes groups from others, and no group goes
// from one of those to another; when it falls, the same the other way round.
func TestWeightMoves(t *testing.T) {
	const copies = 3
	light, err := Layout{}.Change(copies, weighted(4, 4, 4, 4, 4, 4))
	if err != nil {
		t.Fatal(err)
	}
	heavy, err := light.Change(copies, weighted(4, 4, 8, 4, 4, 4))
	if err != nil {
		t.Fatal(err)
	}
	moved := 0
	for g := range Group(Groups) {
		before, after := light.Owners(g), heavy.Owners(g)
		for _, n := range after {
			if !slices.Contains(before, n) {
				if moved++; n != "node-c" {
					t.Fatalf("group %d: %v, then %v: %s takes it", g, before, after, n)
				}
			}
		}
		if slices.Contains(before, "node-c") && !slices.Contains(after, "node-c") {
			t.Fatalf("group %d: %v, then %v: it is lost by the node that grew", g, before, after)
		}
	}
	// With two of seven parts of the weight, and three copies, it has near 0.70 of the groups; it had half.
	if share := float64(moved) / Groups; share < .15 || share > .25 {
		t.Errorf("%.3f of the groups are moved", share)
	}
}
