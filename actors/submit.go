package actors

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/pondmesh/pond/actors/api"
	"github.com/pondmesh/pond/actors/peers"
	"github.com/pondmesh/pond/actors/plan"
)

// submit records a job on its home replicas and makes the first of them drive it:
// this node at once, another once it has the record. It returns once the job is
// planned, so that a missing file or a malformed plan fails at once, and every
// home replica that can has recorded it. Submitting the same id again returns the job.
// If ctx ends first nobody waits for the job: it is cancelled.
func (j *jobs) submit(ctx context.Context, spec *api.JobSpec) (*api.JobStatus, error) {
	if err := spec.ID.Check(); err != nil {
		return nil, err
	}
	if err := checkOptions(&spec.Options); err != nil {
		return nil, err
	}
	if err := spec.Seal(); err != nil {
		return nil, err
	}
	if spec.Submitted == 0 {
		spec.Submitted = time.Now().UnixMilli()
	}
	if err := j.n.planner.Fill(ctx, spec); err != nil {
		return nil, err
	}
	rec := &api.Record{Spec: spec, Term: 1}
	homes, _ := j.n.peers.Homes(spec.ID)
	errs := make([]error, len(homes))
	kept := make([]chan struct{}, len(homes)) // closed when the record is there, or cannot be
	var puts sync.WaitGroup
	defer puts.Wait()
	for i, home := range homes {
		kept[i] = make(chan struct{})
		puts.Go(func() {
			defer close(kept[i])
			errs[i] = j.putRecord(ctx, home, rec)
		})
	}
	for i, home := range homes {
		here := home == j.n.APIAddr()
		if !here {
			if <-kept[i]; errs[i] != nil {
				continue
			}
		}
		s, err := j.startAt(ctx, home, spec, rec.Term) // it plans while others still record
		if ctx.Err() != nil {
			j.n.goes.Go(func() { j.abandon(rec, homes) })
			return nil, context.Cause(ctx)
		}
		if errors.Is(err, plan.ErrUnavailable) {
			<-kept[i]
			errs[i] = err
			continue
		}
		if puts.Wait(); err == nil && here && !slices.Contains(errs, nil) {
			_, _ = j.cancel(ctx, spec.ID) // it has no record to outlive this node by
			break
		}
		return s, err
	}
	return nil, refused(spec.ID, errs)
}

// abandon cancels a job whose submitter has gone. One that runs nowhere yet is
// recorded as cancelled on its homes, so that none of them starts it.
func (j *jobs) abandon(rec *api.Record, homes []string) {
	ctx, stop := context.WithTimeout(j.n.ctx, recordTimeout)
	defer stop()
	if _, err := j.n.api.At(j.n.APIAddr()).Cancel(ctx, rec.Spec.ID); err == nil {
		return
	}
	gone := &plan.Error{Kind: plan.KindCancelled, Op: "submit", Text: "the client went away before the job began"}
	ended := *rec
	ended.Status = rec.Spec.Status()
	ended.Status.State, ended.Status.Ended, ended.Status.Error = api.Cancelled, time.Now().UnixMilli(), api.FromError(gone)
	_ = peers.Each(ctx, len(homes), func(ctx context.Context, i int) error {
		if err := j.putRecord(ctx, homes[i], &ended); err != nil {
			j.n.log.Warn("recording that a job was abandoned", "job", rec.Spec.ID, "err", err)
		}
		return nil
	})
}

// refused is why no home took a job. That all lack room is another matter than
// that they cannot be reached.
func refused(id plan.JobID, errs []error) error {
	te := &plan.Error{Kind: plan.KindUnavailable, Op: "submit", Subject: string(id), Text: fmt.Sprintf("no node could take the job: %v", errors.Join(errs...))}
	for _, err := range errs {
		if plan.KindOf(err) != plan.KindResource {
			return te
		}
		te.Hint = plan.AsError(err).Hint
	}
	te.Kind = plan.KindResource
	return te
}

func (j *jobs) putRecord(ctx context.Context, addr string, rec *api.Record) error {
	if addr == j.n.APIAddr() {
		return j.n.records.Put(rec)
	}
	return j.n.api.At(addr).PutRecord(ctx, rec)
}

func (j *jobs) startAt(ctx context.Context, addr string, spec *api.JobSpec, term uint64) (*api.JobStatus, error) {
	if addr == j.n.APIAddr() {
		return j.coordinate(ctx, spec, term)
	}
	return j.n.api.At(addr).Start(ctx, spec.ID, term)
}

// coordinate makes this node host a job's coordinator, and waits until the job
// is planned, or it has become clear that this takes longer.
func (j *jobs) coordinate(ctx context.Context, spec *api.JobSpec, term uint64) (*api.JobStatus, error) {
	if rec := j.n.records.Get(spec.ID); rec != nil {
		if err := spec.Same(rec.Spec); err != nil {
			return nil, err
		}
		if rec.Status != nil {
			return rec.Status, nil
		}
		spec = rec.Spec // as it was submitted first
	}
	r, err := j.start(spec, term)
	if err != nil {
		return nil, err
	}
	late := time.NewTimer(startTimeout)
	defer late.Stop()
	for {
		s, changed := r.topic.get()
		switch {
		case s.State == api.Failed:
			return nil, s.Error.Err()
		case s.State != api.Queued:
			return s, nil
		}
		select {
		case <-changed:
		case <-late.C:
			return s, nil
		case <-ctx.Done():
			return s, context.Cause(ctx)
		case <-j.n.ctx.Done():
			return s, &plan.Error{Kind: plan.KindUnavailable, Op: "start", Subject: string(spec.ID), Text: "the node is stopping"}
		}
	}
}

// checkOptions refuses invalid options of a job.
func checkOptions(o *api.JobOptions) error {
	for name, n := range map[string]int64{"deadline_ms": o.DeadlineMillis, "lease_ms": o.LeaseMillis} {
		if n < 0 || n > int64(timeMax/time.Millisecond) {
			return &plan.Error{Kind: plan.KindUser, Op: "submit", Subject: name, Text: fmt.Sprintf("%d ms is no length of time for a job", n), Hint: "0 is none"}
		}
	}
	return nil
}

// timeMax bounds the times that clients name, so that they can be added up.
const timeMax = 100 * 365 * 24 * time.Hour
