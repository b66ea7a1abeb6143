package collect

import (
	"bytes"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/pondmesh/pond/fs/repair"
)

// Times are how long things are kept.
type Times struct {
	Lease     time.Duration // of a lease that is not renewed
	Retention time.Duration // of a version that another has superseded
	Tombstone time.Duration
	// Away is how long a node may hear of no tombstones and still be believed. It is
	// shorter than Tombstone, by more than clocks differ.
	Away time.Duration
}

// Kept are the times of a pond.
func Kept() Times {
	const day = 24 * time.Hour
	return Times{Lease: time.Hour, Retention: day, Tombstone: 7 * day, Away: 6 * day}
}

// Expired reports whether a tombstone is kept no longer, nor taken from others. A copy goes
// by it all the same: the other's clock may be right.
func (t Times) Expired(at, now time.Time) bool { return now.Sub(at) > t.Tombstone }

// Stale reports whether a node that last heard the inventories of more than half of the
// others at a time, by its own clock, may hold what was deleted since.
func (t Times) Stale(heard, now time.Time) bool { return now.Sub(heard) > t.Away || now.Before(heard) }

// Watch is what a collector remembers of leases. Each is given its time from when it was
// first seen as it is, by the collector's own clock: no two clocks are compared. The zero
// value remembers nothing.
type Watch struct {
	seen map[string]map[Lease]time.Time // by dataset
}

// Condemn is the ledger without leases that nobody has renewed for their time, and
// versions whose retention is over; false: it is as it was.
func (w *Watch) Condemn(dataset string, l Ledger, now time.Time, t Times) (Ledger, bool) {
	seen := map[Lease]time.Time{}
	for _, e := range l.Leases {
		first, ok := w.seen[dataset][e]
		if !ok {
			first = now
		}
		seen[e] = first
	}
	if w.seen == nil {
		w.seen = map[string]map[Lease]time.Time{}
	}
	if w.seen[dataset] = seen; len(seen) == 0 {
		delete(w.seen, dataset)
	}
	leases, versions := len(l.Leases), len(l.Versions)
	l.Leases = slices.DeleteFunc(slices.Clone(l.Leases), func(e Lease) bool { return now.Sub(seen[e]) > t.Lease })
	l.Versions = slices.DeleteFunc(slices.Clone(l.Versions), func(v Version) bool {
		return !v.Superseded.IsZero() && now.Sub(v.Superseded) > t.Retention
	})
	return l, len(l.Leases) < leases || len(l.Versions) < versions
}

// Origin is what an upload says of itself, in its attributes: which register vouches for
// it, and by which lease until a manifest refers to it.
type Origin struct {
	Dataset string `json:"dataset"`
	Lease   string `json:"lease"`
}

// ErrUnread: a manifest was not read, so nothing can be said.
var ErrUnread = errors.New("a manifest could not be read")

// Orphans are the uploads of a dataset that nothing vouches for: neither their lease nor
// a version. They are condemned for good.
//
// held are uploads that a node held before the ledger was read, each with its lease.
// manifests are the uploads that each version's manifest refers to.
func (l *Ledger) Orphans(held map[repair.ID]string, manifests map[repair.ID][]repair.ID) ([]repair.ID, error) {
	used := map[repair.ID]bool{}
	for _, v := range l.Versions {
		files, ok := manifests[v.Manifest]
		if !ok {
			return nil, fmt.Errorf("version %d, manifest %s: %w", v.Number, v.Manifest, ErrUnread)
		}
		used[v.Manifest] = true
		for _, id := range files {
			used[id] = true
		}
	}
	var out []repair.ID
	for id, lease := range held {
		if !used[id] && !l.Holds(lease) {
			out = append(out, id)
		}
	}
	slices.SortFunc(out, func(a, b repair.ID) int { return bytes.Compare(a[:], b[:]) })
	return out, nil
}
