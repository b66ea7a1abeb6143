package tally

import (
	"reflect"
	"testing"

	"github.com/pondmesh/pond/actors/api"
	"github.com/pondmesh/pond/actors/plan"
	"github.com/pondmesh/pond/actors/sched"
)

func scan(broadcast bool, sizes ...int64) plan.Input {
	s := &plan.Scan{Broadcast: broadcast}
	for _, n := range sizes {
		s.Splits = append(s.Splits, []plan.Piece{{Bytes: n / 2}, {Bytes: n - n/2}})
	}
	return plan.Input{Scan: s}
}

func read(how plan.How, stages ...int) plan.Input {
	return plan.Input{Read: &plan.Read{How: how, Stages: stages}}
}

func stage(in ...plan.Input) *plan.Stage { return &plan.Stage{Inputs: in} }

// job is a Decider whose job has got that far.
type job struct {
	status []sched.StageStatus
	won    [][]sched.Winner
}

func (j *job) Status() []sched.StageStatus   { return j.status }
func (j *job) Segments(i int) []sched.Winner { return j.won[i] }
func (j *job) Single() bool                  { return len(j.status) == 1 && j.status[0].Tasks == 1 }

func won(node string, bytes int64, reused bool) sched.Winner {
	return sched.Winner{Node: sched.NodeID(node), Reused: reused, Output: sched.Output{Bytes: bytes}}
}

// TestWhatWasRead: each task reads its part of a scan or an exchange, and all of what is
// broadcast or named in SQL; tasks that another job ran read nothing.
func TestWhatWasRead(t *testing.T) {
	var c Tally
	c.Grow([]*plan.Stage{
		stage(scan(false, 10, 5)),
		stage(scan(true, 7), plan.Input{Literal: &plan.Literal{IPC: make([]byte, 3)}}),
		stage(read(plan.ReadPartition, 0)),
		stage(read(plan.ReadAll, 0, 1)),
		stage(),
		stage(scan(false, 100)),
	}, []int64{0, 0, 0, 0, 1000})
	d := &job{won: make([][]sched.Winner, 6)}
	for i, made := range []int64{40, 2, 0, 0, 0, 0} {
		d.status = append(d.status, sched.StageStatus{Index: i, Tasks: 3, Bytes: made})
	}
	d.status[5].Reused = 3
	stages := c.Stages(d, 0)
	c.Measure(d, stages)
	for i, want := range []int64{15, 3*7 + 3, 40, 3 * (40 + 2), 3 * 1000, 0} {
		if stages[i].Read != want {
			t.Errorf("stage %d read %d, want %d", i, stages[i].Read, want)
		}
	}
}

// TestWhereTasksRan: nodes are counted for the tasks that they ran for this job, and the
// sizes are of all tasks.
func TestWhereTasksRan(t *testing.T) {
	var c Tally
	c.Grow([]*plan.Stage{stage(), stage()}, nil)
	d := &job{
		status: []sched.StageStatus{{Tasks: 4}, {Index: 1, Tasks: 1}},
		won:    [][]sched.Winner{{won("b", 9, false), won("a", 2, false), won("b", 5, false), won("c", 1, true)}, nil},
	}
	stages := c.Stages(d, 0)
	c.Measure(d, stages)
	got := stages[0]
	if want := []api.NodeTasks{{Node: "a", Tasks: 1}, {Node: "b", Tasks: 2}}; !reflect.DeepEqual(got.Nodes, want) || got.TaskBytesMax != 9 || got.TaskBytesMedian != 5 {
		t.Errorf("%+v", got)
	}
	if none := stages[1]; none.Nodes != nil || none.TaskBytesMax != 0 {
		t.Errorf("no task has run: %+v", none)
	}
}

// TestTimes: a stage's time goes on while it runs, and stops at the last end that was
// told; stages that are planned later begin at nothing.
func TestTimes(t *testing.T) {
	var c Tally
	c.Grow([]*plan.Stage{stage(), stage()}, nil)
	if _, _, ok := c.Ran(); ok {
		t.Error("nothing has begun")
	}
	d := &job{status: []sched.StageStatus{{Running: 1}, {Index: 1}}}
	walls := func(now int64) (out []int64) {
		for _, s := range c.Stages(d, now) {
			out = append(out, s.Wall)
		}
		return out
	}
	c.Ended(0, 5) // of another coordinator
	c.Began(0, 10)
	c.Began(0, 12)
	if got := walls(30); got[0] != 20 || got[1] != 0 {
		t.Errorf("while it runs: %v", got)
	}
	c.Ended(0, 40)
	c.Ended(-1, 99)
	c.Ended(2, 99)
	d.status[0].Running = 0
	c.Grow([]*plan.Stage{stage(), stage(), stage()}, nil)
	d.status = append(d.status, sched.StageStatus{Index: 2, Running: 1})
	c.Began(2, 50)
	if got := walls(60); got[0] != 30 || got[1] != 0 || got[2] != 10 {
		t.Errorf("after it: %v", got)
	}
	if first, last, ok := c.Ran(); first != 10 || last != 40 || !ok {
		t.Errorf("in all: %d to %d, %v", first, last, ok)
	}
}

// TestSmall: one task that reads little, named files included.
func TestSmall(t *testing.T) {
	for name, test := range map[string]struct {
		bytes, named int64
		tasks        int
		small        bool
	}{
		"little":      {smallBytes, 0, 1, true},
		"much":        {smallBytes + 1, 0, 1, false},
		"named":       {smallBytes, 1, 1, false},
		"two tasks":   {0, 0, 2, false},
		"not planned": {0, 0, 0, false},
	} {
		var c Tally
		c.Grow([]*plan.Stage{stage(scan(false, test.bytes))}, []int64{test.named})
		if got := c.Small(&job{status: []sched.StageStatus{{Tasks: test.tasks}}}); got != test.small {
			t.Errorf("%s: %v", name, got)
		}
	}
}
