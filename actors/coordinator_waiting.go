package actors

import (
	"fmt"
	"time"

	"github.com/asynkron/protoactor-go/actor"

	"github.com/pondmesh/pond/actors/api"
	"github.com/pondmesh/pond/actors/fair"
	"github.com/pondmesh/pond/actors/jobs"
	"github.com/pondmesh/pond/actors/plan"
	"github.com/pondmesh/pond/actors/sched"
	"github.com/pondmesh/pond/actors/setup"
)

// quickJobs is the part of the jobs that a node drives at once by which it may drive
// more, of those that a client waits for.
const quickJobs = 4

// waitTick is how often a job that waits looks at its deadline and its client. One that
// waits for as long is recorded as waiting.
const waitTick = time.Second

func limitsOf(c *setup.Config) fair.Limits {
	return fair.Limits{Jobs: c.JobsMax, Quick: (c.JobsMax + quickJobs - 1) / quickJobs, User: c.UserJobsMax, Waiting: c.QueueMax}
}

// await is a look at a job that waits to be driven.
func (c *coordinator) await(ctx actor.Context) {
	if given, up := c.timeUp(0); up {
		c.finish(ctx, &sched.Finish{Status: sched.Failure, Err: &plan.Error{Kind: plan.KindDeadline, Op: "job", Subject: string(c.hosted.Spec.ID),
			Text: fmt.Sprintf("the %v that it was given (deadline) were up while it waited for a node to drive it", time.Duration(given)*time.Millisecond), Hint: "give more time, or submit it when less is going on: pondnode jobs"}})
		return
	}
	if !c.waited {
		c.waited = true
		c.n.goes.Go(func() { c.n.jobs.RecordWait(c.hosted, api.Waits) })
	}
	c.holdLease(ctx)
}

// holdLease ends a job that nobody waits for any more.
func (c *coordinator) holdLease(ctx actor.Context) {
	if !c.finished && c.hosted.Deserted() {
		c.log.Info("nobody waits for the job any more")
		lease := time.Duration(c.hosted.Spec.Options.LeaseMillis) * time.Millisecond
		c.onCancel(ctx, &jobs.Cancel{Reason: fmt.Sprintf("its client is gone: it has not said for %v that it waits for the job", lease)})
	}
}

// onAdmitted begins the job's planning, once.
func (c *coordinator) onAdmitted(ctx actor.Context) {
	if c.finished || c.unplan != nil {
		return
	}
	if c.waited {
		c.n.goes.Go(func() { c.n.jobs.RecordWait(c.hosted, api.Waited) })
	}
	c.ticker.Reset(tickInterval)
	c.plan(ctx)
}
