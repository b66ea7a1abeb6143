package storesim

import (
	"bytes"
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/pondmesh/pond/fs/collect"
	"github.com/pondmesh/pond/fs/layout"
	"github.com/pondmesh/pond/fs/repair"
	"github.com/pondmesh/pond/fs/replica"
)

// copiesOf is how many copies uploads are to have.
const copiesOf = 3

// times are those of a pond, made short.
var times = collect.Times{Lease: 45 * time.Second, Retention: 60 * time.Second, Tombstone: 300 * time.Second, Away: 240 * time.Second}

// waits is the patience of a pond, made short.
var waits = layout.Patience{Gone: 40 * time.Second, Here: 10 * time.Second}

// skewMax is by how much clocks differ from the true one.
const skewMax = 20 * time.Second

// node is a machine: its disk outlives its processes.
type node struct {
	name   replica.Node
	life   *life // nil: it is down
	disk   *disk
	skew   time.Duration
	leaves bool
	left   bool
}

// disk keeps what was synced.
type disk struct {
	files    map[repair.ID]*file
	aside    map[repair.ID]*file // damaged
	graves   map[repair.ID]time.Time
	heard    time.Time // of tombstones, by the node's clock
	full     bool
	eio      bool // reads fail
	failSync bool // the next sync fails
	buried   map[repair.ID]bool
}

// file is an upload on a disk. Its sum is of the bytes as they were stored.
type file struct {
	id        repair.ID
	data, sum uint64
	origin    collect.Origin
	durable   bool
}

func (f *file) right() bool { return f.data == f.sum }

func newDisk(now time.Time) *disk {
	return &disk{files: map[repair.ID]*file{}, aside: map[repair.ID]*file{}, graves: map[repair.ID]time.Time{}, buried: map[repair.ID]bool{}, heard: now}
}

// life is a process of a node.
type life struct {
	w         *world
	n         *node
	dead      bool
	procs     []*proc
	offline   bool // a sync failed: nothing that the store says is believed any more
	layout    layout.Layout
	ack       layout.Ack
	acks      map[replica.Node]layout.Ack // that others told
	answered  map[replica.Node]int64      // when a node answered last
	here      map[replica.Node]int64      // since when it has without a pause
	begun     int64
	told      map[replica.Node]inventories // what others said of themselves when they asked
	writing   map[repair.ID]bool
	stale     bool
	checked   map[repair.ID]bool // of a stale node: what manifests refer to
	watch     collect.Watch
	manifests map[repair.ID][]ref // that were read
	cursor    repair.ID           // of the scrubber
}

type inventories map[layout.Group]repair.Inventory

func (n *node) clock() time.Time { return epoch.Add(n.skew) }

// time is what the node's clock says.
func (l *life) time() time.Time { return l.n.clock().Add(time.Duration(l.w.now) * time.Millisecond) }

func (w *world) addNode() *node {
	n := &node{name: replica.Node(fmt.Sprintf("n%d", len(w.nodes)))}
	n.skew = time.Duration(w.rng.Int64N(int64(2*skewMax))) - skewMax
	n.disk = newDisk(n.clock().Add(time.Duration(w.now) * time.Millisecond))
	w.nodes = append(w.nodes, n)
	w.start(n)
	return n
}

// start begins a process of a node.
func (w *world) start(n *node) {
	if n.life != nil || n.left {
		return
	}
	l := &life{w: w, n: n, begun: w.now, acks: map[replica.Node]layout.Ack{}, answered: map[replica.Node]int64{}, here: map[replica.Node]int64{},
		told: map[replica.Node]inventories{}, writing: map[repair.ID]bool{}, manifests: map[repair.ID][]ref{}}
	n.life = l
	w.logf("%s starts", n.name)
	w.spawn(l, l.rounds)
	w.spawn(l, l.sweeps)
	w.spawn(l, l.scrubs)
	w.spawn(l, l.plans)
}

// end is the end of a process. What it had not synced stays with the kernel.
func (l *life) end() {
	l.dead, l.n.life = true, nil
	for _, p := range l.procs {
		if !p.ended {
			p.ended = true
			p.stop()
		}
	}
}

// kill ends a node's process; it starts again after a while.
func (w *world) kill(n *node, for_ int64) {
	if n.life != nil {
		w.logf("%s is killed for %d ms", n.name, for_)
		n.life.end()
	}
	w.at(for_, func() { w.start(n) })
}

// powerLoss loses what was not synced.
func (w *world) powerLoss(n *node, for_ int64) {
	w.kill(n, for_)
	for _, f := range n.disk.all() {
		if !f.durable {
			delete(n.disk.files, f.id)
		}
	}
	w.truth.checkAll()
}

// wipe gives a node an empty disk.
func (w *world) wipe(n *node, for_ int64) {
	w.kill(n, for_)
	w.logf("%s has a new disk", n.name)
	old := n.disk
	n.disk = newDisk(n.clock().Add(time.Duration(w.now) * time.Millisecond))
	for _, f := range old.all() {
		if f.durable && f.right() {
			w.truth.hit(f.id)
		}
	}
	w.truth.checkAll()
}

// all is a disk's files in order: a run replays.
func (d *disk) all() []*file {
	return slices.SortedFunc(maps.Values(d.files), func(a, b *file) int { return bytes.Compare(a.id[:], b.id[:]) })
}

// inventories is what a node says of all groups.
func (l *life) inventories() inventories {
	l.doubt()
	out := inventories{}
	for _, g := range l.w.groups {
		out[g] = repair.Inventory{Held: map[repair.ID]bool{}, Buried: map[repair.ID]time.Time{}, Stale: l.stale}
	}
	for id := range l.n.disk.files {
		out[layout.GroupOf(id)].Held[id] = true
	}
	for id, at := range l.n.disk.graves {
		if !times.Expired(at, l.time()) {
			out[layout.GroupOf(id)].Buried[id] = at
		}
	}
	return out
}

// doubt has a node that was away for long not be believed, before it says anything.
func (l *life) doubt() {
	if !l.stale && times.Stale(l.n.disk.heard, l.time()) && l.w.bug != staleBelieved {
		l.w.fired["stale"]++
		l.w.logf("%s is stale", l.n.name)
		l.stale, l.checked = true, map[repair.ID]bool{}
	}
}

// holds reports whether there is anything on the disk.
func (l *life) holds() bool { return len(l.n.disk.files) > 0 }

// store makes a copy durable, and only then says so.
func (l *life) store(p *proc, f file) replica.Outcome {
	d := l.n.disk
	if o, ok := l.refuses(f); ok {
		return o
	}
	l.writing[f.id] = true
	defer delete(l.writing, f.id)
	if l.w.bug == ackEarly {
		f.durable = false
		d.files[f.id] = &f
		l.w.at(l.w.rng.Int64N(3000), func() { f.durable = true })
		return replica.Stored
	}
	if p.sleep(1+l.w.rng.Int64N(30)) != nil {
		return replica.Unreachable
	}
	if d.failSync {
		l.w.fired["sync failed"]++
		d.failSync, l.offline = false, true
		const lookedAfter, restart = 20_000, 1000
		l.w.lasts(lookedAfter + restart)
		l.w.at(lookedAfter, func() { // by somebody
			if !l.dead {
				l.w.kill(l.n, restart)
			}
		})
		return replica.Unreachable
	}
	if l.dead || l.offline || l.buried(f.id) {
		return replica.Refused
	}
	f.durable = true
	d.files[f.id] = &f
	return replica.Stored
}

// refuses is why a copy is not taken.
func (l *life) refuses(f file) (replica.Outcome, bool) {
	d := l.n.disk
	switch have := d.files[f.id]; {
	case l.offline:
		return replica.Unreachable, true
	case have != nil && have.sum == f.sum:
		return replica.Had, true
	case have != nil || l.buried(f.id):
		return replica.Refused, true
	case d.full:
		l.w.fired["no room"]++
		return replica.Full, true
	case l.writing[f.id]:
		return replica.Busy, true
	}
	return 0, false
}

// buried reports whether there is a tombstone.
func (l *life) buried(id repair.ID) bool {
	at, dead := l.n.disk.graves[id]
	return dead && !times.Expired(at, l.time()) && l.w.bug != resurrect
}

// put takes an upload, and passes it on to the rest of its chain, before it is
// acknowledged here.
func (l *life) put(f file, rest []replica.Node, reply func([]replica.Said)) {
	l.w.spawn(l, func(p *proc) {
		var behind []replica.Said
		if len(rest) > 0 {
			var err error
			if behind, err = send(p, f, rest); err != nil {
				behind = []replica.Said{{Node: rest[0], Outcome: replica.Unreachable}}
			}
		}
		said := append([]replica.Said{{Node: l.n.name, Outcome: l.store(p, f)}}, behind...)
		reply(said)
		if !l.w.calm && l.w.chance(l.w.strike("ack")) { // right after the reply
			l.w.fired["power after ack"]++
			l.w.at(deliveryMax+1, func() {
				if !l.dead {
					l.w.powerLoss(l.n, 1000+l.w.rng.Int64N(10_000))
				}
			})
		}
	})
}

// send sends an upload down a chain.
func send(p *proc, f file, chain []replica.Node) ([]replica.Said, error) {
	return call(p, chain[0], int64(1500*len(chain)), func(l *life, reply func([]replica.Said)) { l.put(f, chain[1:], reply) })
}

// found is what a node answers that is asked for bytes.
type found struct {
	what replica.Finding
	file file
}

// read reads a copy: it is right, or it is none.
func (l *life) read(id repair.ID, raw bool) found {
	d := l.n.disk
	f := d.files[id]
	if l.w.onRead != nil {
		l.w.onRead(l, id)
	}
	switch {
	case l.offline:
		return found{what: replica.Silent}
	case l.buried(id):
		return found{what: replica.Deleted}
	case f == nil:
		return found{what: replica.Absent}
	case d.eio:
		l.w.fired["eio"]++
		return found{what: replica.Silent}
	case !f.right() && !raw:
		l.setAside(f)
		return found{what: replica.Corrupt}
	}
	return found{replica.Got, *f}
}

// setAside takes a damaged copy out of what the node holds.
func (l *life) setAside(f *file) {
	l.w.fired["set aside"]++
	l.w.logf("%s sets %s aside", l.n.name, short(f.id))
	delete(l.n.disk.files, f.id)
	l.n.disk.aside[f.id] = f
	l.w.truth.check(f.id)
}

// fetch reads an upload from whoever has it.
func (l *life) fetch(p *proc, id repair.ID, holders []replica.Node, raw bool) (file, error) {
	type answer struct {
		n replica.Node
		found
	}
	var heard []answer
	wake := func() {}
	ask := func(n replica.Node) {
		done := false
		l.w.spawn(l, func(q *proc) {
			r, err := call(q, n, 1500, func(o *life, reply func(found)) { reply(o.read(id, raw)) })
			if err != nil {
				r.what = replica.Silent
			}
			if r.what == replica.Got && !r.file.right() && !raw {
				r.what = replica.Corrupt
			}
			done = true
			heard = append(heard, answer{n, r})
			wake()
		})
		l.w.after(l, 400, func() {
			if !done {
				heard = append(heard, answer{n, found{what: replica.Slow}})
				wake()
			}
		})
	}
	f := replica.NewFetch(holders, l.layout.Owners(layout.GroupOf(id)), l.w.names())
	for {
		for n := f.Next(); n != ""; n = f.Next() {
			ask(n)
		}
		if err := f.Err(); err != nil {
			return file{}, err
		}
		if len(heard) == 0 {
			wake = p.waker()
			if err := p.park(); err != nil {
				return file{}, err
			}
			wake = func() {}
		}
		for _, a := range heard {
			f.Heard(a.n, a.what)
			if a.what == replica.Got {
				return a.file, nil
			}
		}
		heard = nil
	}
}

// names are all nodes that there are.
func (w *world) names() (out []replica.Node) {
	for _, n := range w.nodes {
		if !n.left {
			out = append(out, n.name)
		}
	}
	return out
}

func short(id repair.ID) string { return id.String()[:4] + "…" + id.String()[28:] }
