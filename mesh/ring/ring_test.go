package ring

import (
	"fmt"
	"math"
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"
)

// These were written down when the ring was made. Data stored since is found
// by them: they must never change.
var frozen = []struct {
	key string
	top string
}{
	{"", "bcfeda"},
	{"job/1", "bcfead"},
	{"job/2", "dbfeca"},
	{"pond://sales", "afecbd"},
	{"chunk/00000000", "febdac"},
	{"Ångström", "afdebc"},
	{strings.Repeat("a", 300), "bcfead"}, // past xxh3's short-input paths
}

// weighted is the cluster of the frozen vectors: seven nodes, three zones and
// none, unequal weights, one of them out of service.
func weighted() []Node {
	return []Node{
		{"a", "east", 1}, {"b", "east", 2.5}, {"c", "west", 1}, {"d", "west", 1},
		{"e", "north", 0.1}, {"f", "", 1}, {"g", "east", 0},
	}
}

func TestFrozen(t *testing.T) {
	for _, f := range frozen {
		if got := ids(Rank(weighted(), f.key, 9)); got != f.top {
			t.Errorf("Rank(%q) = %q, want %q", f.key, got, f.top)
		}
	}
}

func TestFrozenArithmetic(t *testing.T) {
	for _, f := range []struct{ h, mix, neg uint64 }{
		{0x0, 0x0, 0x10000000000000},
		{0x1, 0x5692161d100b05e5, 0x10000000000000},
		{0x8000000000000000, 0x25c26ea579cea98a, 0x400000000000},
		{0xffffffffffffffff, 0xb4d055fcf2cbbd7b, 0x1},
		{0x123456789abcdef, 0xb2c058e4ebb5112c, 0x1f414fdb49823},
	} {
		if got := mix(f.h); got != f.mix {
			t.Errorf("mix(%#x) = %#x, want %#x", f.h, got, f.mix)
		}
		if got := negLog2(f.h); got != f.neg {
			t.Errorf("negLog2(%#x) = %#x, want %#x", f.h, got, f.neg)
		}
	}
}

func TestNegLog2(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		a, b := rapid.Uint64Min(1).Draw(t, "a"), rapid.Uint64Min(1).Draw(t, "b")
		got, want := math.Ldexp(float64(negLog2(a)), -logBits), 64-math.Log2(float64(a))
		if math.Abs(got-want) > 1e-12 {
			t.Errorf("negLog2(%#x) = %v, want %v", a, got, want)
		}
		if (a < b && negLog2(a) < negLog2(b)) || (a > b && negLog2(a) > negLog2(b)) {
			t.Errorf("negLog2 is not monotonic between %#x and %#x", a, b)
		}
	})
}

func TestRankBounds(t *testing.T) {
	for _, c := range []struct {
		name  string
		nodes []Node
		n     int
		want  int
	}{
		{"no nodes", nil, 3, 0},
		{"none asked", weighted(), 0, 0},
		{"less than none asked", weighted(), -1, 0},
		{"more than there are", weighted(), 100, 6},
		{"useless weights", []Node{{"a", "", 0}, {"b", "", -1}, {"c", "", math.NaN()}, {"d", "", math.Inf(1)}}, 4, 0},
	} {
		if got := Rank(c.nodes, "key", c.n); len(got) != c.want {
			t.Errorf("%s: %d nodes, want %d", c.name, len(got), c.want)
		}
	}
}

// anyNodes draws a cluster whose ids are distinct.
func anyNodes(t *rapid.T) []Node {
	n := rapid.IntRange(1, 12).Draw(t, "nodes")
	zones := rapid.IntRange(0, 4).Draw(t, "zones")
	nodes := make([]Node, n)
	for i := range nodes {
		nodes[i] = Node{ID: fmt.Sprint("node-", i), Weight: rapid.Float64Range(0.01, 100).Draw(t, "weight")}
		if zone := rapid.IntRange(0, zones).Draw(t, "zone"); zone > 0 {
			nodes[i].Zone = fmt.Sprint("zone-", zone)
		}
	}
	return nodes
}

func TestRankProperties(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		nodes, n := anyNodes(t), rapid.IntRange(1, 5).Draw(t, "n")
		key := rapid.String().Draw(t, "key")
		top := Rank(nodes, key, n)

		shuffled := rapid.Permutation(nodes).Draw(t, "order")
		if got := Rank(shuffled, key, n); !slices.Equal(got, top) {
			t.Errorf("the order of nodes matters: %v, then %v", top, got)
		}
		if longer := Rank(nodes, key, n+1); !slices.Equal(longer[:len(top)], top) {
			t.Errorf("asking for one more changed the first: %v, then %v", top, longer)
		}
		checkZones(t, nodes, top)

		gone := rapid.IntRange(0, len(nodes)-1).Draw(t, "gone")
		rest := slices.Delete(slices.Clone(nodes), gone, gone+1)
		after := Rank(rest, key, n)
		for _, was := range top {
			if was.ID != nodes[gone].ID && !slices.Contains(after, was) {
				t.Errorf("%s left, and %s lost the key: %v, then %v", nodes[gone].ID, was.ID, top, after)
			}
		}
	})
}

// checkZones fails if a zone was used again while one with a free node was used
// less.
func checkZones(t *rapid.T, nodes, top []Node) {
	used, has := map[string]int{}, map[string]int{}
	zone := func(n Node) string {
		if n.Zone == "" {
			return n.ID
		}
		return n.Zone
	}
	for _, n := range nodes {
		has[zone(n)]++
	}
	for _, n := range top {
		used[zone(n)]++
	}
	for z, u := range used {
		for other, h := range has {
			if used[other] < u-1 && used[other] < h {
				t.Errorf("zone %s used %d times, %s %d times of %d: %v", z, u, other, used[other], h, top)
			}
		}
	}
}

func equal(n int) []Node {
	nodes := make([]Node, n)
	for i := range nodes {
		nodes[i] = Node{ID: fmt.Sprintf("node-%02d", i), Weight: 1}
	}
	return nodes
}

// keys is over how many keys ownership is counted.
const keys = 1 << 14

func key(i int) string { return fmt.Sprintf("chunk/%d", i) }

// shares counts the keys each node is among the first r owners of.
func shares(nodes []Node, r int) map[string]int {
	count := map[string]int{}
	for i := range keys {
		for _, n := range Rank(nodes, key(i), r) {
			count[n.ID]++
		}
	}
	return count
}

func TestBalance(t *testing.T) {
	const n, r = 25, 3
	nodes := equal(n)
	mean := float64(keys*r) / n
	worst := 0
	for _, c := range shares(nodes, r) {
		worst = max(worst, c)
	}
	t.Logf("%d nodes, R=%d: worst/mean share %.3f", n, r, float64(worst)/mean)
	if float64(worst) > 1.25*mean {
		t.Errorf("worst share %d, mean %.0f", worst, mean)
	}

	// What each survivor contributes to, and takes from, the repair of a node.
	source, target := map[[2]string]int{}, map[[2]string]int{}
	for i := range keys {
		top := Rank(nodes, key(i), r+1)
		for a, gone := range top[:r] {
			for b, other := range top[:r] {
				if a != b {
					source[[2]string{gone.ID, other.ID}]++
				}
			}
			target[[2]string{gone.ID, top[r].ID}]++
		}
	}
	pairs := float64(n * (n - 1))
	for _, c := range []struct {
		what  string
		count map[[2]string]int
		mean  float64
		limit float64
	}{
		{"source", source, keys * r * (r - 1) / pairs, 1.35},
		{"target", target, keys * r / pairs, 1.5},
	} {
		worst := 0
		for _, v := range c.count {
			worst = max(worst, v)
		}
		t.Logf("repair %s: worst/mean %.3f", c.what, float64(worst)/c.mean)
		if float64(worst) > c.limit*c.mean {
			t.Errorf("repair %s: worst %d, mean %.0f", c.what, worst, c.mean)
		}
	}
}

func TestLeaveMovesOnlyItsShare(t *testing.T) {
	const n, r = 25, 3
	nodes := equal(n)
	rest := nodes[1:]
	moved := 0
	for i := range keys {
		before, after := Rank(nodes, key(i), r), Rank(rest, key(i), r)
		for _, owner := range after {
			if !slices.Contains(before, owner) {
				moved++
			}
		}
		if had := slices.Contains(before, nodes[0]); !had && !slices.Equal(before, after) {
			t.Fatalf("key %d moved though %s did not own it: %v, then %v", i, nodes[0].ID, before, after)
		}
	}
	own := shares(nodes, r)[nodes[0].ID]
	if moved != own {
		t.Errorf("%d replicas moved, the leaver had %d", moved, own)
	}
	t.Logf("%.2f%% of replicas moved, 1/N is %.2f%%", 100*float64(moved)/(keys*r), 100.0/n)
}

func TestWeights(t *testing.T) {
	nodes := []Node{{"small", "", 1}, {"middle", "", 2}, {"large", "", 5}, {"idle", "", 0}}
	got := shares(nodes, 1)
	for _, n := range nodes {
		want := n.Weight / 8 * keys
		if math.Abs(float64(got[n.ID])-want) > 4*math.Sqrt(want)+1 {
			t.Errorf("%s owns %d keys, want about %.0f", n.ID, got[n.ID], want)
		}
	}
}

func ids(nodes []Node) string {
	var b strings.Builder
	for _, n := range nodes {
		b.WriteString(n.ID)
	}
	return b.String()
}

func BenchmarkRank(b *testing.B) {
	for _, n := range []int{5, 25, 100} {
		b.Run(fmt.Sprint("nodes=", n), func(b *testing.B) {
			nodes, names := equal(n), make([]string, keys)
			for i := range names {
				names[i] = key(i)
			}
			for i := 0; b.Loop(); i++ {
				Rank(nodes, names[i%keys], 3)
			}
		})
	}
}
