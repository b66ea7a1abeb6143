package sim

import (
	"bytes"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"io"
	"iter"
	"maps"
	"os"
	"slices"

	"github.com/pondmesh/pond/actors/api"
	"github.com/pondmesh/pond/actors/journal"
	"github.com/pondmesh/pond/actors/plan"
	"github.com/pondmesh/pond/fs"
	"github.com/pondmesh/pond/fs/register"
)

// disk is a node's: what was synced stays, what was not is lost at some power losses. It
// is the store of the journal, and keeps the keeper's state.
type disk struct {
	w       *world
	uploads map[fs.UploadID]*upload
	made    uint64
	owner   uint64 // makes ids unlike those of other disks
	keeper  register.State
	lazy    []register.Write // not synced: of a planted bug
}

type upload struct {
	info  fs.Info
	bytes []byte
	rot   bool
}

func (w *world) newDisk() *disk {
	w.checks.disks++
	return &disk{w: w, uploads: map[fs.UploadID]*upload{}, owner: w.checks.disks}
}

// powerLoss loses what was not synced: all, some or nothing of it.
func (d *disk) powerLoss() {
	for _, u := range d.all() {
		if !u.info.Durable && d.w.rng.IntN(2) == 0 {
			delete(d.uploads, u.info.ID)
		}
	}
	d.lazy = nil
}

// all is the uploads in the order of their making.
func (d *disk) all() []*upload {
	return slices.SortedFunc(maps.Values(d.uploads), func(a, b *upload) int { return bytes.Compare(a.info.ID[:], b.info.ID[:]) })
}

// records reports whether a record of the job is there.
func (d *disk) records(id plan.JobID) bool {
	for _, u := range d.uploads {
		var rec api.Record
		if u.info.Kind == "job" && json.Unmarshal(u.info.Attrs, &rec) == nil && rec.Spec.ID == id {
			return true
		}
	}
	return false
}

// load is the keeper's state as a start finds it.
func (d *disk) load() register.State {
	s := register.State{ID: d.keeper.ID, Roster: d.keeper.Roster, Cells: maps.Clone(d.keeper.Cells)}
	for _, wr := range d.lazy {
		apply(&s, wr)
	}
	return s
}

// keep makes a keeper's write durable.
func (d *disk) keep(wr register.Write) {
	if d.w.bug == NoSync {
		d.lazy = append(d.lazy, wr)
		return
	}
	apply(&d.keeper, wr)
}

func apply(s *register.State, wr register.Write) {
	if wr.Roster != nil {
		s.Roster = *wr.Roster
		return
	}
	if s.Cells == nil {
		s.Cells = map[register.Key]register.Cell{}
	}
	s.Cells[wr.Key] = wr.Cell
}

// Create implements journal.Store.
func (d *disk) Create(kind string) (journal.Upload, error) { return &draft{d: d, kind: kind}, nil }

// Note implements journal.Store.
func (d *disk) Note(kind string, facts []byte, durable bool) (fs.Info, error) {
	return (&draft{d: d, kind: kind}).Commit(facts, durable)
}

// List implements journal.Store.
func (d *disk) List(kind string) iter.Seq2[fs.Info, error] {
	return func(yield func(fs.Info, error) bool) {
		for _, u := range d.all() {
			if u.info.Kind == kind && !yield(u.info, nil) {
				return
			}
		}
	}
}

// Reader implements journal.Store.
func (d *disk) Reader(id fs.UploadID) (journal.Reader, error) {
	u := d.uploads[id]
	if u == nil {
		return nil, fmt.Errorf("upload %s: %w", id, fs.ErrNotFound)
	}
	return reader{u}, nil
}

// Delete implements journal.Store.
func (d *disk) Delete(ids ...fs.UploadID) error {
	for _, id := range ids {
		delete(d.uploads, id)
	}
	return nil
}

type draft struct {
	d    *disk
	kind string
	buf  bytes.Buffer
}

func (u *draft) Write(p []byte) (int, error) { return u.buf.Write(p) }

// File, Room and Adopt are for processes: there are none.
func (u *draft) File() (*os.File, error) { return nil, fs.ErrInvalid }
func (u *draft) Room() error             { return nil }
func (u *draft) Adopt(fs.Sums) error     { return fs.ErrInvalid }
func (u *draft) Abort() error            { return nil }

func (u *draft) Commit(facts []byte, durable bool) (fs.Info, error) {
	d := u.d
	d.made++
	info := fs.Info{Kind: u.kind, Size: int64(u.buf.Len()), Attrs: bytes.Clone(facts), Durable: durable && d.w.bug != NoSync}
	binary.BigEndian.PutUint64(info.ID[:8], d.owner)
	binary.BigEndian.PutUint64(info.ID[8:], d.made)
	d.uploads[info.ID] = &upload{info: info, bytes: bytes.Clone(u.buf.Bytes())}
	return info, nil
}

type reader struct{ u *upload }

func (r reader) ReadAt(p []byte, off int64) (int, error) {
	if r.u.rot {
		return 0, fmt.Errorf("upload %s: %w", r.u.info.ID, fs.ErrCorrupt)
	}
	return bytes.NewReader(r.u.bytes).ReadAt(p, off)
}

func (r reader) Info() fs.Info  { return r.u.info }
func (r reader) Size() int64    { return r.u.info.Size }
func (r reader) File() *os.File { return nil }
func (r reader) Close() error   { return nil }

// bytesOf is all of an upload.
func (d *disk) bytesOf(id string) ([]byte, error) {
	key, err := fs.ParseUploadID(id)
	if err != nil {
		return nil, err
	}
	r, err := d.Reader(key)
	if err != nil {
		return nil, err
	}
	return io.ReadAll(io.NewSectionReader(r, 0, r.Size()))
}
