package actors

import (
	"context"
	"fmt"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/asynkron/protoactor-go/actor"
	"google.golang.org/protobuf/proto"

	"github.com/pondmesh/pond/actors/api"
	"github.com/pondmesh/pond/actors/fair"
	"github.com/pondmesh/pond/actors/peers"
	"github.com/pondmesh/pond/actors/plan"
	"github.com/pondmesh/pond/actors/prepare"
	"github.com/pondmesh/pond/actors/terms"
	"github.com/pondmesh/pond/actors/wire"
	"github.com/pondmesh/pond/mesh"
)

// Bounds of talking to a coordinator.
const (
	coordinatorReply = 30 * time.Second
	startTimeout     = 60 * time.Second // opening the output; who submits a job hears as late that it is being planned
	endedRunsMax     = 200              // ended jobs whose stages are kept for explain
)

// jobs are the jobs that this node coordinates or has coordinated. It reaches
// their coordinator actors, and answers for those that have ended.
type jobs struct {
	n *Node

	mu      sync.Mutex
	byID    map[plan.JobID]*hostedJob // all that run, and at most endedRunsMax that ended
	waiters []chan struct{}           // closed and dropped once no job runs
	queue   *fair.Queue               // of those that run or wait to
}

// planning tells watchers how far the planning has come.
func (r *hostedJob) planning(done, of int) {
	s, _ := r.topic.get()
	now := *s
	now.Planning = &api.Planning{Files: done, Of: of}
	r.topic.set(&now)
}

// hostedJob is a job that this node coordinates, in one term.
type hostedJob struct {
	rec      *api.Record  // of a job that runs; never changed
	spec     *api.JobSpec // rec's
	term     *terms.Term
	pid      *actor.PID   // of its coordinator, which outlives the job's end
	topic    *topic       // its status; an ended one is final
	turn     *fair.Turn   // guarded by jobs.mu
	renewals atomic.Int64 // how often the job's client said that it still waits
	taken    atomic.Bool  // somebody may have been told that the job is taken

	mu  sync.Mutex
	job *prepare.Job // nil until it is planned; replaced when planned again, never changed
}

func (r *hostedJob) compiled() *prepare.Job {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.job
}

// ended keeps the compiled stages, and drops the state for planning.
func (r *hostedJob) ended() {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.job != nil {
		r.job = r.job.Ended()
	}
}

func newJobs(n *Node, l fair.Limits) *jobs {
	return &jobs{n: n, byID: map[plan.JobID]*hostedJob{}, queue: fair.NewQueue(l)}
}

func (j *jobs) get(id plan.JobID) *hostedJob {
	j.mu.Lock()
	defer j.mu.Unlock()
	return j.byID[id]
}

// knows reports whether this node can answer for a job.
func (j *jobs) knows(id plan.JobID) bool {
	return j.get(id) != nil || j.ended(id) != nil
}

// ended is the record of a job that is over, if it is kept here.
func (j *jobs) ended(id plan.JobID) *api.Record {
	if rec := j.n.records.Get(id); rec != nil && rec.Status != nil {
		return rec
	}
	return nil
}

func (j *jobs) status(id plan.JobID) (*api.JobStatus, error) {
	s, _ := j.watch(id)
	if s == nil {
		return nil, moved(id)
	}
	return s, nil
}

// watch is a job's status and a channel that closes when there is a newer one. The
// status is nil when this node does not coordinate the job any more.
func (j *jobs) watch(id plan.JobID) (*api.JobStatus, <-chan struct{}) {
	if r := j.get(id); r != nil {
		return j.see(r)
	}
	if rec := j.ended(id); rec != nil {
		return rec.Status, nil
	}
	return nil, nil
}

// moved is the error of a job that this node coordinated until now.
func moved(id plan.JobID) error {
	return &plan.Error{Kind: plan.KindUnavailable, Op: "job", Subject: string(id), Text: "another node takes the job over", Hint: "ask again in a moment"}
}

// running is the jobs that this node coordinates and that have not ended.
func (j *jobs) running() []*hostedJob {
	j.mu.Lock()
	defer j.mu.Unlock()
	var runs []*hostedJob
	for _, r := range j.byID {
		if s, _ := r.topic.get(); !s.State.Ended() {
			runs = append(runs, r)
		}
	}
	return runs
}

// list is the jobs that this node coordinates or keeps a record of.
func (j *jobs) list() []api.JobStatus {
	seen := map[plan.JobID]bool{}
	out := []api.JobStatus{}
	j.mu.Lock()
	for id, r := range j.byID {
		s, _ := r.topic.get()
		out = append(out, *j.placed(r, s))
		seen[id] = true
	}
	j.mu.Unlock()
	for _, rec := range j.n.records.List() {
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

func (j *jobs) cancel(ctx context.Context, id plan.JobID) (*api.JobStatus, error) {
	r := j.get(id)
	if r == nil {
		return j.status(id)
	}
	j.n.wire.System().Root.Send(r.pid, &cancelJobMsg{reason: "cancelled by request"})
	for {
		s, changed := r.topic.get()
		if s.State.Ended() {
			return s, nil
		}
		if r.topic.closed() {
			return nil, moved(id)
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return s, nil
		}
	}
}

// compiled is a job's stages, planned anew if they are not kept.
func (j *jobs) compiled(ctx context.Context, id plan.JobID) (*plan.Job, error) {
	rec, err := j.record(id)
	if err != nil {
		return nil, err
	}
	if r := j.get(id); r != nil {
		if c := r.compiled(); c != nil {
			return c.Plan, nil
		}
	} else if rec.Job != nil {
		return rec.Job, nil
	}
	c, err := j.n.planner.Compile(ctx, rec.Spec, rec.Capacity)
	if err != nil {
		return nil, err
	}
	return c.Plan, nil
}

// record is that of a job for which this node can answer.
func (j *jobs) record(id plan.JobID) (*api.Record, error) {
	if r := j.get(id); r != nil {
		return r.rec, nil
	}
	if rec := j.ended(id); rec != nil {
		return rec, nil
	}
	return nil, moved(id)
}

// packet asks a job's coordinator for a stage.
func (j *jobs) packet(ctx context.Context, id plan.JobID, term uint64, stage int, version uint64) (*api.Packet, error) {
	r := j.get(id)
	if r == nil {
		return nil, peers.NoJob(id)
	}
	reply := make(chan packetReply, 1)
	j.n.wire.System().Root.Send(r.pid, &packetMsg{term: term, stage: stage, version: version, reply: reply})
	return wait(ctx, j.n, reply, func(p packetReply) (*api.Packet, error) { return p.packet, p.err })
}

// deliver hands a worker's message to the job's coordinator and waits for its
// answer. That the wire bounds how many handlers wait bounds its mailbox.
func (j *jobs) deliver(ctx context.Context, h *wire.Header, from wire.Peer, msg proto.Message) (proto.Message, error) {
	id := plan.JobID(h.GetJob())
	r := j.get(id)
	if r == nil {
		return nil, peers.NoJob(id)
	}
	if s, _ := r.topic.get(); s.State.Ended() {
		return nil, peers.NoJob(id)
	}
	reply := make(chan grantReply, 1)
	j.n.wire.System().Root.Send(r.pid, &nodeMsg{from: from, header: h, msg: msg, reply: reply})
	return wait(ctx, j.n, reply, func(g grantReply) (proto.Message, error) { return g.grant, g.err })
}

// wait waits for an actor's answer, but not for ever.
func wait[R, T any](ctx context.Context, n *Node, reply <-chan R, f func(R) (T, error)) (T, error) {
	var zero T
	t := time.NewTimer(coordinatorReply)
	defer t.Stop()
	select {
	case r := <-reply:
		return f(r)
	case <-ctx.Done():
		return zero, context.Cause(ctx)
	case <-t.C:
		return zero, &plan.Error{Kind: plan.KindUnavailable, Op: "ask the coordinator", Text: "no answer in time"}
	case <-n.ctx.Done():
		return zero, &plan.Error{Kind: plan.KindUnavailable, Op: "ask the coordinator", Text: "the node is stopping"}
	}
}

func (j *jobs) viewChanged(v *mesh.View) {
	j.mu.Lock()
	defer j.mu.Unlock()
	for _, r := range j.byID {
		j.n.wire.System().Root.Send(r.pid, &membersMsg{view: v})
	}
}

// ends notes that a coordinator has ended, and forgets the oldest beyond the
// bound.
func (j *jobs) ends() {
	j.mu.Lock()
	defer j.mu.Unlock()
	var ended []*hostedJob
	for _, r := range j.byID {
		if s, _ := r.topic.get(); s.State.Ended() {
			ended = append(ended, r)
		}
	}
	j.wakeDrained()
	if len(ended) <= endedRunsMax {
		return
	}
	slices.SortFunc(ended, func(a, b *hostedJob) int { return int(a.topic.status.Ended - b.topic.status.Ended) })
	for _, r := range ended[:len(ended)-endedRunsMax] {
		delete(j.byID, r.spec.ID)
	}
}

// wakeDrained tells those who wait for it that no job runs. The lock is held.
func (j *jobs) wakeDrained() {
	for _, r := range j.byID {
		if s, _ := r.topic.get(); !s.State.Ended() {
			return
		}
	}
	for _, ch := range j.waiters {
		close(ch)
	}
	j.waiters = nil
}

// drained is closed when this node coordinates no running job.
func (j *jobs) drained() <-chan struct{} {
	ch := make(chan struct{})
	j.mu.Lock()
	j.waiters = append(j.waiters, ch)
	j.mu.Unlock()
	j.ends()
	return ch
}

// stop ends every coordinator, as the node's death would: the jobs' records and
// segments stay.
func (j *jobs) stop() {
	for _, r := range j.running() {
		_ = j.n.wire.System().Root.StopFuture(r.pid).Wait()
	}
}

// start spawns the coordinator of a job's term. The same job started again is the
// one that runs; another by its id is refused. A newer term takes the place of an
// older one.
func (j *jobs) start(rec *api.Record, term *terms.Term) (*hostedJob, error) {
	id := rec.Spec.ID
	j.mu.Lock()
	defer j.mu.Unlock()
	if r := j.byID[id]; r != nil {
		if err := rec.Spec.Same(r.spec); err != nil || r.term.Number() >= term.Number() {
			return r, err
		}
		j.drop(r)
	}
	first := rec.Spec.Status()
	first.Coordinator, first.Term = string(j.n.id), term.Number()
	turn := j.enter(rec, term)
	if turn == nil {
		return nil, j.busy()
	}
	r := &hostedJob{spec: rec.Spec, term: term, rec: rec, topic: newTopic(first), turn: turn}
	r.taken.Store(term.Number() > 1)
	props := actor.PropsFromProducer(func() actor.Actor { return &coordinator{n: j.n, hosted: r, term: term.Number()} })
	pid, err := j.n.wire.System().Root.SpawnNamed(props, fmt.Sprintf("coordinator-%s-%d", id, term.Number()))
	if err != nil {
		j.leaves(r)
		return nil, fmt.Errorf("actors: start the coordinator of job %s: %w", id, err)
	}
	r.pid = pid
	j.byID[id] = r
	return r, nil
}

// fence gives up a job that this node coordinates in an older term than that one:
// another node drives it. Its watchers find that out by asking again.
func (j *jobs) fence(id plan.JobID, below uint64) {
	j.mu.Lock()
	defer j.mu.Unlock()
	if r := j.byID[id]; r != nil && r.term.Number() < below {
		j.drop(r)
	}
}

// abandon gives up all jobs that this node coordinates, as its death would.
func (j *jobs) abandon() {
	j.mu.Lock()
	defer j.mu.Unlock()
	for _, r := range j.byID {
		j.drop(r)
	}
}

// drop forgets a job that has not ended, and stops its coordinator. The lock is held.
func (j *jobs) drop(r *hostedJob) {
	if s, _ := r.topic.get(); s.State.Ended() {
		return
	}
	delete(j.byID, r.spec.ID)
	r.topic.close()
	j.leaves(r)
	j.n.wire.System().Root.Stop(r.pid)
	j.wakeDrained()
}

// ownJobID makes up the id of a job that this node would coordinate, unless it
// coordinates as many jobs as it has slots: then any id will do.
func (j *jobs) ownJobID() plan.JobID {
	if len(j.running()) >= j.n.cfg.Slots {
		return api.NewJobID()
	}
	return j.n.peers.OwnJobID()
}
