package actors

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"syscall"

	"github.com/pondmesh/pond/actors/api"
	"github.com/pondmesh/pond/actors/plan"
	"github.com/pondmesh/pond/actors/sched"
	"github.com/pondmesh/pond/fs"
)

// output is the target of a job's files; nil for a job without files.
type output struct {
	staging   staging
	published []string
}

// staging is where attempts write, for a folder or for one file.
type staging interface {
	Dir() string
	Publish(ctx context.Context, files []string) error
	Discard(ctx context.Context) error
	Release()
}

// openOutput makes the staging folder, so that a target that cannot be written
// fails before anything runs. It removes the remains of dead coordinators beside it.
func (o *orphans) openOutput(ctx context.Context, spec *api.JobSpec, job *plan.Job) (*output, error) {
	w := job.Result.Write
	if w == nil {
		return nil, nil
	}
	if err := o.note(spec.ID, w.Path); err != nil {
		return nil, err
	}
	modes := map[plan.WriteMode]fs.Mode{plan.WriteError: fs.ModeError, plan.WriteOverwrite: fs.ModeOverwrite, plan.WriteAppend: fs.ModeAppend, plan.WriteReplace: fs.ModeReplace, "": fs.ModeError}
	var st staging
	var err error
	if w.Single {
		st, err = fs.StageFile(ctx, w.Path, string(spec.ID), modes[w.Mode])
	} else {
		st, err = fs.Stage(ctx, w.Path, string(spec.ID), modes[w.Mode])
	}
	if err != nil {
		o.forget(spec.ID)
		return nil, outputError(w, err)
	}
	o.clearBeside(spec.ID, w.Path)
	return &output{staging: st}, nil
}

func (o *output) dir() string {
	if o == nil {
		return ""
	}
	return o.staging.Dir()
}

// staged lists the files in the winners' manifests. If a manifest is gone, or the
// size of its files has changed, the error names the tasks to run again.
func (o *output) staged(winners []sched.Winner) ([]string, error) {
	var names []string
	lost := &plan.Error{Kind: plan.KindFetch, Op: "publish", Subject: o.dir(), Text: "what was staged is gone or damaged", Hint: "look at the disk of that folder"}
	for _, w := range winners {
		files, err := fs.ReadManifest(o.dir(), w.Output.Manifest)
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
func (o *output) whole(files []string, bytes int64) bool {
	for _, name := range files {
		fi, err := os.Lstat(filepath.Join(o.dir(), name))
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
