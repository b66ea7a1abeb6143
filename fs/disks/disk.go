package disks

import (
	"context"
	"errors"
	"fmt"
	"os"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/pondmesh/pond/fs"
	"github.com/pondmesh/pond/mesh/delay"
)

// Bounds of the look at disks.
const (
	lookEvery   = 30 * time.Second // and sooner when one is doubted
	rereadEvery = 10 * time.Minute // at most, the index of a disk whose reads fail is read anew
	graceMax    = 5 * time.Minute  // a disk that went out of use counts for the node's size for so long
	tidyRate    = 32 << 20         // bytes a second that are read of copies that two disks have
)

const (
	storeDir     = "uploads"
	damagedInfix = "damaged-"
)

// ErrForeign: the folder has files of something else.
var ErrForeign = errors.New("it has files of something else")

// disk is one of them. Its fields are guarded by Disks.mu; only the look at disks changes
// them, and doubt.
type disk struct {
	dir    string
	own    bool      // its store is opened and closed here
	store  *fs.Store // nil: out of use
	why    error     // why it is
	failed string    // the id of a store that failed here: it is not opened again
	mount  string    // where the file system of dir began when the store was opened; "": at the root
	size   int64     // bytes of it, while it was in use; 0: not known
	outAt  time.Time // when it went out of use
	heard  time.Time // see Heard
	// hearing is held to write the note of heard, and before Disks.mu.
	hearing *sync.Mutex
	aside   int  // stores that were set aside here
	untidy  bool // it waits to be tidied
	// After an error of reading: the index is to be read anew, and when it was read last.
	doubted  bool
	rereadAt time.Time
}

// err is why the disk is out of use.
func (k *disk) err() error {
	if k.store == nil {
		return k.why
	}
	return k.store.Err()
}

// open opens a disk's store, or notes why that failed.
func (d *Disks) open(ctx context.Context, k *disk) error {
	var s *fs.Store
	var aside int
	var heard time.Time
	away, err := d.unmounted(k)
	switch {
	case away:
		err = fmt.Errorf("%s: %w", k.dir, errUnmounted)
	case err == nil:
		s, aside, err = d.openStore(ctx, k.dir)
	}
	if err == nil {
		if heard, err = readHeard(s); err != nil {
			err = errors.Join(err, s.Close())
		}
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	if err != nil {
		if k.why == nil || k.why.Error() != err.Error() {
			d.log.Error("a disk is out of use: it cannot be opened", "disk", k.dir, "err", err)
		}
		k.why = err
		return err
	}
	k.store, k.why, k.failed, k.doubted, k.rereadAt, k.heard, k.aside = s, nil, "", false, time.Now(), heard, aside
	k.mount = d.mountOf(k)
	if err := d.noteMounted(k); err != nil { // the next start may take an empty folder for it
		d.log.Warn("whether a disk is mounted cannot be noted", "disk", k.dir, "err", err)
	}
	bytes, count := s.Usage()
	d.log.Info("a disk is in use", "disk", k.dir, "id", s.ID(), "uploads", count, "bytes", bytes)
	return nil
}

// openStore opens the store in a folder. A damaged one is set aside before.
func (d *Disks) openStore(ctx context.Context, dir string) (s *fs.Store, aside int, err error) {
	files := d.opts.Files()
	names, err := files.List(dir)
	if err != nil && !errors.Is(err, os.ErrNotExist) {
		return nil, 0, err
	}
	if aside, err = check(dir, names); err != nil {
		return nil, 0, err
	}
	in := files.PathJoin(dir, storeDir)
	if s, err = fs.Open(ctx, in, d.opts); errors.Is(err, fs.ErrCorrupt) {
		to := files.PathJoin(dir, damagedInfix+strconv.FormatInt(time.Now().Unix(), 10))
		d.log.Error("the store of a disk is damaged: it is set aside, and what other nodes have of it is copied here again", "disk", dir, "aside", to, "err", err)
		if err = files.Rename(in, to); err == nil {
			aside++
			s, err = fs.Open(ctx, in, d.opts)
		}
	}
	return s, aside, err
}

// check refuses a folder with files that are no disk's, and counts what was set aside.
func check(dir string, names []string) (aside int, err error) {
	var foreign []string
	for _, n := range names {
		switch {
		case n == storeDir, n == "lost+found":
		case strings.HasPrefix(n, damagedInfix):
			aside++
		default:
			foreign = append(foreign, n)
		}
	}
	if len(foreign) > 0 {
		slices.Sort(foreign)
		return 0, fmt.Errorf("%s: %w: %s", dir, ErrForeign, strings.Join(foreign[:min(3, len(foreign))], ", "))
	}
	return aside, nil
}

// doubt has a store's index be read anew, for reading from its disk has failed.
func (d *Disks) doubt(s *fs.Store) {
	d.mu.Lock()
	defer d.mu.Unlock()
	for _, k := range d.all {
		if k.own && k.store == s && time.Since(k.rereadAt) > rereadEvery {
			k.doubted = true
			select {
			case d.kick <- struct{}{}:
			default:
			}
		}
	}
}

// watch looks at the disks until Close.
func (d *Disks) watch() {
	defer close(d.ended)
	var tidier sync.WaitGroup
	defer tidier.Wait()
	tidier.Go(d.tidyAll)
	for _, k := range d.all {
		if k.own && k.store != nil {
			d.haveTidied(k)
		}
	}
	for {
		for _, k := range d.all {
			d.look(k)
			if d.ctx.Err() != nil {
				return
			}
		}
		t := time.NewTimer(lookEvery)
		select {
		case <-d.ctx.Done():
			t.Stop()
			return
		case <-t.C:
		case <-d.kick:
			t.Stop()
		}
	}
}

// look takes a disk out of use that has failed, and into use what is in its place.
func (d *Disks) look(k *disk) {
	s, err, doubted := d.measure(k)
	switch {
	case !k.own:
		return
	case s != nil && err == nil && d.gone(k.dir, s):
		d.log.Error("a disk is out of use: its folder is not that of its store any more", "disk", k.dir, "id", s.ID())
		d.retire(k, s.ID(), errors.New("its folder is not that of its store any more: mount the disk, or another"))
	case s != nil && err == nil && !doubted:
		return
	case s != nil && err == nil:
		d.log.Warn("reading from a disk has failed: its index is read anew", "disk", k.dir)
		d.retire(k, "", errors.New("its index is being read anew"))
	case s != nil:
		d.log.Error("a disk is out of use: a write or an fsync failed, and what it holds is not known any more", "disk", k.dir, "id", s.ID(), "err", err)
		d.retire(k, s.ID(), err)
	}
	if !d.mayOpen(k) || d.open(d.ctx, k) != nil {
		return
	}
	d.measure(k)
	d.haveTidied(k)
}

// gone reports whether another store is in the folder of one that is open, or none: the
// disk was unmounted, or what is on it was deleted.
func (d *Disks) gone(dir string, s *fs.Store) bool {
	id, err := fs.StoreID(d.opts.Files().PathJoin(dir, storeDir), d.opts)
	return err == nil && id != s.ID()
}

// measure notes how large a disk is, and since when it is out of use.
func (d *Disks) measure(k *disk) (s *fs.Store, err error, doubted bool) {
	d.mu.RLock()
	s, err, doubted = k.store, k.err(), k.doubted
	d.mu.RUnlock()
	var space fs.Space
	if err == nil {
		space, _ = s.Space() // 0: not known
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	switch {
	case err == nil:
		k.size, k.outAt = space.Total, time.Time{}
	case k.outAt.IsZero():
		k.outAt = time.Now()
	}
	return s, err, doubted
}

// retire takes a disk out of use; failed is the id of its store if that is not to be
// opened again.
func (d *Disks) retire(k *disk, failed string, why error) {
	d.mu.Lock()
	s := k.store
	k.store, k.why, k.failed = nil, why, failed
	d.mu.Unlock()
	if err := s.Close(); err != nil {
		d.log.Debug("closing the store of a disk", "disk", k.dir, "err", err)
	}
}

// mayOpen reports whether there is another disk in the place of one that failed. The
// folder on which a disk was mounted, and none is now, is not one.
func (d *Disks) mayOpen(k *disk) bool {
	if k.failed == "" {
		return true
	}
	id, err := fs.StoreID(d.opts.Files().PathJoin(k.dir, storeDir), d.opts)
	return err == nil && id != k.failed && (k.mount == "" || fs.IsMount(k.mount))
}

// haveTidied has a disk tidied, beside the look at disks: it takes long.
func (d *Disks) haveTidied(k *disk) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if !k.untidy {
		k.untidy = true
		d.untidy <- k // has room for each disk once
	}
}

// tidyAll tidies one disk after another until Close: two at a time could each delete the
// copy that the other keeps.
func (d *Disks) tidyAll() {
	for {
		select {
		case <-d.ctx.Done():
			return
		case k := <-d.untidy:
			d.mu.Lock()
			k.untidy = false
			d.mu.Unlock()
			d.tidy(d.ctx, k)
		}
	}
}

// tidy has each upload of a disk that came into use be on one disk: others were given
// copies of what it held, if it was out of use for long.
func (d *Disks) tidy(ctx context.Context, k *disk) {
	d.mu.RLock()
	s := k.store
	d.mu.RUnlock()
	if s == nil { // it went out of use meanwhile
		return
	}
	for info, err := range s.List("") {
		if err == nil && info.Kind != kindHeard {
			err = d.tidyOne(ctx, s, info.ID)
		}
		if ctx.Err() != nil {
			return
		}
		if err != nil { // who reads it next sees to it
			d.log.Warn("a copy that two disks may have stays", "upload", info.ID, "disk", k.dir, "err", err)
		}
	}
}

// tidyOne deletes what another disk has as well. Of two copies that of the disk that is
// asked first stays, once it was read and found right.
func (d *Disks) tidyOne(ctx context.Context, s *fs.Store, id fs.UploadID) error {
	in, _ := d.stores()
	var have []*fs.Store
	for _, o := range in {
		if _, err := o.Stat(id); err == nil {
			have = append(have, o)
		}
	}
	if len(have) < 2 || !slices.Contains(have, s) {
		return nil
	}
	keep, info, err := d.find(id)
	if err == nil && info.Kind != fs.KindBuried {
		err = keep.Verify(ctx, id)
	}
	for _, o := range have {
		if err == nil && o != keep {
			err = o.Delete(id)
		}
	}
	return errors.Join(err, delay.For(ctx, time.Duration(float64(info.Size)/tidyRate*float64(time.Second))))
}
