package report

import (
	"github.com/pondmesh/pond/actors/api"
	"github.com/pondmesh/pond/actors/plan"
	"github.com/pondmesh/pond/actors/sched"
	"github.com/pondmesh/pond/actors/wire"
	"github.com/pondmesh/pond/shuffle"
)

// Output is what a task made, as its report tells. parts are the sizes that the report had
// no room for; nil: it had.
func Output(m *wire.Done, parts *plan.SegmentInfo) sched.Output {
	out := sched.Output{Spilled: m.GetSpillBytes(), CPUMillis: m.GetCpuMs()}
	if s := m.GetSegment(); s != nil {
		out.Segment = shuffle.SegmentID(s.GetId()).String()
		out.Rows, out.RawBytes, out.Bytes = s.GetRows(), s.GetRawBytes(), s.GetBytes()
		out.Sum = s.GetSum()
		out.Parts = plan.SegmentInfo{Rows: s.GetPartitionRows(), Bytes: s.GetPartitionBytes()}
		if parts != nil {
			out.Parts = *parts
		}
	}
	if f := m.GetFiles(); f != nil {
		out.Manifest, out.Rows, out.Bytes = f.GetManifest(), f.GetRows(), f.GetBytes()
	}
	return out
}

// Copies are the nodes that hold what a task made too, as its report tells.
func Copies(m *wire.Done) (nodes []sched.NodeID) {
	for _, n := range m.GetSegment().GetCopies() {
		nodes = append(nodes, sched.NodeID(n))
	}
	return nodes
}

// Copy asks a node for a copy, of what an attempt made.
func Copy(h *wire.Header, task *wire.Task, c sched.Copy) *wire.Copy {
	id, _ := shuffle.ParseSegmentID(c.Segment) // the message is refused without
	return &wire.Copy{Header: h, Task: task, Segment: id[:], Want: int32(c.Want)}
}

// Copied is what became of a copy that a node was asked for.
func Copied(m *wire.Copied, from sched.NodeID) sched.Copied {
	out := sched.Copied{Attempt: m.GetTask().AttemptID(), Segment: shuffle.SegmentID(m.GetSegment()).String(), From: from}
	for _, n := range m.GetNodes() {
		out.Nodes = append(out.Nodes, sched.NodeID(n))
	}
	return out
}

// Held is what a node holds of a job's stages and the job may take: of all jobs, unless it
// reuses nothing. Its result is made of segments that its owner may read: not of another
// user's, unless the owner is an admin. Segments whose partition sizes are too many to be
// kept with them are left out: they are made again.
func Held(all []api.Held, spec *api.JobSpec, job *plan.Job) []sched.HeldSegment {
	result := plan.StageID("")
	if job.Result.Write == nil {
		result = job.Stages[len(job.Stages)-1].ID
	}
	out := make([]sched.HeldSegment, 0, len(all))
	for _, h := range all {
		mine := h.Job == spec.ID
		foreign := h.Stage == result && h.Owner != spec.Owner && !spec.Admin
		if len(h.PartitionRows) != h.Partitions || !mine && (spec.Options.NoReuse || foreign) {
			continue
		}
		out = append(out, sched.HeldSegment{
			Task: plan.TaskID{Stage: h.Stage, Partition: h.Partition}, Attempt: h.Attempt, Tasks: h.Tasks,
			Reused: !mine, Lineage: h.Lineage,
			Output: sched.Output{Segment: h.Segment, Rows: h.Rows, RawBytes: h.RawBytes, Bytes: h.Bytes, Sum: h.Sum,
				Parts: plan.SegmentInfo{Rows: h.PartitionRows, Bytes: h.PartitionBytes}},
		})
	}
	return out
}
