package replicas

import (
	"testing"
	"testing/synctest"

	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/pondmesh/pond/fs"
	"github.com/pondmesh/pond/fs/replica"
)

// TestStatus: what is lacking is told, by whom and on whose account, until it is there
// again; a reading that was asked for finds what is damaged.
func TestStatus(t *testing.T) {
	bubble(t, 4, func(t *testing.T, p *pond) {
		p.follow()
		all := p.putAll(12)
		l := p.laid(4)
		p.placed(l, all)
		none := func() bool {
			_, count, err := p.nodes["a"].lacks(3)
			return err == nil && count == 0
		}
		eventually(t, "nothing is lacking", none)
		p.nodes["b"].stop()
		lacks, count, err := p.nodes["a"].lacks(3)
		if err != nil || len(lacks) != 3 || count < 3 {
			t.Fatalf("%d of %d, %v", len(lacks), count, err)
		}
		for _, one := range lacks {
			if len(one.Lacks) != 1 || one.Lacks[0] != replica.Node("b") || len(one.Has) != 2 {
				t.Errorf("%+v", one)
			}
		}
		b := p.start("b", vfs.NewMem())
		b.Follow(p)
		p.placed(l, all)
		eventually(t, "what was lacking is there", none)
		if s, err := b.Status(); err != nil || s.Repaired == 0 || s.Rounds == 0 || s.Version != l.Current().Number || s.Copies != 3 || s.Members != 4 || s.Braked || len(s.Disks) != 1 {
			t.Errorf("%+v, %v", s, err)
		}
		rotten(p, all)
		found := func() (damaged int64) {
			for _, n := range p.but() {
				n.ScrubNow()
				n.ScrubNow() // is the same
			}
			synctest.Wait()
			for _, n := range p.but() {
				s, err := n.Status()
				if err != nil || s.Pass.Ended.IsZero() || s.Pass.Bytes != s.Pass.Of || s.Pass.Err != "" {
					t.Errorf("%+v, %v", s.Pass, err)
				}
				damaged += s.Pass.Damaged
			}
			return damaged
		}
		if n := found(); n != 1 {
			t.Errorf("%d found damaged", n)
		}
		p.placed(l, all)
		if n := found(); n != 0 {
			t.Errorf("%d damaged again", n)
		}
	})
}

func (n *node) lacks(most int) ([]Lack, int, error) {
	s, err := n.Survey(n.p.t.Context())
	if err != nil {
		return nil, 0, err
	}
	return s.Lacks(most)
}

// rotten damages one copy of an upload.
func rotten(p *pond, all map[fs.UploadID][]byte) {
	for id, b := range all {
		for _, n := range p.but() {
			if n.has(Copy{ID: id}, b) {
				n.rot(id, 0)
				return
			}
		}
	}
}
