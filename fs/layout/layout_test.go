package layout

import (
	"encoding/json"
	"errors"
	"fmt"
	"reflect"
	"slices"
	"testing"

	"pgregory.net/rapid"

	"github.com/pondmesh/pond/fs/replica"
)

func members(names ...string) (out []Member) {
	for _, n := range names {
		out = append(out, Member{Node: replica.Node(n), Weight: 1})
	}
	return out
}

func change(t testing.TB, l Layout, names ...string) Layout {
	t.Helper()
	next, err := l.Change(2, members(names...))
	if err != nil {
		t.Fatal(err)
	}
	return next
}

// The owners of groups never change while the members do not: data is found by them.
func TestOwnersAreFrozen(t *testing.T) {
	v := Version{Number: 1, Copies: 3, Members: members("a", "b", "c", "d", "e")}
	got := ""
	for _, g := range []Group{0, 1, 2, 1000, Groups - 1} {
		got += fmt.Sprint(v.Owners(g), " ")
	}
	const want = "[c b a] [e b d] [b e d] [d b e] [c b d] "
	if got != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}
	if g := GroupOf([16]byte{0xff, 0xff, 1}); g != Groups-1 {
		t.Errorf("the last group is %d", g)
	}
	if g := GroupOf([16]byte{0, 7}); g != 1 {
		t.Errorf("the second group is %d", g)
	}
}

// TestMove walks a change of members: where to look and who may drop what, at each step.
func TestMove(t *testing.T) {
	old := change(t, Layout{}, "a", "b", "c")
	var g Group
	for !slices.Contains(old.Owners(g), "a") {
		g++
	}
	l := change(t, old, "b", "c", "d") // a goes, d comes
	if got := l.Owners(g); slices.Contains(got, "a") || len(got) != 2 {
		t.Errorf("owners %v", got)
	}
	if got := l.Places(g); !slices.Contains(got, "a") {
		t.Errorf("nobody looks at the node that has it: %v", got)
	}
	for _, n := range []replica.Node{"b", "c", "d"} {
		if l.MayDrop("a", g) {
			t.Errorf("a drops what is nowhere else: %+v", l)
		}
		l = l.See(n, 2).Sync(n, 2)
		if n != "d" {
			l = l.Settle()
		}
	}
	if l.MayDrop("a", g) {
		t.Error("a drops before the old version is gone")
	}
	l = l.Settle()
	if len(l.Versions) != 1 || !l.MayDrop("a", g) || l.MayDrop(l.Owners(g)[0], g) || slices.Contains(l.Places(g), "a") {
		t.Errorf("after the move: %+v", l)
	}
}

// What cannot be is refused, and changes wait for one another.
func TestChanges(t *testing.T) {
	for name, c := range map[string]struct {
		copies  int
		members []Member
	}{
		"no copies": {0, members("a")}, "too many": {17, members("a")}, "nobody": {1, nil}, "twice": {1, members("a", "a")},
		"no name": {1, members("")}, "no weight": {1, []Member{{Node: "a"}}}, "a negative one": {1, []Member{{Node: "a", Weight: -1}, {Node: "b", Weight: 1}}},
	} {
		if _, err := (Layout{}).Change(c.copies, c.members); !errors.Is(err, ErrInvalid) {
			t.Errorf("%s: %v", name, err)
		}
	}
	l := Layout{}
	for range versionsMax {
		l = change(t, l, "a", "b")
	}
	for _, next := range [][]Member{members("a", "b", "c"), members("a", "c"), members("a", "b"), {{Node: "a", Weight: 2}}, {{Node: "a", Zone: "z", Weight: 1}}} {
		if _, err := l.Change(2, next); !errors.Is(err, ErrMoving) {
			t.Errorf("a fifth version, %v: %v", next, err)
		}
	}
	if _, err := l.Change(1, members("a")); !errors.Is(err, ErrMoving) {
		t.Errorf("a fifth version, of fewer copies: %v", err)
	}
	if s := l.Settle(); s.Current().Number != versionsMax {
		t.Error("the newest version is gone")
	}
	if l = l.Sync("a", 99).Sync("b", 3).Settle(); len(l.Versions) != versionsMax || l.Acks["a"].Synced != versionsMax {
		t.Errorf("settled to %+v", l)
	}
	if l = l.Sync("b", 4).Settle(); len(l.Versions) != 1 {
		t.Errorf("settled to %+v", l)
	}
}

// TestNarrow: whoever is left out of the newest version of as many as may be, another takes
// its place, of which the others own all that they did, and it can be carried out and kept.
func TestNarrow(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		var all []Member
		for i := range rapid.IntRange(2, 9).Draw(rt, "members") {
			all = append(all, Member{Node: replica.Node(fmt.Sprint("n", i)), Zone: rapid.SampledFrom([]string{"", "x", "y", "z"}).Draw(rt, "zone"), Weight: rapid.SampledFrom([]float64{0, 0.5, 1, 3}).Draw(rt, "weight")})
		}
		copies := rapid.IntRange(1, 4).Draw(rt, "copies")
		l := Layout{}
		for range versionsMax {
			var err error
			if l, err = l.Change(copies, all); err != nil {
				rt.Skip(err)
			}
		}
		left := slices.DeleteFunc(slices.Clone(all), func(Member) bool { return rapid.Bool().Draw(rt, "dies") })
		if len(left) == len(all) || check(copies, left) != nil {
			rt.Skip("nobody dies, or all")
		}
		next, err := l.Change(copies, left)
		if err != nil {
			rt.Fatalf("%v without some: %v", all, err)
		}
		data, err := json.Marshal(next)
		var again Layout
		if err == nil {
			err = json.Unmarshal(data, &again)
		}
		if err != nil || len(again.Versions) != versionsMax || again.Current().Number != versionsMax+1 || !slices.Equal(again.Current().Members, left) {
			rt.Fatalf("%+v, %v", again, err)
		}
		for _, m := range left {
			next = next.Sync(m.Node, next.newest())
		}
		if next = next.Settle(); len(next.Versions) != 1 || !slices.Equal(next.Current().Members, left) {
			rt.Fatalf("settled to %+v", next)
		}
	})
}

// TestNothingIsNowhere: whatever changes of members follow one another, and however far
// each node has come with them, an upload that its owners had when it was written stays
// on a node that the layout looks at: nodes copy what their groups' places have, and drop
// what MayDrop says.
func TestNothingIsNowhere(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		names := []string{"a", "b", "c", "d", "e", "f"}
		drawMembers := func() []Member {
			return members(rapid.SliceOfNDistinct(rapid.SampledFrom(names), 1, 5, rapid.ID).Draw(rt, "members")...)
		}
		g := Group(rapid.IntRange(0, Groups-1).Draw(rt, "group"))
		l, err := Layout{}.Change(2, drawMembers())
		if err != nil {
			rt.Fatal(err)
		}
		held := map[replica.Node]bool{}
		for _, n := range l.Owners(g) {
			held[n] = true
		}
		for range rapid.IntRange(1, 60).Draw(rt, "steps") {
			n := replica.Node(rapid.SampledFrom(names).Draw(rt, "node"))
			switch rapid.SampledFrom([]string{"change", "see", "sync", "settle", "drop"}).Draw(rt, "step") {
			case "change":
				if next, err := l.Change(2, drawMembers()); err == nil {
					l = next
				}
			case "see":
				l = l.See(n, l.newest())
			case "sync":
				if slices.Contains(l.Owners(g), n) && slices.ContainsFunc(l.Places(g), func(p replica.Node) bool { return held[p] }) {
					held[n] = true
				}
				l = l.Sync(n, l.newest())
			case "settle":
				l = l.Settle()
			case "drop":
				if l.MayDrop(n, g) {
					delete(held, n)
				}
			}
			if !slices.ContainsFunc(l.Places(g), func(p replica.Node) bool { return held[p] }) {
				b, _ := json.Marshal(l)
				rt.Fatalf("nobody who is looked at has it: held by %v, layout %s", held, b)
			}
		}
	})
}

// A layout is the same after its text, which fits into a register with as many members
// as there may be.
func TestText(t *testing.T) {
	many := func(n, name int) (out []Member) {
		for i := range n {
			out = append(out, Member{Node: replica.Node(fmt.Sprintf("%0*d", name, i)), Zone: fmt.Sprint("zone", i%7), Weight: float64(1 + i%3)})
		}
		return out
	}
	l := Layout{}
	for i := range versionsMax {
		next, err := l.Change(3, many(membersMax-versionsMax+1+i, 36))
		if err != nil {
			t.Fatal(err)
		}
		l = next
	}
	for _, m := range l.Current().Members {
		l = l.Note(map[replica.Node]Ack{m.Node: {4, 4}})
	}
	text, err := json.Marshal(l)
	if err != nil || len(text) > bytesMax {
		t.Fatalf("%d bytes, %v", len(text), err)
	}
	t.Logf("%d versions of %d members: %d bytes", len(l.Versions), membersMax, len(text))
	var back Layout
	if err := json.Unmarshal(text, &back); err != nil || !reflect.DeepEqual(back, l) {
		t.Errorf("it is another one when it is read: %v", err)
	}
	if _, err := (Layout{}).Change(3, many(membersMax, 80)); !errors.Is(err, ErrInvalid) {
		t.Errorf("names that are too long: %v", err)
	}
	empty, _ := json.Marshal(Layout{})
	if err := json.Unmarshal(empty, &back); err != nil || back.Current() != nil {
		t.Errorf("%s: %v, %+v", empty, err, back)
	}
}

// FuzzText: what is read is a layout, or an error.
func FuzzText(f *testing.F) {
	l, _ := Layout{}.Change(2, members("a", "b"))
	text, _ := json.Marshal(l)
	f.Add(text)
	f.Add([]byte(`{"numbers":[1],"copies":[1],"nodes":["a"],"zones":[""],"zone":[1],"seen":[0],"synced":[0],"weights":[[1]]}`))
	f.Fuzz(func(t *testing.T, text []byte) {
		var l Layout
		if json.Unmarshal(text, &l) != nil {
			return
		}
		l.Places(7)
		again, err := json.Marshal(l)
		var back Layout
		if err != nil || json.Unmarshal(again, &back) != nil {
			t.Fatalf("%s: %v, %s", text, err, again)
		}
	})
}

// TestWorkOut: what is worked out beforehand is what is ranked each time, of new versions as of
// old ones.
func TestWorkOut(t *testing.T) {
	l := change(t, change(t, Layout{}, "a", "b", "c", "d"), "a", "b", "c", "d", "e")
	once := l.WorkOut(Layout{})
	twice := change(t, l, "a", "b", "d", "e").WorkOut(once)
	if twice.Versions[1].ranks != once.Versions[1].ranks || twice.Versions[2].ranks == once.Versions[1].ranks {
		t.Error("what is known is worked out again, or taken for another version")
	}
	for _, worked := range []Layout{once, twice} {
		for _, v := range worked.Versions {
			plain := Version{Number: v.Number, Copies: v.Copies, Members: v.Members}
			for g := range Group(200) {
				if got, want := v.Owners(g), plain.Owners(g); !slices.Equal(got, want) {
					t.Fatalf("group %d of version %d: %v, want %v", g, v.Number, got, want)
				}
			}
		}
	}
}
