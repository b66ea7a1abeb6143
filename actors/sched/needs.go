package sched

import (
	"slices"

	"github.com/pondmesh/pond/actors/plan"
	"github.com/pondmesh/pond/mesh/offers"
)

// Not every node has every Go function. A stage needs the functions that it calls for
// sure, and of the names that its SQL calls those that some node has been seen to offer.

// addNeeds notes what a new stage calls.
func (d *Decider) addNeeds(s *stage) {
	functions, inSQL := s.plan.Calls()
	for _, f := range functions {
		s.needs = append(s.needs, offers.Func(f))
	}
	for _, f := range inSQL {
		if name := offers.Func(f); !slices.Contains(s.needs, name) {
			s.may = append(s.may, name)
		}
	}
	for _, n := range d.order {
		s.learn(n)
	}
}

// learn makes needs of the names that a node offers.
func (s *stage) learn(n *node) {
	if n.offers == "" {
		return
	}
	s.may = slices.DeleteFunc(s.may, func(name string) bool {
		if n.offers.Has(name) {
			s.needs = append(s.needs, name)
			return true
		}
		return false
	})
}

// can reports whether a node has the functions that a stage calls.
func (n *node) can(s *stage) bool { return n.offers.HasAll(s.needs) }

// able is how many of the nodes that take tasks can run a stage.
func (d *Decider) able(s *stage) int {
	if len(s.needs) == 0 {
		return d.usable
	}
	count := 0
	for _, n := range d.order {
		if n.usable() && n.can(s) {
			count++
		}
	}
	return count
}

// useful reports whether a node can run some stage that has tasks for it.
func (d *Decider) useful(n *node) bool {
	return slices.ContainsFunc(d.open, func(s *stage) bool { return s.ready > 0 && n.can(s) })
}

// choosy reports whether there are tasks now that some node which takes tasks cannot run.
func (d *Decider) choosy() bool {
	return slices.ContainsFunc(d.open, func(s *stage) bool { return s.ready > 0 && d.able(s) < d.usable })
}

// stuck is a stage with tasks that no node can run while there is nothing else to do.
func (d *Decider) stuck() *stage {
	if d.ready == 0 || d.attempts > 0 {
		return nil
	}
	var first *stage
	for _, s := range d.open {
		switch {
		case s.ready == 0:
		case d.able(s) > 0:
			return nil
		case first == nil:
			first = s
		}
	}
	return first
}

// missing is a function that a stage needs and no node has.
func (d *Decider) missing(s *stage) string {
	functions, _ := s.plan.Calls()
	for _, f := range functions {
		if !slices.ContainsFunc(d.order, func(n *node) bool { return n.offers.Has(offers.Func(f)) }) {
			return f
		}
	}
	return ""
}

// checkNeeds fails a new job that calls what nobody has. A successor's nodes may be on
// their way back.
func (d *Decider) checkNeeds() {
	for _, s := range d.stages {
		if f := d.missing(s); f != "" && d.cfg.Term == 1 && len(d.order) > 0 {
			d.fail(&plan.Error{Kind: plan.KindUser, Op: "call", Subject: f, Text: "no node has a Go function of that name",
				Hint: "register it where a program joins (pond.WithBatchFunc and its like)"})
			return
		}
	}
}
