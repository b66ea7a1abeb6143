package publish

import (
	"context"
	"errors"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"syscall"

	"github.com/pondmesh/pond/actors/access"
	"github.com/pondmesh/pond/actors/plan"
	"github.com/pondmesh/pond/actors/sched"
	"github.com/pondmesh/pond/fs"
	"github.com/pondmesh/pond/fs/faults"
)

// Outputs are those of the jobs that one node coordinates. It is safe for concurrent
// use.
type Outputs struct {
	Dir   string                                             // of notes: a file a job that this node stages for, with its target
	Live  func(context.Context) (map[plan.JobID]bool, error) // the jobs of the whole pond that some node coordinates
	Rules *access.Rules                                      // where jobs may write
	// Faults happen at the steps of a publication where they are armed; nil: nowhere.
	Faults *faults.Injector
	Log    *slog.Logger
}

// Output is the target of one job's files. The caller ends it with Discard, or with
// Release where another process may go on with it. Nil is that of a job without files.
type Output struct {
	of      *Outputs
	job     plan.JobID
	write   *plan.Write
	staging staging
}

// staging is where attempts write, for a folder or for one file.
type staging interface {
	Dir() string
	Publish(ctx context.Context, files []string) error
	Published() (files []string, ok bool, err error)
	Discard(ctx context.Context) error
	Release()
	Before(func(step string) error)
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
// before anything runs. A job that writes no files, w is nil, has no Output.
func (o *Outputs) Open(ctx context.Context, job plan.JobID, w *plan.Write) (*Output, error) {
	if w == nil {
		return nil, nil
	}
	target, err := o.Rules.Check().Write(w.Path)
	if err != nil {
		return nil, outputError(w, err)
	}
	if err := o.note(job, target); err != nil {
		return nil, err
	}
	var st staging
	if w.Single {
		st, err = fs.StageFile(ctx, target, string(job), modeOf(w))
	} else {
		st, err = fs.Stage(ctx, target, string(job), modeOf(w))
	}
	if err != nil {
		o.forget(job)
		return nil, outputError(w, err)
	}
	if o.Faults != nil {
		st.Before(func(step string) error { return o.Faults.Fail(faults.PublishStep(step)) })
	}
	return &Output{of: o, job: job, write: w, staging: st}, nil
}

// Dir is where attempts write; "" for a job without files.
func (o *Output) Dir() string {
	if o == nil {
		return ""
	}
	return o.staging.Dir()
}

// Publish makes the winners' files visible and returns their names below the
// target. An error that names lost tasks asks for them to be run again.
func (o *Output) Publish(ctx context.Context, winners []sched.Winner) ([]string, error) {
	names, err := o.staged(winners)
	if err == nil {
		err = lostFile(o.staging.Publish(ctx, names), winners)
	}
	if err != nil {
		return nil, outputError(o.write, err)
	}
	files, _, err := o.staging.Published()
	if err != nil {
		return nil, outputError(o.write, err)
	}
	return files, nil
}

// Published are the names of the files, if they have been published, by this node or
// another.
func (o *Output) Published() (files []string, ok bool, err error) {
	files, ok, err = o.staging.Published()
	if err != nil {
		err = outputError(o.write, err)
	}
	return files, ok, err
}

// Discard removes the staging folder. Published files stay.
func (o *Output) Discard(ctx context.Context) error {
	if o == nil {
		return nil
	}
	if err := o.staging.Discard(ctx); err != nil {
		return err
	}
	o.of.forget(o.job)
	return nil
}

// Release gives the staging folder up as it is, as the process's death would.
func (o *Output) Release() {
	if o != nil {
		o.staging.Release()
	}
}

// staged lists the files in the winners' manifests. If a manifest is gone, or the
// size of its files has changed, the error names the tasks to run again.
func (o *Output) staged(winners []sched.Winner) ([]string, error) {
	var names []string
	lost := &plan.Error{Kind: plan.KindFetch, Op: "publish", Subject: o.Dir(), Text: "what was staged is gone or damaged", Hint: "look at the disk of that folder"}
	for _, w := range winners {
		files, err := fs.ReadManifest(o.Dir(), w.Output.Manifest)
		switch {
		case errors.Is(err, os.ErrNotExist), errors.Is(err, fs.ErrCorrupt), err == nil && !o.whole(files, w.Output.Bytes):
			lost.Lost = append(lost.Lost, w.Attempt.Task)
		case err != nil:
			return nil, err
		}
		names = append(names, files...)
	}
	if len(lost.Lost) > 0 {
		return nil, lost
	}
	return names, nil
}

// whole reports whether files have as many bytes as they had when they were written.
// Of those that are not there an earlier try may have published some: that is for
// Publish to say.
func (o *Output) whole(files []string, bytes int64) bool {
	for _, name := range files {
		fi, err := os.Lstat(filepath.Join(o.Dir(), name))
		if err != nil {
			return true
		}
		bytes -= fi.Size()
	}
	return bytes == 0
}

// lostFile names the task to be made again when a staged file is gone.
func lostFile(err error, winners []sched.Winner) error {
	gone := (*fs.GoneError)(nil)
	if !errors.As(err, &gone) {
		return err
	}
	attempt, _, _ := strings.Cut(filepath.ToSlash(gone.Name), "/")
	for _, w := range winners {
		if w.Output.Manifest == attempt {
			return &plan.Error{Kind: plan.KindFetch, Op: "publish", Subject: gone.Name, Text: gone.Err.Error(), Lost: []plan.TaskID{w.Attempt.Task}}
		}
	}
	return err
}

// outputError says why output files cannot be published.
func outputError(w *plan.Write, err error) error {
	if err == nil {
		return nil
	}
	if errors.As(err, new(*plan.Error)) {
		return err
	}
	te := &plan.Error{Kind: plan.KindResource, Op: "write", Subject: w.Path, Text: strings.TrimPrefix(err.Error(), "fs: ")}
	switch {
	case errors.As(err, new(*fs.ForeignError)):
		te.Kind, te.Hint = plan.KindExists, "choose another folder; or, if they may go too, say so: COPY … (OVERWRITE, FORCE), force: true in a job file, pond.OverwriteAll() in Go"
	case errors.Is(err, fs.ErrExists):
		te.Kind, te.Hint = plan.KindExists, "choose another folder, or write with mode overwrite or append"
	case errors.Is(err, fs.ErrNoSpace):
		te.Hint = "free space on that disk"
	case errors.Is(err, syscall.EACCES), errors.Is(err, syscall.EPERM), errors.Is(err, syscall.EROFS), errors.Is(err, fs.ErrReadOnly):
		te.Kind, te.Hint = plan.KindDenied, "the nodes need to be able to write there"
	case w.Single && errors.Is(err, fs.ErrInvalid):
		te.Kind, te.Hint = plan.KindUser, "the target is to be a file; choose another path, or end it with a slash to write a folder"
	case errors.Is(err, syscall.ENOTDIR), errors.Is(err, fs.ErrNotFolder), errors.Is(err, fs.ErrInvalid):
		te.Kind, te.Hint = plan.KindUser, "the target is to be a folder; choose a path that is not a file"
	}
	return te
}
