package sched

import (
	"github.com/pondmesh/pond/actors/plan"
	"github.com/pondmesh/pond/mesh/offers"
)

// NodeID names a node across its restarts.
type NodeID string

// Boot names one start of a node's process.
type Boot string

// Event is something that happened. Events may come late, twice or in any order: an
// outdated one changes nothing.
type Event interface{ event() }

// Tick moves time. Now is in milliseconds and never goes back (an earlier Now
// counts as the last one). A coordinator ticks a few times a second; it may tick
// before any other event for better precision. The first Tick starts the job:
// NodeUp, Held and Alive before it report the nodes and the tasks that need not run.
type Tick struct{ Now int64 }

// NodeUp, NodeLost and NodeLeaving of one node must come in the order of what
// they tell; repeating one is harmless. A node that was lost and comes back has
// forgotten that it was leaving: say so again.
//
// NodeUp: a node is there, ready for work. A new boot implies that the earlier
// boot is lost; the same boot may have other Slots and Memory now. Slots is how many tasks it runs at once; Memory is bytes for all
// of them together, 0 if unknown.
type NodeUp struct {
	Node   NodeID
	Boot   Boot
	Slots  int
	Memory int64
	Offers offers.Set // the Go functions that it has
}

// NodeLost: this boot of a node is gone, and with it its attempts and segments. Held
// reports the segments that it still holds when it comes back.
type NodeLost struct {
	Node NodeID
	Boot Boot
}

// NodeLeaving: the node takes no more tasks. It finishes its attempts, and its
// segments can be read until it is lost. See [Decider.Needed].
type NodeLeaving struct{ Node NodeID }

// Pull: a node asks for up to Slots tasks, now. The answer is the Runs that the
// same Step returns: all, fewer or none. A node pulls when it learns of the job,
// whenever a slot falls free, and on every Offer.
type Pull struct {
	Node  NodeID
	Boot  Boot
	Slots int
}

// Alive: these attempts, and no others of this job, run on the node. Unneeded ones
// are stopped; those that should run and repeatedly do not (a lost message) are run
// again; those that a predecessor started are attached to.
type Alive struct {
	Node    NodeID
	Boot    Boot
	Running []Running
}

// Running is an attempt, and the Lineage of its Run.
type Running struct {
	Attempt plan.AttemptID
	Lineage uint64
}

// Done: an attempt committed its output.
type Done struct {
	Attempt plan.AttemptID
	Node    NodeID
	Boot    Boot
	Lineage uint64 // the Run's; 0: not told, then a late Done of a stage that reads others is ignored
	Output  Output
	Copies  []NodeID // hold the segment too
}

// Copied: these nodes hold an attempt's segment too. From answers a Copy so: with none if
// nobody takes the segment, or it has it no more.
type Copied struct {
	Attempt plan.AttemptID
	Segment string
	Nodes   []NodeID
	From    NodeID // empty: it was not asked for
}

// Output is the committed output of an attempt: a segment, or staged files.
type Output struct {
	Segment   string // names the segment, unique for ever; may be empty when files were written
	Rows      int64
	RawBytes  int64            // before compression
	Bytes     int64            // as stored
	Parts     plan.SegmentInfo // rows and bytes of each partition; empty when they are too many to tell
	Sum       uint64           // of the rows and their partitions, in any order: equal outputs have equal ones
	Manifest  string           // names the list of the files that were staged
	Spilled   int64            // bytes that DuckDB spilled
	CPUMillis int64
}

// Failed: an attempt ended without output. A nil Err counts as KindInternal.
type Failed struct {
	Attempt plan.AttemptID
	Node    NodeID
	Boot    Boot
	Err     *plan.Error
}

// Held: the outputs of this job's stages that a node durably holds, whichever job or
// term made them. It may come at any time; before the first Tick it saves most.
type Held struct {
	Node     NodeID
	Boot     Boot
	Segments []HeldSegment
}

// HeldSegment is one committed segment. For a stage that writes files only this
// job's own count: those of another job were published then.
type HeldSegment struct {
	Task    plan.TaskID
	Attempt int
	Tasks   int    // of its stage when it ran; 0: unknown. Another number than now is refused
	Reused  bool   // made by another job
	Lineage uint64 // the Run's, stored with the segment
	Output  Output
}

// Published answers Publish of the same Try. Err is nil when readers see the new
// files. A KindFetch naming tasks has them run again.
type Published struct {
	Try int
	Err error
}

// Extend: the rest of the job is planned again. Job has the old stages, in their
// places, and new ones behind them; the last one now makes the result. Stages that
// only the old last one needed are stopped. It comes before any task of the old last
// one has run, and is ignored once the job publishes.
type Extend struct{ Job *plan.Job }

// Cancel ends the job, unless it is already publishing: then the outcome of that
// decides.
type Cancel struct{ Reason string }

// Deadline: the job's time is up. Like Cancel, but the job has failed.
type Deadline struct {
	Millis int64 // that it was given, from submission
}

func (Tick) event()        {}
func (NodeUp) event()      {}
func (NodeLost) event()    {}
func (NodeLeaving) event() {}
func (Pull) event()        {}
func (Alive) event()       {}
func (Done) event()        {}
func (Copied) event()      {}
func (Failed) event()      {}
func (Held) event()        {}
func (Published) event()   {}
func (Extend) event()      {}
func (Cancel) event()      {}
func (Deadline) event()    {}
