package journal_test

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/pondmesh/pond/actors/api"
	"github.com/pondmesh/pond/actors/journal"
	"github.com/pondmesh/pond/actors/plan"
	"github.com/pondmesh/pond/fs"
)

func openRecords(t *testing.T, s journal.Store) *journal.Records {
	t.Helper()
	r, err := journal.OpenRecords(s, 0, quiet)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func record(id plan.JobID, term uint64, ended int64) *api.Record {
	rec := &api.Record{Spec: &api.JobSpec{ID: id}, Term: term}
	if ended > 0 {
		rec.Status = &api.JobStatus{ID: id, State: api.Succeeded, Ended: ended}
	}
	return rec
}

// A record gives way only to a newer one, and a restart finds the newest.
func TestRecords(t *testing.T) {
	for name, store := range stores(t) {
		t.Run(name, func(t *testing.T) {
			r := openRecords(t, store)
			if r.Get("a") != nil || len(r.List()) != 0 {
				t.Error("an empty journal knows a job")
			}
			for i, c := range []struct {
				put   *api.Record
				term  uint64
				ended bool
			}{
				{record("a", 1, 0), 1, false},
				{record("a", 1, 0), 1, false}, // the same again
				{record("a", 3, 0), 3, false},
				{record("a", 2, 0), 3, false}, // an older term
				{record("a", 2, 5), 2, true},  // an end is an end, whoever says so
				{record("a", 4, 0), 2, true},  // and stays
			} {
				if err := r.Put(c.put); err != nil {
					t.Fatal(err)
				}
				for _, r := range []*journal.Records{r, openRecords(t, store)} {
					if got := r.Get("a"); got.Term != c.term || got.Status != nil != c.ended {
						t.Errorf("step %d: %+v", i, got)
					}
				}
			}
			if n := len(listed(t, store, "job")); n != 1 {
				t.Errorf("%d versions of one record are kept", n)
			}
			if !listed(t, store, "job")[0].Durable {
				t.Error("a record is not durable")
			}
		})
	}
}

// A record may be longer than what an upload says of itself.
func TestLongRecord(t *testing.T) {
	for name, store := range stores(t) {
		for _, n := range []int{0, fs.AttrsMax / 2, fs.AttrsMax, 4 * fs.AttrsMax} {
			rec := record(plan.JobID(fmt.Sprint(n)), 1, 0)
			rec.Spec.Statement = strings.Repeat("x", n)
			if err := openRecords(t, store).Put(rec); err != nil {
				t.Fatal(err)
			}
			if got := openRecords(t, store).Get(rec.Spec.ID); got == nil || got.Spec.Statement != rec.Spec.Statement {
				t.Errorf("%s: a record of %d bytes came back as %+v", name, n, got)
			}
		}
	}
}

// After a crash between a new version and the deletion of the old one both are
// there; what cannot be read is no record, and goes, unless another look may help.
func TestRecordsAfterCrash(t *testing.T) {
	store := new(journal.Memory)
	const text = `{"spec":{"id":"a"},"term":%d}`
	for _, term := range []int{2, 3, 1} {
		commit(t, store, "job", fmt.Sprintf(text, term), "")
	}
	commit(t, store, "job", "torn {", "")
	commit(t, store, "job", `{"term":1}`, "")
	damaged := commit(t, store, "job", fmt.Sprintf(text, 9), "")
	store.Damage(damaged.ID, fs.ErrCorrupt)
	busy := commit(t, store, "job", fmt.Sprintf(text, 9), "")
	store.Damage(busy.ID, syscall.EMFILE)
	r := openRecords(t, store)
	if l := r.List(); len(l) != 1 || l[0].Term != 3 || store.Len() != 2 {
		t.Errorf("%d records, %d uploads", len(l), store.Len())
	}
}

// Only so many ended jobs are remembered, the newest; those that run all are.
func TestForgetRecords(t *testing.T) {
	const kept, more = 1000, 7
	store := new(journal.Memory)
	r := openRecords(t, store)
	for i := range more {
		if err := r.Put(record(plan.JobID(fmt.Sprint("running", i)), 1, 0)); err != nil {
			t.Fatal(err)
		}
	}
	for i := range kept {
		if err := r.Put(record(plan.JobID(fmt.Sprint(i)), 1, int64(i+1))); err != nil {
			t.Fatal(err)
		}
	}
	if len(r.List()) != kept || store.Len() != kept {
		t.Errorf("%d records, %d uploads", len(r.List()), store.Len())
	}
	if r.Get("6") != nil || r.Get("7") == nil || r.Get("999") == nil || r.Get("running0") == nil {
		t.Error("not the oldest ended jobs were forgotten")
	}
}

// What ended jobs left is forgotten beyond so many bytes, the oldest first, and after a
// while; jobs that run are not.
func TestReclaimRecords(t *testing.T) {
	store := new(journal.Memory)
	r, err := journal.OpenRecords(store, 4000, quiet)
	if err != nil {
		t.Fatal(err)
	}
	put := func(rec *api.Record, bytes int) {
		t.Helper()
		rec.Spec.Statement = strings.Repeat("x", bytes)
		if err := r.Put(rec); err != nil {
			t.Fatal(err)
		}
	}
	put(record("runs", 1, 0), 1000)
	for i := range 4 {
		put(record(plan.JobID(fmt.Sprint("e", i)), 1, int64(1000*(i+1))), 1000)
	}
	left := func(r *journal.Records) (ids []string) {
		for _, rec := range r.List() {
			ids = append(ids, string(rec.Spec.ID))
		}
		slices.Sort(ids)
		return ids
	}
	if got := left(r); !slices.Equal(got, []string{"e2", "e3", "runs"}) {
		t.Errorf("beyond the bytes: %v", got)
	}
	if n := r.Reclaim(time.UnixMilli(4000)); n != 1 || !slices.Equal(left(r), []string{"e3", "runs"}) {
		t.Errorf("%d are old, and left are %v", n, left(r))
	}
	put(record("runs", 2, 0), 5000)
	if got := left(r); !slices.Equal(got, []string{"runs"}) || store.Len() != 1 {
		t.Errorf("one that runs is larger than all: %v, %d uploads", got, store.Len())
	}
	again, err := journal.OpenRecords(store, 6000, quiet)
	if err != nil {
		t.Fatal(err)
	}
	r = again
	put(record("e9", 1, 9000), 300)
	if got := left(r); !slices.Equal(got, []string{"e9", "runs"}) {
		t.Errorf("the bytes were not counted anew: %v", got)
	}
}

// A record that cannot be stored is an error, and the older one stays.
func TestRecordOnFullDisk(t *testing.T) {
	store := new(journal.Memory)
	r := openRecords(t, store)
	if err := r.Put(record("a", 1, 0)); err != nil {
		t.Fatal(err)
	}
	store.FailWith(fs.ErrNoSpace)
	if err := r.Put(record("a", 2, 0)); !errors.Is(err, plan.ErrResource) {
		t.Errorf("Put on a full disk: %v", err)
	}
	if got := r.Get("a"); got.Term != 1 {
		t.Errorf("the record is now %+v", got)
	}
}

// That a job without files failed is not put to the vote: a later term wins over it,
// whichever record comes first; over a success nothing does.
func TestFailureOfAnOldTerm(t *testing.T) {
	failed := record("a", 1, 5)
	failed.Status.State = api.Failed
	for name, puts := range map[string][]*api.Record{"first": {failed, record("a", 2, 0)}, "last": {record("a", 2, 0), failed}} {
		r := openRecords(t, new(journal.Memory))
		for _, rec := range puts {
			if err := r.Put(rec); err != nil {
				t.Fatal(err)
			}
		}
		if got := r.Get("a"); got.Term != 2 || got.Status != nil {
			t.Errorf("%s: %+v", name, got)
		}
	}
	r := openRecords(t, new(journal.Memory))
	own := record("a", 2, 6)
	own.Status.State = api.Failed
	for _, rec := range []*api.Record{record("a", 2, 0), own, record("a", 2, 0), failed} {
		if err := r.Put(rec); err != nil {
			t.Fatal(err)
		}
	}
	if got := r.Get("a"); got.Status == nil || got.Term != 2 {
		t.Errorf("the end of its own term is not kept: %+v", got)
	}
}
