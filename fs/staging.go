package fs

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"regexp"
	"sync/atomic"
	"syscall"

	"golang.org/x/sys/unix"
)

// Mode says how to publish into a target folder that is not empty.
type Mode string

// Modes.
const (
	ModeError     Mode = "error"     // refuse
	ModeOverwrite Mode = "overwrite" // take its place
	ModeAppend    Mode = "append"    // join it
	// ModeReplace joins it, but in each folder that gets a file, the files that an
	// earlier output left there go: those of generated names.
	ModeReplace Mode = "replace"
	// ModeOverwriteOwn and ModeReplaceOwn remove only what earlier publishes left in the
	// target, as it was: a *ForeignError names other files that would have to go.
	ModeOverwriteOwn Mode = "overwrite own"
	ModeReplaceOwn   Mode = "replace own"
)

// Limits.
const (
	publishFilesMax = 1 << 20   // files of one publish
	factsMax        = 256 << 20 // bytes of a seal, a manifest or a stage file
	nameMax         = 255       // bytes of a file name
	stageTriesMax   = 3         // at a staging folder that is being cleared
)

// Parts of the name of a staging folder, and of those in it.
const (
	stagingInfix = ".pond-"
	workDir      = "work"
)

var jobPattern = regexp.MustCompile(`^[A-Za-z0-9_-]{1,64}$`)

// Staging is a hidden folder next to the target, on the same file system:
//
//	<parent>/.<name>.pond-<job>/
//	    work/    where attempts write: Dir, File
//	    new/     only the files to publish; after a swap, the replaced ones
//	    old/     the former target, on its way out
//	    stage    folders above the target that Stage made; the mode
//	    owner    locked by each process that works on the folder
//	    seal     the published files, and the inode of new
//
// The seal makes publishing repeatable by anyone: the job is published when
// there is a seal and new is no longer the folder with the seal's inode. So the
// folder stays, nearly empty, after Publish; Discard removes it.
type Staging struct {
	target string
	mode   Mode
	root   string                  // the hidden folder
	owner  atomic.Pointer[os.File] // locked while this process works on the folder; nil: it does not

	// Seams for tests: a crash before a step; file systems that lack things.
	step func(name string) error
	swap func(a, b string) error
	link func(from, to string) error
}

// Stage makes the staging folder of a job's output, and the folders above the
// target that are missing. target is a folder on a POSIX file system that all its
// writers share. job is up to 64 letters, digits, "-" and "_".
//
// It may be called again by any node, also after Publish, for the same target,
// job and mode. It fails early with ErrExists (ModeError and a target with
// something in it, not this job's), ErrNotFolder, ErrNoSpace, ErrReadOnly or
// os.ErrPermission.
func Stage(ctx context.Context, target, job string, mode Mode) (*Staging, error) {
	s, err := newStaging(target, job, mode)
	if err == nil {
		err = ctx.Err()
	}
	for range stageTriesMax {
		if err == nil {
			err = s.make(ctx)
		}
		if !errors.Is(err, ErrNotStaged) {
			break
		}
		err = nil // it was cleared while we made it
	}
	if err == nil && s.owner.Load() == nil {
		err = ErrNotStaged
	}
	if err != nil {
		return nil, fmt.Errorf("fs: stage %s: %w", target, classify(err))
	}
	return s, nil
}

// Before has f called before each step of a publish or a discard, by its name; its error
// ends that there. It is for fault runs, and set before anything else is done.
func (s *Staging) Before(f func(step string) error) { s.step = f }

func newStaging(target, job string, mode Mode) (*Staging, error) {
	switch mode {
	case ModeError, ModeOverwrite, ModeAppend, ModeReplace, ModeOverwriteOwn, ModeReplaceOwn:
	default:
		return nil, fmt.Errorf("mode %.40q: %w", mode, ErrInvalid)
	}
	if !jobPattern.MatchString(job) {
		return nil, fmt.Errorf("job %.80q: %w", job, ErrInvalid)
	}
	abs, err := resolve(target)
	if err != nil {
		return nil, err
	}
	hidden := "." + filepath.Base(abs) + stagingInfix + job
	if filepath.Dir(abs) == abs || len(hidden)+len(goneSuffix) > nameMax {
		return nil, fmt.Errorf("target cannot be a root or have so long a name: %w", ErrInvalid)
	}
	return &Staging{
		target: abs, mode: mode, root: filepath.Join(filepath.Dir(abs), hidden),
		step: func(string) error { return nil }, swap: exchange, link: os.Link,
	}, nil
}

// resolve makes target absolute and follows it when it is a symbolic link: the
// staging folder must stand next to the real folder.
func resolve(target string) (string, error) {
	if target == "" {
		return "", fmt.Errorf("no target: %w", ErrInvalid)
	}
	abs, err := filepath.Abs(target)
	if err != nil {
		return "", err
	}
	switch info, err := os.Lstat(abs); {
	case errors.Is(err, os.ErrNotExist):
		return abs, nil
	case err != nil:
		return "", err
	case info.Mode()&os.ModeSymlink == 0: // another who publishes there may set it aside for a moment
		dir, err := filepath.EvalSymlinks(filepath.Dir(abs))
		return filepath.Join(dir, filepath.Base(abs)), err
	}
	real, err := filepath.EvalSymlinks(abs)
	if errors.Is(err, os.ErrNotExist) {
		return "", fmt.Errorf("symbolic link to nothing: %w", ErrNotFolder)
	}
	return real, err
}

// Published tells the names in the target of the files that were published, once
// readers see them; it remembers them until Discard.
func (s *Staging) Published() (files []string, ok bool, err error) {
	seal, err := s.readSeal()
	if errors.Is(err, os.ErrNotExist) {
		return nil, false, nil
	}
	if err == nil {
		var v view
		if v, err = s.look(seal); err == nil {
			return seal.files, v.published(), nil
		}
	}
	return nil, false, fmt.Errorf("fs: look at the staging of %s: %w", s.target, classify(err))
}

// Dir is the folder where attempts write.
func (s *Staging) Dir() string { return filepath.Join(s.root, workDir) }

// File is the path to write an output file at. name begins with the folder of the
// attempt that writes it, and no other attempt writes there; what follows is the
// file's name in the target ("part-00000-1/year=2026/part-00000-1.parquet"). The
// caller makes the folders. Give every attempt and every job files of other names:
// then a reader that listed the target before a publish finds its files or does
// not, but never finds another's in their place, and appending meets no file of
// the same name.
func (s *Staging) File(name string) string { return filepath.Join(s.Dir(), name) }

// make creates the folders, or checks the existing ones.
func (s *Staging) make(ctx context.Context) error {
	seal, err := s.readSeal()
	if err != nil && !errors.Is(err, os.ErrNotExist) {
		return err
	}
	if err == nil {
		if v, err := s.look(seal); err != nil || v.published() {
			return errors.Join(err, s.own(ctx))
		}
	}
	if err := s.checkTarget(); err != nil {
		if seal == nil && s.sealed() { // and published, by another, since
			return ErrNotStaged
		}
		return err
	}
	return s.makeRoot(ctx, false)
}

// sealed reports whether somebody has begun to publish.
func (s *Staging) sealed() bool {
	_, err := os.Lstat(s.path("seal"))
	return err == nil
}

// makeRoot makes the staging folder, and the folders above the target.
func (s *Staging) makeRoot(ctx context.Context, file bool) error {
	made := missingFolders(filepath.Dir(s.target))
	if err := os.MkdirAll(filepath.Dir(s.target), 0o777); err != nil {
		return err
	}
	switch err := os.Mkdir(s.root, 0o777); {
	case err == nil:
		if err := s.writeFacts("stage", stageFacts{Made: made, Mode: s.mode, File: file}); err != nil {
			return err
		}
	case !errors.Is(err, os.ErrExist):
		return err
	}
	if err := os.MkdirAll(s.Dir(), 0o777); err != nil {
		return err
	}
	return s.own(ctx)
}

// checkTarget fails when the mode or the target's nature rules a publish out.
func (s *Staging) checkTarget() error {
	p, err := s.placeOf(s.target, 0)
	switch {
	case err != nil:
		return err
	case p != none && IsMount(s.target):
		return fmt.Errorf("%s is a mount point, which cannot be replaced; publish to a folder in it: %w", s.target, ErrInvalid)
	case p == other && s.mode == ModeError:
		return fmt.Errorf("%s: %w", s.target, ErrExists)
	case p == other:
		return s.checkForeign(nil)
	}
	return nil
}

// missingFolders lists dir and the folders above it that do not exist, from the
// outside in.
func missingFolders(dir string) []string {
	var missing []string
	for {
		if _, err := os.Lstat(dir); !errors.Is(err, os.ErrNotExist) {
			return missing
		}
		missing = append([]string{dir}, missing...)
		dir = filepath.Dir(dir)
	}
}

// place is the state of one of the three folders.
type place uint8

const (
	none  place = iota
	empty       // a folder with nothing in it
	ours        // the folder that the seal names
	other       // another folder, with something in it
)

// view is the observable state of a publish; next decides by it alone.
type view struct{ target, new, old place }

// published: the sealed folder left new in the only way it can.
func (v view) published() bool { return v.new != ours && v.old != ours }

// look sees where the folders stand. It wants the seal to be there still: without
// it (somebody discarded us) nothing in the staging folder means anything.
func (s *Staging) look(seal *sealFacts) (v view, err error) {
	if _, err := os.Lstat(s.path("seal")); errors.Is(err, os.ErrNotExist) {
		return v, ErrNotStaged
	}
	if v.target, err = s.placeOf(s.target, seal.Inode); err != nil {
		return v, err
	}
	if v.new, err = s.placeOf(s.path("new"), seal.Inode); err != nil {
		return v, err
	}
	v.old, err = s.placeOf(s.path("old"), seal.Inode)
	return v, err
}

// lookAgainMax bounds the looks at a folder that is replaced while we look.
const lookAgainMax = 16

func (s *Staging) placeOf(dir string, ourInode uint64) (place, error) {
	var err error
	for range lookAgainMax {
		var fi os.FileInfo
		fi, err = os.Lstat(dir)
		switch {
		case errors.Is(err, os.ErrNotExist):
			return none, nil
		case err != nil:
			return none, err
		case !fi.IsDir():
			return none, fmt.Errorf("%s: %w", dir, ErrNotFolder)
		case inode(fi) == ourInode:
			return ours, nil
		}
		var p place
		if p, err = emptyOrOther(dir); !errors.Is(err, os.ErrNotExist) {
			return p, err
		}
	}
	return none, err
}

func emptyOrOther(dir string) (place, error) {
	f, err := os.Open(dir)
	if err != nil {
		return none, err
	}
	defer f.Close()
	switch _, err := f.Readdirnames(1); {
	case errors.Is(err, io.EOF):
		return empty, nil
	case err != nil:
		return none, err
	}
	return other, nil
}

// device tells file systems apart.
func device(fi os.FileInfo) uint64 {
	if st, ok := fi.Sys().(*syscall.Stat_t); ok {
		return uint64(st.Dev)
	}
	return 0
}

// inode tells folders apart. It moves with the folder through renames, and is
// the same for all clients of a shared file system. No folder has inode 0.
func inode(fi os.FileInfo) uint64 {
	if st, ok := fi.Sys().(*syscall.Stat_t); ok {
		return st.Ino
	}
	return 0
}

// IsMount reports whether a folder is on another file system than the one above.
// One that is gone, as a target is while others swap it in two steps, is not.
func IsMount(dir string) bool {
	var x, y unix.Stat_t
	return unix.Stat(dir, &x) == nil && unix.Stat(filepath.Dir(dir), &y) == nil && x.Dev != y.Dev
}

func (s *Staging) path(name string) string { return filepath.Join(s.root, name) }

type stageFacts struct {
	Made []string `json:"made"`
	Mode Mode     `json:"mode"`
	File bool     `json:"file,omitempty"` // a FileStaging's
}

// badName: not the name of a file below a folder.
func badName(name string) bool { return !filepath.IsLocal(name) || filepath.Clean(name) == "." }

// writeFacts writes a small file so that it is there whole or not at all.
func (s *Staging) writeFacts(name string, v any) error {
	b, err := json.Marshal(v)
	if err != nil {
		return err
	}
	if len(b) > factsMax {
		return fmt.Errorf("%d bytes of file names: %w", len(b), ErrInvalid)
	}
	f, err := os.CreateTemp(s.root, name+"-*")
	if err != nil {
		return err
	}
	_, err = f.Write(b)
	err = errors.Join(err, f.Sync(), f.Close())
	if err == nil {
		err = os.Rename(f.Name(), s.path(name))
	}
	if err != nil {
		return errors.Join(err, os.Remove(f.Name()))
	}
	return syncDir(s.root)
}

func readFacts(path string, v any) error {
	f, err := os.Open(path)
	if err != nil {
		return err
	}
	defer f.Close()
	b, err := io.ReadAll(io.LimitReader(f, factsMax+1))
	if err != nil {
		return err
	}
	if err := json.Unmarshal(b, v); err != nil {
		return fmt.Errorf("%s: %w: %w", f.Name(), ErrCorrupt, err)
	}
	return nil
}
