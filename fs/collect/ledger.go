package collect

import (
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/pondmesh/pond/fs/repair"
	"github.com/pondmesh/pond/fs/replica"
)

// Bounds of a ledger, which is part of a register's value.
const (
	leasesMax   = 128
	versionsMax = 64 // more in less time than the retention: the oldest go early
)

// Ledger is what a dataset's register says of its uploads. The zero value is that of a
// dataset that never was. It is never changed in place.
type Ledger struct {
	Last     uint64    `json:"last,omitempty"`     // the number of the newest version that there ever was
	Versions []Version `json:"versions,omitempty"` // that can be read, the oldest first
	Leases   []Lease   `json:"leases,omitempty"`
}

// Version is a manifest that can be read. What it refers to stays.
type Version struct {
	Number     uint64         `json:"number"`
	Manifest   repair.ID      `json:"manifest"`
	Holders    []replica.Node `json:"holders,omitempty"`   // of the manifest, when it was published
	Superseded time.Time      `json:"superseded,omitzero"` // zero: this is what the dataset is now
}

// Lease keeps what its writer uploads while no manifest refers to it.
type Lease struct {
	ID   string `json:"id"`             // drawn by the writer for this one lease
	Beat uint64 `json:"beat,omitempty"` // counts renewals
}

// Errors of a ledger's changes.
var (
	// ErrCondemned: the lease is not there any more, or never was. What was uploaded under
	// it is being deleted: the writer starts again, with another lease.
	ErrCondemned = errors.New("the lease has ended, and what was written under it is condemned")
	// ErrTooMany: so many write at once that another must wait.
	ErrTooMany = errors.New("too many write this dataset at once")
)

// Current is the version that the dataset is now; false: there is none, or none any more.
func (l *Ledger) Current() (Version, bool) {
	if n := len(l.Versions); n > 0 && l.Versions[n-1].Superseded.IsZero() {
		return l.Versions[n-1], true
	}
	return Version{}, false
}

// Holds reports whether a lease is there.
func (l *Ledger) Holds(lease string) bool { return l.lease(lease) >= 0 }

func (l *Ledger) lease(id string) int {
	return slices.IndexFunc(l.Leases, func(e Lease) bool { return e.ID == id })
}

// Grant is the ledger with a lease more. Whoever does not know whether its Grant happened
// reads the ledger: if the lease is not there, it draws another.
func (l Ledger) Grant(lease string) (Ledger, error) {
	switch {
	case lease == "" || l.Holds(lease):
		return l, fmt.Errorf("lease %q is no new one", lease)
	case len(l.Leases) >= leasesMax:
		return l, fmt.Errorf("%w: %d leases", ErrTooMany, len(l.Leases))
	}
	l.Leases = append(slices.Clone(l.Leases), Lease{ID: lease})
	return l, nil
}

// Renew is the ledger in which a lease is seen to be in use. Its writer renews it a few
// times in [Times].Lease.
func (l Ledger) Renew(lease string) (Ledger, error) {
	i := l.lease(lease)
	if i < 0 {
		return l, fmt.Errorf("lease %q: %w", lease, ErrCondemned)
	}
	l.Leases = slices.Clone(l.Leases)
	l.Leases[i].Beat++
	return l, nil
}

// Release is the ledger without a lease: its writer has failed, and tells.
func (l Ledger) Release(lease string) Ledger {
	l.Leases = slices.DeleteFunc(slices.Clone(l.Leases), func(e Lease) bool { return e.ID == lease })
	return l
}

// Publish is the ledger with a new version: what was written under the lease is in use
// by its manifest from now on, and the lease ends.
func (l Ledger) Publish(lease string, manifest repair.ID, holders []replica.Node, now time.Time) (Ledger, error) {
	if !l.Holds(lease) {
		return l, fmt.Errorf("lease %q: %w", lease, ErrCondemned)
	}
	l = l.Release(lease).Drop(now)
	l.Last++
	l.Versions = append(l.Versions, Version{Number: l.Last, Manifest: manifest, Holders: slices.Clone(holders)})
	l.Versions = l.Versions[max(0, len(l.Versions)-versionsMax):]
	return l, nil
}

// Drop is the ledger of a dataset that is no more. Its versions can be read for a while.
func (l Ledger) Drop(now time.Time) Ledger {
	l.Versions = slices.Clone(l.Versions)
	if _, ok := l.Current(); ok {
		l.Versions[len(l.Versions)-1].Superseded = now.UTC()
	}
	return l
}
