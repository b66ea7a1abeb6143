package storesim

import (
	"errors"
	"flag"
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/pondmesh/pond/fs/collect"
	"github.com/pondmesh/pond/fs/layout"
	"github.com/pondmesh/pond/fs/repair"
)

var (
	seeds = flag.Int("seeds", 2000, "how many seeds TestSim runs")
	seed0 = flag.Uint64("seed", 1, "the first seed of TestSim")
)

// bare is a world of some nodes, with a layout, and nothing happening.
func bare(seed uint64, b bug, nodes int) *world {
	w := &world{rng: rand.New(rand.NewPCG(seed, 10)), bug: b, cut: map[link]bool{}, fired: map[string]int{}, sets: map[string]*dataset{}}
	w.truth = truth{w: w, uploads: map[repair.ID]*upload{}, dead: map[repair.ID]bool{}}
	for range 4 {
		w.groups = append(w.groups, layout.Group(w.rng.IntN(layout.Groups)))
	}
	slices.Sort(w.groups)
	w.groups = slices.Compact(w.groups)
	w.layouts.applied = func(l layout.Layout) { w.truth.layouts = int(l.Current().Number) }
	for i := range 2 {
		d := &dataset{name: fmt.Sprint("d", i), superseded: map[repair.ID]int64{}, gone: map[repair.ID]bool{}, renewed: map[collect.Lease]int64{}}
		d.applied = func(l collect.Ledger) { w.truth.published(d, l) }
		w.sets[d.name] = d
	}
	var founders []layout.Candidate
	for range nodes {
		n := w.addNode()
		founders = append(founders, layout.Candidate{Member: layout.Member{Node: n.name, Weight: 1}})
	}
	w.layouts.value, _ = w.layouts.value.Change(copiesOf, w.layouts.value.Plan(founders, waits))
	w.layouts.version = 1
	for _, n := range w.nodes {
		n.life.layout = w.layouts.value
	}
	return w
}

// drawn is the world of a seed, with clients and faults.
func drawn(seed uint64, b bug) *world {
	w := bare(seed, b, 3+int(seed%4))
	w.storm()
	for range 4 + w.rng.IntN(8) {
		w.at(6000+w.rng.Int64N(w.calmAt), func() { w.writeSome() })
	}
	for range 6 + w.rng.IntN(10) {
		w.at(10_000+w.rng.Int64N(w.calmAt), func() { w.readSome() })
	}
	return w
}

// somebody is a process that runs, if there is one.
func (w *world) somebody() *life {
	if n := w.nodes[w.rng.IntN(len(w.nodes))]; !n.left {
		return n.life
	}
	return nil
}

func (w *world) set() *dataset { return w.sets[fmt.Sprint("d", w.rng.IntN(len(w.sets)))] }

func (w *world) writeSome() {
	l := w.somebody()
	if l == nil {
		return
	}
	slow := int64(0)
	if w.chance(150) {
		slow = w.rng.Int64N(2 * times.Lease.Milliseconds())
	}
	w.write(l, w.set(), mode(w.rng.IntN(3)), 1+w.rng.IntN(3), slow)
}

func (w *world) readSome() {
	if l := w.somebody(); l != nil {
		d := w.set()
		w.spawn(l, func(p *proc) { w.reads(p, d, w.chance(700)) })
	}
}

// run plays a world to its end, and says what was broken.
func (w *world) run() error {
	defer w.stop()
	for w.calmAt > w.now && w.broken == nil {
		w.until(w.calmAt-w.now, func() bool { return false })
	}
	w.heal()
	if !w.until(settleMax, func() bool { return w.truth.settled() == nil }) {
		w.breaks("%d s after the last fault: %w", settleMax/1000, w.truth.settled())
	}
	w.readAll()
	w.truth.end()
	return w.broken
}

// heal ends all faults.
func (w *world) heal() {
	w.calm = true
	clear(w.cut)
	for _, n := range w.nodes {
		n.disk.eio, n.disk.full, n.disk.failSync = false, false, false
		w.start(n)
	}
}

// readAll reads everything once more, at every node.
func (w *world) readAll() {
	left := 0
	for _, n := range w.nodes {
		for _, d := range w.truth.sets() {
			if n.life != nil && w.broken == nil {
				left++
				w.spawn(n.life, func(p *proc) {
					if err := w.reads(p, d, true); err != nil && !errors.Is(err, errOver) {
						w.breaks("%s cannot be read at %s: %w", d.name, n.name, err)
					}
					left--
				})
			}
		}
	}
	w.until(60_000, func() bool { return left == 0 })
}

// Under all faults at once nothing that was promised is lost, nothing that is in use is
// deleted, and in the end everything is where it is to be, and nothing else is there.
func TestSim(t *testing.T) {
	n := *seeds
	if testing.Short() {
		n = min(n, 200)
	}
	fired, versions, moved := map[string]int{}, 0, 0
	for i := range n {
		seed := *seed0 + uint64(i)
		w := drawn(seed, noBug)
		if n == 1 {
			w.trace = t.Logf
		}
		if err := w.run(); err != nil {
			t.Fatalf("seed %d (go test ./fs/storesim -run 'TestSim$' -seeds 1 -seed %d): %v", seed, seed, err)
		}
		versions, moved = versions+w.truth.versions, moved+w.truth.moved
		for k, v := range w.fired {
			fired[k] += v
		}
	}
	t.Logf("seeds %d to %d: %d versions published, %d copies made, %v", *seed0, *seed0+uint64(n)-1, versions, moved, fired)
	if n < 200 {
		return
	}
	for _, k := range kinds {
		if k != "noise" && k != "ack" && fired[k] == 0 {
			t.Errorf("never happened: %s", k)
		}
	}
	for _, k := range []string{"loss", "twice", "late", "minority", "unheard", "delayed", "conflict", "short", "too few", "no room", "sync failed", "power after ack", "copy", "drops", "buries",
		"set aside", "scrubbed", "layout", "left", "stale", "brake", "condemned", "published", "read", "read too late", "unavailable", errExists.Error(), collect.ErrCondemned.Error()} {
		if fired[k] == 0 {
			t.Errorf("never came about: %s (%v)", k, slices.Sorted(maps.Keys(fired)))
		}
	}
}
