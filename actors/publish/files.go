package publish

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"

	"github.com/pondmesh/pond/actors/plan"
	"github.com/pondmesh/pond/actors/sched"
	"github.com/pondmesh/pond/fs"
	"github.com/pondmesh/pond/fs/faults"
)

// files is a target that is a folder, or one file.
type files struct{ staging }

// staging is where attempts write, for a folder or for one file.
type staging interface {
	Dir() string
	Publish(ctx context.Context, files []string) error
	Published() (files []string, ok bool, err error)
	Discard(ctx context.Context) error
	Withdraw(ctx context.Context) (files []string, published bool, err error)
	Release()
	Before(func(step string) error)
}

func (o *Outputs) openFiles(ctx context.Context, job plan.JobID, w *plan.Write) (target, error) {
	path, err := o.Rules.Check().Write(w.Path)
	if err != nil {
		return nil, err
	}
	if err := o.note(job, path); err != nil { // on the node's own disk
		return nil, &plan.Error{Kind: plan.KindInternal, Op: "write", Subject: w.Path, Text: err.Error()}
	}
	var st staging
	if w.Single {
		st, err = fs.StageFile(ctx, path, string(job), modeOf(w))
	} else {
		st, err = fs.Stage(ctx, path, string(job), modeOf(w))
	}
	if err != nil {
		o.forget(job)
		return nil, err
	}
	if o.Faults != nil {
		st.Before(func(step string) error { return o.Faults.Fail(faults.PublishStep(step)) })
	}
	return files{st}, nil
}

// Lease implements target.
func (f files) Lease() string { return "" }

// Publish implements target.
func (f files) Publish(ctx context.Context, winners []sched.Winner) error {
	names, err := f.staged(winners)
	if err != nil {
		return err
	}
	return lostFile(f.staging.Publish(ctx, names), winners)
}

// Published implements target.
func (f files) Published(context.Context) ([]string, bool, error) { return f.staging.Published() }

// staged lists the files in the winners' manifests. If a manifest is gone, or the
// size of its files has changed, the error names the tasks to run again.
func (f files) staged(winners []sched.Winner) ([]string, error) {
	var names []string
	lost := &plan.Error{Kind: plan.KindFetch, Op: "publish", Subject: f.Dir(), Text: "what was staged is gone or damaged", Hint: "look at the disk of that folder"}
	for _, w := range winners {
		files, err := fs.ReadManifest(f.Dir(), w.Output.Manifest)
		switch {
		case errors.Is(err, os.ErrNotExist), errors.Is(err, fs.ErrCorrupt), err == nil && !f.whole(files, w.Output.Bytes):
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
func (f files) whole(files []string, bytes int64) bool {
	for _, name := range files {
		fi, err := os.Lstat(filepath.Join(f.Dir(), name))
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
