package storesim

import (
	"encoding/binary"
	"errors"
	"fmt"
	"slices"

	"github.com/pondmesh/pond/fs/collect"
	"github.com/pondmesh/pond/fs/layout"
	"github.com/pondmesh/pond/fs/repair"
	"github.com/pondmesh/pond/fs/replica"
)

// dataset is a register with its ledger, and what it came to be.
type dataset struct {
	register[collect.Ledger]
	name string
	used map[repair.ID]bool // by the versions that can be read
	past []repair.ID        // manifests of all versions that there ever were
	// When they were superseded, which are not in the ledger any more, and when leases were
	// renewed.
	superseded map[repair.ID]int64
	gone       map[repair.ID]bool
	renewed    map[collect.Lease]int64
}

// ref is a file of a manifest.
type ref struct {
	id      repair.ID
	holders []replica.Node
}

// mode is how a writer publishes.
type mode int

const (
	create    mode = iota // an error if there is one
	overwrite             // in place of what there is
	appending             // beside what there is
)

var (
	errExists = errors.New("there is one already")
	errTries  = errors.New("tried often enough")
)

// triesMax bounds what a client tries again.
const triesMax = 12

// writer makes one version of a dataset.
type writer struct {
	l     *life
	d     *dataset
	mode  mode
	files int
	lease string
	refs  []ref
	over  bool
	slow  int64       // it does nothing for so long, once
	tried []repair.ID // manifests that it tried to publish
}

func (w *world) newID(kind byte) (id repair.ID) {
	w.ids++
	g := w.groups[w.rng.IntN(len(w.groups))]
	id[0], id[1] = byte(g>>6), byte(g<<2)
	id[2] = kind
	binary.BigEndian.PutUint64(id[8:], w.ids)
	return id
}

// write starts a writer at a node.
func (w *world) write(l *life, d *dataset, m mode, files int, slow int64) *writer {
	wr := &writer{l: l, d: d, mode: m, files: files, slow: slow}
	w.spawn(l, func(p *proc) {
		err := wr.run(p)
		wr.over = true
		w.truth.ended(wr, err)
		if err != nil && !l.dead && wr.lease != "" && !errors.Is(err, collect.ErrCondemned) {
			wr.release(p)
		}
	})
	return wr
}

func (wr *writer) run(p *proc) error {
	if err := wr.grant(p); err != nil {
		return err
	}
	wr.l.w.spawn(wr.l, wr.renew)
	for range wr.files {
		r, err := wr.put(p, 1, nil)
		if err != nil {
			return err
		}
		wr.refs = append(wr.refs, r)
	}
	if wr.slow > 0 {
		wr.l.w.fired["slow writer"]++
		if err := p.sleep(wr.slow); err != nil {
			return err
		}
	}
	return wr.publish(p)
}

// grant takes a lease. One of which it is not known whether it was granted is given up.
func (wr *writer) grant(p *proc) error {
	for range triesMax {
		l, version, err := get(p, &wr.d.register)
		if err != nil {
			continue
		}
		if _, there := l.Current(); there && wr.mode == create {
			return errExists
		}
		wr.l.w.ids++
		lease := fmt.Sprint("lease", wr.l.w.ids)
		next, err := l.Grant(lease)
		if err != nil {
			return err
		}
		if err := cas(p, &wr.d.register, version, next); err == nil {
			wr.lease = lease
			return nil
		}
		if err := p.sleep(wr.l.w.rng.Int64N(300)); err != nil {
			return err
		}
	}
	return errTries
}

// renew keeps the lease, unless the writer does nothing at all.
func (wr *writer) renew(p *proc) {
	for !wr.over && p.sleep(12_000) == nil && !wr.over {
		if wr.slow > 0 {
			continue
		}
		if l, version, err := get(p, &wr.d.register); err == nil {
			if next, err := l.Renew(wr.lease); err == nil {
				cas(p, &wr.d.register, version, next)
			}
		}
	}
}

// release tells that the writer has failed.
func (wr *writer) release(p *proc) {
	for range 3 {
		if l, version, err := get(p, &wr.d.register); err == nil && cas(p, &wr.d.register, version, l.Release(wr.lease)) == nil {
			return
		}
	}
}

// put makes an upload and sends it to those that are to hold it.
func (wr *writer) put(p *proc, kind byte, refs []ref) (ref, error) {
	l, w := wr.l, wr.l.w
	id := w.newID(kind)
	f := file{id: id, data: w.rng.Uint64(), origin: collect.Origin{Dataset: wr.d.name, Lease: wr.lease}}
	f.sum = f.data
	w.truth.uploads[id] = &upload{id: id, data: f.data, origin: f.origin, refs: refs}
	var holders []replica.Node
	if l.store(p, f) == replica.Stored {
		holders = append(holders, l.n.name)
	}
	owners := l.layout.Owners(layout.GroupOf(id))
	candidates := append(slices.Clone(owners), w.names()...)
	want := min(copiesOf, len(w.names()))
	push := replica.NewPush(replica.Class{Want: want, Min: min(2, want)}, holders, candidates)
	for chain := push.Next(); len(chain) > 0; chain = push.Next() {
		said, err := send(p, f, chain)
		if l.dead {
			return ref{}, errOver
		}
		if err != nil {
			said = nil
		}
		push.Heard(chain, said)
	}
	if err := push.Err(); err != nil {
		w.fired["too few"]++
		return ref{}, err
	}
	if push.Short() {
		w.fired["short"]++
	}
	w.truth.acked(id, push.Holders())
	return ref{id, push.Holders()}, nil
}

// publish makes the dataset what was written, by one CAS.
func (wr *writer) publish(p *proc) error {
	var manifest ref
	base := repair.ID{0xff}
	for range triesMax {
		if err := p.sleep(wr.l.w.rng.Int64N(300)); err != nil {
			return err
		}
		l, version, err := get(p, &wr.d.register)
		if err != nil {
			continue
		}
		switch v, there := l.Current(); {
		case slices.ContainsFunc(l.Versions, func(v collect.Version) bool { return slices.Contains(wr.tried, v.Manifest) }):
			return nil
		case there && wr.mode == create:
			return errExists
		case base != v.Manifest:
			refs := slices.Clone(wr.refs)
			if there && wr.mode == appending {
				old, err := wr.l.manifest(p, v)
				if err != nil {
					continue
				}
				refs = append(slices.Clone(old), refs...)
			}
			if manifest, err = wr.put(p, 2, refs); err != nil {
				return err
			}
			base = v.Manifest
		}
		next, err := l.Publish(wr.lease, manifest.id, manifest.holders, wr.l.time())
		if err != nil {
			return err
		}
		wr.tried = append(wr.tried, manifest.id)
		switch err := cas(p, &wr.d.register, version, next); {
		case err == nil:
			return nil
		case errors.Is(err, errConflict):
			wr.l.w.fired["conflict"]++
		}
	}
	return errTries
}

// reads reads a dataset: now is of its current version, else of any.
func (w *world) reads(p *proc, d *dataset, now bool) error {
	ledger, _, err := get(p, &d.register)
	if err != nil || len(ledger.Versions) == 0 {
		return err
	}
	v := ledger.Versions[w.rng.IntN(len(ledger.Versions))]
	if current, there := ledger.Current(); now && there {
		v = current
	}
	if err := w.readOne(p, d, v, ref{v.Manifest, v.Holders}); err != nil {
		return err
	}
	if !w.calm && w.chance(100) { // a reader that takes its time
		if err := p.sleep(2 * times.Retention.Milliseconds()); err != nil {
			return err
		}
	}
	return w.readFiles(p, d, v)
}

// readFiles reads what a version refers to.
func (w *world) readFiles(p *proc, d *dataset, v collect.Version) error {
	for _, r := range w.truth.uploads[v.Manifest].refs {
		if err := w.readOne(p, d, v, r); err != nil {
			return err
		}
	}
	w.fired["read"]++
	return nil
}

func (w *world) readOne(p *proc, d *dataset, v collect.Version, r ref) error {
	f, err := p.l.fetch(p, r.id, r.holders, false)
	if err == nil {
		if f.data != w.truth.uploads[r.id].data {
			w.breaks("%s reads other bytes of %s than were written", p.l.n.name, short(r.id))
		}
		return nil
	}
	kept := slices.ContainsFunc(d.value.Versions, func(o collect.Version) bool { return o.Manifest == v.Manifest })
	switch {
	case errors.Is(err, replica.ErrLost) && w.truth.good(r.id) > 0:
		w.breaks("%s is told as lost, and there are %d good copies: %v", short(r.id), w.truth.good(r.id), err)
	case errors.Is(err, replica.ErrLost) && kept:
		w.breaks("%s is lost: %v", short(r.id), err)
	case errors.Is(err, replica.ErrDeleted) && kept:
		w.breaks("%s of version %d was deleted: %v", short(r.id), v.Number, err)
	case errors.Is(err, replica.ErrDeleted):
		w.fired["read too late"]++
	case errors.Is(err, replica.ErrUnavailable):
		w.fired["unavailable"]++
	}
	return err
}
