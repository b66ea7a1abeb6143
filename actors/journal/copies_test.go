package journal_test

import (
	"encoding/json"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"github.com/pondmesh/pond/actors/api"
	"github.com/pondmesh/pond/actors/journal"
	"github.com/pondmesh/pond/actors/plan"
	"github.com/pondmesh/pond/fs"
)

const copyJob plan.JobID = "000000000000000000000000000000aa"

// adopt puts a copy of a segment of two partitions into a store, and has segs take it.
func adopt(t *testing.T, store journal.Store, segs *journal.Segments, h api.Held) error {
	t.Helper()
	facts, err := json.Marshal(h)
	if err != nil {
		t.Fatal(err)
	}
	info, err := store.Note("segment", facts, true)
	if err != nil {
		t.Fatal(err)
	}
	_, err = segs.Adopt(info)
	return err
}

// TestAdopt: a copy is held for its job, as a segment that was made here is, and goes with
// it, unless another job uses its stage; what was made here stays.
func TestAdopt(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store := new(journal.Memory)
		segs := openSegments(t, store, 1<<30)
		now := time.Now().UnixMilli()
		write(t, segs, api.Held{Stage: "s0", Job: copyJob, Partitions: 2}, 5)
		for _, h := range []api.Held{
			{Stage: "s0", Partition: 1, Job: copyJob, Copy: true, Partitions: 2, Created: now},
			{Stage: "s1", Job: copyJob, Copy: true, Partitions: 2, Created: now},
		} {
			if err := adopt(t, store, segs, h); err != nil {
				t.Fatal(err)
			}
		}
		for _, h := range []api.Held{{Stage: "s2", Job: copyJob}, {Stage: "s2", Copy: true}, {Job: copyJob, Copy: true}} {
			if err := adopt(t, new(journal.Memory), segs, h); !errors.Is(err, fs.ErrInvalid) {
				t.Errorf("%+v is taken: %v", h, err)
			}
		}
		time.Sleep(time.Hour)
		if n := segs.Reclaim(time.Now()); n != 0 || stages(segs, 3) != "s0:2 s1:1" {
			t.Errorf("while the job is open, %d are reclaimed: %s", n, stages(segs, 3))
		}
		again := openSegments(t, store, 1<<30) // the node starts again, and is told of the job soon
		again.Claim(copyJob)
		time.Sleep(time.Hour)
		if n := again.Reclaim(time.Unix(0, 0)); n != 0 || stages(again, 3) != "s0:2 s1:1" {
			t.Errorf("after a start, %d are reclaimed: %s", n, stages(again, 3))
		}
		again.Pin("other", "s1")
		again.Unpin(copyJob)
		if stages(again, 3) != "s0:1 s1:1" {
			t.Errorf("after the job: %s", stages(again, 3))
		}
		again.Unpin("other")
		if stages(again, 3) != "s0:1" {
			t.Errorf("after the other job: %s", stages(again, 3))
		}
	})
}

// TestForgottenCopies: copies of a job of which a node hears nothing after its start go
// after a while.
func TestForgottenCopies(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store := new(journal.Memory)
		first := openSegments(t, store, 1<<30)
		if err := adopt(t, store, first, api.Held{Stage: "s0", Job: copyJob, Copy: true, Partitions: 2, Created: time.Now().UnixMilli()}); err != nil {
			t.Fatal(err)
		}
		time.Sleep(time.Hour)
		segs := openSegments(t, store, 1<<30)
		for i, want := range []string{"s0:1", ""} {
			if segs.Reclaim(time.Unix(0, 0)); stages(segs, 1) != want {
				t.Errorf("look %d: %q, want %q", i, stages(segs, 1), want)
			}
			time.Sleep(10 * time.Minute)
		}
	})
}

// TestClaimedLater: after a start the end of one job takes no copies of another, which is
// heard of later.
func TestClaimedLater(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const other plan.JobID = "000000000000000000000000000000bb"
		store := new(journal.Memory)
		first := openSegments(t, store, 1<<30)
		for stage, job := range map[plan.StageID]plan.JobID{"s0": copyJob, "s1": other} {
			if err := adopt(t, store, first, api.Held{Stage: stage, Job: job, Copy: true, Partitions: 2, Created: time.Now().UnixMilli()}); err != nil {
				t.Fatal(err)
			}
		}
		time.Sleep(time.Hour)
		segs := openSegments(t, store, 1<<30)
		segs.Claim(copyJob)
		if segs.Unpin(copyJob); stages(segs, 2) != "s1:1" {
			t.Errorf("after the end of one: %q", stages(segs, 2))
		}
		segs.Claim(other)
		if segs.Unpin(other); stages(segs, 2) != "" {
			t.Errorf("after both: %q", stages(segs, 2))
		}
	})
}
