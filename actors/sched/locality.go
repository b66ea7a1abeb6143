package sched

import "github.com/pondmesh/pond/actors/plan"

// locate finds the node that holds most of the input of each task of a stage. It is
// a preference only, so shares that plan.Assign would cut exactly are taken as even.
func (d *Decider) locate(s *stage) {
	work := 0
	for _, p := range s.deps {
		work += len(p.tasks) * len(s.tasks)
	}
	if work > localityWorkMax {
		return
	}
	at := make([]int64, len(d.order)) // bytes of one task's input, by node
	for i, n := range d.order {
		n.rank = i
	}
	for t := range s.all() {
		clear(at)
		total := int64(0)
		for _, in := range s.plan.Inputs {
			if in.Read != nil && in.Read.How != plan.ReadAll {
				total += d.weigh(in.Read, t, at)
			}
		}
		t.weight += total
		for k, b := range at {
			if 2*b > total && total >= localityBytesMin && d.order[k].can(s) {
				t.prefer = d.order[k]
			}
		}
	}
}

// weigh adds what task t reads through r to its holders, and returns it all.
func (d *Decider) weigh(r *plan.Read, t *task, at []int64) int64 {
	total := int64(0)
	add := func(read *task, b int64) {
		total += b
		for _, h := range read.holders {
			at[h.rank] += b
		}
	}
	count := 0
	for _, k := range r.Stages {
		count += len(d.stages[k].tasks)
	}
	s, i := t.stage, t.partition
	lo, hi, n := i, i+1, len(s.tasks)
	if shares := s.plan.Tasks.Specs; shares != nil {
		lo, hi = shares[i].Lo, shares[i].Hi
	}
	// The i-th of n even shares of count segments.
	from, to := (i*count+n-1)/n, ((i+1)*count+n-1)/n
	for _, k := range r.Stages {
		tasks := d.stages[k].tasks
		if r.How != plan.ReadPartition {
			for j := max(from, 0); j < min(to, len(tasks)); j++ {
				add(&tasks[j], tasks[j].out.Bytes)
			}
			from, to = from-len(tasks), to-len(tasks)
			continue
		}
		for j := range tasks {
			bs := tasks[j].out.Parts.Bytes
			for p := lo; p < min(hi, len(bs)); p++ {
				add(&tasks[j], bs[p])
			}
		}
	}
	return total
}

// scanBytes is the size of the input of task i of a stage from files.
func scanBytes(p *plan.Stage, i int) int64 {
	b := int64(0)
	for _, in := range p.Inputs {
		if in.Scan == nil || in.Scan.Broadcast || i >= len(in.Scan.Splits) {
			continue
		}
		for _, piece := range in.Scan.Splits[i] {
			b += piece.Bytes
		}
	}
	return b
}
