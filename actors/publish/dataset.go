package publish

import (
	"context"
	"errors"
	"log/slog"
	"slices"
	"time"

	"github.com/pondmesh/pond/actors/datasets"
	"github.com/pondmesh/pond/actors/plan"
	"github.com/pondmesh/pond/actors/sched"
	"github.com/pondmesh/pond/fs/collect"
	"github.com/pondmesh/pond/fs/dataset"
	"github.com/pondmesh/pond/fs/faults"
	"github.com/pondmesh/pond/fs/register"
	"github.com/pondmesh/pond/mesh/delay"
)

// renewals are how many times a lease is renewed in the time that it has without.
const renewals = 4

// toDataset is a target that is a dataset. Attempts upload what they make, and the name
// of an attempt's manifest is where its draft is.
type toDataset struct {
	d         *datasets.Datasets
	name, job string
	by        dataset.Writer
	lease     string // empty: the job has published
	mode      dataset.Mode
	log       *slog.Logger
	faults    *faults.Injector
	stop      context.CancelFunc // of the renewals
}

var datasetModes = map[plan.WriteMode]dataset.Mode{
	"": dataset.ModeError, plan.WriteError: dataset.ModeError, plan.WriteOverwrite: dataset.ModeOverwrite, plan.WriteAppend: dataset.ModeAppend, plan.WriteReplace: dataset.ModeReplace,
}

func (o *Outputs) openDataset(ctx context.Context, job plan.JobID, by dataset.Writer, w *plan.Write) (target, error) {
	ref, err := dataset.Parse(w.Path)
	switch {
	case err != nil:
		return nil, err
	case ref.Version > 0 || ref.Path != "":
		return nil, &plan.Error{Kind: plan.KindUser, Op: "write", Subject: w.Path, Text: "a dataset is written as a whole", Hint: "write to " + dataset.Ref{Name: ref.Name}.String() + ", with PARTITION_BY for folders in it"}
	case w.Format != plan.Parquet:
		return nil, &plan.Error{Kind: plan.KindUser, Op: "write", Subject: w.Path, Text: "a dataset has Parquet files", Hint: "write with FORMAT parquet, or to a folder"}
	}
	if _, err := o.Rules.Check().Write(w.Path); err != nil {
		return nil, err
	}
	t := &toDataset{d: o.Datasets, name: ref.Name, job: string(job), by: by, mode: datasetModes[w.Mode], log: o.Log, faults: o.Faults}
	if w.Existing {
		t.mode = dataset.ModeInsert
	}
	t.lease, err = o.Datasets.Begin(ctx, t.name, t.job, by, t.mode)
	if err != nil && !errors.Is(err, dataset.ErrPublished) {
		return nil, err
	}
	var renewing context.Context
	renewing, t.stop = context.WithCancel(context.WithoutCancel(ctx))
	if t.lease != "" {
		go t.renew(renewing)
	}
	return t, nil
}

// renew keeps the lease until the job is over.
func (t *toDataset) renew(ctx context.Context) {
	for delay.For(ctx, collect.Kept().Lease/renewals) == nil {
		bounded, cancel := context.WithTimeout(ctx, time.Minute)
		err := t.d.Renew(bounded, t.name, t.lease)
		cancel()
		if errors.Is(err, collect.ErrCondemned) || ctx.Err() != nil {
			return // to publish will tell
		}
		if err != nil {
			t.log.Warn("a lease is not renewed yet", "dataset", t.name, "job", t.job, "err", err)
		}
	}
}

// Dir implements target, as do the others.
func (t *toDataset) Dir() string { return dataset.Ref{Name: t.name}.String() }

func (t *toDataset) Lease() string { return t.lease }

func (t *toDataset) Publish(ctx context.Context, winners []sched.Winner) error {
	where := make([]string, len(winners))
	for i, w := range winners {
		where[i] = w.Output.Manifest
	}
	draft, err := t.d.Drafts(ctx, where)
	if gone, ok := errors.AsType[*datasets.GoneError](err); ok {
		return lostDrafts(gone, winners)
	}
	if err != nil {
		return err
	}
	t.faults.At(faults.DatasetUploaded)
	_, err = t.d.Publish(ctx, datasets.Publication{Name: t.name, Job: t.job, Lease: t.lease, By: t.by, Mode: t.mode, Columns: draft.Columns, Files: draft.Files})
	return err
}

// lostDrafts names the tasks that have to be run again.
func lostDrafts(gone *datasets.GoneError, winners []sched.Winner) error {
	lost := &plan.Error{Kind: plan.KindFetch, Op: "publish", Subject: gone.Where[0], Text: gone.Err.Error(), Hint: "bring back the nodes that hold it"}
	for _, w := range winners {
		if slices.Contains(gone.Where, w.Output.Manifest) {
			lost.Lost = append(lost.Lost, w.Attempt.Task)
		}
	}
	return lost
}

func (t *toDataset) Published(ctx context.Context) ([]string, bool, error) {
	return t.d.Made(ctx, t.name, t.job)
}

// Discard ends the lease, by which what was not published goes.
func (t *toDataset) Discard(ctx context.Context) error {
	t.stop()
	t.faults.At(faults.DatasetForget)
	if t.lease == "" {
		return nil
	}
	return t.d.Release(ctx, t.name, t.lease)
}

// Withdraw ends the lease: what comes after is refused, and what came before is there.
func (t *toDataset) Withdraw(ctx context.Context) (files []string, published bool, err error) {
	if t.lease != "" {
		if err := t.d.Release(ctx, t.name, t.lease); err != nil {
			return nil, false, err
		}
	}
	return t.Published(ctx)
}

func (t *toDataset) Release() { t.stop() }

// datasetError gives an error of a dataset its kind; false: it is none.
func datasetError(e *plan.Error, err error) bool {
	switch {
	case errors.Is(err, dataset.ErrExists):
		e.Kind, e.Hint = plan.KindExists, "choose another name, or write with mode overwrite, replace or append"
	case errors.Is(err, dataset.ErrNotFound):
		e.Kind, e.Hint = plan.KindNotFound, "it was dropped, or never made: CREATE TABLE … AS SELECT … makes it, and SHOW TABLES lists what is there"
	case errors.Is(err, dataset.ErrNotOwner):
		e.Kind, e.Hint = plan.KindDenied, "choose another name, or ask its owner, or a user with the role admin"
	case errors.Is(err, dataset.ErrColumns):
		e.Kind, e.Hint = plan.KindUser, "cast what you write to the dataset's columns (DESCRIBE shows them), or write with mode overwrite"
	case errors.Is(err, dataset.ErrName):
		e.Kind, e.Hint = plan.KindUser, "a dataset has a name such as pond://sales"
	case errors.Is(err, dataset.ErrTooLarge):
		e.Kind, e.Hint = plan.KindUser, "write fewer and larger files"
	case errors.Is(err, collect.ErrCondemned):
		e.Kind, e.Hint = plan.KindLost, "run the statement again: its lease ran out while no keeper of the registers could be reached"
	case errors.Is(err, collect.ErrTooMany), errors.Is(err, datasets.ErrBusy), errors.Is(err, register.ErrMinority), errors.Is(err, register.ErrUnknown):
		e.Kind, e.Hint = plan.KindUnavailable, "try again; pondnode members shows the nodes that keep the registers"
	default:
		return false
	}
	return true
}
