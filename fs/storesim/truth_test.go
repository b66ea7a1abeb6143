package storesim

import (
	"bytes"
	"errors"
	"fmt"
	"maps"
	"slices"

	"github.com/pondmesh/pond/fs/collect"
	"github.com/pondmesh/pond/fs/layout"
	"github.com/pondmesh/pond/fs/repair"
	"github.com/pondmesh/pond/fs/replica"
)

// truth is what there is, which no node knows.
type truth struct {
	w        *world
	uploads  map[repair.ID]*upload
	moved    int // copies that repair made
	versions int // of datasets
	layouts  int
	dead     map[repair.ID]bool // manifests that cannot have been published
	won      []repair.ID        // manifests whose writers heard that they were
}

// upload is what was written, and how safe it is.
type upload struct {
	id     repair.ID
	data   uint64
	origin collect.Origin
	refs   []ref // of a manifest
	// strength is how many copies there are to be, but for hits: as many as its writer was
	// told of, and more once repair has made more.
	strength int
	hits     int // good copies that faults have destroyed since
	cause    int // of copies: hits since ever
}

// promised is how many good copies there are of an upload that is not yet acknowledged.
const promised = 2

// good is how many good copies are on disks, whether their nodes run or not.
func (t *truth) good(id repair.ID) (n int) { return t.goodAt(t.uploads[id], t.w.names()) }

func (t *truth) goodAt(u *upload, names []replica.Node) (n int) {
	for _, name := range names {
		if f := t.w.node(name).disk.files[u.id]; f != nil && f.durable && f.data == u.data && f.sum == u.data {
			n++
		}
	}
	return n
}

// counts reports whether an upload may not be lost: its lease or a version vouches for it.
func (t *truth) counts(u *upload) bool {
	d := t.w.sets[u.origin.Dataset]
	return u.strength > 0 && (d.used[u.id] || d.value.Holds(u.origin.Lease))
}

// acked notes that a writer was told that an upload is safe.
func (t *truth) acked(id repair.ID, holders []replica.Node) {
	t.uploads[id].strength = len(holders)
}

// hit notes that a fault has destroyed a good copy.
func (t *truth) hit(id repair.ID) {
	t.uploads[id].hits++
	t.uploads[id].cause++
}

// bears reports whether an upload survives one fault more, by what was promised.
func (t *truth) bears(id repair.ID) bool {
	u := t.uploads[id]
	t.raise(u)
	strength := u.strength
	if strength == 0 {
		strength = promised
	}
	d := t.w.sets[u.origin.Dataset]
	return !d.used[id] && !d.value.Holds(u.origin.Lease) || u.hits+1 < strength
}

// raise takes what repair has mended into account: good copies at the owners. A surplus
// one does not count, since its node may be about to drop it, by what it has just seen.
func (t *truth) raise(u *upload) {
	if n := t.goodAt(u, t.w.layouts.value.Owners(layout.GroupOf(u.id))); u.strength > 0 && n >= u.strength {
		u.strength, u.hits = n, 0
	}
}

// check holds an upload to what was promised.
func (t *truth) check(id repair.ID) {
	u := t.uploads[id]
	if u == nil || !t.counts(u) {
		return
	}
	if n := t.good(id); n < u.strength-u.hits {
		t.w.breaks("%s has %d good copies, of %d, of which faults have taken %d", short(id), n, u.strength, u.hits)
	}
	t.raise(u)
}

func (t *truth) checkAll() {
	for _, id := range sorted(t.uploads) {
		t.check(id)
	}
}

// sorted are the keys of a map in order: a run replays.
func sorted[V any](m map[repair.ID]V) []repair.ID {
	return slices.SortedFunc(maps.Keys(m), func(a, b repair.ID) int { return bytes.Compare(a[:], b[:]) })
}

// copied checks that a node does not make again what it has deleted.
func (t *truth) copied(l *life, id repair.ID) {
	t.moved++
	t.w.fired["copy"]++
	t.w.logf("%s copies %s, of %v", l.n.name, short(id), t.holders(id))
	if l.n.disk.buried[id] {
		t.w.breaks("%s copies %s back, which it has deleted", l.n.name, short(id))
	}
	if u := t.uploads[id]; l.n.disk.files[id].data != u.data && l.n.disk.files[id].right() {
		t.w.breaks("%s holds other bytes of %s than were written", l.n.name, short(id))
	}
}

// buries checks that what is deleted is not in use.
func (t *truth) buries(l *life, id repair.ID) {
	u := t.uploads[id]
	d := t.w.sets[u.origin.Dataset]
	switch {
	case d.used[id]:
		t.w.breaks("%s deletes %s, to which a version of %s refers", l.n.name, short(id), d.name)
	case d.value.Holds(u.origin.Lease):
		t.w.breaks("%s deletes %s, whose lease is there", l.n.name, short(id))
	}
}

// kept checks that what leaves a ledger has had its time: a version its retention, but for
// the clocks of who superseded and who condemned it, and a lease that nobody released its
// own from when it was renewed.
func (t *truth) kept(d *dataset, l collect.Ledger) {
	now := map[repair.ID]bool{}
	for _, v := range l.Versions {
		now[v.Manifest] = true
		if _, ok := d.superseded[v.Manifest]; !ok && !v.Superseded.IsZero() {
			d.superseded[v.Manifest] = t.w.now
		}
	}
	for _, m := range d.past {
		if age := t.w.now - d.superseded[m]; !now[m] && !d.gone[m] && age < (times.Retention-2*skewMax).Milliseconds() {
			t.w.breaks("%s of %s is not kept %d ms after it was superseded", short(m), d.name, age)
		}
		d.gone[m] = !now[m]
	}
	for _, e := range l.Leases {
		if _, ok := d.renewed[e]; !ok {
			d.renewed[e] = t.w.now
		}
	}
}

// condemned checks that a lease has had its time.
func (t *truth) condemned(d *dataset, e collect.Lease) {
	if age := t.w.now - d.renewed[e]; age < times.Lease.Milliseconds() {
		t.w.breaks("%s of %s is condemned %d ms after it was renewed", e.ID, d.name, age)
	}
}

// published hears each value of a dataset's register.
func (t *truth) published(d *dataset, l collect.Ledger) {
	t.kept(d, l)
	d.used = map[repair.ID]bool{}
	for _, v := range l.Versions {
		d.used[v.Manifest] = true
		for _, r := range t.uploads[v.Manifest].refs {
			d.used[r.id] = true
		}
	}
	if int(l.Last) == len(d.past) {
		return
	}
	v, _ := l.Current()
	t.w.logf("%s is version %d, %s", d.name, v.Number, short(v.Manifest))
	t.versions++
	d.past = append(d.past, v.Manifest)
	for _, id := range sorted(d.used) { // whole, or not at all
		if u := t.uploads[id]; u.strength == 0 || t.good(id) < min(1, u.strength-u.hits) {
			t.w.breaks("%s is published without %s", d.name, short(id))
		}
	}
}

// ended hears how a writer has ended.
func (t *truth) ended(wr *writer, err error) {
	t.w.logf("a writer of %s at %s ends: %v", wr.d.name, wr.l.n.name, err)
	switch {
	case err == nil:
		t.w.fired["published"]++
		t.won = append(t.won, wr.tried...)
	case errors.Is(err, errExists), errors.Is(err, collect.ErrCondemned):
		if errors.Is(err, errExists) {
			t.w.fired[errExists.Error()]++
		} else {
			t.w.fired[collect.ErrCondemned.Error()]++
		}
		for _, m := range wr.tried {
			t.dead[m] = true
		}
	}
}

// settled is nil when all is as it is to be.
func (t *truth) settled() error {
	l := t.w.layouts.value
	if len(l.Versions) != 1 {
		return fmt.Errorf("the layout has not settled: %+v", l)
	}
	for _, d := range t.sets() {
		if n := len(d.value.Leases); n > 0 {
			return fmt.Errorf("%s has %d leases", d.name, n)
		}
	}
	for _, id := range sorted(t.uploads) {
		u := t.uploads[id]
		d := t.w.sets[u.origin.Dataset]
		owners := l.Owners(layout.GroupOf(id))
		for _, n := range t.w.nodes {
			f := n.disk.files[id]
			want := d.used[id] && slices.Contains(owners, n.name)
			if has := f != nil && !n.left; has != want || want && !f.right() {
				return fmt.Errorf("%s at %s: it holds it: %t, and is to: %t", short(id), n.name, has, want)
			}
		}
	}
	return nil
}

func (t *truth) sets() (out []*dataset) {
	for _, name := range slices.Sorted(maps.Keys(t.w.sets)) {
		out = append(out, t.w.sets[name])
	}
	return out
}

// end checks what can be said only at the end.
func (t *truth) end() {
	t.checkAll()
	times := map[repair.ID]int{}
	for _, d := range t.sets() {
		for _, m := range d.past {
			times[m]++
			if times[m] > 1 || t.dead[m] {
				t.w.breaks("manifest %s is published %d times; its writer was refused: %t", short(m), times[m], t.dead[m])
			}
		}
	}
	bound := 0
	for _, u := range t.uploads {
		bound += copiesOf*(t.layouts+1) + u.cause
	}
	if t.moved > bound {
		t.w.breaks("repair has made %d copies, and there was cause for %d", t.moved, bound)
	}
}

// holders are the nodes that have an upload, for people.
func (t *truth) holders(id repair.ID) (out []replica.Node) {
	for _, n := range t.w.nodes {
		if n.disk.files[id] != nil {
			out = append(out, n.name)
		}
	}
	return out
}
