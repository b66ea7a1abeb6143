package sched

import (
	"fmt"
	"math/rand/v2"
	"slices"

	"github.com/pondmesh/pond/actors/plan"
)

// newWorld draws a job, nodes and a budget of faults from a seed.
func newWorld(seed uint64) *world {
	w := &world{
		rng: rand.New(rand.NewPCG(seed, 1)), seed: seed, term: 1, calmAt: 60_000,
		queue: heap[happening]{less: func(a, b happening) bool { return a.at < b.at || a.at == b.at && a.seq < b.seq }},
		needs: map[plan.TaskID]int64{}, failed: map[plan.TaskID]int{}, fickle: map[plan.StageID]bool{}, poison: map[plan.TaskID]bool{}, crashed: map[plan.TaskID]int{}, used: map[plan.AttemptID]bool{}, told2nd: map[string]map[Boot]bool{}, asked: map[Boot]int64{}, told: map[Boot]bool{},
		staged: map[string]*simSegment{}, fired: map[string]int{},
	}
	w.makeJob()
	for i := range 1 + w.rng.IntN(5) {
		n := &simNode{id: NodeID('a' + rune(i)), slots: 1 + w.rng.IntN(3), disk: map[string]*simSegment{}, slow: w.rng.IntN(6) == 0}
		n.memory = int64(n.slots) * 1000 * int64(1+w.rng.IntN(2))
		w.nodes = append(w.nodes, n)
	}
	w.lossy = []int{0, 0, 20, 100}[w.rng.IntN(4)]
	w.budget = map[string]int{"die": w.rng.IntN(4), "wipe": w.rng.IntN(2), "leave": w.rng.IntN(2), "suspect": w.rng.IntN(2),
		"fail": w.rng.IntN(6), "fail-for-good": w.rng.IntN(12) / 11, "user": w.rng.IntN(16) / 15, "corrupt": w.rng.IntN(3), "vanish": w.rng.IntN(3), "rot": w.rng.IntN(3), "failover": w.rng.IntN(5) / 3,
		"cancel": w.rng.IntN(16) / 15, "publish-fails": w.rng.IntN(2), "publish-unanswered": w.rng.IntN(6) / 5,
		"file-lost": w.rng.IntN(2), "join": w.rng.IntN(2), "extend": 3, "everyone": w.rng.IntN(24) / 23, "crash": w.rng.IntN(2), "poison": w.rng.IntN(16) / 15}
	w.drawMemory()
	w.copies = 1 + w.rng.IntN(3)
	w.mode = []plan.Copies{plan.AutoCopies, plan.NoCopies, plan.LazyCopies, plan.EagerCopies}[w.rng.IntN(4)]
	w.budget["copy-refused"] = w.rng.IntN(4)
	return w
}

// makeJob draws a random job: each stage reads one or two earlier ones.
func (w *world) makeJob() {
	all := &plan.Job{}
	stages := 1 + w.rng.IntN(5)
	extra := min(stages-1, 1) * w.rng.IntN(2) * (1 + w.rng.IntN(3))
	for i := range stages + extra {
		st := &plan.Stage{ID: plan.StageID(fmt.Sprintf("s%d", i)), Name: fmt.Sprintf("s%d", i),
			Deterministic: w.rng.IntN(3) > 0, Tasks: plan.Tasks{N: 1 + w.rng.IntN(6)}}
		for range min(i, 1+w.rng.IntN(2)) {
			from := w.rng.IntN(i)
			if w.rng.IntN(2) == 0 {
				from = i - 1
			}
			how := []plan.How{plan.ReadPartition, plan.ReadAll, plan.ReadSegments}[w.rng.IntN(3)]
			if i >= stages && from == stages-1 { // nobody reads the result
				from--
			}
			if all.Stages[from].Tasks.Fit != nil && how == plan.ReadSegments { // nobody counts the tasks of what is cut by sizes
				how = plan.ReadAll
			}
			st.Inputs = append(st.Inputs, plan.Input{Read: &plan.Read{Stages: []int{from}, How: how}})
		}
		w.fickle[st.ID] = w.rng.IntN(3) == 0
		st.Exchange.Partitions = simPartitions
		if i > 0 && w.rng.IntN(2) == 0 {
			w.fitStage(st)
		}
		all.Stages = append(all.Stages, st)
	}
	w.job = &plan.Job{Stages: all.Stages[:stages:stages]}
	w.first, w.extra = w.job, all.Stages[stages:]
	if w.rng.IntN(2) == 0 {
		w.job.Result.Write = &plan.Write{Path: "out"}
		files := plan.Exchange{Kind: plan.Files, Write: w.job.Result.Write}
		w.job.Stages[stages-1].Exchange = files
		if extra > 0 {
			all.Stages[stages+extra-1].Exchange = files
		}
	}
}

// extend plans the rest of the job otherwise.
func (w *world) extend() {
	last := w.d.last()
	if len(w.extra) == 0 || len(w.job.Stages) > len(w.first.Stages) || !w.d.begun || w.published != nil || last.done > 0 || last.running > 0 || !w.fire("extend") {
		return
	}
	w.job = &plan.Job{Stages: slices.Concat(w.first.Stages, w.extra), Result: w.first.Result}
	w.step(Extend{w.job})
	for _, n := range w.nodes {
		w.askHeld(n)
	}
}

// simPartitions is how many every stage's output has.
const simPartitions = 4

// fitStage has a stage's tasks cut by sizes.
func (w *world) fitStage(st *plan.Stage) {
	st.Inputs[0].Read.How = plan.ReadPartition
	for i := range st.Inputs {
		if r := st.Inputs[i].Read; r.How != plan.ReadPartition {
			r.How = plan.ReadAll
		}
	}
	st.Tasks = plan.Tasks{Fit: &plan.Fit{Target: 1000, Least: 1, Slots: 1 + w.rng.IntN(4), Apart: w.rng.IntN(3) == 0, Split: []int{0}}}
}

// drawParts makes up the sizes of a segment's partitions: another attempt has
// others.
func (w *world) drawParts() plan.SegmentInfo {
	var p plan.SegmentInfo
	for range w.rng.IntN(simPartitions + 1) {
		p.Rows = append(p.Rows, 1)
		p.Bytes = append(p.Bytes, []int64{0, 10, 100, 5000}[w.rng.IntN(4)])
	}
	return p
}

// drawMemory makes some tasks need more than their share, never more than the
// largest node has.
func (w *world) drawMemory() {
	largest := int64(0)
	for _, n := range w.nodes {
		largest = max(largest, n.memory)
	}
	for _, st := range w.job.Stages {
		for p := range max(st.Tasks.N, simPartitions) {
			if w.rng.IntN(10) == 0 {
				w.needs[plan.TaskID{Stage: st.ID, Partition: p}] = 1 + w.rng.Int64N(largest)
			}
		}
	}
}

// checkCuts: the segments of a stage that are read together were cut alike, and
// none of that cut is missing.
func (w *world) checkCuts(read []*simSegment) {
	cuts, counts := map[plan.StageID]simCut{}, map[plan.StageID]int{}
	for _, seg := range read {
		id := seg.held.Task.Stage
		if old, ok := cuts[id]; ok && old != seg.cut {
			w.breaks("%s was cut as %v, others as %v", seg.held.Task, seg.cut, old)
		}
		cuts[id] = seg.cut
		counts[id]++
	}
	for id, c := range cuts {
		switch {
		case counts[id] != c.tasks:
			w.breaks("%d of the %d tasks of %s are read", counts[id], c.tasks, id)
		case c.how == "[]":
		case c.tasks < simPartitions:
			w.fired["coalesced"]++
		case c.tasks > simPartitions:
			w.fired["split"]++
		}
	}
}
