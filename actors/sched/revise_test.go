package sched

import (
	"fmt"
	"testing"

	"github.com/pondmesh/pond/actors/plan"
)

func TestReviser(t *testing.T) {
	stage := func(tasks, done, running int) StageStatus {
		return StageStatus{Tasks: tasks, Done: done, Running: running, Bytes: int64(100 * done)}
	}
	large := func(_ int, bytes int64) bool { return bytes >= 200 }
	for _, c := range []struct {
		about string
		steps [][]StageStatus
		want  []bool
	}{
		{"nothing is there", [][]StageStatus{nil}, []bool{false}},
		{"a large stage, once", [][]StageStatus{{stage(2, 1, 1), stage(1, 0, 0)}, {stage(2, 2, 0), stage(1, 0, 0)}, {stage(2, 2, 0), stage(1, 0, 0)}}, []bool{false, true, false}},
		{"a small one", [][]StageStatus{{stage(1, 1, 0), stage(1, 0, 0)}}, []bool{false}},
		{"the result is begun", [][]StageStatus{{stage(2, 2, 0), stage(1, 0, 1)}}, []bool{false}},
		{"two at once", [][]StageStatus{{stage(2, 2, 0), stage(3, 3, 0), stage(1, 0, 0)}, {stage(2, 2, 0), stage(3, 3, 0), stage(1, 0, 0)}}, []bool{true, false}},
		{"not shaped yet", [][]StageStatus{{stage(0, 0, 0), stage(1, 0, 0)}}, []bool{false}},
	} {
		var r Reviser
		for i, stages := range c.steps {
			if got := r.Due(stages, large); got != c.want[i] {
				t.Errorf("%s, step %d: %t", c.about, i, got)
			}
		}
	}
}

// A job whose every stage surprises is planned again only so often.
func TestRevisionsEnd(t *testing.T) {
	var r Reviser
	due := 0
	for n := 1; n < 20; n++ {
		stages := make([]StageStatus, n+1)
		for i := range n {
			stages[i] = StageStatus{Tasks: 1, Done: 1}
		}
		stages[n] = StageStatus{Tasks: 1}
		if r.Due(stages, func(int, int64) bool { return true }) {
			due++
		}
	}
	if due != revisionsMax {
		t.Errorf("%d revisions, want %d", due, revisionsMax)
	}
}

func TestKept(t *testing.T) {
	for _, c := range []struct {
		s              StageStatus
		complete, kept bool
	}{
		{StageStatus{}, false, false},
		{StageStatus{Tasks: 4, Done: 2}, false, false},
		{StageStatus{Tasks: 4, Done: 3}, false, true},
		{StageStatus{Tasks: 4, Done: 3, Dropped: true}, false, false},
		{StageStatus{Tasks: 4, Done: 4, Dropped: true}, true, true},
	} {
		if c.s.Complete() != c.complete || c.s.Kept() != c.kept {
			t.Errorf("%+v: complete %t, kept %t", c.s, c.s.Complete(), c.s.Kept())
		}
	}
}

func TestThreads(t *testing.T) {
	for _, c := range []struct {
		stages, tasks int
		slots         []int // of the nodes; the first pulls
		alone         bool
		want          int
	}{
		{1, 1, []int{2}, false, plan.AllCores},
		{1, 1, []int{2, 2}, true, plan.AllCores},
		{2, 1, []int{2}, false, 2},
		{2, 1, []int{2, 2}, false, 2},
		{2, 2, []int{4, 4}, false, 4},
		{2, 3, []int{4, 4}, false, 2},
		{2, 8, []int{4, 4}, false, 1},
		{2, 100, []int{4}, false, 1},
		{2, 100, []int{4}, true, 4},
		{2, 2, []int{1, 3}, false, 1},
	} {
		job := &plan.Job{}
		for i := range c.stages {
			job.Stages = append(job.Stages, &plan.Stage{ID: plan.StageID(fmt.Sprint(i)), Tasks: plan.Tasks{N: c.tasks}})
		}
		d := New(job, Config{})
		for i, n := range c.slots {
			d.Step(NodeUp{Node: NodeID(fmt.Sprint(i)), Boot: "1", Slots: n, Memory: 1 << 30})
		}
		if got := d.threads(d.stages[0], d.order[0], c.alone); got != c.want {
			t.Errorf("%d stages of %d tasks over slots %v, alone %t: %d threads, want %d", c.stages, c.tasks, c.slots, c.alone, got, c.want)
		}
	}
}
