package disks

import (
	"errors"
	"slices"
	"time"

	"github.com/pondmesh/pond/fs"
)

// State is how a disk is.
type State struct {
	Dir, ID      string
	Free, Total  int64 // bytes; 0: not known
	Bytes, Count int64 // of uploads
	Err          error // why it is out of use
	Aside        int   // stores that were damaged, and are kept for people
}

// snapshot is the disks as they are now, to be looked at without the lock: a disk that
// hangs holds up nobody but who asks it.
func (d *Disks) snapshot() []disk {
	d.mu.RLock()
	defer d.mu.RUnlock()
	out := make([]disk, len(d.all))
	for i, k := range d.all {
		out[i] = *k
	}
	return out
}

// States are those of all disks, the node's own first.
func (d *Disks) States() (out []State) {
	for _, k := range d.snapshot() {
		s := State{Dir: k.dir, Err: k.err(), Aside: k.aside, Total: k.size}
		if k.store != nil {
			s.ID = k.store.ID()
			s.Bytes, s.Count = k.store.Usage()
		}
		if s.Err == nil {
			if space, err := k.store.Space(); err == nil {
				s.Free, s.Total = space.Free, space.Total
			}
		}
		out = append(out, s)
	}
	return out
}

// kindHeard is a note on a disk: see Heard.
const kindHeard = "heard"

// readHeard finds a disk's note.
func readHeard(s *fs.Store) (heard time.Time, err error) {
	for info, err := range s.List(kindHeard) {
		if err != nil {
			return heard, err
		}
		if info.Committed.After(heard) {
			heard = info.Committed
		}
	}
	return heard, nil
}

// Heard is when Hear was called last for every disk in use: what is on the one that was
// left out for longest may have been deleted since. A disk that is new has heard of all:
// it holds nothing.
func (d *Disks) Heard() (oldest time.Time, err error) {
	all := d.snapshot()
	for i := range all {
		k := &all[i]
		if k.err() != nil {
			continue
		}
		at, err := d.heardOf(d.all[i], k.store)
		if err != nil {
			return oldest, err
		}
		if oldest.IsZero() || at.Before(oldest) {
			oldest = at
		}
	}
	if oldest.IsZero() {
		return oldest, d.Err()
	}
	return oldest, nil
}

// heardOf is when a disk has heard last: now, if it never has.
func (d *Disks) heardOf(k *disk, s *fs.Store) (time.Time, error) {
	k.hearing.Lock()
	defer k.hearing.Unlock()
	d.mu.RLock()
	at, same := k.heard, k.store == s
	d.mu.RUnlock()
	if same && !at.IsZero() {
		return at, nil
	}
	return d.note(k, s)
}

// Hear notes on all disks in use, durably, that this node has heard of what was deleted.
func (d *Disks) Hear() (err error) {
	for i, k := range d.snapshot() {
		if k.err() == nil {
			_, e := d.hear(d.all[i], k.store)
			err = errors.Join(err, e)
		}
	}
	return err
}

func (d *Disks) hear(k *disk, s *fs.Store) (time.Time, error) {
	k.hearing.Lock()
	defer k.hearing.Unlock()
	return d.note(k, s)
}

// note notes that a disk has heard of all, in the place of what it said before. Its hearing
// is held: two would delete each other's notes.
func (d *Disks) note(k *disk, s *fs.Store) (time.Time, error) {
	info, err := s.Note(kindHeard, nil, true)
	if err != nil {
		return time.Time{}, err
	}
	for old, err := range s.List(kindHeard) {
		if err == nil && old.ID != info.ID {
			err = s.Delete(old.ID)
		}
		if err != nil {
			return time.Time{}, err
		}
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	if k.store == s {
		k.heard = info.Committed
	}
	return info.Committed, nil
}

// Size is how many bytes the disks in use have; those of one file system count once, and
// one that went out of use counts for a while: another may come in its place. 0: not
// known.
func (d *Disks) Size() (bytes int64) {
	var seen []uint64
	for _, k := range d.snapshot() {
		if k.err() != nil {
			if k.outAt.IsZero() || time.Since(k.outAt) < graceMax {
				bytes += k.size
			}
			continue
		}
		space, err := k.store.Space()
		if err != nil || space.Device != 0 && slices.Contains(seen, space.Device) {
			continue
		}
		seen, bytes = append(seen, space.Device), bytes+space.Total
	}
	return bytes
}
