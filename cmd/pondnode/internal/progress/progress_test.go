package progress

import (
	"bytes"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/pondmesh/pond"
)

// history is a job of two stages, as a watcher sees it.
func history() []*pond.Status {
	const id = "0123456789abcdef0123456789abcdef"
	stage := func(i, tasks, running, done int) pond.Stage {
		s := pond.Stage{Index: i, Name: []string{"read flights", "group"}[i], Tasks: tasks, Running: running, Done: done}
		s.Rows = int64(done) * 12000
		s.Bytes = int64(done) << 20
		return s
	}
	retried := stage(1, 3, 1, 1)
	retried.Retries = 1
	last := stage(1, 3, 0, 3)
	last.Retries, last.Spill, last.Reused, last.RawBytes = 1, 5<<20, 2, 9<<20
	return []*pond.Status{
		{ID: id, State: "queued"},
		{ID: id, State: "queued", Place: 2, InQueue: 3, WaitsFor: "a place"},
		{ID: id, State: "queued", Place: 1, InQueue: 3, WaitsFor: "a place"},
		{ID: id, State: "running", Stages: []pond.Stage{stage(0, 2, 0, 0), stage(1, 0, 0, 0)}},
		{ID: id, State: "running", Stages: []pond.Stage{stage(0, 2, 2, 0), stage(1, 0, 0, 0)}},
		{ID: id, State: "running", Stages: []pond.Stage{stage(0, 2, 1, 1), stage(1, 0, 0, 0)}},
		{ID: id, State: "running", Stages: []pond.Stage{stage(0, 2, 0, 2), stage(1, 3, 1, 0)}},
		{ID: id, State: "running", Stages: []pond.Stage{stage(0, 2, 0, 2), retried}},
		{ID: id, State: "running", WaitsFor: "most keepers", Stages: []pond.Stage{stage(0, 2, 0, 2), retried}},
		{ID: id, State: "succeeded", Submitted: time.UnixMilli(1000), Ended: time.UnixMilli(2500), Stages: []pond.Stage{stage(0, 2, 0, 2), last}},
	}
}

func TestLines(t *testing.T) {
	var out bytes.Buffer
	d := New(&out, 0)
	for _, s := range history() {
		d.Update(s)
		d.Update(s) // the same again says nothing
	}
	d.Close()
	want := `job 01234567: queued
waits at place 2 of 3 for a place
stage 1 of 2 (read flights): running 2 tasks
stage 1 of 2 (read flights): done: 2/2 tasks, 24,000 rows, 2.0 MiB shuffled
stage 2 of 2 (group): running 3 tasks
stage 2 of 2 (group): 1 retry so far
waits for most keepers
stage 2 of 2 (group): done: 3/3 tasks, 36,000 rows, 3.0 MiB shuffled, 9.0 MiB raw, 5.0 MiB spilled, 1 retry, 2 reused
job 01234567 succeeded in 1.5s: 2 stages, 5 tasks, 5.0 MiB moved, 5.0 MiB spilled, 1 retry
`
	if out.String() != want {
		t.Errorf("got:\n%s\nwant:\n%s", out.String(), want)
	}
}

// TestBars: bars end, whenever they are closed, and show what was last known.
func TestBars(t *testing.T) {
	defer goleak.VerifyNone(t)
	all := history()
	for n := range len(all) + 1 {
		var out bytes.Buffer
		d := New(&out, 120)
		for _, s := range all[:n] {
			d.Update(s)
		}
		d.Close()
		if n > 1 && strings.Count(out.String(), "waits at place") != 1 {
			t.Errorf("after %d: drew %q", n, out.String())
		}
		if n == len(all) && !(strings.Contains(out.String(), "3/3 tasks, 36,000 rows") && strings.Contains(out.String(), "2/2 group")) {
			t.Errorf("drew %q", out.String())
		}
	}
}

func TestDuration(t *testing.T) {
	for d, want := range map[time.Duration]string{
		1234 * time.Microsecond: "1ms", 1520 * time.Millisecond: "1.5s", 95400 * time.Millisecond: "1m35s",
		0: "0s", 999600 * time.Microsecond: "1s", time.Second: "1.0s", 59949 * time.Millisecond: "59.9s", 59950 * time.Millisecond: "1m0s", 26 * time.Hour: "26h0m0s",
	} {
		if got := Duration(d); got != want {
			t.Errorf("%v: %s, want %s", d, got, want)
		}
	}
}

// TestSay: a line that is no progress is shown once, whatever else is, and also when
// that has ended.
func TestSay(t *testing.T) {
	for name, columns := range map[string]int{"lines": 0, "bars": 80, "silent": -1} {
		var out bytes.Buffer
		d := New(&out, columns)
		if name == "silent" {
			d = Silent{W: &out}
		}
		for i, s := range history() {
			d.Update(s)
			if i == 2 {
				d.Say("node a does not answer")
			}
		}
		d.Close()
		d.Say("nor does b")
		for _, want := range []string{"node a does not answer\n", "nor does b\n"} {
			if strings.Count(out.String(), want) != 1 {
				t.Errorf("%s: %q is not shown once:\n%s", name, want, &out)
			}
		}
	}
}

// TestPlanning: many files are told tenth by tenth, few not at all.
func TestPlanning(t *testing.T) {
	var out bytes.Buffer
	d := New(&out, 0)
	for _, files := range []int{planningMin - 1, 20_000} {
		for done := 0; done <= files; done += files / 97 {
			d.Update(&pond.Status{Planned: done, ToPlan: files})
		}
		d.Update(&pond.Status{})
	}
	lines := strings.Split(strings.TrimSpace(out.String()), "\n")
	if len(lines) < 9 || len(lines) > 10 || lines[0] != "planning: 0 of 20,000 files" || !strings.HasSuffix(lines[5], " of 20,000 files") {
		t.Errorf("%q", lines)
	}
	for s, want := range map[*pond.Status]string{
		{State: "queued"}: "queued", {State: "queued", Place: 2, InQueue: 1000}: "queued (2 of 1000)",
	} {
		if got := State(s); got != want {
			t.Errorf("%s, not %s", got, want)
		}
	}
	for id, want := range map[string]string{"": "", "0123": "0123", "0123456789": "01234567"} {
		if got := Short(id); got != want {
			t.Errorf("%q is %q", id, got)
		}
	}
}
