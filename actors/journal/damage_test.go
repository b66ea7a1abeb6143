package journal_test

import (
	"bytes"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/pondmesh/pond/actors/api"
	"github.com/pondmesh/pond/actors/journal"
	"github.com/pondmesh/pond/actors/plan"
	"github.com/pondmesh/pond/fs"
	"github.com/pondmesh/pond/shuffle"
	"github.com/pondmesh/pond/shuffle/transfer"
)

// damages are what can become of a segment's file.
var damages = map[string]func(path string) error{
	"deleted":          os.Remove,
	"empty":            func(p string) error { return os.Truncate(p, 0) },
	"truncated by one": func(p string) error { return cut(p, 1) },
	"truncated":        func(p string) error { return cut(p, 100) },
	"head zeroed":      func(p string) error { return overwrite(p, 0, make([]byte, 8)) },
	"block zeroed":     func(p string) error { return overwrite(p, 8, make([]byte, 64)) },
	"block flipped":    func(p string) error { return flip(p, 40) },
	"footer flipped":   func(p string) error { return flip(p, -30) },
	"schema flipped":   func(p string) error { return flip(p, -120) },
	"a folder":         func(p string) error { return errors.Join(os.Remove(p), os.Mkdir(p, 0o700)) },
}

func cut(path string, by int64) error {
	fi, err := os.Stat(path)
	if err != nil {
		return err
	}
	return os.Truncate(path, fi.Size()-by)
}

func overwrite(path string, at int64, with []byte) error {
	f, err := os.OpenFile(path, os.O_WRONLY, 0)
	if err != nil {
		return err
	}
	_, err = f.WriteAt(with, at)
	return errors.Join(err, f.Close())
}

// flip turns a bit of the byte at; from the end when at is negative.
func flip(path string, at int64) error {
	b, err := os.ReadFile(path)
	if err != nil {
		return err
	}
	if at < 0 {
		at += int64(len(b))
	}
	return overwrite(path, at, []byte{b[at] ^ 4})
}

// readers are the ways on which a holder meets damage. Each reads all of a segment.
var readers = map[string]func(*testing.T, *journal.Segments, shuffle.SegmentID) error{
	"check": func(t *testing.T, s *journal.Segments, id shuffle.SegmentID) error { return s.Check(t.Context(), id) },
	"serve": func(t *testing.T, s *journal.Segments, id shuffle.SegmentID) error {
		seg, err := s.Open(t.Context(), id)
		if err != nil {
			return err
		}
		defer seg.Close()
		return readAll(seg)
	},
}

func readAll(seg transfer.Segment) error {
	extents, err := seg.Extents(transfer.AllPartitions)
	for i := 0; err == nil && i < len(extents); i++ {
		_, err = seg.ReadAt(make([]byte, extents[i].Length), extents[i].Offset)
	}
	return err
}

// A holder that meets damage, however it reads, tells its reader that the segment is
// lost, drops it, logs it once with its task, and offers it no more, nor after a
// restart. Its neighbours stay.
func TestDamage(t *testing.T) {
	for damage, do := range damages {
		for reader, read := range readers {
			t.Run(damage+"/"+reader, func(t *testing.T) {
				dir := t.TempDir()
				disk, err := fs.Open(t.Context(), dir, fs.Options{})
				if err != nil {
					t.Fatal(err)
				}
				t.Cleanup(func() { disk.Close() })
				var log bytes.Buffer
				segs, err := journal.OpenSegments(journal.OnDisk(disk), 1<<30, slog.New(slog.NewTextHandler(&log, nil)))
				if err != nil {
					t.Fatal(err)
				}
				bad := write(t, segs, api.Held{Stage: "s0", Partition: 7, Job: "j"}, 100)
				write(t, segs, api.Held{Stage: "s0", Partition: 8}, 100)
				if err := do(filepath.Join(dir, "data", bad.Segment)); err != nil {
					t.Fatal(err)
				}
				err = read(t, segs, segmentID(t, bad))
				if !errors.Is(err, shuffle.ErrCorrupt) && !errors.Is(err, plan.ErrFetch) {
					t.Errorf("the reader is told %v", err)
				}
				if err := read(t, segs, segmentID(t, bad)); !errors.Is(err, transfer.ErrGone) && !errors.Is(err, plan.ErrFetch) {
					t.Errorf("the next reader is told %v", err)
				}
				if h := segs.Held([]plan.StageID{"s0"}); len(h) != 1 || h[0].Partition != 8 {
					t.Errorf("still offered: %+v", h)
				}
				if n := strings.Count(log.String(), "damaged segment"); n != 1 || !strings.Contains(log.String(), "stage=s0 task=7 job=j") {
					t.Errorf("logged: %s", log.String())
				}
				if got := stages(openSegments(t, journal.OnDisk(disk), 1<<30), 1); got != "s0:1" {
					t.Errorf("after a restart: %s", got)
				}
			})
		}
	}
}

// Damage to blocks that comes when the segment is open is found at reading.
func TestDamageWhileOpen(t *testing.T) {
	for _, damage := range []string{"empty", "truncated", "block zeroed", "block flipped"} {
		dir := t.TempDir()
		disk, err := fs.Open(t.Context(), dir, fs.Options{})
		if err != nil {
			t.Fatal(err)
		}
		defer disk.Close()
		segs := openSegments(t, journal.OnDisk(disk), 1<<30)
		h := write(t, segs, api.Held{Stage: "s0"}, 100)
		seg, err := segs.Open(t.Context(), segmentID(t, h))
		if err != nil {
			t.Fatal(err)
		}
		defer seg.Close()
		if err := errors.Join(readAll(seg), damages[damage](filepath.Join(dir, "data", h.Segment))); err != nil {
			t.Fatal(err)
		}
		if err := readAll(seg); !errors.Is(err, shuffle.ErrCorrupt) {
			t.Errorf("%s: the reader is told %v", damage, err)
		}
		if got := stages(segs, 1); got != "" {
			t.Errorf("%s: still offered: %s", damage, got)
		}
	}
}

// What a disk says decides whether the segment is dropped or may be read later.
func TestReadErrors(t *testing.T) {
	for _, c := range []struct {
		err   error
		class error
		kept  bool
	}{
		{fs.ErrCorrupt, shuffle.ErrCorrupt, false},
		{syscall.EIO, shuffle.ErrCorrupt, false},
		{syscall.ENODATA, shuffle.ErrCorrupt, false}, // of a bad sector
		{syscall.EMFILE, syscall.EMFILE, true},
		{fs.ErrClosed, fs.ErrClosed, true},
		{fmt.Errorf("%w: no space", fs.ErrOffline), transfer.ErrGone, true}, // a restart may bring it back
	} {
		for name, read := range readers {
			store := new(journal.Memory)
			segs := openSegments(t, store, 1<<30)
			h := write(t, segs, api.Held{Stage: "s0"}, 10)
			store.Damage(fs.UploadID(segmentID(t, h)), c.err)
			if err := read(t, segs, segmentID(t, h)); !errors.Is(err, c.class) && !errors.Is(err, plan.ErrFetch) {
				t.Errorf("%v: %s is told %v", c.err, name, err)
			}
			if held := stages(segs, 1) != ""; held != c.kept || held != (store.Len() == 1) {
				t.Errorf("%v: after %s it is held: %t", c.err, name, held)
			}
		}
	}
}
