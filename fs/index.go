package fs

import (
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"github.com/cockroachdb/pebble/v2"
	"github.com/cockroachdb/pebble/v2/vfs"
)

// The index's keys. A commit is one batch of one 'u' and all its 'c'.
//
//	"f"                     format of the folder: one byte
//	"s"                     number of synced commits[8] (see mark.go)
//	"u" id[16]              record (see encodeRecord)
//	"c" id[16] chunk[4]     CRC32C of each frame of the chunk, 4 bytes each
//
// Integers are big-endian.
const (
	keyFormat     = 'f'
	keySynced     = 's'
	keyUpload     = 'u'
	keyChunk      = 'c'
	uploadKeySize = 1 + len(UploadID{})
)

const folderFormat = 1

// Sizes of the index's own memory; it holds few and small values.
const (
	indexCache    = 8 << 20
	indexMemtable = 4 << 20
	indexStop     = 4 // memtables in memory before commits wait for a flush
)

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// index is the Pebble database and the reason it failed, if it did. Pebble
// expects its logger to end the process on fatal errors; here they make the
// store go offline instead.
type index struct {
	db   *pebble.DB
	log  *slog.Logger
	mark *mark

	once    sync.Once
	down    chan struct{} // closed by fail
	cause   error         // readable once down is closed
	wrecked atomic.Bool   // Pebble panicked or hangs: its locks may be held, its Close would hang

	closing sync.Once
	closed  error
}

// openIndex opens the index of the store in dir.
func openIndex(fs vfs.FS, dir string, log *slog.Logger) (*index, error) {
	x, err := openDB(fs, fs.PathJoin(dir, "index"), log)
	if err != nil {
		return nil, err
	}
	if x.mark, err = openMark(fs, fs.PathJoin(dir, "COMMITS"), x.db); err != nil {
		return nil, errors.Join(err, x.close())
	}
	return x, nil
}

func openDB(fs vfs.FS, dir string, log *slog.Logger) (*index, error) {
	x := &index{log: log, down: make(chan struct{})}
	cache := pebble.NewCache(indexCache)
	defer cache.Unref()
	db, err := openPebble(dir, &pebble.Options{
		FS:                          fs,
		Cache:                       cache,
		MemTableSize:                indexMemtable,
		MemTableStopWritesThreshold: indexStop,
		// The newest format tells a torn end of the log, which a crash leaves, from
		// a damaged middle, which would lose commits in silence.
		FormatMajorVersion: pebble.FormatNewest,
		Logger:             pebbleLog{x},
		EventListener: &pebble.EventListener{
			BackgroundError: x.fail,
			DataCorruption:  func(i pebble.DataCorruptionInfo) { x.fail(fmt.Errorf("%w: %s", ErrCorrupt, i)) },
		},
	})
	if cause := x.failed(); cause != nil {
		if db != nil {
			cause = errors.Join(cause, db.Close())
		}
		err = errors.Join(err, cause)
	}
	if errors.Is(err, pebble.ErrCorruption) {
		err = fmt.Errorf("index: %w: %w", ErrCorrupt, err)
	}
	if err != nil {
		return nil, err
	}
	x.db = db
	return x, nil
}

// openPebble is pebble.Open, which panics when some writes fail.
func openPebble(dir string, o *pebble.Options) (db *pebble.DB, err error) {
	defer func() {
		if r := recover(); r != nil {
			db, err = nil, panicError(r)
		}
	}()
	return pebble.Open(dir, o)
}

func panicError(r any) error {
	cause, _ := r.(error)
	return &fatalError{msg: fmt.Sprint(r), cause: cause}
}

// fail takes the index down permanently; the first cause is kept. It must not
// block: Pebble calls it with locks held.
func (x *index) fail(cause error) {
	x.once.Do(func() {
		x.cause = cause
		close(x.down)
	})
}

// failed is why the index is down, or nil.
func (x *index) failed() error {
	select {
	case <-x.down:
		return x.cause
	default:
		return nil
	}
}

// close ends Pebble, once. Nobody may be using it.
func (x *index) close() error {
	x.closing.Do(func() {
		if !x.wrecked.Load() {
			x.closed = x.db.Close()
		}
		if x.mark != nil {
			x.closed = errors.Join(x.closed, x.mark.f.Close())
		}
	})
	return x.closed
}

// apply commits a batch. Only one goroutine calls it: when Pebble panics in the
// middle (its answer to a log that cannot be written), it leaves a lock behind
// on which a second caller would wait for ever.
func (x *index) apply(b *pebble.Batch, sync bool) (err error) {
	defer func() {
		if r := recover(); r != nil {
			x.wrecked.Store(true)
			x.fail(panicError(r))
			err = x.failed()
		}
	}()
	o := pebble.NoSync
	if sync {
		o = pebble.Sync
		if err := x.mark.count(b); err != nil {
			return err
		}
	}
	if err := b.Commit(o); err != nil {
		x.fail(fmt.Errorf("index: %w", err))
	}
	if err := x.failed(); err != nil || !sync {
		return err
	}
	x.mark.write()
	return nil
}

// sync makes everything committed before it durable.
func (x *index) sync() error {
	b := x.db.NewBatch()
	defer b.Close()
	return x.apply(b, true)
}

// put adds an upload to a batch.
func (x *index) put(b *pebble.Batch, info *Info, crcs []uint32) error {
	for chunk := 0; chunk*chunkFrames < len(crcs); chunk++ {
		part := crcs[chunk*chunkFrames : min(len(crcs), (chunk+1)*chunkFrames)]
		v := make([]byte, 0, 4*len(part))
		for _, c := range part {
			v = binary.BigEndian.AppendUint32(v, c)
		}
		if err := b.Set(chunkKey(info.ID, uint32(chunk)), v, nil); err != nil {
			return err
		}
	}
	return b.Set(uploadKey(info.ID), encodeRecord(info), nil)
}

// dropEach is how many keys are deleted one by one. Pebble looks through all ranges that
// were deleted since it wrote a table, whenever it is asked for a key after another one.
const dropEach = 64

// unknownSize is that of an upload whose record does not say it.
const unknownSize = -1

// drop adds the removal of an upload of size bytes to a batch.
func (x *index) drop(b *pebble.Batch, id UploadID, size int64) error {
	if err := b.Delete(uploadKey(id), nil); err != nil {
		return err
	}
	chunks := (framesOf(size) + chunkFrames - 1) / chunkFrames
	if size == unknownSize || chunks > dropEach {
		// The range's end is beyond any chunk: SizeMax is far fewer than 2^32 chunks.
		return b.DeleteRange(chunkKey(id, 0), chunkKey(id, 1<<32-1), nil)
	}
	for chunk := range chunks {
		if err := b.Delete(chunkKey(id, uint32(chunk)), nil); err != nil {
			return err
		}
	}
	return nil
}

// framesOf is how many frames so many bytes are.
func framesOf(size int64) int { return int((size + FrameSize - 1) / FrameSize) }

// info reads one record.
func (x *index) info(id UploadID) (Info, error) {
	v, closer, err := x.db.Get(uploadKey(id))
	if err != nil {
		return Info{}, indexError(err)
	}
	defer closer.Close()
	return decodeRecord(id, v)
}

// crcs reads the checksums of an upload of size bytes.
func (x *index) crcs(id UploadID, size int64) ([]uint32, error) {
	frames := framesOf(size)
	out := make([]uint32, 0, frames)
	for chunk := 0; len(out) < frames; chunk++ {
		v, closer, err := x.db.Get(chunkKey(id, uint32(chunk)))
		if err != nil {
			return nil, indexError(err)
		}
		n := min(chunkFrames, frames-len(out))
		if len(v) != 4*n {
			closer.Close()
			return nil, fmt.Errorf("%w: index has %d bytes of checksums for chunk %d, not %d", ErrCorrupt, len(v), chunk, 4*n)
		}
		for ; len(v) > 0; v = v[4:] {
			out = append(out, binary.BigEndian.Uint32(v))
		}
		if err := closer.Close(); err != nil {
			return nil, err
		}
	}
	return out, nil
}

// page reads up to n records with ids above after, in order.
func (x *index) page(after *UploadID, n int) (page []Info, err error) {
	lower := []byte{keyUpload}
	if after != nil {
		lower = append(uploadKey(*after), 0)
	}
	return x.pageIn(lower, []byte{keyUpload + 1}, n)
}

// pageIn reads up to n records with keys from lower to below upper, in order.
func (x *index) pageIn(lower, upper []byte, n int) (page []Info, err error) {
	it, err := x.db.NewIter(&pebble.IterOptions{LowerBound: lower, UpperBound: upper})
	if err != nil {
		return nil, indexError(err)
	}
	defer func() { err = errors.Join(err, indexError(it.Close())) }()
	for ok := it.First(); ok && len(page) < n; ok = it.Next() {
		if len(it.Key()) != uploadKeySize {
			return page, fmt.Errorf("%w: index key of %d bytes", ErrCorrupt, len(it.Key()))
		}
		v, err := it.ValueAndErr()
		if err != nil {
			return page, indexError(err)
		}
		info, err := decodeRecord(UploadID(it.Key()[1:]), v)
		if err != nil {
			return page, err
		}
		page = append(page, info)
	}
	return page, indexError(it.Error())
}

func indexError(err error) error {
	switch {
	case errors.Is(err, pebble.ErrNotFound):
		return ErrNotFound
	case errors.Is(err, pebble.ErrCorruption):
		return fmt.Errorf("index: %w: %w", ErrCorrupt, err)
	}
	return err
}

func uploadKey(id UploadID) []byte { return append([]byte{keyUpload}, id[:]...) }

func chunkKey(id UploadID, chunk uint32) []byte {
	return binary.BigEndian.AppendUint32(append([]byte{keyChunk}, id[:]...), chunk)
}

const recordVersion = 1

// recordFixed is a record without kind, attrs: version, flags, size, committed,
// kind length, CRC32C.
const recordFixed = 1 + 1 + 8 + 8 + 1 + 4

// encodeRecord writes an upload's facts:
//
//	version[1]=1 flags[1] size[8] committed[8] kindLen[1] kind attrs crc32c[4]
//
// flags bit 0: durable. committed: Unix nanoseconds. The CRC is over the id and
// everything before it.
func encodeRecord(i *Info) []byte {
	b := make([]byte, 0, recordFixed+len(i.Kind)+len(i.Attrs))
	flags := byte(0)
	if i.Durable {
		flags = 1
	}
	b = append(b, recordVersion, flags)
	b = binary.BigEndian.AppendUint64(b, uint64(i.Size))
	b = binary.BigEndian.AppendUint64(b, uint64(i.Committed.UnixNano()))
	b = append(b, byte(len(i.Kind)))
	b = append(b, i.Kind...)
	b = append(b, i.Attrs...)
	return binary.BigEndian.AppendUint32(b, recordSum(i.ID[:], b))
}

// recordSum is over a record and what names it, so that no record stands in for
// another.
func recordSum(name, b []byte) uint32 {
	return crc32.Update(crc32.Checksum(name, castagnoli), castagnoli, b)
}

// decodeRecord reads what encodeRecord wrote; anything else is ErrCorrupt. The
// result shares no memory with b.
func decodeRecord(id UploadID, b []byte) (Info, error) {
	bad := func(what string) (Info, error) {
		return Info{}, fmt.Errorf("%w: record of upload %s: %s", ErrCorrupt, id, what)
	}
	if len(b) < recordFixed {
		return bad("too short")
	}
	body := b[:len(b)-4]
	if binary.BigEndian.Uint32(b[len(body):]) != recordSum(id[:], body) {
		return bad("checksum")
	}
	kindEnd := recordFixed - 4 + int(body[18])
	size := int64(binary.BigEndian.Uint64(body[2:]))
	switch {
	case body[0] != recordVersion:
		return bad(fmt.Sprintf("version %d is not known", body[0]))
	case body[1] > 1:
		return bad("flags")
	case kindEnd > len(body) || body[18] == 0 || body[18] > KindMax:
		return bad("kind")
	case len(body)-kindEnd > AttrsMax:
		return bad("attrs")
	case size < 0 || size > SizeMax:
		return bad("size")
	}
	return Info{
		ID:        id,
		Kind:      string(body[recordFixed-4 : kindEnd]),
		Size:      size,
		Attrs:     append([]byte(nil), body[kindEnd:]...),
		Durable:   body[1] == 1,
		Committed: time.Unix(0, int64(binary.BigEndian.Uint64(body[10:]))).UTC(),
	}, nil
}

// pebbleLog passes Pebble's messages on; the fatal ones take the index down.
type pebbleLog struct{ x *index }

func (l pebbleLog) Infof(format string, args ...any) {
	l.x.log.Debug("index", "msg", fmt.Sprintf(format, args...))
}

func (l pebbleLog) Errorf(format string, args ...any) {
	l.x.log.Error("index", "msg", fmt.Sprintf(format, args...))
}

func (l pebbleLog) Fatalf(format string, args ...any) {
	e := &fatalError{msg: fmt.Sprintf(format, args...)}
	for _, a := range args {
		if err, ok := a.(error); ok {
			e.cause = err
		}
	}
	l.x.fail(e)
}

// fatalError keeps the error inside Pebble's message visible to errors.Is.
type fatalError struct {
	msg   string
	cause error
}

func (e *fatalError) Error() string { return "index: " + e.msg }
func (e *fatalError) Unwrap() error { return e.cause }
