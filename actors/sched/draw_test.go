package sched

import (
	"fmt"
	"math/rand/v2"

	"github.com/pondmesh/pond/actors/plan"
)

// newWorld draws a job, nodes and a budget of faults from a seed.
func newWorld(seed uint64) *world {
	w := &world{
		rng: rand.New(rand.NewPCG(seed, 1)), seed: seed, term: 1, calmAt: 60_000,
		queue: heap[happening]{less: func(a, b happening) bool { return a.at < b.at || a.at == b.at && a.seq < b.seq }},
		needs: map[plan.TaskID]int64{}, failed: map[plan.TaskID]int{}, used: map[plan.AttemptID]bool{}, told: map[Boot]bool{},
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
		"fail": w.rng.IntN(6), "fail-for-good": w.rng.IntN(12) / 11, "user": w.rng.IntN(16) / 15, "corrupt": w.rng.IntN(3), "failover": w.rng.IntN(5) / 3,
		"cancel": w.rng.IntN(16) / 15, "deliver": w.rng.IntN(4), "publish-fails": w.rng.IntN(2), "publish-unanswered": w.rng.IntN(6) / 5,
		"file-lost": w.rng.IntN(2), "join": w.rng.IntN(2), "everyone": w.rng.IntN(24) / 23}
	w.drawMemory()
	return w
}

// makeJob draws a random job: each stage reads one or two earlier ones.
func (w *world) makeJob() {
	w.job = &plan.Job{}
	stages := 1 + w.rng.IntN(5)
	for i := range stages {
		st := &plan.Stage{ID: plan.StageID(fmt.Sprintf("s%d", i)), Name: fmt.Sprintf("s%d", i),
			Deterministic: w.rng.IntN(3) > 0, Tasks: plan.Tasks{N: 1 + w.rng.IntN(6)}}
		for range min(i, 1+w.rng.IntN(2)) {
			from := w.rng.IntN(i)
			if w.rng.IntN(2) == 0 {
				from = i - 1
			}
			how := []plan.How{plan.ReadPartition, plan.ReadAll, plan.ReadSegments}[w.rng.IntN(3)]
			st.Inputs = append(st.Inputs, plan.Input{Read: &plan.Read{Stages: []int{from}, How: how}})
		}
		w.job.Stages = append(w.job.Stages, st)
	}
	if w.rng.IntN(2) == 0 {
		w.job.Result.Write = &plan.Write{Path: "out"}
		w.job.Stages[stages-1].Exchange = plan.Exchange{Kind: plan.Files, Write: w.job.Result.Write}
	}
}

// drawMemory makes some tasks need more than their share, never more than the
// largest node has.
func (w *world) drawMemory() {
	largest := int64(0)
	for _, n := range w.nodes {
		largest = max(largest, n.memory)
	}
	for _, st := range w.job.Stages {
		for p := range st.Tasks.N {
			if w.rng.IntN(10) == 0 {
				w.needs[plan.TaskID{Stage: st.ID, Partition: p}] = 1 + w.rng.Int64N(largest)
			}
		}
	}
}
