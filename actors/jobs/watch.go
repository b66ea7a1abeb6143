package jobs

import (
	"context"
	"iter"
	"time"

	"github.com/pondmesh/pond/actors/api"
	"github.com/pondmesh/pond/actors/plan"
)

// watchPoll is how often a status comes that has not changed, so that a watcher who is
// gone is noticed.
const watchPoll = 5 * time.Second

// Statuses is a job's status as it is, and then every newer one until it has ended. It
// stops before that when ctx or the node does, or when the node gives the job up.
func (j *Jobs) Statuses(ctx context.Context, id plan.JobID) iter.Seq[*api.JobStatus] {
	return func(yield func(*api.JobStatus) bool) {
		tick := time.NewTicker(watchPoll)
		defer tick.Stop()
		for {
			s, changed := j.Watch(id)
			if s == nil || !yield(s) || s.State.Ended() {
				return
			}
			select {
			case <-changed:
			case <-tick.C:
			case <-ctx.Done():
				return
			case <-j.Context.Done():
				return
			}
		}
	}
}

// AwaitEnd is a job's status once it has ended.
func (j *Jobs) AwaitEnd(ctx context.Context, id plan.JobID) (*api.JobStatus, error) {
	for s := range j.Statuses(ctx, id) {
		if s.State.Ended() {
			return s, nil
		}
	}
	switch {
	case ctx.Err() != nil:
		return nil, context.Cause(ctx)
	case j.Context.Err() != nil:
		return nil, &plan.Error{Kind: plan.KindUnavailable, Op: "job", Subject: string(id), Text: "the node is stopping", Hint: "ask another node"}
	}
	return nil, Moved(id)
}
