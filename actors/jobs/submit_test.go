package jobs

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"github.com/pondmesh/pond/actors/api"
	"github.com/pondmesh/pond/actors/plan"
	"github.com/pondmesh/pond/actors/terms"
	"github.com/pondmesh/pond/mesh"
)

// submission is a job whose homes are these nodes' first, in any order.
func (p *pond) submission() (spec *api.JobSpec, homes []*node, other *node) {
	spec = &api.JobSpec{ID: api.NewJobID()}
	members, others := p.nodes["a"].Peers.Homes(spec.ID)
	for _, m := range members {
		homes = append(homes, p.nodes[m.ID])
	}
	if len(others) > 0 {
		other = p.nodes[others[0].ID]
	}
	return spec, homes, other
}

// A job runs on its first home, whoever is asked, and all homes have its record. The
// same submission again is that job; another one by its id is refused.
func TestSubmit(t *testing.T) {
	bubble(t, 4, func(t *testing.T, p *pond) {
		spec, homes, other := p.submission()
		for _, n := range append(homes, other) {
			again := &api.JobSpec{ID: spec.ID}
			s, err := n.Submit(t.Context(), again)
			if err != nil || s.State != api.Running || s.Coordinator != string(homes[0].member.ID) || s.Term != 1 {
				t.Fatalf("%s: %+v, %v", n.member.ID, s, err)
			}
		}
		synctest.Wait()
		for i, n := range homes {
			if rec := n.Records.Get(spec.ID); rec == nil || rec.Term != 1 || rec.Driver.Node != string(homes[0].member.ID) || rec.Capacity.Slots != 8 {
				t.Errorf("the record of home %d: %+v", i, rec)
			}
			if drives := n.Get(spec.ID) != nil; drives != (i == 0) {
				t.Errorf("home %d drives the job: %t", i, drives)
			}
		}
		if rec := other.Records.Get(spec.ID); rec != nil {
			t.Errorf("a node that is no home has %+v", rec)
		}
		for _, n := range append(homes, other) {
			if _, err := n.Submit(t.Context(), &api.JobSpec{ID: spec.ID, Name: "another"}); !errors.Is(err, plan.ErrExists) {
				t.Errorf("%s: another job by the id: %v", n.member.ID, err)
			}
		}
	})
}

// What is no job is refused before anybody hears of it.
func TestSubmitRefused(t *testing.T) {
	bubble(t, 1, func(t *testing.T, p *pond) {
		n := p.nodes["a"]
		for name, spec := range map[string]*api.JobSpec{
			"no id":             {ID: "x"},
			"a deadline before": {ID: api.NewJobID(), Options: api.JobOptions{DeadlineMillis: -1}},
			"an endless lease":  {ID: api.NewJobID(), Options: api.JobOptions{LeaseMillis: 1 << 62}},
		} {
			if _, err := n.Submit(t.Context(), spec); err == nil {
				t.Errorf("%s is taken", name)
			}
		}
		if all := n.List(); len(all) != 0 {
			t.Errorf("jobs: %+v", all)
		}
	})
}

// What is wrong with a job when it is planned is the answer to who submits it, on
// whichever node.
func TestSubmitFails(t *testing.T) {
	bubble(t, 4, func(t *testing.T, p *pond) {
		spec, homes, other := p.submission()
		homes[0].driving = func(r *Job) {
			homes[0].End(r, homes[0].ended(r, api.Failed, &plan.Error{Kind: plan.KindNotFound, Text: "no such file"}))
		}
		if _, err := other.Submit(t.Context(), spec); !errors.Is(err, plan.ErrNotFound) {
			t.Errorf("submitted: %v", err)
		}
	})
}

// Planning that takes long is not waited for: the job is taken.
func TestSubmitSlow(t *testing.T) {
	bubble(t, 3, func(t *testing.T, p *pond) {
		spec, homes, _ := p.submission()
		homes[0].driving = func(*Job) {}
		begun := time.Now()
		s, err := homes[0].Submit(t.Context(), spec)
		if err != nil || s.State != api.Queued || time.Since(begun) != startTimeout {
			t.Errorf("after %v: %+v, %v", time.Since(begun), s, err)
		}
	})
}

// A job whose first home has just died finds nobody who may drive it until the others
// notice; handed in again it runs on the next.
func TestFirstHomeDied(t *testing.T) {
	bubble(t, 4, func(t *testing.T, p *pond) {
		spec, homes, other := p.submission()
		homes[0].die()
		if _, err := other.Submit(t.Context(), spec); !errors.Is(err, plan.ErrUnavailable) {
			t.Errorf("its first home is not noticed to be dead: %v", err)
		}
		p.lose(homes[0].member.ID)
		s, err := other.Submit(t.Context(), spec)
		if err != nil || s.Coordinator != string(homes[1].member.ID) || s.State != api.Running || s.Term != 2 {
			t.Errorf("%+v, %v", s, err)
		}
	})
}

// A job that too few nodes can record is refused, and does not go on: nobody would know
// of it after its driver. That all lack room is told as that.
func TestSubmitUnrecorded(t *testing.T) {
	for _, c := range []struct {
		fails func(i int) error
		want  error
	}{
		{func(i int) error {
			if i == 0 {
				return nil
			}
			return errors.New("a broken disk")
		}, plan.ErrUnavailable},
		{func(int) error {
			return &plan.Error{Kind: plan.KindResource, Text: "the disk is full", Hint: "make room"}
		}, plan.ErrResource},
	} {
		bubble(t, 3, func(t *testing.T, p *pond) {
			spec, homes, _ := p.submission()
			for i, n := range homes {
				n.disk.FailWith(c.fails(i))
			}
			_, err := homes[0].Submit(t.Context(), spec)
			if !errors.Is(err, c.want) || c.want == plan.ErrResource && plan.AsError(err).Hint != "make room" {
				t.Errorf("submitted: %v, want %v", err, c.want)
			}
			synctest.Wait()
			if r := homes[0].Get(spec.ID); r != nil {
				if s, _ := r.Status(); s.State != api.Cancelled {
					t.Errorf("the job is %s", s.State)
				}
			}
		})
	}
}

// A client that goes away while its job is planned leaves none behind, whoever drives it.
func TestAbandoned(t *testing.T) {
	for _, there := range []bool{false, true} {
		bubble(t, 4, func(t *testing.T, p *pond) {
			spec, homes, asked := p.submission()
			if !there {
				asked = homes[0]
			}
			homes[0].driving = func(*Job) {} // it plans for ever
			ctx, leave := context.WithTimeout(t.Context(), time.Second)
			defer leave()
			if _, err := asked.Submit(ctx, spec); !errors.Is(err, context.DeadlineExceeded) {
				t.Errorf("submitted: %v", err)
			}
			time.Sleep(time.Second) // of the bubble's clock
			s, err := homes[0].Status(spec.ID)
			if err != nil || s.State != api.Cancelled {
				t.Errorf("asked elsewhere: %t: %+v, %v", there, s, err)
			}
		})
	}
}

// TestAbandonedUnbegun: of a job that runs nowhere yet its homes hear that it is over.
func TestAbandonedUnbegun(t *testing.T) {
	bubble(t, 4, func(t *testing.T, p *pond) {
		spec, homes, other := p.submission()
		if err := spec.Seal(); err != nil {
			t.Fatal(err)
		}
		var members []mesh.Member
		for _, h := range homes {
			members = append(members, h.member)
		}
		rec := newRecord(spec, p.now(), members)
		other.putAll(t.Context(), rec, members).wait()
		other.abandoned(rec, members)
		time.Sleep(terms.StartGrace + terms.TurnPause) // of the bubble's clock: nobody takes it over
		for i, n := range homes {
			if s, err := n.Status(spec.ID); err != nil || s.State != api.Cancelled || n.Get(spec.ID) != nil {
				t.Errorf("home %d: %+v, %v", i, s, err)
			}
		}
	})
}
