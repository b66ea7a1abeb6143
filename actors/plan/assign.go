package plan

import "fmt"

// SegmentInfo describes the output of a finished task for Assign: rows and bytes of
// each output partition (those after the last listed are empty: a range exchange may
// find fewer bounds than it has partitions). A stage's segments are listed by task:
// the segment of task i stands at i, whichever attempt and node it came from.
type SegmentInfo struct {
	Rows  []int64
	Bytes []int64
}

// TaskInput is the input of one task: one TaskPart for each of Stage.Inputs, in
// the same order.
type TaskInput struct {
	Parts []TaskPart
	// Bounds are the rows of the stage at Exchange.Bounds (Range only).
	Bounds []Blocks
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

// TaskCount is how many tasks a stage has. Compile says it of every stage it
// makes; where Tasks.N is 0 it is the number of segments of the stages that are
// read, known once those have run (up). A stage with a Fit has to be [Fitted].
func TaskCount(job *Job, stage int, up map[int][]SegmentInfo) int {
	s := job.Stages[stage]
	if s.Tasks.N > 0 {
		return s.Tasks.N
	}
	n := 0
	for _, in := range s.Inputs {
		if in.Read != nil && in.Read.How == ReadSegments {
			for _, u := range in.Read.Stages {
				n += len(up[u])
			}
		}
	}
	return max(n, 1)
}

// Assign says what task `partition` of a stage reads, given the segments of the
// stages that it reads. The cost is that of one task's share: nothing is built
// for the others.
func Assign(job *Job, stage, partition int, up map[int][]SegmentInfo) (TaskInput, error) {
	if stage < 0 || stage >= len(job.Stages) {
		return TaskInput{}, fmt.Errorf("plan: assign: there is no stage %d: %w", stage, ErrInternal)
	}
	s := job.Stages[stage]
	if s.Tasks.Fit != nil && s.Tasks.Specs == nil {
		return TaskInput{}, fmt.Errorf("plan: assign: stage %d is not fitted: %w", stage, ErrInternal)
	}
	tasks := TaskCount(job, stage, up)
	if partition < 0 || partition >= tasks {
		return TaskInput{}, fmt.Errorf("plan: assign: stage %d has no task %d, only %d: %w", stage, partition, tasks, ErrInternal)
	}
	in := TaskInput{Parts: make([]TaskPart, len(s.Inputs))}
	for i := range s.Inputs {
		var err error
		p := &in.Parts[i]
		switch input := &s.Inputs[i]; {
		case input.Scan != nil:
			p.Pieces, err = input.Scan.piecesOf(partition, tasks)
		case input.Literal != nil:
			p.First, p.Count = input.Literal.rowsOf(partition, tasks)
		case input.Read != nil:
			a := assigner{job: job, read: input.Read, up: up, task: partition, tasks: tasks, part: p}
			if s.Tasks.Specs != nil {
				a.spec = &s.Tasks.Specs[partition]
				a.split = a.spec.To > 0 && a.spec.Input == i
			}
			err = a.assign()
		}
		if err != nil {
			return TaskInput{}, fmt.Errorf("plan: assign: stage %d, task %d: %w", stage, partition, err)
		}
	}
	if s.Exchange.Kind == Range {
		var p TaskPart
		a := assigner{job: job, read: &Read{Stages: []int{s.Exchange.Bounds}, How: ReadAll}, up: up, tasks: 1, part: &p}
		if err := a.assign(); err != nil {
			return TaskInput{}, fmt.Errorf("plan: assign: bounds of stage %d: %w", stage, err)
		}
		in.Bounds = p.Blocks
	}
	return in, nil
}

func (s *Scan) piecesOf(task, tasks int) ([]Piece, error) {
	if s.Broadcast {
		if len(s.Splits) == 0 {
			return nil, nil
		}
		return s.Splits[0], nil
	}
	if len(s.Splits) != tasks {
		return nil, fmt.Errorf("the scan is split in %d: %w", len(s.Splits), ErrInternal)
	}
	return s.Splits[task], nil
}

func (l *Literal) rowsOf(task, tasks int) (first, n int64) {
	if l.Broadcast {
		return 0, l.Rows
	}
	lo, hi := EvenRange(l.Rows, tasks, task)
	return lo, hi - lo
}

// assigner works out one task's share of one read.
type assigner struct {
	job         *Job
	read        *Read
	up          map[int][]SegmentInfo
	task, tasks int
	spec        *PartitionSpec // of a fitted stage
	split       bool           // only the share's segments are read
	part        *TaskPart
}

func (a *assigner) assign() error {
	for _, u := range a.read.Stages {
		if u < 0 || u >= len(a.job.Stages) || len(a.up[u]) == 0 {
			return fmt.Errorf("the segments of stage %d are not known: %w", u, ErrInternal)
		}
		for i, seg := range a.up[u] {
			if most := a.job.Stages[u].Exchange.Partitions; len(seg.Rows) > most || len(seg.Bytes) != len(seg.Rows) {
				return fmt.Errorf("segment %d of stage %d has %d partitions, not %d: %w", i, u, len(seg.Rows), most, ErrInternal)
			}
		}
	}
	switch a.read.How {
	case ReadPartition:
		return a.partitions()
	case ReadAll:
		a.each(func(u, _ int) { a.take(u, 0, a.up[u], 0, a.job.Stages[u].Exchange.Partitions) })
	case ReadSegments:
		a.segments()
	case ReadRows:
		a.rows()
	default:
		return fmt.Errorf("it reads %q: %w", a.read.How, ErrInternal)
	}
	return nil
}

// each calls f for every stage that is read, with the number of segments of
// those before it, and notes the stages that gave nothing.
func (a *assigner) each(f func(u, before int)) {
	before := 0
	for _, u := range a.read.Stages {
		had := len(a.part.Blocks)
		f(u, before)
		if len(a.part.Blocks) == had {
			a.part.Empty = append(a.part.Empty, u)
		}
		before += len(a.up[u])
	}
}

// take reads partitions [lo, lo+n) of segments; the first is number `first` of
// stage u.
func (a *assigner) take(u, first int, segs []SegmentInfo, lo, n int) {
	for i, seg := range segs {
		b := Blocks{Stage: u, Segment: first + i, Partition: lo, Count: min(n, len(seg.Rows)-lo)}
		for p := lo; p < lo+b.Count; p++ {
			b.Rows += seg.Rows[p]
			b.Bytes += seg.Bytes[p]
		}
		if b.Rows > 0 {
			a.part.Blocks = append(a.part.Blocks, b)
		}
	}
}

func (a *assigner) partitions() error {
	if a.spec != nil {
		a.fitted()
		return nil
	}
	for _, u := range a.read.Stages {
		if parts := a.job.Stages[u].Exchange.Partitions; a.tasks > parts {
			return fmt.Errorf("%d tasks share %d partitions of stage %d: %w", a.tasks, parts, u, ErrInternal)
		}
	}
	a.each(func(u, _ int) {
		lo, hi := EvenRange(int64(a.job.Stages[u].Exchange.Partitions), a.tasks, a.task)
		a.take(u, 0, a.up[u], int(lo), int(hi-lo))
	})
	return nil
}

// fitted reads the partitions of the task's share.
func (a *assigner) fitted() {
	a.each(func(u, before int) {
		segs, first := a.up[u], 0
		if a.split {
			first = min(max(a.spec.From-before, 0), len(segs))
			segs = segs[first:max(min(a.spec.To-before, len(segs)), first)]
		}
		a.take(u, first, segs, a.spec.Lo, a.spec.Hi-a.spec.Lo)
	})
}

func (a *assigner) segments() {
	total := 0
	for _, u := range a.read.Stages {
		total += len(a.up[u])
	}
	lo, hi := EvenRange(int64(total), a.tasks, a.task)
	a.each(func(u, before int) {
		segs := a.up[u]
		first := min(max(int(lo)-before, 0), len(segs))
		last := min(max(int(hi)-before, 0), len(segs))
		a.take(u, first, segs[first:last], 0, a.job.Stages[u].Exchange.Partitions)
	})
}

// rows cuts the rows of all segments, one after another, into even shares.
func (a *assigner) rows() {
	var total int64
	sums := make([][]int64, len(a.read.Stages))
	for i, u := range a.read.Stages {
		sums[i] = make([]int64, len(a.up[u]))
		for k, seg := range a.up[u] {
			for _, r := range seg.Rows {
				sums[i][k] += r
			}
			total += sums[i][k]
		}
	}
	lo, hi := EvenRange(total, a.tasks, a.task)
	var first int64 // of the segment at hand
	i := -1
	a.each(func(u, _ int) {
		i++
		for k, rows := range sums[i] {
			from, to := max(lo, first), min(hi, first+rows)
			if from < to {
				b := Blocks{Stage: u, Segment: k, Count: len(a.up[u][k].Rows), Skip: from - first, Rows: to - from}
				for _, n := range a.up[u][k].Bytes {
					b.Bytes += n
				}
				b.Bytes = int64(float64(b.Bytes) * float64(b.Rows) / float64(rows))
				a.part.Blocks = append(a.part.Blocks, b)
			}
			first += rows
		}
	})
}
