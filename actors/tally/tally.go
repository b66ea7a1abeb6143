// Package tally counts for a job's status: what its stages read and made, where, and
// when their tasks ran.
//
// Times come from its caller, on the clock of whoever drives the job, in milliseconds. It
// refuses to decide anything, and to know nodes other than by name.
package tally

import (
	"slices"
	"strings"

	"github.com/pondmesh/pond/actors/api"
	"github.com/pondmesh/pond/actors/plan"
	"github.com/pondmesh/pond/actors/sched"
)

// Decider is how a job stands: see sched.Decider.
type Decider interface {
	Status() []sched.StageStatus
	Segments(stage int) []sched.Winner
	Single() bool
}

// Tally is of one job. The zero value has no stages.
type Tally struct {
	stages []*plan.Stage
	named  []int64 // bytes of the files that a stage's SQL names: one a stage, as clocks
	clocks []clock
	whole  clock // of all stages
}

// clock is when tasks ran.
type clock struct {
	begun       bool
	first, last int64 // 0 <= first <= last
}

// Grow tells the job's stages, those of before among them in their places. named is the
// size of the files that the first stages' SQL names; the others' names none.
func (t *Tally) Grow(stages []*plan.Stage, named []int64) {
	t.stages = stages
	t.named = append(t.named, named...)
	t.named = append(t.named, make([]int64, len(stages)-len(t.named))...)
	t.clocks = append(t.clocks, make([]clock, len(stages)-len(t.clocks))...)
}

// Began notes a start of a task.
func (t *Tally) Began(stage int, now int64) {
	for _, c := range []*clock{&t.clocks[stage], &t.whole} {
		if !c.begun {
			*c = clock{begun: true, first: now, last: now}
		}
	}
}

// Ended notes the end of a task that a node reports, of whatever stage it says.
func (t *Tally) Ended(stage int, now int64) {
	if stage >= 0 && stage < len(t.clocks) && t.clocks[stage].begun {
		t.clocks[stage].last, t.whole.last = now, now
	}
}

// Ran is when the first task began, and when the last that has ended did; ok is false
// while none has begun.
func (t *Tally) Ran() (first, last int64, ok bool) { return t.whole.first, t.whole.last, t.whole.begun }

// Stages is how every stage stands.
func (t *Tally) Stages(d Decider, now int64) []api.StageStatus {
	var out []api.StageStatus
	for _, st := range d.Status() {
		out = append(out, api.StageStatus{
			Index: st.Index, Name: st.Name, Tasks: st.Tasks, Running: st.Running, Done: st.Done, Reused: st.Reused, Retries: st.Retries, Lost: st.Lost, Copies: st.Copies, Dropped: st.Dropped,
			Rows: st.Rows, RawBytes: st.RawBytes, Bytes: st.Bytes, Spill: st.Spilled, CPU: st.CPUMillis, Wall: t.clocks[st.Index].wall(now, st.Running > 0),
		})
	}
	return out
}

// wall is how long a stage has run, or ran.
func (c clock) wall(now int64, running bool) int64 {
	switch {
	case !c.begun:
		return 0
	case running:
		return now - c.first
	}
	return c.last - c.first
}

// Measure adds to all stages of a job that has ended what costs a look at every task.
func (t *Tally) Measure(d Decider, all []api.StageStatus) {
	for i := range all {
		st := &all[i]
		st.Read = t.read(st.Index, all)
		perNode := map[string]int{}
		var sizes []int64
		for _, w := range d.Segments(st.Index) {
			sizes = append(sizes, w.Output.Bytes)
			if !w.Reused {
				perNode[string(w.Node)]++
			}
		}
		for node, n := range perNode {
			st.Nodes = append(st.Nodes, api.NodeTasks{Node: node, Tasks: n})
		}
		slices.SortFunc(st.Nodes, func(a, b api.NodeTasks) int { return strings.Compare(a.Node, b.Node) })
		if len(sizes) > 0 {
			slices.Sort(sizes)
			st.TaskBytesMax, st.TaskBytesMedian = sizes[len(sizes)-1], sizes[len(sizes)/2]
		}
	}
}

// read is the size of the input of a stage's tasks, without the reused ones.
func (t *Tally) read(stage int, all []api.StageStatus) int64 {
	st := all[stage]
	if st.Tasks == 0 || st.Reused == st.Tasks {
		return 0
	}
	tasks, sum := int64(st.Tasks), t.named[stage]*int64(st.Tasks)
	for _, in := range t.stages[stage].Inputs {
		switch {
		case in.Scan != nil && in.Scan.Broadcast:
			sum += scanned(in.Scan) * tasks
		case in.Scan != nil:
			sum += scanned(in.Scan)
		case in.Read != nil:
			for _, up := range in.Read.Stages {
				n := all[up].Bytes
				if in.Read.How == plan.ReadAll {
					n *= tasks
				}
				sum += n
			}
		case in.Literal != nil:
			sum += int64(len(in.Literal.IPC))
		}
	}
	return sum
}

// scanned is the size of what a scan reads.
func scanned(s *plan.Scan) (sum int64) {
	for _, split := range s.Splits {
		for _, p := range split {
			sum += p.Bytes
		}
	}
	return sum
}

// smallBytes is how much a small job may read.
const smallBytes = 64 << 20

// Small reports whether the job is one task that is short, as far as can be told.
func (t *Tally) Small(d Decider) bool {
	return d.Single() && t.read(0, []api.StageStatus{{Tasks: 1}}) <= smallBytes
}
