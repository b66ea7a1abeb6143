package jobs

import (
	"sync"
	"sync/atomic"

	"github.com/pondmesh/pond/actors/api"
	"github.com/pondmesh/pond/actors/fair"
	"github.com/pondmesh/pond/actors/prepare"
	"github.com/pondmesh/pond/actors/terms"
)

// Driver is what drives a job for this node. It outlives the job's end: it may still
// be asked about it.
type Driver interface {
	// Send gives it a message, and does not wait. It knows *Admitted and *Cancel, and
	// what else the node tells its drivers.
	Send(msg any)
	// Stop has it give the job up, as the node's death would.
	Stop()
	// Close stops it, and waits until it has stopped.
	Close()
}

// Admitted tells a Driver that its job has waited for a place, and has it now.
type Admitted struct{}

// Cancel asks a Driver to end its job.
type Cancel struct{ Reason string }

// Job is a job that this node drives, in one term. It is safe for concurrent use.
type Job struct {
	Driver
	Record *api.Record  // as the term began; never changed
	Spec   *api.JobSpec // Record's
	Term   *terms.Term

	topic    *topic       // its status; an ended one is final
	turn     *fair.Turn   // guarded by Jobs.mu
	renewals atomic.Int64 // how often the job's client said that it still waits
	taken    atomic.Bool  // somebody may have been told that the job is taken

	mu    sync.Mutex
	lease lease
	job   *prepare.Job // nil until it is planned; replaced when planned again, never changed
}

// Status is how the job stands, and a channel that closes when there is a newer status,
// or when this node does not drive the job any more.
func (r *Job) Status() (*api.JobStatus, <-chan struct{}) { return r.topic.get() }

// Tell publishes a status, which must not be changed afterwards, to those who watch the
// job. Its end is told by Jobs.End.
func (r *Job) Tell(s *api.JobStatus) { r.topic.set(s) }

// Planning tells watchers how far the planning has come.
func (r *Job) Planning(done, of int) {
	s, _ := r.topic.get()
	now := *s
	now.Planning = &api.Planning{Files: done, Of: of}
	r.topic.set(&now)
}

// over reports whether this node has given up the job, and it has not ended.
func (r *Job) over() bool { return r.topic.closed() }

// Renew is a client that still waits for the job.
func (r *Job) Renew() { r.renewals.Add(1) }

// Renewals is how often the job was renewed.
func (r *Job) Renewals() int64 { return r.renewals.Load() }

// Compiled is the job as planned last; nil: it is not planned yet.
func (r *Job) Compiled() *prepare.Job {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.job
}

// Planned keeps what the job was compiled to, at first or again.
func (r *Job) Planned(job *prepare.Job) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.job = job
}

// ended keeps the compiled stages, and drops the state for planning.
func (r *Job) ended() {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.job != nil {
		r.job = r.job.Ended()
	}
}
