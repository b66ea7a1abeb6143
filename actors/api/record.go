package api

import "github.com/pondmesh/pond/actors/plan"

// Record is what the home replicas of a job keep durably: the spec before the
// job is told to be taken, and how it ended.
type Record struct {
	Spec   *JobSpec   `json:"spec"`
	Term   uint64     `json:"term"`
	Status *JobStatus `json:"status,omitempty"` // once it has ended
	// Job is its stages, if they are others than the spec tells: the rest of the
	// job was planned again while it ran.
	Job *plan.Job `json:"job,omitempty"`
}
