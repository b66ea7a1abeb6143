package actors

import (
	"github.com/asynkron/protoactor-go/actor"

	"github.com/pondmesh/pond/actors/plan"
	"github.com/pondmesh/pond/actors/plan/distribute"
	"github.com/pondmesh/pond/actors/sched"
)

// adapt plans the rest of a query again when the size of a stage that has just
// ended is far from what the plan expected, and gives the Decider the new stages.
func (c *coordinator) adapt(ctx actor.Context) {
	query := c.hosted.Compiled().Query
	if query == nil || c.finished {
		return
	}
	stages := c.d.Status()
	if !c.reviser.Due(stages, query.Surprising) {
		return
	}
	next, err := query.Replan(sizesOf(stages))
	switch {
	case err != nil:
		c.log.Warn("planning the rest of the job again", "err", err) // the present plan stays right
	case next != nil:
		c.extend(ctx, next)
	}
}

// sizesOf lists the stages that another plan should read as they are, with the
// sizes of those that are complete.
func sizesOf(stages []sched.StageStatus) map[int]distribute.Size {
	sizes := map[int]distribute.Size{}
	for i, s := range stages {
		switch {
		case s.Complete():
			sizes[i] = distribute.Size{Tasks: s.Tasks, Rows: s.Rows, Bytes: s.Bytes}
		case s.Kept():
			sizes[i] = distribute.Size{Tasks: s.Tasks, Part: true}
		}
	}
	return sizes
}

// extend adds the stages of a new plan, and asks the nodes for their segments of them.
func (c *coordinator) extend(ctx actor.Context, next *distribute.Compiled) {
	from := len(c.job.Stages)
	added := next.Stages[from:]
	c.log.Info("job planned again", "stages", len(added), "why", added[0].Replanned)
	c.hosted.Planned(c.hosted.Compiled().With(next))
	c.job = next.Job
	c.tally.Grow(c.job.Stages, nil)
	c.step(ctx, sched.Extend{Job: c.job})
	root, self := ctx.ActorSystem().Root, ctx.Self()
	c.n.goes.Go(func() {
		held := c.n.heldBy(c.n.ctx, &plan.Job{Stages: added}, c.n.mesh.View().Members)
		root.Send(self, &heldMsg{held})
	})
	c.publishStatus(true)
}

// replanned reports whether the job has other stages than at first.
func (c *coordinator) replanned() bool {
	return c.job != nil && c.job.Stages[len(c.job.Stages)-1].Replanned != ""
}
