package fs

import (
	"bufio"
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/cockroachdb/pebble/v2/vfs/errorfs"
)

// childDir in the environment makes the test binary a writer to be killed.
const childDir = "POND_FS_TEST_CHILD"

// childMain commits uploads for ever and prints each after its commit. Their
// content follows from the sequence number in their attrs.
func childMain(dir string) {
	s, err := Open(context.Background(), dir, Options{})
	if err != nil {
		fmt.Println("error", err)
		return
	}
	var seq atomic.Uint64
	var out sync.Mutex
	for range 4 {
		go func() {
			for {
				n := seq.Add(1)
				durable := n%2 == 0
				info, err := put(s, "segment", content(n, int(n%40)*5000), binary.BigEndian.AppendUint64(nil, n), durable)
				out.Lock()
				if err != nil {
					fmt.Println("error", err)
				} else {
					fmt.Println(info.ID, durable)
				}
				out.Unlock()
			}
		}()
	}
	select {}
}

// TestKill kills a writing process and opens its folder: every durable upload
// that it acknowledged is whole, everything that is there is whole, and no
// uncommitted file is left.
func TestKill(t *testing.T) {
	dir := t.TempDir()
	for round, after := range []int{1, 40, 300} {
		acked := runChild(t, dir, after)
		s := open(t, dir, Options{})
		for id, durable := range acked {
			if _, err := s.Stat(id); durable && err != nil {
				t.Fatalf("round %d: acknowledged durable upload: %v", round, err)
			}
		}
		files := 0
		for info, err := range s.List("") {
			if err != nil {
				t.Fatal(err)
			}
			n := binary.BigEndian.Uint64(info.Attrs)
			wantBytes(t, s, info.ID, content(n, int(n%40)*5000))
			if info.Size > 0 {
				files++
			}
		}
		names, err := os.ReadDir(filepath.Join(dir, "data"))
		if err != nil || len(names) != files || files == 0 && round > 0 {
			t.Fatalf("round %d: %d files for %d uploads, %v", round, len(names), files, err)
		}
		if err := s.Close(); err != nil {
			t.Fatal(err)
		}
	}
}

// runChild starts a writer, kills it with SIGKILL once it has acknowledged that
// many uploads, and returns those.
func runChild(t *testing.T, dir string, after int) map[UploadID]bool {
	t.Helper()
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), childDir+"="+dir)
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	acked := map[UploadID]bool{}
	for lines := bufio.NewScanner(out); lines.Scan(); {
		word, durable, _ := strings.Cut(lines.Text(), " ")
		id, err := ParseUploadID(word)
		if err != nil {
			if len(acked) >= after {
				break // the last line may be cut short
			}
			t.Errorf("child: %s", lines.Text())
			break
		}
		acked[id] = durable == "true"
		if len(acked) == after {
			if _, err := Open(context.Background(), dir, Options{}); !errors.Is(err, ErrLocked) ||
				!strings.Contains(err.Error(), fmt.Sprint(cmd.Process.Pid)) {
				t.Errorf("open while the child runs: %v", err)
			}
			cmd.Process.Kill()
		}
	}
	cmd.Process.Kill()
	if err := cmd.Wait(); err == nil || !strings.Contains(err.Error(), "killed") {
		t.Errorf("child: %v", err)
	}
	return acked
}

// crashFS is a file system in memory of which a power loss can be played at any
// write: what was not synced is there or not, as the seed wills.
type crashFS struct {
	*errorfs.FS
	mem    *vfs.MemFS
	ops    atomic.Int64
	at     int64 // the operation before which the power fails
	seed   uint64
	onLoss func()
	clone  *vfs.MemFS
}

func newCrashFS(at int64, seed uint64, onLoss func()) *crashFS {
	c := &crashFS{mem: vfs.NewCrashableMem(), at: at, seed: seed, onLoss: onLoss}
	c.FS = errorfs.Wrap(c.mem, errorfs.InjectorFunc(func(op errorfs.Op) error {
		if op.Kind.ReadOrWrite() == errorfs.OpIsWrite && c.ops.Add(1) == c.at {
			c.onLoss()
			c.clone = c.mem.CrashClone(vfs.CrashCloneCfg{
				UnsyncedDataPercent: int(c.seed % 3 * 50), RNG: rand.New(rand.NewPCG(c.seed, 1)),
			})
		}
		return nil
	}))
	return c
}

// TestPowerLoss plays a power loss before every write that a little history
// makes, and opens what is left: what was acknowledged as durable is whole, what
// was deleted does not come back as durable, and nothing ever reads wrong.
func TestPowerLoss(t *testing.T) {
	total := int64(1 << 40)
	tried := 0
	for at := int64(1); at <= total; at++ {
		for seed := range uint64(3) {
			if ops := powerLoss(t, at, uint64(at)*3+seed); ops < at {
				total = ops
				break
			}
			tried++
		}
	}
	if tried < 100 {
		t.Fatalf("only %d power losses", tried)
	}
	t.Logf("%d power losses", tried)
}

func powerLoss(t *testing.T, at int64, seed uint64) (ops int64) {
	t.Helper()
	state := map[UploadID]string{} // what must hold for an upload at the loss
	data := map[UploadID][]byte{}
	var kept map[UploadID]string
	fs := newCrashFS(at, seed, func() {
		kept = map[UploadID]string{}
		for id, st := range state {
			kept[id] = st
		}
	})
	ctx := context.Background()
	s, err := Open(ctx, "/d", Options{FS: fs})
	if err != nil {
		t.Fatal(err)
	}
	var last UploadID
	for i := range 6 {
		durable := i%2 == 0
		u, err := s.Create("segment")
		if err != nil {
			t.Fatal(err)
		}
		b := content(seed+uint64(i), 1+i*40_000)
		data[u.ID()], state[u.ID()] = b, "begun"
		if _, err := u.Write(bytes.Clone(b)); err != nil {
			t.Fatal(err)
		}
		if i == 5 {
			u.Abort()
			break
		}
		if _, err := u.Commit([]byte("attrs"), durable); err != nil {
			t.Fatal(err)
		}
		state[u.ID()] = map[bool]string{true: "durable", false: "lazy"}[durable]
		if i == 3 {
			state[last] = "deleting"
			if err := s.Delete(last); err != nil {
				t.Fatal(err)
			}
			state[last] = "deleted"
		}
		last = u.ID()
		note, err := s.Note("segment", []byte("note"), durable)
		if err != nil {
			t.Fatal(err)
		}
		state[note.ID] = state[last]
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	if fs.clone != nil {
		checkAfterLoss(t, fmt.Sprintf("loss at write %d, seed %d", at, seed), fs.clone, kept, data)
	}
	return fs.ops.Load()
}

func checkAfterLoss(t *testing.T, what string, fs vfs.FS, state map[UploadID]string, data map[UploadID][]byte) {
	t.Helper()
	s, err := Open(context.Background(), "/d", Options{FS: fs})
	if err != nil {
		t.Fatalf("%s: %v", what, err)
	}
	defer s.Close()
	for id, st := range state {
		got, err := get(s, id)
		whole := err == nil && bytes.Equal(got, data[id])
		switch {
		case err == nil && !whole:
			t.Fatalf("%s: %s upload reads wrong bytes", what, st)
		case st == "durable" && !whole:
			t.Fatalf("%s: durable upload: %v", what, err)
		case st == "deleted" && !errors.Is(err, ErrNotFound):
			t.Fatalf("%s: deleted upload: %v", what, err)
		case st == "begun" || st == "lazy" || st == "deleting":
			if !whole && !errors.Is(err, ErrNotFound) && !errors.Is(err, ErrCorrupt) {
				t.Fatalf("%s: %s upload: %v", what, st, err)
			}
		}
	}
	names, err := fs.List("/d/data")
	files := 0
	for info, e := range s.List("") {
		if err = errors.Join(err, e); info.Size > 0 {
			files++
		}
	}
	if err != nil || len(names) != files {
		t.Fatalf("%s: %d files for %d uploads with bytes, %v", what, len(names), files, err)
	}
}

// failing is a real file system whose operations fail as told.
func failing(fail func(op errorfs.Op) error) vfs.FS {
	return errorfs.Wrap(vfs.NewMem(), errorfs.InjectorFunc(fail))
}

func isSync(k errorfs.OpKind) bool {
	return k == errorfs.OpFileSync || k == errorfs.OpFileSyncData || k == errorfs.OpFileSyncTo
}

// TestSyncFails: after a failed fsync, of the bytes, of the folder or of the
// index, the commit fails, the store serves nothing more and asks the disk for
// no other fsync of the kind.
func TestSyncFails(t *testing.T) {
	for name, match := range map[string]func(op errorfs.Op) bool{
		"data":      func(op errorfs.Op) bool { return isSync(op.Kind) && strings.HasPrefix(op.Path, "/d/data/") },
		"folder":    func(op errorfs.Op) bool { return isSync(op.Kind) && op.Path == "/d/data" },
		"index":     func(op errorfs.Op) bool { return isSync(op.Kind) && strings.HasSuffix(op.Path, ".log") },
		"index log": func(op errorfs.Op) bool { return op.Kind == errorfs.OpFileWrite && strings.HasSuffix(op.Path, ".log") },
	} {
		t.Run(name, func(t *testing.T) {
			var armed atomic.Bool
			var failed atomic.Int64
			fs := failing(func(op errorfs.Op) error {
				if armed.Load() && match(op) {
					failed.Add(1)
					return syscall.EIO
				}
				return nil
			})
			s, err := Open(context.Background(), "/d", Options{FS: fs})
			if err != nil {
				t.Fatal(err)
			}
			before := mustPut(t, s, []byte("before"), true)
			r, err := s.Reader(before.ID)
			if err != nil {
				t.Fatal(err)
			}
			defer r.Close()
			armed.Store(true)
			_, err = put(s, "segment", []byte("lost"), nil, true)
			if !errors.Is(err, ErrOffline) || !errors.Is(err, syscall.EIO) {
				t.Fatalf("commit: %v", err)
			}
			if failed.Load() == 0 {
				t.Fatal("the fault did not happen")
			}
			for _, err := range []error{
				s.Err(), second(s.Create("x")), second(s.Stat(before.ID)), second(s.Reader(before.ID)), s.Delete(before.ID),
			} {
				if !errors.Is(err, ErrOffline) {
					t.Errorf("after a failed fsync: %v", err)
				}
			}
			if got, err := io.ReadAll(io.NewSectionReader(r, 0, r.Size())); err != nil || string(got) != "before" {
				t.Errorf("open reader: %v", err)
			}
			if err := s.Close(); !errors.Is(err, ErrOffline) {
				t.Errorf("close: %v", err)
			}
			armed.Store(false)
			s, err = Open(context.Background(), "/d", Options{FS: fs})
			if err != nil {
				t.Fatal(err)
			}
			defer s.Close()
			wantBytes(t, s, before.ID, []byte("before"))
		})
	}
}

// TestEveryFault makes each write of a little history fail once, for good, and
// once only: whatever the operation, the store answers with errors (no panic,
// no hang), and after reopening everything acknowledged as durable is whole.
func TestEveryFault(t *testing.T) {
	for _, cause := range []error{syscall.EIO, syscall.ENOSPC} {
		for _, forGood := range []bool{true, false} {
			total := int64(1 << 40)
			for at := int64(1); at <= total; at++ {
				if n := oneFault(t, at, cause, forGood); n < at {
					total = n
				}
			}
			if total < 30 {
				t.Fatalf("only %d faults", total)
			}
		}
	}
}

func oneFault(t *testing.T, at int64, cause error, forGood bool) int64 {
	t.Helper()
	var ops atomic.Int64
	var off atomic.Bool
	fs := failing(func(op errorfs.Op) error {
		if off.Load() || op.Kind.ReadOrWrite() != errorfs.OpIsWrite || op.Kind == errorfs.OpFileClose {
			return nil
		}
		if n := ops.Add(1); n == at || forGood && n > at {
			return cause
		}
		return nil
	})
	acked := map[UploadID][]byte{}
	s, err := Open(context.Background(), "/d", Options{FS: fs})
	if err == nil {
		for i := range 4 {
			b := content(uint64(i), 1+i*40_000)
			if info, err := put(s, "segment", b, nil, i != 2); err == nil && info.Durable {
				acked[info.ID] = b
			} else if err != nil && !errors.Is(err, cause) && !errors.Is(err, ErrOffline) {
				t.Fatalf("fault at %d: %v", at, err)
			}
		}
		s.Close()
	}
	off.Store(true)
	s, err = Open(context.Background(), "/d", Options{FS: fs})
	if err != nil {
		t.Fatalf("open after a fault at %d (%v, for good %v): %v", at, cause, forGood, err)
	}
	defer s.Close()
	for id, b := range acked {
		wantBytes(t, s, id, b)
	}
	names, err := fs.List("/d/data")
	if _, n := s.Usage(); err != nil || int64(len(names)) != n {
		t.Fatalf("fault at %d: %d files for %d uploads, %v", at, len(names), n, err)
	}
	return ops.Load()
}

// TestLazyIsSynced: a commit without durable reaches the disk soon, with nothing
// else happening.
func TestLazyIsSynced(t *testing.T) {
	synced := make(chan struct{}, 1)
	var armed atomic.Bool
	fs := failing(func(op errorfs.Op) error {
		if armed.Load() && isSync(op.Kind) && strings.HasSuffix(op.Path, ".log") {
			select {
			case synced <- struct{}{}:
			default:
			}
		}
		return nil
	})
	s, err := Open(context.Background(), "/d", Options{FS: fs})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	armed.Store(true)
	mustPut(t, s, []byte("x"), false)
	select {
	case <-synced:
	case <-time.After(100 * indexSyncEvery):
		t.Fatal("the index was not synced")
	}
}
