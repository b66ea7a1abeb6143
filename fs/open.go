package fs

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"syscall"
	"time"

	"github.com/cockroachdb/pebble/v2"
	"github.com/cockroachdb/pebble/v2/vfs"
)

// ownerMax bounds the bytes read of an OWNER file.
const ownerMax = 256

// dirLock is the store's hold on its folder.
type dirLock struct{ closer io.Closer }

// lockDir locks the folder, or names its owner. The owner is written to a file of
// its own: Pebble's Lock truncates the file that it locks.
func lockDir(fs vfs.FS, dir string, now time.Time) (*dirLock, error) {
	owner := fs.PathJoin(dir, "OWNER")
	closer, err := fs.Lock(fs.PathJoin(dir, "LOCK"))
	if err != nil {
		var errno syscall.Errno
		if errors.As(err, &errno) && errno != syscall.EAGAIN {
			return nil, notWritable(err)
		}
		return nil, fmt.Errorf("%w by %s", ErrLocked, readOwner(fs, owner))
	}
	f, err := fs.Create(owner, writeCategory)
	if err == nil {
		_, err = fmt.Fprintf(f, "process %d since %s", os.Getpid(), now.UTC().Format(time.RFC3339))
		err = errors.Join(err, f.Close())
	}
	if err != nil {
		return nil, errors.Join(notWritable(err), closer.Close())
	}
	return &dirLock{closer}, nil
}

func readOwner(fs vfs.FS, name string) string {
	f, err := fs.Open(name)
	if err != nil {
		return "another process"
	}
	defer f.Close()
	b, _ := io.ReadAll(io.LimitReader(f, ownerMax))
	if s := strings.TrimSpace(string(b)); s != "" {
		return s
	}
	return "another process"
}

func (l *dirLock) release() error { return l.closer.Close() }

// notWritable adds ErrReadOnly to an error of permission.
func notWritable(err error) error {
	if errors.Is(err, os.ErrPermission) {
		return fmt.Errorf("%w: %w", ErrReadOnly, err)
	}
	return err
}

// recover makes the data folder agree with the index, and counts.
func (s *Store) recover(ctx context.Context) error {
	names, err := s.fs.List(s.data)
	if err != nil {
		return err
	}
	if err := s.checkFormat(len(names)); err != nil {
		return err
	}
	known := make(map[UploadID]bool)
	var torn []UploadID
	for after := (*UploadID)(nil); ; {
		if err := ctx.Err(); err != nil {
			return err
		}
		page, err := s.index.page(after, listPage)
		if err != nil {
			return err
		}
		for _, info := range page {
			if s.intact(info) {
				known[info.ID] = true
				s.use(info.Size, 1)
			} else {
				torn = append(torn, info.ID)
			}
		}
		if len(page) < listPage {
			break
		}
		after = &page[len(page)-1].ID
	}
	if err := s.forget(torn); err != nil {
		return err
	}
	return s.removeUnknown(ctx, names, known)
}

// checkFormat refuses a folder of another format, and one with data whose index
// is gone: to go on would delete every file as uncommitted.
func (s *Store) checkFormat(files int) error {
	v, closer, err := s.index.db.Get([]byte{keyFormat})
	switch {
	case err == nil:
		defer closer.Close()
		if !bytes.Equal(v, []byte{folderFormat}) {
			return fmt.Errorf("folder has format %d, this program knows %d", v, folderFormat)
		}
		return nil
	case !errors.Is(err, pebble.ErrNotFound):
		return indexError(err)
	case files > 0:
		return fmt.Errorf("%w: the index is missing, but there are %d files of data", ErrCorrupt, files)
	}
	// The folders' own names, which the first durable commit relies on: any of those above
	// may be as new.
	for _, dir := range []string{s.dir, s.fs.PathDir(s.dir)} {
		if err := s.syncFolder(dir); err != nil && !errors.Is(err, os.ErrPermission) {
			return err
		}
	}
	for dir := s.fs.PathDir(s.dir); dir != s.fs.PathDir(dir); dir = s.fs.PathDir(dir) {
		if err := s.syncFolder(s.fs.PathDir(dir)); err != nil { // which may not even be ours to open
			s.log.Debug("a folder above the store is not synced", "err", err)
		}
	}
	b := s.index.db.NewBatch()
	defer b.Close()
	if err := b.Set([]byte{keyFormat}, []byte{folderFormat}, nil); err != nil {
		return err
	}
	return s.index.apply(b, true)
}

// intact reports whether an upload is to be kept. The size is all that can be
// checked without reading everything; readers check the rest. One without bytes needs
// no file.
func (s *Store) intact(info Info) bool {
	if info.Size == 0 {
		return true
	}
	fi, err := s.fs.Stat(s.file(info.ID))
	if err == nil && fi.Size() == info.Size {
		return true
	}
	if err == nil {
		err = fmt.Errorf("%d bytes on disk, %d committed", fi.Size(), info.Size)
	}
	if info.Durable {
		s.log.Error("durable upload is damaged", "upload", info.ID, "kind", info.Kind, "err", err)
		return true
	}
	s.log.Warn("dropped upload torn by a crash", "upload", info.ID, "kind", info.Kind, "err", err)
	return false
}

// forget drops torn uploads from the index before their files go.
func (s *Store) forget(ids []UploadID) error {
	for len(ids) > 0 {
		n := min(len(ids), deleteIDsMax)
		b := s.index.db.NewBatch()
		for _, id := range ids[:n] {
			if err := s.index.drop(b, id, unknownSize); err != nil {
				return errors.Join(err, b.Close())
			}
		}
		if err := errors.Join(s.index.apply(b, true), b.Close()); err != nil {
			return err
		}
		ids = ids[n:]
	}
	return nil
}

// removeUnknown removes the files that no committed upload owns. What does not
// look like ours is left alone.
func (s *Store) removeUnknown(ctx context.Context, names []string, known map[UploadID]bool) error {
	removed := 0
	for _, name := range names {
		if err := ctx.Err(); err != nil {
			return err
		}
		id, err := ParseUploadID(name)
		if err != nil {
			s.log.Warn("file in the data folder is not ours", "name", name)
			continue
		}
		if known[id] {
			continue
		}
		if err := s.fs.Remove(s.file(id)); err != nil {
			return err
		}
		removed++
	}
	if removed > 0 {
		s.log.Info("removed uncommitted uploads", "count", removed)
	}
	return nil
}
