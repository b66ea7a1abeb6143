package sched

import (
	"math/rand/v2"
	"testing"

	"github.com/pondmesh/pond/actors/plan"
)

// TestNothingMadeAgain: while one node at a time dies, no finished task is made again of
// which another node holds a copy. Jobs without copies lose finished tasks, those with lazy
// ones the few that were not copied yet, those with eager ones none. Plans are submitted
// once: a second job may run before it has heard of all that the first left.
func TestNothingMadeAgain(t *testing.T) {
	first := rand.Uint64() >> 1
	remade := map[plan.Copies]int{}
	for _, mode := range []plan.Copies{plan.NoCopies, plan.LazyCopies, plan.EagerCopies} {
		deaths := 0
		for i := range uint64(400) {
			w := newWorld(first + i)
			w.quiet, w.mode, w.copies, w.eager, w.lossy, w.fickle = true, mode, mode.Before(), true, 0, nil
			w.budget = map[string]int{"die": 1, "wipe": 1}
			w.runs = 1 // submitAgain does not, after a first
			if len(w.nodes) < 2 {
				continue
			}
			if why := w.run(); why != "" {
				t.Fatalf("seed %d: %s", first+i, why)
			}
			deaths += w.fired["die"]
			for _, s := range w.d.stages {
				for k := range s.tasks {
					if !s.durable {
						remade[mode] += s.tasks[k].remakes
					}
				}
			}
		}
		t.Logf("%s, from seed %d: %d nodes died, %d finished tasks made again", mode, first, deaths, remade[mode])
		if deaths == 0 {
			t.Errorf("%s: no node died", mode)
		}
	}
	if remade[plan.EagerCopies] > 0 || remade[plan.LazyCopies] == 0 || remade[plan.LazyCopies] >= remade[plan.NoCopies] {
		t.Errorf("finished tasks made again: %v", remade)
	}
}
