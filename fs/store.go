package fs

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"log/slog"
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/pondmesh/pond/fs/faults"
)

// Limits.
const (
	AttrsMax = 64 << 10 // bytes of Info.Attrs
	KindMax  = 32       // bytes of Info.Kind
	SizeMax  = 1 << 40  // bytes of an upload

	uploadsOpenMax = 4096 // uploads being written at once: each holds a descriptor
	deleteIDsMax   = 4096 // ids of one index batch
	listPage       = 256  // uploads read from the index at a time
)

// minFreeDefault is left free for the index, which cannot go on without space.
const minFreeDefault = 64 << 20

// Options configure Open; the zero value is right for most.
type Options struct {
	Log *slog.Logger     // nil: silent
	Now func() time.Time // nil: time.Now
	// MinFree is how many bytes must stay free on the disk: Create and Write
	// answer ErrNoSpace below. 0: 64 MiB. Negative: no limit.
	MinFree int64
	// FS replaces the operating system's files in tests of crashes. Path and
	// Reader.File need the real one.
	FS vfs.FS
	// Faults happen where they are armed; nil: nowhere.
	Faults *faults.Injector
	// Claims are shared with the other stores of a node; nil: the store's own.
	Claims *Claims
}

// Files is FS, or the operating system's.
func (o *Options) Files() vfs.FS {
	if o.FS == nil {
		return vfs.Default
	}
	return o.FS
}

// Store is a folder of write-once uploads. Its methods may be called from many
// goroutines at once.
type Store struct {
	dir, data string
	id        string
	fs        vfs.FS
	real      bool // fs is the operating system's
	now       func() time.Time
	log       *slog.Logger
	minFree   int64
	faults    *faults.Injector

	lock    *dirLock
	index   *index
	writer  *committer
	frames  sync.Pool // *[FrameSize]byte
	uploads atomic.Int64
	claims  *Claims

	quarantining sync.Mutex // one upload is put aside at a time: two may find the same one damaged

	// reserved is what copies being written have still to write, in bytes.
	reserved atomic.Int64

	mu          sync.RWMutex // held shared while the index is in use, alone to close it
	closed      bool
	usageMu     sync.Mutex
	bytes       int64
	count       int64
	closeResult error
}

// Open opens or creates the store in dir. It removes uncommitted uploads that a
// crash left, and recomputable ones (committed without durable) whose file is
// missing or short. A durable one in that state is kept and logged: reading it
// returns ErrCorrupt. The store locks dir: ErrLocked while another has it. The
// caller calls Close.
func Open(ctx context.Context, dir string, o Options) (*Store, error) {
	s := &Store{fs: o.FS, now: o.Now, log: o.Log, minFree: o.MinFree, faults: o.Faults, claims: o.Claims}
	if s.claims == nil {
		s.claims = new(Claims)
	}
	if s.now == nil {
		s.now = time.Now
	}
	if s.log == nil {
		s.log = slog.New(slog.DiscardHandler)
	}
	if s.minFree == 0 {
		s.minFree = minFreeDefault
	}
	s.frames.New = func() any { return new([FrameSize]byte) }
	if err := s.open(ctx, dir); err != nil {
		return nil, fmt.Errorf("fs: open %s: %w", dir, classify(err))
	}
	return s, nil
}

func (s *Store) open(ctx context.Context, dir string) (err error) {
	if s.fs == nil {
		s.fs, s.real = vfs.Default, true
	}
	if s.dir, err = s.makeFolders(dir); err != nil {
		return err
	}
	s.data = s.fs.PathJoin(s.dir, "data")
	if s.lock, err = lockDir(s.fs, s.dir, s.now()); err != nil {
		return err
	}
	s.index, err = openIndex(faulty(s.fs, s.faults, faults.StoreWrite, faults.StoreSync), s.dir, s.log)
	if err != nil {
		return errors.Join(err, s.lock.release())
	}
	if err = s.recover(ctx); err == nil {
		s.id, err = s.drawID()
	}
	if err != nil {
		return errors.Join(err, s.index.close(), s.lock.release())
	}
	s.writer = startCommitter(s)
	return nil
}

// makeFolders makes the store's folders and returns dir without symbolic links:
// the lock is by name within a process, so one folder must have one name.
func (s *Store) makeFolders(dir string) (string, error) {
	if s.real {
		abs, err := filepath.Abs(dir)
		if err != nil {
			return "", err
		}
		dir = abs
	}
	if err := s.fs.MkdirAll(s.fs.PathJoin(dir, "data"), 0o700); err != nil {
		return "", notWritable(err)
	}
	if s.real {
		return filepath.EvalSymlinks(dir)
	}
	return dir, nil
}

// Close ends the store. Uploads still open fail with ErrClosed and are dropped
// by the next Open; open Readers keep working.
func (s *Store) Close() error {
	s.writer.stop()
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return s.closeResult
	}
	s.closed = true
	err := s.index.close()
	if cause := s.index.failed(); cause != nil {
		err = fmt.Errorf("%w: %w", ErrOffline, cause)
	}
	if err = errors.Join(err, s.lock.release()); err != nil {
		s.closeResult = fmt.Errorf("fs: close %s: %w", s.dir, err)
	}
	return s.closeResult
}

// enter holds the index open until leave; it fails when the store is closed or
// offline.
func (s *Store) enter() error {
	s.mu.RLock()
	err := s.usable()
	if err != nil {
		s.mu.RUnlock()
	}
	return err
}

func (s *Store) leave() { s.mu.RUnlock() }

func (s *Store) usable() error {
	if cause := s.index.failed(); cause != nil {
		return fmt.Errorf("%w: %w", ErrOffline, cause)
	}
	if s.closed {
		return ErrClosed
	}
	return nil
}

// Err is nil while the store works, ErrOffline with the cause when it does not.
func (s *Store) Err() error {
	if err := s.enter(); err != nil {
		return fmt.Errorf("fs: %w", err)
	}
	s.leave()
	return nil
}

// Stat describes a committed upload, or returns ErrNotFound.
func (s *Store) Stat(id UploadID) (Info, error) {
	if err := s.enter(); err != nil {
		return Info{}, fmt.Errorf("fs: stat %s: %w", id, err)
	}
	defer s.leave()
	info, err := s.index.info(id)
	if err != nil {
		return Info{}, fmt.Errorf("fs: stat %s: %w", id, err)
	}
	return info, nil
}

// List yields the committed uploads of a kind ("" for all), in no useful order.
// What is committed or deleted meanwhile may or may not be seen. The loop's body
// may call the store. After an error, which comes with a zero Info, the list ends.
func (s *Store) List(kind string) iter.Seq2[Info, error] {
	return func(yield func(Info, error) bool) {
		for info, err := range s.within([]byte{keyUpload}, []byte{keyUpload + 1}) {
			if (err != nil || kind == "" || info.Kind == kind) && !yield(info, err) {
				return
			}
		}
	}
}

// within yields the uploads whose keys are from lower to below upper, in order, a page
// at a time: between pages the loop's body may call the store.
func (s *Store) within(lower, upper []byte) iter.Seq2[Info, error] {
	return func(yield func(Info, error) bool) {
		for lower := lower; ; {
			page, err := s.page(lower, upper)
			for _, info := range page {
				if !yield(info, nil) {
					return
				}
			}
			if err != nil {
				yield(Info{}, fmt.Errorf("fs: list: %w", err))
				return
			}
			if len(page) < listPage {
				return
			}
			lower = append(uploadKey(page[len(page)-1].ID), 0)
		}
	}
}

func (s *Store) page(lower, upper []byte) ([]Info, error) {
	if err := s.enter(); err != nil {
		return nil, err
	}
	defer s.leave()
	return s.index.pageIn(lower, upper, listPage)
}

// Room is ErrNoSpace when the disk is fuller than the options allow: no upload begins. Its
// text is for people.
func (s *Store) Room() error { return s.checkFree() }

// Space is what there is of a disk.
type Space struct {
	Free, Total int64  // bytes; Free is without what the store keeps free
	Device      uint64 // stores of one file system have the same; 0: not known
}

// Space looks at the store's disk.
func (s *Store) Space() (Space, error) {
	u, err := s.fs.GetDiskUsage(s.data)
	if err != nil {
		return Space{}, fmt.Errorf("fs: disk of %s: %w", s.dir, err)
	}
	out := Space{Free: max(0, int64(u.AvailBytes)-max(0, s.minFree)), Total: int64(u.TotalBytes)}
	if s.real {
		if fi, err := os.Stat(s.data); err == nil {
			out.Device = device(fi)
		}
	}
	return out, nil
}

// Usage is the committed uploads' bytes and count.
func (s *Store) Usage() (bytes, count int64) {
	s.usageMu.Lock()
	defer s.usageMu.Unlock()
	return s.bytes, s.count
}

func (s *Store) use(bytes, count int64) {
	s.usageMu.Lock()
	s.bytes += bytes
	s.count += count
	s.usageMu.Unlock()
}

// Delete removes uploads, permanently once it returns nil. Unknown ids are ignored,
// so it may be repeated. Open readers keep working.
func (s *Store) Delete(ids ...UploadID) error {
	for len(ids) > 0 {
		n := min(len(ids), deleteIDsMax)
		if err := s.deleteSome(ids[:n]); err != nil {
			return fmt.Errorf("fs: delete %d uploads: %w", len(ids), err)
		}
		ids = ids[n:]
	}
	return nil
}

func (s *Store) deleteSome(ids []UploadID) error {
	defer s.claims.leave(ids...)()
	return s.drop(&request{drop: ids, sync: true})
}

// drop has the index forget uploads, and removes their files.
func (s *Store) drop(r *request) error {
	// The index must forget on disk before a file goes: a crash in between leaves
	// a file that nobody knows (Open removes it), never a fact without a file.
	if err := s.writer.do(r); err != nil {
		return err
	}
	for _, id := range r.dropped {
		if err := s.fs.Remove(s.file(id)); err != nil && !errors.Is(err, os.ErrNotExist) {
			s.log.Warn("file of a deleted upload stays until the next open", "upload", id, "err", err)
		}
	}
	return nil
}

// Path is the file of a committed upload, for readers such as DuckDB that open
// files themselves. Its size has been checked, its checksums have not: see
// Verify. The file must not be written; it goes when the upload is deleted. An upload
// without bytes has none: ErrInvalid.
func (s *Store) Path(id UploadID) (string, error) {
	info, err := s.Stat(id)
	if err != nil {
		return "", err
	}
	if info.Size == 0 {
		return "", fmt.Errorf("fs: path %s: no bytes, so no file: %w", id, ErrInvalid)
	}
	switch fi, err := s.fs.Stat(s.file(id)); {
	case err != nil:
		return "", fmt.Errorf("fs: path %s: %w: %w", id, ErrCorrupt, err)
	case fi.Size() != info.Size:
		return "", fmt.Errorf("fs: path %s: %w: %d bytes on disk, %d committed", id, ErrCorrupt, fi.Size(), info.Size)
	}
	return s.file(id), nil
}

func (s *Store) file(id UploadID) string { return s.fs.PathJoin(s.data, id.String()) }
