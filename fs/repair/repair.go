// Package repair decides what a node does about the uploads of a group: which to copy
// from others, which to delete, which to ask about.
//
//	what each node says of the group ─▶ Decide ─▶ Copy, Drop, Bury, Check
//
// The nodes of a group compare what they hold. What one has and an owner lacks is
// copied, for absence is not deletion: a node that lacks an upload may have lost its
// disk. Deletion is a fact of its own, a tombstone, which travels as uploads do and wins
// over them. A node that was away for longer than tombstones are kept cannot know what
// was deleted meanwhile: nothing is copied from it before each of its uploads is checked
// against the manifests.
//
// It is pure, and remembers nothing: called again with what is true by then, it decides
// again. It refuses to trust a view of who is alive: who did not answer is taken for one
// that holds everything, for dropping, and nothing, for copying.
package repair

import (
	"bytes"
	"maps"
	"slices"

	"github.com/pondmesh/pond/fs/layout"
	"github.com/pondmesh/pond/fs/replica"
)

// ID is an upload's.
type ID [16]byte

// Inventory is what a node says of its uploads of one group.
type Inventory struct {
	Held   map[ID]bool // whole, as far as it knows
	Buried map[ID]bool // condemned: deleted, or to be
	// Stale: the node has been away for longer than tombstones are kept. What it holds
	// may have been deleted.
	Stale bool
}

// Kind is what is to be done.
type Kind int

// What may have to be done.
const (
	Copy  Kind = iota // fetch the upload from From, and hold it
	Drop              // delete this node's copy: the owners have theirs, which is verified first
	Bury              // keep the tombstone, and delete this node's copy if there is one
	Check             // ask whether a manifest refers to the upload: if none does, it is to be buried
)

func (k Kind) String() string { return [...]string{"copy", "drop", "bury", "check"}[k] }

// Action is one thing that a node is to do.
type Action struct {
	Kind Kind
	ID   ID
	From replica.Node // of a Copy
}

// Decide is what self is to do about a group, by the layout and what nodes say: said has
// self, and those of the group's places that answered. braked: so many nodes are gone
// that something else is wrong than their disks; nothing is copied and nothing dropped.
//
// synced: self has all that the layout gives it of the group.
func Decide(self replica.Node, l *layout.Layout, g layout.Group, said map[replica.Node]Inventory, braked bool) (do []Action, synced bool) {
	places, owners, mine := l.Places(g), l.Owners(g), said[self]
	buried := map[ID]bool{}
	for _, s := range said {
		maps.Copy(buried, s.Buried)
	}
	for _, id := range sorted(buried) {
		if mine.Held[id] || !mine.Buried[id] {
			do = append(do, Action{Kind: Bury, ID: id})
		}
	}
	answered := true
	for _, n := range places {
		s, ok := said[n]
		answered = answered && ok && !s.Stale
	}
	if !slices.Contains(owners, self) {
		if l.MayDrop(self, g) && !braked {
			do = append(do, drops(owners, mine, buried, said)...)
		}
		return append(do, checks(self, mine, buried, said)...), true
	}
	var copies []Action
	for _, n := range places {
		if s, ok := said[n]; n != self && ok && !s.Stale {
			for _, id := range sorted(s.Held) {
				if !mine.Held[id] && !buried[id] && !slices.ContainsFunc(copies, func(a Action) bool { return a.ID == id }) {
					copies = append(copies, Action{Copy, id, n})
				}
			}
		}
	}
	synced = answered && len(copies) == 0 && !mine.Stale
	if !braked {
		do = append(do, copies...)
	}
	return append(do, checks(self, mine, buried, said)...), synced
}

// drops are the uploads that a node has no business with, and every owner has.
func drops(owners []replica.Node, mine Inventory, buried map[ID]bool, said map[replica.Node]Inventory) (do []Action) {
	for _, id := range sorted(mine.Held) {
		lacks := func(n replica.Node) bool { s, ok := said[n]; return !ok || s.Stale || !s.Held[id] }
		if !buried[id] && len(owners) > 0 && !slices.ContainsFunc(owners, lacks) {
			do = append(do, Action{Kind: Drop, ID: id})
		}
	}
	return do
}

// checks are the uploads of a node that has been away, which nobody else vouches for.
func checks(self replica.Node, mine Inventory, buried map[ID]bool, said map[replica.Node]Inventory) (do []Action) {
	if !mine.Stale {
		return nil
	}
	for _, id := range sorted(mine.Held) {
		vouched := false
		for n, s := range said {
			vouched = vouched || n != self && !s.Stale && s.Held[id]
		}
		if !vouched && !buried[id] {
			do = append(do, Action{Kind: Check, ID: id})
		}
	}
	return do
}

func sorted(m map[ID]bool) []ID {
	return slices.SortedFunc(maps.Keys(m), func(a, b ID) int { return bytes.Compare(a[:], b[:]) })
}
