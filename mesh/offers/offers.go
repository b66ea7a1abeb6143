// Package offers says in a few bytes what a node has that others may lack: Go
// functions that jobs call, kinds of actors. A Set goes into what members gossip of
// themselves, so that whoever places work knows without asking.
//
// It is pure. A name is 24 bits of its hash there: of a million names that a node does
// not have, a full Set is wrong about three. So a Set is a hint: the node itself
// refuses what it has not.
package offers

import (
	"encoding/base64"
	"fmt"
	"slices"
	"strings"

	"github.com/zeebo/xxh3"
)

// Bounds of a Set.
const (
	NamesMax = 48
	BytesMax = NamesMax * nameBytes
)

const nameBytes = 4 // base64 of 24 bits

// Set holds the names of what a node offers. Sets are equal (==) if the names are.
// The zero value holds none.
type Set string

// Func names a Go function in a Set. As in SQL, case does not matter.
func Func(name string) string { return "func " + strings.ToLower(name) }

// Actor names a kind of actors in a Set.
func Actor(kind string) string { return "actor " + kind }

// New makes a Set of at most NamesMax names, whose order does not matter.
func New(names ...string) (Set, error) {
	if len(names) > NamesMax {
		return "", fmt.Errorf("%d Go functions and kinds of actors are more than the %d that a node can tell others of", len(names), NamesMax)
	}
	parts := make([]string, len(names))
	for i, n := range names {
		parts[i] = digest(n)
	}
	slices.Sort(parts)
	return Set(strings.Join(slices.Compact(parts), "")), nil
}

// Has reports whether a name is in the Set.
func (s Set) Has(name string) bool {
	want := digest(name)
	for ; len(s) >= nameBytes; s = s[nameBytes:] {
		if string(s[:nameBytes]) == want {
			return true
		}
	}
	return false
}

// HasAll reports whether all of some names are.
func (s Set) HasAll(names []string) bool {
	return !slices.ContainsFunc(names, func(n string) bool { return !s.Has(n) })
}

func digest(name string) string {
	h := xxh3.HashString(name)
	return base64.RawURLEncoding.EncodeToString([]byte{byte(h), byte(h >> 8), byte(h >> 16)})
}
