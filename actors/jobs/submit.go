package jobs

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/pondmesh/pond/actors/api"
	"github.com/pondmesh/pond/actors/peers"
	"github.com/pondmesh/pond/actors/plan"
	"github.com/pondmesh/pond/actors/terms"
	"github.com/pondmesh/pond/mesh"
)

// Bounds of handing a job to nodes that may be about to be lost.
const (
	submitTriesMax = 4
	viewTimeout    = 20 * time.Second // a node that has died is noticed sooner, also by a lone one
	startTimeout   = 60 * time.Second // who submits a job hears as late that it is being planned
)

// Submit records a job on its home replicas and makes the first of them drive it:
// this node at once, another once it has the record. It returns once the job is
// planned, so that a missing file or a malformed plan fails at once, or waits to be, and every
// home replica that can has recorded it. Submitting the same id again returns the job.
// If ctx ends first nobody waits for the job: it is cancelled.
func (j *Jobs) Submit(ctx context.Context, spec *api.JobSpec) (*api.JobStatus, error) {
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
	if err := j.Planner.Fill(ctx, spec); err != nil {
		return nil, err
	}
	for try := 1; ; try++ {
		view := j.Peers.View()
		s, err := j.offer(ctx, spec, view)
		if !errors.Is(err, plan.ErrUnavailable) || try == submitTriesMax || !j.awaitView(ctx, view) {
			if r := j.Get(spec.ID); err != nil && r != nil && !r.taken.Load() && spec.Same(r.Spec) == nil {
				_, _ = j.Cancel(ctx, spec.ID)
			}
			return s, err
		}
	}
}

// awaitView waits until other nodes are in view, and reports false when that takes
// too long.
func (j *Jobs) awaitView(ctx context.Context, view *mesh.View) bool {
	late := time.NewTimer(viewTimeout)
	defer late.Stop()
	select {
	case <-view.Superseded():
		return true
	case <-late.C:
	case <-ctx.Done():
	case <-j.Context.Done():
	}
	return false
}

// offer is one try to hand a job to the nodes of a view.
func (j *Jobs) offer(ctx context.Context, spec *api.JobSpec, view *mesh.View) (*api.JobStatus, error) {
	homes, _ := j.Peers.Homes(spec.ID)
	if len(homes) > 0 && homes[0].ID == j.Peers.Self { // what is refused here need not be recorded
		if err := j.Full(entrant(spec)); err != nil && j.Records.Get(spec.ID) == nil {
			return nil, err
		}
	}
	rec := newRecord(spec, view, homes)
	puts := j.putAll(ctx, rec, homes)
	for i, m := range homes {
		here := m.ID == j.Peers.Self
		if !here && puts.await(i) != nil {
			continue
		}
		s, err := j.startAt(ctx, m, rec) // it plans while others still record
		if ctx.Err() != nil {
			j.Go(func() { j.abandoned(rec, homes) })
			return nil, context.Cause(ctx)
		}
		if errors.Is(err, plan.ErrFenced) { // it was handed in before, or its driver is not noticed to be dead yet
			if s, err := j.here().Job(ctx, spec.ID); err == nil {
				return s, nil
			}
		}
		if errors.Is(err, plan.ErrUnavailable) || errors.Is(err, plan.ErrFenced) {
			puts.fail(i, err)
			continue
		}
		if err != nil || s.State.Ended() {
			puts.wait()
			return s, err
		}
		if !puts.majority() {
			break // too few have a record to outlive its driver by
		}
		if r := j.Get(spec.ID); r != nil {
			r.taken.Store(true)
		}
		return s, nil
	}
	return nil, refused(spec.ID, puts.wait())
}

// newRecord is how a job begins: the first of its homes drives it.
func newRecord(spec *api.JobSpec, view *mesh.View, homes []mesh.Member) *api.Record {
	rec := &api.Record{Spec: spec, Term: 1, Capacity: Capacity(view), Homes: idsOf(homes)}
	if len(homes) > 0 {
		rec.Driver = terms.DriverOf(homes[0])
	}
	return rec
}

func idsOf(nodes []mesh.Member) []string {
	ids := make([]string, len(nodes))
	for i, m := range nodes {
		ids[i] = string(m.ID)
	}
	return ids
}

// abandoned cancels a job whose submitter has gone, rather than to another node. One
// that runs nowhere yet is recorded as cancelled on its homes, so that none of them
// starts it.
func (j *Jobs) abandoned(rec *api.Record, homes []mesh.Member) {
	ctx, stop := context.WithTimeout(j.Context, recordTimeout)
	defer stop()
	if err := j.here().Abandon(ctx, rec.Spec); err == nil {
		return
	}
	gone := &plan.Error{Kind: plan.KindCancelled, Op: "submit", Text: "the client went away before the job began"}
	ended := *rec
	ended.Status = rec.Spec.Status()
	ended.Status.State, ended.Status.Ended, ended.Status.Error = api.Cancelled, time.Now().UnixMilli(), api.FromError(gone)
	j.putEach(ctx, &ended, homes)
}

// putEach gives a record to nodes that are better off with it.
func (j *Jobs) putEach(ctx context.Context, rec *api.Record, nodes []mesh.Member) {
	_ = peers.Each(ctx, len(nodes), func(ctx context.Context, i int) error {
		if err := j.putRecord(ctx, nodes[i], rec); err != nil {
			j.Log.Warn("a home of a job does not have its record", "job", rec.Spec.ID, "node", nodes[i].ID, "err", err)
		}
		return nil
	})
}

// refused is why too few homes took a job. That they know another by its id, or that all lack
// room, is another matter than that they cannot be reached.
func refused(id plan.JobID, errs []error) error {
	te := &plan.Error{Kind: plan.KindUnavailable, Op: "submit", Subject: string(id), Text: fmt.Sprintf("no node could take the job: %v", errors.Join(errs...))}
	for _, err := range errs {
		if errors.Is(err, plan.ErrExists) {
			return err
		}
	}
	kind, hint := te.Kind, ""
	for _, err := range errs { // nil of one that took it
		switch kind = plan.KindOf(err); kind {
		case plan.KindResource, plan.KindStorage:
			hint = plan.AsError(err).Hint
		default:
			return te
		}
	}
	te.Kind, te.Hint = kind, hint
	return te
}

func (j *Jobs) putRecord(ctx context.Context, m mesh.Member, rec *api.Record) error {
	if m.ID == j.Peers.Self {
		return j.Records.Put(rec)
	}
	return j.Peers.API.At(m.APIAddr()).PutRecord(ctx, rec)
}

func (j *Jobs) startAt(ctx context.Context, m mesh.Member, rec *api.Record) (*api.JobStatus, error) {
	if m.ID == j.Peers.Self {
		return j.Coordinate(ctx, rec)
	}
	return j.Peers.API.At(m.APIAddr()).Start(ctx, rec.Spec.ID)
}

// Coordinate makes this node drive a job, and waits until the job is planned, or it has
// become clear that this takes longer, or that others come first. A job that has another
// driver it takes over, if that one is gone.
func (j *Jobs) Coordinate(ctx context.Context, rec *api.Record) (*api.JobStatus, error) {
	spec := rec.Spec
	if old := j.Records.Get(spec.ID); old != nil {
		if err := spec.Same(old.Spec); err != nil {
			return nil, err
		}
		if old.Status != nil {
			return old.Status, nil
		}
		rec = old // as it was submitted first
	}
	r := j.Get(spec.ID)
	if r == nil {
		var err error
		if r, err = j.drive(ctx, rec, nil); errors.Is(err, plan.ErrBusy) {
			j.refuse(ctx, rec, err)
		}
		if err != nil {
			return nil, err
		}
	}
	late := time.NewTimer(startTimeout)
	defer late.Stop()
	for {
		s, changed := j.see(r)
		switch {
		case r.over():
			return nil, Moved(spec.ID)
		case s.State == api.Failed && s.Started == 0: // what fails later is the job's end
			return nil, s.Error.Err()
		case s.State != api.Queued || s.Waiting != nil: // what is wrong with one that waits is told at its end
			return s, nil
		}
		select {
		case <-changed:
		case <-late.C:
			return s, nil
		case <-ctx.Done():
			return s, context.Cause(ctx)
		case <-j.Context.Done():
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
