package sched

import "github.com/pondmesh/pond/actors/plan"

// threads is how many threads an attempt on n may use. A job of a single task has
// the node's cores to itself; a task alone on its node has all its slots; where a
// stage has fewer tasks than the pond has slots, each takes a fair share of them.
func (d *Decider) threads(s *stage, n *node, alone bool) int {
	tasks := len(s.tasks)
	switch {
	case tasks == 1 && len(d.stages) == 1:
		return plan.AllCores
	case alone:
		return max(n.slots, 1)
	case tasks < d.slots:
		return max(min(n.slots, d.slots/tasks), 1)
	}
	return 1
}
