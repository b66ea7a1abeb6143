package ring

import (
	"fmt"
	"slices"
	"testing"

	"pgregory.net/rapid"
)

// A Ring ranks as Rank does.
func TestRing(t *testing.T) {
	r := New(weighted())
	for _, f := range frozen {
		if got := ids(r.named(f.key, 9)); got != f.top {
			t.Errorf("%q: %q, want %q", f.key, got, f.top)
		}
	}
	rapid.Check(t, func(rt *rapid.T) {
		var nodes []Node
		for i := range rapid.IntRange(0, 30).Draw(rt, "nodes") {
			nodes = append(nodes, Node{
				ID:     fmt.Sprint("n", i),
				Zone:   rapid.SampledFrom([]string{"", "", "a", "b", "c", fmt.Sprint("own", i)}).Draw(rt, "zone"),
				Weight: rapid.SampledFrom([]float64{1, 1, 1, 2, 0.5, 0, -1}).Draw(rt, "weight"),
			})
		}
		r := New(nodes)
		for i := range 20 {
			key, n := fmt.Sprint(rapid.Uint64().Draw(rt, "key"), i), rapid.IntRange(0, 8).Draw(rt, "n")
			if got, want := r.named(key, n), Rank(nodes, key, n); !slices.Equal(got, want) {
				rt.Fatalf("%d of %q: %v, want %v", n, key, got, want)
			}
		}
	})
}

func (r *Ring) named(key string, n int) (out []Node) {
	for _, i := range r.Rank(key, n) {
		out = append(out, r.nodes[i])
	}
	return out
}

func BenchmarkRing(b *testing.B) {
	for _, n := range []int{5, 25, 1000, 10_000} {
		b.Run(fmt.Sprint(n), func(b *testing.B) {
			nodes := make([]Node, n)
			for i := range nodes {
				nodes[i] = Node{ID: fmt.Sprintf("node-%08d", i), Zone: fmt.Sprint("zone", i%10), Weight: 1}
			}
			r := New(nodes)
			for b.Loop() {
				r.Rank("group/77", 3)
			}
		})
	}
}
