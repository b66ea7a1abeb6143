package disks

import (
	"cmp"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"sync"
	"syscall"
	"time"

	"github.com/pondmesh/pond/fs"
	"github.com/pondmesh/pond/mesh/ring"
)

// Max is how many disks a node may have.
const Max = 64

// closeMax bounds how long Close waits for a look at a disk that hangs.
const closeMax = 15 * time.Second

// Disks are a node's. Its methods may be called from many goroutines. They end with
// Close.
type Disks struct {
	opts fs.Options
	log  *slog.Logger

	ctx   context.Context
	stop  context.CancelFunc
	kick  chan struct{} // a disk is doubted
	ended chan struct{} // closed when nobody looks at disks any more
	// untidy are disks that came into use, each once.
	untidy chan *disk

	mu  sync.RWMutex // held to change a disk
	all []*disk
}

// Open opens the stores of more disks, in folders that are made if need be, beside a
// first one, which stays its owner's. One that fails to open is out of use; a folder with
// files of others, or that another process has, is an error. The options are those of all
// stores but the first.
func Open(ctx context.Context, first *fs.Store, dirs []string, o fs.Options) (*Disks, error) {
	if len(dirs) >= Max {
		return nil, fmt.Errorf("disks: %d disks, at most %d: %w", len(dirs)+1, Max, fs.ErrInvalid)
	}
	o.Claims = first.Claims()
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	d := &Disks{opts: o, log: o.Log, kick: make(chan struct{}, 1), ended: make(chan struct{}), untidy: make(chan *disk, Max), all: []*disk{{dir: first.Dir(), store: first, hearing: new(sync.Mutex)}}}
	d.ctx, d.stop = context.WithCancel(context.WithoutCancel(ctx))
	heard, err := readHeard(first)
	d.all[0].heard = heard
	for _, dir := range dirs {
		if err != nil {
			break
		}
		k := &disk{dir: dir, own: true, hearing: new(sync.Mutex)}
		d.all = append(d.all, k)
		if why := d.open(ctx, k); errors.Is(why, fs.ErrLocked) || errors.Is(why, ErrForeign) || ctx.Err() != nil {
			err = why
		}
	}
	if len(dirs) == 0 {
		close(d.ended)
	} else {
		go d.watch()
	}
	if err != nil {
		return nil, errors.Join(fmt.Errorf("disks: %w", err), d.Close())
	}
	return d, nil
}

// Close closes all stores but the first.
func (d *Disks) Close() error {
	d.stop()
	select {
	case <-d.ended:
	case <-time.After(closeMax):
		d.log.Error("a disk does not answer: it is left as it is")
		return nil
	}
	var errs []error
	d.mu.Lock()
	defer d.mu.Unlock()
	for _, k := range d.all {
		if k.own && k.store != nil {
			errs = append(errs, k.store.Close())
		}
	}
	return errors.Join(errs...)
}

// stores are those in use; out is why others are not.
func (d *Disks) stores() (in []*fs.Store, out error) {
	d.mu.RLock()
	defer d.mu.RUnlock()
	for _, k := range d.all {
		if err := k.err(); err != nil {
			out = cmp.Or(out, fmt.Errorf("disk %s: %w: %w", k.dir, fs.ErrOffline, err))
			continue
		}
		in = append(in, k.store)
	}
	return in, out
}

// Err is nil while a disk is in use.
func (d *Disks) Err() error {
	in, out := d.stores()
	if len(in) > 0 {
		return nil
	}
	return out
}

// rank orders what disks have of one upload: a tombstone counts, and then a copy that is
// durable.
func rank(i *fs.Info) int {
	switch {
	case i.Kind == fs.KindBuried:
		return 2
	case i.Durable:
		return 1
	}
	return 0
}

// find is the store that has an upload, and what it says of it: fs.ErrNotFound if none
// does, and fs.ErrOffline if one that is out of use may. With a store the error is
// fs.ErrCorrupt, of its record.
func (d *Disks) find(id fs.UploadID) (found *fs.Store, info fs.Info, err error) {
	in, out := d.stores()
	for _, s := range in {
		i, e := s.Stat(id)
		switch {
		case errors.Is(e, fs.ErrNotFound):
		case errors.Is(e, fs.ErrCorrupt) && found == nil:
			found, err = s, e
		case e != nil && !errors.Is(e, fs.ErrCorrupt):
			out = cmp.Or(out, retired(e))
		case e == nil && (found == nil || err != nil || rank(&i) > rank(&info)):
			found, info, err = s, i, nil
		}
	}
	switch {
	case found != nil:
		return found, info, err
	case out != nil:
		return nil, info, fmt.Errorf("upload %s may be on a disk that is out of use: %w", id, out)
	}
	return nil, info, fmt.Errorf("upload %s: %w", id, fs.ErrNotFound)
}

// at calls f with the store that has an upload.
func at[T any](d *Disks, id fs.UploadID, f func(*fs.Store) (T, error)) (T, error) {
	s, _, err := d.find(id)
	if s == nil {
		var none T
		return none, err
	}
	out, err := f(s)
	return out, retired(err)
}

// retired is what a store says that was taken out of use just now: it is offline, as far
// as others know.
func retired(err error) error {
	if errors.Is(err, fs.ErrClosed) {
		return fmt.Errorf("%w: %w", fs.ErrOffline, err)
	}
	return err
}

// Stat is [fs.Store.Stat], as are the other methods of the same names: ErrOffline, and not
// ErrNotFound, while a disk is out of use.
func (d *Disks) Stat(id fs.UploadID) (fs.Info, error) {
	_, info, err := d.find(id)
	return info, err
}

// Reader is [fs.Store.Reader].
func (d *Disks) Reader(id fs.UploadID) (*fs.Reader, error) {
	return at(d, id, func(s *fs.Store) (*fs.Reader, error) { return s.Reader(id) })
}

// Path is [fs.Store.Path].
func (d *Disks) Path(id fs.UploadID) (string, error) {
	return at(d, id, func(s *fs.Store) (string, error) { return s.Path(id) })
}

// Verify is [fs.Store.Verify]. A disk that answers with an error is doubted.
func (d *Disks) Verify(ctx context.Context, id fs.UploadID) error {
	_, err := at(d, id, func(s *fs.Store) (none struct{}, err error) {
		if err = s.Verify(ctx, id); errors.Is(err, syscall.EIO) {
			d.doubt(s)
		}
		return none, err
	})
	return err
}

// Keep is [fs.Store.Keep].
func (d *Disks) Keep(id fs.UploadID, kind string) error {
	_, err := at(d, id, func(s *fs.Store) (none struct{}, err error) { return none, s.Keep(id, kind) })
	return err
}

// Quarantine is [fs.Store.Quarantine].
func (d *Disks) Quarantine(seen fs.Info) error {
	_, err := at(d, seen.ID, func(s *fs.Store) (none struct{}, err error) { return none, s.Quarantine(seen) })
	return err
}

// Quarantined is [fs.Store.Quarantined], of all disks in use.
func (d *Disks) Quarantined() (ids []fs.UploadID, err error) {
	in, _ := d.stores()
	for _, s := range in {
		some, e := s.Quarantined()
		ids, err = append(ids, some...), errors.Join(err, e)
	}
	return ids, err
}

// Usage is [fs.Store.Usage], of all disks in use.
func (d *Disks) Usage() (bytes, count int64) {
	in, _ := d.stores()
	for _, s := range in {
		b, n := s.Usage()
		bytes, count = bytes+b, count+n
	}
	return bytes, count
}

// Delete is [fs.Store.Delete], on all disks in use.
func (d *Disks) Delete(ids ...fs.UploadID) error {
	in, out := d.stores()
	if len(in) == 0 {
		return out
	}
	var errs []error
	for _, s := range in {
		here := ids
		if len(in) > 1 {
			here = slices.DeleteFunc(slices.Clone(ids), func(id fs.UploadID) bool { _, err := s.Stat(id); return errors.Is(err, fs.ErrNotFound) })
		}
		if len(here) > 0 {
			errs = append(errs, s.Delete(here...))
		}
	}
	return errors.Join(errs...)
}

// Bury is [fs.Store.Bury]. The tombstone is where the upload was.
func (d *Disks) Bury(since time.Time, ids ...fs.UploadID) error {
	for _, id := range ids {
		if err := d.bury(since, id); err != nil {
			return err
		}
	}
	return nil
}

func (d *Disks) bury(since time.Time, id fs.UploadID) error {
	in, out := d.stores()
	if len(in) == 0 {
		return out
	}
	grave, _, _ := d.find(id)
	if grave == nil {
		grave = in[0]
	}
	if err := grave.Bury(since, id); err != nil {
		return err
	}
	for _, s := range in { // a copy too many, if there is one
		if _, err := s.Stat(id); s != grave && (err == nil || errors.Is(err, fs.ErrCorrupt)) {
			if err := s.Delete(id); err != nil {
				return err
			}
		}
	}
	return nil
}

// Create is [fs.Store.Create], on a disk that has room.
func (d *Disks) Create(kind string) (*fs.Upload, error) {
	return d.place(rand.Text(), func(s *fs.Store) (*fs.Upload, error) { return s.Create(kind) })
}

// Import is [fs.Store.Import]. The error is EXDEV when the disk that is to have it is not
// that of the file.
func (d *Disks) Import(kind, path string) (*fs.Upload, error) {
	return d.place(rand.Text(), func(s *fs.Store) (*fs.Upload, error) { return s.Import(kind, path) })
}

// CreateCopy is [fs.Store.CreateCopy].
func (d *Disks) CreateCopy(id fs.UploadID, kind string, size int64) (*fs.Upload, error) {
	switch s, _, err := d.find(id); {
	case s != nil && err != nil:
		return nil, err
	case s != nil:
		return nil, fmt.Errorf("copy %s: %w", id, fs.ErrExists)
	}
	u, err := d.place(id.String(), func(s *fs.Store) (*fs.Upload, error) { return s.CreateCopy(id, kind, size) })
	if err != nil {
		return nil, err
	}
	if s, _, _ := d.find(id); s != nil { // it came to another disk meanwhile
		return nil, errors.Join(fmt.Errorf("copy %s: %w", id, fs.ErrExists), u.Abort())
	}
	return u, nil
}

// place has an upload begin on the first disk that takes it.
func (d *Disks) place(key string, begin func(*fs.Store) (*fs.Upload, error)) (*fs.Upload, error) {
	in, out := d.stores()
	err := out
	for _, s := range order(in, key) {
		var u *fs.Upload
		if u, err = begin(s); err == nil {
			return u, nil
		}
		err = retired(err)
		if !errors.Is(err, fs.ErrNoSpace) && !errors.Is(err, fs.ErrOffline) && !errors.Is(err, syscall.EIO) {
			break
		}
	}
	return nil, err
}

// order is the order in which disks are tried: each is first for a part of all keys that
// is as large as its part of all that is free.
func order(in []*fs.Store, key string) []*fs.Store {
	if len(in) == 1 {
		return in
	}
	by, nodes := map[string]*fs.Store{}, make([]ring.Node, len(in))
	for i, s := range in {
		by[s.ID()], nodes[i] = s, ring.Node{ID: s.ID(), Weight: 1}
		if space, err := s.Space(); err == nil {
			nodes[i].Weight = float64(space.Free)
		}
	}
	out := make([]*fs.Store, 0, len(in))
	for _, n := range ring.Rank(nodes, key, len(nodes)) {
		out = append(out, by[n.ID])
	}
	for _, s := range in { // the full ones say so themselves
		if !slices.Contains(out, s) {
			out = append(out, s)
		}
	}
	return out
}
