package fs

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// ownerFile is locked, shared, by each process that works on a staging folder.
// The lock goes with the process, however it ends.
const ownerFile = "owner"

// own takes the shared lock of the staging folder. It fails with ErrNotStaged when
// the folder was cleared meanwhile.
func (s *Staging) own(ctx context.Context) error {
	if s.owner.Load() != nil {
		return nil
	}
	f, err := os.OpenFile(s.path(ownerFile), os.O_RDWR|os.O_CREATE, 0o666)
	if errors.Is(err, os.ErrNotExist) {
		return ErrNotStaged
	}
	if err != nil {
		return err
	}
	if err := lockFile(ctx, f, unix.LOCK_SH); err != nil {
		return errors.Join(err, f.Close())
	}
	here, err := os.Stat(s.path(ownerFile))
	mine, err2 := f.Stat()
	if err != nil || err2 != nil || !os.SameFile(here, mine) {
		return errors.Join(ErrNotStaged, f.Close())
	}
	s.owner.Store(f)
	return nil
}

// Release gives the staging folder up without removing it: another node may carry
// on, or clear it.
func (s *Staging) Release() {
	if f := s.owner.Swap(nil); f != nil {
		f.Close()
	}
}

// lockFile waits for an advisory lock. Where the file system has none it is
// granted.
func lockFile(ctx context.Context, f *os.File, how int) error {
	for {
		err := unix.Flock(int(f.Fd()), how|unix.LOCK_NB)
		switch {
		case errors.Is(err, unix.EINTR):
			continue
		case !errors.Is(err, unix.EWOULDBLOCK):
			return nil
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(publishLockPoll):
		}
	}
}

// StagedFor is the job for which a folder is the Dir of a Staging, by its name alone.
func StagedFor(dir string) (job string, ok bool) {
	root := filepath.Dir(dir)
	name := filepath.Base(root)
	if !filepath.IsAbs(dir) || filepath.Clean(dir) != dir || filepath.Base(dir) != workDir || !strings.HasPrefix(name, ".") {
		return "", false
	}
	if i := strings.LastIndex(name, stagingInfix); i > 1 {
		job = name[i+len(stagingInfix):]
	}
	return job, jobPattern.MatchString(job)
}

// Staged lists the jobs that have a staging folder beside target.
func Staged(target string) ([]string, error) {
	abs, err := resolve(target)
	if err != nil {
		return nil, fmt.Errorf("fs: list staging of %s: %w", target, err)
	}
	entries, err := os.ReadDir(filepath.Dir(abs))
	if err != nil && !errors.Is(err, os.ErrNotExist) {
		return nil, fmt.Errorf("fs: list staging of %s: %w", target, err)
	}
	var jobs []string
	for _, e := range entries {
		job, ok := strings.CutPrefix(e.Name(), "."+filepath.Base(abs)+stagingInfix)
		if job = strings.TrimSuffix(job, goneSuffix); ok && e.IsDir() && jobPattern.MatchString(job) {
			jobs = append(jobs, job)
		}
	}
	return jobs, nil
}

// Clear discards a job's staging folder that no process works on, as its
// coordinator would have. It reports false, and does nothing, when one does. The
// caller knows that no node will carry on with the job.
func Clear(ctx context.Context, target, job string) (cleared bool, err error) {
	s, err := newStaging(target, job, ModeError)
	if err == nil {
		cleared, err = s.clearOrphan(ctx)
	}
	if err != nil {
		return false, fmt.Errorf("fs: clear staging of %s: %w", target, classify(err))
	}
	return cleared, nil
}

func (s *Staging) clearOrphan(ctx context.Context) (bool, error) {
	f, err := os.OpenFile(s.path(ownerFile), os.O_RDWR, 0)
	if err == nil {
		defer f.Close()
		if errors.Is(unix.Flock(int(f.Fd()), unix.LOCK_EX|unix.LOCK_NB), unix.EWOULDBLOCK) {
			return false, nil
		}
	}
	if err != nil && !errors.Is(err, os.ErrNotExist) { // without the file: half made, or half removed
		return false, err
	}
	var facts stageFacts
	if err := readFacts(s.path("stage"), &facts); err != nil && !errors.Is(err, os.ErrNotExist) {
		return false, err
	}
	if facts.Mode != "" {
		s.mode = facts.Mode
	}
	if facts.File {
		return true, (&FileStaging{s}).discard(ctx)
	}
	return true, s.discard(ctx)
}

// StagedUsage is the bytes and the count of the files that a job has staged for a target.
func StagedUsage(target, job string) (bytes, count int64, err error) {
	s, err := newStaging(target, job, ModeError)
	if err != nil {
		return 0, 0, err
	}
	return DirUsage(s.root)
}

// DirUsage is the bytes and the count of the files below a folder; those that go while
// they are counted, and the folder if it is not there, count as nothing.
func DirUsage(dir string) (bytes, count int64, err error) {
	err = filepath.WalkDir(dir, func(_ string, e os.DirEntry, err error) error {
		if err == nil && e.Type().IsRegular() {
			var info os.FileInfo
			if info, err = e.Info(); err == nil {
				bytes += info.Size()
				count++
			}
		}
		if errors.Is(err, os.ErrNotExist) {
			return nil
		}
		return err
	})
	return bytes, count, err
}
