package storesim

import (
	"encoding/binary"
	"encoding/json"
	"flag"
	"fmt"
	"slices"
	"strconv"
	"testing"
	"time"

	"github.com/pondmesh/pond/fs/layout"
	"github.com/pondmesh/pond/fs/repair"
	"github.com/pondmesh/pond/fs/replica"
	"github.com/pondmesh/pond/mesh/ring"
)

var scale = flag.Bool("scale", false, "TestScale has ten thousand nodes too")

// sumBytes is what a node says of a group to each that it asks: counts and sums.
const sumBytes = 42

// placement is the owners of all groups, as indexes of nodes.
type placement [][]int

// place ranks n nodes for all groups, as a layout of them does.
func place(names []string) placement {
	nodes := make([]ring.Node, len(names))
	for i, name := range names {
		nodes[i] = ring.Node{ID: name, Weight: 1}
	}
	r, out := ring.New(nodes), make(placement, layout.Groups)
	for g := range out {
		out[g] = r.Rank("group/"+strconv.Itoa(g), copiesOf)
	}
	return out
}

func named(n int) (out []string) {
	for i := range n {
		out = append(out, fmt.Sprintf("node-%05d", i))
	}
	return out
}

func members(names []string) (out []layout.Member) {
	for _, n := range names {
		out = append(out, layout.Member{Node: replica.Node(n), Weight: 1})
	}
	return out
}

// worst is the largest of the counts, over their mean.
func worst(counts []int) float64 {
	sum := 0
	for _, c := range counts {
		sum += c
	}
	if sum == 0 {
		return 0
	}
	return float64(slices.Max(counts)) * float64(len(counts)) / float64(sum)
}

// TestSpread: when a node of 25 dies, all others share in making its copies again, as
// sources and as destinations: the busiest has at most 1.3 of the mean.
func TestSpread(t *testing.T) {
	names := named(25)
	before, highest, sum := place(names), [2]float64{}, [2]float64{}
	for dead := range names {
		rest := slices.Delete(slices.Clone(names), dead, dead+1)
		l, err := layout.Layout{}.Change(copiesOf, members(rest))
		if err != nil {
			t.Fatal(err)
		}
		from, to := make([]int, len(rest)), make([]int, len(rest))
		for g, owners := range before {
			if slices.Contains(owners, dead) {
				remake(&l, layout.Group(g), func(n replica.Node) bool {
					i := slices.Index(names, string(n))
					return i != dead && slices.Contains(owners, i)
				}, func(source, destination replica.Node) {
					from[slices.Index(rest, string(source))]++
					to[slices.Index(rest, string(destination))]++
				})
			}
		}
		for i, w := range []float64{worst(from), worst(to)} {
			highest[i], sum[i] = max(highest[i], w), sum[i]+w/float64(len(names))
		}
	}
	t.Logf("worst over mean when one of 25 nodes dies: sources %.2f (%.2f when the unluckiest does), destinations %.2f (%.2f)", sum[0], highest[0], sum[1], highest[1])
	if sum[0] > 1.3 || sum[1] > 1.3 || highest[0] > 1.35 || highest[1] > 1.35 {
		t.Error("recovery is not spread")
	}
}

// remake lets the owners of a group decide, of whose uploads some nodes have all.
func remake(l *layout.Layout, g layout.Group, has func(replica.Node) bool, copies func(source, destination replica.Node)) {
	held, said := map[repair.ID]bool{}, map[replica.Node]repair.Inventory{}
	for u := range 4 {
		held[repair.ID{0: byte(g >> 6), 1: byte(g << 2), 15: byte(u)}] = true
	}
	for _, n := range l.Owners(g) {
		if said[n] = (repair.Inventory{}); has(n) {
			said[n] = repair.Inventory{Held: held}
		}
	}
	for _, n := range l.Owners(g) {
		do, _ := repair.Decide(n, l, g, said, false)
		for _, a := range do {
			copies(a.From[0], n)
		}
	}
}

// TestScale: what more nodes cost. A node that joins takes its share from the others and
// nothing else moves; one that dies moves what it had.
func TestScale(t *testing.T) {
	sizes := []int{25, 1000}
	if *scale {
		sizes = append(sizes, 10_000)
	}
	for _, n := range sizes {
		names := named(n)
		began := time.Now()
		p := place(names)
		took := time.Since(began)
		held := make([]int, n)
		for _, owners := range p {
			for _, o := range owners {
				held[o]++
			}
		}
		all, joined, elsewhere := layout.Groups*copiesOf, 0, 0
		for g, owners := range place(append(names, "node-new")) {
			for _, o := range owners {
				switch {
				case o == n:
					joined++
				case !slices.Contains(p[g], o):
					elsewhere++
				}
			}
		}
		if elsewhere != 0 {
			t.Errorf("%d nodes: one joins, and %d copies move between others", n, elsewhere)
		}
		died, moved := names[n/2], 0
		rest := slices.Delete(slices.Clone(names), n/2, n/2+1)
		for g, owners := range place(rest) {
			for _, o := range owners {
				was := o
				if o >= n/2 {
					was++
				}
				if !slices.Contains(p[g], was) {
					moved++
				}
			}
		}
		if moved != held[n/2] {
			t.Errorf("%d nodes: %s dies with %d groups, and %d move", n, died, held[n/2], moved)
		}
		groups := float64(all) / float64(n)
		t.Logf("%d nodes: all groups placed in %v; %.1f groups a node, the most %.2f of the mean; one joins: %.3f%% of all copies move (ideal %.3f%%); one dies: %.3f%%",
			n, took.Round(time.Millisecond), groups, worst(held), 100*float64(joined)/float64(all), 100/float64(n+1), 100*float64(moved)/float64(all))
		t.Logf("%d nodes: the layout's text is %d bytes, %d while one joins; a round asks %.0f nodes about %.0f groups: %.1f KB of counts and sums", n,
			textOf(names), textOf(names, append(names, "node-new")), min(float64(n-1), (copiesOf-1)*groups), groups, groups*sumBytes*min(float64(n-1), (copiesOf-1)*groups)/1000)
	}
}

// textOf is how large a layout is, by its columns: one of more members than a register
// holds too.
func textOf(versions ...[]string) int {
	var l layout.Layout
	l.Acks = map[replica.Node]layout.Ack{}
	for i, names := range versions {
		l.Versions = append(l.Versions, layout.Version{Number: uint64(i + 1), Copies: copiesOf, Members: members(names)})
		for _, n := range names {
			l.Acks[replica.Node(n)] = layout.Ack{Seen: 1, Synced: 1}
		}
	}
	text, err := json.Marshal(l)
	if err != nil {
		panic(err)
	}
	return len(text)
}

// BenchmarkDecide is a round over one group in which three nodes hold the same uploads
// but one, on 25 and on 1,000 nodes.
func BenchmarkDecide(b *testing.B) {
	for _, n := range []int{25, 1000} {
		for _, uploads := range []int{10, 1000} {
			b.Run(fmt.Sprintf("nodes=%d/uploads=%d", n, uploads), func(b *testing.B) {
				l, err := layout.Layout{}.Change(copiesOf, members(named(n)))
				if err != nil {
					b.Fatal(err)
				}
				said := map[replica.Node]repair.Inventory{}
				for i, o := range l.Owners(7) {
					held := map[repair.ID]bool{}
					for u := range uploads {
						if i > 0 || u > 0 {
							var id repair.ID
							binary.BigEndian.PutUint64(id[8:], uint64(u))
							held[id] = true
						}
					}
					said[o] = repair.Inventory{Held: held}
				}
				for b.Loop() {
					if do, _ := repair.Decide(l.Owners(7)[0], &l, 7, said, false); len(do) != 1 {
						b.Fatalf("%d actions", len(do))
					}
				}
			})
		}
	}
}
