package report

import (
	"context"
	"errors"
	"log/slog"
	"reflect"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"google.golang.org/protobuf/proto"

	"github.com/pondmesh/pond/actors/api"
	"github.com/pondmesh/pond/actors/exec"
	"github.com/pondmesh/pond/actors/plan"
	"github.com/pondmesh/pond/actors/sched"
	"github.com/pondmesh/pond/actors/wire"
	"github.com/pondmesh/pond/fs/faults"
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
		if d.GetTask().AttemptID() != attempt.ID || d.GetTask().GetStage() != 1 || d.GetTask().GetLineage() != 9 || d.GetSpillBytes() != 11 || d.GetCpuMs() != 3 {
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

// TestRead: the coordinator reads of an attempt what its node told, on either way.
func TestRead(t *testing.T) {
	held := api.Held{Job: "j", Stage: "s", Partition: 7, Attempt: 2, Tasks: 9, Lineage: 9, Segment: shuffle.SegmentID{1, 2}.String(), Rows: 5, RawBytes: 50, Bytes: 40, Partitions: 2, PartitionRows: []int64{2, 3}, PartitionBytes: []int64{10, 30}}
	r, err := Done(attempt, &exec.Outcome{Segment: held, Spilled: 11, CPU: 3 * time.Millisecond})
	if err != nil {
		t.Fatal(err)
	}
	want := sched.Output{Segment: held.Segment, Rows: 5, RawBytes: 50, Bytes: 40, Parts: plan.SegmentInfo{Rows: held.PartitionRows, Bytes: held.PartitionBytes}, Spilled: 11, CPUMillis: 3}
	if got := Output(r.done, nil); !reflect.DeepEqual(got, want) {
		t.Errorf("%+v\nwant\n%+v", got, want)
	}
	want.Parts = plan.SegmentInfo{Rows: []int64{5}}
	if got := Output(r.done, &want.Parts); !reflect.DeepEqual(got, want) {
		t.Errorf("with sizes that were asked for: %+v", got)
	}
	files, err := Done(attempt, &exec.Outcome{Files: exec.Files{Manifest: "m", Count: 2, Rows: 5, Bytes: 6}})
	if got := Output(files.done, nil); err != nil || !reflect.DeepEqual(got, sched.Output{Manifest: "m", Rows: 5, Bytes: 6}) {
		t.Errorf("files: %+v, %v", got, err)
	}
	other, unknown := held, held
	other.Job, unknown.PartitionRows = "k", nil
	other.Owner = "bob"
	collect := &plan.Job{Stages: []*plan.Stage{{ID: "before"}, {ID: held.Stage}}}
	write := &plan.Job{Stages: collect.Stages, Result: plan.Result{Write: &plan.Write{}}}
	middle := &plan.Job{Stages: []*plan.Stage{{ID: held.Stage}, {ID: "result"}}}
	for name, c := range map[string]struct {
		spec   api.JobSpec
		job    *plan.Job
		reuses bool
	}{
		"the owner's":                 {api.JobSpec{Owner: "bob"}, collect, true},
		"another user's result":       {api.JobSpec{Owner: "ann"}, collect, false},
		"for an admin":                {api.JobSpec{Owner: "ann", Admin: true}, collect, true},
		"what nodes alone read":       {api.JobSpec{Owner: "ann"}, middle, true},
		"of what is written to files": {api.JobSpec{Owner: "ann"}, write, true},
		"nothing":                     {api.JobSpec{Owner: "bob", Options: api.JobOptions{NoReuse: true}}, collect, false},
	} {
		c.spec.ID = "j"
		got := Held([]api.Held{held, unknown, other}, &c.spec, c.job)
		if n := map[bool]int{true: 2, false: 1}[c.reuses]; len(got) != n || got[0].Reused || got[len(got)-1].Reused != c.reuses {
			t.Errorf("%s: %+v", name, got)
			continue
		}
		if g := got[0]; g.Task != attempt.ID.Task || g.Attempt != 2 || g.Tasks != 9 || g.Lineage != 9 || g.Output.Segment != held.Segment || !slices.Equal(g.Output.Parts.Bytes, held.PartitionBytes) {
			t.Errorf("%+v", g)
		}
	}
}

// TestDeliver: a coordinator that cannot be reached is called again, with pauses, and one
// that answers is not.
func TestDeliver(t *testing.T) {
	run := &wire.Run{SpecVersion: 8}
	for name, c := range map[string]struct {
		errs []error // of the calls; nil after them
		do   faults.Action
		at   faults.Point
		want error
		took time.Duration
		runs int
		call int
	}{
		"heard":             {nil, "", "", nil, 0, 1, 1},
		"refused":           {[]error{plan.ErrFenced}, "", "", plan.ErrFenced, 0, 0, 1},
		"heard at last":     {slices.Repeat([]error{plan.ErrUnavailable}, 3), "", "", nil, (1 + 2 + 4) * callPauseLeast, 1, 4},
		"never heard":       {slices.Repeat([]error{plan.ErrUnavailable}, 9), "", "", plan.ErrUnavailable, 31 * callPauseLeast, 0, callTriesMax},
		"the report lost":   {nil, faults.Drop, faults.Report, nil, 0, 0, 0},
		"told twice":        {nil, faults.Double, faults.Report, nil, 0, 1, 2},
		"the grant is lost": {nil, faults.Drop, faults.Grant, nil, 0, 0, 1},
	} {
		synctest.Test(t, func(t *testing.T) {
			calls, start := 0, time.Now()
			courier := Courier{Call: func(ctx context.Context, addr string, _ proto.Message) (proto.Message, error) {
				if calls++; addr != "a:1" || calls > len(c.errs) {
					return &wire.Grant{Runs: []*wire.Run{run}}, nil
				}
				return nil, c.errs[calls-1]
			}}
			if c.do != "" {
				var err error
				if courier.Faults, err = faults.New("a key of this test", slog.New(slog.DiscardHandler)); err == nil {
					err = courier.Faults.Arm(faults.Order{Point: c.at, Do: c.do, Times: 1})
				}
				if err != nil {
					t.Fatal(err)
				}
			}
			runs, err := courier.Deliver(t.Context(), "a:1", &wire.Done{})
			if !errors.Is(err, c.want) || len(runs) != c.runs || calls != c.call || time.Since(start) != c.took {
				t.Errorf("%s: %v, %v, %d calls in %v", name, runs, err, calls, time.Since(start))
			}
		})
	}
	synctest.Test(t, func(t *testing.T) {
		ctx, stop := context.WithTimeout(t.Context(), callPauseLeast/2)
		defer stop()
		start := time.Now()
		unreachable := Courier{Call: func(context.Context, string, proto.Message) (proto.Message, error) { return nil, plan.ErrUnavailable }}
		if _, err := unreachable.Deliver(ctx, "a:1", &wire.Done{}); !errors.Is(err, plan.ErrUnavailable) || time.Since(start) != callPauseLeast/2 {
			t.Errorf("the node stops: %v after %v", err, time.Since(start))
		}
	})
}
