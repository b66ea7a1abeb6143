package sched

import "github.com/pondmesh/pond/actors/plan"

// Action is something to be done, in the order returned. Every action may be
// lost or done twice without harm; Runs that were lost are noticed by Alive.
type Action interface{ action() }

// Run starts an attempt on Node. Runs answer the Pull of the same Step.
type Run struct {
	Attempt   plan.AttemptID
	Node      NodeID
	Boot      Boot
	Stage     int // index into Job.Stages
	Partition int
	Memory    int64  // bytes that the attempt may use; > 0
	Threads   int    // that it may use; >= 1, plan.AllCores: as many as the node has cores
	Alone     bool   // it is given the whole node
	Version   int64  // of the inputs: Segments of the stages read have changed when it differs
	Lineage   uint64 // stored with the segment and told by Held
	// Speculative: another attempt of the task is running elsewhere.
	Speculative bool
}

// Stop ends an attempt whose outcome no longer matters: it is not reported, or
// if it is, its output is released.
type Stop struct {
	Attempt plan.AttemptID
	Node    NodeID
}

// Offer tells a node that there is work for it: it should pull.
type Offer struct{ Node NodeID }

// Release gives up a segment (or staged files) that will never be read: a losing
// attempt's, a corrupt one, one of a lineage that is gone. The others stay as
// they are until the job ends, and longer if the node keeps them for reuse.
type Release struct {
	Attempt plan.AttemptID
	Segment string
	Node    NodeID
}

// Copy has Node, which holds a segment, send it to other nodes beside its other work, so
// that Want hold it. It is answered by Copied, and asked for again until it is; a node has
// one at a time.
type Copy struct {
	Attempt plan.AttemptID
	Segment string
	Node    NodeID
	Want    int
}

// Publish makes the files of exactly these attempts, one a task, visible in one
// step. It is answered by Published, and must be idempotent for the job: Try
// counts from 1 and goes up when the outcome of the last one is a failure or
// unknown, or a successor asks again.
type Publish struct {
	Try     int
	Winners []Winner
}

// Finish is the last action of a job.
type Finish struct {
	Status Status
	Err    error // a *plan.Error; nil when Succeeded
	Rows   int64 // of the last stage, when Succeeded
}

func (Run) action()     {}
func (Stop) action()    {}
func (Offer) action()   {}
func (Release) action() {}
func (Copy) action()    {}
func (Publish) action() {}
func (Finish) action()  {}

// Status is how a job ended.
type Status uint8

// Ends of a job. Fenced is the end of this coordinator only: a newer term drives
// the job, and nothing may be recorded about it from here.
const (
	Succeeded Status = iota + 1
	Failure
	Cancelled
	Fenced
)

var statusNames = [...]string{"running", "succeeded", "failed", "cancelled", "fenced"}

func (s Status) String() string {
	if int(s) < len(statusNames) {
		return statusNames[s]
	}
	return "unknown"
}

// Winner is the one attempt of a task that counts, and the holders of its output.
// Holders is empty if no node must hold it (files in shared storage).
type Winner struct {
	Attempt plan.AttemptID
	Node    NodeID // told of it first; it may be gone
	Holders []NodeID
	Lineage uint64
	Reused  bool // made by another job
	Output  Output
}
