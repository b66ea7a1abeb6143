package sched

import (
	"fmt"
	"slices"
	"testing"

	"github.com/pondmesh/pond/actors/plan"
)

// bugs are defects planted into a Decider from outside, before each Step. Every
// one must be caught by the simulation, or the simulation proves nothing.
var bugs = map[string]func(w *world, e Event){
	"lineage is ignored": func(w *world, _ Event) {
		w.blind = true
		for _, s := range w.d.stages {
			s.unstable = false
		}
	},
	"sums do not tell rows apart": func(w *world, _ Event) { w.blind = true },
	"rows that change outdate nobody": func(w *world, _ Event) {
		for _, s := range w.d.stages {
			for i := range s.tasks {
				s.tasks[i].prior = winnerID{}
			}
		}
	},
	"a lost node keeps its segments": func(w *world, e Event) {
		if l, ok := e.(NodeLost); ok && w.d.node(l.Node, l.Boot) != nil {
			w.d.nodes[l.Node].segments = nil
		}
	},
	"a copy is not noted": func(w *world, e Event) {
		if c, ok := e.(Copied); ok {
			clear(c.Nodes)
		}
	},
	"what has lost a copy is not copied again": func(w *world, e Event) {
		if l, ok := e.(NodeLost); ok && w.d.node(l.Node, l.Boot) != nil {
			for _, n := range w.d.order {
				n.segments = slices.DeleteFunc(slices.Clone(n.segments), func(t *task) bool {
					i := slices.Index(t.holders, w.d.nodes[l.Node])
					if i < 0 || len(t.holders) < 2 {
						return false
					}
					t.holders = slices.Delete(slices.Clone(t.holders), i, i+1)
					return n == w.d.nodes[l.Node]
				})
			}
		}
	},
	"a Copy that nobody answers is not asked for again": func(w *world, e Event) {
		if _, ok := e.(Tick); ok {
			for _, n := range w.d.order {
				n.copying.at = w.now
			}
		}
	},
	"a leaving node is given work": func(w *world, e Event) {
		if p, ok := e.(Pull); ok && w.d.nodes[p.Node] != nil && w.d.nodes[p.Node].leaving {
			w.d.nodes[p.Node].leaving = false
			w.d.enlist(w.d.nodes[p.Node])
		}
	},
	"failures are not counted": func(w *world, _ Event) {
		for _, s := range w.d.stages {
			for i := range s.tasks {
				s.tasks[i].failures = 0
			}
		}
	},
	"crashes are not counted": func(w *world, _ Event) {
		for _, s := range w.d.stages {
			for i := range s.tasks {
				s.tasks[i].crashes = 0
			}
		}
	},
	"the winner told twice is released": func(w *world, e Event) {
		if d, ok := e.(Done); ok {
			if t := w.d.task(d.Attempt.Task); t.state == done && t.won == d.Attempt.Attempt {
				t.won = -1
			}
		}
	},
	"a lost Run is never noticed": func(w *world, e Event) {
		if a, ok := e.(Alive); ok && w.d.nodes[a.Node] != nil {
			for _, r := range w.d.nodes[a.Node].running {
				r.missing = -1
			}
		}
	},
	"a lost Offer is never repeated": func(w *world, e Event) {
		if _, ok := e.(Tick); ok {
			for _, n := range w.d.order {
				n.offeredAt = w.now
			}
		}
	},
	"a node has one slot more": func(w *world, e Event) {
		if p, ok := e.(Pull); ok && w.d.nodes[p.Node] != nil {
			if n := w.d.nodes[p.Node]; n.usable() && n.slots == w.node(p.Node).slots {
				n.memory += n.memory / int64(n.slots)
				n.slots++
				w.d.slots++
			}
		}
	},
	"memory is never increased": func(w *world, e Event) {
		for _, s := range w.d.stages {
			for i := range s.tasks {
				s.tasks[i].memory = min(s.tasks[i].memory, 1)
			}
		}
	},
	"a stage is cut anew while it runs": func(w *world, e Event) {
		for _, s := range w.d.stages {
			if s.done > 0 && s.plan.Tasks.Specs != nil {
				p := *s.plan
				p.Tasks.Specs = slices.Clone(p.Tasks.Specs)
				p.Tasks.Specs[0].From++
				s.plan = &p
			}
		}
	},
	"a lost segment is told as a node that cannot be reached": func(w *world, e Event) {
		if f, ok := e.(Failed); ok && f.Err != nil && f.Err.Kind == plan.KindFetch {
			f.Err.Kind, f.Err.Lost = plan.KindUnavailable, nil
		}
	},
	"a node offers again what it cannot read": func(w *world, _ Event) { w.hoard = true },
	"an output is lost before the storage is asked again": func(w *world, e Event) {
		if _, ok := e.(Tick); ok && w.d.publish.retryAt > 0 {
			w.d.discard(&w.d.last().tasks[0], false)
		}
	},
	"cancel does not wait for the storage": func(w *world, e Event) {
		if _, ok := e.(Cancel); ok {
			w.d.publish.active = false
		}
	},
}

// bugRunsMax is how many jobs may pass before a planted bug shows. The seeds are
// always the same.
const bugRunsMax = 2000

// runGuarded counts a panic as caught: the bug broke what the code relies on.
func runGuarded(w *world) (why string) {
	defer func() {
		if p := recover(); p != nil {
			why = fmt.Sprint("panic: ", p)
		}
	}()
	return w.run()
}

func TestPlantedBugsAreCaught(t *testing.T) {
	for name, bug := range bugs {
		t.Run(name, func(t *testing.T) {
			for seed := uint64(1); seed <= bugRunsMax; seed++ {
				w := newWorld(seed)
				w.quiet, w.sabote = true, bug
				if why := runGuarded(w); why != "" {
					t.Logf("caught after %d jobs: %.100s", seed, why)
					return
				}
			}
			t.Errorf("not caught in %d jobs", bugRunsMax)
		})
	}
}
