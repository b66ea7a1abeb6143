package sched

import "github.com/pondmesh/pond/actors/plan"

// Decider drives one job. It is not safe for concurrent use.
type Decider struct{}

// New returns the Decider of job. It keeps job, which must not change.
func New(job *plan.Job, c Config) *Decider { return &Decider{} }

// Step takes an event and returns what is to be done, in order. The slice is
// valid until the next Step.
func (d *Decider) Step(e Event) []Action { return nil }

// Status is how every stage stands, by index. It costs O(stages).
func (d *Decider) Status() []StageStatus { return nil }

// Finished is the job's Finish; ok is false while it runs.
func (d *Decider) Finished() (f Finish, ok bool) { return Finish{}, false }

// Segments are the winning attempts of a stage, in order of partition; tasks
// without one are left out. It costs O(tasks).
func (d *Decider) Segments(stage int) []Winner { return nil }

// Version is the Version of Runs of a stage that start now.
func (d *Decider) Version(stage int) int64 { return 0 }

// TaskCount is how many tasks a stage has.
func (d *Decider) TaskCount(stage int) int { return 0 }

// Needed reports whether node alone holds a segment that unfinished work may
// still read. It costs O(segments on the node).
func (d *Decider) Needed(node NodeID) bool { return false }
