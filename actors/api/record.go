package api

import "github.com/pondmesh/pond/actors/plan"

// Record is a job as its home replicas durably keep it: the spec before the
// submitter hears that the job is accepted, who drives it, and later the job's end.
type Record struct {
	Spec   *JobSpec `json:"spec"`
	Term   uint64   `json:"term"`   // of Driver
	Driver Driver   `json:"driver"` // the node that runs the job's coordinator
	Homes  []string `json:"homes"`  // nodes that keep the record: the next driver is the first of them that lives
	// Capacity is that of the pond when the job was submitted. A successor plans
	// by it too, so that it finds the stages that its predecessor has run.
	Capacity Capacity   `json:"capacity"`
	Wait     Wait       `json:"wait,omitempty"`   // for its driver to have a place for it
	Status   *JobStatus `json:"status,omitempty"` // once it has ended
	// Job is its stages when they are not those that the spec compiles to, because
	// the rest of it was planned again while it ran.
	Job *plan.Job `json:"job,omitempty"`
}

// Wait is what is recorded of a job's wait, if it is a long one.
type Wait int

// A driver records that a job waits, and that it waits no more: a successor lets only
// jobs wait that waited.
const (
	Waits  Wait = 1
	Waited Wait = 2
)

// Driver is one start of a node.
type Driver struct {
	Node string `json:"node"`
	Boot string `json:"boot"`
}

// Capacity describes the resources that a pond offers a job.
type Capacity struct {
	Slots       int   `json:"slots"`
	TargetBytes int64 `json:"target_bytes"` // that a task is meant to read, compressed
	SortBytes   int64 `json:"sort_bytes"`   // the same of one that sorts; 0, of an older program: TargetBytes
}
