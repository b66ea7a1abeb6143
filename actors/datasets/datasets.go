package datasets

import (
	"bytes"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"iter"
	mrand "math/rand/v2"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/pondmesh/pond/actors/replicas"
	"github.com/pondmesh/pond/fs"
	"github.com/pondmesh/pond/fs/collect"
	"github.com/pondmesh/pond/fs/dataset"
	"github.com/pondmesh/pond/fs/register"
	"github.com/pondmesh/pond/fs/repair"
	"github.com/pondmesh/pond/fs/replica"
	"github.com/pondmesh/pond/mesh"
	"github.com/pondmesh/pond/mesh/delay"
	"github.com/pondmesh/pond/mesh/each"
)

// Bounds.
const (
	changesMax = 64 // tries of a change that others come before
	pauseFirst = 5 * time.Millisecond
	pauseMax   = time.Second
	askedMax   = 16      // registers that are asked at once, by one List
	keptMax    = 32      // manifests kept in memory
	weightMax  = 1 << 18 // files that those list and bounds of them, unless it is one manifest
)

// ErrBusy: others have changed it each time.
var ErrBusy = errors.New("others keep changing it")

// Registers are linearizable values with compare-and-set, as registers.Registers has
// them.
type Registers interface {
	Get(ctx context.Context, key register.Key) (data []byte, version uint64, err error)
	CAS(ctx context.Context, key register.Key, id register.ChangeID, expect uint64, data []byte) (version uint64, current []byte, err error)
}

// Uploads are copies of files, as replicas.Replicas has them.
type Uploads interface {
	PutAs(ctx context.Context, class replica.Class, path string, attrs []byte) (replicas.Copy, error)
	Open(ctx context.Context, id fs.UploadID, holders []mesh.NodeID, off, n int64) (io.ReadCloser, error)
	Here(id fs.UploadID) (path string, ok bool)
	Published() replica.Class
	// Copies are those that this node is to hold, and Stat is one of them; Delete condemns
	// some for good.
	Copies() iter.Seq2[fs.Info, error]
	Stat(id fs.UploadID) (fs.Info, error)
	Delete(ids ...fs.UploadID) error
}

// Config is what datasets need of their node.
type Config struct {
	Registers Registers
	Uploads   Uploads
	Dir       string // for manifests until they are uploads; on the disk of those best
	Now       func() time.Time
	Times     collect.Times // zero: those of a pond
}

// Datasets are the pond's, as one node uses them. Its methods may be called from many
// goroutines. Errors match those of packages dataset, collect, register and replica, and
// ErrBusy.
type Datasets struct {
	c Config

	mu   sync.Mutex
	kept []manifest // the one that was used last is the first
}

// manifest is one that is kept in memory. Nobody changes it.
type manifest struct {
	id repair.ID
	m  *dataset.Manifest
}

// New has nothing to close.
func New(c Config) *Datasets {
	if c.Now == nil {
		c.Now = time.Now
	}
	if c.Times == (collect.Times{}) {
		c.Times = collect.Kept()
	}
	return &Datasets{c: c}
}

// Error says what failed for which dataset.
type Error struct {
	Op, Name string
	Err      error
}

func (e *Error) Error() string { return fmt.Sprintf("datasets: %s %s: %v", e.Op, e.Name, e.Err) }

// Unwrap is the cause.
func (e *Error) Unwrap() error { return e.Err }

func failed(op, name string, err error) error {
	if err == nil {
		return nil
	}
	return &Error{op, name, err}
}

// Why is an error's text without what was done to which dataset, where others say that.
func Why(err error) string {
	if e, ok := errors.AsType[*Error](err); ok {
		err = e.Err
	}
	return strings.TrimPrefix(err.Error(), dataset.ErrNotFound.Error()+": ")
}

// state is what a dataset's register holds.
func (d *Datasets) state(ctx context.Context, name string) (s dataset.State, err error) {
	if err := dataset.CheckName(name); err != nil {
		return s, err
	}
	data, _, err := d.c.Registers.Get(ctx, dataset.Key(name))
	if err != nil {
		return s, err
	}
	return dataset.DecodeState(data)
}

// change changes a dataset's register to what next makes of it. next is called again when
// another came first, or when it is not known whether a change has happened: then it may
// meet its own.
func (d *Datasets) change(ctx context.Context, name string, next func(dataset.State) (dataset.State, error)) error {
	if err := dataset.CheckName(name); err != nil {
		return err
	}
	return d.changeData(ctx, dataset.Key(name), func(data []byte) ([]byte, error) {
		s, err := dataset.DecodeState(data)
		if err == nil {
			s, err = next(s)
		}
		if err != nil {
			return nil, err
		}
		return s.Encode()
	})
}

// changeData is change of any register. Data that stay as they are, or nil, are not
// written.
func (d *Datasets) changeData(ctx context.Context, key register.Key, next func(data []byte) ([]byte, error)) error {
	data, version, err := d.c.Registers.Get(ctx, key)
	if err != nil {
		return err
	}
	for try := range changesMax {
		b, err := next(data)
		if err != nil || b == nil || bytes.Equal(b, data) {
			return err
		}
		// Each is a change of its own: what became of the one before, the data tell.
		version, data, err = d.c.Registers.CAS(ctx, key, register.ChangeID(rand.Text()), version, b)
		switch {
		case err == nil:
			return nil
		case errors.Is(err, register.ErrUnknown):
			var again error
			if data, version, again = d.c.Registers.Get(ctx, key); again != nil {
				return errors.Join(err, again)
			}
		case !errors.Is(err, register.ErrConflict):
			return err
		}
		if err := delay.For(ctx, pause(try)); err != nil {
			return err
		}
	}
	return fmt.Errorf("%w: %d times", ErrBusy, changesMax)
}

// pause is of chance, so that those that change one register together take turns.
func pause(try int) time.Duration {
	longest := min(pauseFirst<<min(try, 10), pauseMax)
	return mrand.N(longest)
}

// Get is a version of a dataset, 0 the newest. The caller does not change it.
func (d *Datasets) Get(ctx context.Context, name string, version uint64) (*dataset.Manifest, error) {
	s, err := d.state(ctx, name)
	if err != nil {
		return nil, failed("read", name, err)
	}
	v, err := s.Find(version)
	if err != nil {
		return nil, failed("read", name, err)
	}
	m, err := d.manifest(ctx, v)
	return m, failed("read", name, err)
}

// manifest is that of a version.
func (d *Datasets) manifest(ctx context.Context, v collect.Version) (*dataset.Manifest, error) {
	if m := d.known(v.Manifest); m != nil {
		return m, nil
	}
	in, err := d.c.Uploads.Open(ctx, fs.UploadID(v.Manifest), nodesOf(v.Holders), 0, -1)
	if err != nil {
		return nil, err
	}
	defer in.Close()
	m, err := dataset.Decode(in)
	if err != nil {
		return nil, err
	}
	if m.Version != v.Number {
		return nil, fmt.Errorf("%w: the manifest of version %d says that it is of %d", dataset.ErrDamaged, v.Number, m.Version)
	}
	d.keep(v.Manifest, m)
	return m, nil
}

// known is a manifest that is kept in memory; nil: it is not.
func (d *Datasets) known(id repair.ID) *dataset.Manifest {
	d.mu.Lock()
	defer d.mu.Unlock()
	i := slices.IndexFunc(d.kept, func(k manifest) bool { return k.id == id })
	if i < 0 {
		return nil
	}
	k := d.kept[i]
	d.kept = slices.Insert(slices.Delete(d.kept, i, i+1), 0, k)
	return k.m
}

// keep keeps a manifest in place of those that were not used for longest.
func (d *Datasets) keep(id repair.ID, m *dataset.Manifest) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.kept = slices.DeleteFunc(d.kept, func(k manifest) bool { return k.id == id })
	d.kept = slices.Insert(d.kept, 0, manifest{id, m})
	weight := 0
	for i, k := range d.kept {
		weight += k.m.Weight()
		if i == keptMax || i > 0 && weight > weightMax {
			clear(d.kept[i:])
			d.kept = d.kept[:i]
			return
		}
	}
}

// Listed is a dataset that is there.
type Listed struct {
	Name    string
	Version uint64 // the newest
}

// List are all datasets, in order of name.
func (d *Datasets) List(ctx context.Context) ([]Listed, error) {
	names, err := d.names(ctx)
	if err != nil {
		return nil, err
	}
	return d.newest(ctx, names)
}

// names are those of all datasets that there ever were, in order.
func (d *Datasets) names(ctx context.Context) (names []string, err error) {
	for _, key := range dataset.IndexKeys() {
		data, _, err := d.c.Registers.Get(ctx, key)
		if err != nil {
			return nil, fmt.Errorf("datasets: list: %w", err)
		}
		some, err := dataset.DecodeIndex(data)
		if err != nil {
			return nil, fmt.Errorf("datasets: list: %w", err)
		}
		names = append(names, some...)
	}
	slices.Sort(names)
	return names, nil
}

// states are what the registers of datasets hold.
func (d *Datasets) states(ctx context.Context, names []string) ([]dataset.State, error) {
	states := make([]dataset.State, len(names))
	return states, each.Do(ctx, askedMax, len(names), func(ctx context.Context, i int) (err error) {
		states[i], err = d.state(ctx, names[i])
		return failed("list", names[i], err)
	})
}

// newest asks for the versions of datasets, and leaves out those that are not there.
func (d *Datasets) newest(ctx context.Context, names []string) (out []Listed, err error) {
	states, err := d.states(ctx, names)
	if err != nil {
		return nil, err
	}
	for i, name := range names {
		if v, ok := states[i].Current(); ok {
			out = append(out, Listed{name, v.Number})
		}
	}
	return out, nil
}

// Drop ends a dataset. Its versions can be read for a while yet. It is dataset.ErrNotOwner
// if it is another's.
func (d *Datasets) Drop(ctx context.Context, name string, by dataset.Writer) error {
	tried := false
	return failed("drop", name, d.change(ctx, name, func(s dataset.State) (dataset.State, error) {
		if _, ok := s.Current(); !ok && !tried {
			return s, dataset.ErrNotFound
		}
		if err := s.May(by); err != nil {
			return s, err
		}
		tried = true
		s.Ledger = s.Ledger.Drop(d.c.Now())
		return s, nil
	}))
}
