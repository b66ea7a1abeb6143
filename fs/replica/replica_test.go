package replica

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"
)

func nodes(s string) (out []Node) {
	for _, n := range strings.Fields(s) {
		out = append(out, Node(n))
	}
	return out
}

// TestPush: whom a push asks, step by step, and how it ends.
func TestPush(t *testing.T) {
	for name, c := range map[string]struct {
		class               Class
		holders, candidates string
		steps               []string // the chain, then what its nodes say
		want                string   // the holders
		err                 error
		short               bool
	}{
		"all take it":        {Class{3, 2}, "a", "b c d", []string{"b c", "b stored, c stored"}, "a b c", nil, false},
		"it is enough":       {Class{2, 2}, "a b", "c", nil, "a b", nil, false},
		"one had it":         {Class{3, 3}, "a", "b c", []string{"b c", "b had, c stored"}, "a b c", nil, false},
		"the middle dies":    {Class{3, 2}, "a", "b c d", []string{"b c", "c stored, b unreachable", "d", "d stored"}, "a c d", nil, false},
		"the head dies":      {Class{3, 2}, "a", "b c d", []string{"b c", "", "c d", "c stored, d stored"}, "a c d", nil, false},
		"the tail dies":      {Class{3, 2}, "a", "b c d", []string{"b c", "b stored, c unreachable", "d", "d full"}, "a b", nil, true},
		"what follows a gap": {Class{3, 2}, "a", "b c", []string{"b c", "b full", "c", "c stored"}, "a c", nil, true},
		"too few":            {Class{3, 2}, "a", "b c", []string{"b c", "b full, c full"}, "a", ErrTooFew, false},
		"alone":              {Class{3, 1}, "a", "", nil, "a", nil, true},
		"nobody":             {Class{1, 1}, "", "", nil, "", ErrTooFew, false},
		"one is busy": {Class{2, 2}, "a", "b c", []string{"b", "b busy", "c", "c full", "b", "b stored"},
			"a b", nil, false},
		"busy for long":  {Class{2, 2}, "a", "b", append(busy(busyTriesAll-1), "b", "b stored"), "a b", nil, false},
		"busy for ever":  {Class{2, 2}, "a", "b", busy(busyTriesAll), "a", ErrTooFew, false},
		"enough without": {Class{2, 1}, "a", "b", busy(busyTriesMax), "a", nil, true},
		"another upload": {Class{2, 1}, "a", "b c", []string{"b", "b refused"}, "a", ErrConflict, false},
	} {
		t.Run(name, func(t *testing.T) {
			p := NewPush(c.class, nodes(c.holders), nodes(c.candidates))
			for i := 0; i < len(c.steps); i += 2 {
				chain := p.Next()
				if !slices.Equal(chain, nodes(c.steps[i])) {
					t.Fatalf("step %d: %v, want %s", i/2, chain, c.steps[i])
				}
				p.Heard(chain, said(t, c.steps[i+1]))
			}
			if chain := p.Next(); len(chain) > 0 {
				t.Errorf("it goes on: %v", chain)
			}
			if got := p.Holders(); !slices.Equal(got, nodes(c.want)) {
				t.Errorf("holders %v, want %s", got, c.want)
			}
			if err := p.Err(); !errors.Is(err, c.err) || (err == nil) != (c.err == nil) || p.Short() != c.short {
				t.Errorf("err %v, short %t", err, p.Short())
			}
		})
	}
}

// busy are steps in which b is asked, and takes no more.
func busy(times int) []string { return slices.Repeat([]string{"b", "b busy"}, times) }

func said(t *testing.T, text string) (out []Said) {
	t.Helper()
	if text == "" {
		return nil
	}
	for _, part := range strings.Split(text, ", ") {
		node, word, _ := strings.Cut(part, " ")
		o := Stored
		for o.String() != word {
			if o++; o > Refused {
				t.Fatalf("no outcome %q", word)
			}
		}
		out = append(out, Said{Node(node), o})
	}
	return out
}

// TestPushEnds: a push ends whatever its nodes say, asks none that failed again, and
// ends well exactly when enough have said that they hold it.
func TestPushEnds(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		want := rapid.IntRange(1, 5).Draw(rt, "want")
		class := Class{Want: want, Min: rapid.IntRange(1, want).Draw(rt, "min")}
		var all []Node
		for i := range rapid.IntRange(0, 8).Draw(rt, "nodes") {
			all = append(all, Node(fmt.Sprint("n", i)))
		}
		begun := min(rapid.IntRange(0, 2).Draw(rt, "holders"), len(all))
		p := NewPush(class, all[:begun], all)
		held := map[Node]bool{}
		for _, n := range all[:begun] {
			held[n] = true
		}
		failed := map[Node]bool{}
		for step := 0; ; step++ {
			if step > (len(all)+1)*(busyTriesMax+1)+busyTriesAll {
				rt.Fatal("it does not end")
			}
			chain := p.Next()
			if len(chain) == 0 {
				break
			}
			var told []Said
			for _, n := range chain {
				if held[n] || failed[n] {
					rt.Fatalf("%s is asked again", n)
				}
				o := rapid.SampledFrom([]Outcome{Stored, Stored, Had, Full, Busy, Unreachable}).Draw(rt, string(n))
				told = append(told, Said{n, o})
				held[n] = o.holds()
				failed[n] = o == Full || o == Unreachable
				if o == Unreachable { // nothing is heard of those behind it
					break
				}
			}
			if rapid.IntRange(0, 9).Draw(rt, "lost") == 0 { // the reply
				for _, s := range told {
					held[s.Node] = false
				}
				failed[chain[0]] = true
				for _, n := range chain[1:] {
					failed[n] = false
				}
				told = nil
			}
			p.Heard(chain, told)
		}
		n := 0
		for _, h := range held {
			if h {
				n++
			}
		}
		if n != len(p.Holders()) || (p.Err() == nil) != (n >= class.Min) || p.Short() != (n >= class.Min && n < class.Want) {
			rt.Fatalf("%d hold it: %v, %v, short %t", n, p.Holders(), p.Err(), p.Short())
		}
	})
}

// TestFetch: whom a fetch asks, step by step, and how it ends.
func TestFetch(t *testing.T) {
	for name, c := range map[string]struct {
		holders, owners, all string
		steps                string // who is asked, or who says what
		err                  error
		corrupt              string
	}{
		"the first has it":           {"a b", "c", "a b c d", "?a a:read", nil, ""},
		"where it was made it is no": {"a", "b", "a b c", "?a a:absent ?b b:read", nil, ""},
		"nobody knew":                {"a", "b", "a b c", "?a a:absent ?b b:absent ?c c:read", nil, ""},
		"a bad copy":                 {"a b", "", "a b", "?a a:corrupt ?b b:read", nil, "a"},
		"lost":                       {"a b", "", "a b c", "?a a:corrupt ?b b:corrupt ?c c:absent ?c c:absent", ErrLost, "a b"},
		"it moved meanwhile":         {"a b", "", "a b", "?a a:absent ?b b:absent ?a a:read", nil, ""},
		"deleted":                    {"a b", "", "a b c", "?a a:absent ?b b:deleted", ErrDeleted, ""},
		"unreachable":                {"a b", "", "a b c", "?a a:silent ?b b:corrupt ?c c:absent", ErrUnavailable, "b"},
		"slow":                       {"a b c", "", "a b c", "?a a:slow ?b b:read", nil, ""},
		"both slow":                  {"a b c", "", "a b c", "?a a:slow ?b b:slow b:silent ?c a:read", nil, ""},
		"nobody is there":            {"", "", "", "", ErrUnavailable, ""},
	} {
		t.Run(name, func(t *testing.T) {
			f := NewFetch(nodes(c.holders), nodes(c.owners), nodes(c.all))
			for _, step := range strings.Fields(c.steps) {
				if want, ask := strings.CutPrefix(step, "?"); ask {
					if n := f.Next(); n != Node(want) {
						t.Fatalf("%q is asked, want %q", n, want)
					}
					continue
				}
				if n := f.Next(); n != "" {
					t.Fatalf("before %s: %s is asked beside", step, n)
				}
				node, word, _ := strings.Cut(step, ":")
				what := Got
				for what.String() != word {
					what++
				}
				f.Heard(Node(node), what)
			}
			if n := f.Next(); n != "" {
				t.Errorf("%s is asked at the end", n)
			}
			if err := f.Err(); !errors.Is(err, c.err) || (err == nil) != (c.err == nil) || f.Done() != (c.err == nil) {
				t.Errorf("%v, done %t", err, f.Done())
			}
			if got := f.Corrupt(); !slices.Equal(got, nodes(c.corrupt)) {
				t.Errorf("corrupt: %v", got)
			}
		})
	}
}

// TestFetchEnds: bytes that somebody has and who answers are found, only those that had
// none are asked twice, and an upload is told as lost only if every node has answered
// without it.
func TestFetchEnds(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		all := nodes("a b c d e")
		draw := func(what string) []Node {
			return rapid.SliceOfDistinct(rapid.SampledFrom(all), rapid.ID).Draw(rt, what)
		}
		f := NewFetch(draw("holders"), draw("owners"), all)
		state := map[Node]Finding{}
		for _, n := range all {
			state[n] = rapid.SampledFrom([]Finding{Got, Absent, Corrupt, Silent}).Draw(rt, string(n))
		}
		asked := map[Node]int{}
		var open []Node
		for !f.Done() && f.Err() == nil {
			if n := f.Next(); n != "" {
				if asked[n]++; asked[n] > 1 && (state[n] != Absent || asked[n] > 2) {
					rt.Fatalf("%s is asked %d times", n, asked[n])
				}
				open = append(open, n)
				if rapid.Bool().Draw(rt, "slow") {
					f.Heard(n, Slow)
				}
				continue
			}
			if len(open) == 0 {
				rt.Fatal("it waits for nobody")
			}
			i := rapid.IntRange(0, len(open)-1).Draw(rt, "who")
			n := open[i]
			open = slices.Delete(open, i, i+1)
			f.Heard(n, state[n])
		}
		has, silent := false, false
		for _, s := range state {
			has, silent = has || s == Got, silent || s == Silent
		}
		switch err := f.Err(); {
		case has != f.Done():
			rt.Fatalf("somebody has it: %t, %v", has, err)
		case !has && errors.Is(err, ErrUnavailable) != silent, !has && errors.Is(err, ErrLost) == silent:
			rt.Fatalf("silent %t: %v", silent, err)
		}
	})
}
