package journal

import (
	"bytes"
	"crypto/rand"
	"fmt"
	"iter"
	"maps"
	"os"
	"slices"
	"sync"
	"time"

	"github.com/pondmesh/pond/fs"
)

// Memory is a Store without a disk, for tests. It outlives the journals that are
// opened on it, as a disk does. The zero value is empty and ready.
type Memory struct {
	mu      sync.Mutex
	uploads map[fs.UploadID]*memoryUpload
	fail    error
}

// memoryUpload is a committed upload. Once it is damaged, reading it fails with
// the error.
type memoryUpload struct {
	info   fs.Info
	bytes  []byte
	damage error
}

// FailWith has every later Create, Write and Commit fail with err; nil ends it.
func (m *Memory) FailWith(err error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.fail = err
}

// Damage has reading an upload's bytes fail with err: fs.ErrCorrupt once a bit has
// flipped, syscall.EIO of a bad sector. It reports whether there is such an upload.
func (m *Memory) Damage(id fs.UploadID, err error) bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	u := m.uploads[id]
	if u == nil {
		return false
	}
	damaged := *u
	damaged.damage = err
	m.uploads[id] = &damaged
	return true
}

// Len is how many uploads are committed.
func (m *Memory) Len() int {
	m.mu.Lock()
	defer m.mu.Unlock()
	return len(m.uploads)
}

// Create implements Store.
func (m *Memory) Create(kind string) (Upload, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.fail != nil {
		return nil, m.fail
	}
	return &memoryDraft{m: m, kind: kind}, nil
}

// Note implements Store.
func (m *Memory) Note(kind string, facts []byte, durable bool) (fs.Info, error) {
	d, err := m.Create(kind)
	if err != nil {
		return fs.Info{}, err
	}
	return d.Commit(facts, durable)
}

// List implements Store.
func (m *Memory) List(kind string) iter.Seq2[fs.Info, error] {
	m.mu.Lock()
	all := slices.Collect(maps.Values(m.uploads))
	m.mu.Unlock()
	return func(yield func(fs.Info, error) bool) {
		for _, u := range all {
			if u.info.Kind == kind && !yield(u.info, nil) {
				return
			}
		}
	}
}

// Reader implements Store.
func (m *Memory) Reader(id fs.UploadID) (Reader, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	u := m.uploads[id]
	if u == nil {
		return nil, fmt.Errorf("upload %s: %w", id, fs.ErrNotFound)
	}
	return &memoryReader{u}, nil
}

// Delete implements Store.
func (m *Memory) Delete(ids ...fs.UploadID) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	for _, id := range ids {
		delete(m.uploads, id)
	}
	return nil
}

type memoryDraft struct {
	m     *Memory
	kind  string
	buf   bytes.Buffer
	ended bool
}

func (d *memoryDraft) Write(p []byte) (int, error) {
	d.m.mu.Lock()
	defer d.m.mu.Unlock()
	if err := d.usable(); err != nil {
		return 0, err
	}
	return d.buf.Write(p)
}

// File, Room and Adopt implement Upload: there is no file that a process could share.
func (d *memoryDraft) File() (*os.File, error) { return nil, fs.ErrInvalid }
func (d *memoryDraft) Room() error             { return nil }
func (d *memoryDraft) Adopt(fs.Sums) error     { return fs.ErrInvalid }

func (d *memoryDraft) Commit(facts []byte, durable bool) (fs.Info, error) {
	d.m.mu.Lock()
	defer d.m.mu.Unlock()
	if err := d.usable(); err != nil {
		return fs.Info{}, err
	}
	d.ended = true
	info := fs.Info{Kind: d.kind, Size: int64(d.buf.Len()), Attrs: bytes.Clone(facts), Durable: durable, Committed: time.Now()}
	rand.Read(info.ID[:]) // never fails
	if d.m.uploads == nil {
		d.m.uploads = map[fs.UploadID]*memoryUpload{}
	}
	d.m.uploads[info.ID] = &memoryUpload{info: info, bytes: d.buf.Bytes()}
	return info, nil
}

// usable is why the upload cannot go on, if it cannot; the lock is held.
func (d *memoryDraft) usable() error {
	if d.ended {
		return fs.ErrClosed
	}
	return d.m.fail
}

func (d *memoryDraft) Abort() error {
	d.m.mu.Lock()
	defer d.m.mu.Unlock()
	d.ended = true
	return nil
}

type memoryReader struct{ u *memoryUpload }

func (r *memoryReader) ReadAt(p []byte, off int64) (int, error) {
	if r.u.damage != nil {
		return 0, fmt.Errorf("upload %s: %w", r.u.info.ID, r.u.damage)
	}
	return bytes.NewReader(r.u.bytes).ReadAt(p, off)
}

func (r *memoryReader) Info() fs.Info  { return r.u.info }
func (r *memoryReader) Size() int64    { return r.u.info.Size }
func (r *memoryReader) File() *os.File { return nil }
func (r *memoryReader) Close() error   { return nil }
