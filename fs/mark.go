package fs

import (
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"

	"github.com/cockroachdb/pebble/v2"
	"github.com/cockroachdb/pebble/v2/vfs"
)

// markSize is a mark's bytes: count[8] crc32c[4], big-endian.
const markSize = 8 + 4

// mark counts synced commits twice: in the index, within each such commit, and
// in a file beside it, after the commit. An index that knows of fewer than the
// file has lost some: Pebble takes damage in the last block of its log for the
// torn end that a crash leaves, and without the mark Open would then remove the
// lost commits' files as uncommitted.
//
// The file is not synced. After a power loss it may be behind, which proves
// nothing and does no harm; it can never be ahead of the index on disk.
type mark struct {
	f      vfs.File
	synced uint64
}

// openMark reads both counts, and is ErrCorrupt when the index is behind.
func openMark(fs vfs.FS, name string, db *pebble.DB) (*mark, error) {
	m := &mark{}
	v, closer, err := db.Get([]byte{keySynced})
	switch {
	case err == nil:
		defer closer.Close()
		if len(v) != 8 {
			return nil, fmt.Errorf("%w: index has a count of %d bytes", ErrCorrupt, len(v))
		}
		m.synced = binary.BigEndian.Uint64(v)
	case !errors.Is(err, pebble.ErrNotFound):
		return nil, indexError(err)
	}
	if m.f, err = fs.OpenReadWrite(name, writeCategory); err != nil {
		return nil, err
	}
	if n := m.read(); n > m.synced {
		return nil, errors.Join(fmt.Errorf("%w: the index has lost %d of %d commits", ErrCorrupt, n-m.synced, n), m.f.Close())
	}
	return m, nil
}

// read is the count in the file; 0 when it is new or torn.
func (m *mark) read() uint64 {
	var b [markSize]byte
	if n, _ := m.f.ReadAt(b[:], 0); n < len(b) {
		return 0
	}
	if crc32.Checksum(b[:8], castagnoli) != binary.BigEndian.Uint32(b[8:]) {
		return 0
	}
	return binary.BigEndian.Uint64(b[:])
}

// count adds the next count to a batch that will be synced.
func (m *mark) count(b *pebble.Batch) error {
	m.synced++
	return b.Set([]byte{keySynced}, binary.BigEndian.AppendUint64(nil, m.synced), nil)
}

// write notes the count once its commit is on disk. A failure only leaves the
// mark behind.
func (m *mark) write() {
	b := binary.BigEndian.AppendUint64(make([]byte, 0, markSize), m.synced)
	m.f.WriteAt(binary.BigEndian.AppendUint32(b, crc32.Checksum(b, castagnoli)), 0)
}
