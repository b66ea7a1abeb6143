package fs

import (
	"errors"
	"fmt"
	"syscall"
)

// Sentinels for errors.Is. Permission and not-exist errors of the operating
// system stay visible as os.ErrPermission and os.ErrNotExist.
var (
	ErrNotFound = errors.New("no such upload")
	ErrCorrupt  = errors.New("corrupt")
	ErrClosed   = errors.New("closed")
	// ErrLocked: another process (or another Open of this one) has the folder.
	ErrLocked = errors.New("locked")
	// ErrOffline: an fsync or the index failed. What the disk holds is no longer
	// known, so the store serves nothing more until it is opened again.
	ErrOffline  = errors.New("store offline")
	ErrNoSpace  = error(&storageError{"no space left", syscall.ENOSPC})
	ErrReadOnly = error(&storageError{"not writable", syscall.EROFS})
	// ErrInvalid: an argument breaks a documented limit.
	ErrInvalid = errors.New("invalid argument")
	// ErrBusy: too many uploads are open at once.
	ErrBusy = errors.New("too many open uploads")

	// ErrExists: there is something where the output is to go.
	ErrExists = errors.New("already exists")
	// ErrNotFolder: the target of a publish is not a folder.
	ErrNotFolder = errors.New("not a folder")
	// ErrNotStaged: there is no staging folder: never staged, or discarded.
	ErrNotStaged = errors.New("not staged")
)

// storageError is an error of this package that is, to errors.Is, also the system's of
// which it is a case: who tells errors of disks apart need not know both.
type storageError struct {
	text  string
	errno syscall.Errno
}

func (e *storageError) Error() string { return e.text }
func (e *storageError) Unwrap() error { return e.errno }

// GoneError says that a staged file is no longer there: the attempt that wrote it,
// the first element of its name, has to be made again.
type GoneError struct {
	Name string // below the Staging's Dir
	Err  error
}

func (e *GoneError) Error() string { return "staged file " + e.Name + ": " + e.Err.Error() }
func (e *GoneError) Unwrap() error { return e.Err }

// classify adds the sentinel that an operating system's error stands for.
func classify(err error) error {
	switch {
	case err == nil, errors.Is(err, ErrNoSpace), errors.Is(err, ErrReadOnly):
		return err
	case errors.Is(err, syscall.ENOSPC), errors.Is(err, syscall.EDQUOT):
		return fmt.Errorf("%w: %w", ErrNoSpace, err)
	case errors.Is(err, syscall.EROFS):
		return fmt.Errorf("%w: %w", ErrReadOnly, err)
	case errors.Is(err, syscall.ENOTDIR):
		return fmt.Errorf("%w: %w", ErrNotFolder, err)
	}
	return err
}
