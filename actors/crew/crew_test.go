package crew

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/pondmesh/pond/actors/sched"
	"github.com/pondmesh/pond/mesh"
)

// view reads "a b2 c!": node a, node b in its boot 2, node c that leaves; "a+" has a slot
// more.
func view(text string) *mesh.View {
	v := new(mesh.View)
	for _, word := range strings.Fields(text) {
		m := mesh.Member{ID: mesh.NodeID(word[:1]), Boot: "1", Host: word[:1], API: 7948, Slots: 2}
		for _, c := range word[1:] {
			switch c {
			case '!':
				m.State = mesh.Leaving
			case '+':
				m.Slots++
			default:
				m.Boot = mesh.BootID(c)
			}
		}
		v.Members = append(v.Members, m)
	}
	return v
}

func drawn(changes []Change) string {
	var out []string
	for _, c := range changes {
		var text string
		switch e := c.Event.(type) {
		case sched.NodeUp:
			text = fmt.Sprintf("up %s%s/%d", e.Node, e.Boot, e.Slots)
		case sched.NodeLeaving:
			text = "leaving " + string(e.Node)
		case sched.NodeLost:
			text = fmt.Sprintf("lost %s%s", e.Node, e.Boot)
		}
		if c.New {
			text += " new"
		}
		if c.Back {
			text += " back"
		}
		out = append(out, text)
	}
	return strings.Join(out, ", ")
}

// TestViews: each view tells what is new in it, once.
func TestViews(t *testing.T) {
	for _, test := range []struct{ name, views, want string }{
		{"at first", "a b", "up a1/2 new, up b1/2 new"},
		{"nothing new", "a b; a b", "up a1/2 new, up b1/2 new; "},
		{"one comes, one goes", "a; b", "up a1/2 new; up b1/2 new, lost a1"},
		{"it comes back", "a; ; a", "up a1/2 new; lost a1; up a1/2 new back"},
		{"restarted unseen", "a; a2", "up a1/2 new; up a2/2 back"},
		{"lost in its latest boot", "a; a2; ", "up a1/2 new; up a2/2 back; lost a2"},
		{"more slots", "a; a+; a+", "up a1/2 new; up a1/3; "},
		{"it leaves", "a; a!; a!; ", "up a1/2 new; leaving a; ; lost a1"},
		{"it leaves already", "a!", "up a1/2 new, leaving a new"},
		{"it comes back, and still leaves", "a!; ; a!", "up a1/2 new, leaving a new; lost a1; up a1/2 new back, leaving a new back"},
	} {
		c, got := new(Crew), []string{}
		for text := range strings.SplitSeq(test.views, ";") {
			got = append(got, drawn(c.See(view(text))))
		}
		if text := strings.Join(got, "; "); text != test.want {
			t.Errorf("%s:\n%s\nwant\n%s", test.name, text, test.want)
		}
	}
}

// TestHolders: rows are read from holders that were ever seen, since one that is leaving
// the pond, or seems gone, may still give them.
func TestHolders(t *testing.T) {
	c := new(Crew)
	c.See(view("a b"))
	c.See(view("b"))
	for holders, want := range map[string]string{"x a b": "[a:7948 b:7948]", "b a": "[b:7948 a:7948]", "x": "[]", "": "[]"} {
		w := sched.Winner{}
		for _, h := range strings.Fields(holders) {
			w.Holders = append(w.Holders, sched.NodeID(h))
		}
		if got := fmt.Sprint(c.Holders(w)); got != want {
			t.Errorf("%q: %s, want %s", holders, got, want)
		}
	}
	if _, ok := c.Find("a"); ok || len(c.All()) != 1 || c.All()[0].ID != "b" {
		t.Errorf("the nodes: %v", c.All())
	}
}

// TestSilent: a silent node is named once in a while, one that is gone never, and one
// that comes back at once.
func TestSilent(t *testing.T) {
	c, now := new(Crew), time.Unix(1_000_000, 0)
	silent := func(after time.Duration) string {
		now = now.Add(after)
		ids := c.Silent(now, time.Minute)
		slices.Sort(ids)
		return fmt.Sprint(ids)
	}
	c.See(view("a b"))
	c.Heard("a", now)
	for i, step := range []struct {
		after time.Duration
		do    func()
		want  string
	}{
		{0, nil, "[b]"},
		{59 * time.Second, nil, "[]"},
		{time.Second, nil, "[a b]"},
		{time.Second, func() { c.See(view("a")) }, "[]"},
		{0, func() { c.See(view("a b")) }, "[b]"},
		{time.Minute, func() { c.Heard("b", now.Add(30*time.Second)) }, "[a]"},
	} {
		if step.do != nil {
			step.do()
		}
		if got := silent(step.after); got != step.want {
			t.Errorf("step %d: %s, want %s", i, got, step.want)
		}
	}
}
