package sched

import (
	"math/rand/v2"
	"testing"
)

// TestNothingMadeAgain: while one node at a time dies, no finished task is made again of
// which another node holds a copy, in jobs that lose finished tasks without copies. Plans
// are submitted once: a second job may run before it has heard of all that the first left.
func TestNothingMadeAgain(t *testing.T) {
	first := rand.Uint64() >> 1
	for copies, again := range map[int]bool{1: true, 2: false} {
		remade, deaths := 0, 0
		for i := range uint64(200) {
			w := newWorld(first + i)
			w.quiet, w.copies, w.eager, w.lossy, w.fickle = true, copies, true, 0, nil
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
						remade += s.tasks[k].remakes
					}
				}
			}
		}
		if t.Logf("%d copies, from seed %d: %d nodes died, %d finished tasks made again", copies, first, deaths, remade); (remade > 0) != again || deaths == 0 {
			t.Errorf("%d copies: %d finished tasks were made again after %d deaths", copies, remade, deaths)
		}
	}
}
