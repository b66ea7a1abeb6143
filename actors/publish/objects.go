package publish

import (
	"context"
	"errors"
	"strings"

	"github.com/pondmesh/pond/actors/plan"
	"github.com/pondmesh/pond/actors/sched"
	"github.com/pondmesh/pond/fs/object"
	"github.com/pondmesh/pond/fs/object/output"
)

// Stores are the places of objects: see remote.Cache.
type Stores interface {
	Store(name string) (object.Stager, error)
}

// toStore is a target that is a folder, or an object, of a store. Attempts upload what they
// make, and the name of an attempt's manifest is that of its list.
type toStore struct {
	out output.Output
}

func (o *Outputs) openStore(ctx context.Context, job plan.JobID, w *plan.Write) (target, error) {
	if _, err := o.Rules.Check().Write(w.Path); err != nil {
		return nil, err
	}
	out, err := o.storeOf(job, w)
	if err == nil {
		err = out.Check(ctx)
	}
	if err != nil {
		return nil, err
	}
	if err := o.note(job, out.Folder()); err != nil { // on the node's own disk
		return nil, &plan.Error{Kind: plan.KindInternal, Op: "write", Subject: w.Path, Text: err.Error()}
	}
	return toStore{out}, nil
}

func (o *Outputs) storeOf(job plan.JobID, w *plan.Write) (output.Output, error) {
	place, err := o.Stores.Store(w.Path)
	return output.Output{Place: place, Target: strings.TrimRight(w.Path, "/"), Single: w.Single, Append: w.Mode == plan.WriteAppend, Job: string(job)}, err
}

// Dir implements target.
func (t toStore) Dir() string { return t.out.Target }

// Lease implements target.
func (t toStore) Lease() string { return "" }

// Publish implements target.
func (t toStore) Publish(ctx context.Context, winners []sched.Winner) error {
	drafts := make([]string, len(winners))
	for i, w := range winners {
		drafts[i] = w.Output.Manifest
	}
	err := t.out.Publish(ctx, drafts)
	gone, ok := errors.AsType[*output.GoneError](err)
	if !ok {
		return err
	}
	if len(gone.Drafts) == 0 {
		gone.Drafts = drafts
	}
	lost := &plan.Error{Kind: plan.KindFetch, Op: "publish", Subject: t.out.Target, Text: gone.Err.Error(), Hint: "look whether something else removes uploads there"}
	for i, w := range winners {
		for _, d := range gone.Drafts {
			if d == drafts[i] {
				lost.Lost = append(lost.Lost, w.Attempt.Task)
			}
		}
	}
	return lost
}

// Published implements target.
func (t toStore) Published(ctx context.Context) ([]string, bool, error) { return t.out.Published(ctx) }

// Discard implements target.
func (t toStore) Discard(ctx context.Context) error { return t.out.Discard(ctx) }

// Withdraw implements target.
func (t toStore) Withdraw(ctx context.Context) ([]string, bool, error) { return t.out.Withdraw(ctx) }

// Release implements target: nothing is held.
func (t toStore) Release() {}

// besideStore are the jobs that have left something where a job writes.
func (o *Outputs) besideStore(ctx context.Context, id plan.JobID, w *plan.Write) (others []orphan) {
	out, err := o.storeOf(id, w)
	var jobs []string
	if err == nil {
		jobs, err = out.Jobs(ctx)
	}
	if err != nil {
		o.Log.Warn("looking for outputs that a death left", "target", w.Path, "err", err)
	}
	for _, job := range jobs {
		if job != string(id) && len(others) < orphansPerClear {
			others = append(others, orphan{plan.JobID(job), out.Folder()})
		}
	}
	return others
}

// storeError gives an error of a store its kind; false: it is none.
func storeError(e *plan.Error, err error) bool {
	oe, ok := errors.AsType[*object.Error](err)
	if !ok {
		return false
	}
	e.Kind, e.Text, e.Hint = plan.KindResource, oe.Why(), oe.Hint // no disk of a node's fails
	switch {
	case errors.Is(err, object.ErrExists):
		e.Kind, e.Hint = plan.KindExists, "choose another folder, or write with APPEND (mode append)"
	case errors.Is(err, object.ErrDenied), errors.Is(err, object.ErrReadOnly):
		e.Kind = plan.KindDenied
	case errors.Is(err, object.ErrNotFound):
		e.Kind = plan.KindNotFound
	case errors.Is(err, object.ErrName), errors.Is(err, object.ErrTooLarge), errors.Is(err, object.ErrPattern):
		e.Kind = plan.KindUser
	}
	if e.Hint == "" {
		e.Hint = "look whether the node reaches the place, and run the statement again"
	}
	return true
}
