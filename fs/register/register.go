package register

import (
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
)

// Bounds.
const (
	KeyMax     = 256      // bytes of a key
	DataMax    = 64 << 10 // bytes of a value
	keepersMax = 7        // in a roster
	recentMax  = 8        // ids of changes that a value keeps
	pageMax    = 512      // keys of a reply to List
	rewriteMax = 32       // keys that a change of the roster writes at once
)

// Key names a register.
type Key string

// RosterKey is the register that holds the roster.
const RosterKey Key = "roster"

// FoundingKey is the register by which those that found a pond agree on its first
// roster, under one of version 0.
const FoundingKey Key = "founding"

// KeeperID names a keeper. It is drawn when its store is made and kept in it.
type KeeperID string

// ChangeID names one change of a value, across its retries. Its maker draws it.
type ChangeID string

// Ballot orders what proposers try. The zero Ballot is before all others.
type Ballot struct {
	N        uint64
	Proposer string // with its boot: no two proposers, before and after a restart, are one
}

// Compare is negative when b is before o.
func (b Ballot) Compare(o Ballot) int {
	return cmp.Or(cmp.Compare(b.N, o.N), cmp.Compare(b.Proposer, o.Proposer))
}

func (b Ballot) String() string { return fmt.Sprintf("%d.%s", b.N, b.Proposer) }

// Value is what a register holds. The zero Value is that of one never written.
type Value struct {
	Version uint64 // counts changes
	Data    []byte
	// Recent are the ids of the last changes, the latest first, at most recentMax.
	Recent []ChangeID
}

// change is v after one more change.
func (v Value) change(id ChangeID, data []byte) Value {
	recent := append([]ChangeID{id}, v.Recent...)
	return Value{Version: v.Version + 1, Data: data, Recent: recent[:min(len(recent), recentMax)]}
}

// has reports whether one of the last changes was id.
func (v Value) has(id ChangeID) bool { return id != "" && slices.Contains(v.Recent, id) }

// Roster is who keeps the registers. Of a joint roster both sets must agree: a change
// from Keepers to Next is under way. One of version 0 is of those that found a pond: all
// of them must agree.
type Roster struct {
	Pond    string // drawn when the pond is founded: rosters of others are of no use
	Version uint64 // counts changes; 0: there is none
	Keepers []KeeperID
	Next    []KeeperID // nil unless joint
	// Of a pond that was recovered (Recovery): ballots are above Floor, and so above those
	// of keepers that were GivenUp, which keep the registers never again.
	Floor   uint64     `json:",omitempty"`
	GivenUp []KeeperID `json:",omitempty"`
}

// Joint reports whether a change is under way.
func (r Roster) Joint() bool { return len(r.Next) > 0 }

// All lists the keepers of both sets, each once.
func (r Roster) All() []KeeperID {
	all := slices.Concat(r.Keepers, r.Next)
	slices.Sort(all)
	return slices.Compact(all)
}

// Newer reports whether r replaces o: another version of one pond's roster, or the
// first that is known.
func (r Roster) Newer(o Roster) bool {
	return r.Version > o.Version && (o.Version == 0 || r.Pond == o.Pond)
}

// Quorum reports whether those that have answered are enough: more than half of the
// keepers, in either set; all of those that found a pond.
func (r Roster) Quorum(has func(KeeperID) bool) bool {
	if r.Version == 0 {
		return len(r.Keepers) > 0 && !slices.ContainsFunc(r.Keepers, func(k KeeperID) bool { return !has(k) })
	}
	return majority(r.Keepers, has) && (!r.Joint() || majority(r.Next, has))
}

func majority(set []KeeperID, has func(KeeperID) bool) bool {
	n := 0
	for _, k := range set {
		if has(k) {
			n++
		}
	}
	return 2*n > len(set)
}

// to is the joint roster by which keepers become next.
func (r Roster) to(next []KeeperID) Roster {
	out := r
	out.Version++
	out.Keepers, out.Next = slices.Clone(r.Keepers), slices.Clone(next)
	return out
}

// settled is the roster after a joint one.
func (r Roster) settled() Roster {
	out := r
	out.Version++
	out.Keepers, out.Next = slices.Clone(r.Next), nil
	return out
}

// Encode is the roster as the value of its register.
func (r Roster) Encode() []byte {
	b, err := json.Marshal(r)
	if err != nil {
		panic(err) // of texts and numbers only
	}
	return b
}

// DecodeRoster is the roster that a register's data encode.
func DecodeRoster(data []byte) (r Roster, err error) {
	if len(data) == 0 {
		return r, nil
	}
	if err = json.Unmarshal(data, &r); err == nil {
		err = r.check()
	}
	if err != nil {
		return Roster{}, fmt.Errorf("register: read a roster: %w", err)
	}
	return r, nil
}

func (r Roster) check() error {
	for _, set := range [][]KeeperID{r.Keepers, r.Next} {
		sorted := slices.Sorted(slices.Values(set))
		if len(set) > keepersMax || len(slices.Compact(sorted)) != len(set) || slices.Contains(set, "") {
			return fmt.Errorf("keepers %q", set)
		}
	}
	if len(r.GivenUp) > givenUpMax {
		return fmt.Errorf("%d keepers that were given up", len(r.GivenUp))
	}
	if len(r.Keepers) == 0 || r.Version == 0 {
		return errors.New("no keepers")
	}
	return nil
}

// Errors, for errors.Is.
var (
	// ErrConflict: the register has another version than was expected. Nothing was
	// changed, unless it is ErrUnknown too: then it was changed so often since that the
	// ids of its changes tell no more whether this was one.
	ErrConflict = errors.New("register: changed by another")
	// ErrUnknown: too few keepers answered in time, and the change may have happened
	// or may happen yet. A retry with the same id finds out.
	ErrUnknown = errors.New("register: the outcome is not known")
	// ErrMinority: too few keepers answered in time. Nothing was changed.
	ErrMinority = errors.New("register: no majority of the keepers")
)
