package fs

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/cockroachdb/pebble/v2"
	"github.com/cockroachdb/pebble/v2/vfs"
)

// damage changes one file of a closed store.
func damage(t testing.TB, path string, change func(b []byte) []byte) {
	t.Helper()
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, change(b), 0o666); err != nil {
		t.Fatal(err)
	}
}

func flip(at int) func([]byte) []byte {
	return func(b []byte) []byte {
		b[at] ^= 1 << (at % 8)
		return b
	}
}

// TestBitFlip: one bit anywhere in a file makes the frame it is in unreadable,
// and no other.
func TestBitFlip(t *testing.T) {
	dir := t.TempDir()
	s := open(t, dir, Options{})
	want := content(1, ChunkSize+2*FrameSize+100)
	info := mustPut(t, s, want, true)
	path, err := s.Path(info.ID)
	if err != nil {
		t.Fatal(err)
	}
	for _, at := range []int{0, FrameSize - 1, FrameSize, 5*FrameSize + 7, ChunkSize - 1, ChunkSize, len(want) - 1} {
		damage(t, path, flip(at))
		if err := s.Verify(context.Background(), info.ID); !errors.Is(err, ErrCorrupt) {
			t.Fatalf("bit at %d: verify says %v", at, err)
		}
		r, err := s.Reader(info.ID)
		if err != nil {
			t.Fatal(err)
		}
		for frame := 0; frame*FrameSize < len(want); frame++ {
			part := want[frame*FrameSize : min(len(want), (frame+1)*FrameSize)]
			got := make([]byte, len(part)-1) // by way of our own frame, and below straight
			_, err := r.ReadAt(got, int64(frame*FrameSize))
			whole := make([]byte, len(part))
			_, err2 := r.ReadAt(whole, int64(frame*FrameSize))
			if frame == at/FrameSize {
				if !errors.Is(err, ErrCorrupt) || !errors.Is(err2, ErrCorrupt) {
					t.Fatalf("bit at %d: read %v, %v", at, err, err2)
				}
			} else if err != nil || err2 != nil || !bytes.Equal(whole, part) || !bytes.Equal(got, part[:len(got)]) {
				t.Fatalf("bit at %d: frame %d: %v, %v", at, frame, err, err2)
			}
		}
		all := make([]byte, len(want))
		n, err := r.ReadAt(all, 0)
		if !errors.Is(err, ErrCorrupt) || n != at/FrameSize*FrameSize || !bytes.Equal(all[:n], want[:n]) {
			t.Fatalf("bit at %d: one long read gives %d, %v", at, n, err)
		}
		r.Close()
		damage(t, path, flip(at)) // back
	}
	wantBytes(t, s, info.ID, want)
}

// TestTorn: a file that is short, long or missing. Recomputable uploads go at
// the next open; durable ones stay and are ErrCorrupt. Both are ErrCorrupt in a
// store that is open.
func TestTorn(t *testing.T) {
	for name, change := range map[string]func(path string) error{
		"short":   func(p string) error { return os.Truncate(p, 100_000) },
		"empty":   func(p string) error { return os.Truncate(p, 0) },
		"long":    func(p string) error { return os.Truncate(p, 300_000) },
		"missing": os.Remove,
		"zeros": func(p string) error { // the right size, but the bytes never got to the disk
			return os.WriteFile(p, make([]byte, 200_000), 0o666)
		},
	} {
		for _, durable := range []bool{true, false} {
			t.Run(fmt.Sprintf("%s durable=%v", name, durable), func(t *testing.T) {
				dir := t.TempDir()
				s := open(t, dir, Options{})
				good := mustPut(t, s, []byte("good"), false)
				bad := mustPut(t, s, content(1, 200_000), durable)
				path, err := s.Path(bad.ID)
				if err != nil {
					t.Fatal(err)
				}
				if err := change(path); err != nil {
					t.Fatal(err)
				}
				if _, err := get(s, bad.ID); name != "long" && !errors.Is(err, ErrCorrupt) {
					t.Fatalf("read while open: %v", err)
				}
				if _, err := s.Path(bad.ID); name != "zeros" && !errors.Is(err, ErrCorrupt) {
					t.Fatalf("path: %v", err)
				}
				if err := s.Close(); err != nil {
					t.Fatal(err)
				}
				s = open(t, dir, Options{})
				wantBytes(t, s, good.ID, []byte("good"))
				_, err = get(s, bad.ID)
				switch {
				case durable || name == "zeros":
					if name != "long" && !errors.Is(err, ErrCorrupt) {
						t.Fatalf("after reopening: %v", err)
					}
					if err := s.Delete(bad.ID); err != nil {
						t.Fatal(err)
					}
				case !errors.Is(err, ErrNotFound):
					t.Fatalf("after reopening: %v", err)
				}
				if _, n := s.Usage(); n != 1 {
					t.Fatalf("%d uploads left, want 1", n)
				}
				if names, _ := os.ReadDir(filepath.Join(dir, "data")); len(names) != 1 {
					t.Fatalf("%d files left, want 1", len(names))
				}
			})
		}
	}
}

// TestIndexDamage flips bits all over the index. The store may refuse to open,
// but never serves wrong bytes and never takes good files away.
func TestIndexDamage(t *testing.T) {
	dir := t.TempDir()
	s := open(t, dir, Options{})
	want := map[UploadID][]byte{}
	fill := func(n int) {
		for i := range n {
			b := content(uint64(i), 1000)
			want[mustPut(t, s, b, true).ID] = b
		}
	}
	fill(10)
	if err := s.index.db.Flush(); err != nil { // some in a table, some in the log
		t.Fatal(err)
	}
	fill(10)
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	files, err := filepath.Glob(filepath.Join(dir, "index", "*"))
	if err != nil {
		t.Fatal(err)
	}
	refused, read := 0, 0
	for _, f := range files {
		size := fileSize(t, f)
		for at := 0; at < size; at += max(1, size/12) {
			copied := filepath.Join(t.TempDir(), "copy")
			if err := os.CopyFS(copied, os.DirFS(dir)); err != nil {
				t.Fatal(err)
			}
			damage(t, filepath.Join(copied, "index", filepath.Base(f)), flip(at))
			s, err := Open(context.Background(), copied, Options{})
			if err != nil {
				refused++
			} else {
				read++
				for id, b := range want {
					got, err := get(s, id)
					if err == nil && !bytes.Equal(got, b) {
						t.Fatalf("%s bit at %d: wrong bytes", filepath.Base(f), at)
					}
					if errors.Is(err, ErrNotFound) {
						t.Errorf("%s bit at %d of %d: a durable upload is gone in silence", filepath.Base(f), at, size)
						break
					}
				}
				s.Close()
			}
			if names, _ := os.ReadDir(filepath.Join(copied, "data")); len(names) != len(want) {
				t.Errorf("%s bit at %d of %d: %d files left of %d", filepath.Base(f), at, size, len(names), len(want))
			}
		}
	}
	t.Logf("%d refused to open, %d opened and told right from wrong", refused, read)
	if refused == 0 {
		t.Error("no damage was noticed")
	}
}

func fileSize(t testing.TB, path string) int {
	fi, err := os.Stat(path)
	if err != nil {
		t.Fatal(err)
	}
	return int(fi.Size())
}

// TestIndexMissing: without its index a folder with data is refused, and kept,
// whether or not the count of commits is there to tell.
func TestIndexMissing(t *testing.T) {
	for _, lost := range [][]string{{"index"}, {"index", "COMMITS"}} {
		dir := t.TempDir()
		s := open(t, dir, Options{})
		mustPut(t, s, []byte("x"), true)
		s.Close()
		for _, name := range lost {
			if err := os.RemoveAll(filepath.Join(dir, name)); err != nil {
				t.Fatal(err)
			}
		}
		if _, err := Open(context.Background(), dir, Options{}); !errors.Is(err, ErrCorrupt) {
			t.Fatalf("open without %v: %v", lost, err)
		}
		if names, _ := os.ReadDir(filepath.Join(dir, "data")); len(names) != 1 {
			t.Fatalf("%d files left", len(names))
		}
	}
}

func TestOtherFormat(t *testing.T) {
	dir := t.TempDir()
	s := open(t, dir, Options{})
	if err := s.index.db.Set([]byte{keyFormat}, []byte{99}, pebble.Sync); err != nil {
		t.Fatal(err)
	}
	s.Close()
	if _, err := Open(context.Background(), dir, Options{}); err == nil || !strings.Contains(err.Error(), "format") {
		t.Fatalf("open of another format: %v", err)
	}
}

func TestForeignFileStays(t *testing.T) {
	dir := t.TempDir()
	open(t, dir, Options{}).Close()
	name := filepath.Join(dir, "data", "notes.txt")
	if err := os.WriteFile(name, nil, 0o666); err != nil {
		t.Fatal(err)
	}
	open(t, dir, Options{})
	fileSize(t, name)
}

// mount mounts a small tmpfs, or skips.
func mount(t *testing.T, dir, options string) {
	t.Helper()
	if os.Getuid() != 0 {
		t.Skip("needs root to mount a tmpfs")
	}
	if err := syscall.Mount("tmpfs", dir, "tmpfs", 0, options); err != nil {
		t.Skip("cannot mount a tmpfs:", err)
	}
	t.Cleanup(func() {
		if err := syscall.Unmount(dir, 0); err != nil {
			t.Errorf("unmount: %v (something is still open)", err)
		}
	})
}

// TestDiskFull fills a real file system: writes end with ErrNoSpace and leave
// nothing behind, reads go on, and after a delete there is room again.
func TestDiskFull(t *testing.T) {
	dir := t.TempDir()
	mount(t, dir, "size=16m")
	s, err := Open(context.Background(), dir, Options{MinFree: -1})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	var ids []UploadID
	data := content(1, 1<<20)
	for range 100 {
		info, err := put(s, "segment", data, nil, true)
		if err != nil {
			if !errors.Is(err, ErrNoSpace) || errors.Is(err, ErrOffline) {
				t.Fatalf("disk full: %v", err)
			}
			break
		}
		ids = append(ids, info.ID)
	}
	if names, _ := os.ReadDir(filepath.Join(dir, "data")); len(ids) < 5 || len(ids) > 16 || len(names) != len(ids) {
		t.Fatalf("%d uploads, %d files", len(ids), len(names))
	}
	wantBytes(t, s, ids[0], data)
	if err := s.Delete(ids[:3]...); err != nil {
		t.Fatal(err)
	}
	mustPut(t, s, data, true)
}

// TestMinFree: the reserve stops uploads before the disk is full.
func TestMinFree(t *testing.T) {
	fs := vfs.NewMem()
	fs.TestingSetDiskUsage(vfs.DiskUsage{AvailBytes: 100 << 20})
	s, err := Open(context.Background(), "/d", Options{FS: fs})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	u, err := s.Create("segment")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := u.Write(make([]byte, ChunkSize)); err != nil {
		t.Fatal(err)
	}
	fs.TestingSetDiskUsage(vfs.DiskUsage{AvailBytes: minFreeDefault - 1})
	if _, err := u.Write(make([]byte, ChunkSize)); !errors.Is(err, ErrNoSpace) {
		t.Fatalf("write: %v", err)
	}
	if _, err := s.Create("segment"); !errors.Is(err, ErrNoSpace) {
		t.Fatalf("create: %v", err)
	}
	want := "no space left: 64 MiB free on the disk of /d, where 64 MiB are kept free"
	if _, err := s.Note("fact", nil, true); !errors.Is(err, ErrNoSpace) || err.Error() != want {
		t.Errorf("note: %v", err)
	}
	if err := s.Room(); !errors.Is(err, ErrNoSpace) || err.Error() != want {
		t.Errorf("room: %v", err)
	}
	if names, _ := fs.List("/d/data"); len(names) != 0 {
		t.Fatalf("left %v", names)
	}
}

func TestReadOnlyFolder(t *testing.T) {
	dir := t.TempDir()
	mount(t, dir, "size=1m")
	if err := syscall.Mount("tmpfs", dir, "tmpfs", syscall.MS_REMOUNT|syscall.MS_RDONLY, ""); err != nil {
		t.Skip("cannot remount read-only:", err)
	}
	if _, err := Open(context.Background(), dir, Options{}); !errors.Is(err, ErrReadOnly) {
		t.Fatalf("open: %v", err)
	}
	if _, err := Stage(context.Background(), filepath.Join(dir, "out"), "j", ModeError); !errors.Is(err, ErrReadOnly) {
		t.Fatalf("stage: %v", err)
	}
}

func TestOpenOnFile(t *testing.T) {
	name := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(name, nil, 0o666); err != nil {
		t.Fatal(err)
	}
	if _, err := Open(context.Background(), name, Options{}); !errors.Is(err, ErrNotFolder) {
		t.Fatalf("open of a file: %v", err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	if _, err := Open(ctx, t.TempDir(), Options{}); !errors.Is(err, context.Canceled) {
		t.Fatalf("open with a cancelled context: %v", err)
	}
}
