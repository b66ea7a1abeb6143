package scenario

import (
	"math/rand/v2"
	"slices"
	"strings"
	"time"

	"github.com/pondmesh/pond/fs/faults"
)

// Plan is the run of a seed. The scenario must be valid.
func (s *Scenario) Plan(seed uint64) *Plan {
	rng := rand.New(rand.NewPCG(seed, 0))
	p := &Plan{Scenario: s.Name, Seed: seed, Setup: s.Setup}
	if s.Setup.Driver == Sim {
		p.Job.Name = "drawn"
		return p
	}
	p.Job = s.Jobs[rng.IntN(len(s.Jobs))]
	p.Asked = rng.IntN(s.Setup.Nodes)
	drawn := s.subset(rng, p.Job.Into)
	heir := slices.ContainsFunc(drawn, func(i int) bool { return s.Faults[i].Who == Successor })
	for _, i := range drawn {
		f := s.Faults[i]
		f.Node = rng.IntN(s.Setup.Nodes)
		random := f.At.On == Random
		f.At = f.At.draw(rng)
		if random && f.At.Share == 1 && (p.Job.Into == Result || heir && f.deposes() || f.Do == Engine) {
			f.At.Share = 0 // rows are nobody's to publish, an heir is to have something to do, and no engine works
		}
		f.For.Min += Duration(rng.Int64N(int64(f.For.Max-f.For.Min) + 1))
		f.For.Max = f.For.Min
		if f.Skip.Max > 0 {
			f.Skip.Min += rng.IntN(f.Skip.Max - f.Skip.Min + 1)
			f.Skip.Max = f.Skip.Min
		}
		p.Faults = append(p.Faults, f)
	}
	return p
}

// subset are the indices of the faults of a run, in order. Of those that are drawn none
// is known to find nothing to strike, if others are left to draw.
func (s *Scenario) subset(rng *rand.Rand, into Into) []int {
	n := len(s.Faults)
	if s.Draw.Max > 0 {
		n = s.Draw.Min + rng.IntN(s.Draw.Max-s.Draw.Min+1)
	}
	all := rng.Perm(len(s.Faults))
	slices.SortStableFunc(all, func(i, j int) int { return s.Faults[i].idle(into) - s.Faults[j].idle(into) })
	out, rest := s.peaceful(all, n)
	if !slices.ContainsFunc(out, func(i int) bool { return s.Faults[i].deposes() }) { // there will be no successor
		for at, i := range out {
			if s.Faults[i].Who != Successor {
				continue
			}
			others := slices.Delete(slices.Clone(out), at, at+1)
			if o := slices.IndexFunc(rest, func(i int) bool { return s.Faults[i].Who != Successor && !s.clash(others, i) }); o >= 0 {
				out[at], rest[o] = rest[o], out[at]
			}
		}
	}
	slices.Sort(out)
	return out
}

// peaceful takes n of the faults, in their order, of which none keeps another from
// happening, if there are as many.
func (s *Scenario) peaceful(all []int, n int) (out, rest []int) {
	for _, i := range all {
		if len(out) < n && !s.clash(out, i) {
			out = append(out, i)
		} else {
			rest = append(rest, i)
		}
	}
	more := n - len(out)
	return append(out, rest[:more]...), rest[more:]
}

// clash reports whether a fault and one of the others keep each other from happening.
func (s *Scenario) clash(others []int, i int) bool {
	return slices.ContainsFunc(others, func(o int) bool { return s.Faults[i].bars(&s.Faults[o]) || s.Faults[o].bars(&s.Faults[i]) })
}

// bars reports whether the other fault seldom finds a node to strike that is not taken:
// the coordinator is while it waits for its death at a point, and all are never free
// beside one that is away.
func (f *Fault) bars(o *Fault) bool {
	waits := f.Deadly() && f.Who == Coordinator
	return waits && (o.Who == Coordinator || o.Who == Asked || o.Who == Successor) || f.Who == All && (o.away() || o.Do == Starve)
}

// idle is 1 if a job of that kind never comes by the point at which the fault is injected:
// one whose rows are its client's publishes nothing, and decides nothing by registers.
func (f *Fault) idle(into Into) int {
	decides := []faults.Point{faults.TermCAS, faults.TermCASDone, faults.RegisterAnswer, faults.KeeperWrite, faults.KeeperSync, faults.Published}
	folder := []faults.Point{faults.PublishJoin, faults.PublishSwap, faults.PublishSetAside, faults.PublishFinish, faults.PublishRemove}
	switch {
	case f.Do != Inject:
	case into == Result && (strings.HasPrefix(string(f.Point), string(faults.Publish)) || slices.Contains(decides, f.Point)),
		into != Append && slices.Contains(folder, f.Point):
		return 1
	}
	return 0
}

// shortest is how long its coordinator is silent at least until another drives a job.
const shortest = Duration(10 * time.Second)

// deposes reports whether another is to drive the job when the fault has struck. Who was
// asked may not drive it.
func (f *Fault) deposes() bool {
	lasts := f.For.Min == 0 || f.For.Min >= shortest
	return (f.Who == Coordinator || f.Who == All) && (f.Do == Kill || f.Do == Leave || lasts && (f.Do == Stop || f.Do == Cut && !f.Gossip))
}

// One in so many random moments is that before the first task has been done, and one
// that after the last, when output is published: where a share drawn evenly seldom
// falls.
const edgeOf = 5

// lateMax bounds other random moments, in percent: between the last tasks of a small job
// nobody looks at it.
const lateMax = 80

func (m Moment) draw(rng *rand.Rand) Moment {
	if m.On != Random {
		return m
	}
	out := Moment{On: Share}
	switch rng.IntN(edgeOf) {
	case 0:
	case 1:
		out.Share = 1
	default:
		out.Share = float64(rng.IntN(lateMax)) / 100
	}
	return out
}

// Without is the plan without one of its faults.
func (p *Plan) Without(i int) *Plan {
	out := *p
	out.Faults = slices.Delete(slices.Clone(p.Faults), i, i+1)
	return &out
}

// Validate refuses a plan that no scenario could have drawn, such as one that was
// changed by hand.
func (p *Plan) Validate() error {
	s := Scenario{Name: p.Scenario, Setup: p.Setup, Faults: p.Faults}
	if p.Setup.Driver != Sim {
		s.Jobs = []Job{p.Job}
	}
	if err := s.Validate(); err != nil {
		return err
	}
	p.Setup = s.Setup
	if p.Setup.Driver == Sim {
		return nil
	}
	for _, f := range p.Faults {
		if f.At.On == Random || f.For.Min != f.For.Max || f.Skip.Min != f.Skip.Max || f.Node < 0 || f.Node >= p.Setup.Nodes {
			return mistake(0, "fault %s: its moment, duration or node is left to chance", f.Do)
		}
	}
	if p.Asked < 0 || p.Asked >= p.Setup.Nodes {
		return mistake(0, "asked: there is no node %d", p.Asked)
	}
	return nil
}
