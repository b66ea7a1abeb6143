package fs

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
)

// sealFacts list the published files. Once on disk they never change.
type sealFacts struct {
	Inode  uint64          `json:"inode"`
	Staged []string        `json:"files"` // as given to File: attempt/name
	files  []string        // their names in the target, sorted
	dirs   map[string]bool // their folders
}

// resolve computes the names in the target: the path of each file below its
// attempt's folder. No two attempts may have the same.
func (f *sealFacts) resolve() error {
	f.files = make([]string, len(f.Staged))
	for i, name := range f.Staged {
		final := PublishedName(name)
		if badName(name) || badName(final) {
			return fmt.Errorf("file name %.100q: %w", name, ErrInvalid)
		}
		f.files[i] = final
	}
	f.dirs = map[string]bool{}
	for _, name := range f.files {
		f.dirs[filepath.Dir(name)] = true
	}
	slices.Sort(f.files)
	if all := len(f.files); len(slices.Compact(f.files)) < all {
		return fmt.Errorf("several files of one name: %w", ErrInvalid)
	}
	return nil
}

// generated are the names that DuckDB and Pond give to files of an output, unless
// they are to be appended: a later output with ModeReplace replaces those.
var generated = regexp.MustCompile(`^(data_\d+|part-\d{5,}-[0-9a-f]{8}-\d+(-[0-9a-f-]{36})?)\.`)

// replaces reports whether a file of the target makes room for the new ones in its
// folder.
func (f *sealFacts) replaces(name string) bool {
	return f.dirs[filepath.Dir(name)] && generated.MatchString(filepath.Base(name))
}

// PublishedName is a staged file's name in the target: what follows the folder of
// its attempt.
func PublishedName(staged string) string {
	_, name, _ := strings.Cut(filepath.Clean(staged), "/")
	return name
}

// attempts are the folders of work that the files were staged in.
func (f *sealFacts) attempts() []string {
	var out []string
	seen := map[string]bool{}
	for _, name := range f.Staged {
		if a, _, _ := strings.Cut(filepath.Clean(name), "/"); !seen[a] {
			seen[a] = true
			out = append(out, a)
		}
	}
	return out
}

func (s *Staging) readSeal() (*sealFacts, error) {
	var f sealFacts
	if err := readFacts(s.path("seal"), &f); err != nil {
		return nil, err
	}
	if f.Inode == 0 || f.resolve() != nil {
		return nil, fmt.Errorf("%s: %w", s.path("seal"), ErrCorrupt)
	}
	return &f, nil
}

// seal chooses the files to publish and moves them, and nothing else, into new. Of
// a finished publish only the seal is left.
func (s *Staging) seal(ctx context.Context, staged []string) (*sealFacts, error) {
	seal, err := s.readSeal()
	if err != nil && !errors.Is(err, os.ErrNotExist) {
		return nil, err
	}
	if err == nil {
		v, err := s.look(seal)
		if err != nil || v.published() || v.old == ours {
			return seal, err
		}
	}
	if err != nil || s.checkStaged(seal.Staged) != nil {
		if seal, err = s.newSeal(staged); err != nil {
			return nil, err
		}
	}
	if err := s.fill(seal); err != nil {
		return nil, err
	}
	if err := s.step("sync"); err != nil {
		return nil, err
	}
	return seal, syncFiles(ctx, s.path("new"), seal.files)
}

func (s *Staging) newSeal(staged []string) (*sealFacts, error) {
	seal := &sealFacts{Staged: staged}
	if err := errors.Join(checkCount(staged), seal.resolve()); err != nil {
		return nil, err
	}
	if err := s.checkStaged(staged); err != nil {
		return nil, err
	}
	if err := s.step("make new"); err != nil {
		return nil, err
	}
	if err := os.Mkdir(s.path("new"), 0o777); err != nil && !errors.Is(err, os.ErrExist) {
		return nil, err
	}
	fi, err := os.Lstat(s.path("new"))
	if err != nil {
		return nil, err
	}
	if err := s.step("seal"); err != nil {
		return nil, err
	}
	seal.Inode = inode(fi)
	return seal, s.writeFacts("seal", seal)
}

// checkStaged fails unless every file is there, in work or already in new.
func (s *Staging) checkStaged(staged []string) error {
	for _, name := range staged {
		fi, err := os.Lstat(s.File(name))
		if err != nil {
			fi, err = os.Lstat(filepath.Join(s.path("new"), PublishedName(name)))
		}
		if err != nil {
			return &GoneError{name, err}
		}
		if !fi.Mode().IsRegular() {
			return fmt.Errorf("%s is not a regular file: %w", name, ErrInvalid)
		}
	}
	return nil
}

// fill moves the sealed attempts' folders into new and removes from it all that
// is not sealed. Other attempts may still be running, but know work alone, so
// nothing of theirs can slip in.
func (s *Staging) fill(seal *sealFacts) error {
	for _, a := range seal.attempts() {
		if err := s.merge(s.File(a), s.path("new")); err != nil {
			return err
		}
	}
	if err := s.step("prune"); err != nil {
		return err
	}
	kept, err := pruneTree(s.path("new"), seal.files)
	if err == nil && kept != len(seal.files) {
		err = fmt.Errorf("%d of %d files: %w", kept, len(seal.files), os.ErrNotExist)
	}
	return err
}

// merge moves the content of one folder to another, whole folders where the target
// has none of that name. It can be repeated.
func (s *Staging) merge(from, to string) error {
	entries, err := os.ReadDir(from)
	if errors.Is(err, os.ErrNotExist) {
		return nil // moved already
	}
	if err != nil {
		return err
	}
	for _, e := range entries {
		if err := s.step("move"); err != nil {
			return err
		}
		src, dst := filepath.Join(from, e.Name()), filepath.Join(to, e.Name())
		err := os.Rename(src, dst)
		if err != nil && e.IsDir() && errors.Is(err, os.ErrExist) {
			err = s.merge(src, dst)
		}
		if err != nil && !errors.Is(err, os.ErrNotExist) { // else a twin has moved it
			return err
		}
	}
	return nil
}
