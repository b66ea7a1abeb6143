package jobs

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"github.com/pondmesh/pond/actors/api"
	"github.com/pondmesh/pond/actors/plan"
	"github.com/pondmesh/pond/actors/prepare"
)

// submit hands a new job to a lone node.
func (n *node) submit(t *testing.T) *Job {
	t.Helper()
	spec := &api.JobSpec{ID: n.NewID()}
	if _, err := n.Submit(t.Context(), spec); err != nil {
		t.Fatal(err)
	}
	return n.Get(spec.ID)
}

// A node answers for the jobs that it drives and for those whose end it has recorded,
// and keeps the stages of a bounded number.
func TestTable(t *testing.T) {
	bubble(t, 1, func(t *testing.T, p *pond) {
		n := p.nodes["a"]
		first := n.submit(t)
		for i := range endedRunsMax + 1 {
			r := n.submit(t)
			s := n.ended(r, api.Succeeded, nil)
			s.Ended = int64(i)
			rec := *r.Record
			rec.Status = s
			n.RecordEnd(t.Context(), &rec)
			n.Leave(r)
			n.End(r, s)
		}
		if all, runs := n.All(), n.Running(); len(all) != endedRunsMax+1 || len(runs) != 1 || runs[0] != first {
			t.Errorf("%d jobs, %d run", len(all), len(runs))
		}
		for _, s := range n.List() {
			if again, err := n.Status(s.ID); err != nil || again.State != s.State || s.State.Ended() != (s.ID != first.Spec.ID) {
				t.Errorf("%+v, %+v, %v", s, again, err)
			}
		}
		if all := n.List(); len(all) != endedRunsMax+2 {
			t.Errorf("%d jobs are listed", len(all))
		}
		if n.Knows("other") || n.Get("other") != nil {
			t.Error("it knows a job that is not")
		}
		if _, err := n.Record("other"); !errors.Is(err, plan.ErrUnavailable) {
			t.Errorf("the record of a job that is not: %v", err)
		}
	})
}

// Watchers hear of each change until the end, which stays.
func TestWatch(t *testing.T) {
	bubble(t, 1, func(t *testing.T, p *pond) {
		n := p.nodes["a"]
		r := n.submit(t)
		_, changed := n.Watch(r.Spec.ID)
		r.Planning(3, 10)
		<-changed
		s, changed := n.Watch(r.Spec.ID)
		if s.Planning == nil || s.Planning.Files != 3 || s.Planning.Of != 10 {
			t.Errorf("planning: %+v", s)
		}
		s, err := n.Cancel(t.Context(), r.Spec.ID)
		if err != nil || s.State != api.Cancelled {
			t.Errorf("cancelled: %+v, %v", s, err)
		}
		<-changed
		n.End(r, n.ended(r, api.Failed, nil))
		if s, _ := r.Status(); s.State != api.Cancelled {
			t.Errorf("the end has become %s", s.State)
		}
		if s, err := n.Cancel(t.Context(), r.Spec.ID); err != nil || s.State != api.Cancelled {
			t.Errorf("cancelled again: %+v, %v", s, err)
		}
	})
}

// The stages of a job are those that run, or ran; of one of which only the record is
// left they are planned anew, unless the record has them.
func TestPlan(t *testing.T) {
	bubble(t, 1, func(t *testing.T, p *pond) {
		n := p.nodes["a"]
		r := n.submit(t)
		want := &plan.Job{}
		r.Planned(&prepare.Job{Plan: want})
		check := func(when string, same bool) {
			t.Helper()
			if got, err := n.Plan(t.Context(), r.Spec.ID); err != nil || (got == want) != same {
				t.Errorf("%s: the same plan: %t, %v", when, got == want, err)
			}
		}
		check("it runs", true)
		end := n.ended(r, api.Succeeded, nil)
		n.End(r, end)
		check("it has ended", true)
		delete(n.byID, r.Spec.ID)
		rec := *r.Record
		rec.Status = end
		n.recordEnd(&rec)
		check("its record is left", false)
		n.planned = plan.ErrNotFound
		if _, err := n.Plan(t.Context(), r.Spec.ID); !errors.Is(err, plan.ErrNotFound) {
			t.Errorf("its file is gone: %v", err)
		}
	})
}

// A node that leaves waits for the jobs that it drives. One that took itself for dead
// gives them up, and one that stops waits for their drivers.
func TestDrained(t *testing.T) {
	bubble(t, 1, func(t *testing.T, p *pond) {
		n := p.nodes["a"]
		<-n.Drained()
		r, other := n.submit(t), n.submit(t)
		drained := n.Drained()
		n.End(r, n.ended(r, api.Succeeded, nil))
		synctest.Wait()
		select {
		case <-drained:
			t.Error("a job runs yet")
		default:
		}
		n.Abandon()
		<-drained
		if givenUp(r) || !givenUp(other) || n.Get(r.Spec.ID) == nil || n.Get(other.Spec.ID) != nil {
			t.Error("not the jobs that run are given up")
		}
		last := n.submit(t)
		if n.Stop(); !givenUp(last) {
			t.Error("a driver has not stopped")
		}
	})
}

// The drivers of jobs that ended long ago, or before so many others, are stopped and
// forgotten with all that they know.
func TestEndedAreForgotten(t *testing.T) {
	bubble(t, 1, func(t *testing.T, p *pond) {
		n := p.nodes["a"]
		runs := n.submit(t)
		var jobs []*Job
		for i := range endedRunsMax + 2 {
			r := n.submit(t)
			s := n.ended(r, api.Succeeded, nil)
			s.Ended = int64(1 + i)
			n.Leave(r)
			n.End(r, s)
			jobs = append(jobs, r)
		}
		forgotten := func() (count int) {
			for _, r := range jobs {
				if gone := n.Get(r.Spec.ID) == nil; gone != givenUp(r) {
					t.Fatalf("forgotten: %v, stopped: %v", gone, givenUp(r))
				} else if gone {
					count++
				}
			}
			return count
		}
		if got := forgotten(); got != 2 || n.Get(jobs[1].Spec.ID) != nil {
			t.Errorf("%d jobs are forgotten", got)
		}
		if n.Forget(time.UnixMilli(11)); forgotten() != 10 {
			t.Errorf("%d jobs are forgotten", forgotten())
		}
		if n.Forget(time.Now()); forgotten() != len(jobs) || givenUp(runs) || n.Get(runs.Spec.ID) == nil {
			t.Errorf("%d jobs are forgotten, the one that runs: %v", forgotten(), givenUp(runs))
		}
	})
}

// While its slots are taken a node offers ids of jobs that others would drive as well.
func TestNewID(t *testing.T) {
	bubble(t, 3, func(t *testing.T, p *pond) {
		n := p.nodes["a"]
		own := func() (own int) {
			for range 50 {
				if homes, _ := n.Peers.Homes(n.NewID()); homes[0].ID == "a" {
					own++
				}
			}
			return own
		}
		if got := own(); got != 50 {
			t.Errorf("%d of 50 ids are its own", got)
		}
		for range n.Slots {
			n.submit(t)
		}
		if got := own(); got > 45 {
			t.Errorf("%d of 50 ids are its own, though its slots are taken", got)
		}
	})
}

// A client that waits for a job is counted.
func TestRenew(t *testing.T) {
	bubble(t, 1, func(t *testing.T, p *pond) {
		r := p.nodes["a"].submit(t)
		for range 3 {
			r.Renew()
		}
		if got := r.Renewals(); got != 3 {
			t.Errorf("%d renewals", got)
		}
	})
}

// Who asks for a start stops waiting when the node does.
func TestNodeStops(t *testing.T) {
	bubble(t, 1, func(t *testing.T, p *pond) {
		n := p.nodes["a"]
		n.driving = func(*Job) {}
		time.AfterFunc(time.Second, n.stop)
		spec := &api.JobSpec{ID: n.NewID()}
		if _, err := n.Submit(context.Background(), spec); !errors.Is(err, plan.ErrUnavailable) {
			t.Errorf("submitted: %v", err)
		}
	})
}
