package api

import "github.com/pondmesh/pond/actors/plan"

// Record is a job as its home replicas durably keep it: the spec before the
// submitter hears that the job is accepted, and later the job's end.
type Record struct {
	Spec   *JobSpec   `json:"spec"`
	Term   uint64     `json:"term"`
	Status *JobStatus `json:"status,omitempty"` // once it has ended
	// Job is its stages when they are not those that the spec compiles to, because
	// the rest of it was planned again while it ran.
	Job *plan.Job `json:"job,omitempty"`
}
