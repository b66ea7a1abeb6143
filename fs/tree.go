package fs

import (
	"context"
	"errors"
	"fmt"
	"io"
	iofs "io/fs"
	"os"
	"path/filepath"
	"slices"

	"golang.org/x/sys/unix"
)

// carry makes every file of one folder also a file of another, by hard link. Of
// two different files of one name the later one stays. Sealed files are never
// replaced. It can be repeated.
func (s *Staging) carry(ctx context.Context, seal *sealFacts, from, to string) error {
	return filepath.WalkDir(from, func(path string, d iofs.DirEntry, err error) error {
		if err == nil {
			err = ctx.Err()
		}
		if err != nil {
			return err
		}
		name, err := filepath.Rel(from, path)
		if err != nil {
			return err
		}
		if name == "." {
			return nil
		}
		dst := filepath.Join(to, name)
		switch {
		case d.IsDir():
			return carryDir(path, dst)
		case d.Type() == os.ModeSymlink:
			return carrySymlink(path, dst)
		case !d.Type().IsRegular():
			return fmt.Errorf("%s is neither a file nor a folder: %w", path, ErrInvalid)
		}
		if _, found := slices.BinarySearch(seal.files, name); found || s.replaces() && seal.replaces(name) {
			return nil
		}
		return s.carryFile(path, dst)
	})
}

func carryDir(path, dst string) error {
	if err := os.Mkdir(dst, 0o777); errors.Is(err, os.ErrExist) {
		return nil
	} else if err != nil {
		return err
	}
	return copyMode(path, dst)
}

func carrySymlink(path, dst string) error {
	to, err := os.Readlink(path)
	if err != nil {
		return err
	}
	if err := os.Symlink(to, dst); err != nil && !errors.Is(err, os.ErrExist) {
		return err
	}
	return nil
}

func (s *Staging) carryFile(path, dst string) error {
	a, err := os.Lstat(path)
	if err != nil {
		return err
	}
	b, err := os.Lstat(dst)
	switch {
	case errors.Is(err, os.ErrNotExist):
		if err := s.link(path, dst); err == nil || errors.Is(err, os.ErrExist) {
			return nil
		}
	case err != nil:
		return err
	case os.SameFile(a, b), b.ModTime().After(a.ModTime()),
		a.Size() == b.Size() && a.ModTime().Equal(b.ModTime()):
		return nil
	}
	tmp := filepath.Join(filepath.Dir(dst), ".pond-tmp")
	if err := os.Remove(tmp); err != nil && !errors.Is(err, os.ErrNotExist) {
		return err
	}
	if s.link(path, tmp) != nil {
		if err := copyFile(path, tmp, a); err != nil {
			return errors.Join(err, os.Remove(tmp))
		}
	}
	return os.Rename(tmp, dst)
}

// copyFile copies a file with its mode and time, durably.
func copyFile(from, to string, fi os.FileInfo) error {
	src, err := os.Open(from)
	if err != nil {
		return err
	}
	defer src.Close()
	dst, err := os.OpenFile(to, os.O_WRONLY|os.O_CREATE|os.O_EXCL, fi.Mode().Perm())
	if err != nil {
		return err
	}
	_, err = io.Copy(dst, src)
	if err = errors.Join(err, dst.Sync(), dst.Close()); err != nil {
		return err
	}
	return os.Chtimes(to, fi.ModTime(), fi.ModTime())
}

// copyMode gives a folder the permissions of another, and its owner if we may.
func copyMode(from, to string) error {
	fi, err := os.Lstat(from)
	if err != nil {
		return err
	}
	chownLike(to, fi)
	return os.Chmod(to, fi.Mode()&(os.ModePerm|os.ModeSetgid|os.ModeSticky))
}

// pruneTree removes everything from root but the named files (sorted) and the
// folders above them. kept is how many of these are there.
func pruneTree(root string, files []string) (kept int, err error) {
	keep := make(map[string]bool, len(files))
	for _, name := range files {
		for ; name != "." && !keep[name]; name = filepath.Dir(name) {
			keep[name] = true
		}
	}
	err = filepath.WalkDir(root, func(path string, d iofs.DirEntry, err error) error {
		if err != nil || path == root {
			return err
		}
		name, err := filepath.Rel(root, path)
		if err != nil || keep[name] {
			if !d.IsDir() {
				kept++
			}
			return err
		}
		if err := os.RemoveAll(path); err != nil {
			return err
		}
		if d.IsDir() {
			return filepath.SkipDir
		}
		return nil
	})
	return kept, err
}

// syncEachMax is how many files, or folders, are made durable one by one: with
// more, flushing the whole file system once is quicker.
const syncEachMax = 64

// syncFiles makes the named files and all folders of root durable.
func syncFiles(ctx context.Context, root string, files []string) error {
	if len(files) > syncEachMax && syncAll(root) == nil {
		return nil
	}
	return syncEach(ctx, root, files) // it finds the file that cannot be written
}

// syncAll flushes the file system that dir is on.
func syncAll(dir string) error {
	f, err := os.Open(dir)
	if err != nil {
		return err
	}
	defer f.Close()
	return unix.Syncfs(int(f.Fd()))
}

// syncEach makes the named files and all folders of root durable, one by one. A
// file whose fsync fails is removed: its content is unknown, and a second fsync
// would report success.
func syncEach(ctx context.Context, root string, files []string) error {
	for _, name := range files {
		if err := ctx.Err(); err != nil {
			return err
		}
		path := filepath.Join(root, name)
		f, err := os.Open(path)
		if err != nil {
			return err
		}
		if err := f.Sync(); err != nil {
			return errors.Join(fmt.Errorf("%s: %w", name, err), f.Close(), os.Remove(path))
		}
		if err := f.Close(); err != nil {
			return err
		}
	}
	return syncDirs(root)
}

// syncDirs makes the names in root and the folders below it durable.
func syncDirs(root string) error {
	var dirs []string
	err := filepath.WalkDir(root, func(path string, d iofs.DirEntry, err error) error {
		if err == nil && d.IsDir() {
			dirs = append(dirs, path)
		}
		return err
	})
	if err != nil || len(dirs) > syncEachMax && syncAll(root) == nil {
		return err
	}
	for _, dir := range dirs {
		if err := syncDir(dir); err != nil {
			return err
		}
	}
	return nil
}

func syncDir(dir string) error {
	f, err := os.Open(dir)
	if err != nil {
		return err
	}
	return errors.Join(f.Sync(), f.Close())
}
