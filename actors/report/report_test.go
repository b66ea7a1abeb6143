package report

import (
	"context"
	"errors"
	"log/slog"
	"slices"
	"strings"
	"testing"
	"time"

	"google.golang.org/protobuf/proto"

	"github.com/pondmesh/pond/actors/api"
	"github.com/pondmesh/pond/actors/exec"
	"github.com/pondmesh/pond/actors/plan"
	"github.com/pondmesh/pond/actors/wire"
	"github.com/pondmesh/pond/shuffle"
)

// TestReportsAreHeard: whatever becomes of a report, its attempt ends.
func TestReportsAreHeard(t *testing.T) {
	h := &wire.Header{Job: strings.Repeat("0", 32)}
	task := &wire.Task{StageId: "s", Attempt: 3}
	for _, c := range []struct {
		name   string
		report *wire.Done
		answer error // of a coordinator that is given a valid message
		told   []string
	}{
		{"valid", &wire.Done{Task: task, Files: &wire.Files{Manifest: "a", Count: 1 << 40}}, nil, []string{"done"}},
		{"not valid", &wire.Done{Task: task, Files: &wire.Files{Manifest: "../a"}}, nil, []string{"failed"}},
		{"refused", &wire.Done{Task: task}, plan.ErrInternal, []string{"done", "failed"}},
		{"fenced", &wire.Done{Task: task}, plan.ErrFenced, []string{"done"}},
		{"unreachable", &wire.Done{Task: task}, plan.ErrUnavailable, []string{"done"}},
	} {
		var told []string
		deliver := func(m proto.Message) ([]*wire.Run, error) {
			if err := wire.Validate(m); err != nil {
				return nil, err
			}
			switch m := m.(type) {
			case *wire.Done:
				told = append(told, "done")
				return nil, c.answer
			case *wire.Failed:
				told = append(told, "failed")
				if te := wire.FromProto(m.Error); te.Kind != plan.KindInternal || !proto.Equal(m.Task, task) {
					t.Errorf("%s: %v of %v", c.name, te, m.Task)
				}
			}
			return nil, nil
		}
		_, err := (&Report{done: c.report}).Tell(deliver, h, 1, slog.New(slog.DiscardHandler))
		if !slices.Equal(told, c.told) {
			t.Errorf("%s: told %v, want %v", c.name, told, c.told)
		}
		if want := c.told[len(c.told)-1] == "done"; want && !errors.Is(err, c.answer) {
			t.Errorf("%s: %v", c.name, err)
		}
	}
}

var attempt = exec.Attempt{ID: plan.AttemptID{Task: plan.TaskID{Stage: "s", Partition: 7}, Attempt: 2}, Stage: 1, Lineage: 9}

// TestDone: what an attempt made is told with its partitions' sizes, if they are known
// and few enough for a message.
func TestDone(t *testing.T) {
	id := shuffle.SegmentID{1, 2}
	sizes := func(n int) []int64 { return make([]int64, n) }
	for name, c := range map[string]struct {
		held   api.Held
		inline bool
	}{
		"few":       {api.Held{Partitions: 3, PartitionRows: sizes(3), PartitionBytes: sizes(3)}, true},
		"not known": {api.Held{Partitions: 3}, false},
		"many":      {api.Held{Partitions: wire.PartitionsInlineMax + 1, PartitionRows: sizes(wire.PartitionsInlineMax + 1)}, false},
	} {
		c.held.Segment, c.held.Rows = id.String(), 5
		r, err := Done(attempt, &exec.Outcome{Segment: c.held, Spilled: 11, CPU: 3 * time.Millisecond})
		if err != nil {
			t.Fatal(err)
		}
		d, s := r.done, r.done.GetSegment()
		if d.GetTask().AttemptID() != attempt.ID || d.GetTask().GetStage() != 1 || d.GetLineage() != 9 || d.GetSpillBytes() != 11 || d.GetCpuMs() != 3 {
			t.Errorf("%s: %v", name, d)
		}
		if shuffle.SegmentID(s.GetId()) != id || s.GetRows() != 5 || s.GetStatsInline() != c.inline || len(s.GetPartitionRows()) != map[bool]int{true: c.held.Partitions}[c.inline] {
			t.Errorf("%s: %v", name, s)
		}
	}
	r, err := Done(attempt, &exec.Outcome{Files: exec.Files{Manifest: "m", Count: 2, Rows: 5, Bytes: 6}})
	if f := r.done.GetFiles(); err != nil || f.GetManifest() != "m" || f.GetCount() != 2 || f.GetRows() != 5 || f.GetBytes() != 6 || r.done.GetSegment() != nil {
		t.Errorf("files: %v, %v", r, err)
	}
	if _, err := Done(attempt, &exec.Outcome{Segment: api.Held{Segment: "x"}}); err == nil {
		t.Error("a segment without an id is told")
	}
}

// TestFailed: a failure names its node and task, keeps what it knows of both, and the
// end of a context is a cancellation.
func TestFailed(t *testing.T) {
	for _, c := range []struct {
		err     error
		kind    plan.Kind
		op, sub string
	}{
		{errors.New("broken"), plan.KindInternal, "run", "stage 1 task 7"},
		{&plan.Error{Kind: plan.KindMemory, Op: "sort", Subject: "a.csv"}, plan.KindMemory, "sort", "a.csv"},
		{context.Canceled, plan.KindCancelled, "run", "stage 1 task 7"},
	} {
		r := Failed(attempt, "n", c.err)
		got := wire.FromProto(r.failed.GetError())
		if got.Kind != c.kind || got.Op != c.op || got.Subject != c.sub || got.Node != "n" || r.failed.GetTask().AttemptID() != attempt.ID {
			t.Errorf("%v: %+v", c.err, got)
		}
		m, ok := r.message(&wire.Header{Term: 4}, 2).(*wire.Failed)
		if !ok || m.GetHeader().GetTerm() != 4 || m.GetSlots() != 2 {
			t.Errorf("the message: %v", m)
		}
	}
}
