package publish

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	"github.com/pondmesh/pond/actors/plan"
	pondfs "github.com/pondmesh/pond/fs"
	"github.com/pondmesh/pond/mesh/delay"
)

// Bounds of clearing up behind nodes that died.
const (
	clearTriesMax   = 10              // while not every node answers
	clearPause      = 3 * time.Second // between them
	clearTimeout    = 10 * time.Second
	orphansPerClear = 256 // staging folders; whoever publishes there next clears the others
	noteBytesMax    = 64 << 10
)

// note remembers a target until its job's staging folder is gone: the next start
// of a node that died clears the remains.
func (o *Outputs) note(id plan.JobID, target string) error {
	if err := os.MkdirAll(o.Dir, 0o700); err != nil {
		return fmt.Errorf("publish: note the output of job %s: %w", id, err)
	}
	if err := os.WriteFile(filepath.Join(o.Dir, string(id)), []byte(target), 0o600); err != nil {
		return fmt.Errorf("publish: note the output of job %s: %w", id, err)
	}
	return nil
}

func (o *Outputs) forget(id plan.JobID) {
	if err := os.Remove(filepath.Join(o.Dir, string(id))); err != nil && !errors.Is(err, fs.ErrNotExist) {
		o.Log.Warn("forgetting a job's output", "job", id, "err", err)
	}
}

// Usage is what jobs have staged for which this node opened the output: bytes and files.
func (o *Outputs) Usage() (bytes, count int64) {
	entries, err := os.ReadDir(o.Dir)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		o.Log.Debug("looking for staged files", "err", err)
	}
	for _, e := range entries {
		target, err := os.ReadFile(filepath.Join(o.Dir, e.Name()))
		if err != nil || len(target) > noteBytesMax {
			continue // its job has ended meanwhile
		}
		b, c, err := pondfs.StagedUsage(string(target), e.Name())
		if err != nil {
			o.Log.Debug("looking at staged files", "job", e.Name(), "err", err)
		}
		bytes, count = bytes+b, count+c
	}
	return bytes, count
}

// ClearNoted clears what earlier starts of this node left.
func (o *Outputs) ClearNoted(ctx context.Context) {
	entries, err := os.ReadDir(o.Dir)
	if err != nil {
		if !errors.Is(err, fs.ErrNotExist) {
			o.Log.Warn("looking for outputs that a death left", "err", err)
		}
		return
	}
	for _, e := range entries {
		target, err := os.ReadFile(filepath.Join(o.Dir, e.Name()))
		if err != nil || len(target) > noteBytesMax {
			o.Log.Warn("the note of a job's output cannot be read", "job", e.Name(), "err", err)
			continue
		}
		if !o.clear(ctx, string(target), []string{e.Name()}) {
			return
		}
	}
}

// ClearBeside clears what others left beside a job's target.
func (o *Outputs) ClearBeside(ctx context.Context, id plan.JobID, target string) {
	if o.isDataset(target) {
		return // a lease ends by itself, and with it what was uploaded
	}
	staged, err := pondfs.Staged(target)
	if err != nil {
		o.Log.Warn("looking for outputs that a death left", "target", target, "err", err)
		return
	}
	var others []string
	for _, job := range staged {
		if job != string(id) && len(others) < orphansPerClear {
			others = append(others, job)
		}
	}
	if len(others) > 0 {
		o.clear(ctx, target, others)
	}
}

// clear removes those of the staging folders that are orphans: no process holds
// their locks, every node of the view has answered, and none coordinates the job. It
// reports false when not every node answers.
func (o *Outputs) clear(ctx context.Context, target string, staged []string) bool {
	var live map[plan.JobID]bool
	for try := 1; ; try++ {
		var err error
		if live, err = o.Live(ctx); err == nil {
			break
		}
		if try == clearTriesMax || delay.For(ctx, clearPause) != nil {
			o.Log.Info("staging folders are left: not every node answers", "target", target, "folders", len(staged), "err", err)
			return false
		}
	}
	for _, job := range staged {
		if live[plan.JobID(job)] {
			continue
		}
		bounded, cancel := context.WithTimeout(ctx, clearTimeout)
		cleared, err := pondfs.Clear(bounded, target, job)
		cancel()
		switch {
		case err != nil:
			o.Log.Warn("clearing a staging folder that no job owns", "target", target, "job", job, "err", err)
		case cleared:
			o.Log.Info("cleared what a job left whose coordinator died", "target", target, "job", job)
			o.forget(plan.JobID(job))
		}
	}
	return true
}
