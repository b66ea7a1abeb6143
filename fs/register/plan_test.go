package register

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
)

// candidatesOf reads "a b c? d:zone e!": c may come back, d is in a zone, e leaves.
func candidatesOf(text string) (out []Candidate) {
	for _, w := range strings.Fields(text) {
		name, zone, _ := strings.Cut(w, ":")
		id := strings.TrimRight(name, "?!")
		out = append(out, Candidate{ID: KeeperID(id), Zone: zone, Fit: id == name, Leaves: strings.HasSuffix(name, "!")})
	}
	return out
}

func keepersOf(text string) (out []KeeperID) {
	for _, w := range strings.Fields(text) {
		out = append(out, KeeperID(w))
	}
	return out
}

func TestPlan(t *testing.T) {
	for _, c := range []struct{ name, roster, candidates, want string }{
		{"one", "a", "a", ""},
		{"two have one keeper", "a", "a b", ""},
		{"three", "a", "a b c", "a b c"},
		{"four", "a b c", "a b c d", ""},
		{"five", "a b c", "a b c d e", "a b c d e"},
		{"more", "a b c d e", "a b c d e f g", ""},
		{"straight to five", "c", "a b c d e f", "a b c d e"},
		{"one may come back", "a b c", "a b c? d", ""},
		{"one is dead", "a b c", "a b d", "a b d"},
		{"one is dead, and nobody else is there", "a b c", "a b", "a"},
		{"one of five is dead", "a b c d e", "a b c d", "a b c"},
		{"all are about to leave", "a b c", "a! b! c!", ""},
		{"one leaves, and another is there", "a b c", "a! b c d", "b c d"},
		{"one leaves, and nobody else is there", "a b c", "a! b c", ""},
		{"one leaves, of more", "a b c", "a! b c d e f", "b c d e f"},
		{"none is left", "a b c", "", ""},
		{"the others may come back", "a b c", "a b? c?", ""},
		{"no majority of the new ones would answer", "a", "a b? c?", ""},
		{"the only one is gone", "a", "b", "b"},
		{"the only one leaves", "a", "a! b", "b"},
		{"the only one leaves, of three", "a", "a! b c", "b"},
		{"who keeps goes on keeping", "c", "a b c", "a b c"},
		{"who answers rather than who may come back", "e f g", "a b c e f g?", "a b c e f"},
		{"zones", "a", "a:1 b:1 c:1 d:2 e:3", "a b c d e"},
		{"a zone each", "a", "a:1 b:1 c:2 d:3", "a c d"},
		{"a new zone", "a b c", "a:1 b:1 c:1 d:2", "a b d"},
		{"zones that are as many", "a b c", "a:1 b:2 c:2 d:1", ""},
		{"a death in a zone", "a b c", "a:1 b:2 d:2 e:3", "a b e"},
	} {
		r := Roster{Version: 4, Keepers: keepersOf(c.roster)}
		if got := Plan(r, candidatesOf(c.candidates)); !slices.Equal(got, keepersOf(c.want)) {
			t.Errorf("%s: %v, want %q", c.name, got, c.want)
		}
	}
	if got := Plan(Roster{Version: 2, Keepers: keepersOf("a"), Next: keepersOf("b")}, candidatesOf("c d e")); got != nil {
		t.Errorf("while a change is under way: %v", got)
	}
	if got := Plan(Roster{}, candidatesOf("a b c")); got != nil {
		t.Errorf("of no roster: %v", got)
	}
}

// What Plan wants stays as it is: two nodes that decide, or one that decides again,
// move nothing.
func TestPlanSettles(t *testing.T) {
	seed := rand.Uint64()
	rng := rand.New(rand.NewPCG(seed, 1))
	for range 2000 {
		var all []Candidate
		for i := range 1 + rng.IntN(9) {
			all = append(all, Candidate{ID: KeeperID(fmt.Sprint("k", i)), Zone: fmt.Sprint(rng.IntN(3)), Fit: rng.IntN(4) > 0})
		}
		r := Roster{Version: 1, Keepers: []KeeperID{all[0].ID}}
		for range 2 {
			if next := Plan(r, all); next != nil {
				r.Keepers, r.Version = next, r.Version+2
			}
		}
		if r.Version > 3 {
			t.Fatalf("seed %d: %+v moves the keepers twice, to %v", seed, all, r.Keepers)
		}
	}
}

// Founders that know of a node in common agree on one roster, whatever is lost, comes
// twice or late, and whichever of them end halfway.
func TestFounding(t *testing.T) {
	both := 0
	for seed := range uint64(3000) {
		if foundOnce(t, seed) > 1 {
			both++
		}
	}
	if both == 0 {
		t.Error("never did two founders come to an end")
	}
}

func foundOnce(t *testing.T, seed uint64) (ended int) {
	rng := rand.New(rand.NewPCG(seed, 3))
	nodes := map[KeeperID]*Acceptor{}
	var names []KeeperID
	for i := range 2 + rng.IntN(4) {
		names = append(names, KeeperID(fmt.Sprint("k", i)))
		nodes[names[i]] = NewAcceptor(State{ID: names[i]})
	}
	type founder struct {
		op   *Operation
		mine string
	}
	var founders []founder
	type message struct {
		to      int // a founder, of a reply
		request *Request
		reply   Reply
	}
	var flying []message
	send := func(from int, out []Request) {
		for _, r := range out {
			flying = append(flying, message{from, &r, Reply{}})
		}
	}
	for i := range 2 + rng.IntN(2) {
		circle := []KeeperID{names[0]} // in common
		for _, k := range names[1:] {
			if rng.IntN(2) == 0 {
				circle = append(circle, k)
			}
		}
		f := founder{mine: string(Roster{Pond: fmt.Sprint(i), Version: 1, Keepers: circle[:1]}.Encode())}
		f.op = NewProposer(fmt.Sprint("p", i), Roster{Keepers: circle}).CAS(FoundingKey, ChangeID(fmt.Sprint(i)), 0, []byte(f.mine))
		founders = append(founders, f)
		send(i, f.op.Start())
	}
	chosen := map[string]bool{}
	for range 400 {
		if len(flying) == 0 || rng.IntN(20) == 0 {
			i := rng.IntN(len(founders))
			if founders[i].op.status == Outbid {
				send(i, founders[i].op.Again())
			} else {
				send(i, founders[i].op.Resend())
			}
		}
		if len(flying) == 0 {
			continue
		}
		n := rng.IntN(len(flying))
		m := flying[n]
		if rng.IntN(8) > 0 { // else it comes again
			flying = slices.Delete(flying, n, n+1)
		}
		switch {
		case rng.IntN(10) == 0: // lost
		case m.request != nil:
			reply, _ := nodes[m.request.To].Step(*m.request)
			flying = append(flying, message{to: m.to, reply: reply})
		default:
			op := founders[m.to].op
			was := op.status
			out, s := op.Step(m.reply)
			send(m.to, out)
			if s == Done && was != Done {
				v, _ := op.Result()
				chosen[string(v.Data)] = true
				ended++
			}
		}
	}
	if len(chosen) > 1 {
		t.Fatalf("seed %d: %v", seed, chosen)
	}
	return ended
}
