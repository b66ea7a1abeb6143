package fs

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"

	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/cockroachdb/pebble/v2/vfs/errorfs"

	"github.com/pondmesh/pond/fs/register"
)

func openKeeper(t *testing.T, dir string, o Options) *Keeper {
	t.Helper()
	k, err := OpenKeeper(dir, "n1", o)
	if err != nil {
		t.Fatal(err)
	}
	return k
}

// ask is one request to a keeper.
func ask(k *Keeper, r register.Request) (register.Reply, error) {
	r.To = k.ID()
	replies, err := k.Answer(context.Background(), []register.Request{r})
	if err != nil {
		return register.Reply{}, err
	}
	return replies[0], nil
}

var firstRoster = register.Roster{Pond: "p", Version: 1, Keepers: []register.KeeperID{"n1/x"}}

func ballot(n int) register.Ballot { return register.Ballot{N: uint64(n), Proposer: "p"} }

// A keeper that is opened again is who it was, and knows what it promised.
func TestKeeper(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "registers")
	k := openKeeper(t, dir, Options{})
	id := k.ID()
	if k.Lost() || !strings.HasPrefix(string(id), "n1/") {
		t.Errorf("new: %q, lost %v", id, k.Lost())
	}
	value := register.Value{Version: 1, Data: []byte("x"), Recent: []register.ChangeID{"c"}}
	for _, r := range []register.Request{
		{Kind: register.Install, Next: firstRoster},
		{Kind: register.Prepare, Roster: 1, Key: "k", Ballot: ballot(1)},
		{Kind: register.Accept, Roster: 1, Key: "k", Ballot: ballot(1), Value: value},
		{Kind: register.Prepare, Roster: 1, Key: "k", Ballot: ballot(7)},
	} {
		if reply, err := ask(k, r); err != nil || reply.Refused != register.Taken {
			t.Fatalf("%+v: %+v, %v", r, reply, err)
		}
	}
	if _, err := OpenKeeper(dir, "n1", Options{}); err == nil {
		t.Error("one folder serves two keepers")
	}
	if err := k.Close(); err != nil {
		t.Fatal(err)
	}
	if _, err := ask(k, register.Request{Kind: register.Read}); !errors.Is(err, ErrClosed) {
		t.Errorf("closed: %v", err)
	}
	k = openKeeper(t, dir, Options{})
	defer k.Close()
	if k.ID() != id || k.Lost() {
		t.Errorf("again: %q, want %q, lost %v", k.ID(), id, k.Lost())
	}
	if reply, err := ask(k, register.Request{Kind: register.Prepare, Roster: 1, Key: "k", Ballot: ballot(6)}); err != nil || reply.Refused != register.LowBallot || reply.Promised != ballot(7) {
		t.Errorf("a lower ballot: %+v, %v", reply, err)
	}
	reply, err := ask(k, register.Request{Kind: register.Read, Roster: 1, Key: "k"})
	if err != nil || reply.Accepted != ballot(1) || reply.Value.Version != 1 || string(reply.Value.Data) != "x" || len(reply.Value.Recent) != 1 {
		t.Errorf("read: %+v, %v", reply, err)
	}
	if reply, err := ask(k, register.Request{Kind: register.Read, Roster: 2, Key: "k"}); err != nil || reply.Refused != register.WrongRoster || reply.Roster.Pond != "p" {
		t.Errorf("of another roster: %+v, %v", reply, err)
	}
}

// A keeper whose data are gone is another one, and says so.
func TestKeeperLost(t *testing.T) {
	mem := vfs.NewMem()
	k := openKeeper(t, "/d/registers", Options{FS: mem})
	id := k.ID()
	if err := k.Close(); err != nil {
		t.Fatal(err)
	}
	if err := mem.RemoveAll("/d/registers/index"); err != nil {
		t.Fatal(err)
	}
	if k, err := OpenKeeper("/d/registers", "n1", Options{FS: mem}); err == nil {
		if k.ID() == id || !k.Lost() {
			t.Errorf("%q after %q, lost %v", k.ID(), id, k.Lost())
		}
		k.Close()
	} else if !errors.Is(err, ErrCorrupt) {
		t.Errorf("%v", err)
	}
}

// told is what a keeper's replies have promised, of a key.
type told struct{ promised, accepted int }

// No promise is lost when the power fails before any write: neither the keeper's id nor
// the roster, nor a ballot that it promised or accepted.
func TestKeeperPowerLoss(t *testing.T) {
	total, tried := int64(1<<40), 0
	for at := int64(1); at <= total; at++ {
		for seed := range uint64(3) {
			if ops := keeperPowerLoss(t, at, uint64(at)*3+seed); ops < at {
				total = ops
				break
			}
			tried++
		}
	}
	if tried < 50 {
		t.Fatalf("only %d power losses", tried)
	}
	t.Logf("%d power losses", tried)
}

func keeperPowerLoss(t *testing.T, at int64, seed uint64) int64 {
	t.Helper()
	var mu sync.Mutex
	var id, keptID register.KeeperID
	roster, keptRoster := uint64(0), uint64(0)
	state := map[register.Key]told{}
	var kept map[register.Key]told
	disk := newCrashFS(at, seed, func() {
		mu.Lock()
		defer mu.Unlock()
		kept, keptID, keptRoster = maps.Clone(state), id, roster
	})
	k := openKeeper(t, "/d", Options{FS: disk})
	note := func(f func()) {
		mu.Lock()
		defer mu.Unlock()
		f()
	}
	note(func() { id = k.ID() })
	must := func(r register.Request) {
		if reply, err := ask(k, r); err != nil || reply.Refused != register.Taken {
			t.Fatalf("%+v: %+v, %v", r, reply, err)
		}
	}
	must(register.Request{Kind: register.Install, Next: firstRoster})
	note(func() { roster = 1 })
	var writers sync.WaitGroup
	for w := range 3 {
		key := register.Key(fmt.Sprint("k", w))
		writers.Go(func() {
			for n := 1; n <= 3; n++ {
				must(register.Request{Kind: register.Prepare, Roster: 1, Key: key, Ballot: ballot(n)})
				note(func() { state[key] = told{n, state[key].accepted} })
				must(register.Request{Kind: register.Accept, Roster: 1, Key: key, Ballot: ballot(n), Value: register.Value{Version: uint64(n)}})
				note(func() { state[key] = told{n, n} })
			}
		})
	}
	writers.Wait()
	if err := k.Close(); err != nil {
		t.Fatal(err)
	}
	if disk.clone != nil {
		checkKeeper(t, fmt.Sprintf("loss at write %d, seed %d", at, seed), disk.clone, keptID, keptRoster, kept)
	}
	return disk.ops.Load()
}

func checkKeeper(t *testing.T, what string, disk vfs.FS, id register.KeeperID, roster uint64, kept map[register.Key]told) {
	t.Helper()
	k, err := OpenKeeper("/d", "n1", Options{FS: disk})
	if err != nil {
		t.Fatalf("%s: %v", what, err)
	}
	defer k.Close()
	if id != "" && (k.ID() != id || k.Lost()) {
		t.Fatalf("%s: %q was %q, lost %v", what, k.ID(), id, k.Lost())
	}
	reply, err := ask(k, register.Request{Kind: register.Read, Roster: 99})
	if err != nil || reply.Roster.Version < roster {
		t.Fatalf("%s: roster %d, told %d, %v", what, reply.Roster.Version, roster, err)
	}
	for key, want := range kept {
		reply, err := ask(k, register.Request{Kind: register.Prepare, Roster: 1, Key: key, Ballot: ballot(0)})
		if err != nil || reply.Refused != register.LowBallot || reply.Promised.N < uint64(want.promised) {
			t.Fatalf("%s: %s promised %+v, told %d, %v", what, key, reply, want.promised, err)
		}
		reply, err = ask(k, register.Request{Kind: register.Read, Roster: 1, Key: key})
		if err != nil || reply.Accepted.N < uint64(want.accepted) || reply.Value.Version != reply.Accepted.N {
			t.Fatalf("%s: %s accepted %+v, told %d, %v", what, key, reply, want.accepted, err)
		}
	}
}

// After a failed write a keeper answers nothing more, not even what needs no disk, until
// it is opened again.
func TestKeeperDiskFails(t *testing.T) {
	for name, kind := range map[string]func(errorfs.Op) bool{
		"sync":  func(op errorfs.Op) bool { return isSync(op.Kind) && strings.HasSuffix(op.Path, ".log") },
		"write": func(op errorfs.Op) bool { return op.Kind == errorfs.OpFileWrite && strings.HasSuffix(op.Path, ".log") },
	} {
		t.Run(name, func(t *testing.T) {
			var armed atomic.Bool
			disk := failing(func(op errorfs.Op) error {
				if armed.Load() && kind(op) {
					return syscall.EIO
				}
				return nil
			})
			k := openKeeper(t, "/d", Options{FS: disk})
			if _, err := ask(k, register.Request{Kind: register.Install, Next: firstRoster}); err != nil {
				t.Fatal(err)
			}
			armed.Store(true)
			if _, err := ask(k, register.Request{Kind: register.Prepare, Roster: 1, Key: "k", Ballot: ballot(5)}); !errors.Is(err, ErrOffline) || !errors.Is(err, syscall.EIO) {
				t.Fatalf("prepare: %v", err)
			}
			armed.Store(false)
			if _, err := ask(k, register.Request{Kind: register.Read, Roster: 1, Key: "k"}); !errors.Is(err, ErrOffline) {
				t.Errorf("read after a failed write: %v", err)
			}
			if !errors.Is(k.Err(), ErrOffline) {
				t.Errorf("err: %v", k.Err())
			}
			id := k.ID()
			k.Close()
			k = openKeeper(t, "/d", Options{FS: disk})
			defer k.Close()
			if k.ID() != id {
				t.Errorf("%q was %q", k.ID(), id)
			}
		})
	}
}

// Calls that wait while one is made durable share the next sync.
func TestKeeperSharesSyncs(t *testing.T) {
	var armed atomic.Bool
	var syncs atomic.Int64
	begun, hold := make(chan struct{}, 1), make(chan struct{})
	disk := failing(func(op errorfs.Op) error {
		if armed.Load() && isSync(op.Kind) && strings.HasSuffix(op.Path, ".log") {
			if syncs.Add(1) == 1 {
				begun <- struct{}{}
			}
			<-hold
		}
		return nil
	})
	k := openKeeper(t, "/d", Options{FS: disk})
	defer k.Close()
	armed.Store(true)
	var all sync.WaitGroup
	call := func(i int) {
		all.Go(func() {
			if _, err := ask(k, register.Request{Kind: register.Prepare, Key: register.Key(fmt.Sprint(i)), Ballot: ballot(1)}); err != nil {
				t.Error(err)
			}
		})
	}
	call(0)
	<-begun
	const waiting = 50
	for i := range waiting {
		call(1 + i)
	}
	for len(k.queue) < waiting {
		runtime.Gosched()
	}
	close(hold)
	all.Wait()
	if n := syncs.Load(); n != 2 {
		t.Errorf("%d syncs", n)
	}
}
