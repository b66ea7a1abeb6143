package sim

import (
	"fmt"
	"slices"

	"github.com/pondmesh/pond/fs/register"
	"github.com/pondmesh/pond/mesh"
)

// Kind is a kind of fault.
type Kind string

// Kinds.
const (
	Crash     Kind = "crash"      // a process dies, and is started again
	PowerLoss Kind = "power loss" // and its disk loses what was not synced
	Everyone  Kind = "everyone"   // all die at once
	DiskLoss  Kind = "disk loss"  // a process comes back with an empty disk: as another keeper
	Rot       Kind = "rot"        // a segment cannot be read any more
	Pause     Kind = "pause"      // a process is frozen
	Jump      Kind = "clock jump" // of a wall clock
	Leave     Kind = "leave"      // a node leaves in order, and is started again
	Join      Kind = "join"       // a node more
	Cut       Kind = "cut"        // some nodes are cut off from the others
	OneWay    Kind = "one way"    // nothing gets into a node, or out of it
	Loss      Kind = "loss"       // of messages
	Duplicate Kind = "duplicate"  // messages come twice
	Late      Kind = "late"       // and overtake one another
	Split     Kind = "split"      // jobs are handed in at two nodes, which may be cut off from one another
	Cancel    Kind = "cancel"     // a user cancels the job
	Again     Kind = "again"      // a job is handed in to another node while the first is at it
)

// strikes are the kinds that happen at a moment, others last.
var strikes = []Kind{Crash, PowerLoss, Everyone, DiskLoss, Rot, Pause, Jump, Leave, Join, Cut, OneWay, Cancel, Again}

// Kinds lists all.
func Kinds() []Kind { return append(slices.Clone(strikes), Loss, Duplicate, Late, Split) }

// Bounds of faults, in milliseconds.
const (
	downMax   = 15_000
	pauseMax  = 20_000
	cutMax    = 20_000
	strikeMax = 6000 // between two
	nodesMax  = 7
	jumpMax   = 86_400_000
	disksLost = 1 // of a world: more may be all that knew of a job
)

// drawFaults draws which kinds of faults the seed has, and when they begin and end.
func (w *world) drawFaults() {
	for _, k := range Kinds() {
		if w.rng.IntN(3) == 0 {
			w.kinds = append(w.kinds, k)
		}
	}
	rate := func(k Kind, most int) int {
		if n := 1 + w.rng.IntN(most); slices.Contains(w.kinds, k) {
			return n
		}
		return 0
	}
	for _, k := range w.kinds {
		if !slices.Contains(strikes, k) {
			w.strikes = append(w.strikes, Strike{Kind: k, Node: -1})
		}
	}
	w.net.loss, w.net.twice, w.net.late = rate(Loss, 200), rate(Duplicate, 200), rate(Late, 100)
	if slices.Contains(w.kinds, Split) {
		w.at(200, w.split)
	}
	w.calmAt = 20_000 + w.rng.Int64N(stormMax-20_000)
	if w.kinds = slices.DeleteFunc(w.kinds, func(k Kind) bool { return !slices.Contains(strikes, k) }); len(w.kinds) > 0 {
		w.at(3000+w.rng.Int64N(strikeMax), w.storm)
	}
	w.at(w.calmAt, w.heal)
}

// storm strikes again and again.
func (w *world) storm() {
	if w.now < w.calmAt {
		k := w.kinds[w.rng.IntN(len(w.kinds))]
		i := w.rng.IntN(len(w.nodes))
		if w.strike(k, w.nodes[i]) {
			w.fired[k]++
			w.strikes = append(w.strikes, Strike{Kind: k, Node: i, At: w.now})
			w.waiting++
		}
		w.at(500+w.rng.Int64N(strikeMax), w.storm)
	}
}

// strike does one thing to one node, and reports whether it could be done.
func (w *world) strike(k Kind, n *node) bool {
	w.logf("fault: %s, %s", k, n.id)
	switch {
	case k == Everyone:
		for _, n := range w.nodes {
			w.crash(n, w.rng.IntN(2) == 0)
		}
		return true
	case k == Join:
		return w.join()
	case k == Cut:
		w.cut()
		return true
	case n.life == nil:
		return false
	}
	switch k {
	case Crash, PowerLoss:
		w.crash(n, k == PowerLoss)
	case DiskLoss:
		return w.loseDisk(n)
	case Rot:
		return w.rot(n)
	case Pause:
		w.pause(n)
	case Jump:
		n.skew += w.rng.Int64N(2*jumpMax) - jumpMax
	case Leave:
		return w.leave(n)
	case OneWay:
		in := w.rng.IntN(2) == 0
		w.sever(func(l link) bool { return in && l.to == n.id || !in && l.from == n.id })
	case Cancel:
		j := w.clients[w.rng.IntN(len(w.clients))].job
		j.cancel = true
	case Again:
		return w.handIn(w.clients[w.rng.IntN(len(w.clients))], n)
	}
	return true
}

// crash ends a node's process; it is started again.
func (w *world) crash(n *node, power bool) {
	if n.life == nil {
		return
	}
	n.life.end()
	if power {
		n.disk.powerLoss()
	}
	w.at(100+w.rng.Int64N(downMax), func() { w.revive(n) })
}

func (w *world) revive(n *node) {
	if n.life == nil {
		n.start(w)
	}
}

// pause freezes a process. One that was frozen for long takes that for its death, soon
// after it wakes.
func (w *world) pause(n *node) {
	l, d := n.life, 200+w.rng.Int64N(pauseMax)
	l.paused = min(w.now+d, w.calmAt)
	w.after(l, w.rng.Int64N(300), func() {
		if d >= suspectTime {
			l.end()
			n.start(w)
		}
	})
}

// leave has a node leave in order: it takes no more tasks, and goes when nothing is
// needed of it, or its time is up.
func (w *world) leave(n *node) bool {
	l := n.life
	if l.leaving {
		return false
	}
	l.leaving = true
	l.look()
	l.beat()
	until := w.now + drainMax
	l.every(followEvery, func() {
		if busy := l.busy() || len(l.jobs) > 0; w.now >= until || !busy && w.rng.IntN(3) == 0 {
			w.crash(n, false)
		}
	})
	return true
}

func (w *world) join() bool {
	if len(w.nodes) >= nodesMax {
		return false
	}
	n := w.addNode(fmt.Sprintf("n%d", len(w.nodes)))
	n.start(w)
	return true
}

// cut separates some nodes from the others, for a while.
func (w *world) cut() {
	side := map[mesh.NodeID]bool{}
	for _, n := range w.nodes {
		side[n.id] = w.rng.IntN(2) == 0
	}
	w.sever(func(l link) bool { return side[l.from] != side[l.to] })
}

// split cuts the pond in two before jobs come, and hands each in on two nodes.
func (w *world) split() {
	w.fired[Split]++
	w.cut()
	for _, c := range w.clients {
		for range 2 {
			n := w.nodes[w.rng.IntN(len(w.nodes))]
			w.at(4000+w.rng.Int64N(3000), func() { w.handIn(c, n) })
		}
	}
}

// sever cuts links for a while.
func (w *world) sever(which func(link) bool) {
	var mine []link
	for _, a := range w.nodes {
		for _, b := range w.nodes {
			if l := (link{a.id, b.id}); a != b && !w.net.cut[l] && which(l) {
				w.net.cut[l] = true
				mine = append(mine, l)
			}
		}
	}
	w.at(500+w.rng.Int64N(cutMax), func() {
		for _, l := range mine {
			delete(w.net.cut, l)
		}
	})
}

// rot damages a segment.
func (w *world) rot(n *node) bool {
	all := slices.DeleteFunc(n.disk.all(), func(u *upload) bool { return u.info.Kind != "segment" || u.rot })
	if len(all) == 0 {
		return false
	}
	all[w.rng.IntN(len(all))].rot = true
	return true
}

// loseDisk takes a node's disk away, unless most keepers of a roster would be without
// theirs, others were lost before, or a job is on record nowhere else: one that a node
// took while it saw no other.
func (w *world) loseDisk(n *node) bool {
	lost := 0
	for _, o := range w.nodes {
		if o.lost {
			lost++
		}
	}
	if lost >= disksLost || !w.expendable(n.disk.keeper.ID) || w.onlyRecord(n) {
		return false
	}
	w.crash(n, true)
	n.lost = true
	w.newKeeper(n)
	return true
}

// onlyRecord reports whether a job that was taken is on record on that node alone.
func (w *world) onlyRecord(n *node) bool {
	return slices.ContainsFunc(w.jobs, func(j *job) bool {
		elsewhere := func(o *node) bool { return o != n && o.disk.records(j.spec.ID) }
		return j.taken && n.disk.records(j.spec.ID) && !slices.ContainsFunc(w.nodes, elsewhere)
	})
}

// expendable reports whether no roster that is counted on needs the keeper, and none is
// about to be chosen: the keepers may become that one alone, for another is taken for dead
// that comes back yet. Who looks after registers then has lost most of them.
func (w *world) expendable(id register.KeeperID) bool {
	alive := map[register.KeeperID]bool{}
	for _, n := range w.nodes {
		alive[n.disk.keeper.ID] = n.disk.keeper.ID != id
	}
	for _, n := range w.nodes {
		rosters := []register.Roster{n.disk.keeper.Roster}
		if n.life != nil {
			if n.life.care.mending {
				return false
			}
			rosters = append(rosters, n.life.proposer.Roster())
		}
		if r, err := register.DecodeRoster(n.disk.keeper.Cells[register.RosterKey].Value.Data); err == nil && r.Version > 0 {
			rosters = append(rosters, r)
		}
		for _, r := range rosters {
			if r.Version > 0 && !r.Quorum(func(k register.KeeperID) bool { return alive[k] }) {
				return false
			}
		}
	}
	return true
}

// heal ends all faults.
func (w *world) heal() {
	w.logf("all faults end")
	clear(w.net.cut)
	for _, n := range w.nodes {
		w.revive(n)
	}
}
