// Package progress shows how a job goes on: a bar a stage on a terminal, else a
// line whenever a stage begins, is retried or ends. It only draws; the caller
// watches the job and passes each status on.
package progress

import (
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/dustin/go-humanize"
	"github.com/dustin/go-humanize/english"

	"github.com/pondmesh/pond"
)

// Display shows a job's progress. Its methods are called by one goroutine, but for
// Say, which any may call.
type Display interface {
	Update(s *pond.Status)
	// Say writes a line that is no progress, above what is drawn in place.
	Say(line string)
	// Close leaves the last display in place. Nothing is drawn after it.
	Close()
}

// New returns bars for a terminal of that many columns, and lines for 0.
func New(w io.Writer, columns int) Display {
	if columns > 0 {
		return newBars(w, columns)
	}
	return &lines{w: w, stages: map[int]pond.Stage{}}
}

// Silent shows no progress, and says what there is to be said.
type Silent struct{ W io.Writer }

// Update does nothing.
func (Silent) Update(*pond.Status) {}

// Say writes the line.
func (s Silent) Say(line string) { fmt.Fprintln(s.W, line) }

// Close does nothing.
func (Silent) Close() {}

// lines writes a line whenever a stage has come to something new.
type lines struct {
	w      io.Writer
	job    string
	stages map[int]pond.Stage
	waits  string // what for, last told
	tenth  int    // of the planning, last told
	ended  bool
}

func (l *lines) Update(s *pond.Status) {
	if l.job == "" && s.ID != "" {
		l.job = Short(s.ID)
		fmt.Fprintf(l.w, "job %s: %s\n", l.job, s.State)
	}
	if s.WaitsFor != "" && s.WaitsFor != l.waits { // not at every place: there may be many
		l.waits = s.WaitsFor
		fmt.Fprintln(l.w, Waits(s))
	}
	if tenth := planningTenth(s); tenth > l.tenth {
		l.tenth = tenth
		fmt.Fprintln(l.w, Planning(s))
	}
	for _, st := range s.Stages {
		old := l.stages[st.Index]
		l.stages[st.Index] = st
		begun, wasBegun := st.Running+st.Done > 0, old.Running+old.Done > 0
		switch {
		case finished(st) && !finished(old):
			fmt.Fprintf(l.w, "stage %d of %d (%s): done: %s\n", st.Index+1, len(s.Stages), st.Name, facts(st))
		case begun && !wasBegun && !finished(st):
			fmt.Fprintf(l.w, "stage %d of %d (%s): running %s\n", st.Index+1, len(s.Stages), st.Name, Count(st.Tasks, "task"))
		case st.Retries > old.Retries && !finished(st):
			fmt.Fprintf(l.w, "stage %d of %d (%s): %s so far\n", st.Index+1, len(s.Stages), st.Name, Count(st.Retries, "retry"))
		}
	}
	if s.Done() && !l.ended {
		l.ended = true
		fmt.Fprintln(l.w, Summary(s))
	}
}

func (l *lines) Say(line string) { fmt.Fprintln(l.w, line) }

func (l *lines) Close() {}

// State is a job's state, with its place in the queue if it waits.
func State(s *pond.Status) string {
	if s.Place == 0 {
		return s.State
	}
	return fmt.Sprintf("%s (%d of %d)", s.State, s.Place, s.InQueue)
}

// Waits says what a job waits for: to be driven, or for its end.
func Waits(s *pond.Status) string {
	if s.Place == 0 {
		return "waits for " + s.WaitsFor
	}
	return fmt.Sprintf("waits at place %d of %d for %s", s.Place, s.InQueue, s.WaitsFor)
}

// Planning says how far the planning of a job has come.
func Planning(s *pond.Status) string {
	return fmt.Sprintf("planning: %s of %s", humanize.Comma(int64(s.Planned)), Count(s.ToPlan, "file"))
}

// planningMin is the number of files from which the planning of a job is shown.
const planningMin = 1000

func planningTenth(s *pond.Status) int {
	if s.ToPlan < planningMin {
		return 0
	}
	return 1 + 9*s.Planned/s.ToPlan
}

func finished(s pond.Stage) bool { return s.Tasks > 0 && s.Done == s.Tasks }

// Summary is an ended job in a line.
func Summary(s *pond.Status) string {
	tasks, retries, spill, shuffled := 0, 0, int64(0), int64(0)
	for _, st := range s.Stages {
		tasks += st.Done
		retries += st.Retries
		spill += st.Spill
		shuffled += st.Bytes
	}
	out := fmt.Sprintf("job %s %s", Short(s.ID), s.State)
	if s.Ended.After(s.Submitted) && !s.Submitted.IsZero() {
		out += " in " + Duration(s.Ended.Sub(s.Submitted))
	}
	out += ": " + Count(len(s.Stages), "stage") + ", " + Count(tasks, "task")
	if shuffled > 0 {
		out += ", " + size(shuffled) + " moved"
	}
	if spill > 0 {
		out += ", " + size(spill) + " spilled"
	}
	if retries > 0 {
		out += ", " + Count(retries, "retry")
	}
	return out
}

// facts list the figures of a stage that are not zero.
func facts(s pond.Stage) string {
	if s.Dropped {
		return "dropped: the rest was planned again"
	}
	out := []string{fmt.Sprintf("%d/%d tasks", s.Done, s.Tasks), Count(s.Rows, "row")}
	if s.Bytes > 0 {
		out = append(out, size(s.Bytes)+" shuffled")
	}
	if s.RawBytes > 0 {
		out = append(out, size(s.RawBytes)+" raw")
	}
	if s.Spill > 0 {
		out = append(out, size(s.Spill)+" spilled")
	}
	if s.Retries > 0 {
		out = append(out, Count(s.Retries, "retry"))
	}
	if s.Reused > 0 {
		out = append(out, fmt.Sprintf("%d reused", s.Reused))
	}
	return strings.Join(out, ", ")
}

func size(n int64) string { return humanize.IBytes(uint64(max(n, 0))) }

// Count is "1 row", "2 rows", "3 retries".
func Count[N int | int64](n N, what string) string {
	return humanize.Comma(int64(n)) + " " + english.PluralWord(int(n), what, "")
}

// Duration is d with two or three digits that count.
func Duration(d time.Duration) string {
	switch {
	case d < time.Second:
		return d.Round(time.Millisecond).String()
	case d.Round(time.Second/10) < time.Minute:
		return fmt.Sprintf("%.1fs", d.Seconds())
	}
	return d.Round(time.Second).String()
}

// shortID is how many digits of a job's id are shown.
const shortID = 8

// Short is an id's beginning, which suffices to name the job.
func Short(id string) string { return id[:min(len(id), shortID)] }
