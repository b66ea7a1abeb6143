package jobs

import (
	"context"
	"errors"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/pondmesh/pond/actors/api"
	"github.com/pondmesh/pond/actors/plan"
	"github.com/pondmesh/pond/actors/terms"
	"github.com/pondmesh/pond/mesh"
)

// submitted is a job that runs on the first of its homes.
func submitted(t *testing.T, p *pond) (*api.JobSpec, []*node, *Job) {
	t.Helper()
	spec, homes, _ := p.submission()
	if _, err := homes[0].Submit(t.Context(), spec); err != nil {
		t.Fatal(err)
	}
	synctest.Wait() // until all homes have the record
	return spec, homes, homes[0].Get(spec.ID)
}

// long is enough for any node's turn, by the bubble's clock.
const long = 10 * terms.TurnPause

// The first home that lives takes a job over when its driver is gone, in the next term;
// the others hear of it.
func TestTakenOver(t *testing.T) {
	bubble(t, 4, func(t *testing.T, p *pond) {
		spec, homes, _ := submitted(t, p)
		homes[0].die()
		p.lose(homes[0].member.ID)
		time.Sleep(long)
		next := homes[1]
		s, err := next.Status(spec.ID)
		if err != nil || s.State != api.Running || s.Term != 2 || s.Coordinator != string(next.member.ID) {
			t.Fatalf("%+v, %v", s, err)
		}
		if rec := homes[2].Records.Get(spec.ID); rec.Term != 2 || rec.Driver != terms.DriverOf(next.member) || homes[2].Get(spec.ID) != nil {
			t.Errorf("the other home's record: %+v", rec)
		}
	})
}

// A driver that hears of a newer term gives its job up, and says so to who asks; of its
// own it does not.
func TestFenced(t *testing.T) {
	bubble(t, 3, func(t *testing.T, p *pond) {
		spec, homes, r := submitted(t, p)
		_, changed := r.Status()
		homes[0].Fence(spec.ID, 1)
		if givenUp(r) {
			t.Error("it gives up its own term")
		}
		drained := homes[0].Drained()
		homes[0].Fence(spec.ID, 2)
		<-changed
		<-drained
		if _, err := homes[0].Status(spec.ID); !givenUp(r) || !r.over() || !errors.Is(err, plan.ErrUnavailable) {
			t.Errorf("given up: %t, %v", givenUp(r), err)
		}
		r.Tell(homes[0].ended(r, api.Succeeded, nil))
		if s, _ := r.Status(); s.State == api.Succeeded {
			t.Error("it has ended after that")
		}
	})
}

// A home that has missed a job's end hears of it from its living driver, which is asked
// now and then.
func TestMissedEnd(t *testing.T) {
	bubble(t, 3, func(t *testing.T, p *pond) {
		spec, homes, r := submitted(t, p)
		homes[1].disk.FailWith(errors.New("busy"))
		end := homes[0].ended(r, api.Succeeded, nil)
		rec := *r.Record
		rec.Status = end
		if !homes[0].RecordEnd(t.Context(), &rec) {
			t.Error("most homes do not know")
		}
		homes[0].End(r, end)
		synctest.Wait() // until all homes have been told
		homes[1].disk.FailWith(nil)
		if homes[1].Knows(spec.ID) {
			t.Error("it knows already")
		}
		time.Sleep(terms.CheckInterval + 3*heirInterval)
		if s, err := homes[1].Status(spec.ID); err != nil || s.State != api.Succeeded {
			t.Errorf("%+v, %v", s, err)
		}
	})
}

// A job that has ended is not driven again, though its driver is gone and its next home
// has missed the end: another home knows it, or the keepers do.
func TestEndedBefore(t *testing.T) {
	for _, c := range []struct {
		name string
		end  func(t *testing.T, homes []*node, r *Job)
		want api.State
	}{
		{"recorded at another home", func(t *testing.T, homes []*node, r *Job) {
			rec := *r.Record
			rec.Status = homes[0].ended(r, api.Succeeded, nil)
			if err := homes[2].Records.Put(&rec); err != nil {
				t.Error(err)
			}
		}, api.Succeeded},
		{"decided", func(t *testing.T, _ []*node, r *Job) {
			if err := r.Term.Decide(t.Context(), terms.Cancelled, 0, plan.ErrCancelled); err != nil {
				t.Error(err)
			}
		}, api.Cancelled},
	} {
		bubble(t, 3, func(t *testing.T, p *pond) {
			spec, homes, r := submitted(t, p)
			c.end(t, homes, r)
			homes[0].die()
			p.lose(homes[0].member.ID)
			time.Sleep(long)
			if s, err := homes[1].Status(spec.ID); err != nil || s.State != c.want || homes[1].Get(spec.ID) != nil {
				t.Errorf("%s: %+v, %v", c.name, s, err)
			}
		})
	}
}

// Nor is a job driven again when the node that knows of its end comes only while the
// keepers are waited for.
func TestEndTurnsUp(t *testing.T) {
	bubble(t, 3, func(t *testing.T, p *pond) {
		spec, homes, r := submitted(t, p)
		rec := *r.Record
		rec.Status = homes[0].ended(r, api.Failed, plan.ErrUnavailable)
		if err := homes[2].Records.Put(&rec); err != nil {
			t.Fatal(err)
		}
		homes[0].die()
		p.registers.Before(func() error { // while keepers are waited for
			p.see(homes[1].member, homes[2].member)
			return nil
		})
		p.see(homes[1].member)
		time.Sleep(long)
		if s, err := homes[1].Status(spec.ID); err != nil || s.State != api.Failed || homes[1].Get(spec.ID) != nil {
			t.Errorf("%+v, %v", s, err)
		}
	})
}

// Homes on their way out hear of an end, though none of them counts as a home any more.
func TestEndAmongLeavers(t *testing.T) {
	bubble(t, 3, func(t *testing.T, p *pond) {
		spec, homes, r := submitted(t, p)
		leavers := slices.Clone(p.now().Members)
		for i := range leavers {
			leavers[i].State = mesh.Leaving
		}
		p.see(leavers...)
		rec := *r.Record
		rec.Status = homes[0].ended(r, api.Failed, plan.ErrUnavailable)
		homes[0].RecordEnd(t.Context(), &rec)
		synctest.Wait()
		for _, n := range homes {
			if s, err := n.Status(spec.ID); n != homes[0] && (err != nil || s.State != api.Failed) {
				t.Errorf("node %s: %+v, %v", n.member.ID, s, err)
			}
		}
	})
}

// A job that another drives is not to be had, by asking for it either.
func TestNotTakenFromTheLiving(t *testing.T) {
	bubble(t, 3, func(t *testing.T, p *pond) {
		spec, homes, r := submitted(t, p)
		if _, err := homes[1].Coordinate(t.Context(), homes[1].Records.Get(spec.ID)); !errors.Is(err, plan.ErrFenced) {
			t.Errorf("it is driven: %v", err)
		}
		time.Sleep(long)
		if s, err := homes[0].Status(spec.ID); err != nil || s.Term != 1 || givenUp(r) {
			t.Errorf("%+v, %v", s, err)
		}
	})
}

// A job that was recorded and never started, since who submitted it is gone, is started
// by the driver that its record names.
func TestStartedByItsDriver(t *testing.T) {
	bubble(t, 3, func(t *testing.T, p *pond) {
		spec, homes, _ := p.submission()
		if err := spec.Seal(); err != nil {
			t.Fatal(err)
		}
		members, _ := homes[0].Peers.Homes(spec.ID)
		homes[1].putAll(context.Background(), newRecord(spec, p.now(), members), members).wait()
		time.Sleep(terms.StartGrace + 2*heirInterval)
		if s, err := homes[0].Status(spec.ID); err != nil || s.State != api.Running || s.Term != 1 {
			t.Errorf("%+v, %v", s, err)
		}
	})
}

// A first driver that was fenced off while it lived takes its job up again when the node
// that took it over has died with its record.
func TestTakenUpAgain(t *testing.T) {
	bubble(t, 3, func(t *testing.T, p *pond) {
		spec, homes, r := submitted(t, p)
		other := homes[1]
		term, _, err := terms.Raise(t.Context(), &p.registers, r.Record, terms.DriverOf(other.member), func(api.Driver) bool { return true })
		if err != nil || term.Number() != 2 {
			t.Fatal(term, err)
		}
		other.die() // before it has told anybody
		p.lose(other.member.ID)
		homes[0].Fence(spec.ID, 2) // it has found out by a vote
		time.Sleep(terms.StartGrace + long)
		if s, err := homes[0].Status(spec.ID); err != nil || s.State != api.Running || s.Term != 3 {
			t.Errorf("%+v, %v", s, err)
		}
	})
}

// A node that has won a job by a vote of which it has heard nothing is told so by those
// who find that it does not drive it.
func TestWonUnheard(t *testing.T) {
	bubble(t, 3, func(t *testing.T, p *pond) {
		spec, homes, r := submitted(t, p)
		winner := homes[1]
		term, _, err := terms.Raise(t.Context(), &p.registers, r.Record, terms.DriverOf(winner.member), func(api.Driver) bool { return true })
		if err != nil || term.Number() != 2 {
			t.Fatal(term, err)
		}
		homes[0].Fence(spec.ID, 2)
		time.Sleep(2*terms.StartGrace + terms.CheckInterval + long)
		if s, err := winner.Status(spec.ID); err != nil || s.State != api.Running || s.Term != 2 {
			t.Errorf("%+v, %v", s, err)
		}
	})
}

// A node whose disk fails passes a job on that it has won: while it lives nobody would take
// the job over from it.
func TestYielded(t *testing.T) {
	bubble(t, 4, func(t *testing.T, p *pond) {
		spec, homes, _ := submitted(t, p)
		homes[1].disk.FailWith(errors.New("a broken disk"))
		homes[0].die()
		p.lose(homes[0].member.ID)
		time.Sleep(long)
		s, err := homes[2].Status(spec.ID)
		if err != nil || s.State != api.Running || s.Term != 3 || homes[1].Get(spec.ID) != nil {
			t.Fatalf("%+v, %v", s, err)
		}
	})
}
