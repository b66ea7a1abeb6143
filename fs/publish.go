package fs

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

const (
	// publishStepsMax bounds the steps of one Publish; four are usual, more mean
	// that others keep changing the target.
	publishStepsMax = 32
	publishLockMax  = 10 * time.Minute // waiting for another publish in the same folder
	publishLockPoll = 20 * time.Millisecond
	goneSuffix      = ".gone" // of a staging folder that Discard is removing
)

// Publish moves exactly the named files from the staging folder to the target.
// Names are as given to File; in the target they are without the attempt's folder.
// Whatever else attempts left behind is removed.
// Everything is fsynced first. Readers see the old folder or the new one:
//
//   - target missing or empty: one rename.
//   - overwrite: the two folders are exchanged in one system call
//     (renameat2 RENAME_EXCHANGE), then the old one is removed.
//   - append, replace: hard links (copies, where there are no links) of the target's
//     files that stay join the new folder, then as overwrite. Files that others added meanwhile
//     are brought over; others' deletions during the publish may be undone.
//
// A file system without RENAME_EXCHANGE (NFS, some FUSE) takes two renames:
// between them the target does not exist, and a crash there leaves it so until
// Publish is repeated (the new folder appears) or Discard is called (the old one
// comes back). The old folder is in the staging folder, named old.
//
// Publish may be repeated, at the same time too, by any node that called Stage:
// it ends as one. The first list of files that was sealed wins. Publishes in one
// folder take turns by flock; on file systems where flock does not reach other
// nodes, two concurrent appends may hide one another's files for a moment, and
// none is lost.
//
// It fails with ErrExists (ModeError: the target appeared; append: a file of
// that name is there), os.ErrNotExist (a named file is missing; a file whose
// fsync failed is removed and so becomes missing), ErrNotStaged, ErrNoSpace,
// os.ErrPermission. After a failure the target is as it was, unless the error
// came while cleaning up; in either case Publish or Discard can be called.
func (s *Staging) Publish(ctx context.Context, staged []string) error {
	if err := s.publish(ctx, staged); err != nil {
		return fmt.Errorf("fs: publish %s: %w", s.target, classify(err))
	}
	return nil
}

func (s *Staging) publish(ctx context.Context, staged []string) error {
	unlock, err := s.lockRoot(ctx)
	if err != nil {
		return err
	}
	defer unlock()
	seal, err := s.seal(ctx, staged)
	if err != nil {
		return err
	}
	if err := s.settle(ctx, seal); err != nil {
		return err
	}
	return os.RemoveAll(s.Dir())
}

// step is the next action of settle.
type step uint8

const (
	stepDone      step = iota
	stepMove           // new → target
	stepSwap           // new ↔ target
	stepAside          // target → old: the first of two renames
	stepMerge          // old is superseded by a newer target: into new (append), then away
	stepSetAside       // new → old: after a swap
	stepFinishOld      // bring over what others added to old (append), then remove it
	stepPutBack        // old → new: a twin moved the files just published
	stepRefuse         // the target appeared
)

// next chooses the next step from the state of the folders. Every step is one
// atomic change or can be repeated, so an interrupted publish resumes from there.
func next(m Mode, v view, canSwap bool) step {
	switch {
	case v.old == ours:
		return stepPutBack
	case v.new != ours: // published
		switch {
		case v.old != none:
			return stepFinishOld
		case v.new != none:
			return stepSetAside
		}
		return stepDone
	case v.target == none || v.target == empty:
		return stepMove
	case m == ModeError:
		return stepRefuse
	case v.old != none:
		return stepMerge
	case canSwap:
		return stepSwap
	}
	return stepAside
}

// settle carries a sealed publish to its end.
func (s *Staging) settle(ctx context.Context, seal *sealFacts) error {
	unlock, err := lockFolder(ctx, filepath.Dir(s.target))
	if err != nil {
		return err
	}
	defer unlock()
	if err := s.noteOutputs(seal); err != nil {
		return err
	}
	canSwap := true
	var last error
	for range publishStepsMax {
		if err := ctx.Err(); err != nil {
			return err
		}
		v, err := s.look(seal)
		if err != nil {
			return err
		}
		switch st := next(s.mode, v, canSwap); st {
		case stepDone:
			return s.pruneOutputs()
		case stepRefuse:
			return fmt.Errorf("%s: %w", s.target, ErrExists)
		case stepSwap, stepAside:
			err = s.replace(ctx, seal, st)
			if errors.Is(err, errors.ErrUnsupported) || errors.Is(err, syscall.EINVAL) {
				canSwap, err = false, nil
			}
		default:
			err = s.tidy(ctx, seal, v, st)
		}
		if err != nil && !raced(err) {
			return err
		}
		last = err
	}
	return fmt.Errorf("%s keeps changing: %w", s.target, errors.Join(ErrExists, last))
}

// raced: somebody moved a folder between our look and our step: look again.
func raced(err error) bool {
	return errors.Is(err, syscall.ENOTEMPTY) || errors.Is(err, syscall.EEXIST) || errors.Is(err, syscall.ENOENT)
}

// replace puts new in the place of a target with something in it.
func (s *Staging) replace(ctx context.Context, seal *sealFacts, st step) error {
	if err := s.checkForeign(seal); err != nil {
		return err
	}
	if err := copyMode(s.target, s.path("new")); err != nil {
		return err
	}
	if s.joins() {
		if err := s.step("join"); err != nil {
			return err
		}
		if err := s.join(ctx, seal); err != nil {
			return err
		}
	}
	if err := syncDirs(s.path("new")); err != nil {
		return err
	}
	if st == stepAside {
		if err := s.step("aside"); err != nil {
			return err
		}
		return s.rename(s.target, s.path("old"))
	}
	if err := s.step("swap"); err != nil {
		return err
	}
	return s.swap(s.path("new"), s.target)
}

// joins reports whether files of the target stay.
func (s *Staging) joins() bool { return s.mode == ModeAppend || s.replaces() }

// replaces reports whether they are those that no new file takes the place of.
func (s *Staging) replaces() bool { return s.mode == ModeReplace || s.mode == ModeReplaceOwn }

// join links the target's files into new.
func (s *Staging) join(ctx context.Context, seal *sealFacts) error {
	for _, name := range seal.files {
		if _, err := os.Lstat(filepath.Join(s.target, name)); err == nil {
			return fmt.Errorf("%s: %w in the target", name, ErrExists)
		}
	}
	return s.carry(ctx, seal, s.target, s.path("new"))
}

// tidy does the steps that only move or remove folders.
func (s *Staging) tidy(ctx context.Context, seal *sealFacts, v view, st step) error {
	names := map[step]string{stepMove: "move new", stepMerge: "merge", stepSetAside: "set aside",
		stepFinishOld: "finish", stepPutBack: "put back"}
	if err := s.step(names[st]); err != nil {
		return err
	}
	switch st {
	case stepMove:
		return s.rename(s.path("new"), s.target)
	case stepSetAside:
		return s.rename(s.path("new"), s.path("old"))
	case stepPutBack:
		return s.rename(s.path("old"), s.path("new"))
	case stepMerge:
		if s.joins() {
			if err := s.carry(ctx, seal, s.path("old"), s.path("new")); err != nil {
				return err
			}
		}
		if err := s.rescue(seal, s.path("old"), s.path("new")); err != nil {
			return err
		}
		return os.RemoveAll(s.path("old"))
	}
	// stepFinishOld. The publish must be on disk before the old folder goes.
	if err := errors.Join(syncDir(filepath.Dir(s.target)), syncDir(s.root)); err != nil {
		return err
	}
	if s.joins() && (v.target == ours || s.descends(seal)) {
		if err := s.carry(ctx, seal, s.path("old"), s.target); err != nil {
			return err
		}
	}
	if err := s.rescue(seal, s.path("old"), s.target); err != nil {
		return err
	}
	if err := s.step("remove old"); err != nil {
		return err
	}
	// A twin on a file system without locks may have moved ours here just now.
	if p, err := s.placeOf(s.path("old"), seal.Inode); err != nil || p == ours {
		return err
	}
	return os.RemoveAll(s.path("old"))
}

// descends: the target is not the folder that we published but has its files: a
// later append took its place.
func (s *Staging) descends(seal *sealFacts) bool {
	for _, name := range seal.files {
		if _, err := os.Lstat(filepath.Join(s.target, name)); err != nil {
			return false
		}
	}
	return len(seal.files) > 0
}

// rename moves a folder; unlike os.Rename it may replace an empty one.
func (s *Staging) rename(from, to string) error {
	if err := unix.Rename(from, to); err != nil {
		return &os.LinkError{Op: "rename", Old: from, New: to, Err: err}
	}
	return errors.Join(syncDir(filepath.Dir(to)), syncDir(filepath.Dir(from)))
}

// Discard removes everything that Stage and attempts made. After a publish it
// leaves the target alone, finishes a publish that a crash interrupted, and removes
// the record of it: call it once the job's end is on record elsewhere, because a
// Publish after it is ErrNotStaged. It may be repeated.
func (s *Staging) Discard(ctx context.Context) error {
	if err := s.discard(ctx); err != nil {
		return fmt.Errorf("fs: discard staging of %s: %w", s.target, classify(err))
	}
	return nil
}

func (s *Staging) discard(ctx context.Context) error {
	s.Release()
	if err := s.clear(); err != nil { // what an earlier Discard left
		return err
	}
	return s.inTurn(ctx, func() error { return s.drop(ctx) })
}

// drop is discard's, in its turn.
func (s *Staging) drop(ctx context.Context) error {
	if err := s.undo(ctx); err != nil {
		return err
	}
	if err := s.forgetOutputs(ctx); err != nil {
		return err
	}
	return s.remove()
}

// Withdraw is Discard, unless the files have been published, or are half-way: then it
// finishes that, and tells their names in the target. Of both it is the one that stays so:
// whoever publishes later, as a process that was paused on its way to it, gets ErrNotStaged.
func (s *Staging) Withdraw(ctx context.Context) (files []string, published bool, err error) {
	if files, published, err = s.withdraw(ctx); err != nil {
		err = fmt.Errorf("fs: withdraw from %s: %w", s.target, classify(err))
	}
	return files, published, err
}

func (s *Staging) withdraw(ctx context.Context) (files []string, published bool, err error) {
	err = s.inTurn(ctx, func() (err error) {
		files, published, err = s.withdrawn(ctx)
		return err
	})
	return files, published, err
}

// withdrawn is withdraw's, in its turn.
func (s *Staging) withdrawn(ctx context.Context) (files []string, published bool, err error) {
	seal, err := s.readSeal()
	if err != nil && !errors.Is(err, os.ErrNotExist) {
		return nil, false, err
	}
	if seal != nil {
		v, err := s.look(seal)
		if err == nil && (v.published() || v.old == ours) {
			return seal.files, true, s.settle(ctx, seal)
		}
		if err != nil {
			return nil, false, err
		}
	}
	s.Release()
	if err := s.clear(); err != nil { // what one that broke off left
		return nil, false, err
	}
	return nil, false, s.drop(ctx)
}

// remove removes the staging folder. One rename first: a half-removed one could
// pass for a published one.
func (s *Staging) remove() error {
	if err := s.step("discard"); err != nil {
		return err
	}
	if err := s.rename(s.root, s.root+goneSuffix); err != nil {
		return err
	}
	if err := s.step("remove"); err != nil {
		return err
	}
	return s.clear()
}

// clear removes a discarded staging folder, and the folders above the target
// that Stage made as far as nobody uses them.
func (s *Staging) clear() error {
	gone := s.root + goneSuffix
	var made stageFacts
	if err := readFacts(filepath.Join(gone, "stage"), &made); err != nil && !errors.Is(err, os.ErrNotExist) {
		return err
	}
	if err := os.RemoveAll(gone); err != nil {
		return err
	}
	for dir := filepath.Dir(s.target); slices.Contains(made.Made, dir); dir = filepath.Dir(dir) {
		if os.Remove(dir) != nil {
			break
		}
	}
	return nil
}

// undo makes the staging folder hold nothing that anybody needs.
func (s *Staging) undo(ctx context.Context) error {
	seal, err := s.readSeal()
	if errors.Is(err, os.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	v, err := s.look(seal)
	switch {
	case err != nil:
		return err
	case v.published() || v.old == ours:
		return s.settle(ctx, seal)
	case v.old == none:
		return nil
	case v.target == none || v.target == empty:
		return s.rename(s.path("old"), s.target)
	}
	return fmt.Errorf("%s was moved to %s by a publish, and another folder took its place: %w; remove one", s.target, s.path("old"), ErrExists)
}

// lockRoot takes turns with others that publish or discard the same job.
func (s *Staging) lockRoot(ctx context.Context) (unlock func(), err error) {
	unlock, err = lockFolder(ctx, s.root)
	if errors.Is(err, os.ErrNotExist) {
		return nil, fmt.Errorf("%w: %w", ErrNotStaged, err)
	}
	return unlock, err
}

// inTurn calls f in turn with those; where nothing is staged there is nothing to do.
func (s *Staging) inTurn(ctx context.Context, f func() error) error {
	unlock, err := s.lockRoot(ctx)
	if errors.Is(err, ErrNotStaged) {
		return nil
	}
	if err != nil {
		return err
	}
	defer unlock()
	return f()
}

// lockFolder takes an advisory lock of a folder, where the file system has them:
// it keeps publishers from disturbing one another, but nothing that must hold
// depends on it.
func lockFolder(ctx context.Context, dir string) (unlock func(), err error) {
	f, err := os.Open(dir)
	if err != nil {
		return nil, err
	}
	unlock = func() { f.Close() } // which also drops the lock
	ctx, cancel := context.WithTimeout(ctx, publishLockMax)
	defer cancel()
	for {
		err := unix.Flock(int(f.Fd()), unix.LOCK_EX|unix.LOCK_NB)
		switch {
		case err == nil:
			return unlock, nil
		case errors.Is(err, unix.EINTR):
			continue
		case !errors.Is(err, unix.EWOULDBLOCK):
			return unlock, nil // no locks here
		}
		select {
		case <-ctx.Done():
			unlock()
			return nil, fmt.Errorf("waiting for another publish in %s: %w", dir, ctx.Err())
		case <-time.After(publishLockPoll):
		}
	}
}
