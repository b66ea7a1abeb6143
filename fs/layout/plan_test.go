package layout

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/pondmesh/pond/fs/replica"
)

// candidates are nodes as a text has them: "a", "b-" (gone for long), "c?" (gone for a
// short time), "d+" (new, and here for long), "e~" (here for a short time), "f!" (leaves),
// "g2" (of the weight 2), "h0" (whose weight is not known).
func candidates(text string) (out []Candidate) {
	for _, w := range strings.Fields(text) {
		c := Candidate{Member: Member{Node: replica.Node(w[:1]), Weight: 1}, Here: time.Hour}
		switch w[1:] {
		case "-":
			c.Gone, c.Here = time.Hour, 0
		case "?":
			c.Gone, c.Here = time.Second, 0
		case "~":
			c.Here = time.Second
		case "!":
			c.Leaves = true
		case "2":
			c.Weight = 2
		case "0":
			c.Weight = 0
		}
		out = append(out, c)
	}
	return out
}

// TestPlan: who are to be members, for how nodes are seen.
func TestPlan(t *testing.T) {
	one := change(t, Layout{}, "a", "b", "c", "d")
	moving := change(t, one, "a", "b", "c", "d", "e")
	third := change(t, moving, "a", "b", "c", "d", "e", "f")
	full := change(t, third, "a", "b", "c", "d", "e", "f")
	for name, c := range map[string]struct {
		l    Layout
		seen string
		want string // "": no change
	}{
		"the first":                      {Layout{}, "b a c- d!", "a b"},
		"all is well":                    {one, "a b c d", ""},
		"one is gone for a while":        {one, "a b c d?", ""},
		"one is dead":                    {one, "a b c d-", "a b c"},
		"dead, while data moves":         {moving, "a b c d- e", "a b c e"},
		"two of four":                    {one, "a b c- d-", ""},
		"two are, and two have come":     {one, "a b c- d- e+ f+", "a b c d e f"},
		"dead, while one comes":          {moving, "a b- c- d e", ""},
		"and another, which is enough":   {moving, "a b- c- d e f+", "a b c d e f"},
		"and one for a short time":       {moving, "a b- c- d e f~", ""},
		"more are dead than have come":   {moving, "a b- c- d- e f+", ""},
		"the last change, one dead":      {third, "a b- c? d e f", ""},
		"the last change, all of them":   {third, "a b- c- d e f", "a d e f"},
		"then the dead go":               {third, "a b- c- d e f", "a d e f"},
		"as many changes as may be":      {full, "a b c d e f g+", ""},
		"and one is gone":                {full, "a b? c d e f", ""},
		"and one is dead":                {full, "a b- c? d e f g+", "a c d e f"},
		"more than may be":               {full, "a b- c- d- e f g+ h+ i+ j+", ""},
		"one comes":                      {one, "a b c d e+", "a b c d e"},
		"not yet":                        {one, "a b c d e~", ""},
		"one comes, one is dead":         {one, "a b c d- e+", "a b c e"},
		"not while data moves":           {moving, "a b c d e f+", ""},
		"one leaves":                     {one, "a b c d!", "a b c d*0"},
		"nobody is heard of":             {one, "", ""},
		"one has grown":                  {one, "a b c2 d", "a b c*2 d"},
		"grown, and not there":           {one, "a b c2 d?", "a b c*2 d"},
		"grown, while data moves":        {moving, "a b c2 d e", ""},
		"how large is not known":         {one, "a b c0 d", ""},
		"nor of one that comes":          {one, "a b c d e0", "a b c d e"},
		"nor of the first":               {Layout{}, "a0 b2", "a b*2"},
		"one is not known to whoever is": {one, "a b c", ""},
	} {
		var got []string
		for _, m := range c.l.Plan(candidates(c.seen), Waits()) {
			text := string(m.Node)
			if m.Weight != 1 {
				text += fmt.Sprintf("*%v", m.Weight)
			}
			got = append(got, text)
		}
		if strings.Join(got, " ") != c.want {
			t.Errorf("%s: %v, want %q", name, got, c.want)
		}
	}
}

// A node that leaves is let go once the others have what it had.
func TestPlanLeave(t *testing.T) {
	l := change(t, Layout{}, "a", "b", "c")
	for _, want := range []string{"[{a  1} {b  1} {c  0}]", "[{a  1} {b  1}]", "[]"} {
		next := l.Plan(candidates("a b c!"), Waits())
		if fmt.Sprint(next) != want {
			t.Fatalf("%v, want %s", next, want)
		}
		if next == nil {
			break
		}
		l, _ = l.Change(2, next)
		if again := l.Plan(candidates("a b c!"), Waits()); again != nil {
			t.Errorf("before it is carried out: %v", again)
		}
		for _, m := range next {
			l = l.Sync(m.Node, l.newest())
		}
		l = l.Settle()
	}
}
