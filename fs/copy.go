package fs

import (
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"iter"
	"os"
	"sync"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/dustin/go-humanize"
)

// KindBuried is the kind of a tombstone: an upload that was deleted for good. Its id
// never names bytes again in this store, as long as the tombstone is kept.
const KindBuried = "buried"

// Digest names an upload's size and checksums: two copies with one digest are the same
// bytes, unless somebody forges CRCs.
type Digest [sha256.Size]byte

func (d Digest) String() string { return hex.EncodeToString(d[:]) }

// ParseDigest reads what String wrote.
func ParseDigest(s string) (d Digest, err error) {
	b, err := hex.DecodeString(s)
	if err != nil || len(b) != len(d) {
		return d, fmt.Errorf("fs: digest %.80q: %w", s, ErrInvalid)
	}
	return Digest(b), nil
}

// Digest is that of the bytes so far.
func (s *Sums) Digest() Digest { return digestOf(s.Size, s.all()) }

func digestOf(size int64, crcs []uint32) Digest {
	b := make([]byte, 0, 8+4*len(crcs))
	b = binary.BigEndian.AppendUint64(b, uint64(size))
	for _, c := range crcs {
		b = binary.BigEndian.AppendUint32(b, c)
	}
	return sha256.Sum256(b)
}

// CRCs are the checksums of all frames, the Reader's own.
func (r *Reader) CRCs() []uint32 { return r.crcs }

// Digest is that of the upload.
func (r *Reader) Digest() Digest { return digestOf(r.info.Size, r.crcs) }

// Raw reads the upload's bytes without a look at their checksums, for those who send
// both on.
func (r *Reader) Raw() io.ReaderAt { return r.raw() }

// Claims are the ids that are being written or removed: a file is never begun while
// another of the same name is on its way out. Stores that share them write an id in one
// of them at a time. The zero value has none.
type Claims struct {
	mu     sync.Mutex
	coming map[UploadID]bool
	going  map[UploadID]int
}

// come claims an id for a new copy; false: it is coming or going already.
func (c *Claims) come(id UploadID) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.coming[id] || c.going[id] > 0 {
		return false
	}
	if c.coming == nil {
		c.coming = map[UploadID]bool{}
	}
	c.coming[id] = true
	return true
}

func (c *Claims) came(id UploadID) {
	c.mu.Lock()
	delete(c.coming, id)
	c.mu.Unlock()
}

// leave marks ids as being removed, until the returned function is called.
func (c *Claims) leave(ids ...UploadID) (gone func()) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.going == nil {
		c.going = map[UploadID]int{}
	}
	for _, id := range ids {
		c.going[id]++
	}
	return func() {
		c.mu.Lock()
		defer c.mu.Unlock()
		for _, id := range ids {
			if c.going[id]--; c.going[id] == 0 {
				delete(c.going, id)
			}
		}
	}
}

// CreateCopy begins a copy of another store's upload, under its id. Room for all of size
// is set aside first. ErrExists: the store has it, or its tombstone; ErrBusy: it is being
// written or removed right now, or too many uploads are.
func (s *Store) CreateCopy(id UploadID, kind string, size int64) (*Upload, error) {
	u, err := s.createCopy(id, kind, size)
	if err != nil {
		return nil, fmt.Errorf("fs: copy %s: %w", id, classify(err))
	}
	return u, nil
}

func (s *Store) createCopy(id UploadID, kind string, size int64) (*Upload, error) {
	if size < 0 || size > SizeMax {
		return nil, fmt.Errorf("%d bytes: %w", size, ErrInvalid)
	}
	if !s.claims.come(id) {
		return nil, ErrBusy
	}
	switch _, err := s.Stat(id); {
	case err == nil:
		s.claims.came(id)
		return nil, ErrExists
	case !errors.Is(err, ErrNotFound):
		s.claims.came(id)
		return nil, err
	}
	if err := s.setAside(size); err != nil {
		s.claims.came(id)
		return nil, err
	}
	u, err := s.begin(id, kind)
	if err != nil {
		s.reserved.Add(-size)
		s.claims.came(id)
		return nil, err
	}
	u.copy, u.aside = true, size
	return u, nil
}

// setAside reserves bytes of the disk among the copies that are being written.
func (s *Store) setAside(size int64) error {
	all := s.reserved.Add(size)
	if s.minFree < 0 {
		return nil
	}
	u, err := s.fs.GetDiskUsage(s.data)
	if err != nil || u.AvailBytes >= uint64(s.minFree)+uint64(all) { // not known here: the write itself will tell
		return nil
	}
	s.reserved.Add(-size)
	return fmt.Errorf("%w: %s free on the disk of %s, where %s are kept free, and copies under way take %s",
		ErrNoSpace, humanize.IBytes(u.AvailBytes), s.dir, humanize.IBytes(uint64(s.minFree)), humanize.IBytes(uint64(all)))
}

// wrote takes n bytes, which are on the disk now, off what is set aside for a copy.
func (u *Upload) wrote(n int) error {
	if !u.copy {
		return nil
	}
	if int64(n) > u.aside {
		return fmt.Errorf("more bytes than the copy was to have: %w", ErrInvalid)
	}
	u.aside -= int64(n)
	u.s.reserved.Add(-int64(n))
	return nil
}

// let ends the upload's hold on an id, room and a place among those being written.
func (u *Upload) let() {
	u.s.uploads.Add(-1)
	if u.copy {
		u.s.reserved.Add(-u.aside)
		u.s.claims.came(u.id)
	}
}

// Sums are those of the bytes so far. They share memory with the upload.
func (u *Upload) Sums() Sums { return u.sums }

// Written opens what has been written for reading, while more is. It keeps working when
// the upload ends. The caller closes it.
func (u *Upload) Written() (vfs.File, error) {
	f, err := u.s.fs.Open(u.s.file(u.id))
	if err != nil {
		return nil, fmt.Errorf("fs: read %s: %w", u.id, classify(err))
	}
	return f, nil
}

// Keep makes an upload that is there another kind, and durable: its bytes are checked
// and fsynced first.
func (s *Store) Keep(id UploadID, kind string) error {
	if err := s.keep(id, kind); err != nil {
		return fmt.Errorf("fs: keep %s: %w", id, classify(err))
	}
	return nil
}

func (s *Store) keep(id UploadID, kind string) error {
	if err := checkFacts(kind, nil); err != nil {
		return err
	}
	r, err := s.Reader(id)
	if err != nil {
		return err
	}
	defer r.Close()
	if _, err := io.Copy(io.Discard, io.NewSectionReader(r, 0, r.Size())); err != nil {
		return err
	}
	if r.Size() > 0 {
		f, err := s.fs.OpenReadWrite(s.file(id), writeCategory)
		if err != nil {
			return err
		}
		if err := f.Sync(); err != nil {
			return errors.Join(s.syncFailed(err), f.Close())
		}
		if err := f.Close(); err != nil {
			return err
		}
	}
	info := r.Info()
	info.Kind, info.Durable = kind, true
	return s.writer.do(&request{put: &info, again: true, file: info.Size > 0, sync: true})
}

// Bury deletes uploads for good, whether they are here or not: a tombstone since a time
// stays, so that no copy comes back. It is durable when it returns nil.
func (s *Store) Bury(since time.Time, ids ...UploadID) error {
	for _, id := range ids {
		gone := s.claims.leave(id)
		info := Info{ID: id, Kind: KindBuried, Durable: true, Committed: since.UTC()}
		err := s.drop(&request{drop: []UploadID{id}, put: &info, sync: true})
		gone()
		if err != nil {
			return fmt.Errorf("fs: bury %s: %w", id, err)
		}
	}
	return nil
}

// Quarantine takes an upload whose bytes were found damaged out of use. Its file is kept
// aside, for people, until a good copy is here again. seen is what Stat told before the
// bytes were read, or its ID if that could not be told: ErrNotFound when that copy has gone
// meanwhile, whether or not another has come.
func (s *Store) Quarantine(seen Info) error {
	if err := s.quarantine(seen); err != nil {
		return fmt.Errorf("fs: quarantine %s: %w", seen.ID, classify(err))
	}
	return nil
}

// quarantine moves the file before the index forgets it: a crash in between leaves a
// durable upload without a file, which is as corrupt as it was.
func (s *Store) quarantine(seen Info) error {
	id := seen.ID
	s.quarantining.Lock()
	defer s.quarantining.Unlock()
	defer s.claims.leave(id)()
	switch now, err := s.Stat(id); {
	case err != nil && !errors.Is(err, ErrCorrupt):
		return err
	case err == nil && !now.Committed.Equal(seen.Committed):
		return ErrNotFound
	}
	if err := s.fs.MkdirAll(s.aside(), 0o700); err != nil {
		return err
	}
	if err := s.fs.Rename(s.file(id), s.asideFile(id)); err != nil && !errors.Is(err, os.ErrNotExist) {
		return err
	}
	return s.drop(&request{drop: []UploadID{id}, sync: true})
}

// Quarantined are the uploads whose damaged files are kept aside.
func (s *Store) Quarantined() (ids []UploadID, err error) {
	names, err := s.fs.List(s.aside())
	if err != nil && !errors.Is(err, os.ErrNotExist) {
		return nil, fmt.Errorf("fs: quarantine: %w", classify(err))
	}
	for _, n := range names {
		if id, err := ParseUploadID(n); err == nil {
			ids = append(ids, id)
		}
	}
	return ids, nil
}

func (s *Store) aside() string                { return s.fs.PathJoin(s.dir, "quarantine") }
func (s *Store) asideFile(id UploadID) string { return s.fs.PathJoin(s.aside(), id.String()) }

// healed drops the damaged file of an upload that is here again.
func (s *Store) healed(id UploadID) {
	if err := s.fs.Remove(s.asideFile(id)); err != nil && !errors.Is(err, os.ErrNotExist) {
		s.log.Warn("the damaged file of an upload that is whole again stays", "upload", id, "err", err)
	}
}

// Between yields the committed uploads with ids from one to another, both included, in
// order, as List does.
func (s *Store) Between(from, to UploadID) iter.Seq2[Info, error] {
	return s.within(uploadKey(from), append(uploadKey(to), 0))
}
