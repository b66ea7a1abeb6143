package registers

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/pondmesh/pond/actors/api"
)

// Who founds a pond, and with whom: "a:b,~c!x" was told to join b, sees c, and has not
// met x.
func TestGather(t *testing.T) {
	for _, c := range []struct {
		name, pond string
		late       bool // missing nodes have been waited for
		want       string
	}{
		{"alone", "a:", false, ""},
		{"told to join another", "a:!x", false, "no answer yet from x"},
		{"told to join another that never comes", "a:!x", true, "no answer yet from x"},
		{"the first of two", "a:b b:a", false, ""},
		{"the second of two", "b:a a:", false, "node a is to found the pond"},
		{"through another", "b:c c:a a:", false, "node a is to found the pond"},
		{"another has not met all", "a:b b:!x", false, "no answer yet from x"},
		{"one of three never comes", "a:b!x b:a!x", true, ""},
		{"one of three is not there yet", "a:b!x b:a!x", false, "no answer yet from x"},
		{"two of four never come", "a:b!x,y b:a", true, "no answer yet from x, y"},
		{"new ones, whose peer is down", "a:~b,~c!x b:a!x c:~a!x", true, "no answer yet from x"},
		{"one is known that does not answer", "a:b,z b:", false, "no answer yet from node z"},
	} {
		nodes := map[string]*api.RegisterReply{}
		self := ""
		for _, w := range strings.Fields(c.pond) {
			name, rest, _ := strings.Cut(w, ":")
			peers, missing, _ := strings.Cut(rest, "!")
			split := func(s string) []string {
				return slices.DeleteFunc(strings.Split(s, ","), func(s string) bool { return s == "" })
			}
			nodes[name] = &api.RegisterReply{Node: name, Missing: split(missing)}
			for _, p := range split(peers) {
				if seen, ok := strings.CutPrefix(p, "~"); ok {
					nodes[name].Peers = append(nodes[name].Peers, seen)
				} else {
					nodes[name].Named = append(nodes[name].Named, p)
				}
			}
			if self == "" {
				self = name
			}
		}
		circle, missing := gather(self, func(node string) *api.RegisterReply { return nodes[node] })
		waited := time.Duration(0)
		if c.late {
			waited = missingMax
		}
		if got := whyNot(self, circle, missing, waited); got != c.want {
			t.Errorf("%s: %q, want %q", c.name, got, c.want)
		}
	}
}

// Nodes that are started at the same instant form one pond, however they were told of
// one another and whatever the network does.
func TestStartedTogether(t *testing.T) {
	const ponds = 100
	var all sync.WaitGroup
	turns := make(chan struct{}, 50)
	for i := range ponds {
		turns <- struct{}{}
		all.Go(func() {
			defer func() { <-turns }()
			t.Run(fmt.Sprint(i), startTogether)
		})
	}
	all.Wait()
}

func startTogether(t *testing.T) {
	n := newNet(t)
	rng := rand.New(rand.NewPCG(n.seed, 2))
	n.loss = 0.1 * rng.Float64()
	names := []string{"a", "b", "c", "d", "e"}[:2+rng.IntN(4)]
	seeds := map[string][]string{}
	for i, name := range names {
		switch other := rng.IntN(len(names)); {
		case rng.IntN(2) == 0:
			seeds[name] = names // all, itself too
		case i > 0:
			seeds[name] = []string{names[rng.IntN(i)]} // connected
		case other > 0:
			seeds[name] = []string{names[other]}
		}
	}
	rng.Shuffle(len(names), func(i, j int) { names[i], names[j] = names[j], names[i] })
	for _, name := range names {
		n.start(name, seeds[name]...)
	}
	ponds := map[string]bool{}
	n.await("all know a roster", func() bool {
		for _, name := range names {
			if n.nodes[name].Roster().Version == 0 {
				return false
			}
		}
		return true
	})
	for _, name := range names {
		ponds[n.nodes[name].Roster().Pond] = true
	}
	if len(ponds) != 1 {
		t.Errorf("%d ponds of %v", len(ponds), seeds)
	}
	for _, name := range names {
		n.nodes[name].set(t, "k", name)
	}
	n.nodes[names[0]].want(t, "k", names[len(names)-1])
}
