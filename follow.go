package pond

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"time"

	"github.com/pondmesh/pond/actors/api"
	"github.com/pondmesh/pond/actors/plan"
)

// Bounds of following a job that nodes do not answer for, though they answer: one
// takes it over, or looks for it.
const (
	movingLeast  = 10 * time.Second // Reconnect's time at least
	movingPause  = 250 * time.Millisecond
	recordsPause = time.Second // of a job whose record no living node has
	brokenPause  = 50 * time.Millisecond
	movingTellAt = 3 * time.Second
)

// newID is an id for the next job: one that the node has offered with the one before,
// or asked for. By the job's id a call whose context ends cancels the job, though no
// answer came, and what is handed in twice is one job.
func (s *Session) newID(ctx context.Context) (plan.JobID, error) {
	if id := s.nextID.Swap(nil); id != nil {
		return *id, nil
	}
	return s.api.NewJobID(ctx)
}

// following is the attempts to hear of one job.
type following struct {
	j      *Job
	last   *api.JobStatus     // the latest news; nil: none yet
	taken  bool               // a node has said that the job is recorded
	unsure bool               // it may be, though none has
	since  time.Time          // when nodes began to say nothing of it; zero: they do
	told   map[plan.Kind]bool // since then, of what stands in the way
}

// heard notes news of the job.
func (f *following) heard() { f.since, f.told = time.Time{}, nil }

// verdict is what to do after err, so long after the first of its like: wait for
// pause and ask again, or fail.
func (f *following) verdict(err error, news bool, since, patience time.Duration) (pause time.Duration, again bool) {
	kind := plan.KindOf(err)
	switch {
	case api.Broken(err) && news: // the client finds another node
		return brokenPause, since < patience
	case api.Broken(err): // it has looked for one
		return 0, false
	case kind == plan.KindUnavailable && (f.taken || f.unsure): // it moves to another node
		return movingPause, since < patience
	case kind == plan.KindNotFound && f.taken: // all that have its record are gone, and may come back
		return recordsPause, since < patience
	}
	return 0, false
}

// again waits until the job may be asked for once more; an error ends the following.
// news: nodes had something to say before err.
func (f *following) again(ctx context.Context, err error, news bool) error {
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	f.unsure = f.unsure || api.Unsure(err)
	if f.since.IsZero() {
		f.since = time.Now()
	}
	quiet := time.Since(f.since)
	patience := f.patience(ctx)
	pause, again := f.verdict(err, news, quiet, patience)
	if !again {
		return f.end(err)
	}
	if kind := plan.KindOf(err); quiet > movingTellAt && !f.told[kind] {
		if f.told == nil {
			f.told = map[plan.Kind]bool{}
		}
		f.told[kind] = true
		f.j.s.reconnecting(f.waiting(err, patience-quiet))
	}
	select {
	case <-time.After(pause):
		return nil
	case <-ctx.Done():
		return errors.Join(context.Cause(ctx), f.end(err))
	}
}

// patience is how long nodes may say nothing of the job: Reconnect's time, and as long
// as the caller has said that he waits.
func (f *following) patience(ctx context.Context) time.Duration {
	patience := max(f.j.s.config.wait, movingLeast)
	if until, ok := ctx.Deadline(); ok {
		patience = max(patience, until.Sub(f.since))
	}
	return patience
}

// waiting is what is waited for, and how long yet.
func (f *following) waiting(err error, left time.Duration) string {
	what := "is between nodes (" + plan.AsError(err).Text + "): waiting for it"
	if plan.KindOf(err) == plan.KindNotFound {
		what = "is known to no node that lives: " + f.known(err) + "; waiting for nodes that are gone"
	}
	return fmt.Sprintf("job %s %s, for up to %v", f.j.ID(), what, left.Round(time.Second))
}

// known is what was heard of the job last.
func (f *following) known(err error) string {
	text := plan.AsError(err).Text
	if f.last == nil || f.last.Coordinator == "" {
		return text
	}
	return fmt.Sprintf("%s; it was %s when it was heard of last, from node %s", text, f.last.State, f.last.Coordinator)
}

// end is why a job is followed no further. What became of it is known only when a
// node has said so.
func (f *following) end(err error) error {
	kind := plan.KindOf(err)
	if kind == plan.KindUnavailable && (f.taken || f.unsure) || kind == plan.KindNotFound && f.taken {
		return f.j.unknown(f.known(err))
	}
	return err
}

var errUnseen = errors.New("the job's end was not seen")

// fateUnknown is an Error that matches ErrUnknown too.
type fateUnknown struct{ err error }

func (e *fateUnknown) Error() string   { return e.err.Error() }
func (e *fateUnknown) Unwrap() []error { return []error{e.err, ErrUnknown} }

// unknown is the error of a job of which nobody knows how it stands. Nobody is told
// to hand it in again: it may be running, and would be another job.
func (j *Job) unknown(why string) error {
	return &fateUnknown{failure(plan.KindUnavailable, "follow", j.ID(), "it needs nobody to wait for it: start the nodes that are gone, and ask any: pondnode job watch "+j.ID(),
		"it is not known what became of the job: it may have ended, be running, or go on when nodes come back: %s", why)}
}

// watch yields the job's status whenever it changes, from whichever node answers.
func (j *Job) watch(ctx context.Context) iter.Seq2[*api.JobStatus, error] {
	return func(yield func(*api.JobStatus, error) bool) {
		(&following{j: j}).watch(ctx, yield)
	}
}

func (f *following) watch(ctx context.Context, yield func(*api.JobStatus, error) bool) {
	for {
		news, ended, err := f.take(f.j.s.api.Watch(ctx, f.j.id), yield)
		if f.taken = f.taken || news; ended {
			return
		}
		if err := f.again(ctx, err, news); err != nil {
			yield(nil, err)
			return
		}
	}
}

// take passes on what one request yields. ended: the job has, or nobody wants more.
func (f *following) take(all iter.Seq2[*api.JobStatus, error], yield func(*api.JobStatus, error) bool) (news, ended bool, err error) {
	for st, err := range all {
		if err != nil {
			return news, false, err
		}
		news = true
		f.heard()
		if st.NextID == "" { // more than its id
			f.last = st
		}
		if !yield(st, nil) || st.State.Ended() {
			return true, true, nil
		}
	}
	return news, false, errUnseen
}

// life submits a job and yields its status, in one request: first its id, before
// anything is done about it, then the status whenever it changes. While it is not known
// whether the job was taken it is handed in again, by the same id, to whichever node
// answers; from then on it is watched.
func (s *Session) life(ctx context.Context, spec *api.JobSpec) iter.Seq2[*api.JobStatus, error] {
	return func(yield func(*api.JobStatus, error) bool) {
		f := &following{j: &Job{s: s, id: spec.ID}}
		for asked := ctx; !f.taken; asked = api.Again(ctx) {
			since := f.since
			news, ended, err := f.take(s.api.Run(asked, spec), func(st *api.JobStatus, err error) bool {
				if st.NextID == "" {
					f.taken = true
				} else {
					f.since = since // the id alone is no news
					s.nextID.Store(&st.NextID)
				}
				return yield(st, err)
			})
			if ended {
				return
			}
			if err := f.again(ctx, err, news); err != nil {
				yield(nil, err)
				return
			}
		}
		f.watch(ctx, yield)
	}
}

// submit starts a job that needs nobody to wait for it. When ctx ends before it is
// taken, it ends too: it has its id from here, so that it can be cancelled though
// no answer came.
func (s *Session) submit(ctx context.Context, spec *api.JobSpec, seen func(*Status)) (*Job, error) {
	id, err := s.newID(ctx)
	if err != nil {
		return nil, err
	}
	spec.ID, spec.Options.LeaseMillis = id, 0
	f := &following{j: &Job{s: s, id: id}}
	for asked := ctx; ; asked = api.Again(ctx) {
		st, err := s.api.Submit(asked, spec)
		if err == nil && seen != nil {
			seen(statusOf(st))
		}
		if err == nil {
			return f.j, nil
		}
		if err := f.again(ctx, err, false); err != nil {
			_, err = f.j.abandoned(ctx, err)
			return nil, err
		}
	}
}
