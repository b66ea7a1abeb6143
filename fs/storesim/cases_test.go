package storesim

import (
	"errors"
	"fmt"
	"slices"
	"testing"

	"github.com/pondmesh/pond/fs/collect"
	"github.com/pondmesh/pond/fs/layout"
	"github.com/pondmesh/pond/fs/repair"
	"github.com/pondmesh/pond/fs/replica"
)

// TestColdCorruption (fault 10): damage that nobody reads is found by the scrubber, and mended.
func TestColdCorruption(t *testing.T) {
	s := play(t, 1, 4)
	d := s.sets["d0"]
	s.publishes(s.nodes[0], d, create, 3)
	s.settle()
	n, f := s.holder(d)
	s.rot(f)
	s.wait(int64(len(n.disk.files)+1)*scrubEvery*2 + 2*roundEvery)
	s.came("scrubbed", 1)
	if n.disk.aside[f.id] == nil {
		t.Error("the damaged copy was not put aside")
	}
	s.settle()
	if s.truth.moved == 0 {
		t.Error("no copy was made")
	}
}

// TestNewDisk (fault 12): a disk that was replaced is filled again by itself.
func TestNewDisk(t *testing.T) {
	s := play(t, 2, 4)
	d := s.sets["d0"]
	s.publishes(s.nodes[0], d, create, 3)
	s.settle()
	n, _ := s.holder(d)
	had, moved := len(n.disk.files), s.truth.moved
	s.wipe(n, 1000)
	if len(n.disk.files) != 0 {
		t.Fatal("the new disk is not empty")
	}
	s.wait(2000)
	s.settle()
	if got := s.truth.moved - moved; len(n.disk.files) != had || got != had {
		t.Errorf("%d of %d are there again, %d copies were made", len(n.disk.files), had, got)
	}
}

// TestOneCreates (fault 18): of those that create a dataset at once one does, and the others hear it.
func TestOneCreates(t *testing.T) {
	races := 0
	for seed := range uint64(30) {
		s := play(t, seed, 3)
		d := s.sets["d0"]
		var all []*writer
		for _, n := range s.nodes {
			all = append(all, s.write(n.life, d, create, 1, 0))
		}
		s.wait(30_000)
		won := 0
		for _, wr := range all {
			if !wr.over {
				t.Fatalf("seed %d: a writer has not ended", seed)
			}
			if v, _ := d.value.Current(); len(wr.tried) > 0 && wr.tried[len(wr.tried)-1] == v.Manifest {
				won++
			}
		}
		if won != 1 || d.value.Last != 1 || s.fired["published"] != 1 || s.fired[errExists.Error()] != 2 {
			t.Fatalf("seed %d: %d won, %d versions, %v", seed, won, d.value.Last, s.fired)
		}
		races += s.fired["conflict"]
	}
	if races == 0 {
		t.Error("no two met at the register")
	}
}

// TestPublisherDies (fault 19) at every moment of its work: the old version is there or the new one,
// whole, and another can publish after.
func TestPublisherDies(t *testing.T) {
	old, new := 0, 0
	for at := int64(1); at < 900; at += 20 {
		s := play(t, 4, 4)
		d := s.sets["d0"]
		s.publishes(s.nodes[0], d, create, 1)
		wr := s.write(s.nodes[3].life, d, overwrite, 2, 0)
		s.wait(at)
		if wr.over {
			break
		}
		s.kill(s.nodes[3], 3000)
		switch s.wait(10_000); d.value.Last {
		case 1:
			old++
		case 2:
			new++
		}
		s.readsAll(d)
		s.publishes(s.nodes[1], d, overwrite, 1)
		s.settle()
	}
	if old == 0 || new == 0 {
		t.Errorf("killed %d times before the change, %d times after", old, new)
	}
}

// TestMinority (fault 20): the side with most keepers goes on, the other fails at once, and reads
// what it knows.
func TestMinority(t *testing.T) {
	s := play(t, 5, 3)
	d := s.sets["d0"]
	s.publishes(s.nodes[0], d, create, 2)
	s.settle()
	v, _ := d.value.Current()
	alone := s.nodes[2]
	for _, n := range s.nodes[:2] {
		s.sever(link{n.name, alone.name}, 60_000)
		s.sever(link{alone.name, n.name}, 60_000)
	}
	began := s.now
	err := s.does(alone, func(p *proc) error { _, _, err := get(p, &d.register); return err })
	if !errors.Is(err, errMinority) || s.now-began > 5000 {
		t.Errorf("the minority hears %v after %d ms", err, s.now-began)
	}
	if err := s.does(alone, func(p *proc) error { return s.readFiles(p, d, v) }); err != nil {
		t.Errorf("the minority cannot read its own copies: %v", err)
	}
	s.publishes(s.nodes[0], d, overwrite, 2)
	s.came("short", 1) // the third copy cannot be made yet
	s.wait(70_000)
	s.settle()
	s.readsAll(d)
	if d.value.Last != 2 {
		t.Errorf("%d versions", d.value.Last)
	}
}

// TestFlapping (fault 21): links that come and go, in one direction or both, move no data, and a
// node that is away for good is replaced once.
func TestFlapping(t *testing.T) {
	s := play(t, 6, 5)
	d := s.sets["d0"]
	for i := range 4 {
		s.publishes(s.nodes[i], d, appending, 3)
	}
	s.settle()
	s.wait(2 * times.Retention.Milliseconds())
	s.settle()
	moved, layouts := s.truth.moved, s.truth.layouts
	flaky := s.nodes[3] // no keeper
	if len(s.nodes[4].disk.files) > len(flaky.disk.files) {
		flaky = s.nodes[4]
	}
	others := slices.DeleteFunc(s.names(), func(n replica.Node) bool { return n == flaky.name })
	for i := range 25 {
		for _, n := range others {
			s.sever(link{n, flaky.name}, 18_000)
			if i%2 == 0 {
				s.sever(link{flaky.name, n}, 18_000)
			}
		}
		s.wait(45_000)
	}
	s.came("cut off", 100)
	if s.truth.moved != moved || s.truth.layouts != layouts {
		t.Errorf("flapping made %d copies and %d versions of the layout", s.truth.moved-moved, s.truth.layouts-layouts)
	}
	had := len(flaky.disk.files)
	for _, n := range others {
		s.sever(link{n, flaky.name}, 400_000)
	}
	s.wait(200_000)
	if got := s.truth.moved - moved; had == 0 || got == 0 || got > had {
		t.Errorf("a node that had %d uploads is replaced by %d copies", had, got)
	}
	if s.truth.layouts != layouts+1 {
		t.Errorf("%d versions of the layout for one node", s.truth.layouts-layouts)
	}
}

// TestStaleMember (fault 22): what was deleted while a node was away for long stays so.
func TestStaleMember(t *testing.T) {
	s := play(t, 7, 5)
	d := s.sets["d0"]
	s.publishes(s.nodes[0], d, create, 3)
	s.settle()
	_, f := s.holder(d)
	n := s.node(s.layouts.value.Owners(layout.GroupOf(f.id))[0])
	if n == s.nodes[0] {
		n = s.node(s.layouts.value.Owners(layout.GroupOf(f.id))[1])
	}
	s.kill(n, 3*times.Tombstone.Milliseconds())
	back := s.now + 3*times.Tombstone.Milliseconds()
	s.publishes(s.nodes[0], d, overwrite, 1)
	s.wait(back - 1000 - s.now)
	for _, m := range s.nodes {
		if m != n && m.disk.files[f.id] != nil {
			t.Fatalf("%s still has what was deleted", m.name)
		}
	}
	if n.disk.files[f.id] == nil {
		t.Fatal("the node that is away has lost it")
	}
	s.wait(10_000)
	s.came("stale", 1)
	s.settle()
	s.wait(4 * roundEvery)
	if n.disk.files[f.id] != nil || n.life.stale {
		t.Errorf("it has it still: %t, and is stale: %t", n.disk.files[f.id] != nil, n.life.stale)
	}
}

// TestOldLayout (fault 23): who writes by a layout that was superseded writes to nodes that own
// nothing any more, where readers find it, and from where its owners get it.
func TestOldLayout(t *testing.T) {
	s := play(t, 8, 4)
	d := s.sets["d0"]
	old := s.layouts.value
	s.fixed = true
	var names []string
	acks := map[replica.Node]layout.Ack{}
	for range 3 {
		n := s.addNode()
		names, acks[n.name] = append(names, string(n.name)), layout.Ack{Seen: 2, Synced: 2}
	}
	next, err := old.Change(copiesOf, members(names))
	if err != nil {
		t.Fatal(err)
	}
	s.layouts.value = next.Note(acks).Settle()
	s.layouts.version++
	s.wait(2 * roundEvery)
	for i := range 4 {
		s.nodes[i].life.layout = old
		s.publishes(s.nodes[i], d, appending, 2)
	}
	strays := 0
	for _, id := range sorted(d.used) {
		if s.truth.goodAt(s.truth.uploads[id], s.layouts.value.Owners(layout.GroupOf(id))) == 0 {
			strays++
		}
	}
	if strays == 0 {
		t.Fatal("all went where it belongs")
	}
	s.readsAll(d)
	s.settle()
	s.readsAll(d)
}

// TestCollection (fault 24): a writer that sleeps for longer than its lease loses its work, and nothing
// that is in use is deleted beside it, while others publish, read and join.
func TestCollection(t *testing.T) {
	s := play(t, 9, 4)
	d := s.sets["d0"]
	s.publishes(s.nodes[0], d, create, 2)
	slow := s.write(s.nodes[1].life, d, appending, 2, 5*times.Lease.Milliseconds())
	s.wait(5000)
	s.addNode()
	for i := range 8 {
		s.publishes(s.nodes[i%3], d, appending, 1)
		s.wait(15_000)
		s.readsAll(d)
	}
	if s.came("condemned", 1); slow.over {
		t.Fatal("the slow writer was not slow")
	}
	s.wait(5 * times.Lease.Milliseconds())
	s.came(collect.ErrCondemned.Error(), 1)
	s.came("buries", 1)
	s.settle()
	for _, r := range slow.refs {
		if s.truth.good(r.id) != 0 {
			t.Error("what it wrote is still there")
		}
	}
	s.readsAll(d)
}

// TestMassFailure (fault 25): when most nodes vanish, nothing moves until they are back.
func TestMassFailure(t *testing.T) {
	s := play(t, 10, 6)
	d := s.sets["d0"]
	for i := range 3 {
		s.publishes(s.nodes[i], d, appending, 3)
	}
	s.settle()
	moved, layouts, drops, buries := s.truth.moved, s.truth.layouts, s.fired["drops"], s.fired["buries"]
	for _, n := range s.nodes[3:] {
		s.kill(n, 4*waits.Gone.Milliseconds())
	}
	s.wait(4*waits.Gone.Milliseconds() - 1000)
	s.came("brake", 1)
	if s.truth.moved != moved || s.truth.layouts != layouts || s.fired["drops"] != drops {
		t.Errorf("%d copies, %d versions, %d drops while half of the nodes were away", s.truth.moved-moved, s.truth.layouts-layouts, s.fired["drops"]-drops)
	}
	s.wait(5000)
	s.settle()
	if s.truth.moved != moved {
		t.Errorf("%d copies after all were back (%d were buried)", s.truth.moved-moved, s.fired["buries"]-buries)
	}
	s.readsAll(d)
}

// TestLayoutChangePartitionReader: a node joins while a former owner is cut off, and
// all go on reading.
func TestLayoutChangePartitionReader(t *testing.T) {
	for seed := range uint64(10) {
		s := play(t, 100+seed, 4)
		d := s.sets["d0"]
		s.publishes(s.nodes[0], d, create, 4)
		s.settle()
		v, _ := d.value.Current()
		cut := s.nodes[3]
		for _, n := range s.nodes[:3] {
			s.sever(link{n.name, cut.name}, 30_000)
			s.sever(link{cut.name, n.name}, 30_000)
		}
		s.addNode()
		right, unavailable := 0, 0
		for range 30 {
			for _, n := range s.nodes {
				switch err := s.does(n, func(p *proc) error { return s.readFiles(p, d, v) }); {
				case err == nil:
					right++
				case errors.Is(err, replica.ErrUnavailable):
					unavailable++
				default:
					t.Fatalf("seed %d, %s: %v", seed, n.name, err)
				}
			}
		}
		s.settle()
		s.came("cut off", 10)
		if right == 0 || s.truth.layouts < 2 || cut.life.layout.Current().Number < 2 {
			t.Fatalf("seed %d: %d reads, %d not available, %d versions", seed, right, unavailable, s.truth.layouts)
		}
	}
}

// TestSyncFails (fault 6): after an error of a disk nothing that it says is believed until it was
// read anew; reads that fail for a while make no copies.
func TestSyncFails(t *testing.T) {
	s := play(t, 11, 5)
	d := s.sets["d0"]
	s.publishes(s.nodes[0], d, create, 2)
	s.settle()
	bad := s.nodes[4]
	bad.disk.failSync = true
	for i := 0; s.fired["sync failed"] == 0; i++ {
		if i == 20 {
			t.Fatal("nothing was written there")
		}
		s.publishes(s.nodes[i%4], d, appending, 2)
	}
	if !bad.life.offline {
		t.Error("the disk is still believed")
	}
	s.wait(30_000)
	s.settle()
	s.wait(2 * times.Retention.Milliseconds())
	s.settle()
	moved := s.truth.moved
	for _, n := range s.nodes[:4] {
		n.disk.eio = true
	}
	if err := s.does(bad, func(p *proc) error { return s.reads(p, d, true) }); err != nil && !errors.Is(err, replica.ErrUnavailable) {
		t.Errorf("while disks cannot be read: %v", err)
	}
	s.came("eio", 1)
	for _, n := range s.nodes {
		n.disk.eio = false
	}
	s.wait(20_000)
	s.readsAll(d)
	if s.settle(); s.truth.moved != moved {
		t.Errorf("%d needless copies", s.truth.moved-moved)
	}
}

// TestSourceDies after it was chosen, and asked: the copy comes from another.
func TestSourceDies(t *testing.T) {
	s := play(t, 12, 4)
	d := s.sets["d0"]
	s.publishes(s.nodes[0], d, create, 2)
	s.settle()
	n, _ := s.holder(d)
	var victim *node
	s.wipe(n, 1000)
	s.onRead = func(l *life, _ repair.ID) {
		if victim == nil && l.n != n {
			victim = l.n
			s.at(0, func() { s.kill(victim, 30_000) })
		}
	}
	s.wait(15_000)
	s.onRead = nil
	if victim == nil || victim.life != nil {
		t.Fatalf("no source died: %v", victim)
	}
	for _, f := range s.nodes[0].disk.all() {
		if slices.Contains(s.layouts.value.Owners(layout.GroupOf(f.id)), n.name) && n.disk.files[f.id] == nil {
			t.Errorf("%s has no copy of %s again", n.name, short(f.id))
		}
	}
	s.wait(20_000)
	s.settle()
}

// TestReplays: a seed is one run, line by line.
func TestReplays(t *testing.T) {
	for seed := uint64(1); seed <= 5; seed++ {
		var traces [2][]string
		for i := range traces {
			w := drawn(seed, noBug)
			w.trace = func(format string, args ...any) { traces[i] = append(traces[i], fmt.Sprintf(format, args...)) }
			if err := w.run(); err != nil {
				t.Fatal(err)
			}
		}
		if len(traces[0]) == 0 || fmt.Sprint(traces[0]) != fmt.Sprint(traces[1]) {
			t.Errorf("seed %d has two runs, of %d and %d lines", seed, len(traces[0]), len(traces[1]))
		}
	}
}
