package fs

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"
)

// copyOf writes a copy of bytes under an id and commits it.
func copyOf(s *Store, id UploadID, kind string, b []byte) error {
	u, err := s.CreateCopy(id, kind, int64(len(b)))
	if err != nil {
		return err
	}
	defer u.Abort()
	if _, err := u.Write(bytes.Clone(b)); err != nil {
		return err
	}
	_, err = u.Commit(nil, true)
	return err
}

// TestCreateCopy: a copy has the id and the digest of what it is a copy of; an id is
// written once at a time, and not again once it is there or buried.
func TestCreateCopy(t *testing.T) {
	from, s := open(t, t.TempDir(), Options{}), open(t, t.TempDir(), Options{})
	b := content(1, 200_000)
	info := mustPut(t, from, b, true)
	u, err := s.CreateCopy(info.ID, "copy", info.Size)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := s.CreateCopy(info.ID, "copy", info.Size); !errors.Is(err, ErrBusy) {
		t.Errorf("the same copy beside it: %v", err)
	}
	if err := u.Abort(); err != nil {
		t.Fatal(err)
	}
	if err := copyOf(s, info.ID, "copy", b); err != nil {
		t.Fatal(err)
	}
	wantBytes(t, s, info.ID, b)
	r1, err1 := from.Reader(info.ID)
	r2, err2 := s.Reader(info.ID)
	if err := errors.Join(err1, err2); err != nil {
		t.Fatal(err)
	}
	defer r1.Close()
	defer r2.Close()
	if r1.Digest() != r2.Digest() {
		t.Errorf("digests %s and %s", r1.Digest(), r2.Digest())
	}
	if err := copyOf(s, info.ID, "copy", b); !errors.Is(err, ErrExists) {
		t.Errorf("again: %v", err)
	}
	if err := s.Bury(time.Now(), info.ID); err != nil {
		t.Fatal(err)
	}
	if err := copyOf(s, info.ID, "copy", b); !errors.Is(err, ErrExists) {
		t.Errorf("what is buried: %v", err)
	}
	if bytes, n := s.Usage(); bytes != 0 || n != 1 || s.uploads.Load() != 0 || s.reserved.Load() != 0 {
		t.Errorf("%d bytes of %d uploads, %d open, %d set aside", bytes, n, s.uploads.Load(), s.reserved.Load())
	}
}

// TestBuryWhileCopied: a tombstone that comes while a copy is written wins.
func TestBuryWhileCopied(t *testing.T) {
	s := open(t, t.TempDir(), Options{})
	id := newUploadID()
	u, err := s.CreateCopy(id, "copy", 5)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := u.Write([]byte("bytes")); err != nil {
		t.Fatal(err)
	}
	since := time.Unix(1000, 0).UTC()
	if err := s.Bury(since, id); err != nil {
		t.Fatal(err)
	}
	if _, err := u.Commit(nil, true); !errors.Is(err, ErrExists) {
		t.Errorf("commit: %v", err)
	}
	if info, err := s.Stat(id); err != nil || info.Kind != KindBuried || !info.Committed.Equal(since) {
		t.Errorf("%+v, %v", info, err)
	}
	var all sync.WaitGroup
	for range 8 { // as one batch, some of them
		all.Go(func() {
			if err := s.Bury(since, id); err != nil {
				t.Error(err)
			}
		})
	}
	all.Wait()
	if bytes, n := s.Usage(); bytes != 0 || n != 1 {
		t.Errorf("%d bytes, %d uploads", bytes, n)
	}
}

// TestQuarantine: what is damaged goes out of use and stays aside, over a restart too,
// until it is whole again.
func TestQuarantine(t *testing.T) {
	dir := t.TempDir()
	s := open(t, dir, Options{})
	b := content(3, 100_000)
	info := mustPut(t, s, b, true)
	if err := rot(s.file(info.ID)); err != nil {
		t.Fatal(err)
	}
	if err := s.Verify(context.Background(), info.ID); !errors.Is(err, ErrCorrupt) {
		t.Fatalf("the fault did not happen: %v", err)
	}
	errs := make(chan error, 2) // of two that found the damage
	for range cap(errs) {
		go func() { errs <- s.Quarantine(info) }()
	}
	if a, b := <-errs, <-errs; (a == nil) == (b == nil) || !errors.Is(cmp.Or(a, b), ErrNotFound) {
		t.Fatalf("two at once: %v, %v", a, b)
	}
	if _, err := s.Stat(info.ID); !errors.Is(err, ErrNotFound) {
		t.Errorf("it is still in use: %v", err)
	}
	if err := s.Quarantine(info); !errors.Is(err, ErrNotFound) {
		t.Errorf("again: %v", err)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	s = open(t, dir, Options{})
	if ids, err := s.Quarantined(); err != nil || len(ids) != 1 || ids[0] != info.ID {
		t.Errorf("aside: %v, %v", ids, err)
	}
	if _, err := os.Stat(filepath.Join(dir, "quarantine", info.ID.String())); err != nil {
		t.Error(err)
	}
	if err := copyOf(s, info.ID, "copy", b); err != nil {
		t.Fatal(err)
	}
	wantBytes(t, s, info.ID, b)
	if ids, err := s.Quarantined(); err != nil || len(ids) != 0 {
		t.Errorf("aside after it was healed: %v, %v", ids, err)
	}
	if err := s.Quarantine(info); !errors.Is(err, ErrNotFound) { // the copy that was damaged
		t.Errorf("told late: %v", err)
	}
	wantBytes(t, s, info.ID, b)
}

// TestKeep: what could be made again becomes what is kept, once it has been checked.
func TestKeep(t *testing.T) {
	s := open(t, t.TempDir(), Options{})
	good, bad := mustPut(t, s, content(1, 70_000), false), mustPut(t, s, content(2, 70_000), false)
	if err := s.Keep(good.ID, "copy"); err != nil {
		t.Fatal(err)
	}
	if info, err := s.Stat(good.ID); err != nil || info.Kind != "copy" || !info.Durable {
		t.Errorf("%+v, %v", info, err)
	}
	wantBytes(t, s, good.ID, content(1, 70_000))
	if err := rot(s.file(bad.ID)); err != nil {
		t.Fatal(err)
	}
	if err := s.Keep(bad.ID, "copy"); !errors.Is(err, ErrCorrupt) {
		t.Errorf("a damaged one: %v", err)
	}
	if bytes, n := s.Usage(); bytes != 140_000 || n != 2 {
		t.Errorf("%d bytes, %d uploads", bytes, n)
	}
}

// TestBetween lists a range of ids, pages of it together.
func TestBetween(t *testing.T) {
	s := open(t, t.TempDir(), Options{})
	for i := range 2*listPage + 3 {
		id := UploadID{byte(i >> 8), byte(i)}
		if err := copyOf(s, id, "copy", nil); err != nil {
			t.Fatal(err)
		}
	}
	count := func(from, to UploadID) (n int) {
		for info, err := range s.Between(from, to) {
			if err != nil || bytes.Compare(info.ID[:], from[:]) < 0 || bytes.Compare(info.ID[:], to[:]) > 0 {
				t.Fatalf("%s between %s and %s, %v", info.ID, from, to, err)
			}
			n++
		}
		return n
	}
	if n := count(UploadID{}, UploadID{255}); n != 2*listPage+3 {
		t.Errorf("all: %d", n)
	}
	if n := count(UploadID{0, 1}, UploadID{0, 3}); n != 3 {
		t.Errorf("three: %d", n)
	}
}

// smallDisk has a number of bytes free.
type smallDisk struct {
	vfs.FS
	free uint64
}

func (d smallDisk) GetDiskUsage(string) (vfs.DiskUsage, error) {
	return vfs.DiskUsage{AvailBytes: d.free}, nil
}

// TestCopyRoom: copies that are being written have their room to themselves, and give it
// back when they end.
func TestCopyRoom(t *testing.T) {
	s, err := Open(context.Background(), "/d", Options{FS: smallDisk{vfs.NewMem(), 1000}, MinFree: 100})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	u, err := s.CreateCopy(newUploadID(), "copy", 800)
	if err != nil {
		t.Fatal(err)
	}
	id := newUploadID()
	if _, err := s.CreateCopy(id, "copy", 101); !errors.Is(err, ErrNoSpace) {
		t.Errorf("more than there is beside it: %v", err)
	}
	if _, err := u.Write(make([]byte, 801)); !errors.Is(err, ErrInvalid) {
		t.Errorf("more bytes than were said: %v", err)
	}
	if err := copyOf(s, id, "copy", make([]byte, 900)); err != nil {
		t.Errorf("its room is not free again: %v", err)
	}
	if n := s.reserved.Load(); n != 0 {
		t.Errorf("%d bytes are set aside", n)
	}
}

// TestPowerLossOfCopies plays a power loss before every write of a history of copies,
// tombstones, quarantine, keeping, imports and deletions, and opens what is left: what was acknowledged holds.
func TestPowerLossOfCopies(t *testing.T) {
	total, tried := int64(1<<40), 0
	for at := int64(1); at <= total; at++ {
		for seed := range uint64(3) {
			if ops := powerLossOfCopies(t, at, uint64(at)*3+seed); ops < at {
				total = ops
				break
			}
			tried++
		}
	}
	if tried < 60 {
		t.Fatalf("only %d power losses", tried)
	}
	t.Logf("%d power losses", tried)
}

func powerLossOfCopies(t *testing.T, at int64, seed uint64) int64 {
	t.Helper()
	state := map[UploadID]string{}
	var kept map[UploadID]string
	files := newCrashFS(at, seed, func() { kept = maps.Clone(state) })
	s, err := Open(context.Background(), "/d", Options{FS: files})
	if err != nil {
		t.Fatal(err)
	}
	b := content(seed, 90_000)
	step := func(id UploadID, does, done string, f func() error) {
		state[id] = does
		if err := f(); err != nil {
			t.Fatalf("%s: %v", does, err)
		}
		state[id] = done
	}
	one, two, three := UploadID{1}, UploadID{2}, UploadID{3}
	step(one, "copying", "held", func() error { return copyOf(s, one, "copy", b) })
	step(two, "copying", "held", func() error { return copyOf(s, two, "copy", b) })
	step(one, "burying", "buried", func() error { return s.Bury(time.Unix(1000, 0), one) })
	step(two, "setting aside", "aside", func() error {
		info, err := s.Stat(two)
		if err == nil {
			err = s.Quarantine(info)
		}
		return err
	})
	step(two, "copying again", "held", func() error { return copyOf(s, two, "copy", b) })
	u, err := s.CreateCopy(three, "cached", int64(len(b)))
	if err == nil {
		_, err = u.Write(bytes.Clone(b))
	}
	if err == nil {
		_, err = u.Commit(nil, false)
	}
	if err != nil {
		t.Fatal(err)
	}
	step(three, "keeping", "held", func() error { return s.Keep(three, "copy") })
	if err := writeFile(files, "/draft", b); err != nil {
		t.Fatal(err)
	}
	imported, err := s.Import("copy", "/draft")
	if err != nil {
		t.Fatal(err)
	}
	step(imported.ID(), "importing", "held", func() error { _, err := imported.Commit(nil, true); return err })
	step(imported.ID(), "deleting", "deleted", func() error { return s.Delete(imported.ID()) })
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	if files.clone != nil {
		checkCopies(t, fmt.Sprintf("loss at write %d, seed %d", at, seed), files.clone, kept, b)
	}
	return files.ops.Load()
}

// writeFile writes a durable file.
func writeFile(files vfs.FS, name string, b []byte) error {
	f, err := files.Create(name, writeCategory)
	if err != nil {
		return err
	}
	_, err = f.Write(bytes.Clone(b))
	return errors.Join(err, f.Sync(), f.Close())
}

func checkCopies(t *testing.T, what string, files vfs.FS, state map[UploadID]string, b []byte) {
	t.Helper()
	s, err := Open(context.Background(), "/d", Options{FS: files})
	if err != nil {
		t.Fatalf("%s: %v", what, err)
	}
	defer s.Close()
	for id, st := range state {
		got, err := get(s, id)
		info, _ := s.Stat(id)
		whole := err == nil && info.Kind != KindBuried && bytes.Equal(got, b)
		switch {
		case err == nil && info.Kind != KindBuried && !whole:
			t.Fatalf("%s: %s: wrong bytes", what, st)
		case st == "held" && !whole, st == "buried" && info.Kind != KindBuried, st == "aside" && whole, st == "deleted" && !errors.Is(err, ErrNotFound):
			t.Fatalf("%s: %s: whole %t, kind %q, %v", what, st, whole, info.Kind, err)
		case (st == "importing" || st == "deleting") && !whole && !errors.Is(err, ErrNotFound):
			t.Fatalf("%s: %s: %v", what, st, err)
		case st == "burying" && !whole && info.Kind != KindBuried:
			t.Fatalf("%s: neither held nor buried: %v", what, err)
		}
	}
}
