package journal_test

import (
	"errors"
	"slices"
	"testing"

	"github.com/pondmesh/pond/actors/api"
	"github.com/pondmesh/pond/actors/auth"
	"github.com/pondmesh/pond/actors/journal"
	"github.com/pondmesh/pond/actors/plan"
	"github.com/pondmesh/pond/fs"
	"github.com/pondmesh/pond/shuffle"
	"github.com/pondmesh/pond/shuffle/transfer"
)

// TestFor: a caller reads what its own jobs have made, and an admin everybody's; whose a
// segment is outlives a restart, and a try that is refused counts as no reading.
func TestFor(t *testing.T) {
	store, err := fs.Open(t.Context(), t.TempDir(), fs.Options{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { store.Close() })
	segs := openSegments(t, journal.OnDisk(store), 1<<30)
	job := api.NewJobID()
	anns := segmentID(t, write(t, segs, api.Held{Stage: "s", Job: job, Owner: "ann"}, 10))
	nobodys := segmentID(t, write(t, segs, api.Held{Stage: "s", Job: job}, 10))
	gone := slices.Clone(anns[:])
	gone[0]++
	ctx := transfer.For(t.Context(), string(job))
	for range 2 {
		for _, test := range []struct {
			by         auth.Identity
			id         shuffle.SegmentID
			want, told error
		}{
			{auth.Identity{User: "bob", Role: auth.Submit}, anns, transfer.ErrDenied, plan.ErrDenied},
			{auth.Identity{User: "bob", Role: auth.Submit}, nobodys, transfer.ErrDenied, plan.ErrDenied},
			{auth.Identity{User: "", Role: auth.Submit}, nobodys, transfer.ErrDenied, plan.ErrDenied},
			{auth.Identity{User: "bob", Role: auth.Submit}, shuffle.SegmentID(gone), transfer.ErrGone, plan.ErrFetch},
			{auth.Identity{}, anns, transfer.ErrDenied, plan.ErrDenied},
			{auth.Identity{User: "ann", Role: auth.Submit}, anns, nil, nil},
			{auth.Identity{User: "eve", Role: auth.Admin}, anns, nil, nil},
			{auth.Identity{Role: auth.Admin}, nobodys, nil, nil},
		} {
			before := segs.Read(job)
			if err := segs.Allow(test.id, test.by.Owns); !errors.Is(err, test.told) {
				t.Errorf("%v: %v, want %v", test.by, err, test.told)
			}
			seg, err := segs.For(test.by.Owns).Open(ctx, test.id)
			if !errors.Is(err, test.want) {
				t.Errorf("%v opens: %v, want %v", test.by, err, test.want)
			}
			if err != nil {
				if segs.Read(job) != before {
					t.Errorf("%v is refused, and counts as a reader", test.by)
				}
				continue
			}
			if extents, err := seg.Extents(0); err != nil || len(extents) == 0 {
				t.Errorf("%v: %v, %v", test.by, extents, err)
			}
			seg.Close()
		}
		if _, err := segs.Open(ctx, nobodys); err != nil { // a node does
			t.Error(err)
		}
		segs.Close()
		segs = openSegments(t, journal.OnDisk(store), 1<<30)
	}
}
