package pond

import "github.com/pondmesh/pond/actors/plan"

// Sentinels for errors.Is. Error carries the details.
var (
	ErrQuery       = plan.ErrQuery       // the SQL, the plan or the data is wrong: DuckDB's own words
	ErrMemory      = plan.ErrMemory      // a task needed more than a whole node's memory
	ErrResource    = plan.ErrResource    // a disk is full, a file cannot be read
	ErrUnavailable = plan.ErrUnavailable // a node, or all of them, cannot be reached
	ErrCancelled   = plan.ErrCancelled
	ErrDeadline    = plan.ErrDeadline
	ErrNotFound    = plan.ErrNotFound // a file, a job
	ErrExists      = plan.ErrExists   // the output is there already
	ErrDenied      = plan.ErrDenied
	ErrInternal    = plan.ErrInternal // a defect in Pond
)

// Error is what went wrong, where, and what may help. errors.As finds it in
// every error that comes from the pond.
type Error = plan.Error
