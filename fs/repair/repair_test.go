package repair

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/pondmesh/pond/fs/layout"
	"github.com/pondmesh/pond/fs/replica"
)

// set is the uploads that letters name.
func set(letters string) map[ID]bool {
	out := map[ID]bool{}
	for _, c := range letters {
		out[ID{15: byte(c)}] = true
	}
	return out
}

func inventory(held, buried string) Inventory {
	return Inventory{Held: set(held), Buried: graves(set(buried))}
}

// graves are the tombstones of uploads.
func graves(ids map[ID]bool) map[ID]time.Time {
	out := map[ID]time.Time{}
	for id := range ids {
		out[id] = time.Unix(1, 0)
	}
	return out
}

func drawn(do []Action) string {
	var out []string
	for _, a := range do {
		text := fmt.Sprintf("%s %c", a.Kind, a.ID[15])
		for _, n := range a.From {
			text += " from " + string(n)
		}
		out = append(out, text)
	}
	return strings.Join(out, ", ")
}

func of(t testing.TB, copies int, names ...string) layout.Layout {
	t.Helper()
	var members []layout.Member
	for _, n := range names {
		members = append(members, layout.Member{Node: replica.Node(n), Weight: 1})
	}
	l, err := layout.Layout{}.Change(copies, members)
	if err != nil {
		t.Fatal(err)
	}
	for _, n := range names {
		l = l.See(replica.Node(n), 1)
	}
	return l
}

// TestDecide: what a node does, for what it and others say.
func TestDecide(t *testing.T) {
	l := of(t, 2, "a", "b") // both own everything
	stale := func(i Inventory) Inventory { i.Stale = true; return i }
	for name, c := range map[string]struct {
		self   replica.Node
		said   map[replica.Node]Inventory
		braked bool
		do     string
		synced bool
	}{
		"alike":             {"a", map[replica.Node]Inventory{"a": inventory("xy", ""), "b": inventory("xy", "")}, false, "", true},
		"one is missing":    {"a", map[replica.Node]Inventory{"a": inventory("x", ""), "b": inventory("xy", "")}, false, "copy y from b", false},
		"braked":            {"a", map[replica.Node]Inventory{"a": inventory("x", ""), "b": inventory("xy", "")}, true, "", false},
		"one is buried":     {"a", map[replica.Node]Inventory{"a": inventory("xy", ""), "b": inventory("x", "y")}, false, "bury y", true},
		"buried and copied": {"a", map[replica.Node]Inventory{"a": inventory("", "y"), "b": inventory("y", "")}, false, "", true},
		"from any that has it": {"a", map[replica.Node]Inventory{"a": inventory("", ""), "b": inventory("x", ""), "c": inventory("xy", "")}, false,
			"copy x from b from c, copy y from c", false},
		"buried where it is no place": {"a", map[replica.Node]Inventory{"a": inventory("", ""), "b": inventory("", ""), "c": inventory("x", "x")}, false, "bury x", true},
		"no answer":                   {"a", map[replica.Node]Inventory{"a": inventory("x", "")}, false, "", false},
		"the other is stale":          {"a", map[replica.Node]Inventory{"a": inventory("x", ""), "b": stale(inventory("xy", ""))}, false, "", false},
		"this one is":                 {"a", map[replica.Node]Inventory{"a": stale(inventory("xyz", "")), "b": inventory("x", "z")}, false, "bury z, check y", false},
		"not its business":            {"c", map[replica.Node]Inventory{"c": inventory("xyz", ""), "a": inventory("xy", ""), "b": inventory("x", "")}, false, "drop x", true},
		"nor is it known":             {"c", map[replica.Node]Inventory{"c": inventory("x", ""), "a": inventory("x", "")}, false, "", true},
		"nor while braked":            {"c", map[replica.Node]Inventory{"c": inventory("x", ""), "a": inventory("x", ""), "b": inventory("x", "")}, true, "", true},
	} {
		t.Run(name, func(t *testing.T) {
			do, synced := Decide(c.self, &l, 7, c.said, c.braked)
			if drawn(do) != c.do || synced != c.synced {
				t.Errorf("%q, synced %t; want %q, %t", drawn(do), synced, c.do, c.synced)
			}
		})
	}
}

// world is nodes that keep what Decide says, in a group.
type world struct {
	rt    *rapid.T
	l     layout.Layout
	g     layout.Group
	nodes []replica.Node
	held  map[replica.Node]map[ID]bool
	tombs map[replica.Node]map[ID]bool
	down  map[replica.Node]bool
	live  map[ID]bool // written, and not deleted
	next  byte
}

// ask is what self hears: from itself, and from those that it reaches.
func (w *world) ask(self replica.Node) map[replica.Node]Inventory {
	said := map[replica.Node]Inventory{}
	for _, n := range w.nodes {
		if n == self || !w.down[n] && rapid.IntRange(0, 9).Draw(w.rt, "lost") > 0 {
			said[n] = Inventory{Held: w.held[n], Buried: graves(w.tombs[n])}
		}
	}
	return said
}

func (w *world) repair(self replica.Node, said map[replica.Node]Inventory, braked bool) (idle bool) {
	do, synced := Decide(self, &w.l, w.g, said, braked)
	for _, a := range do {
		switch a.Kind {
		case Copy:
			if w.held[a.From[0]][a.ID] { // else it went meanwhile
				w.held[self][a.ID] = true
			}
		case Drop:
			delete(w.held[self], a.ID)
		case Bury:
			w.tombs[self][a.ID] = true
			delete(w.held[self], a.ID)
		}
	}
	if v := w.l.Current().Number; synced {
		w.l = w.l.See(self, v).Sync(self, v).Settle()
	}
	return len(do) == 0
}

// TestConverges: whatever is written, deleted, moved and lost, as long as one node that is
// looked at has an upload, its owners come to have it; what was deleted stays so; and at
// the end nobody else holds anything.
func TestConverges(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		names := []string{"a", "b", "c", "d", "e"}
		w := &world{rt: rt, l: of(t, 3, "a", "b", "c"), g: layout.Group(rapid.IntRange(0, layout.Groups-1).Draw(rt, "group")),
			held: map[replica.Node]map[ID]bool{}, tombs: map[replica.Node]map[ID]bool{}, down: map[replica.Node]bool{}, live: map[ID]bool{}}
		for _, n := range names {
			w.nodes = append(w.nodes, replica.Node(n))
			w.held[replica.Node(n)], w.tombs[replica.Node(n)] = map[ID]bool{}, map[ID]bool{}
		}
		for range rapid.IntRange(0, 60).Draw(rt, "steps") {
			w.step(rapid.SampledFrom(w.nodes).Draw(rt, "node"))
		}
		clear(w.down)
		for round := 0; ; round++ {
			if round > 20 {
				rt.Fatalf("it does not settle: %+v", w)
			}
			idle := len(w.l.Versions) == 1
			for _, n := range w.nodes {
				said := map[replica.Node]Inventory{}
				for _, m := range w.nodes {
					said[m] = Inventory{Held: w.held[m], Buried: graves(w.tombs[m])}
				}
				idle = w.repair(n, said, false) && idle
				w.l = w.l.See(n, w.l.Current().Number).Settle()
			}
			if idle {
				break
			}
		}
		owners := w.l.Owners(w.g)
		for _, n := range w.nodes {
			want := map[ID]bool{}
			if slices.Contains(owners, n) {
				want = w.live
			}
			if fmt.Sprint(sorted(w.held[n])) != fmt.Sprint(sorted(want)) {
				rt.Fatalf("%s (of %v) holds %v, want %v", n, owners, sorted(w.held[n]), sorted(want))
			}
		}
	})
}

func (w *world) step(n replica.Node) {
	switch what := rapid.SampledFrom([]string{"write", "delete", "down", "up", "repair", "repair", "layout", "wipe"}).Draw(w.rt, "step"); what {
	case "write": // at least two of its owners take it
		id, took := ID{15: w.next}, 0
		for _, o := range w.l.Owners(w.g) {
			if !w.down[o] {
				w.held[o][id] = true
				took++
			}
		}
		if took > 0 {
			w.live[id] = true
		}
		w.next++
	case "delete": // by a tombstone on one node at least
		if len(w.live) > 0 && !w.down[n] && slices.Contains(w.l.Places(w.g), n) {
			id := rapid.SampledFrom(sorted(w.live)).Draw(w.rt, "which")
			delete(w.live, id)
			w.tombs[n][id] = true
			delete(w.held[n], id)
		}
	case "down", "up":
		w.down[n] = what == "down"
	case "repair":
		if !w.down[n] {
			w.repair(n, w.ask(n), rapid.IntRange(0, 5).Draw(w.rt, "brake") == 0)
		}
	case "layout":
		var members []layout.Member
		for _, m := range rapid.SliceOfNDistinct(rapid.SampledFrom(w.nodes), 3, 5, rapid.ID).Draw(w.rt, "members") {
			members = append(members, layout.Member{Node: m, Weight: 1})
		}
		if next, err := w.l.Change(3, members); err == nil {
			w.l = next
		}
	case "wipe": // a lost disk; what was only there is gone, and so are tombstones that were
		for id := range w.held[n] {
			if !w.elsewhere(n, id) {
				return
			}
		}
		for id := range w.tombs[n] {
			if !slices.ContainsFunc(w.nodes, func(m replica.Node) bool { return m != n && w.tombs[m][id] }) {
				return
			}
		}
		w.held[n], w.tombs[n] = map[ID]bool{}, map[ID]bool{}
	}
}

func (w *world) elsewhere(n replica.Node, id ID) bool {
	return !w.live[id] || slices.ContainsFunc(w.l.Places(w.g), func(m replica.Node) bool { return m != n && w.held[m][id] })
}

// TestShort: a group is short of copies where an owner has not what another node has, or
// does not answer. One node says so.
func TestShort(t *testing.T) {
	l := of(t, 2, "a", "b")
	for name, c := range map[string]struct {
		said map[replica.Node]Inventory
		want string // who says so
	}{
		"alike":                {map[replica.Node]Inventory{"a": inventory("xy", ""), "b": inventory("xy", "")}, ""},
		"nothing":              {map[replica.Node]Inventory{"a": inventory("", "")}, ""},
		"one is missing":       {map[replica.Node]Inventory{"a": inventory("x", ""), "b": inventory("xy", "")}, "a"},
		"one is buried":        {map[replica.Node]Inventory{"a": inventory("xy", ""), "b": inventory("x", "y")}, ""},
		"an owner is away":     {map[replica.Node]Inventory{"b": inventory("x", "")}, "b"},
		"another has it alone": {map[replica.Node]Inventory{"a": inventory("", ""), "b": inventory("", ""), "z": inventory("x", "")}, "a"},
		"all owners are away":  {map[replica.Node]Inventory{"z": inventory("x", ""), "y": inventory("x", "")}, "y"},
	} {
		first := l.Places(0)[0]
		want := replica.Node(c.want)
		if _, both := c.said["b"]; both && want == "a" { // whichever the layout names first
			want = first
		}
		for n := range c.said {
			if got := Short(n, &l, 0, c.said); got != (n == want) {
				t.Errorf("%s: node %s says %v", name, n, got)
			}
		}
	}
}
