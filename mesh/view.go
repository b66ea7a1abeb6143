package mesh

import (
	"cmp"
	"encoding/binary"
	"slices"

	"github.com/zeebo/xxh3"
)

// View lists the live nodes, as one node saw them. It is immutable and may be shared.
type View struct {
	// Epoch counts this node's views from 1. Epochs of two nodes, or of two
	// boots of one, have nothing to do with one another.
	Epoch uint64
	// Digest is equal for equal Members on any node: for diagnosis.
	Digest uint64
	// Members is sorted by ID, with one boot a node. It must not be changed.
	Members []Member

	superseded chan struct{}
}

// Superseded is closed when a newer view is there; Mesh.View returns that one
// or a yet newer one. After the mesh is closed it stays as it is.
func (v *View) Superseded() <-chan struct{} { return v.superseded }

// Find returns the member of that id.
func (v *View) Find(id NodeID) (Member, bool) {
	i, ok := slices.BinarySearchFunc(v.Members, id, func(m Member, id NodeID) int { return cmp.Compare(m.ID, id) })
	if !ok {
		return Member{}, false
	}
	return v.Members[i], true
}

// newView makes the view after prev, which may be nil, or returns prev itself
// if nothing changed. It takes members over; they need not be sorted and may
// hold several boots of a node.
func newView(prev *View, members []Member) *View {
	members = newest(members)
	epoch := uint64(1)
	if prev != nil {
		if slices.Equal(prev.Members, members) {
			return prev
		}
		epoch = prev.Epoch + 1
	}
	return &View{Epoch: epoch, Digest: digest(members), Members: members, superseded: make(chan struct{})}
}

// newest sorts members by id and keeps the newest boot of each.
func newest(members []Member) []Member {
	slices.SortFunc(members, func(a, b Member) int {
		return cmp.Or(cmp.Compare(a.ID, b.ID), cmp.Compare(b.Boot, a.Boot))
	})
	return slices.CompactFunc(members, func(a, b Member) bool { return a.ID == b.ID })
}

func digest(members []Member) uint64 {
	var b []byte
	text := func(s string) {
		b = binary.AppendUvarint(b, uint64(len(s)))
		b = append(b, s...)
	}
	for _, m := range members {
		text(string(m.ID))
		text(string(m.Boot))
		text(m.Host)
		text(m.Zone)
		text(m.Version)
		text(string(m.Offers))
		for _, n := range []int64{int64(m.Gossip), int64(m.Actors), int64(m.API), int64(m.Slots), m.Memory, int64(m.State)} {
			b = binary.AppendVarint(b, n)
		}
	}
	return xxh3.Hash(b)
}
