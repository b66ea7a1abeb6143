package replicas

import (
	"testing"
	"testing/synctest"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/pondmesh/pond/fs"
)

// figures are those of all nodes, summed up.
func (p *pond) figures() (sum Figures) {
	for _, n := range p.but() {
		f := n.Figures()
		sum.Held, sum.HeldBytes, sum.Short = sum.Held+f.Held, sum.HeldBytes+f.HeldBytes, sum.Short+f.Short
		sum.Repaired, sum.RepairedBytes, sum.Dropped = sum.Repaired+f.Repaired, sum.RepairedBytes+f.RepairedBytes, sum.Dropped+f.Dropped
		sum.Collected, sum.CollectedBytes = sum.Collected+f.Collected, sum.CollectedBytes+f.CollectedBytes
		sum.Quarantined, sum.ScrubbedBytes = sum.Quarantined+f.Quarantined, sum.ScrubbedBytes+f.ScrubbedBytes
	}
	return sum
}

// TestFigures: what is held, lacking, mended, damaged, read and deleted is told.
func TestFigures(t *testing.T) {
	bubble(t, 4, func(t *testing.T, p *pond) {
		if f := p.figures(); f != (Figures{}) {
			t.Fatalf("at the start %+v", f)
		}
		p.follow()
		all := p.putAll(12)
		bytes := int64(0)
		for _, b := range all {
			bytes += int64(len(b))
		}
		l := p.laid(4)
		p.placed(l, all)
		eventually(t, "three copies of all, and nothing lacking", func() bool {
			f := p.figures()
			return f.Held == 36 && f.HeldBytes == 3*bytes && f.Short == 0
		})
		moved := p.figures() // to the owners, by the first layout
		p.nodes["b"].stop()
		eventually(t, "an owner that is away is told of", func() bool { return p.figures().Short > 0 })
		b := p.start("b", vfs.NewMem())
		b.Follow(p)
		p.placed(l, all)
		time.Sleep(heldFor)
		f := b.Figures()
		if f.Repaired == 0 || f.Repaired != f.Held || f.RepairedBytes != f.HeldBytes {
			t.Errorf("after its disk was replaced the node tells %+v", f)
		}
		eventually(t, "nothing is lacking", func() bool { return p.figures().Short == 0 })
		damaged(t, p, all)
		p.placed(l, all)
		if now := p.figures(); now.Held != 36 || now.Quarantined != 1 || now.ScrubbedBytes == 0 || now.Repaired < moved.Repaired {
			t.Errorf("after the damage %+v", now)
		}
		for id := range all {
			if err := b.Delete(id); err != nil {
				t.Fatal(err)
			}
		}
		eventually(t, "all is collected", func() bool {
			f := p.figures()
			return f.Held == 0 && f.HeldBytes == 0 && f.Collected == 36 && f.CollectedBytes == 3*bytes && f.Short == 0
		})
	})
}

// damaged damages one copy of an upload, and has its node read all that it holds.
func damaged(t *testing.T, p *pond, all map[fs.UploadID][]byte) {
	t.Helper()
	for id, b := range all {
		for _, n := range p.but() {
			if !n.has(Copy{ID: id}, b) {
				continue
			}
			n.rot(id, 0)
			synctest.Wait()
			if err := n.scrub(t.Context()); err != nil {
				t.Fatal(err)
			}
			return
		}
	}
}
