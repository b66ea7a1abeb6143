package sched

import "github.com/pondmesh/pond/actors/plan"

// shaped reports whether it is known how many tasks the stage has: those of a
// stage with a Fit are cut when it first opens, and stay so.
func (s *stage) shaped() bool { return s.tasks != nil }

// fit cuts the stage's tasks by the sizes of their inputs. An output found before
// belongs to another cut if its lineage differs, and certainly if the number of
// tasks does.
func (d *Decider) fit(s *stage) {
	up := map[int][]plan.SegmentInfo{}
	for _, p := range s.deps {
		for t := range p.all() {
			up[p.index] = append(up[p.index], t.out.Parts)
		}
	}
	p, err := plan.Fitted(d.job, s.index, up)
	if err != nil {
		d.fail(plan.AsError(err))
		return
	}
	s.plan = p
	if len(s.tasks) == p.Tasks.N {
		return
	}
	last := 0
	if s.shaped() {
		d.sweep(s, func(uint64) bool { return false })
		d.outdate(s)
		for t := range s.all() {
			last = max(last, t.last)
		}
	}
	d.makeTasks(s, p.Tasks.N)
	for t := range s.all() {
		t.last = max(t.last, last)
	}
}

// Stage is a stage of the job with its tasks known, once it has opened: see
// [plan.Fitted].
func (d *Decider) Stage(i int) *plan.Stage { return d.stages[i].plan }
