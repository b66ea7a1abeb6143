package jobs

import (
	"context"
	"fmt"
	"log/slog"
	"maps"
	"slices"
	"sync"
	"time"

	"github.com/pondmesh/pond/actors/api"
	"github.com/pondmesh/pond/actors/fair"
	"github.com/pondmesh/pond/actors/journal"
	"github.com/pondmesh/pond/actors/peers"
	"github.com/pondmesh/pond/actors/plan"
	"github.com/pondmesh/pond/actors/prepare"
	"github.com/pondmesh/pond/actors/terms"
	"github.com/pondmesh/pond/mesh"
)

// endedRunsMax is how many ended jobs keep their stages for explain.
const endedRunsMax = 200

// Host is what the jobs of a node need of it. Its fields are set before the jobs are
// used, and not changed.
type Host struct {
	Context   context.Context    // ends when the node stops
	Me        func() mesh.Member // this node as it is now: its boot changes
	Peers     *peers.Peers
	Records   *journal.Records
	Registers terms.Registers
	Planner   Planner
	Slots     int                        // how many jobs it drives before it offers ids of jobs for others
	Limits    fair.Limits                // how many it drives at once
	NewDriver func(*Job) (Driver, error) // starts what drives a job; it must not wait for Jobs
	Go        func(func())               // runs a function beside the caller; the node's end waits for it
	Log       *slog.Logger
}

// Planner makes jobs of what is submitted: see prepare.Planner.
type Planner interface {
	Fill(ctx context.Context, spec *api.JobSpec) error
	Compile(ctx context.Context, spec *api.JobSpec, c api.Capacity) (*prepare.Job, error)
}

// Jobs are the jobs that this node drives or has driven. It reaches their drivers, and
// answers for those that have ended. It is safe for concurrent use.
type Jobs struct {
	Host

	mu      sync.Mutex
	byID    map[plan.JobID]*Job // all that run, and at most endedRunsMax that ended
	waiters []chan struct{}     // closed and dropped once no job runs
	queue   *fair.Queue         // of those that run or wait to
}

// New returns the jobs of a node that drives none yet.
func New(h Host) *Jobs {
	return &Jobs{Host: h, byID: map[plan.JobID]*Job{}, queue: fair.NewQueue(h.Limits)}
}

// here asks this node, which asks others, as its clients do.
func (j *Jobs) here() *api.Peer { return j.Peers.API.At(j.Me().APIAddr()) }

// Get is a job that this node drives or has driven; nil: it does not.
func (j *Jobs) Get(id plan.JobID) *Job {
	j.mu.Lock()
	defer j.mu.Unlock()
	return j.byID[id]
}

// Knows reports whether this node can answer for a job.
func (j *Jobs) Knows(id plan.JobID) bool {
	return j.Get(id) != nil || j.ended(id) != nil
}

// ended is the record of a job that is over, if it is kept here.
func (j *Jobs) ended(id plan.JobID) *api.Record {
	if rec := j.Records.Get(id); rec != nil && rec.Status != nil {
		return rec
	}
	return nil
}

func (j *Jobs) Status(id plan.JobID) (*api.JobStatus, error) {
	s, _ := j.Watch(id)
	if s == nil {
		return nil, Moved(id)
	}
	return s, nil
}

// Watch is a job's status and a channel that closes when there is a newer one. The
// status is nil when this node does not coordinate the job any more.
func (j *Jobs) Watch(id plan.JobID) (*api.JobStatus, <-chan struct{}) {
	if r := j.Get(id); r != nil {
		return j.see(r)
	}
	if rec := j.ended(id); rec != nil {
		return rec.Status, nil
	}
	return nil, nil
}

// Moved is the error of a job that this node coordinated until now.
func Moved(id plan.JobID) error {
	return &plan.Error{Kind: plan.KindUnavailable, Op: "job", Subject: string(id), Text: "another node takes the job over", Hint: "ask again in a moment"}
}

// All is the jobs that this node drives or has driven.
func (j *Jobs) All() []*Job {
	j.mu.Lock()
	defer j.mu.Unlock()
	return slices.Collect(maps.Values(j.byID))
}

// Running is the jobs that this node coordinates and that have not ended.
func (j *Jobs) Running() []*Job {
	return slices.DeleteFunc(j.All(), func(r *Job) bool {
		s, _ := r.Status()
		return s.State.Ended()
	})
}

// States counts the jobs that this node coordinates and that have not ended, by state.
func (j *Jobs) States() map[api.State]int {
	out := map[api.State]int{}
	for _, r := range j.All() {
		if s, _ := r.Status(); !s.State.Ended() {
			out[s.State]++
		}
	}
	return out
}

// List is the jobs that this node coordinates or keeps a record of.
func (j *Jobs) List() []api.JobStatus {
	seen := map[plan.JobID]bool{}
	out := []api.JobStatus{}
	j.mu.Lock()
	for id, r := range j.byID {
		s, _ := r.Status()
		out = append(out, *j.placed(r, s))
		seen[id] = true
	}
	j.mu.Unlock()
	for _, rec := range j.Records.List() {
		switch id := rec.Spec.ID; {
		case seen[id]:
		case rec.Status != nil:
			out = append(out, *rec.Status)
		default:
			out = append(out, *rec.Spec.Status())
		}
	}
	for i := range out {
		out[i].Result = nil
	}
	return out
}

func (j *Jobs) Cancel(ctx context.Context, id plan.JobID) (*api.JobStatus, error) {
	r := j.Get(id)
	if r == nil {
		return j.Status(id)
	}
	r.Send(&Cancel{Reason: "cancelled by request"})
	for {
		s, changed := r.Status()
		if s.State.Ended() {
			return s, nil
		}
		if r.over() {
			return nil, Moved(id)
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return s, nil
		}
	}
}

// Plan is a job's stages, planned anew if they are not kept.
func (j *Jobs) Plan(ctx context.Context, id plan.JobID) (*plan.Job, error) {
	rec, err := j.Record(id)
	if err != nil {
		return nil, err
	}
	if r := j.Get(id); r != nil {
		if c := r.Compiled(); c != nil {
			return c.Plan, nil
		}
	} else if rec.Job != nil {
		return rec.Job, nil
	}
	c, err := j.Planner.Compile(ctx, rec.Spec, rec.Capacity)
	if err != nil {
		return nil, err
	}
	return c.Plan, nil
}

// Record is that of a job for which this node can answer.
func (j *Jobs) Record(id plan.JobID) (*api.Record, error) {
	if r := j.Get(id); r != nil {
		return r.Record, nil
	}
	if rec := j.ended(id); rec != nil {
		return rec, nil
	}
	return nil, Moved(id)
}

// End tells a job's watchers how it has ended, for good, and forgets the oldest ended
// jobs beyond the bound.
func (j *Jobs) End(r *Job, s *api.JobStatus) {
	r.ended()
	r.Tell(s)
	j.ends()
}

// ends wakes those who wait for the end of all jobs, and keeps the bound.
func (j *Jobs) ends() {
	j.mu.Lock()
	defer j.mu.Unlock()
	var ended []*Job
	for _, r := range j.byID {
		if s, _ := r.Status(); s.State.Ended() {
			ended = append(ended, r)
		}
	}
	j.wakeDrained()
	if len(ended) <= endedRunsMax {
		return
	}
	slices.SortFunc(ended, func(a, b *Job) int { return int(a.topic.status.Ended - b.topic.status.Ended) })
	for _, r := range ended[:len(ended)-endedRunsMax] {
		j.forget(r)
	}
}

// forget drops a job that has ended, and its driver with all that it knows of it. The
// lock is held.
func (j *Jobs) forget(r *Job) {
	delete(j.byID, r.Spec.ID)
	r.Stop()
}

// Forget drops the jobs that ended before a time.
func (j *Jobs) Forget(before time.Time) {
	j.mu.Lock()
	defer j.mu.Unlock()
	for _, r := range j.byID {
		if s, _ := r.Status(); s.State.Ended() && s.Ended < before.UnixMilli() {
			j.forget(r)
		}
	}
}

// wakeDrained tells those who wait for it that no job runs. The lock is held.
func (j *Jobs) wakeDrained() {
	for _, r := range j.byID {
		if s, _ := r.Status(); !s.State.Ended() {
			return
		}
	}
	for _, ch := range j.waiters {
		close(ch)
	}
	j.waiters = nil
}

// Drained is closed when this node coordinates no running job.
func (j *Jobs) Drained() <-chan struct{} {
	ch := make(chan struct{})
	j.mu.Lock()
	j.waiters = append(j.waiters, ch)
	j.mu.Unlock()
	j.ends()
	return ch
}

// Stop ends every coordinator, as the node's death would: the jobs' records and
// segments stay.
func (j *Jobs) Stop() {
	for _, r := range j.Running() {
		r.Close()
	}
}

// start has a driver drive a job's term. The same job started again is the
// one that runs; another by its id is refused. A newer term takes the place of an
// older one.
func (j *Jobs) start(rec *api.Record, term *terms.Term) (*Job, error) {
	id := rec.Spec.ID
	j.mu.Lock()
	defer j.mu.Unlock()
	if r := j.byID[id]; r != nil {
		if err := rec.Spec.Same(r.Spec); err != nil || r.Term.Number() >= term.Number() {
			return r, err
		}
		j.drop(r)
	}
	first := rec.Spec.Status()
	first.Coordinator, first.Term = string(j.Peers.Self), term.Number()
	turn := j.enter(rec, term)
	if turn == nil {
		return nil, j.busy()
	}
	r := &Job{Record: rec, Spec: rec.Spec, Term: term, topic: newTopic(first), turn: turn}
	r.taken.Store(term.Number() > 1)
	r.lease.max = time.Duration(rec.Spec.Options.LeaseMillis) * time.Millisecond
	var err error
	if r.Driver, err = j.NewDriver(r); err != nil {
		j.leaves(r)
		return nil, fmt.Errorf("jobs: drive job %s: %w", id, err)
	}
	j.byID[id] = r
	return r, nil
}

// Fence gives up a job that this node coordinates in an older term than that one:
// another node drives it. Its watchers find that out by asking again.
func (j *Jobs) Fence(id plan.JobID, below uint64) {
	j.mu.Lock()
	defer j.mu.Unlock()
	if r := j.byID[id]; r != nil && r.Term.Number() < below {
		j.drop(r)
	}
}

// Abandon gives up all jobs that this node coordinates, as its death would.
func (j *Jobs) Abandon() {
	j.mu.Lock()
	defer j.mu.Unlock()
	for _, r := range j.byID {
		j.drop(r)
	}
}

// drop forgets a job that has not ended, and stops its coordinator. The lock is held.
func (j *Jobs) drop(r *Job) {
	if s, _ := r.Status(); s.State.Ended() {
		return
	}
	delete(j.byID, r.Spec.ID)
	r.topic.close()
	j.leaves(r)
	r.Stop()
	j.wakeDrained()
}

// NewID makes up the id of a job that this node would coordinate, unless it
// coordinates as many jobs as it has slots: then any id will do.
func (j *Jobs) NewID() plan.JobID {
	if len(j.Running()) >= j.Slots {
		return api.NewJobID()
	}
	return j.Peers.OwnJobID()
}
