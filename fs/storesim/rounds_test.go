package storesim

import (
	"maps"
	"slices"
	"time"

	"github.com/pondmesh/pond/fs/collect"
	"github.com/pondmesh/pond/fs/layout"
	"github.com/pondmesh/pond/fs/repair"
	"github.com/pondmesh/pond/fs/replica"
)

// Times of a node's rounds, in milliseconds; each is drawn up to a half longer.
const (
	roundEvery = 6000
	sweepEvery = 16_000
	scrubEvery = 2500
	planEvery  = 6000
	askMax     = 1200
	answerMax  = 20_000 // a node that has not answered for so long is gone
	toldMax    = 25_000 // what a node said of itself counts for so long
	copiesMax  = 8      // of a round
)

func (l *life) pause(p *proc, d int64) error { return p.sleep(d + l.w.rng.Int64N(d/2)) }

// rounds keeps this node's copies as they are to be.
func (l *life) rounds(p *proc) {
	for l.pause(p, roundEvery/2) == nil {
		if !l.offline {
			l.round(p)
		}
		if l.n.leaves && l.drained(p) {
			l.leave()
			return
		}
		if p.sleep(roundEvery/2) != nil {
			return
		}
	}
}

// drained reports whether a node that leaves has nothing that is not elsewhere.
func (l *life) drained(p *proc) bool {
	fresh, _, err := get(p, &l.w.layouts)
	if err != nil {
		return false
	}
	l.learn(fresh)
	v := l.layout.Current()
	return v != nil && !v.Has(l.n.name) && len(l.layout.Versions) == 1 && !l.holds() && len(l.writing) == 0
}

func (l *life) leave() {
	l.w.fired["left"]++
	l.w.logf("%s has left", l.n.name)
	l.n.left = true
	l.w.at(0, func() {
		if !l.dead {
			l.end()
		}
		l.w.truth.checkAll()
	})
}

func (l *life) round(p *proc) {
	if v, _, err := get(p, &l.w.layouts); err == nil {
		l.learn(v)
	}
	if l.layout.Current() == nil {
		return
	}
	said, answers := l.ask(p)
	if p.ended || l.dead {
		return
	}
	l.age(answers)
	braked := l.layout.Braked(func(n replica.Node) bool { return l.answers(n) })
	if braked {
		l.w.fired["brake"]++
	}
	synced, checks := true, []repair.ID{}
	view, copied := l.layout, 0
	number := view.Current().Number
	for _, g := range l.w.groups {
		do, s := repair.Decide(l.n.name, &view, g, said[g], braked)
		synced = synced && s
		if l.w.bug == dropUnseen && view.MayDrop(l.n.name, g) {
			for _, id := range sorted(said[g][l.n.name].Held) {
				l.remove(id, "drops")
			}
		}
		for _, a := range do {
			if l.dead || l.offline {
				return
			}
			switch a.Kind {
			case repair.Copy:
				if copied++; copied <= copiesMax {
					l.copy(p, a)
				}
			case repair.Drop:
				l.drop(p, a.ID, g)
			case repair.Bury:
				l.bury(p, a.ID, a.At)
			case repair.Check:
				if !l.checked[a.ID] {
					checks = append(checks, a.ID)
				}
			}
		}
	}
	l.vouch(p, checks, answers)
	if synced {
		l.ack.Synced = max(l.ack.Synced, number)
	}
}

// learn takes a layout that was read. From then on this node has seen it.
func (l *life) learn(v layout.Layout) {
	if c := v.Current(); c != nil && c.Number >= l.ack.Seen {
		l.layout, l.ack.Seen = v, c.Number
	}
}

// said is what a node answers that is asked what it holds.
type said struct {
	inventories
	ack layout.Ack
}

// ask asks all others what they hold, and tells them what is held here.
func (l *life) ask(p *proc) (map[layout.Group]map[replica.Node]repair.Inventory, []replica.Node) {
	names := slices.DeleteFunc(l.w.names(), func(n replica.Node) bool { return n == l.n.name })
	heard := make([]inventories, len(names))
	mine := l.inventories()
	all(p, len(names), func(q *proc, i int) {
		r, err := call(q, names[i], askMax, func(o *life, reply func(said)) {
			if !o.offline {
				o.told[l.n.name] = mine
				o.w.at(toldMax, func() { delete(o.told, l.n.name) })
				reply(said{o.inventories(), o.ack})
			}
		})
		if heard[i] = r.inventories; err == nil {
			l.acks[names[i]] = r.ack
		}
	})
	all := map[layout.Group]map[replica.Node]repair.Inventory{}
	var answers []replica.Node
	mine = l.inventories()
	for _, g := range l.w.groups {
		places := l.layout.Places(g)
		all[g] = map[replica.Node]repair.Inventory{l.n.name: mine[g]}
		for i, n := range names {
			switch told, ok := l.told[n]; {
			case l.w.bug == placesOnly && !slices.Contains(places, n):
			case heard[i] != nil:
				all[g][n] = heard[i][g]
			case ok && !slices.Contains(places, n):
				all[g][n] = told[g]
			}
		}
		if l.w.bug == resurrect {
			for n, s := range all[g] {
				s.Buried = nil
				all[g][n] = s
			}
		}
	}
	for i, n := range names {
		if heard[i] != nil {
			answers = append(answers, n)
		}
	}
	return all, answers
}

// age notes who answers.
func (l *life) age(answers []replica.Node) {
	for _, n := range answers {
		if !l.answers(n) {
			l.here[n] = l.w.now
		}
		l.answered[n] = l.w.now
	}
}

func (l *life) answers(n replica.Node) bool {
	at, ok := l.answered[n]
	return n == l.n.name || ok && l.w.now-at < answerMax
}

// copy fetches an upload and holds it.
func (l *life) copy(p *proc, a repair.Action) {
	f, err := l.fetch(p, a.ID, a.From, l.w.bug == trustSource)
	if err != nil {
		return
	}
	if l.w.bug == trustSource {
		f.sum = f.data
	}
	if l.store(p, f) == replica.Stored {
		l.w.truth.copied(l, a.ID)
	}
}

// drop deletes a surplus copy, once the owners have theirs.
func (l *life) drop(p *proc, id repair.ID, g layout.Group) {
	owners := l.layout.Owners(g)
	right := make([]bool, len(owners))
	all(p, len(owners), func(q *proc, i int) {
		r, err := call(q, owners[i], askMax, func(o *life, reply func(found)) { reply(o.read(id, false)) })
		right[i] = err == nil && r.what == replica.Got
	})
	if l.dead || slices.Contains(right, false) {
		return
	}
	if !l.layout.MayDrop(l.n.name, g) || !slices.Equal(owners, l.layout.Owners(g)) {
		l.w.fired["drop taken back"]++
		return
	}
	l.remove(id, "drops")
}

func (l *life) remove(id repair.ID, why string) {
	if f := l.n.disk.files[id]; f != nil {
		l.w.fired[why]++
		l.w.logf("%s %s %s", l.n.name, why, short(id))
		delete(l.n.disk.files, id)
		l.w.truth.check(id)
	}
}

// bury keeps a tombstone, and deletes the copy.
func (l *life) bury(p *proc, id repair.ID, at time.Time) {
	d := l.n.disk
	old := times.Expired(at, l.time())
	if old && d.files[id] == nil || p.sleep(1+l.w.rng.Int64N(10)) != nil || l.offline {
		return
	}
	if !old && d.graves[id].Before(at) {
		d.graves[id] = at
	}
	if d.files[id] != nil {
		l.w.truth.buries(l, id)
		d.buried[id] = true
	}
	l.remove(id, "buries")
}

// vouch has a node that was away for long look at what nobody else has.
func (l *life) vouch(p *proc, ids []repair.ID, answers []replica.Node) {
	most := 2*len(answers) >= len(l.w.names())-1 && len(answers) > 0
	switch {
	case !l.stale && most:
		l.n.disk.heard = l.time()
		return
	case !l.stale || !most:
		return
	}
	held := map[string]map[repair.ID]string{}
	for _, id := range ids {
		if f := l.n.disk.files[id]; f != nil {
			if held[f.origin.Dataset] == nil {
				held[f.origin.Dataset] = map[repair.ID]string{}
			}
			held[f.origin.Dataset][id] = f.origin.Lease
		}
	}
	for _, name := range slices.Sorted(maps.Keys(held)) {
		if !l.sweep(p, l.w.sets[name], held[name]) {
			return
		}
		for id := range held[name] {
			l.checked[id] = true
		}
	}
	if len(ids) == 0 {
		l.w.logf("%s is stale no more", l.n.name)
		l.stale, l.checked, l.n.disk.heard = false, nil, l.time()
	}
}

// plans looks after the layout, if it is this node's turn.
func (l *life) plans(p *proc) {
	for l.pause(p, planEvery) == nil {
		if l.w.fixed || l.layout.Current() == nil || !l.first() {
			continue
		}
		v, version, err := get(p, &l.w.layouts)
		if err != nil {
			continue
		}
		next := v.Note(l.allAcks()).Settle()
		if members := next.Plan(l.candidates(), waits); members != nil {
			if next, err = next.Change(copiesOf, members); err != nil {
				continue
			}
		}
		if len(next.Versions) == len(v.Versions) && maps.Equal(next.Acks, v.Acks) {
			continue
		}
		if cas(p, &l.w.layouts, version, next) == nil && next.Current().Number > v.Current().Number {
			l.w.fired["layout"]++
		}
	}
}

// allAcks is how far all nodes have come, as they said.
func (l *life) allAcks() map[replica.Node]layout.Ack {
	acks := maps.Clone(l.acks)
	acks[l.n.name] = l.ack
	return acks
}

// first reports whether no member before this one answers.
func (l *life) first() bool {
	for _, m := range l.layout.Current().Members {
		if l.answers(m.Node) {
			return m.Node == l.n.name
		}
	}
	return false
}

func (l *life) candidates() (out []layout.Candidate) {
	for _, n := range l.w.nodes {
		c := layout.Candidate{Member: layout.Member{Node: n.name, Weight: 1}, Leaves: n.leaves}
		at, ok := l.answered[n.name]
		switch {
		case n.left && !l.layout.Current().Has(n.name), n == l.n && l.offline:
			continue
		case n == l.n:
			c.Here = time.Duration(l.w.now-l.begun) * time.Millisecond
		case l.answers(n.name):
			c.Here = time.Duration(l.w.now-l.here[n.name]) * time.Millisecond
		case ok:
			c.Gone = time.Duration(l.w.now-at) * time.Millisecond
		default:
			c.Gone = time.Duration(l.w.now-l.begun+1) * time.Millisecond
		}
		out = append(out, c)
	}
	return out
}

// scrubs reads all copies, one after another.
func (l *life) scrubs(p *proc) {
	for l.pause(p, scrubEvery) == nil {
		files := l.n.disk.all()
		if len(files) == 0 {
			continue
		}
		i := slices.IndexFunc(files, func(f *file) bool { return f.id.String() > l.cursor.String() })
		f := files[max(i, 0)]
		l.cursor = f.id
		if l.read(f.id, false).what == replica.Corrupt {
			l.w.fired["scrubbed"]++
		}
	}
}

// sweeps buries what nothing vouches for.
func (l *life) sweeps(p *proc) {
	for l.pause(p, sweepEvery) == nil {
		if l.offline {
			continue
		}
		for _, name := range slices.Sorted(maps.Keys(l.w.sets)) {
			held := map[repair.ID]string{}
			for id, f := range l.n.disk.files {
				if f.origin.Dataset == name {
					held[id] = f.origin.Lease
				}
			}
			l.sweep(p, l.w.sets[name], held)
		}
	}
}

// sweep judges uploads of a dataset that were listed before; false: it could not.
func (l *life) sweep(p *proc, d *dataset, held map[repair.ID]string) bool {
	ledger, version, err := get(p, &d.register)
	if err != nil {
		return false
	}
	if next, changed := l.watch.Condemn(d.name, ledger, l.time(), times); changed {
		switch err := cas(p, &d.register, version, next); {
		case err == nil:
			for _, e := range ledger.Leases {
				if !next.Holds(e.ID) {
					l.w.fired["condemned"]++
					l.w.truth.condemned(d, e)
				}
			}
			ledger = next
		case l.dead:
			return false
		}
	}
	if len(held) == 0 {
		return true
	}
	used := map[repair.ID][]repair.ID{}
	for _, v := range ledger.Versions {
		refs, err := l.manifest(p, v)
		if err != nil {
			continue
		}
		used[v.Manifest] = []repair.ID{}
		for _, r := range refs {
			used[v.Manifest] = append(used[v.Manifest], r.id)
		}
	}
	if l.w.bug == leaseBlind {
		ledger.Leases = nil
	}
	orphans, err := ledger.Orphans(held, used)
	for _, id := range orphans {
		if l.dead {
			return false
		}
		l.bury(p, id, l.time())
	}
	return err == nil && !l.dead
}

// manifest is what a version's manifest refers to.
func (l *life) manifest(p *proc, v collect.Version) ([]ref, error) {
	if refs, ok := l.manifests[v.Manifest]; ok {
		return refs, nil
	}
	if _, err := l.fetch(p, v.Manifest, v.Holders, false); err != nil {
		return nil, err
	}
	refs := l.w.truth.uploads[v.Manifest].refs
	l.manifests[v.Manifest] = refs
	return refs, nil
}
