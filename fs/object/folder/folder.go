// Package folder is a folder of the file system as a place of objects: a local one,
// NFS, a mounted 3FS. Names are paths below it, after a prefix. A version is a file's
// size, time of change and inode.
//
// Writers take turns by a lock on a file in it, so that a version that is to be replaced
// is that version still; those that do not go through this package are not held back.
//
// It refuses names that lead out of the folder, over links too. Read Open next.
package folder

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	iofs "io/fs"
	"os"
	"path"
	"slices"
	"strings"
	"syscall"
	"time"

	"github.com/pondmesh/pond/fs/object"
)

// Folder is a folder as a place of objects.
type Folder struct {
	prefix string // what names begin with, as "file://store/"
	root   *os.Root
}

// Open opens the folder of a path. Names of its objects are its paths after prefix.
func Open(dir, prefix string) (*Folder, error) {
	root, err := os.OpenRoot(dir)
	if err != nil {
		return nil, err
	}
	return &Folder{prefix: prefix, root: root}, nil
}

// Close closes the folder; what was opened stays readable.
func (f *Folder) Close() error { return f.root.Close() }

var _ object.Sink = (*Folder)(nil)

// drafts is how the names of files begin that are being put: no objects yet.
const drafts = ".pond-put-"

// Find lists the files that a pattern means.
func (f *Folder) Find(ctx context.Context, pattern string) ([]object.Object, error) {
	key, err := f.key("find", pattern)
	if err != nil {
		return nil, err
	}
	if ctx.Err() != nil {
		return nil, context.Cause(ctx)
	}
	var found []object.Object
	if key != object.Prefix(key) {
		if found, err = f.list(ctx, pattern, key); err != nil {
			return nil, err
		}
	}
	if len(found) == 0 { // a file may be called *
		o, err := f.stat("find", f.prefix+key, key)
		return []object.Object{o}, err
	}
	slices.SortFunc(found, func(a, b object.Object) int { return strings.Compare(a.Name, b.Name) })
	return found, nil
}

// list walks the folders that a pattern can mean files of.
func (f *Folder) list(ctx context.Context, pattern, key string) ([]object.Object, error) {
	if err := object.CheckPattern(pattern); err != nil {
		return nil, err
	}
	var found []object.Object
	err := iofs.WalkDir(f.root.FS(), path.Dir(object.Prefix(key)+"x"), func(p string, d iofs.DirEntry, err error) error {
		switch {
		case ctx.Err() != nil:
			return context.Cause(ctx)
		case err != nil && (errors.Is(err, iofs.ErrNotExist) || errors.Is(err, iofs.ErrPermission)):
			return nil
		case err != nil || d.IsDir() || strings.HasPrefix(d.Name(), drafts) || !object.Match(key, p):
			return err
		}
		if o, err := f.stat("find", f.prefix+p, p); err == nil {
			found = append(found, o)
		} else if !errors.Is(err, object.ErrNotFound) {
			return err
		}
		return nil
	})
	if err != nil && ctx.Err() == nil && !errors.As(err, new(*object.Error)) {
		err = failed("find", pattern, err)
	}
	return found, err
}

// Open reads a range of a file.
func (f *Folder) Open(ctx context.Context, o object.Object, off, n int64) (io.ReadCloser, error) {
	key, err := f.key("read", o.Name)
	if err != nil {
		return nil, err
	}
	if err := object.CheckRange(o, off, n); err != nil {
		return nil, err
	}
	if ctx.Err() != nil {
		return nil, context.Cause(ctx)
	}
	file, err := f.root.Open(key)
	if err != nil {
		return nil, failed("read", o.Name, err)
	}
	info, err := file.Stat()
	if err == nil && version(info) != o.Version {
		err = &object.Error{Op: "read", Name: o.Name, Kind: object.ErrChanged}
	}
	if err != nil {
		file.Close()
		return nil, failed("read", o.Name, err)
	}
	return object.Exactly(o, section{io.NewSectionReader(file, off, n), file}, n), nil
}

type section struct {
	*io.SectionReader
	io.Closer
}

// Put writes a file beside its place, and then names it.
func (f *Folder) Put(ctx context.Context, name string, r io.Reader, size int64, when object.If) (object.Object, error) {
	key, err := f.key("write", name)
	if err != nil {
		return object.Object{}, err
	}
	if err := f.mkdir(path.Dir(key)); err != nil {
		return object.Object{}, f.unwritten(name, key, err)
	}
	draft := path.Dir(key) + "/" + drafts + rand.Text()
	defer f.root.Remove(draft)
	if err := f.write(ctx, draft, r, size); err != nil {
		return object.Object{}, failed("write", name, err)
	}
	o, err := f.stat("write", name, draft) // its version is the file's, whatever it is called
	if err != nil {
		return o, err
	}
	if err := f.show(ctx, draft, name, key, when); err != nil {
		return object.Object{}, f.unwritten(name, key, err)
	}
	return o, failed("write", name, f.sync(path.Dir(key)))
}

// show names a draft. A link is made only where there is nothing; whoever else changes
// what a name means has the lock, so that a version that was looked at is still there.
func (f *Folder) show(ctx context.Context, draft, name, key string, when object.If) error {
	if when.Absent {
		return f.root.Link(draft, key)
	}
	unlock, err := f.lock(ctx)
	if err != nil {
		return err
	}
	defer unlock()
	if when.Version != "" {
		if o, err := f.stat("write", name, key); err != nil && !errors.Is(err, object.ErrNotFound) {
			return err
		} else if o.Version != when.Version {
			return &object.Error{Op: "write", Name: name, Kind: object.ErrChanged}
		}
	}
	return f.root.Rename(draft, key)
}

// Delete removes a file. Folders stay.
func (f *Folder) Delete(ctx context.Context, name string) error {
	key, err := f.key("delete", name)
	if err != nil {
		return err
	}
	unlock, err := f.lock(ctx)
	if err != nil {
		return failed("delete", name, err)
	}
	defer unlock()
	if _, err := f.stat("delete", name, key); errors.Is(err, object.ErrNotFound) {
		return nil
	}
	if err := f.root.Remove(key); err != nil {
		return failed("delete", name, err)
	}
	return failed("delete", name, f.sync(path.Dir(key)))
}

// lockPoll is how often a lock that another has is asked for.
const lockPoll = 2 * time.Millisecond

// lock has those who replace and delete files here take turns, other processes and, by
// file systems such as NFS, other machines too. They hold it for a moment.
func (f *Folder) lock(ctx context.Context) (unlock func(), err error) {
	file, err := f.root.OpenFile(drafts+"lock", os.O_RDWR|os.O_CREATE, 0o666)
	if err != nil {
		return nil, err
	}
	for {
		err := syscall.Flock(int(file.Fd()), syscall.LOCK_EX|syscall.LOCK_NB)
		switch {
		case err == nil:
			return func() { file.Close() }, nil // which ends it
		case ctx.Err() != nil:
			err = context.Cause(ctx)
		case errors.Is(err, syscall.EINTR):
			continue
		case errors.Is(err, syscall.EWOULDBLOCK):
			select {
			case <-ctx.Done():
			case <-time.After(lockPoll):
			}
			continue
		}
		file.Close()
		return nil, err
	}
}

// mkdir makes a folder and those above it, durably.
func (f *Folder) mkdir(dir string) error {
	info, err := f.root.Stat(dir)
	switch {
	case err == nil && !info.IsDir():
		return syscall.ENOTDIR
	case err == nil || !errors.Is(err, iofs.ErrNotExist):
		return err
	}
	if err := f.mkdir(path.Dir(dir)); err != nil {
		return err
	}
	if err := f.root.Mkdir(dir, 0o755); err != nil && !errors.Is(err, iofs.ErrExist) { // another may have made it
		return err
	}
	return f.sync(path.Dir(dir))
}

// sync makes the names in a folder durable.
func (f *Folder) sync(dir string) error {
	d, err := f.root.Open(dir)
	if err != nil {
		return err
	}
	defer d.Close()
	if err := d.Sync(); err != nil && !errors.Is(err, syscall.EINVAL) { // some file systems have no such thing
		return err
	}
	return nil
}

// unwritten is the error of a name that could not be made. It exists if it is an object's:
// neither a folder is one, nor a name below a file.
func (f *Folder) unwritten(name, key string, err error) error {
	if !errors.Is(err, iofs.ErrExist) && !errors.Is(err, syscall.ENOTDIR) {
		return failed("write", name, err)
	}
	if info, look := f.root.Stat(key); look == nil && info.Mode().IsRegular() {
		return failed("write", name, err)
	}
	return &object.Error{Op: "write", Name: name, Kind: object.ErrName, Detail: "a folder has this name, or a file that of a folder in it"}
}

func (f *Folder) write(ctx context.Context, draft string, r io.Reader, size int64) error {
	file, err := f.root.OpenFile(draft, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o644)
	if err != nil {
		return err
	}
	defer file.Close()
	if _, err := io.CopyN(file, r, size); err != nil {
		return err
	}
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	if err := file.Sync(); err != nil {
		return err
	}
	return file.Close()
}

// key is a name's path below the folder.
func (f *Folder) key(op, name string) (string, error) {
	key, ok := strings.CutPrefix(name, f.prefix)
	if !ok || !iofs.ValidPath(key) || key == "." {
		return "", &object.Error{Op: op, Name: name, Kind: object.ErrName, Detail: "names here are " + f.prefix + "PATH"}
	}
	return key, nil
}

func (f *Folder) stat(op, name, key string) (object.Object, error) {
	info, err := f.root.Stat(key)
	if err == nil && !info.Mode().IsRegular() {
		err = iofs.ErrNotExist
	}
	if err != nil {
		return object.Object{}, failed(op, name, err)
	}
	return object.Object{Name: name, Size: info.Size(), Version: version(info), ModTime: info.ModTime()}, nil
}

// version tells the contents of a path apart: a file that is replaced has another
// inode, one that is written to another time.
func version(info iofs.FileInfo) string {
	inode := uint64(0)
	if st, ok := info.Sys().(*syscall.Stat_t); ok {
		inode = st.Ino
	}
	return fmt.Sprintf("%x-%x-%x", info.ModTime().UnixNano(), info.Size(), inode)
}

// failed is err, of the system, as an object's.
func failed(op, name string, err error) error {
	if err == nil || errors.As(err, new(*object.Error)) {
		return err
	}
	e := &object.Error{Op: op, Name: name, Kind: object.ErrUnavailable, Detail: err.Error()}
	switch {
	case errors.Is(err, iofs.ErrExist):
		e.Kind, e.Detail = object.ErrExists, ""
	case errors.Is(err, iofs.ErrNotExist), errors.Is(err, syscall.ENOTDIR):
		e.Kind, e.Detail = object.ErrNotFound, ""
	case errors.Is(err, iofs.ErrPermission):
		e.Kind = object.ErrDenied
	case strings.Contains(err.Error(), "path escapes"):
		e.Kind = object.ErrDenied
	}
	return e
}
