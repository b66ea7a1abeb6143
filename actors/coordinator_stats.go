package actors

import (
	"slices"
	"strings"

	"github.com/pondmesh/pond/actors/api"
	"github.com/pondmesh/pond/actors/plan"
)

// stageClock is when a stage's tasks ran, in milliseconds of the coordinator.
type stageClock struct {
	begun       bool
	first, last int64
}

// began notes a start of a task.
func (c *coordinator) began(stage int) {
	for _, k := range []*stageClock{&c.clocks[stage], &c.worked} {
		if !k.begun {
			*k = stageClock{begun: true, first: c.now(), last: c.now()}
		}
	}
}

// ended notes the end of a task that a node reports.
func (c *coordinator) ended(stage int) {
	if stage >= 0 && stage < len(c.clocks) && c.clocks[stage].begun {
		c.clocks[stage].last, c.worked.last = c.now(), c.now()
	}
}

// stamp is a time of the coordinator's clock, in Unix milliseconds.
func (c *coordinator) stamp(millis int64) int64 { return c.start.UnixMilli() + millis }

// wall is how long a stage has run, or ran.
func (c *coordinator) wall(stage int, running bool) int64 {
	k := c.clocks[stage]
	switch {
	case !k.begun:
		return 0
	case running:
		return c.now() - k.first
	}
	return k.last - k.first
}

// measure adds to an ended job's status what costs a look at every task.
func (c *coordinator) measure(s *api.JobStatus) {
	if c.d == nil {
		return
	}
	for i := range s.Stages {
		st := &s.Stages[i]
		st.Read = c.readBytes(st.Index, s.Stages)
		perNode := map[string]int{}
		var sizes []int64
		for _, w := range c.d.Segments(st.Index) {
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

// readBytes is the size of the input of a stage's tasks, without the reused ones.
func (c *coordinator) readBytes(stage int, all []api.StageStatus) int64 {
	st := all[stage]
	if st.Tasks == 0 || st.Reused == st.Tasks {
		return 0
	}
	tasks, sum := int64(st.Tasks), int64(0)
	for _, in := range c.job.Stages[stage].Inputs {
		switch {
		case in.Scan != nil:
			n := int64(0)
			for _, split := range in.Scan.Splits {
				for _, p := range split {
					n += p.Bytes
				}
			}
			if in.Scan.Broadcast {
				n *= tasks
			}
			sum += n
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
	return sum + c.named[stage]*tasks
}

// smallBytes is how much a small job may read.
const smallBytes = 64 << 20

// small reports whether the job is one task that is short, as far as can be told.
func (c *coordinator) small() bool {
	return c.d != nil && c.d.Single() && c.readBytes(0, []api.StageStatus{{Tasks: 1}}) <= smallBytes
}

// count adds an ended job to the node's metrics.
func (c *coordinator) count(s *api.JobStatus) {
	retries := 0
	for _, st := range s.Stages {
		retries += st.Retries
	}
	c.n.metrics.JobEnded(string(s.State), retries)
}
