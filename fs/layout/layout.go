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
// It is pure, and a value: a Layout is kept in a register and changed by CAS. So it has at
// most 1,024 members, with names of about 40 bytes. Ten thousand would be 360 KB of names:
// then the members become an upload, the register holds its id and holders, and this
// package stays as it is. It refuses to say where uploads are: manifests record their
// holders. The rule that nothing is given
// up before all have acknowledged is Garage's (garagehq.deuxfleurs.fr, "layout and update
// trackers").
package layout

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"strconv"

	"github.com/pondmesh/pond/fs/replica"
	"github.com/pondmesh/pond/mesh/ring"
)

// Groups is how many groups there are. It never changes: ids belong to groups for ever.
const Groups = 1 << 14

// Group is a set of uploads that are held by the same nodes, 0 to Groups-1.
type Group uint16

// GroupOf is the group of an upload's id.
func GroupOf(id [16]byte) Group { return Group(id[0])<<6 | Group(id[1])>>2 }

func (g Group) key() string { return "group/" + strconv.Itoa(int(g)) }

// Bounds.
const (
	versionsMax = 4    // in force at once: a fifth change waits, but for one that narrows the fourth
	membersMax  = 1024 // of a version
	copiesMax   = 16
	bytesMax    = 60 << 10 // of its text, with all acks: a register's value holds no more
)

// Member is a node that may hold uploads.
type Member struct {
	Node   replica.Node
	Zone   string
	Weight float64 // its share, relative to the others'; 0: it is given nothing, as one that leaves
}

// Version is one answer to who holds what.
type Version struct {
	Number  uint64 // from 1, one more than the version before
	Copies  int    // of each upload, if there are as many members
	Members []Member

	ranks *ranks // of Members; nil: not prepared
}

// Owners are the nodes that are to hold the uploads of a group, the best first. They are
// not to be changed.
func (v *Version) Owners(g Group) []replica.Node {
	r := v.ranks
	if r == nil {
		r = ranked(v.Members)
	}
	if r.owners != nil {
		return r.owners[g]
	}
	best := r.ring.Rank(g.key(), v.Copies)
	out := make([]replica.Node, len(best))
	for i, m := range best {
		out[i] = v.Members[m].Node
	}
	return out
}

// ranks say who owns what.
type ranks struct {
	ring   *ring.Ring
	owners [][]replica.Node // of each group; nil: not worked out beforehand
}

// ranked prepares members for many groups.
func ranked(members []Member) *ranks {
	nodes := make([]ring.Node, len(members))
	for i, m := range members {
		nodes[i] = ring.Node{ID: string(m.Node), Zone: m.Zone, Weight: m.Weight}
	}
	return &ranks{ring: ring.New(nodes)}
}

// Has reports whether a node is a member.
func (v *Version) Has(n replica.Node) bool {
	return slices.ContainsFunc(v.Members, func(m Member) bool { return m.Node == n })
}

// WorkOut has the owners of all groups at hand, for whoever asks for them again and again:
// those of versions that old has too are old's. It takes a fifth of a second for a
// thousand members, and a megabyte a version.
func (l Layout) WorkOut(old Layout) Layout {
	l.Versions = slices.Clone(l.Versions)
	for i := range l.Versions {
		v := &l.Versions[i]
		for _, o := range old.Versions {
			if v.Copies == o.Copies && slices.Equal(v.Members, o.Members) {
				v.ranks = o.ranks
			}
		}
		if v.ranks != nil && v.ranks.owners != nil {
			continue
		}
		owners := make([][]replica.Node, Groups)
		for g := range owners {
			owners[g] = v.Owners(Group(g))
		}
		v.ranks = ranked(v.Members)
		v.ranks.owners = owners
	}
	return l
}

// Layout is the versions in force. The zero value has none: nothing can be stored yet.
// It is never changed in place.
type Layout struct {
	Versions []Version            // the oldest first; the last one says where uploads go
	Acks     map[replica.Node]Ack // of members of a version in force
}

// Ack is how far a node has come.
type Ack struct {
	Seen   uint64 // the newest version that it knows of: it sends nothing to owners by an older one any more
	Synced uint64 // the newest version of which it has all: it asked every place of its groups, and copied what they had
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

// Change is the layout with a new version of these members. Where as many versions are in
// force as may be, one that only leaves members out stands in the place of the newest:
// without that, a member that dies for good would keep all others from being carried out.
func (l Layout) Change(copies int, members []Member) (Layout, error) {
	if err := check(copies, members); err != nil {
		return l, err
	}
	members = slices.Clone(members)
	slices.SortFunc(members, func(a, b Member) int { return compare(a.Node, b.Node) })
	v := Version{l.newest() + 1, copies, members, ranked(members)}
	stay := l.Versions
	if len(stay) >= versionsMax {
		if !v.narrows(l.Current()) {
			return l, fmt.Errorf("%w: %d versions are in force", ErrMoving, len(stay))
		}
		stay = stay[:len(stay)-1]
	}
	next := Layout{Versions: append(slices.Clone(stay), v), Acks: l.Acks}
	if v.Number == 1 { // nobody has anything yet: all of it is there
		next.Acks = map[replica.Node]Ack{}
		for _, m := range members {
			next.Acks[m.Node] = Ack{Synced: 1}
		}
	}
	if n := next.largest(); n > bytesMax {
		return l, fmt.Errorf("%w: %d members with their names make %d bytes, at most %d", ErrInvalid, len(members), n, bytesMax)
	}
	return next, nil
}

// narrows reports whether v differs from another version by fewer members alone, and the
// others own all that they own by that one: then whatever was sent by it to a node that
// is still a member is where v looks, too.
func (v *Version) narrows(of *Version) bool {
	if v.Copies != of.Copies || len(v.Members) >= len(of.Members) {
		return false
	}
	for _, m := range v.Members {
		if !slices.Contains(of.Members, m) {
			return false
		}
	}
	for g := range Group(Groups) {
		owners := v.Owners(g)
		for _, n := range of.Owners(g) {
			if v.Has(n) && !slices.Contains(owners, n) {
				return false
			}
		}
	}
	return true
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

// See notes that a node knows of the versions up to number.
func (l Layout) See(n replica.Node, number uint64) Layout {
	return l.Note(map[replica.Node]Ack{n: {Seen: number}})
}

// Sync notes that a node has all that version number gives it.
func (l Layout) Sync(n replica.Node, number uint64) Layout {
	return l.Note(map[replica.Node]Ack{n: {Synced: number}})
}

// Note notes what nodes say of how far they have come. Each could say it itself, but a
// change of a thousand members would be two thousand writes of one register: whoever
// looks after the layout asks them all, and notes all of it at once.
func (l Layout) Note(acks map[replica.Node]Ack) Layout {
	next := maps.Clone(l.Acks)
	if next == nil {
		next = map[replica.Node]Ack{}
	}
	for n, a := range acks {
		old := next[n]
		next[n] = Ack{max(old.Seen, min(a.Seen, l.newest())), max(old.Synced, min(a.Synced, l.newest()))}
	}
	l.Acks = next
	return l
}

func (l *Layout) newest() uint64 {
	if v := l.Current(); v != nil {
		return v.Number
	}
	return 0
}

// Settle is the layout without the older versions, once all members of the newest have
// synced to it. One between goes with the others: nothing is moved for its sake alone.
func (l Layout) Settle() Layout {
	v := l.Current()
	if v == nil {
		return l
	}
	if l.all(v, func(a Ack) uint64 { return a.Synced }) {
		l.Versions = []Version{*v}
	}
	members := map[replica.Node]bool{}
	for _, v := range l.Versions {
		for _, m := range v.Members {
			members[m.Node] = true
		}
	}
	l.Acks = maps.Clone(l.Acks)
	maps.DeleteFunc(l.Acks, func(n replica.Node, _ Ack) bool { return !members[n] })
	return l
}

// all reports whether all members of a version have come to it.
func (l *Layout) all(v *Version, at func(Ack) uint64) bool {
	return !slices.ContainsFunc(v.Members, func(m Member) bool { return at(l.Acks[m.Node]) < v.Number })
}

// AllSeen reports whether every member knows of the newest version.
func (l *Layout) AllSeen() bool {
	v := l.Current()
	return v != nil && l.all(v, func(a Ack) uint64 { return a.Seen })
}

// MayDrop reports whether a node may delete its copies of a group's uploads, once it
// has verified that the owners have theirs: it is no place of them by any version in
// force, every member knows that, and there are as many owners as there are to be copies.
func (l *Layout) MayDrop(n replica.Node, g Group) bool {
	v := l.Current()
	return v != nil && !slices.Contains(l.Places(g), n) && len(v.Owners(g)) == v.Copies && l.AllSeen()
}
