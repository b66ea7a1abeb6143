package fs

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	iofs "io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

// outputsSuffix ends the name of the list of a target's files, which stands beside it:
// in it, readers of all its files would meet it.
const outputsSuffix = ".pond_files"

// outputs are the files that publishes have left in a target, as they were then: one
// that has been changed since is somebody else's.
type outputs map[string]leftFile

type leftFile struct {
	Size    int64 `json:"size"`
	ModTime int64 `json:"mtime"` // Unix nanoseconds
}

func leftOf(fi os.FileInfo) leftFile { return leftFile{fi.Size(), fi.ModTime().UnixNano()} }

func (s *Staging) outputsPath() string {
	return filepath.Join(filepath.Dir(s.target), "."+filepath.Base(s.target)+outputsSuffix)
}

// readOutputs is the list, or an empty one where there is none that can be read: then
// all files are somebody else's.
func (s *Staging) readOutputs() outputs {
	var o outputs
	if fi, err := os.Lstat(s.outputsPath()); err != nil || !fi.Mode().IsRegular() || readFacts(s.outputsPath(), &o) != nil || o == nil {
		return outputs{}
	}
	return o
}

// writeOutputs writes the list so that it is there whole, or as it was.
func (s *Staging) writeOutputs(o outputs) error {
	if len(o) == 0 {
		if err := os.Remove(s.outputsPath()); err != nil && !errors.Is(err, os.ErrNotExist) {
			return err
		}
		return nil
	}
	b, err := json.Marshal(o)
	if err != nil || len(b) > factsMax {
		return errors.Join(err, os.Remove(s.outputsPath()))
	}
	f, err := os.CreateTemp(s.root, "outputs-*")
	if err != nil {
		return err
	}
	_, err = f.Write(b)
	if err = errors.Join(err, f.Close()); err == nil {
		err = os.Rename(f.Name(), s.outputsPath())
	}
	if err != nil {
		return errors.Join(err, os.Remove(f.Name()))
	}
	return nil
}

// noteOutputs adds the sealed files to the list, before they are in the target: a list
// of files that are not there does no harm.
func (s *Staging) noteOutputs(seal *sealFacts) error {
	o := s.readOutputs()
	o.add(seal, s.path("new"))
	o.add(seal, s.target)
	return s.writeOutputs(o)
}

func (o outputs) add(seal *sealFacts, dir string) {
	for _, name := range seal.files {
		if fi, err := os.Lstat(filepath.Join(dir, name)); err == nil && fi.Mode().IsRegular() {
			o[name] = leftOf(fi)
		}
	}
}

// pruneOutputs drops files from the list that are no longer in the target.
func (s *Staging) pruneOutputs() error {
	o := s.readOutputs()
	before := len(o)
	for name, left := range o {
		if fi, err := os.Lstat(filepath.Join(s.target, name)); err != nil || leftOf(fi) != left {
			delete(o, name)
		}
	}
	if len(o) == before {
		return nil
	}
	return s.writeOutputs(o)
}

// forgetOutputs is pruneOutputs for a publish that is given up.
func (s *Staging) forgetOutputs(ctx context.Context) error {
	unlock, err := lockFolder(ctx, filepath.Dir(s.target))
	if err != nil {
		return err
	}
	defer unlock()
	return s.pruneOutputs()
}

// ForeignError lists files of a target that no publish left there, and that a publish
// would remove.
type ForeignError struct {
	Target string
	Names  []string // the first few, below the target
	Count  int
}

const foreignShown = 3

func (e *ForeignError) Error() string {
	list := strings.Join(e.Names, ", ")
	if more := e.Count - len(e.Names); more > 0 {
		list += fmt.Sprintf(" and %d more", more)
	}
	return fmt.Sprintf("%s has files that no earlier output left there: %s", e.Target, list)
}

// Is matches ErrExists.
func (e *ForeignError) Is(target error) bool { return target == ErrExists }

// guards reports whether only what publishes left makes room.
func (s *Staging) guards() bool { return s.mode == ModeOverwriteOwn || s.mode == ModeReplaceOwn }

// foreign lists the files of a folder that the publish would remove, and that no
// earlier one left in the target. Without a seal it is not known yet what ModeReplaceOwn
// would remove.
func (s *Staging) foreign(dir string, seal *sealFacts) (names []string, err error) {
	if !s.guards() || s.joins() && seal == nil {
		return nil, nil
	}
	left := s.readOutputs()
	err = filepath.WalkDir(dir, func(path string, d iofs.DirEntry, err error) error {
		if errors.Is(err, os.ErrNotExist) {
			return nil
		}
		if err != nil || d.IsDir() {
			return err
		}
		name, err := filepath.Rel(dir, path)
		if err != nil || s.joins() && !seal.replaces(name) {
			return err
		}
		fi, err := d.Info()
		if err == nil && (!fi.Mode().IsRegular() || leftOf(fi) != left[name]) {
			names = append(names, name)
		}
		if errors.Is(err, os.ErrNotExist) {
			return nil
		}
		return err
	})
	return names, err
}

// checkForeign refuses to remove somebody else's files.
func (s *Staging) checkForeign(seal *sealFacts) error {
	names, err := s.foreign(s.target, seal)
	if err != nil || len(names) == 0 {
		return err
	}
	return &ForeignError{Target: s.target, Names: names[:min(len(names), foreignShown)], Count: len(names)}
}

// rescue brings files over that others put into the old folder after it was looked at.
func (s *Staging) rescue(seal *sealFacts, old, to string) error {
	names, err := s.foreign(old, seal)
	if err != nil {
		return err
	}
	for _, name := range names {
		if _, sealed := slices.BinarySearch(seal.files, name); sealed {
			continue
		}
		dst := filepath.Join(to, name)
		if err := os.MkdirAll(filepath.Dir(dst), 0o777); err != nil {
			return err
		}
		switch fi, err := os.Lstat(filepath.Join(old, name)); {
		case err != nil:
			return err
		case fi.Mode()&os.ModeSymlink != 0:
			err = carrySymlink(filepath.Join(old, name), dst)
			if err != nil {
				return err
			}
		case fi.Mode().IsRegular():
			if err := s.carryFile(filepath.Join(old, name), dst); err != nil {
				return err
			}
		default:
			return fmt.Errorf("%s is neither a file nor a folder: %w", filepath.Join(old, name), ErrInvalid)
		}
	}
	return nil
}
