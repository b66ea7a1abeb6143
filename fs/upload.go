package fs

import (
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"os"
	"slices"

	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/dustin/go-humanize"

	"github.com/pondmesh/pond/fs/faults"
)

// Checksums: one CRC32C a frame, kept in the index in one value a chunk.
const (
	FrameSize   = 64 << 10 // bytes that share a checksum: the unit of checked reads
	ChunkSize   = 4 << 20  // bytes whose checksums share an index value
	chunkFrames = ChunkSize / FrameSize
)

// writeCategory labels our files in Pebble's disk statistics.
const writeCategory vfs.DiskWriteCategory = "pond-upload"

// Upload is an upload being written, by one goroutine at a time. It ends with
// Commit or Abort; Abort after either does nothing, so it can be deferred.
type Upload struct {
	s    *Store
	id   UploadID
	kind string
	f    vfs.File
	sums Sums
	err  error // why it ended; ErrClosed after Commit or Abort
	// Of a copy: its id is claimed, and bytes are set aside that are not written yet.
	copy  bool
	aside int64
}

// Sums are the size and the frame checksums of an upload's bytes. The zero value is
// that of none.
type Sums struct {
	Size int64    // bytes
	CRCs []uint32 // CRC32C of full frames
	Last uint32   // of the frame being filled: Size % FrameSize bytes
}

// Add carries the sums over p, which follows.
func (s *Sums) Add(p []byte) {
	for len(p) > 0 {
		n := min(len(p), FrameSize-int(s.Size%FrameSize))
		s.Last = crc32.Update(s.Last, castagnoli, p[:n])
		s.Size += int64(n)
		if s.Size%FrameSize == 0 {
			s.CRCs = append(s.CRCs, s.Last)
			s.Last = 0
		}
		p = p[n:]
	}
}

// all are the checksums of all frames.
func (s *Sums) all() []uint32 {
	if s.Size%FrameSize != 0 {
		return append(s.CRCs, s.Last)
	}
	return s.CRCs
}

// Create begins an upload. kind is 1 to KindMax bytes of the caller's choosing.
func (s *Store) Create(kind string) (*Upload, error) {
	u, err := s.create(kind)
	if err != nil {
		return nil, fmt.Errorf("fs: create: %w", classify(err))
	}
	return u, nil
}

func (s *Store) create(kind string) (*Upload, error) { return s.begin(newUploadID(), kind) }

func (s *Store) begin(id UploadID, kind string) (*Upload, error) {
	if err := checkFacts(kind, nil); err != nil {
		return nil, err
	}
	if err := s.enter(); err != nil {
		return nil, err
	}
	defer s.leave()
	if err := errors.Join(s.checkFree(), s.faults.Fail(faults.SegmentCreate)); err != nil {
		return nil, err
	}
	if s.uploads.Add(1) > uploadsOpenMax {
		s.uploads.Add(-1)
		return nil, ErrBusy
	}
	u := &Upload{s: s, id: id, kind: kind}
	var err error
	if u.f, err = s.fs.Create(s.file(u.id), writeCategory); err != nil {
		s.uploads.Add(-1)
		return nil, err
	}
	return u, nil
}

// Note commits an upload without bytes: all that it says is its attrs, at most AttrsMax
// bytes. It has no file, so a durable one costs one write of the index's log. Its Reader
// is empty.
func (s *Store) Note(kind string, attrs []byte, durable bool) (Info, error) {
	info := Info{ID: newUploadID(), Kind: kind, Attrs: slices.Clone(attrs), Durable: durable, Committed: s.now().UTC()}
	if err := s.note(&info); err != nil {
		if errors.Is(err, ErrNoSpace) { // its text is for people
			return Info{}, err
		}
		return Info{}, fmt.Errorf("fs: note: %w", classify(err))
	}
	return info, nil
}

func (s *Store) note(info *Info) error {
	if err := checkFacts(info.Kind, info.Attrs); err != nil {
		return err
	}
	if err := errors.Join(s.checkFree(), s.failCommit(info.Durable)); err != nil {
		return err
	}
	return s.writer.do(&request{put: info, sync: info.Durable})
}

func checkFacts(kind string, attrs []byte) error {
	switch {
	case kind == "" || len(kind) > KindMax:
		return fmt.Errorf("kind %.40q: %w", kind, ErrInvalid)
	case len(attrs) > AttrsMax:
		return fmt.Errorf("%d bytes of attrs, at most %d: %w", len(attrs), AttrsMax, ErrInvalid)
	}
	return nil
}

// checkFree is ErrNoSpace when the disk is fuller than the options allow.
func (s *Store) checkFree() error {
	if s.minFree < 0 {
		return nil
	}
	u, err := s.fs.GetDiskUsage(s.data)
	if err != nil {
		return nil // not known here: the write itself will tell
	}
	if u.AvailBytes < uint64(s.minFree) {
		return fmt.Errorf("%w: %s free on the disk of %s, where %s are kept free", ErrNoSpace, humanize.IBytes(u.AvailBytes), s.dir, humanize.IBytes(uint64(s.minFree)))
	}
	return nil
}

// ID is the upload's id, known before it is committed.
func (u *Upload) ID() UploadID { return u.id }

// Write appends p. Each call is a system call: write large pieces. After an
// error the upload has ended and left nothing behind.
func (u *Upload) Write(p []byte) (int, error) {
	if u.err != nil {
		return 0, fmt.Errorf("fs: write %s: %w", u.id, u.err)
	}
	n, err := u.write(p)
	if err != nil {
		u.end(classify(err))
		return n, fmt.Errorf("fs: write %s: %w", u.id, u.err)
	}
	return n, nil
}

func (u *Upload) write(p []byte) (int, error) {
	if int64(len(p)) > SizeMax-u.sums.Size {
		return 0, fmt.Errorf("more than %d bytes: %w", int64(SizeMax), ErrInvalid)
	}
	if u.sums.Size/ChunkSize != (u.sums.Size+int64(len(p)))/ChunkSize {
		if err := u.s.checkFree(); err != nil {
			return 0, err
		}
	}
	u.sums.Add(p) // when less is written, the upload ends
	n, err := u.f.Write(p)
	return n, errors.Join(err, u.wrote(n))
}

// File opens the upload's file for writing, for another process, which writes all of
// it: Adopt says so then. The caller closes it.
func (u *Upload) File() (*os.File, error) {
	if u.err != nil {
		return nil, fmt.Errorf("fs: share %s: %w", u.id, u.err)
	}
	f, err := os.OpenFile(u.s.file(u.id), os.O_WRONLY, 0)
	if err != nil {
		return nil, fmt.Errorf("fs: share %s: %w", u.id, classify(err))
	}
	return f, nil
}

// Room is ErrNoSpace when the disk is fuller than the options allow, which Write finds
// out by itself.
func (u *Upload) Room() error {
	if err := u.s.checkFree(); err != nil {
		return fmt.Errorf("fs: write %s: %w", u.id, err)
	}
	return nil
}

// Adopt takes what another process wrote by way of File as the upload's bytes. Sums
// that are not those of the bytes make them unreadable, as damage would.
func (u *Upload) Adopt(s Sums) error {
	if u.err != nil {
		return fmt.Errorf("fs: adopt %s: %w", u.id, u.err)
	}
	info, err := u.f.Stat()
	if err != nil {
		return fmt.Errorf("fs: adopt %s: %w", u.id, classify(err))
	}
	frames := (s.Size + FrameSize - 1) / FrameSize
	if u.sums.Size != 0 || s.Size < 0 || s.Size > SizeMax || info.Size() != s.Size || int64(len(s.all())) != frames {
		return fmt.Errorf("fs: adopt %s: %d bytes in %d frames, and the file has %d: %w", u.id, s.Size, len(s.CRCs), info.Size(), ErrInvalid)
	}
	u.sums = s
	return nil
}

// Import begins an upload whose bytes are in a file that is there already, on the disk of
// the store: the file is moved, and nobody may write it any more. It is read once, for
// its checksums. Commit makes it visible; until then a crash takes it away.
func (s *Store) Import(kind, path string) (*Upload, error) {
	u, err := s.create(kind)
	if err == nil {
		err = u.take(path)
	}
	if err != nil {
		return nil, fmt.Errorf("fs: import %s: %w", path, classify(err))
	}
	return u, nil
}

// take moves the file to where the upload's is.
func (u *Upload) take(path string) (err error) {
	defer func() {
		if err != nil {
			u.end(err)
		}
	}()
	if err := errors.Join(u.f.Close(), u.s.fs.Rename(path, u.s.file(u.id))); err != nil {
		u.f = nil
		return err
	}
	if u.s.real { // a link would be what it leads to, which its writer may not even read
		switch fi, err := os.Lstat(u.s.file(u.id)); {
		case err != nil:
			return err
		case !fi.Mode().IsRegular():
			return fmt.Errorf("%s, no file: %w", fi.Mode().Type(), ErrInvalid)
		}
	}
	if u.f, err = u.s.fs.OpenReadWrite(u.s.file(u.id), writeCategory); err != nil {
		return err
	}
	buf := make([]byte, importBuffer)
	for {
		n, err := u.f.Read(buf)
		if int64(n) > SizeMax-u.sums.Size {
			return fmt.Errorf("more than %d bytes: %w", int64(SizeMax), ErrInvalid)
		}
		u.sums.Add(buf[:n])
		switch {
		case errors.Is(err, io.EOF):
			return nil
		case err != nil:
			return err
		}
	}
}

// importBuffer is how many bytes of a file that is imported are read at a time.
const importBuffer = 1 << 20

// Commit ends the upload and makes it visible. attrs are copied, at most
// AttrsMax bytes. With durable the bytes and the fact are on disk when it
// returns; without, a crash may take the upload away (or leave it torn, which
// Open or the first read finds), so it is for data that can be computed again.
// After an error the upload does not exist and left nothing behind.
func (u *Upload) Commit(attrs []byte, durable bool) (Info, error) {
	if u.err != nil {
		return Info{}, fmt.Errorf("fs: commit %s: %w", u.id, u.err)
	}
	info, err := u.commit(attrs, durable)
	if err != nil {
		u.end(classify(err))
		return Info{}, fmt.Errorf("fs: commit %s: %w", u.id, u.err)
	}
	return info, nil
}

func (u *Upload) commit(attrs []byte, durable bool) (Info, error) {
	if err := checkFacts(u.kind, attrs); err != nil {
		return Info{}, err
	}
	if err := u.s.Err(); err != nil {
		return Info{}, err
	}
	if durable {
		if err := u.f.Sync(); err != nil {
			return Info{}, u.s.syncFailed(err)
		}
	}
	if err := u.s.failCommit(durable); err != nil {
		return Info{}, err
	}
	f := u.f
	u.f = nil
	if err := f.Close(); err != nil {
		return Info{}, err
	}
	info := Info{ID: u.id, Kind: u.kind, Size: u.sums.Size, Attrs: slices.Clone(attrs),
		Durable: durable, Committed: u.s.now().UTC()}
	if err := u.s.writer.do(&request{put: &info, crcs: u.sums.all(), file: true, fresh: u.copy, sync: durable}); err != nil {
		return Info{}, err
	}
	u.err = ErrClosed
	u.let()
	if u.copy {
		u.s.healed(u.id)
	}
	return info, nil
}

// failCommit has a commit fail where that is armed: a durable one as its fsync would.
func (s *Store) failCommit(durable bool) error {
	if !durable {
		return s.faults.Fail(faults.SegmentCommit)
	}
	if err := s.faults.Fail(faults.RecordSync); err != nil {
		return s.syncFailed(err)
	}
	return nil
}

// syncFailed turns a failed fsync into the end of the store. The kernel has
// dropped the dirty pages and marked them clean: a second fsync would succeed
// and mean nothing. Out of space is the exception: it is about this file alone,
// which is thrown away.
func (s *Store) syncFailed(err error) error {
	if c := classify(err); errors.Is(c, ErrNoSpace) {
		return c
	}
	s.index.fail(err)
	return fmt.Errorf("%w: %w", ErrOffline, err)
}

// Abort ends the upload and removes its bytes; after the end it does nothing.
func (u *Upload) Abort() error {
	if u.err != nil {
		return nil
	}
	if err := u.end(ErrClosed); err != nil {
		return fmt.Errorf("fs: abort %s: %w", u.id, err)
	}
	return nil
}

// end closes and removes the file; later calls return cause.
func (u *Upload) end(cause error) error {
	u.err = cause
	defer u.let()
	var err error
	if u.f != nil {
		err = u.f.Close()
		u.f = nil
	}
	// A store that went offline may hold the commit after all: leave the file to
	// the next Open, which reads the true state of the disk.
	if errors.Is(cause, ErrOffline) {
		return err
	}
	if e := u.s.fs.Remove(u.s.file(u.id)); e != nil && !errors.Is(e, os.ErrNotExist) {
		err = errors.Join(err, e)
	}
	return err
}
