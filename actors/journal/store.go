package journal

import (
	"errors"
	"io"
	"iter"
	"os"

	"github.com/pondmesh/pond/actors/plan"
	"github.com/pondmesh/pond/actors/syserr"
	"github.com/pondmesh/pond/fs"
)

// Store keeps write-once uploads, each with the facts that were committed with
// it. Its methods may be called from many goroutines at once. Errors are those of
// package fs, for errors.Is.
type Store interface {
	// Create begins an upload of a kind.
	Create(kind string) (Upload, error)
	// Note commits an upload without bytes: its facts, at most fs.AttrsMax bytes, are
	// all of it.
	Note(kind string, facts []byte, durable bool) (fs.Info, error)
	// List yields the committed uploads of a kind, in no useful order.
	List(kind string) iter.Seq2[fs.Info, error]
	// Reader opens a committed upload: fs.ErrNotFound when there is none.
	Reader(id fs.UploadID) (Reader, error)
	// Delete removes uploads. Ids that are not there are ignored; open Readers
	// keep working.
	Delete(ids ...fs.UploadID) error
}

// Upload is an upload being written, by one goroutine at a time. It ends with
// Commit or Abort; Abort after either does nothing.
type Upload interface {
	io.Writer
	// File, Room and Adopt are for another process that writes all of the upload:
	// see package fs. The caller closes the file.
	File() (*os.File, error)
	Room() error
	Adopt(fs.Sums) error
	// Commit makes the upload visible with its facts. With durable it survives a
	// power loss.
	Commit(facts []byte, durable bool) (fs.Info, error)
	Abort() error
}

// Reader reads a committed upload. Bytes that are not those committed are
// fs.ErrCorrupt, never data.
type Reader interface {
	io.ReaderAt
	io.Closer
	Info() fs.Info
	Size() int64
	// File is the open file, for sendfile; nil when there is none.
	File() *os.File
}

// OnDisk is a store of package fs. The caller closes it, after the journal.
func OnDisk(s *fs.Store) Store { return disk{s} }

type disk struct{ *fs.Store }

func (d disk) Create(kind string) (Upload, error) {
	u, err := d.Store.Create(kind)
	if err != nil {
		return nil, err
	}
	return u, nil
}

func (d disk) Reader(id fs.UploadID) (Reader, error) {
	r, err := d.Store.Reader(id)
	if err != nil {
		return nil, err
	}
	return r, nil
}

// StorageError gives a full or failed disk its kind, and says what helps. Other
// errors, and nil, stay as they are.
func StorageError(err error) error {
	switch {
	case err == nil, errors.As(err, new(*plan.Error)):
		return err
	case errors.Is(err, fs.ErrOffline), errors.Is(err, fs.ErrReadOnly), syserr.Disk(err):
		return syserr.Own("write", "", err)
	}
	return err
}
