package fs

import (
	"context"
	"errors"
	"fmt"
	iofs "io/fs"
	"os"
	"path/filepath"
)

// FileStaging is Staging for an output of one file: the file of one of several
// attempts is renamed to the target. Its folder is like Staging's, without new and
// old; its seal holds the inode of the published file, which survives the rename.
type FileStaging struct{ s *Staging }

// StageFile is Stage for a target that is a file. It fails with ErrExists
// (ModeError and there is one) or ErrInvalid (ModeAppend, or the target is a
// folder).
func StageFile(ctx context.Context, target, job string, mode Mode) (*FileStaging, error) {
	s, err := newStaging(target, job, mode)
	if err == nil {
		err = ctx.Err()
	}
	if err == nil {
		err = (&FileStaging{s}).make(ctx)
	}
	if err != nil {
		return nil, fmt.Errorf("fs: stage %s: %w", target, classify(err))
	}
	return &FileStaging{s}, nil
}

func (f *FileStaging) make(ctx context.Context) error {
	s := f.s
	if s.joins() {
		return fmt.Errorf("nothing is appended to a file: %w", ErrInvalid)
	}
	_, err := s.readSeal()
	if err != nil && !errors.Is(err, os.ErrNotExist) {
		return err
	}
	sealed := err == nil
	switch fi, err := os.Lstat(s.target); {
	case errors.Is(err, os.ErrNotExist):
	case err != nil:
		return err
	case fi.IsDir():
		return fmt.Errorf("%s is a folder: %w", s.target, ErrInvalid)
	case !fi.Mode().IsRegular():
		return fmt.Errorf("%s is not a regular file: %w", s.target, ErrInvalid)
	case s.mode == ModeError && !sealed && !s.sealed(): // nor since
		return fmt.Errorf("%s: %w", s.target, ErrExists)
	}
	return s.makeRoot(ctx, true)
}

// Before is Staging's.
func (f *FileStaging) Before(call func(step string) error) { f.s.Before(call) }

// Release is Staging's.
func (f *FileStaging) Release() { f.s.Release() }

// Dir is the folder where attempts write.
func (f *FileStaging) Dir() string { return f.s.Dir() }

// Publish gives the target's name to one file of Dir, by a rename: readers see
// the old file or the new one. With ModeError it is a link, which fails where a
// file has appeared. It may be repeated, by any node that called StageFile.
func (f *FileStaging) Publish(ctx context.Context, files []string) error {
	err := fmt.Errorf("%d files: %w", len(files), ErrInvalid)
	if len(files) == 1 {
		err = f.publish(ctx, files[0])
	}
	if err != nil {
		return fmt.Errorf("fs: publish %s: %w", f.s.target, classify(err))
	}
	return nil
}

func (f *FileStaging) publish(ctx context.Context, name string) error {
	s := f.s
	unlock, err := s.lockRoot(ctx)
	if err != nil {
		return err
	}
	defer unlock()
	if badName(name) {
		return fmt.Errorf("file name %.100q: %w", name, ErrInvalid)
	}
	seal, err := s.readSeal()
	if err != nil && !errors.Is(err, os.ErrNotExist) {
		return err
	}
	fi, gone := os.Lstat(s.File(name))
	switch {
	case gone != nil && errors.Is(gone, os.ErrNotExist) && seal != nil:
		return nil // published: nothing else takes it away
	case gone != nil:
		return &GoneError{name, gone}
	case !fi.Mode().IsRegular():
		return fmt.Errorf("%s is not a regular file: %w", name, ErrInvalid)
	}
	if there, err := os.Lstat(s.target); err == nil && seal != nil && inode(there) == seal.Inode && inode(fi) != seal.Inode {
		return nil // another attempt's file was published: the first one sealed wins
	}
	if err := syncFiles(ctx, s.Dir(), []string{name}); err != nil {
		return err
	}
	if seal == nil || seal.Inode != inode(fi) {
		if err := s.step("seal"); err != nil {
			return err
		}
		if err := s.writeFacts("seal", sealFacts{Inode: inode(fi)}); err != nil {
			return err
		}
	}
	return f.place(fi, s.File(name))
}

// place moves the file to the target.
func (f *FileStaging) place(fi os.FileInfo, from string) error {
	s := f.s
	if s.mode == ModeError {
		if err := s.step("link"); err != nil {
			return err
		}
		err := s.link(from, s.target)
		if there, e := os.Lstat(s.target); e == nil && !os.SameFile(there, fi) {
			return fmt.Errorf("%s: %w", s.target, ErrExists)
		} else if e == nil {
			err = nil // linked, now or before a crash
		}
		if err == nil {
			if err := s.step("unlink"); err != nil {
				return err
			}
			return errors.Join(os.Remove(from), syncDir(filepath.Dir(s.target)))
		}
		// There is nothing at the target, and no links are to be had: a rename will do.
	}
	if err := s.step("rename"); err != nil {
		return err
	}
	return s.rename(from, s.target)
}

// Published is Staging's.
func (f *FileStaging) Published() (files []string, ok bool, err error) {
	s := f.s
	seal, err := s.readSeal()
	if errors.Is(err, os.ErrNotExist) {
		return nil, false, nil
	}
	if err == nil {
		var staged bool
		if staged, err = f.holds(seal.Inode); err == nil {
			return []string{filepath.Base(s.target)}, !staged, nil
		}
	}
	return nil, false, fmt.Errorf("fs: look at the staging of %s: %w", s.target, classify(err))
}

// holds reports whether a file is still where an attempt wrote it.
func (f *FileStaging) holds(ino uint64) (found bool, err error) {
	err = filepath.WalkDir(f.Dir(), func(_ string, e iofs.DirEntry, err error) error {
		if err != nil || e.IsDir() {
			return err
		}
		fi, err := e.Info()
		found = found || err == nil && inode(fi) == ino
		return err
	})
	return found, err
}

// Discard is Staging's: the published file stays.
func (f *FileStaging) Discard(ctx context.Context) error {
	if err := f.discard(ctx); err != nil {
		return fmt.Errorf("fs: discard staging of %s: %w", f.s.target, classify(err))
	}
	return nil
}

func (f *FileStaging) discard(ctx context.Context) error {
	s := f.s
	s.Release()
	if err := s.clear(); err != nil {
		return err
	}
	return s.inTurn(ctx, s.remove)
}

// Withdraw is Staging's.
func (f *FileStaging) Withdraw(ctx context.Context) (files []string, published bool, err error) {
	if files, published, err = f.withdraw(ctx); err != nil {
		err = fmt.Errorf("fs: withdraw from %s: %w", f.s.target, classify(err))
	}
	return files, published, err
}

func (f *FileStaging) withdraw(ctx context.Context) (files []string, published bool, err error) {
	err = f.s.inTurn(ctx, func() (err error) {
		files, published, err = f.withdrawn()
		return err
	})
	return files, published, err
}

// withdrawn is withdraw's, in its turn.
func (f *FileStaging) withdrawn() (files []string, published bool, err error) {
	s := f.s
	if files, published, err = f.Published(); err != nil || published {
		return files, published, err
	}
	if seal, err := s.readSeal(); err == nil { // linked, and not unlinked yet
		if there, err := os.Lstat(s.target); err == nil && inode(there) == seal.Inode {
			return files, true, nil
		}
	}
	s.Release()
	if err := s.clear(); err != nil {
		return nil, false, err
	}
	return nil, false, s.remove()
}
