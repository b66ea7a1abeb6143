// Package layout says which nodes are to hold which uploads, and when a node that held
// them may stop.
//
// An upload belongs to one of [Groups] groups, by its id, and a group to the nodes that
// the ring ranks first among a version's members. A Layout is the versions that are in
// force: the newest says where uploads go, and an older one stays, as a place to look,
// until all members of the newer have what it gave to others. So a change of members
// moves data without a moment at which it is nowhere, and nobody drops anything because
// of a view:
//
//	Change ─▶ a new version ─▶ every member has Seen it ─▶ each has Synced ─▶ Settle: the old one goes
//
// It is pure, and a value: a Layout is kept in a register and changed by CAS. It refuses
// to say where uploads are: manifests record their holders. The rule that nothing is given
// up before all have acknowledged is Garage's (garagehq.deuxfleurs.fr, "layout and update
// trackers").
package layout

import (
	"errors"
	"fmt"
	"maps"
	"slices"

	"github.com/pondmesh/pond/fs/replica"
	"github.com/pondmesh/pond/mesh/ring"
)

// Groups is how many groups there are. It never changes: ids belong to groups for ever.
const Groups = 1 << 14

// Group is a set of uploads that are held by the same nodes, 0 to Groups-1.
type Group uint16

// GroupOf is the group of an upload's id.
func GroupOf(id [16]byte) Group { return Group(id[0])<<6 | Group(id[1])>>2 }

func (g Group) key() string { return fmt.Sprintf("group/%d", g) }

// Bounds.
const (
	versionsMax = 4    // in force at once: a fifth change waits
	membersMax  = 1024 // of a version
	copiesMax   = 16
)

// Member is a node that may hold uploads.
type Member struct {
	Node   replica.Node `json:"node"`
	Zone   string       `json:"zone,omitempty"`
	Weight float64      `json:"weight"` // its share, relative to the others'; 0: it is given nothing, as one that leaves
}

// Version is one answer to who holds what.
type Version struct {
	Number  uint64   `json:"number"` // from 1, one more than the version before
	Copies  int      `json:"copies"` // of each upload, if there are as many members
	Members []Member `json:"members"`
}

// Owners are the nodes that are to hold the uploads of a group, the best first.
func (v *Version) Owners(g Group) []replica.Node {
	nodes := make([]ring.Node, len(v.Members))
	for i, m := range v.Members {
		nodes[i] = ring.Node{ID: string(m.Node), Zone: m.Zone, Weight: m.Weight}
	}
	var out []replica.Node
	for _, n := range ring.Rank(nodes, g.key(), v.Copies) {
		out = append(out, replica.Node(n.ID))
	}
	return out
}

// Has reports whether a node is a member.
func (v *Version) Has(n replica.Node) bool {
	return slices.ContainsFunc(v.Members, func(m Member) bool { return m.Node == n })
}

// Layout is the versions in force. The zero value has none: nothing can be stored yet.
// It is never changed in place.
type Layout struct {
	Versions []Version               `json:"versions,omitempty"` // the oldest first; the last one says where uploads go
	Seen     map[replica.Node]uint64 `json:"seen,omitempty"`     // the newest version that a node knows of
	Synced   map[replica.Node]uint64 `json:"synced,omitempty"`   // the newest version of which it has all that it is given
}

// Errors of a change.
var (
	// ErrMoving: too many changes have not been carried out yet.
	ErrMoving = errors.New("earlier changes of the layout are under way")
	// ErrInvalid: there can be no such version.
	ErrInvalid = errors.New("invalid layout")
)

// Current is the version that says where uploads go; nil: there is none.
func (l *Layout) Current() *Version {
	if len(l.Versions) == 0 {
		return nil
	}
	return &l.Versions[len(l.Versions)-1]
}

// Owners are the nodes that are to hold the uploads of a group, the best first.
func (l *Layout) Owners(g Group) []replica.Node {
	if v := l.Current(); v != nil {
		return v.Owners(g)
	}
	return nil
}

// Places are the nodes on which uploads of a group may be by any version in force: its
// owners first, then those that were before.
func (l *Layout) Places(g Group) (out []replica.Node) {
	for _, v := range slices.Backward(l.Versions) {
		for _, n := range v.Owners(g) {
			if !slices.Contains(out, n) {
				out = append(out, n)
			}
		}
	}
	return out
}

// Change is the layout with a new version of these members.
func (l Layout) Change(copies int, members []Member) (Layout, error) {
	if err := check(copies, members); err != nil {
		return l, err
	}
	if len(l.Versions) >= versionsMax {
		return l, fmt.Errorf("%w: %d versions are in force", ErrMoving, len(l.Versions))
	}
	number := uint64(1)
	if v := l.Current(); v != nil {
		number = v.Number + 1
	}
	members = slices.Clone(members)
	slices.SortFunc(members, func(a, b Member) int { return compare(a.Node, b.Node) })
	l.Versions = append(slices.Clone(l.Versions), Version{Number: number, Copies: copies, Members: members})
	if number == 1 { // nobody has anything yet: all of it is there
		l.Synced = map[replica.Node]uint64{}
		for _, m := range members {
			l.Synced[m.Node] = 1
		}
	}
	return l, nil
}

func check(copies int, members []Member) error {
	if copies < 1 || copies > copiesMax || len(members) == 0 || len(members) > membersMax {
		return fmt.Errorf("%w: %d copies on %d members", ErrInvalid, copies, len(members))
	}
	seen, holds := map[replica.Node]bool{}, false
	for _, m := range members {
		if m.Node == "" || seen[m.Node] || !(m.Weight >= 0) || m.Weight > 1<<40 {
			return fmt.Errorf("%w: member %q of weight %v", ErrInvalid, m.Node, m.Weight)
		}
		seen[m.Node] = true
		holds = holds || m.Weight > 0
	}
	if !holds {
		return fmt.Errorf("%w: no member is given anything", ErrInvalid)
	}
	return nil
}

func compare(a, b replica.Node) int {
	switch {
	case a < b:
		return -1
	case a > b:
		return 1
	}
	return 0
}

// See notes that a node knows of the versions up to number: it sends nothing to owners
// by an older one any more.
func (l Layout) See(n replica.Node, number uint64) Layout {
	l.Seen = noted(l.Seen, n, min(number, l.newest()))
	return l
}

// Sync notes that a node has all that version number gives it: it has asked every place
// of its groups, and copied what they had.
func (l Layout) Sync(n replica.Node, number uint64) Layout {
	l.Synced = noted(l.Synced, n, min(number, l.newest()))
	return l
}

func (l *Layout) newest() uint64 {
	if v := l.Current(); v != nil {
		return v.Number
	}
	return 0
}

// noted is m with number for n, unless there is a higher one.
func noted(m map[replica.Node]uint64, n replica.Node, number uint64) map[replica.Node]uint64 {
	out := maps.Clone(m)
	if out == nil {
		out = map[replica.Node]uint64{}
	}
	out[n] = max(out[n], number)
	return out
}

// Settle is the layout without the older versions, once all members of the newest have
// synced to it. One between goes with the others: nothing is moved for its sake alone.
func (l Layout) Settle() Layout {
	if v := l.Current(); v != nil && l.all(v, l.Synced) {
		l.Versions = []Version{*v}
	}
	for _, m := range []*map[replica.Node]uint64{&l.Seen, &l.Synced} {
		*m = maps.Clone(*m)
		maps.DeleteFunc(*m, func(n replica.Node, _ uint64) bool { return !l.member(n) })
	}
	return l
}

// all reports whether all members of a version have come to it.
func (l *Layout) all(v *Version, at map[replica.Node]uint64) bool {
	return !slices.ContainsFunc(v.Members, func(m Member) bool { return at[m.Node] < v.Number })
}

func (l *Layout) member(n replica.Node) bool {
	return slices.ContainsFunc(l.Versions, func(v Version) bool { return v.Has(n) })
}

// MayDrop reports whether a node may delete its copies of a group's uploads, once it
// has verified that the owners have theirs: it is no place of them by any version in
// force, every member knows that, and there are as many owners as there are to be copies.
func (l *Layout) MayDrop(n replica.Node, g Group) bool {
	v := l.Current()
	return v != nil && l.all(v, l.Seen) && len(v.Owners(g)) == v.Copies && !slices.Contains(l.Places(g), n)
}
