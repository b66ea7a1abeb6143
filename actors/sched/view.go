package sched

import (
	"fmt"
	"slices"
	"strings"

	"github.com/pondmesh/pond/actors/plan"
)

// StageStatus is the progress of one stage. Tasks = Waiting + Running + Done.
type StageStatus struct {
	Index   int
	Name    string
	Tasks   int
	Waiting int // not running: for inputs, a slot, or the end of a backoff
	Running int
	Done    int
	Reused  int // of Done, found already made by another job
	Failed  int // attempts that failed
	Retries int // attempts beyond the first of their task
	Lost    int // times that a finished task's output was lost, with all copies
	Copies  int // made of its tasks' outputs
	// Of the winning attempts, together.
	Rows, RawBytes, Bytes int64
	Spilled, CPUMillis    int64
	Dropped               bool // the job was planned otherwise: nothing that is needed reads it
	Wanted                bool // false: complete, or its output is not needed
}

// Status is how every stage stands, by index. It costs O(stages).
func (d *Decider) Status() []StageStatus {
	out := make([]StageStatus, len(d.stages))
	for i, s := range d.stages {
		st := s.status
		st.Running, st.Done, st.Wanted = s.running, s.done, s.wanted
		st.Waiting = st.Tasks - st.Running - st.Done
		out[i] = st
	}
	return out
}

// Segments are the winning attempts of a stage, in order of partition; tasks
// without one are left out. It costs O(tasks).
func (d *Decider) Segments(stage int) []Winner {
	s := d.stages[stage]
	out := make([]Winner, 0, s.done)
	for t := range s.all() {
		if t.state != done {
			continue
		}
		w := Winner{Attempt: t.attemptID(t.won), Node: t.maker, Lineage: t.lineage, Reused: t.reused, Output: t.out}
		for _, n := range t.holders {
			w.Holders = append(w.Holders, n.id)
		}
		out = append(out, w)
	}
	return out
}

// Inputs are the Segments of each stage that a stage reads. ok is false while one of
// those is not complete, since a segment was lost after a run of the stage was told to
// start: that run is to be given up, for what it would read is not all.
func (d *Decider) Inputs(stage int) (in map[int][]Winner, ok bool) {
	in = map[int][]Winner{}
	for _, up := range d.stages[stage].deps {
		if !up.complete() {
			return nil, false
		}
		in[up.index] = d.Segments(up.index)
	}
	return in, true
}

// Rows is how many the last stage has made.
func (d *Decider) Rows() int64 { return d.last().status.Rows }

// Bytes is what the last stage's tasks have made, as it is stored.
func (d *Decider) Bytes() int64 { return d.last().status.Bytes }

// Copies says when segments of the job have copies, as far as is decided.
func (d *Decider) Copies() plan.Copies {
	switch {
	case d.want < plan.SegmentCopies:
		return plan.NoCopies
	case d.cfg.Copies == plan.EagerCopies:
		return plan.EagerCopies
	}
	return plan.LazyCopies
}

// Version is the Version of Runs of a stage that start now. While it stays the same,
// so do the Segments of the stages that it reads.
func (d *Decider) Version(stage int) int64 { return d.stages[stage].version() }

// Lineage is the Lineage of Runs of a stage that start now. What it reads is complete.
func (d *Decider) Lineage(stage int) uint64 {
	if s := d.stages[stage]; !s.leaf() {
		return s.hashInputs()
	}
	return 0
}

// TaskCount is how many tasks a stage has; 0: not known yet.
func (d *Decider) TaskCount(stage int) int { return len(d.stages[stage].tasks) }

// Needed reports whether node alone holds a segment that unfinished work may
// still read, or that is a result. A leaving node stays until it is false, or
// for as long as its operator allows. It costs O(segments on the node).
func (d *Decider) Needed(id NodeID) bool {
	n := d.nodes[id]
	if n == nil || d.finish != nil {
		return false
	}
	if len(n.running) > 0 {
		return true
	}
	for _, s := range d.stages {
		if (s.wanted || !d.begun) && slices.ContainsFunc(s.found, func(f finding) bool { return f.node == n }) {
			return true // it may be taken when the stage opens
		}
	}
	for _, t := range n.segments {
		if t.state != done || len(t.holders) != 1 || t.holders[0] != n {
			continue
		}
		if d.awaited(t) {
			return true
		}
	}
	return false
}

// Holds reports whether a node runs attempts of the job, or holds a segment that unfinished
// work may still read, or that is a result, whoever else does. It costs O(segments on the
// node).
func (d *Decider) Holds(id NodeID) bool {
	n := d.nodes[id]
	return n != nil && (d.Needed(id) || d.finish == nil && slices.ContainsFunc(n.segments, func(t *task) bool {
		return t.state == done && slices.Contains(t.holders, n) && d.awaited(t)
	}))
}

// awaited reports whether the output of a finished task may still be read.
func (d *Decider) awaited(t *task) bool {
	return t.stage == d.last() || slices.ContainsFunc(t.stage.uses, func(u *stage) bool { return u.wanted })
}

// String draws the state of the job, for tests and for people.
func (d *Decider) String() string {
	var b strings.Builder
	for _, s := range d.stages {
		mark := "closed"
		switch {
		case s.complete():
			mark = "complete"
		case s.open:
			mark = "open"
		case !s.wanted:
			mark = "unwanted"
		}
		fmt.Fprintf(&b, "%d %s: %s, %d of %d done\n", s.index, s.plan.Name, mark, s.done, len(s.tasks))
		for t := range s.all() {
			fmt.Fprintf(&b, "  %d %s\n", t.partition, t.describe())
		}
	}
	for _, n := range d.order {
		fmt.Fprintf(&b, "%s: %d of %d slots, %d of %d bytes", n.id, len(n.running), n.slots, n.used, n.memory)
		if n.leaving {
			b.WriteString(", leaving")
		}
		if n.reserved != nil {
			fmt.Fprintf(&b, ", kept for %s", n.reserved.id())
		}
		b.WriteByte('\n')
	}
	if d.finish != nil {
		fmt.Fprintf(&b, "%s\n", d.finish.Status)
	}
	return b.String()
}

func (t *task) describe() string {
	switch t.state {
	case ready:
		return "ready"
	case resting:
		return fmt.Sprintf("rests until %d", t.wake)
	case running:
		var on []string
		for _, a := range t.live {
			on = append(on, fmt.Sprintf("#%d on %s", a.number, a.node.id))
			if a.attached {
				on[len(on)-1] += " (attached)"
			}
		}
		return "runs " + strings.Join(on, ", ")
	case done:
		by := make([]string, 0, len(t.holders))
		for _, n := range t.holders {
			by = append(by, string(n.id))
		}
		return fmt.Sprintf("done #%d at [%s]", t.won, strings.Join(by, " "))
	}
	return "waits"
}

// Single reports whether the job is a single task that has not run out of memory.
func (d *Decider) Single() bool {
	s := d.stages[0]
	return len(d.stages) == 1 && len(s.tasks) == 1 && s.tasks[0].memory == 0
}
