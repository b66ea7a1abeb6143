package plan

import "fmt"

// SegmentInfo is what a finished task left behind, as Assign needs it: rows and
// bytes of each output partition. A stage's segments are listed by task: the
// segment of task i stands at i, whichever attempt and node it came from.
type SegmentInfo struct {
	Rows  []int64
	Bytes []int64
}

// TaskInput is what one task reads: one TaskPart for each of Stage.Inputs, in
// the same order.
type TaskInput struct {
	Parts []TaskPart
}

// TaskPart is one input's share. A Scan fills Pieces, a Read fills Blocks and
// Empty, a Literal fills First and Count.
type TaskPart struct {
	Pieces []Piece
	// Blocks are in the order their rows count in. Where nothing is read from a
	// stage it stands in Empty instead: its columns still belong to the view,
	// which is the UNION ALL of all of Read.Stages in that order.
	Blocks []Blocks
	Empty  []int
	First  int64 // first row of the literal
	Count  int64 // rows of the literal
}

// Blocks names rows of one segment: partitions [Partition, Partition+Count),
// in order; of their rows together the first Skip are left out, then Rows are
// read. Rows is never 0; Bytes is an estimate when rows are cut.
type Blocks struct {
	Stage     int // index in Job.Stages
	Segment   int // the task that wrote it
	Partition int
	Count     int
	Skip      int64
	Rows      int64
	Bytes     int64
}

// TaskCount is how many tasks a stage has. It is known before any has run
// unless Tasks.N is 0; then it is the number of segments that up holds for the
// stages it reads.
func TaskCount(job *Job, stage int, up map[int][]SegmentInfo) int {
	panic("unwritten")
}

// Assign says what task `partition` of a stage reads, given the segments of the
// stages that it reads. The cost is that of one task's share: nothing is built
// for the others.
func Assign(job *Job, stage, partition int, up map[int][]SegmentInfo) (TaskInput, error) {
	return TaskInput{}, fmt.Errorf("plan: unwritten")
}
