package scenario

import (
	"math/rand/v2"
	"slices"
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
	for _, i := range s.subset(rng) {
		f := s.Faults[i]
		f.Node = rng.IntN(s.Setup.Nodes)
		f.At = f.At.draw(rng)
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

// subset are the indices of the faults of a run, in order.
func (s *Scenario) subset(rng *rand.Rand) []int {
	n := len(s.Faults)
	if s.Draw.Max > 0 {
		n = s.Draw.Min + rng.IntN(s.Draw.Max-s.Draw.Min+1)
	}
	out := rng.Perm(len(s.Faults))[:n]
	slices.Sort(out)
	return out
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
