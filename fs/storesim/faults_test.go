package storesim

import (
	"slices"
)

// kinds are those of faults. Each seed has some of them.
var kinds = []string{"kill", "power", "ack", "away", "wipe", "rot", "eio", "sync", "full", "cut", "oneway", "flap", "mass", "join", "leave", "noise"}

// strike is the rate of a fault that something else brings about, of a thousand.
func (w *world) strike(kind string) int {
	if slices.Contains(w.kinds, kind) {
		return 10
	}
	return 0
}

// storm draws the faults of a seed.
func (w *world) storm() {
	for _, k := range kinds {
		if w.chance(450) {
			w.kinds = append(w.kinds, k)
		}
	}
	if slices.Contains(w.kinds, "noise") {
		w.loss, w.twice, w.late = 30, 20, 20
	}
	if len(w.kinds) == 0 {
		w.kinds = []string{"kill"}
	}
	w.calmAt = stormMin + w.rng.Int64N(stormMax-stormMin)
	for at := int64(15_000) + w.rng.Int64N(10_000); at < w.calmAt; at += 2000 + w.rng.Int64N(15_000) {
		w.at(at, func() { w.fault(w.kinds[w.rng.IntN(len(w.kinds))]) })
	}
}

// lasts notes until when a fault lasts.
func (w *world) lasts(d int64) int64 {
	w.calmAt = max(w.calmAt, w.now+d)
	return d
}

// fault does something bad, to one node or between some.
func (w *world) fault(kind string) {
	var here []*node
	for _, n := range w.nodes {
		if !n.left {
			here = append(here, n)
		}
	}
	n := here[w.rng.IntN(len(here))]
	short := 500 + w.rng.Int64N(15_000)
	w.logf("fault %s %s", kind, n.name)
	if w.halt(kind, n, here, short) || w.harm(kind, n, short) || w.part(kind, n, here, short) {
		w.fired[kind]++
	}
}

// halt ends processes, or has nodes come and go.
func (w *world) halt(kind string, n *node, here []*node, short int64) bool {
	switch kind {
	case "kill":
		w.kill(n, w.lasts(short))
	case "power":
		w.powerLoss(n, w.lasts(short))
	case "away":
		d := times.Away.Milliseconds() + 2*skewMax.Milliseconds()
		if w.up() < len(here) || len(here) <= copiesOf {
			return false
		}
		w.kill(n, w.lasts(d+w.rng.Int64N(d)))
	case "mass":
		for i, m := range here {
			if 2*i <= len(here) {
				w.kill(m, w.lasts(short+waits.Gone.Milliseconds()))
			}
		}
	case "join":
		if len(here) >= 7 {
			return false
		}
		w.addNode()
	case "leave":
		staying := 0
		for _, m := range here {
			if !m.leaves {
				staying++
			}
		}
		if staying <= copiesOf+1 || slices.Contains(w.nodes[:3], n) {
			return false
		}
		n.leaves = true
	default:
		return false
	}
	return true
}

// harm has a disk do what disks do, within what was promised.
func (w *world) harm(kind string, n *node, short int64) bool {
	d := n.disk
	switch kind {
	case "wipe":
		if !w.expendable(n) {
			return false
		}
		w.wipe(n, w.lasts(short))
	case "rot":
		files := d.all()
		if len(files) == 0 {
			return false
		}
		f := files[w.rng.IntN(len(files))]
		if !f.right() || !f.durable || !w.truth.bears(f.id) {
			return false
		}
		w.rot(f)
	case "eio":
		d.eio = true
		w.at(w.lasts(short), func() { d.eio = false })
	case "sync":
		d.failSync = true
		w.lasts(25_000)
	case "full":
		d.full = true
		w.at(w.lasts(short), func() { d.full = false })
	default:
		return false
	}
	return true
}

// part cuts links.
func (w *world) part(kind string, n *node, here []*node, short int64) bool {
	switch kind {
	case "cut":
		w.cutOff(here, w.lasts(2*short))
	case "oneway":
		m := here[w.rng.IntN(len(here))]
		w.sever(link{n.name, m.name}, w.lasts(2*short))
	case "flap":
		for i := range int64(6) {
			w.at(i*3000, func() { w.cutOff([]*node{n}, 1500) })
		}
		w.lasts(20_000)
	default:
		return false
	}
	return true
}

func (w *world) up() (n int) {
	for _, m := range w.nodes {
		if m.life != nil {
			n++
		}
	}
	return n
}

// expendable reports whether a node's disk may be lost, by what was promised of all that
// is on it.
func (w *world) expendable(n *node) bool {
	return !slices.ContainsFunc(n.disk.all(), func(f *file) bool { return !w.truth.bears(f.id) })
}

// rot changes bytes of a copy.
func (w *world) rot(f *file) {
	f.data ^= 1
	w.logf("%s rots", short(f.id))
	w.truth.hit(f.id)
	w.truth.check(f.id)
}

// cutOff separates some nodes from the others.
func (w *world) cutOff(here []*node, d int64) {
	side := map[*node]bool{here[0]: true}
	if len(here) > 1 {
		for _, n := range here {
			side[n] = w.rng.IntN(2) == 0
		}
	}
	for _, a := range w.nodes {
		for _, b := range w.nodes {
			if side[a] != side[b] {
				w.sever(link{a.name, b.name}, d)
			}
		}
	}
}

// sever cuts one direction for a while.
func (w *world) sever(l link, d int64) {
	if !w.cut[l] {
		w.cut[l] = true
		w.at(d, func() { delete(w.cut, l) })
	}
}
