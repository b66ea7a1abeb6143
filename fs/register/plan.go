package register

import (
	"cmp"
	"slices"
)

// Candidate is a keeper that the roster may have.
type Candidate struct {
	ID   KeeperID
	Zone string
	// Fit: it has just answered, and its node is to stay. One of the roster's that is
	// not may come back yet.
	Fit bool
	// Leaves: it keeps the registers, and its node is about to go.
	Leaves bool
}

// Size is how many keepers n nodes have: an odd number, since an even one stands no
// more deaths; two nodes have one, since of two both would be needed.
func Size(n int) int {
	switch {
	case n < 3:
		return 1
	case n < 5:
		return 3
	}
	return 5
}

// Plan is the keepers that the roster should have: nil when it is as it should be, or
// nothing better can be had now. Keepers of the roster that are no candidates are given
// up: they are dead for too long, or without their disk. One that leaves is replaced, if
// somebody can: the keepers do not become fewer by it, since it may well come back, and
// nodes that are stopped one after another would leave all to the last. It prefers
// distinct zones, and those who keep the registers already.
func Plan(r Roster, candidates []Candidate) []KeeperID {
	if r.Joint() || r.Version == 0 {
		return nil
	}
	leaver := func(c Candidate) bool { return c.Leaves }
	leaves := slices.ContainsFunc(candidates, leaver)
	candidates = slices.DeleteFunc(slices.Clone(candidates), func(c Candidate) bool { return leaver(c) || slices.Contains(r.GivenUp, c.ID) })
	next := pick(r, candidates, Size(len(candidates)))
	old := slices.DeleteFunc(slices.Clone(candidates), func(c Candidate) bool { return !slices.Contains(r.Keepers, c.ID) })
	switch {
	case !majorityFit(next):
		return nil // it would not come to an end
	case leaves && len(next) < len(r.Keepers):
		return nil
	case len(old) == len(r.Keepers) && len(next) == len(old) && zones(next) <= zones(old):
		return nil
	}
	return ids(next)
}

// First is the keepers that found a pond, of all that are there.
func First(candidates []Candidate) []KeeperID {
	return ids(pick(Roster{}, candidates, Size(len(candidates))))
}

// pick takes n candidates, one after another: of a zone that has fewest so far, fit, of
// the roster, in this order.
func pick(r Roster, candidates []Candidate, n int) []Candidate {
	left := slices.Clone(candidates)
	var taken []Candidate
	inZone := map[string]int{}
	for len(taken) < n && len(left) > 0 {
		best := slices.MinFunc(left, func(a, b Candidate) int {
			return cmp.Or(cmp.Compare(inZone[a.Zone], inZone[b.Zone]), first(a.Fit, b.Fit),
				first(slices.Contains(r.Keepers, a.ID), slices.Contains(r.Keepers, b.ID)), cmp.Compare(a.ID, b.ID))
		})
		taken = append(taken, best)
		inZone[best.Zone]++
		left = slices.DeleteFunc(left, func(c Candidate) bool { return c.ID == best.ID })
	}
	return taken
}

// first orders what is so before what is not.
func first(a, b bool) int {
	switch {
	case a == b:
		return 0
	case a:
		return -1
	}
	return 1
}

func majorityFit(cs []Candidate) bool {
	n := 0
	for _, c := range cs {
		if c.Fit {
			n++
		}
	}
	return 2*n > len(cs)
}

func zones(cs []Candidate) int {
	all := map[string]bool{}
	for _, c := range cs {
		all[c.Zone] = true
	}
	return len(all)
}

func ids(cs []Candidate) []KeeperID {
	var out []KeeperID
	for _, c := range cs {
		out = append(out, c.ID)
	}
	slices.Sort(out)
	return out
}
