package fs

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"go.uber.org/goleak"
	"pgregory.net/rapid"
)

func TestMain(m *testing.M) {
	if dir := os.Getenv(childDir); dir != "" {
		childMain(dir)
		return
	}
	// Pebble leaves this one behind when its Open fails half-way. A Store that
	// nobody closed still shows, by its committer.
	goleak.VerifyTestMain(m, goleak.IgnoreTopFunction(
		"github.com/cockroachdb/pebble/v2.(*ConcurrencyLimitScheduler).periodicGranter"))
}

func open(t testing.TB, dir string, o Options) *Store {
	t.Helper()
	s, err := Open(context.Background(), dir, o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Close() })
	return s
}

// content is n bytes that follow from the seed.
func content(seed uint64, n int) []byte {
	b := make([]byte, n)
	r := rand.NewChaCha8([32]byte{byte(seed), byte(seed >> 8), byte(seed >> 16)})
	r.Read(b)
	return b
}

// put commits data in pieces of a few sizes.
// put commits an upload, or a note if there is no data.
func put(s *Store, kind string, data, attrs []byte, durable bool) (Info, error) {
	if len(data) == 0 {
		return s.Note(kind, attrs, durable)
	}
	u, err := s.Create(kind)
	if err != nil {
		return Info{}, err
	}
	defer u.Abort()
	data = bytes.Clone(data) // Pebble's memory files spoil what they were given, under -race
	for piece := 1; len(data) > 0; piece = piece*7 + 1 {
		n := min(piece, len(data))
		if _, err := u.Write(data[:n]); err != nil {
			return Info{}, err
		}
		data = data[n:]
	}
	return u.Commit(attrs, durable)
}

func mustPut(t testing.TB, s *Store, data []byte, durable bool) Info {
	t.Helper()
	info, err := put(s, "segment", data, []byte("attrs"), durable)
	if err != nil {
		t.Fatal(err)
	}
	return info
}

// get reads all of an upload.
func get(s *Store, id UploadID) ([]byte, error) {
	r, err := s.Reader(id)
	if err != nil {
		return nil, err
	}
	defer r.Close()
	return io.ReadAll(io.NewSectionReader(r, 0, r.Size()))
}

func wantBytes(t testing.TB, s *Store, id UploadID, want []byte) {
	t.Helper()
	got, err := get(s, id)
	if err != nil || !bytes.Equal(got, want) {
		t.Fatalf("upload %s: %d bytes, %v; want %d bytes", id, len(got), err, len(want))
	}
}

// edge sizes: around frames and chunks.
var sizes = []int{0, 1, FrameSize - 1, FrameSize, FrameSize + 1, 3*FrameSize + 5, ChunkSize - 1, ChunkSize, ChunkSize + 1, 2*ChunkSize + FrameSize + 9}

func TestReadBack(t *testing.T) {
	dir := t.TempDir()
	s := open(t, dir, Options{})
	ids := map[int]UploadID{}
	for _, n := range sizes {
		ids[n] = mustPut(t, s, content(uint64(n), n), n%2 == 0).ID
	}
	check := func() {
		for _, n := range sizes {
			want := content(uint64(n), n)
			wantBytes(t, s, ids[n], want)
			if err := s.Verify(context.Background(), ids[n]); err != nil {
				t.Fatal(err)
			}
			path, err := s.Path(ids[n])
			if n == 0 { // a note
				if !errors.Is(err, ErrInvalid) {
					t.Fatalf("path of no file: %q, %v", path, err)
				}
				continue
			}
			if err != nil {
				t.Fatal(err)
			}
			if got, err := os.ReadFile(path); err != nil || !bytes.Equal(got, want) {
				t.Fatalf("path of %d bytes: %d bytes, %v", n, len(got), err)
			}
		}
	}
	check()
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	s = open(t, dir, Options{})
	check()
}

func TestReadAtRandom(t *testing.T) {
	s := open(t, t.TempDir(), Options{})
	want := content(1, ChunkSize+3*FrameSize+77)
	r, err := s.Reader(mustPut(t, s, want, false).ID)
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	rapid.Check(t, func(rt *rapid.T) {
		off := rapid.IntRange(0, len(want)+FrameSize).Draw(rt, "off")
		if rapid.Bool().Draw(rt, "aligned") {
			off -= off % FrameSize
		}
		p := make([]byte, rapid.IntRange(0, 5*FrameSize).Draw(rt, "len"))
		n, err := r.ReadAt(p, int64(off))
		wantN := max(0, min(len(p), len(want)-off))
		if n != wantN || (err == nil) != (n == len(p)) || err != nil && err != io.EOF {
			rt.Fatalf("ReadAt(%d, %d) = %d, %v; want %d", len(p), off, n, err, wantN)
		}
		if n > 0 && !bytes.Equal(p[:n], want[off:off+n]) {
			rt.Fatalf("ReadAt(%d, %d): wrong bytes", len(p), off)
		}
	})
}

func TestListPages(t *testing.T) {
	s := open(t, t.TempDir(), Options{})
	const n = 2*listPage + 3
	for i := range n {
		mustPut(t, s, content(uint64(i), 10), false)
	}
	seen := map[UploadID]bool{}
	for info, err := range s.List("") {
		if err != nil || seen[info.ID] {
			t.Fatal(info, err)
		}
		seen[info.ID] = true
		if len(seen)%2 == 0 { // a loop's body may use the store
			if err := s.Delete(info.ID); err != nil {
				t.Fatal(err)
			}
		}
	}
	if _, left := s.Usage(); len(seen) != n || left != n-n/2 {
		t.Fatalf("saw %d of %d, %d left", len(seen), n, left)
	}
}

func TestLimits(t *testing.T) {
	dir := t.TempDir()
	s := open(t, dir, Options{})
	for _, kind := range []string{"", strings.Repeat("k", KindMax+1)} {
		if _, err := s.Create(kind); !errors.Is(err, ErrInvalid) {
			t.Errorf("kind %q: %v", kind, err)
		}
	}
	for _, n := range []int{0, 1, AttrsMax} {
		info, err := put(s, strings.Repeat("k", KindMax), nil, make([]byte, n), true)
		if err != nil {
			t.Fatal(err)
		}
		if got, err := s.Stat(info.ID); err != nil || len(got.Attrs) != n {
			t.Errorf("%d bytes of attrs: %d, %v", n, len(got.Attrs), err)
		}
	}
	if _, err := put(s, "k", []byte("x"), make([]byte, AttrsMax+1), true); !errors.Is(err, ErrInvalid) {
		t.Errorf("attrs too long: %v", err)
	}
	u, err := s.Create("k")
	if err != nil {
		t.Fatal(err)
	}
	u.sums.Size = SizeMax - 1
	if _, err := u.Write([]byte("xy")); !errors.Is(err, ErrInvalid) {
		t.Errorf("too long: %v", err)
	}
	if _, err := u.Commit(nil, true); !errors.Is(err, ErrInvalid) {
		t.Errorf("commit of what failed: %v", err)
	}
	if names, _ := os.ReadDir(filepath.Join(dir, "data")); len(names) != 0 {
		t.Errorf("failures left %d files", len(names))
	}
	for _, bad := range []string{"", "00", strings.Repeat("g", 32), strings.Repeat("A", 32), strings.Repeat("0", 33)} {
		if _, err := ParseUploadID(bad); !errors.Is(err, ErrInvalid) {
			t.Errorf("id %q: %v", bad, err)
		}
	}
	s.uploads.Store(uploadsOpenMax)
	if _, err := s.Create("k"); !errors.Is(err, ErrBusy) {
		t.Errorf("too many uploads: %v", err)
	}
}

func TestEnds(t *testing.T) {
	s := open(t, t.TempDir(), Options{})
	want := content(1, 2*FrameSize)
	info := mustPut(t, s, want, true)
	r, err := s.Reader(info.ID)
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	if r.File() == nil || r.Info().ID != info.ID {
		t.Fatal("reader without a file or info")
	}
	if err := s.Delete(info.ID); err != nil {
		t.Fatal(err)
	}
	for _, err := range []error{
		second(s.Reader(info.ID)), second(s.Stat(info.ID)), second(s.Path(info.ID)),
	} {
		if !errors.Is(err, ErrNotFound) {
			t.Errorf("deleted: %v", err)
		}
	}
	u, err := s.Create("segment")
	if err != nil {
		t.Fatal(err)
	}
	for range 2 {
		if err := s.Close(); err != nil {
			t.Fatal(err)
		}
	}
	if got, err := io.ReadAll(io.NewSectionReader(r, 0, r.Size())); err != nil || !bytes.Equal(got, want) {
		t.Fatalf("open reader after delete and close: %v", err)
	}
	for _, err := range []error{
		second(u.Commit(nil, true)), second(s.Create("x")), s.Delete(info.ID), s.Err(), second(s.Stat(info.ID)),
	} {
		if !errors.Is(err, ErrClosed) {
			t.Errorf("closed: %v", err)
		}
	}
}

func second[T any](_ T, err error) error { return err }

func TestConcurrent(t *testing.T) {
	s := open(t, t.TempDir(), Options{})
	var wg sync.WaitGroup
	for w := range 8 {
		wg.Go(func() {
			for i := range 30 {
				data := content(uint64(w*1000+i), 100+i*3000)
				info, err := put(s, "segment", data, nil, i%5 == 0)
				if err != nil {
					t.Error(err)
					return
				}
				wantBytes(t, s, info.ID, data)
				if i%2 == 0 {
					if err := s.Delete(info.ID); err != nil {
						t.Error(err)
					}
				}
			}
		})
	}
	wg.Go(func() {
		for range 20 {
			for info, err := range s.List("") {
				if err != nil {
					t.Error(info, err)
				}
			}
		}
	})
	wg.Wait()
	if _, n := s.Usage(); n != 8*15 {
		t.Fatalf("%d uploads left, want %d", n, 8*15)
	}
}

// TestCloseWhileBusy: Close in the middle of commits answers each of them, and
// those that were acknowledged are there afterwards.
func TestCloseWhileBusy(t *testing.T) {
	dir := t.TempDir()
	s := open(t, dir, Options{})
	acked := make(chan Info, 10000)
	var wg sync.WaitGroup
	started := make(chan struct{}, 10000)
	for range 6 {
		wg.Go(func() {
			for i := 0; i < 1000; i++ {
				info, err := put(s, "segment", []byte("data"), nil, i%3 == 0)
				if err != nil {
					if !errors.Is(err, ErrClosed) {
						t.Error(err)
					}
					return
				}
				acked <- info
				started <- struct{}{}
			}
		})
	}
	for range 50 {
		<-started
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	wg.Wait()
	close(acked)
	s = open(t, dir, Options{})
	n := int64(0)
	for info := range acked {
		wantBytes(t, s, info.ID, []byte("data"))
		n++
	}
	if _, have := s.Usage(); have != n {
		t.Fatalf("%d uploads, %d acknowledged", have, n)
	}
}

func TestLocked(t *testing.T) {
	dir := t.TempDir()
	open(t, dir, Options{})
	link := filepath.Join(t.TempDir(), "link")
	if err := os.Symlink(dir, link); err != nil {
		t.Fatal(err)
	}
	for _, d := range []string{dir, link} {
		_, err := Open(context.Background(), d, Options{})
		if !errors.Is(err, ErrLocked) || !strings.Contains(err.Error(), fmt.Sprint(os.Getpid())) {
			t.Fatalf("second open of %s: %v", d, err)
		}
	}
}

func FuzzRecord(f *testing.F) {
	id := UploadID{1, 2, 3}
	f.Add(encodeRecord(&Info{ID: id, Kind: "segment", Size: 5, Attrs: []byte("abc"), Durable: true}))
	f.Add(encodeRecord(&Info{ID: id, Kind: "j", Size: SizeMax}))
	f.Add([]byte{})
	f.Add(make([]byte, recordFixed))
	f.Fuzz(func(t *testing.T, b []byte) {
		// With the checksum put right, so that the fields are reached too.
		if len(b) >= 4 {
			fixed := encodeCRC(id, b[:len(b)-4])
			if info, err := decodeRecord(id, fixed); err == nil && !bytes.Equal(encodeRecord(&info), fixed) {
				t.Fatalf("%x decodes to %+v, which encodes to another", fixed, info)
			} else if err != nil && !errors.Is(err, ErrCorrupt) {
				t.Fatal(err)
			}
		}
		if _, err := decodeRecord(UploadID{9}, encodeRecord(&Info{ID: id, Kind: "x"})); !errors.Is(err, ErrCorrupt) {
			t.Fatal("a record stands in for another")
		}
	})
}

func encodeCRC(id UploadID, body []byte) []byte {
	sum := recordSum(id[:], body)
	return append(append([]byte(nil), body...), byte(sum>>24), byte(sum>>16), byte(sum>>8), byte(sum))
}

// TestImport: a file becomes an upload without a copy; one that cannot is left, or is
// gone with its upload, and nothing else.
func TestImport(t *testing.T) {
	dir := t.TempDir()
	s := open(t, dir, Options{})
	for _, n := range sizes {
		want := content(uint64(n), n)
		path := filepath.Join(dir, "draft")
		if err := os.WriteFile(path, want, 0o600); err != nil {
			t.Fatal(err)
		}
		u, err := s.Import("file", path)
		if err != nil {
			t.Fatal(err)
		}
		info, err := u.Commit([]byte("attrs"), n%2 == 0)
		if err != nil || info.Size != int64(n) {
			t.Fatalf("%d bytes: %+v, %v", n, info, err)
		}
		wantBytes(t, s, info.ID, want)
		if _, err := os.Stat(path); !errors.Is(err, os.ErrNotExist) {
			t.Errorf("the file of %d bytes is still where it was: %v", n, err)
		}
	}
	if _, err := s.Import("file", filepath.Join(dir, "none")); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("no file: %v", err)
	}
	path := filepath.Join(dir, "draft")
	if err := os.Symlink("/etc/passwd", path); err != nil {
		t.Fatal(err)
	}
	if _, err := s.Import("file", path); !errors.Is(err, ErrInvalid) {
		t.Errorf("a link: %v", err)
	}
	if err := os.WriteFile(path, []byte("x"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := s.Import("", path); !errors.Is(err, ErrInvalid) {
		t.Errorf("no kind: %v", err)
	}
	u, err := s.Import("file", path)
	if err != nil {
		t.Fatal(err)
	}
	if err := u.Abort(); err != nil {
		t.Fatal(err)
	}
	names, err := os.ReadDir(filepath.Join(dir, "data"))
	if err != nil || len(names) != len(sizes) {
		t.Errorf("%d files for %d uploads, %v", len(names), len(sizes), err)
	}
	if n := s.uploads.Load(); n != 0 {
		t.Errorf("%d uploads are open", n)
	}
}
