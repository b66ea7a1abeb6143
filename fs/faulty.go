package fs

import (
	"os"

	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/pondmesh/pond/fs/faults"
)

// faultyFS is the files of an index, which fail as an injector is told.
type faultyFS struct {
	vfs.FS
	faults      *faults.Injector
	write, sync faults.Point
}

// faulty is fs, failing at two points as i is told; without i it is fs itself.
func faulty(fs vfs.FS, i *faults.Injector, write, sync faults.Point) vfs.FS {
	if i == nil {
		return fs
	}
	return &faultyFS{fs, i, write, sync}
}

func (f *faultyFS) Create(name string, category vfs.DiskWriteCategory) (vfs.File, error) {
	return f.wrap(f.FS.Create(name, category))
}

func (f *faultyFS) ReuseForWrite(from, to string, category vfs.DiskWriteCategory) (vfs.File, error) {
	return f.wrap(f.FS.ReuseForWrite(from, to, category))
}

func (f *faultyFS) wrap(file vfs.File, err error) (vfs.File, error) {
	if err != nil {
		return nil, err
	}
	return &faultyFile{file, f}, nil
}

type faultyFile struct {
	vfs.File
	fs *faultyFS
}

func (f *faultyFile) Write(p []byte) (int, error) {
	do := f.fs.faults.At(f.fs.write)
	if do == faults.Torn {
		_, _ = f.File.Write(p[:len(p)/2])
		_ = f.File.Sync()
		faults.Die()
	}
	if err := do.At(f.fs.write); err != nil {
		return 0, err
	}
	return f.File.Write(p)
}

func (f *faultyFile) Sync() error     { return f.before(f.File.Sync) }
func (f *faultyFile) SyncData() error { return f.before(f.File.SyncData) }

func (f *faultyFile) before(sync func() error) error {
	if err := f.fs.faults.Fail(f.fs.sync); err != nil {
		return err
	}
	return sync()
}

// rot changes a byte in the middle of a file, which its readers are to notice.
func rot(name string) error {
	f, err := os.OpenFile(name, os.O_RDWR, 0)
	if err != nil {
		return err
	}
	defer f.Close()
	fi, err := f.Stat()
	if err != nil || fi.Size() == 0 {
		return err
	}
	b := make([]byte, 1)
	if _, err := f.ReadAt(b, fi.Size()/2); err != nil {
		return err
	}
	b[0] ^= 1
	_, err = f.WriteAt(b, fi.Size()/2)
	return err
}
