package pond

import (
	"context"
	"errors"
	"iter"
	"time"

	"github.com/pondmesh/pond/actors/api"
	"github.com/pondmesh/pond/actors/plan"
)

// Job is a handle on a submitted job, which goes on without it.
type Job struct {
	s  *Session
	id plan.JobID
}

// ID is the job's id, by which any node finds it.
func (j *Job) ID() string { return string(j.id) }

// Status asks where the job stands, and the nodes that hold its rows when they were read.
func (j *Job) Status(ctx context.Context) (*Status, error) {
	st, err := j.s.api.Job(ctx, j.id)
	if err != nil {
		return nil, public(err)
	}
	return statusOf(st), nil
}

// Cancel ends the job, unless it has ended.
func (j *Job) Cancel(ctx context.Context) error {
	_, err := j.s.api.Cancel(ctx, j.id)
	return public(err)
}

// Explain is the stages that the job runs as, in a format: text for people, or
// json.
func (j *Job) Explain(ctx context.Context, format string) (string, error) {
	asJSON, err := isJSON(format)
	if err != nil {
		return "", err
	}
	text, err := j.s.api.ExplainJob(ctx, j.id, asJSON)
	return text, public(err)
}

func isJSON(format string) (bool, error) {
	if format != "text" && format != "json" {
		return false, mistake("explain", "", "use text or json", "the format %q is not known", format)
	}
	return format == "json", nil
}

// Watch yields the job's status whenever it changes, the last time when it has
// ended. A connection that breaks is made anew.
func (j *Job) Watch(ctx context.Context) iter.Seq2[*Status, error] {
	return func(yield func(*Status, error) bool) {
		for st, err := range j.watch(ctx) {
			if err != nil {
				yield(nil, public(err))
				return
			}
			if !yield(statusOf(st), nil) {
				return
			}
		}
	}
}

// Wait waits for the job's end. A job that failed or was cancelled is an error,
// and its status comes too.
func (j *Job) Wait(ctx context.Context) (*Status, error) {
	st, err := j.wait(ctx)
	if st == nil {
		return nil, public(err)
	}
	return statusOf(st), public(err)
}

// Rows waits for the job's end and opens its rows. The context governs the
// reading too.
func (j *Job) Rows(ctx context.Context) (*Rows, error) {
	st, err := j.wait(ctx)
	if err == nil {
		return j.open(ctx, st)
	}
	return nil, public(err)
}

// remake runs the job once more, as another job, because of why: rows of its result
// are lost. It is api.Remake.
func (j *Job) remake(ctx context.Context, why error, fresh bool) (*api.ResultInfo, error) {
	spec, err := j.s.api.Spec(ctx, j.id)
	if err != nil {
		return nil, err
	}
	spec.ID, spec.Digest = "", ""                             // another job
	spec.Options.LeaseMillis = j.s.sql.settings().LeaseMillis // this call waits, whoever did before
	spec.Options.NoReuse = spec.Options.NoReuse || fresh
	if warn := j.s.config.warn; warn != nil {
		warn(public(why))
	}
	_, st, err := j.s.run(ctx, spec, nil)
	if err != nil {
		return nil, err
	}
	return st.Result, nil
}

// wait watches the job to its end. A job that did not succeed is an error, beside
// its status.
func (j *Job) wait(ctx context.Context) (*api.JobStatus, error) {
	for s, err := range j.watch(ctx) {
		if err != nil {
			return nil, err
		}
		if s.State.Ended() {
			return s, statusOf(s).Err()
		}
	}
	return nil, j.unknown(errUnseen.Error())
}

// Lengths of leases: see Lease.
const (
	leaseTime  = time.Minute
	leaseParts = 6 // renewals within one
)

// run takes a job to its end: every call that waits for one goes through here.
// When ctx ends first, so does the job.
func (s *Session) run(ctx context.Context, spec *api.JobSpec, seen func(*Status)) (*Job, *api.JobStatus, error) {
	id, err := s.newID(ctx)
	if err != nil {
		return nil, nil, err
	}
	spec.ID = id
	j := &Job{s: s, id: id}
	release := j.hold(ctx, millis(spec.Options.LeaseMillis))
	defer release()
	for st, err := range s.life(ctx, spec) {
		if err != nil {
			end, err := j.abandoned(ctx, err)
			if seen != nil && end != nil { // how it ended, which may be well
				seen(statusOf(end))
			}
			return nil, nil, err
		}
		if seen != nil && st.NextID == "" { // the first line is only the id
			seen(statusOf(st))
		}
		if st.State.Ended() {
			return j, st, statusOf(st).Err()
		}
	}
	return nil, nil, j.unknown(errUnseen.Error())
}

// hold renews the job's lease until release is called. A renewal that fails or is
// late is tried again at the next: the lease outlives some.
func (j *Job) hold(ctx context.Context, lease time.Duration) (release func()) {
	ctx, release = context.WithCancel(ctx)
	if lease <= 0 {
		return release
	}
	go func() {
		tick := time.NewTicker(lease / leaseParts)
		defer tick.Stop()
		for {
			select {
			case <-tick.C:
				call, stop := context.WithTimeout(ctx, lease/leaseParts)
				_ = j.s.api.Renew(call, j.id)
				stop()
			case <-ctx.Done():
				return
			}
		}
	}()
	return release
}

// abandoned is why a call ends before its job. When its context has ended the job
// is cancelled, and its end comes too, if that is known.
func (j *Job) abandoned(ctx context.Context, why error) (*api.JobStatus, error) {
	if ctx.Err() == nil {
		return nil, why
	}
	end, err := j.abandon(ctx)
	if err != nil {
		return nil, errors.Join(why, err)
	}
	return end, why
}

// Bounds of ending a job that nobody waits for.
const (
	abandonMax   = 5 * time.Second
	abandonPause = 200 * time.Millisecond
	unknownMax   = 3 // times that the job is not known, before it is taken to have never begun
)

// abandon cancels a job that nobody waits for since ctx has ended, and asks until
// it has ended, which it may have before: its status then is nil only for a job that never
// began. Its error says that no end was seen.
func (j *Job) abandon(ctx context.Context) (*api.JobStatus, error) {
	ctx, stop := context.WithTimeout(context.WithoutCancel(ctx), abandonMax)
	defer stop()
	for unknown := 0; unknown < unknownMax; {
		st, err := j.s.api.Cancel(ctx, j.id)
		switch {
		case err == nil && st.State.Ended():
			return st, nil
		case errors.Is(err, ErrNotFound):
			unknown++
		case api.Broken(err): // nobody is left to ask
			return nil, j.unended()
		}
		select {
		case <-time.After(abandonPause):
		case <-ctx.Done():
			return nil, j.unended()
		}
	}
	return nil, nil
}

func (j *Job) unended() error {
	return failure(plan.KindUnavailable, "cancel", string(j.id), "end it with: pondnode job cancel "+string(j.id), "no node has said that the job has ended")
}
