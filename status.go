package pond

import (
	"encoding/json"
	"maps"
	"slices"
	"time"

	"github.com/pondmesh/pond/actors/api"
	"github.com/pondmesh/pond/actors/plan"
)

// Status is the state of a job. GET /v1/jobs/{id} returns it as JSON.
type Status struct {
	ID          string
	Name        string // of its job file; may be empty
	Statement   string // the SQL as it was written, or its beginning; empty for other jobs
	User        string // the submitter, as its client claims
	Owner       string // the submitter, as a certificate or a token says: who may read and end it, as admins may; empty: only they
	Hidden      bool   // the session's user is neither: statement, names, files and the error's text are left out
	State       string // queued, running, succeeded, failed or cancelled
	Error       *Error // of a job that failed or was cancelled
	Coordinator string // the node that drives it
	Copies      string // when two nodes hold what a stage leaves: lazy or eager; empty: never, as far as is decided
	Term        uint64
	Submitted   time.Time
	Started     time.Time // when the first task was handed out; zero until then
	EngineEnded time.Time // when the last task of an ended job had ended: files are published after that
	Ended       time.Time // zero until then
	FirstRow    time.Time // when a client began to read its rows; see Job.Status
	LastRow     time.Time // when the last one that was read had been sent
	Place       int       // among the jobs that wait for a node to drive them, from 1, of
	InQueue     int       // so many; 0: it does not wait
	WaitsFor    string    // what has to happen before it is driven, or ends, in words
	Planned     int       // files that were looked at while the job is planned, of
	ToPlan      int       // so many; 0: it is not being planned, or nothing is to be told
	Stages      []Stage
	Rows        int64    // of the result, when it has succeeded
	Output      string   // the folder or the file that it writes
	Files       []string // in the folder, when it has succeeded
}

// Stage is the progress of one stage of a job.
type Stage struct {
	Index    int
	Name     string
	Tasks    int // 0: not known yet
	Running  int
	Done     int
	Reused   int // of Done, found already made
	Retries  int
	Lost     int // times that a finished task's output was lost, with all copies
	Copies   int // made of what its tasks left, by other nodes
	Rows     int64
	RawBytes int64         // shuffled or written, before compression
	Bytes    int64         // shuffled or written
	Spill    int64         // bytes that DuckDB spilled
	CPU      time.Duration // of its tasks, together
	Wall     time.Duration // from the first start of a task to the last end
	// Dropped: the job was planned again once sizes were known, and nothing needs
	// the output of the stage.
	Dropped bool

	// The rest is known when the job has ended.

	Read            int64          // bytes of the files and segments that its tasks read from
	TaskBytesMax    int64          // the most that one task shuffled or wrote
	TaskBytesMedian int64          // and the median
	Nodes           map[string]int // tasks that each node ran
}

// Done reports whether the job has ended.
func (s *Status) Done() bool { return api.State(s.State).Ended() }

// Err is why the job did not succeed; nil when it did, or has not ended.
func (s *Status) Err() error {
	switch {
	case !s.Done() || s.State == string(api.Succeeded):
		return nil
	case s.Error == nil:
		return failure(plan.KindCancelled, "", "", "", "the job was cancelled")
	}
	return s.Error
}

func statusOf(s *api.JobStatus) *Status {
	out := &Status{
		ID: string(s.ID), Name: s.Name, Statement: s.Statement, User: s.User, Owner: s.Owner, Hidden: s.Hidden, State: string(s.State), Error: (*Error)(s.Error), Coordinator: s.Coordinator, Copies: string(s.Copies), Term: s.Term,
		Submitted: timeOf(s.Submitted), Started: timeOf(s.Started), EngineEnded: timeOf(s.EngineEnded), Ended: timeOf(s.Ended), FirstRow: timeOf(s.FirstRow), LastRow: timeOf(s.LastRow), Rows: s.Rows, Output: s.Output, Files: s.Files,
	}
	if w := s.Waiting; w != nil {
		out.Place, out.InQueue, out.WaitsFor = w.Place, w.Of, w.For
	}
	if s.Planning != nil {
		out.Planned, out.ToPlan = s.Planning.Files, s.Planning.Of
	}
	for _, x := range s.Stages {
		st := Stage{
			Index: x.Index, Name: x.Name, Tasks: x.Tasks, Running: x.Running, Done: x.Done, Reused: x.Reused, Retries: x.Retries, Lost: x.Lost, Copies: x.Copies,
			Rows: x.Rows, RawBytes: x.RawBytes, Bytes: x.Bytes, Spill: x.Spill, CPU: millis(x.CPU), Wall: millis(x.Wall), Dropped: x.Dropped,
			Read: x.Read, TaskBytesMax: x.TaskBytesMax, TaskBytesMedian: x.TaskBytesMedian,
		}
		for _, n := range x.Nodes {
			if st.Nodes == nil {
				st.Nodes = map[string]int{}
			}
			st.Nodes[n.Node] = n.Tasks
		}
		out.Stages = append(out.Stages, st)
	}
	return out
}

// MarshalJSON writes the status as the HTTP API does.
func (s *Status) MarshalJSON() ([]byte, error) {
	out := api.JobStatus{
		ID: plan.JobID(s.ID), Name: s.Name, Statement: s.Statement, User: s.User, Owner: s.Owner, Hidden: s.Hidden, State: api.State(s.State), Error: (*api.Error)(s.Error), Coordinator: s.Coordinator, Copies: plan.Copies(s.Copies), Term: s.Term,
		Submitted: unixMillis(s.Submitted), Started: unixMillis(s.Started), EngineEnded: unixMillis(s.EngineEnded), Ended: unixMillis(s.Ended), FirstRow: unixMillis(s.FirstRow), LastRow: unixMillis(s.LastRow), Rows: s.Rows, Output: s.Output, Files: s.Files,
	}
	if s.WaitsFor != "" {
		out.Waiting = &api.Waiting{Place: s.Place, Of: s.InQueue, For: s.WaitsFor}
	}
	if s.ToPlan > 0 {
		out.Planning = &api.Planning{Files: s.Planned, Of: s.ToPlan}
	}
	for _, x := range s.Stages {
		out.Stages = append(out.Stages, api.StageStatus{
			Index: x.Index, Name: x.Name, Tasks: x.Tasks, Running: x.Running, Done: x.Done, Reused: x.Reused, Retries: x.Retries, Lost: x.Lost, Copies: x.Copies,
			Rows: x.Rows, RawBytes: x.RawBytes, Bytes: x.Bytes, Spill: x.Spill, CPU: x.CPU.Milliseconds(), Wall: x.Wall.Milliseconds(), Dropped: x.Dropped,
			Read: x.Read, TaskBytesMax: x.TaskBytesMax, TaskBytesMedian: x.TaskBytesMedian, Nodes: nodeTasks(x.Nodes),
		})
	}
	return json.Marshal(out)
}

func nodeTasks(nodes map[string]int) []api.NodeTasks {
	var out []api.NodeTasks
	for _, n := range slices.Sorted(maps.Keys(nodes)) {
		out = append(out, api.NodeTasks{Node: n, Tasks: nodes[n]})
	}
	return out
}

// timeOf is a time of the wire, in Unix milliseconds; 0: none.
func timeOf(ms int64) time.Time {
	if ms == 0 {
		return time.Time{}
	}
	return time.UnixMilli(ms)
}

func unixMillis(t time.Time) int64 {
	if t.IsZero() {
		return 0
	}
	return t.UnixMilli()
}

func millis(n int64) time.Duration { return time.Duration(n) * time.Millisecond }
