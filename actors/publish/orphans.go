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
	livePause       = 5 * time.Second // before a job that another node has taken over is looked at again
	orphansPerClear = 256             // staging folders; whoever publishes there next clears the others
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

// ClearNoted clears what earlier starts of this node left. What a job stages that
// another node has taken over is looked at again until that job has ended.
func (o *Outputs) ClearNoted(ctx context.Context) {
	entries, err := os.ReadDir(o.Dir)
	if err != nil {
		if !errors.Is(err, fs.ErrNotExist) {
			o.Log.Warn("looking for outputs that a death left", "err", err)
		}
		return
	}
	var noted []string
	for _, e := range entries {
		noted = append(noted, e.Name())
	}
	for noted = o.clearNoted(ctx, noted); len(noted) > 0 && delay.For(ctx, livePause) == nil; {
		noted = o.clearNoted(ctx, noted)
	}
}

// clearNoted returns those jobs of the noted that live: none when not every node answers.
func (o *Outputs) clearNoted(ctx context.Context, noted []string) (live []string) {
	for _, job := range noted {
		target, err := os.ReadFile(filepath.Join(o.Dir, job))
		if errors.Is(err, fs.ErrNotExist) {
			continue // this node has taken it over itself, and it has ended
		}
		if err != nil || len(target) > noteBytesMax {
			o.Log.Warn("the note of a job's output cannot be read", "job", job, "err", err)
			continue
		}
		left, answered := o.clear(ctx, string(target), []string{job})
		if !answered {
			return nil
		}
		live = append(live, left...)
	}
	return live
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
// returns those of jobs that live; answered is false when not every node answers.
func (o *Outputs) clear(ctx context.Context, target string, staged []string) (left []string, answered bool) {
	var live map[plan.JobID]bool
	for try := 1; ; try++ {
		var err error
		if live, err = o.Live(ctx); err == nil {
			break
		}
		if try == clearTriesMax || delay.For(ctx, clearPause) != nil {
			o.Log.Info("staging folders are left: not every node answers", "target", target, "folders", len(staged), "err", err)
			return nil, false
		}
	}
	for _, job := range staged {
		if live[plan.JobID(job)] {
			left = append(left, job)
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
		default: // a process works on it
			left = append(left, job)
		}
	}
	return left, true
}
