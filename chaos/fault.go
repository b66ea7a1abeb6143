package chaos

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/pondmesh/pond"
)

// ErrNotFired is a run that proved nothing: a fault that it was about never
// happened.
var ErrNotFired = errors.New("the fault never fired")

// ErrLost is a job that could not be followed to its end.
var ErrLost = errors.New("the job was lost sight of")

// Trigger says from a job's status whether a fault is due.
type Trigger func(*pond.Status) bool

// Started is due once a task of the stage runs or has run.
func Started(stage int) Trigger {
	return func(s *pond.Status) bool {
		return stage < len(s.Stages) && s.Stages[stage].Running+s.Stages[stage].Done > 0
	}
}

// Done is due once so many tasks of the stage are done.
func Done(stage, tasks int) Trigger {
	return func(s *pond.Status) bool { return stage < len(s.Stages) && s.Stages[stage].Done >= tasks }
}

// Copied is due once all tasks of the stage are done, and each has a copy of what it made.
func Copied(stage int) Trigger {
	return func(s *pond.Status) bool {
		if stage >= len(s.Stages) {
			return false
		}
		st := s.Stages[stage]
		return st.Tasks > 0 && st.Done == st.Tasks && st.Lost == 0 && st.Copies >= st.Tasks
	}
}

// HalfDone is due once half of the stage's tasks are done, and some are not.
func HalfDone(stage int) Trigger {
	return func(s *pond.Status) bool {
		if stage >= len(s.Stages) {
			return false
		}
		st := s.Stages[stage]
		return st.Tasks > 0 && 2*st.Done >= st.Tasks && st.Done < st.Tasks
	}
}

// Fault is something that is done to a pond while a job runs.
type Fault struct {
	Name string
	When Trigger
	// Do breaks something. Not having found anything to break is ErrNotFired,
	// and it is tried again at the next status.
	Do func(context.Context, *pond.Status) error
	// Happened, if set, says whether and when what Do has prepared has come about, which is
	// when the fault fires: Do is done once, and this is asked from then on.
	Happened func(context.Context) (when time.Time, ok bool)
	// Undo, if set, mends it after For; For 0: when the job has ended.
	Undo func() error
	For  time.Duration
	// Budget is how often the fault may fire; 0: once.
	Budget int
	// Recovered says whether a job goes on that stood at before when it was struck;
	// nil: a task more is done.
	Recovered func(before, now *pond.Status) bool
}

// recovered says whether the job goes on, or has ended.
func (f *Fault) recovered(before, now *pond.Status) bool {
	switch {
	case now.Done():
		return true
	case f.Recovered != nil:
		return f.Recovered(before, now)
	}
	return tasksDone(now) > tasksDone(before)
}

func tasksDone(s *pond.Status) (n int) {
	for _, st := range s.Stages {
		n += st.Done
	}
	return n
}

// Firing is a fault that happened.
type Firing struct {
	Fault string
	At    time.Duration // since the run began
	Job   *pond.Status
	By    *Fault
	// Recovery is how long it took until the job was heard to go on.
	Recovery time.Duration
}

// Report is the outcome of a run.
type Report struct {
	Status *pond.Status  // at the end
	Ended  time.Duration // of the job, since the run began; 0: not seen
	Took   time.Duration // of the run: until all that was broken was mended
	Fired  []Firing
}

func (r *Report) String() string {
	var b strings.Builder
	fmt.Fprintf(&b, "%s after %v", r.Status.State, r.Ended.Round(time.Millisecond))
	for _, f := range r.Fired {
		fmt.Fprintf(&b, "; %s at %v", f.Fault, f.At.Round(time.Millisecond))
	}
	for _, s := range r.Status.Stages {
		fmt.Fprintf(&b, "\n  stage %d %s: %d/%d done, %d reused, %d retries, %d rows", s.Index, s.Name, s.Done, s.Tasks, s.Reused, s.Retries, s.Rows)
	}
	return b.String()
}

// Run follows a job to its end and fires faults on its way. The job's own
// failure is in the report; an error is a run that says nothing: the job was
// lost sight of, a fault could not be done, or one never fired.
func Run(ctx context.Context, job *pond.Job, faults ...*Fault) (*Report, error) {
	r := &run{faults: faults, left: make([]int, len(faults)), begun: time.Now()}
	for i, f := range faults {
		r.left[i] = max(f.Budget, 1)
	}
	err := r.follow(ctx, job)
	err = errors.Join(err, r.mend())
	r.report.Took = time.Since(r.begun)
	for _, f := range faults {
		if !slices.ContainsFunc(r.report.Fired, func(x Firing) bool { return x.By == f }) {
			err = errors.Join(err, fmt.Errorf("chaos: %s: %w", f.Name, ErrNotFired))
		}
	}
	return &r.report, err
}

type run struct {
	faults []*Fault
	left   []int // budget
	begun  time.Time
	report Report

	mending sync.WaitGroup
	over    chan struct{}
	mu      sync.Mutex // of report.Status, report.Fired and errs
	errs    []error    // of mending
}

func (r *run) follow(ctx context.Context, job *pond.Job) error {
	r.over = make(chan struct{})
	defer close(r.over)
	for s, err := range job.Watch(ctx) {
		if err != nil {
			return fmt.Errorf("chaos: follow job %s: %w: %w", job.ID(), ErrLost, err)
		}
		r.hear(s)
		if s.Done() {
			r.report.Ended = time.Since(r.begun)
			return nil
		}
		for i, f := range r.faults {
			if r.left[i] == 0 || !f.When(s) {
				continue
			}
			at := time.Since(r.begun)
			if err := f.Do(ctx, s); errors.Is(err, ErrNotFired) {
				continue
			} else if err != nil {
				return fmt.Errorf("chaos: %s: %w", f.Name, err)
			}
			if r.left[i]--; f.Happened != nil {
				r.await(ctx, f)
				continue
			}
			r.fired(f, at)
			r.mendBeside(f)
		}
	}
	return fmt.Errorf("chaos: follow job %s: %w", job.ID(), ErrLost)
}

// hear notes how the job stands, and for which faults that have fired it goes on.
func (r *run) hear(s *pond.Status) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.report.Status = s
	for i := range r.report.Fired {
		f := &r.report.Fired[i]
		if f.Recovery == 0 && f.By.recovered(f.Job, s) {
			f.Recovery = time.Since(r.begun) - f.At
		}
	}
}

// happenedPoll is how often it is asked whether a fault that is prepared has happened.
const happenedPoll = 100 * time.Millisecond

// await notes when a fault that is prepared happens, and mends it then; at the end in any
// case.
func (r *run) await(ctx context.Context, f *Fault) {
	r.mending.Go(func() {
		for over := false; ; over = waitOr(r.over, happenedPoll) {
			when, ok := f.Happened(ctx)
			if ok {
				r.fired(f, when.Sub(r.begun))
				r.mendInTime(f)
				return
			}
			if over {
				r.undo(f)
				return
			}
		}
	})
}

// fired notes that a fault has happened.
func (r *run) fired(f *Fault, at time.Duration) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.report.Fired = append(r.report.Fired, Firing{Fault: f.Name, At: at, Job: r.report.Status, By: f})
}

func (r *run) mendBeside(f *Fault) { r.mending.Go(func() { r.mendInTime(f) }) }

// mendInTime mends what a fault has broken when it is time to.
func (r *run) mendInTime(f *Fault) {
	switch {
	case f.Undo == nil:
		return
	case f.For > 0:
		<-time.After(f.For)
	default:
		<-r.over
	}
	r.undo(f)
}

func (r *run) undo(f *Fault) {
	if f.Undo == nil {
		return
	}
	if err := f.Undo(); err != nil {
		r.mu.Lock()
		defer r.mu.Unlock()
		r.errs = append(r.errs, fmt.Errorf("chaos: undo %s: %w", f.Name, err))
	}
}

// mend waits until every fault that is to be undone has been.
func (r *run) mend() error {
	r.mending.Wait()
	return errors.Join(r.errs...)
}
