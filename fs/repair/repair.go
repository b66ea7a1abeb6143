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
	"encoding/hex"
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/pondmesh/pond/fs/layout"
	"github.com/pondmesh/pond/fs/replica"
)

// ID is an upload's. Its text is 32 hex digits.
type ID [16]byte

func (id ID) String() string { return hex.EncodeToString(id[:]) }

// MarshalText implements encoding.TextMarshaler.
func (id ID) MarshalText() ([]byte, error) { return hex.AppendEncode(nil, id[:]), nil }

// UnmarshalText implements encoding.TextUnmarshaler.
func (id *ID) UnmarshalText(text []byte) error {
	if len(text) != hex.EncodedLen(len(id)) {
		return fmt.Errorf("upload id %.40q", text)
	}
	if _, err := hex.Decode(id[:], text); err != nil {
		return fmt.Errorf("upload id %.40q: %w", text, err)
	}
	return nil
}

// Inventory is what a node says of its uploads of one group.
type Inventory struct {
	Held   map[ID]bool      // whole, as far as it knows
	Buried map[ID]time.Time // deleted, or to be: when each was condemned; too old ones are left out
	// Stale: the node has been away for longer than tombstones are kept. What it holds
	// may have been deleted.
	Stale bool
}

// Kind is what is to be done.
type Kind int

// What may have to be done.
const (
	// Copy: fetch the upload from any of From, verify it, and hold it.
	Copy Kind = iota
	// Drop: delete this node's copy. Before, each of the group's owners reads its own
	// copy and finds it right, and then MayDrop is asked again: a version that this
	// node has Seen meanwhile counts.
	Drop
	// Bury: keep the tombstone durably, and then delete this node's copy if there is one.
	Bury
	// Check: ask whether a manifest refers to the upload. If none does, it is to be buried.
	Check
)

func (k Kind) String() string { return [...]string{"copy", "drop", "bury", "check"}[k] }

// Action is one thing that a node is to do.
type Action struct {
	Kind Kind
	ID   ID
	From []replica.Node // of a Copy: who has it, in the order to ask
	At   time.Time      // of a Bury: when it was condemned
}

// Decide is what self is to do about a group, by the layout and what nodes say: said has
// self, those of the group's places that answered, and those that hold uploads of the
// group without being a place of it, which tell its owners so. braked: so many nodes are
// gone that something else is wrong than their disks; nothing is copied and nothing
// dropped.
//
// synced: self has all that the layout gives it of the group. A place that is no member
// any more is not waited for: if it comes back, it tells what it has.
func Decide(self replica.Node, l *layout.Layout, g layout.Group, said map[replica.Node]Inventory, braked bool) (do []Action, synced bool) {
	places, owners, mine := l.Places(g), l.Owners(g), said[self]
	buried := burials(said)
	for _, id := range sorted(buried) {
		if _, known := mine.Buried[id]; mine.Held[id] || !known {
			do = append(do, Action{Kind: Bury, ID: id, At: buried[id]})
		}
	}
	if !slices.Contains(owners, self) {
		if l.MayDrop(self, g) && !braked {
			do = append(do, drops(owners, mine, buried, said)...)
		}
		return append(do, checks(self, mine, buried, said)...), true
	}
	copies := lacking(places, mine, buried, said)
	synced = len(copies) == 0 && !mine.Stale
	for _, n := range places {
		s, ok := said[n]
		synced = synced && (ok && !s.Stale || !l.Current().Has(n))
	}
	if !braked {
		do = append(do, copies...)
	}
	return append(do, checks(self, mine, buried, said)...), synced
}

// Short reports whether an owner of a group lacks an upload that another node has; who did
// not answer lacks all. It is so for one node alone, the first of the group that answers:
// what the nodes say can be summed up.
func Short(self replica.Node, l *layout.Layout, g layout.Group, said map[replica.Node]Inventory) bool {
	for _, n := range order(l.Places(g), said) {
		if _, ok := said[n]; ok && n == self {
			break
		} else if ok {
			return false
		}
	}
	return len(Lacks(l, g, said)) > 0
}

// Lacks are the uploads of a group that some node has and an owner lacks, with those owners;
// who did not answer lacks all.
func Lacks(l *layout.Layout, g layout.Group, said map[replica.Node]Inventory) map[ID][]replica.Node {
	buried, out := burials(said), map[ID][]replica.Node{}
	for _, s := range said {
		for id := range s.Held {
			if _, dead := buried[id]; dead || out[id] != nil {
				continue
			}
			for _, n := range l.Owners(g) {
				if !said[n].Held[id] {
					out[id] = append(out[id], n)
				}
			}
		}
	}
	return out
}

// burials are all tombstones that are known, each with its latest time.
func burials(said map[replica.Node]Inventory) map[ID]time.Time {
	buried := map[ID]time.Time{}
	for _, s := range said {
		for id, at := range s.Buried {
			if at.After(buried[id]) {
				buried[id] = at
			}
		}
	}
	return buried
}

// lacking are the uploads that others have and an owner lacks.
func lacking(places []replica.Node, mine Inventory, buried map[ID]time.Time, said map[replica.Node]Inventory) (do []Action) {
	from := map[ID][]replica.Node{}
	for _, n := range order(places, said) {
		for id := range said[n].Held {
			if _, dead := buried[id]; !mine.Held[id] && !dead && !said[n].Stale {
				from[id] = append(from[id], n)
			}
		}
	}
	for _, id := range sorted(from) {
		do = append(do, Action{Kind: Copy, ID: id, From: rotated(from[id], int(id[len(id)-1]))})
	}
	return do
}

// rotated has all that have a group's uploads be asked first for some of them.
func rotated(nodes []replica.Node, by int) []replica.Node {
	by %= len(nodes)
	return append(slices.Clone(nodes[by:]), nodes[:by]...)
}

// order is who said something: the places first, and the others by name.
func order(places []replica.Node, said map[replica.Node]Inventory) []replica.Node {
	others := slices.DeleteFunc(slices.Sorted(maps.Keys(said)), func(n replica.Node) bool { return slices.Contains(places, n) })
	return append(slices.Clone(places), others...)
}

// drops are the uploads that a node has no business with, and every owner has.
func drops(owners []replica.Node, mine Inventory, buried map[ID]time.Time, said map[replica.Node]Inventory) (do []Action) {
	for _, id := range sorted(mine.Held) {
		lacks := func(n replica.Node) bool { s, ok := said[n]; return !ok || s.Stale || !s.Held[id] }
		if _, dead := buried[id]; !dead && len(owners) > 0 && !slices.ContainsFunc(owners, lacks) {
			do = append(do, Action{Kind: Drop, ID: id})
		}
	}
	return do
}

// checks are the uploads of a node that has been away, which nobody else vouches for.
func checks(self replica.Node, mine Inventory, buried map[ID]time.Time, said map[replica.Node]Inventory) (do []Action) {
	if !mine.Stale {
		return nil
	}
	for _, id := range sorted(mine.Held) {
		vouched := false
		for n, s := range said {
			vouched = vouched || n != self && !s.Stale && s.Held[id]
		}
		if _, dead := buried[id]; !vouched && !dead {
			do = append(do, Action{Kind: Check, ID: id})
		}
	}
	return do
}

func sorted[V any](m map[ID]V) []ID {
	return slices.SortedFunc(maps.Keys(m), func(a, b ID) int { return bytes.Compare(a[:], b[:]) })
}
