package disks

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"iter"
	"maps"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/cockroachdb/pebble/v2/vfs/errorfs"
	"go.uber.org/goleak"

	"github.com/pondmesh/pond/fs"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// some opens a node's store in /a, and disks.
func some(t *testing.T, files vfs.FS, dirs ...string) *Disks {
	t.Helper()
	first, err := fs.Open(t.Context(), "/a", fs.Options{FS: files})
	if err != nil {
		t.Fatal(err)
	}
	d, err := Open(t.Context(), first, dirs, fs.Options{FS: files})
	if err != nil {
		t.Fatal(errors.Join(err, first.Close()))
	}
	t.Cleanup(func() {
		if err := errors.Join(d.Close(), first.Close()); err != nil && !errors.Is(err, fs.ErrOffline) {
			t.Error(err)
		}
	})
	return d
}

func content(i int) []byte { return bytes.Repeat([]byte{byte(i)}, 1000+i) }

// put stores a copy, durably.
func put(d interface {
	CreateCopy(fs.UploadID, string, int64) (*fs.Upload, error)
}, id fs.UploadID, b []byte) error {
	u, err := d.CreateCopy(id, "copy", int64(len(b)))
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

func read(d *Disks, id fs.UploadID) ([]byte, error) {
	r, err := d.Reader(id)
	if err != nil {
		return nil, err
	}
	defer r.Close()
	return io.ReadAll(io.NewSectionReader(r, 0, r.Size()))
}

func idOf(i int) fs.UploadID { return fs.UploadID{byte(i * 37), byte(i), 1} }

// fill stores some uploads.
func fill(t *testing.T, d *Disks, n int) map[fs.UploadID][]byte {
	t.Helper()
	all := map[fs.UploadID][]byte{}
	for i := range n {
		all[idOf(i)] = content(i)
		if err := put(d, idOf(i), content(i)); err != nil {
			t.Fatal(err)
		}
	}
	return all
}

// TestSpread: uploads are on all disks, each on one, and are found there.
func TestSpread(t *testing.T) {
	d := some(t, vfs.NewMem(), "/b", "/c")
	all := fill(t, d, 60)
	for id, b := range all {
		if got, err := read(d, id); err != nil || !bytes.Equal(got, b) {
			t.Fatalf("%d bytes, %v", len(got), err)
		}
		if err := put(d, id, b); !errors.Is(err, fs.ErrExists) {
			t.Fatalf("again: %v", err)
		}
	}
	for _, s := range d.States() {
		if s.Count < 5 || s.Err != nil || s.ID == "" {
			t.Errorf("%+v", s)
		}
	}
	var ids []fs.UploadID
	for info, err := range d.List("copy") {
		if err != nil {
			t.Fatal(err)
		}
		ids = append(ids, info.ID)
	}
	if !slices.IsSortedFunc(ids, func(a, b fs.UploadID) int { return bytes.Compare(a[:], b[:]) }) || len(ids) != 60 {
		t.Errorf("%d ids", len(ids))
	}
	if err := errors.Join(d.Delete(ids[:10]...), d.Bury(time.Unix(1000, 0), ids[10:20]...)); err != nil {
		t.Fatal(err)
	}
	if _, n := d.Usage(); n != 50 {
		t.Errorf("%d uploads are left, with tombstones", n)
	}
	if _, err := d.Stat(ids[0]); !errors.Is(err, fs.ErrNotFound) || errors.Is(err, fs.ErrOffline) {
		t.Errorf("a deleted one: %v", err)
	}
	if err := put(d, ids[10], content(1)); !errors.Is(err, fs.ErrExists) {
		t.Errorf("a buried one: %v", err)
	}
}

// sized has disks of several sizes.
type sized struct {
	vfs.FS
	free map[string]uint64
}

func (s sized) GetDiskUsage(path string) (vfs.DiskUsage, error) {
	for prefix, n := range s.free {
		if strings.HasPrefix(path, prefix) {
			return vfs.DiskUsage{AvailBytes: n, TotalBytes: n}, nil
		}
	}
	return vfs.DiskUsage{}, vfs.ErrUnsupported
}

// TestRoom: a disk takes uploads by what is free on it, and one without room none.
func TestRoom(t *testing.T) {
	const full, small, large = 1 << 20, 100 << 30, 300 << 30
	d := some(t, sized{vfs.NewMem(), map[string]uint64{"/a": small, "/b": large, "/c": full}}, "/b", "/c")
	fill(t, d, 200)
	s := d.States()
	if s[0].Count < 25 || s[1].Count < 2*s[0].Count || s[2].Count != 0 {
		t.Errorf("%d, %d and %d uploads", s[0].Count, s[1].Count, s[2].Count)
	}
	if n := d.Size(); n != full+small+large {
		t.Errorf("%d bytes", n)
	}
}

// breaking fails operations on one folder, while it is armed.
type breaking struct {
	armed, fired atomic.Int64
}

func (b *breaking) fs(dir string, kinds ...errorfs.OpKind) vfs.FS {
	return errorfs.Wrap(vfs.NewMem(), errorfs.InjectorFunc(func(op errorfs.Op) error {
		if strings.HasPrefix(op.Path, dir) && slices.Contains(kinds, op.Kind) && b.armed.Load() > 0 {
			b.armed.Add(-1)
			b.fired.Add(1)
			return syscall.EIO
		}
		return nil
	}))
}

// TestSyncFails (fault 6): one disk of two goes out of use, for good; what it held is
// neither here nor nowhere; the other goes on. Another disk in its place (fault 12) is
// used.
func TestSyncFails(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := &breaking{}
		files := b.fs("/b", errorfs.OpFileSync, errorfs.OpFileSyncData)
		d := some(t, files, "/b")
		all := fill(t, d, 20)
		bad := d.all[1].store
		held := map[fs.UploadID]bool{}
		for id := range all {
			_, err := bad.Stat(id)
			held[id] = err == nil
		}
		b.armed.Store(1)
		for i := 100; b.fired.Load() == 0; i++ {
			if i == 200 {
				t.Fatal("the fault did not happen")
			}
			_ = put(d, idOf(i), content(1))
		}
		check := func() {
			t.Helper()
			for id, want := range all {
				got, err := read(d, id)
				if held[id] && (!errors.Is(err, fs.ErrOffline) || errors.Is(err, fs.ErrNotFound)) || !held[id] && (err != nil || !bytes.Equal(got, want)) {
					t.Fatalf("on the bad disk: %t, and %v", held[id], err)
				}
			}
		}
		check()
		time.Sleep(time.Hour)
		check()
		if s := d.States(); s[1].Err == nil || s[0].Err != nil || b.fired.Load() != 1 {
			t.Fatalf("%+v", s)
		}
		for id := range all {
			if held[id] {
				if err := put(d, id, all[id]); err != nil {
					t.Fatalf("its copy for another disk: %v", err)
				}
				held[id] = false
			}
		}
		check()
		if err := files.RemoveAll("/b/uploads"); err != nil {
			t.Fatal(err)
		}
		time.Sleep(2 * lookEvery)
		if s := d.States(); s[1].Err != nil || s[1].ID == bad.ID() || s[1].Count != 0 {
			t.Fatalf("another disk: %+v", s)
		}
		if _, err := d.Stat(fs.UploadID{9}); !errors.Is(err, fs.ErrNotFound) {
			t.Error(err)
		}
	})
}

// TestRemoved (fault 12): what is on a disk in use is taken away, and an empty one is used.
func TestRemoved(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		files := vfs.NewMem()
		d := some(t, files, "/b")
		all := fill(t, d, 20)
		before := d.States()[1]
		if err := files.RemoveAll("/b/uploads"); err != nil || before.Count == 0 {
			t.Fatal(err, before)
		}
		time.Sleep(2 * lookEvery)
		if s := d.States()[1]; s.Err != nil || s.ID == before.ID || s.Count != 0 {
			t.Fatalf("%+v", s)
		}
		lost := 0
		for id, b := range all {
			switch got, err := read(d, id); {
			case errors.Is(err, fs.ErrNotFound):
				lost++
			case err != nil || !bytes.Equal(got, b):
				t.Error(err)
			}
		}
		if lost != int(before.Count) {
			t.Errorf("%d of %d are missing", lost, before.Count)
		}
	})
}

// TestReread: after an error of reading a disk's index is read anew, and then believed.
func TestReread(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := &breaking{}
		d := some(t, b.fs("/b/uploads/data", errorfs.OpFileReadAt), "/b")
		all := fill(t, d, 20)
		time.Sleep(2 * rereadEvery)
		before := d.all[1].store
		b.armed.Store(1)
		for id := range all {
			if err := d.Verify(t.Context(), id); err != nil && !errors.Is(err, syscall.EIO) && !errors.Is(err, fs.ErrOffline) {
				t.Fatal(err)
			}
		}
		if b.fired.Load() == 0 {
			t.Fatal("the fault did not happen")
		}
		time.Sleep(2 * lookEvery)
		d.mu.RLock()
		again := d.all[1].store != before
		d.mu.RUnlock()
		if !again {
			t.Error("the index was not read anew")
		}
		for id := range all {
			if err := d.Verify(t.Context(), id); err != nil {
				t.Error(err)
			}
		}
	})
}

// TestDamagedIndex (fault 8): a disk's store with a damaged index is set aside, and an
// empty one takes its place.
func TestDamagedIndex(t *testing.T) {
	files := vfs.NewMem()
	d := some(t, files, "/b")
	fill(t, d, 20)
	if err := errors.Join(d.Close(), d.all[0].store.Close()); err != nil {
		t.Fatal(err)
	}
	if err := files.RemoveAll("/b/uploads/index"); err != nil {
		t.Fatal(err)
	}
	d = some(t, files, "/b")
	s := d.States()[1]
	if s.Err != nil || s.Aside != 1 || s.Count != 0 {
		t.Errorf("%+v", s)
	}
	names, err := files.List("/b")
	if err != nil || len(names) != 2 {
		t.Errorf("%v, %v", names, err)
	}
}

// TestRefused: a folder with files of others, and one that another process has.
func TestRefused(t *testing.T) {
	files := vfs.NewMem()
	d := some(t, files, "/b")
	if _, err := Open(t.Context(), d.all[0].store, []string{"/b"}, fs.Options{FS: files}); !errors.Is(err, fs.ErrLocked) {
		t.Errorf("the same folder twice: %v", err)
	}
	if err := files.MkdirAll("/c/photos", 0o777); err != nil {
		t.Fatal(err)
	}
	if _, err := Open(t.Context(), d.all[0].store, []string{"/c"}, fs.Options{FS: files}); !errors.Is(err, ErrForeign) || !strings.Contains(err.Error(), "photos") {
		t.Errorf("a folder with files of others: %v", err)
	}
}

// TestTwice: what two disks have is told once, and one of the two goes; a tombstone wins.
func TestTwice(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		files := vfs.NewMem()
		d := some(t, files, "/b")
		synctest.Wait() // tidied: nothing was there
		all := fill(t, d, 20)
		var dead fs.UploadID
		for id, b := range all {
			dead = id
			for _, k := range d.all {
				if err := put(k.store, id, b); err != nil && !errors.Is(err, fs.ErrExists) {
					t.Fatal(err)
				}
			}
		}
		if err := d.all[0].store.Bury(time.Unix(1000, 0), dead); err != nil {
			t.Fatal(err)
		}
		if _, n := d.Usage(); n != 40 {
			t.Fatalf("%d uploads are there", n)
		}
		once := func() {
			t.Helper()
			n := 0
			for info, err := range d.List("") {
				if err != nil || (info.ID == dead) != (info.Kind == fs.KindBuried) {
					t.Errorf("%+v, %v", info, err)
				}
				n++
			}
			if n != 20 {
				t.Errorf("%d are told", n)
			}
		}
		once()
		d.tidy(t.Context(), d.all[1])
		once()
		if _, n := d.Usage(); n != 20 {
			t.Errorf("%d uploads stay", n)
		}
		for id, b := range all {
			if got, err := read(d, id); id != dead && (err != nil || !bytes.Equal(got, b)) {
				t.Error(err)
			}
		}
	})
}

// TestHeard: the disk that heard least says how much the node has heard.
func TestHeard(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		files := vfs.NewMem()
		d := some(t, files, "/b")
		begun := time.Now()
		if at, err := d.Heard(); err != nil || !at.Equal(begun) {
			t.Fatalf("%v, %v", at, err)
		}
		if err := errors.Join(d.Close(), d.all[0].store.Close()); err != nil {
			t.Fatal(err)
		}
		time.Sleep(time.Hour)
		alone := some(t, files)
		if err := alone.Hear(); err != nil {
			t.Fatal(err)
		}
		if at, err := alone.Heard(); err != nil || !at.Equal(begun.Add(time.Hour)) {
			t.Fatalf("%v, %v", at, err)
		}
		if err := alone.all[0].store.Close(); err != nil {
			t.Fatal(err)
		}
		back := some(t, files, "/b", "/c")
		if at, err := back.Heard(); err != nil || !at.Equal(begun) {
			t.Errorf("with a disk that was away: %v, %v", at, err)
		}
		if err := back.Hear(); err != nil {
			t.Fatal(err)
		}
		if at, err := back.Heard(); err != nil || !at.Equal(begun.Add(time.Hour)) {
			t.Errorf("%v, %v", at, err)
		}
	})
}

// TestHeardAtOnce: what many note at once leaves one note.
func TestHeardAtOnce(t *testing.T) {
	for range 20 {
		d := some(t, vfs.NewMem(), "/b")
		var all sync.WaitGroup
		for i := range 8 {
			all.Go(func() {
				err := d.Hear()
				if i%2 == 0 {
					_, e := d.Heard()
					err = errors.Join(err, e)
				}
				if err != nil {
					t.Error(err)
				}
			})
		}
		all.Wait()
		for _, k := range d.all {
			notes := 0
			for _, err := range k.store.List(kindHeard) {
				if notes++; err != nil {
					t.Fatal(err)
				}
			}
			if notes != 1 {
				t.Fatalf("%d notes on %s", notes, k.dir)
			}
		}
	}
}

// twice has all disks have what is in all.
func twice(t *testing.T, d *Disks, all map[fs.UploadID][]byte) {
	t.Helper()
	for id, b := range all {
		for _, k := range d.all {
			if err := put(k.store, id, b); err != nil && !errors.Is(err, fs.ErrExists) {
				t.Fatal(err)
			}
		}
	}
}

// TestTidyWaits: of two copies one goes as soon as the other was found right; the wait
// comes afterwards, when that may be damaged.
func TestTidyWaits(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := some(t, vfs.NewMem(), "/b")
		synctest.Wait() // tidied: nothing was there
		twice(t, d, fill(t, d, 1))
		before := time.Now()
		done := make(chan error)
		go func() { done <- d.tidyOne(t.Context(), d.all[1].store, idOf(0)) }()
		synctest.Wait()
		if _, n := d.Usage(); n != 1 || !time.Now().Equal(before) {
			t.Errorf("%d copies are there during the wait", n)
		}
		if err := <-done; err != nil || !time.Now().After(before) {
			t.Errorf("%v after %v", err, time.Since(before))
		}
	})
}

// TestTidyHangs: while a disk is tidied, and hangs, another that is replaced is seen.
func TestTidyHangs(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var hung atomic.Bool
		hang := make(chan struct{})
		files := errorfs.Wrap(vfs.NewMem(), errorfs.InjectorFunc(func(op errorfs.Op) error {
			if op.Kind == errorfs.OpFileReadAt && strings.HasPrefix(op.Path, "/a/data") {
				hung.Store(true)
				<-hang
			}
			return nil
		}))
		d := some(t, files, "/b", "/c")
		synctest.Wait() // tidied: nothing was there
		twice(t, d, fill(t, d, 3))
		if err := errors.Join(d.Close(), d.all[0].store.Close()); err != nil {
			t.Fatal(err)
		}
		d = some(t, files, "/b", "/c")
		defer close(hang)
		id := d.States()[2].ID
		if err := files.RemoveAll("/c/uploads"); err != nil {
			t.Fatal(err)
		}
		time.Sleep(2 * lookEvery)
		if s := d.States()[2]; s.Err != nil || s.ID == id || !hung.Load() {
			t.Errorf("hung %t, and the disk is %+v", hung.Load(), s)
		}
	})
}

// TestMerged compares merged lists with a map.
func TestMerged(t *testing.T) {
	seed := rand.Uint64()
	rng := rand.New(rand.NewPCG(seed, 1))
	for range 200 {
		want := map[fs.UploadID]int{}
		lists := make([]iter.Seq2[fs.Info, error], rng.IntN(4))
		for i := range lists {
			part := map[fs.UploadID]fs.Info{}
			for range rng.IntN(6) {
				info := fs.Info{ID: fs.UploadID{byte(rng.IntN(8))}, Durable: rng.IntN(2) == 0}
				if rng.IntN(3) == 0 {
					info.Kind = fs.KindBuried
				}
				part[info.ID] = info
			}
			for id, info := range part {
				want[id] = max(want[id], rank(&info))
			}
			lists[i] = func(yield func(fs.Info, error) bool) {
				for _, id := range slices.SortedFunc(maps.Keys(part), func(a, b fs.UploadID) int { return bytes.Compare(a[:], b[:]) }) {
					if !yield(part[id], nil) {
						return
					}
				}
			}
		}
		got := map[fs.UploadID]int{}
		for info, err := range merged(lists) {
			if _, twice := got[info.ID]; err != nil || twice {
				t.Fatalf("seed %d: %v, twice %t", seed, err, twice)
			}
			got[info.ID] = rank(&info)
		}
		if !maps.Equal(got, want) {
			t.Fatalf("seed %d: %v, and not %v", seed, got, want)
		}
	}
}

// TestPowerLoss plays a power loss before every write of a history on two disks, and opens
// what is left: what was acknowledged holds.
func TestPowerLoss(t *testing.T) {
	tried := 0
	for at := int64(1); ; at++ {
		if powerLoss(t, at) < at {
			break
		}
		tried++
	}
	if tried < 60 {
		t.Fatalf("only %d power losses", tried)
	}
	t.Logf("%d power losses", tried)
}

func powerLoss(t *testing.T, at int64) int64 {
	t.Helper()
	mem := vfs.NewCrashableMem()
	var ops atomic.Int64
	var left vfs.FS
	state := map[fs.UploadID]string{}
	var kept map[fs.UploadID]string
	files := errorfs.Wrap(mem, errorfs.InjectorFunc(func(op errorfs.Op) error {
		if op.Kind.ReadOrWrite() == errorfs.OpIsWrite && ops.Add(1) == at {
			kept = maps.Clone(state)
			left = mem.CrashClone(vfs.CrashCloneCfg{UnsyncedDataPercent: int(at % 3 * 50), RNG: rand.New(rand.NewPCG(uint64(at), 1))})
		}
		return nil
	}))
	first, err := fs.Open(t.Context(), "/a", fs.Options{FS: files})
	if err != nil {
		t.Fatal(err)
	}
	d, err := Open(t.Context(), first, []string{"/b"}, fs.Options{FS: files})
	if err != nil {
		t.Fatal(err)
	}
	step := func(id fs.UploadID, does, done string, err error) {
		if err != nil {
			t.Fatalf("%s: %v", does, err)
		}
		state[id] = done
	}
	for i := range 6 {
		state[idOf(i)] = "copying"
		step(idOf(i), "copying", "held", put(d, idOf(i), content(i)))
	}
	for i := range 2 {
		state[idOf(i)], state[idOf(i+2)] = "burying", "deleting"
		step(idOf(i), "burying", "buried", d.Bury(time.Unix(1000, 0), idOf(i)))
		step(idOf(i+2), "deleting", "deleted", d.Delete(idOf(i+2)))
	}
	if err := errors.Join(d.Close(), first.Close()); err != nil {
		t.Fatal(err)
	}
	if left != nil {
		afterLoss(t, fmt.Sprintf("loss at write %d", at), left, kept)
	}
	return ops.Load()
}

func afterLoss(t *testing.T, what string, files vfs.FS, state map[fs.UploadID]string) {
	t.Helper()
	first, err := fs.Open(context.Background(), "/a", fs.Options{FS: files})
	if err != nil {
		t.Fatalf("%s: %v", what, err)
	}
	d, err := Open(context.Background(), first, []string{"/b"}, fs.Options{FS: files})
	if err != nil {
		t.Fatalf("%s: %v", what, err)
	}
	defer first.Close()
	defer d.Close()
	for _, s := range d.States() {
		if s.Err != nil || s.Aside != 0 {
			t.Fatalf("%s: %+v", what, s)
		}
	}
	for i := range 6 {
		id, want := idOf(i), content(i)
		got, err := read(d, id)
		info, _ := d.Stat(id)
		whole, buried := err == nil && bytes.Equal(got, want), info.Kind == fs.KindBuried
		switch st := state[id]; {
		case st == "held" && !whole, st == "buried" && !buried, st == "deleted" && !errors.Is(err, fs.ErrNotFound),
			st == "burying" && !whole && !buried, st == "deleting" && !whole && !errors.Is(err, fs.ErrNotFound), err == nil && !buried && !whole:
			t.Fatalf("%s: %q: whole %t, buried %t, %v", what, st, whole, buried, err)
		}
	}
}
