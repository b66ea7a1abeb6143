package fs

import (
	"context"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"os"

	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/pondmesh/pond/fs/faults"
)

// Reader reads a committed upload. Its methods may be called from many
// goroutines; it keeps working when the upload is deleted or the store closed.
type Reader struct {
	s    *Store
	info Info
	crcs []uint32
	f    vfs.File // nil: there are no bytes, or file is set
	file *os.File // the real file
}

// Reader opens a committed upload, or answers ErrNotFound; ErrCorrupt when its
// file is gone. It holds a checksum of 4 bytes a frame in memory. The caller
// calls Close.
func (s *Store) Reader(id UploadID) (*Reader, error) {
	r, err := s.reader(id)
	if err != nil {
		return nil, fmt.Errorf("fs: read %s: %w", id, err)
	}
	return r, nil
}

func (s *Store) reader(id UploadID) (*Reader, error) {
	if err := s.enter(); err != nil {
		return nil, err
	}
	defer s.leave()
	r := &Reader{s: s}
	err := s.failRead(id)
	if err != nil {
		return nil, err
	}
	if r.info, err = s.index.info(id); err != nil {
		return nil, err
	}
	if r.info.Size == 0 {
		return r, nil
	}
	if r.crcs, err = s.index.crcs(id, r.info.Size); err == nil {
		err = r.openFile(s.file(id))
	}
	if err == nil {
		return r, nil
	}
	if _, again := s.index.info(id); errors.Is(again, ErrNotFound) {
		return nil, ErrNotFound // deleted while we looked
	}
	if errors.Is(err, os.ErrNotExist) || errors.Is(err, ErrNotFound) {
		err = fmt.Errorf("%w: committed, but: %v", ErrCorrupt, err)
	}
	return nil, err
}

// failRead has an upload's file fail, or rot, where that is armed.
func (s *Store) failRead(id UploadID) error {
	do := s.faults.At(faults.SegmentRead)
	if do == faults.Corrupt {
		return rot(s.file(id))
	}
	return do.At(faults.SegmentRead)
}

func (r *Reader) openFile(name string) error {
	if !r.s.real {
		f, err := r.s.fs.Open(name)
		r.f = f
		return err
	}
	f, err := os.Open(name)
	if err != nil {
		return err
	}
	r.file = f
	return nil
}

// Info describes the upload.
func (r *Reader) Info() Info { return r.info }

// Size is the upload's bytes.
func (r *Reader) Size() int64 { return r.info.Size }

// File returns the open file, for sendfile: reads through it are not checked. It
// belongs to the Reader. It is nil if the store is not on real files, or there are no
// bytes.
func (r *Reader) File() *os.File { return r.file }

// Close ends the Reader.
func (r *Reader) Close() error {
	switch {
	case r.file != nil:
		return r.file.Close()
	case r.f != nil:
		return r.f.Close()
	}
	return nil
}

// ReadAt is io.ReaderAt. It reads and checks whole frames, so reads that are
// multiples of FrameSize at such offsets cost least. Bytes that fail their
// checksum are ErrCorrupt and not counted; p may then hold anything beyond n.
func (r *Reader) ReadAt(p []byte, off int64) (int, error) {
	if off < 0 {
		return 0, fmt.Errorf("fs: read %s at %d: %w", r.info.ID, off, ErrInvalid)
	}
	done := 0
	for done < len(p) {
		if off >= r.info.Size {
			return done, io.EOF
		}
		n, err := r.readSome(p[done:], off)
		done += n
		off += int64(n)
		if err != nil {
			return done, fmt.Errorf("fs: read %s at %d: %w", r.info.ID, off, err)
		}
	}
	return done, nil
}

// readSome reads at least one byte: whole frames straight into p, or a part of
// one by way of a frame of our own.
func (r *Reader) readSome(p []byte, off int64) (int, error) {
	left := r.info.Size - off
	if off%FrameSize == 0 && int64(len(p)) >= min(FrameSize, left) {
		n := min(int64(len(p)), left)
		if n < left {
			n -= n % FrameSize
		}
		return r.readFrames(p[:n], off)
	}
	buf := r.s.frames.Get().(*[FrameSize]byte)
	defer r.s.frames.Put(buf)
	start := off - off%FrameSize
	frame := buf[:min(FrameSize, r.info.Size-start)]
	if _, err := r.readFrames(frame, start); err != nil {
		return 0, err
	}
	return copy(p, frame[off-start:]), nil
}

// readFrames reads and checks whole frames; n counts those that are good.
func (r *Reader) readFrames(p []byte, off int64) (n int, err error) {
	got, err := r.raw().ReadAt(p, off)
	if got == len(p) {
		err = nil
	}
	for n < got {
		end := min(n+FrameSize, len(p))
		if end > got {
			break
		}
		frame := (off + int64(n)) / FrameSize
		if crc32.Checksum(p[n:end], castagnoli) != r.crcs[frame] {
			return n, fmt.Errorf("%w: frame %d fails its checksum", ErrCorrupt, frame)
		}
		n = end
	}
	if errors.Is(err, io.EOF) {
		err = fmt.Errorf("%w: file ends at %d of %d bytes", ErrCorrupt, off+int64(got), r.info.Size)
	}
	return n, err
}

func (r *Reader) raw() io.ReaderAt {
	if r.file != nil {
		return r.file
	}
	return r.f
}

// Verify reads a whole upload and checks it: nil, ErrCorrupt, or why it could
// not be read.
func (s *Store) Verify(ctx context.Context, id UploadID) error {
	r, err := s.Reader(id)
	if err != nil {
		return err
	}
	defer r.Close()
	buf := s.frames.Get().(*[FrameSize]byte)
	defer s.frames.Put(buf)
	for off := int64(0); off < r.Size(); off += FrameSize {
		if err := ctx.Err(); err != nil {
			return fmt.Errorf("fs: verify %s: %w", id, err)
		}
		if _, err := r.ReadAt(buf[:min(FrameSize, r.Size()-off)], off); err != nil {
			return err
		}
	}
	return nil
}
