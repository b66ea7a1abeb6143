package given

import (
	"github.com/pondmesh/pond/actors/api"
	"github.com/pondmesh/pond/actors/plan"
	"github.com/pondmesh/pond/actors/sched"
)

// Decider is how a job stands: see sched.Decider.
type Decider interface {
	Stage(stage int) *plan.Stage
	TaskCount(stage int) int
	Version(stage int) int64
	Lineage(stage int) uint64
	Inputs(stage int) (in map[int][]sched.Winner, ok bool)
}

// Fill makes p, which tells what is the same for all stages, the packet of one of them.
// holders are the APIs of the nodes that hold a winner's output. It fails with
// plan.ErrCancelled while what the stage reads is not complete.
func Fill(p *api.Packet, job *plan.Job, stage int, d Decider, holders func(sched.Winner) []string) error {
	inputs, ok := d.Inputs(stage)
	if !ok {
		return &plan.Error{Kind: plan.KindCancelled, Op: "run", Text: "what the task was to read is being made again"}
	}
	p.Index, p.Version, p.Tasks, p.Job = stage, uint64(d.Version(stage)), d.TaskCount(stage), stripped(job, stage, d)
	p.Lineage = d.Lineage(stage)
	p.Up, p.Where = map[int][]plan.SegmentInfo{}, map[int][]api.Location{}
	for up, winners := range inputs {
		infos, where := make([]plan.SegmentInfo, len(winners)), make([]api.Location, len(winners))
		for i, w := range winners {
			infos[i] = w.Output.Parts
			where[i].Segment = w.Output.Segment
			if addrs := holders(w); len(addrs) > 0 {
				where[i].Addr, where[i].Others = addrs[0], addrs[1:]
			}
		}
		p.Up[up], p.Where[up] = infos, where
	}
	return nil
}

// stripped is the job with the inputs of one stage only, its tasks known: of the others
// their number is enough to run it.
func stripped(job *plan.Job, keep int, d Decider) *plan.Job {
	out := &plan.Job{Result: job.Result, Stages: make([]*plan.Stage, len(job.Stages))}
	for i, s := range job.Stages {
		if i == keep {
			out.Stages[i] = d.Stage(i)
			continue
		}
		out.Stages[i] = &plan.Stage{ID: s.ID, Name: s.Name, Tasks: plan.Tasks{N: d.TaskCount(i)}, Exchange: s.Exchange}
	}
	return out
}
