package jobs

import (
	"errors"
	"maps"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/pondmesh/pond/actors/api"
	"github.com/pondmesh/pond/actors/fair"
	"github.com/pondmesh/pond/actors/plan"
)

// Jobs beyond the node's limit wait, and say so at once and in the list; the next is
// admitted when one gives up its place, and one beyond those that may wait is refused
// and leaves no record.
func TestWaiting(t *testing.T) {
	limited(t, 1, fair.Limits{Jobs: 1, Waiting: 2}, func(t *testing.T, p *pond) {
		n := p.nodes["a"]
		first, second, third := n.submit(t), n.submit(t), n.submit(t)
		place := func(r *Job) int {
			s, _ := n.Watch(r.Spec.ID)
			if s.Waiting == nil {
				return 0
			}
			return s.Waiting.Place
		}
		if place(first) != 0 || place(second) != 1 || place(third) != 2 || n.Waiting() != 2 || n.Admitted(third) {
			t.Errorf("places %d, %d, %d", place(first), place(second), place(third))
		}
		if states := n.States(); !maps.Equal(states, map[api.State]int{api.Running: 1, api.Queued: 2}) {
			t.Errorf("by state: %v", states)
		}
		spec := &api.JobSpec{ID: n.NewID()}
		if _, err := n.Submit(t.Context(), spec); !errors.Is(err, plan.ErrBusy) || n.Full(fair.Entrant{}) == nil || n.Records.Get(spec.ID) != nil {
			t.Errorf("one more: %v", err)
		}
		for _, s := range n.List() {
			if waits := s.Waiting != nil; waits != (s.ID != first.Spec.ID) {
				t.Errorf("in the list: %+v", s)
			}
		}
		n.end(first, api.Succeeded, nil)
		synctest.Wait()
		if s, _ := second.Status(); s.State != api.Running || place(third) != 1 || n.Full(fair.Entrant{}) != nil {
			t.Errorf("the second job: %+v; the third is at %d", s, place(third))
		}
		n.Fence(second.Spec.ID, 2)
		synctest.Wait()
		if s, _ := third.Status(); s.State != api.Running {
			t.Errorf("the third job: %+v", s)
		}
	})
}

// What the first home has no room for is refused wherever it was handed in, and none of
// the other homes runs it later.
func TestRefusedElsewhere(t *testing.T) {
	limited(t, 4, fair.Limits{Jobs: 1}, func(t *testing.T, p *pond) {
		spec, homes, other := p.submission()
		homes[0].submit(t)
		if _, err := other.Submit(t.Context(), spec); !errors.Is(err, plan.ErrBusy) {
			t.Errorf("submitted: %v", err)
		}
		homes[0].die()
		p.lose(homes[0].member.ID)
		time.Sleep(long)
		for i, n := range homes[1:] {
			if s, err := n.Status(spec.ID); err != nil || s.State != api.Failed || !errors.Is(s.Error.Err(), plan.ErrBusy) {
				t.Errorf("home %d: %+v, %v", i+1, s, err)
			}
		}
	})
}

// A successor drives at once what ran, though it drives as many jobs as it may, and has
// those wait that waited.
func TestWaitingTakenOver(t *testing.T) {
	limited(t, 3, fair.Limits{Jobs: 1, Waiting: 9}, func(t *testing.T, p *pond) {
		spec, homes, _ := submitted(t, p)
		members, _ := homes[0].Peers.Homes(spec.ID)
		like := &api.JobSpec{}
		for same := false; !same; {
			like.ID = api.NewJobID()
			others, _ := homes[0].Peers.Homes(like.ID)
			same = slices.Equal(members, others)
		}
		if _, err := homes[0].Submit(t.Context(), like); err != nil {
			t.Fatal(err)
		}
		waits := homes[0].Get(like.ID)
		homes[0].RecordWait(waits, api.Waits)
		next := homes[1]
		busy := next.submit(t)
		homes[0].die()
		p.lose(homes[0].member.ID)
		time.Sleep(long)
		if s, err := next.Status(spec.ID); err != nil || s.State != api.Running || s.Term != 2 {
			t.Errorf("it ran: %+v, %v", s, err)
		}
		if s, _ := next.Watch(waits.Spec.ID); s == nil || s.State != api.Queued || s.Waiting == nil || s.Term != 2 {
			t.Errorf("it waited: %+v", s)
		}
		if s, _ := busy.Status(); s.State != api.Running {
			t.Errorf("the successor's own: %+v", s)
		}
	})
}

// TestInTurn: jobs are taken over in the order in which they would have run.
func TestInTurn(t *testing.T) {
	rec := func(id string, submitted int64, w api.Wait) *api.Record {
		return &api.Record{Spec: &api.JobSpec{ID: plan.JobID(id), Submitted: submitted}, Wait: w}
	}
	var got string
	for _, r := range inTurn([]*api.Record{rec("d", 1, api.Waits), rec("b", 3, 0), rec("e", 4, api.Waits), rec("a", 2, 0), rec("c", 5, api.Waited)}) {
		got += string(r.Spec.ID)
	}
	if got != "abcde" {
		t.Errorf("in turn: %s", got)
	}
}
