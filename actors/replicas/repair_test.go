package replicas

import (
	"context"
	"errors"
	"slices"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/cockroachdb/pebble/v2/vfs/errorfs"

	"github.com/pondmesh/pond/fs"
	"github.com/pondmesh/pond/fs/layout"
	"github.com/pondmesh/pond/fs/replica"
	"github.com/pondmesh/pond/mesh"
)

// TestLayoutIsFounded: where nothing is stored there is no layout; with the first upload
// there is one of all nodes, and uploads come to their owners, and stay nowhere else.
func TestLayoutIsFounded(t *testing.T) {
	bubble(t, 4, func(t *testing.T, p *pond) {
		p.follow()
		time.Sleep(time.Hour)
		if p.version != 0 {
			t.Fatalf("a layout in an empty pond: %s", p.data)
		}
		all := p.putAll(12)
		p.placed(p.laid(4), all)
	})
}

// TestDiskReplaced (fault 12): a node whose disk was lost gets its copies again, with
// nobody's help.
func TestDiskReplaced(t *testing.T) {
	bubble(t, 4, func(t *testing.T, p *pond) {
		p.follow()
		all := p.putAll(12)
		l := p.laid(4)
		p.placed(l, all)
		p.nodes["b"].stop()
		p.start("b", vfs.NewMem()).Follow(p)
		if _, count := p.nodes["b"].store.Usage(); count != 0 {
			t.Fatal("the fault did not happen")
		}
		p.placed(l, all)
	})
}

// TestIndexDamaged (fault 8): a store whose index was changed does not open, and serves
// nothing; with an empty disk in its place the node gets its copies again.
func TestIndexDamaged(t *testing.T) {
	bubble(t, 4, func(t *testing.T, p *pond) {
		p.follow()
		all := p.putAll(12)
		l := p.laid(4)
		p.placed(l, all)
		n := p.nodes["b"]
		n.stop()
		if err := n.disk.Remove("/d/COMMITS"); err != nil {
			t.Fatal(err)
		}
		if names, err := n.disk.List("/d/index"); err == nil {
			for _, name := range names {
				if err := n.disk.Remove("/d/index/" + name); err != nil {
					t.Fatal(err)
				}
			}
		}
		if _, err := fs.Open(t.Context(), "/d", fs.Options{FS: n.disk}); !errors.Is(err, fs.ErrCorrupt) {
			t.Fatalf("it opens: %v", err)
		}
		p.start("b", vfs.NewMem()).Follow(p)
		p.placed(l, all)
	})
}

// TestBitFlipIsMended (fault 7): a copy that a reader found damaged is replaced by a good one, and what was
// kept aside goes.
func TestBitFlipIsMended(t *testing.T) {
	bubble(t, 4, func(t *testing.T, p *pond) {
		p.follow()
		all := p.putAll(4)
		l := p.laid(4)
		p.placed(l, all)
		for id, b := range all {
			var bad *node
			for _, n := range p.but() {
				if n.has(Copy{ID: id}, b) {
					bad = n
				}
			}
			bad.rot(id, 0)
			if bad.has(Copy{ID: id}, b) {
				t.Fatal("the fault did not happen")
			}
			bad.wantRead(Copy{ID: id}, b)
		}
		p.placed(l, all)
		for _, n := range p.but() {
			if ids, err := n.store.Quarantined(); err != nil || len(ids) != 0 {
				t.Errorf("node %s keeps %v aside, %v", n.id, ids, err)
			}
		}
	})
}

// TestScrub (fault 10): damage that nobody reads is found within the period, and mended.
func TestScrub(t *testing.T) {
	bubble(t, 3, func(t *testing.T, p *pond) {
		all := p.putAll(4)
		for id, b := range all {
			p.nodes["c"].rot(id, 0)
			if p.nodes["c"].has(Copy{ID: id}, b) {
				t.Fatal("the fault did not happen")
			}
		}
		p.nodes["c"].spawn(p.nodes["c"].scrubs)
		time.Sleep(shortScrub)
		if ids, err := p.nodes["c"].store.Quarantined(); err != nil || len(ids) != len(all) {
			t.Errorf("%d of %d were found, %v", len(ids), len(all), err)
		}
		p.follow()
		p.placed(p.laid(3), all)
	})
}

// TestEIO: a copy whose disk answers with errors for a while is believed again; one whose
// disk goes on so is replaced.
func TestEIO(t *testing.T) {
	for _, tries := range []int64{1, eioTries} {
		bubble(t, 3, func(t *testing.T, p *pond) {
			var left, fired atomic.Int64
			p.start("d", errorfs.Wrap(vfs.NewMem(), errorfs.InjectorFunc(func(op errorfs.Op) error {
				if op.Kind == errorfs.OpFileReadAt && len(op.Path) > 30 && left.Load() > 0 {
					left.Add(-1)
					fired.Add(1)
					return syscall.EIO
				}
				return nil
			})))
			p.follow()
			all := p.putAll(8)
			l := p.laid(4)
			p.placed(l, all)
			d := p.nodes["d"]
			for id, b := range all {
				if !d.has(Copy{ID: id}, b) {
					continue
				}
				left.Store(tries)
				state, err := d.verify(t.Context(), id)
				if err != nil || fired.Load() == 0 || state.Held != (tries < eioTries) {
					t.Fatalf("%+v, %v, after %d errors", state, err, fired.Load())
				}
				break
			}
			p.placed(l, all)
		})
	}
}

// TestSyncFailsIsMended (fault 6): a node whose fsync failed, the one that looks after the
// layout, tells nothing more: after a while it is no member, and others have its copies.
// Started again, it reads its disk anew, and has its share.
func TestSyncFailsIsMended(t *testing.T) {
	bubble(t, 4, func(t *testing.T, p *pond) {
		var armed atomic.Bool
		var fired atomic.Int64
		disk := errorfs.Wrap(vfs.NewMem(), errorfs.InjectorFunc(func(op errorfs.Op) error {
			if armed.Load() && (op.Kind == errorfs.OpFileSync || op.Kind == errorfs.OpFileSyncData) {
				fired.Add(1)
				return syscall.EIO
			}
			return nil
		}))
		p.start("0", disk)
		p.follow()
		all := p.putAll(12)
		p.placed(p.laid(5), all)
		if _, count := p.nodes["0"].store.Usage(); count < 2 {
			t.Fatal("the node has no copies")
		}
		armed.Store(true)
		if _, err := p.nodes["0"].Put(t.Context(), three, p.nodes["0"].file(content(1, 1000))); !errors.Is(err, fs.ErrOffline) || fired.Load() == 0 {
			t.Fatalf("the fault did not happen: %v", err)
		}
		synctest.Wait() // its index is being closed
		before := fired.Load()
		p.placed(p.laid(4), all)
		if fired.Load() != before {
			t.Errorf("%d fsyncs were tried again", fired.Load()-before)
		}
		p.nodes["0"].stop()
		armed.Store(false)
		p.start("0", disk).Follow(p)
		p.placed(p.laid(5), all)
	})
}

// TestDiskFails (faults 6 and 12): one of a node's disks fails. What it held is
// unavailable, and not lost; the node has its share again, on the disk that is left, and
// the layout stays; another disk in its place is used.
func TestDiskFails(t *testing.T) {
	bubble(t, 3, func(t *testing.T, p *pond) {
		var armed atomic.Bool
		var fired atomic.Int64
		disk := errorfs.Wrap(vfs.NewMem(), errorfs.InjectorFunc(func(op errorfs.Op) error {
			if armed.Load() && strings.HasPrefix(op.Path, "/e/") && (op.Kind == errorfs.OpFileSync || op.Kind == errorfs.OpFileSyncData) {
				fired.Add(1)
				return syscall.EIO
			}
			return nil
		}))
		p.more = map[mesh.NodeID][]string{"d": {"/e"}}
		d := p.start("d", disk)
		p.follow()
		all := p.putAll(16)
		l := p.laid(4)
		p.placed(l, all)
		before := p.version
		var alone []Copy // uploads that are nowhere else
		for i := range 10 {
			c := d.mustPut(replica.Class{Want: 1, Min: 1}, content(uint64(i), 100))
			if _, err := disk.Stat("/e/uploads/data/" + c.ID.String()); err == nil {
				alone = append(alone, c)
			}
		}
		armed.Store(true)
		for i := 0; fired.Load() == 0; i++ {
			_, err := d.Put(t.Context(), replica.Class{Want: 1, Min: 1}, d.file(content(uint64(i), 100)))
			if err != nil && !errors.Is(err, fs.ErrOffline) || i == 100 {
				t.Fatalf("the fault did not happen: %v", err)
			}
		}
		if s := d.store.States(); s[1].Err == nil || s[0].Err != nil {
			t.Fatalf("%+v", s)
		}
		for _, c := range alone {
			if _, err := p.nodes["a"].read(c, 0, -1); !errors.Is(err, replica.ErrUnavailable) || errors.Is(err, replica.ErrLost) {
				t.Errorf("an upload on that disk alone: %v", err)
			}
		}
		if len(alone) == 0 {
			t.Error("no upload was on that disk alone")
		}
		p.placed(l, all)
		for id, b := range all {
			p.nodes["a"].wantRead(Copy{ID: id, Holders: []mesh.NodeID{"d"}}, b)
		}
		if p.version != before {
			t.Error("the layout has changed")
		}
		armed.Store(false)
		if err := disk.RemoveAll("/e/uploads"); err != nil {
			t.Fatal(err)
		}
		eventually(t, "another disk is in use", func() bool { s := d.store.States()[1]; return s.Err == nil && s.Count < 2 })
		p.placed(l, all)
	})
}

// TestMemberDies: what a dead node held is with others once its time is over, and not
// before; when it is back, it has its share again, and no copy is too many.
func TestMemberDies(t *testing.T) {
	bubble(t, 5, func(t *testing.T, p *pond) {
		p.follow()
		all := p.putAll(12)
		l := p.laid(5)
		p.placed(l, all)
		b := p.nodes["b"]
		b.stop()
		p.forget("b")
		time.Sleep(4 * time.Minute)
		if now := p.nodes["a"].Layout(); len(now.Versions) != 1 || len(now.Current().Members) != 5 {
			t.Error("others were given what it holds before its time was over")
		}
		p.placed(p.laid(4), all)
		p.start("b", b.disk).Follow(p)
		p.placed(p.laid(5), all)
	})
}

// TestReplacedOneByOne: two of four nodes die, each after the other, and are replaced at once,
// sooner than a dead one is given up: the second dies while the change for the first is
// carried out, which waits for both. What they had is made anew.
func TestReplacedOneByOne(t *testing.T) {
	bubble(t, 4, func(t *testing.T, p *pond) {
		p.follow()
		all := p.putAll(12)
		p.placed(p.laid(4), all)
		for i, id := range []mesh.NodeID{"b", "c"} {
			p.nodes[id].stop()
			p.forget(id)
			p.start(mesh.NodeID(rune('x'+i)), vfs.NewMem()).Follow(p)
			time.Sleep(2 * time.Minute)
		}
		if l := p.nodes["a"].Layout(); len(l.Versions) < 2 {
			t.Fatalf("the fault did not happen: %d versions", len(l.Versions))
		}
		p.placed(p.laid(4), all)
	})
}

// sized is a disk that says how large it is.
type sized struct {
	vfs.FS
	bytes *atomic.Uint64
}

func (s sized) GetDiskUsage(string) (vfs.DiskUsage, error) {
	return vfs.DiskUsage{AvailBytes: s.bytes.Load(), TotalBytes: s.bytes.Load()}, nil
}

// TestWeights: nodes are given uploads by the size of their disks, as each tells it; when a
// disk is larger, its node is given more, and what moves arrives.
func TestWeights(t *testing.T) {
	bubble(t, 4, func(t *testing.T, p *pond) {
		small, large := new(atomic.Uint64), new(atomic.Uint64)
		small.Store(64 << 30)
		large.Store(256 << 30)
		p.start("e", sized{vfs.NewCrashableMem(), small})
		p.start("f", sized{vfs.NewCrashableMem(), large})
		p.follow()
		all := p.putAll(12)
		weights := func(l layout.Layout) (out []float64) {
			for _, m := range l.Current().Members {
				out = append(out, m.Weight)
			}
			return out
		}
		l := p.laid(6)
		if got := weights(l); !slices.Equal(got, []float64{1, 1, 1, 1, 4, 16}) { // the first do not know how large theirs are
			t.Errorf("weights: %v", got)
		}
		p.placed(l, all)
		small.Store(66 << 30) // is the same
		large.Store(512 << 30)
		eventually(t, "a layout by the new size", func() bool {
			l = p.laid(6)
			return l.Current().Members[5].Weight == 32
		})
		if got := weights(l); !slices.Equal(got, []float64{1, 1, 1, 1, 4, 32}) || l.Current().Number != 2 {
			t.Errorf("version %d, weights: %v", l.Current().Number, got)
		}
		p.placed(l, all)
	})
}

// TestMassFailure (fault 25): when more than a third of the nodes are gone, nothing is
// moved and nothing dropped; when they are back, all is as it was.
func TestMassFailure(t *testing.T) {
	bubble(t, 5, func(t *testing.T, p *pond) {
		p.follow()
		all := p.putAll(12)
		l := p.laid(5)
		p.placed(l, all)
		gone := []*node{p.nodes["b"], p.nodes["c"]}
		for _, n := range gone {
			n.stop()
			p.forget(n.id)
		}
		before := p.version
		time.Sleep(time.Hour)
		if p.version != before {
			t.Errorf("the layout has changed: %s", p.data)
		}
		for id, b := range all {
			for _, n := range p.but() {
				owner := false
				for _, o := range l.Owners(layout.GroupOf(id)) {
					owner = owner || mesh.NodeID(o) == n.id
				}
				if n.has(Copy{ID: id}, b) != owner {
					t.Errorf("node %s: upload %s was moved", n.id, id)
				}
			}
		}
		for _, n := range gone {
			p.start(n.id, n.disk).Follow(p)
		}
		p.placed(p.laid(5), all)
	})
}

// leave has a node say that it leaves.
func (p *pond) leave(id mesh.NodeID) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.leaving[id] = true
	p.look()
}

// TestDeletedStaysDeleted (fault 22): an upload that was deleted goes from every node,
// also from one that comes back after longer than tombstones are kept: nobody believes
// that one before its copies were judged.
func TestDeletedStaysDeleted(t *testing.T) {
	for _, away := range []time.Duration{10 * time.Minute, 80 * time.Minute} {
		bubble(t, 4, func(t *testing.T, p *pond) {
			p.follow()
			all := p.putAll(8)
			l := p.laid(4)
			p.placed(l, all)
			var dead fs.UploadID
			for id, b := range all {
				if p.nodes["b"].has(Copy{ID: id}, b) {
					dead = id
				}
			}
			judged := 0
			p.judge = func(_ context.Context, n *node, ids []fs.UploadID) error {
				judged++
				for _, id := range ids {
					if id == dead {
						if err := n.Delete(id); err != nil {
							return err
						}
					}
				}
				return nil
			}
			b := p.nodes["b"]
			bytes := all[dead]
			b.stop()
			if err := p.nodes["a"].Delete(dead); err != nil {
				t.Fatal(err)
			}
			delete(all, dead)
			time.Sleep(away)
			p.start("b", b.disk).Follow(p)
			if !p.nodes["b"].has(Copy{ID: dead}, bytes) {
				t.Fatal("the fault did not happen")
			}
			p.placed(p.laid(4), all)
			eventually(t, "the deleted upload is gone everywhere", func() bool {
				for _, n := range p.but() {
					if n.has(Copy{ID: dead}, bytes) {
						return false
					}
				}
				return true
			})
			time.Sleep(80 * time.Minute)
			for _, n := range p.but() {
				if n.has(Copy{ID: dead}, bytes) {
					t.Errorf("node %s has it again", n.id)
				}
			}
			if (judged > 0) != (away > shortTimes.Away) {
				t.Errorf("away for %v, and judged %d times", away, judged)
			}
		})
	}
}

// TestRegistersAway (fault 20): who cannot reach the registers changes nothing, reads and
// stores all the same, and goes on when they are back.
func TestRegistersAway(t *testing.T) {
	bubble(t, 4, func(t *testing.T, p *pond) {
		p.follow()
		all := p.putAll(4)
		l := p.laid(4)
		p.placed(l, all)
		p.mu.Lock()
		p.cut = true
		p.mu.Unlock()
		for id, b := range p.putAll(8) {
			all[id] = b
			for _, n := range p.but() {
				n.wantRead(Copy{ID: id}, b)
			}
		}
		time.Sleep(time.Hour)
		p.mu.Lock()
		p.cut = false
		p.mu.Unlock()
		p.placed(p.laid(4), all)
	})
}
