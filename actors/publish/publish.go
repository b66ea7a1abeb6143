package publish

import (
	"context"
	"errors"
	"log/slog"
	"strings"
	"sync"
	"syscall"

	"github.com/pondmesh/pond/actors/access"
	"github.com/pondmesh/pond/actors/datasets"
	"github.com/pondmesh/pond/actors/plan"
	"github.com/pondmesh/pond/actors/sched"
	"github.com/pondmesh/pond/actors/syserr"
	"github.com/pondmesh/pond/fs"
	"github.com/pondmesh/pond/fs/dataset"
	"github.com/pondmesh/pond/fs/faults"
)

// Outputs are those of the jobs that one node coordinates. It is safe for concurrent
// use.
type Outputs struct {
	Dir   string                                             // of notes: a file a job that this node stages for, with its target
	Live  func(context.Context) (map[plan.JobID]bool, error) // the jobs of the whole pond that some node coordinates
	Rules *access.Rules                                      // where jobs may write
	// Datasets are where pond:// names are published; nil: nowhere.
	Datasets *datasets.Datasets
	// Stores are the places of objects that jobs write to.
	Stores Stores
	// Faults happen at the steps of a publication where they are armed; nil: nowhere.
	Faults *faults.Injector
	Log    *slog.Logger

	mu       sync.Mutex
	open     map[plan.JobID]int // outputs of this process; notes of other jobs are orphans
	released chan struct{}      // holds one when there may be more of these
}

// Output is the target of one job's files. The caller ends it with Discard, or with
// Release where another process may go on with it. Nil is that of a job without files.
type Output struct {
	of     *Outputs
	job    plan.JobID
	write  *plan.Write
	target target
	ended  sync.Once // by Discard or Release
}

// target is a folder, a file, the like in a store, or a dataset that a job makes.
type target interface {
	// Dir is where attempts write.
	Dir() string
	// Lease is what their uploads say of themselves; "" for files.
	Lease() string
	// Publish makes the winners' files visible. It may be repeated.
	Publish(ctx context.Context, winners []sched.Winner) error
	// Published are their names, if they are visible.
	Published(ctx context.Context) (files []string, ok bool, err error)
	Discard(ctx context.Context) error
	// Withdraw is Discard, unless the files are visible: whichever it is stays so.
	Withdraw(ctx context.Context) (files []string, published bool, err error)
	Release()
}

// modeOf is how files are published into a target that is not empty.
func modeOf(w *plan.Write) fs.Mode {
	switch {
	case w.Mode == plan.WriteAppend:
		return fs.ModeAppend
	case w.Mode == plan.WriteOverwrite && (w.Force || w.Single): // the one file is named
		return fs.ModeOverwrite
	case w.Mode == plan.WriteOverwrite:
		return fs.ModeOverwriteOwn
	case w.Mode == plan.WriteReplace && w.Force:
		return fs.ModeReplace
	case w.Mode == plan.WriteReplace:
		return fs.ModeReplaceOwn
	}
	return fs.ModeError
}

// Open makes a job's staging folder, so that a target that cannot be written fails
// before anything runs. A dataset is the writer's, or not there. A job that writes no files, w is nil, has no Output.
func (o *Outputs) Open(ctx context.Context, job plan.JobID, by dataset.Writer, w *plan.Write) (*Output, error) {
	if w == nil {
		return nil, nil
	}
	var t target
	var err error
	o.begin(job)
	switch {
	case o.isDataset(w.Path):
		t, err = o.openDataset(ctx, job, by, w)
	case plan.InStore(w.Path):
		t, err = o.openStore(ctx, job, w)
	default:
		t, err = o.openFiles(ctx, job, w)
	}
	if err != nil {
		o.end(job)
		return nil, outputError(w, err)
	}
	return &Output{of: o, job: job, write: w, target: t}, nil
}

func (o *Outputs) isDataset(path string) bool {
	return o.Datasets != nil && dataset.Is(path)
}

// Dir is where attempts write; "" for a job without files.
func (o *Output) Dir() string {
	if o == nil {
		return ""
	}
	return o.target.Dir()
}

// Lease is what uploads of a dataset's files say of themselves: see collect.Origin.
func (o *Output) Lease() string {
	if o == nil {
		return ""
	}
	return o.target.Lease()
}

// Publish makes the winners' files visible and returns their names below the
// target. An error that names lost tasks asks for them to be run again.
func (o *Output) Publish(ctx context.Context, winners []sched.Winner) ([]string, error) {
	err := o.target.Publish(ctx, winners)
	if err != nil {
		return nil, outputError(o.write, err)
	}
	files, _, err := o.Published(ctx)
	return files, err
}

// Published are the names of the files, if they have been published, by this node or
// another.
func (o *Output) Published(ctx context.Context) (files []string, ok bool, err error) {
	files, ok, err = o.target.Published(ctx)
	return files, ok, outputError(o.write, err)
}

// Withdraw keeps everybody from publishing from now on, be it a driver of an earlier term
// that was paused on its way to it; unless the files have been published: then it tells
// their names. The end of the job, and Discard, are to follow.
func (o *Output) Withdraw(ctx context.Context) (files []string, published bool, err error) {
	files, published, err = o.target.Withdraw(ctx)
	return files, published, outputError(o.write, err)
}

// Discard removes what was staged. Published files stay. When it fails, Release is to
// follow.
func (o *Output) Discard(ctx context.Context) error {
	if o == nil {
		return nil
	}
	if err := o.target.Discard(ctx); err != nil {
		return err
	}
	o.of.forget(o.job)
	o.ended.Do(func() { o.of.end(o.job) })
	return nil
}

// Release gives up what was staged as it is, as the process's death would. What is left
// of it when the job has ended is cleared.
func (o *Output) Release() {
	if o != nil {
		o.target.Release()
		o.ended.Do(func() { o.of.end(o.job) })
	}
}

// Yield lets another process go on with what was staged, or see what has been published.
// Nothing is cleared before Release.
func (o *Output) Yield() {
	if o != nil {
		o.target.Release()
	}
}

// outputError says why output files cannot be published.
func outputError(w *plan.Write, err error) error {
	if err == nil {
		return nil
	}
	if errors.As(err, new(*plan.Error)) {
		return err
	}
	te := syserr.File("write", w.Path, err)
	te.Text = strings.TrimPrefix(te.Text, "fs: ")
	if datasetError(te, err) || storeError(te, err) {
		return te
	}
	switch {
	case errors.As(err, new(*fs.ForeignError)):
		te.Kind, te.Hint = plan.KindExists, "choose another folder; or, if they may go too, say so: COPY … (OVERWRITE, FORCE), force: true in a job file, pond.OverwriteAll() in Go"
	case errors.Is(err, fs.ErrExists):
		te.Kind, te.Hint = plan.KindExists, "choose another folder, or write with mode overwrite or append"
	case w.Single && errors.Is(err, fs.ErrInvalid):
		te.Kind, te.Hint = plan.KindUser, "the target is to be a file; choose another path, or end it with a slash to write a folder"
	case w.Single && errors.Is(err, syscall.ENOTDIR):
		te.Kind, te.Hint = plan.KindUser, "a part of the path is a file: choose another"
	case errors.Is(err, syscall.ENOTDIR), errors.Is(err, fs.ErrNotFolder), errors.Is(err, fs.ErrInvalid):
		te.Kind, te.Hint = plan.KindUser, "the target is to be a folder; choose a path that is not a file"
	}
	return te
}
