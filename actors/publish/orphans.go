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
		if err != nil || len(target) > noteBytesMax || plan.InStore(string(target)) {
			continue // its job has ended meanwhile, or its files are elsewhere
		}
		b, c, err := pondfs.StagedUsage(string(target), e.Name())
		if err != nil {
			o.Log.Debug("looking at staged files", "job", e.Name(), "err", err)
		}
		bytes, count = bytes+b, count+c
	}
	return bytes, count
}

// begin says that this process works on a job's output.
func (o *Outputs) begin(id plan.JobID) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.open == nil {
		o.open = map[plan.JobID]int{}
	}
	o.open[id]++
}

// end says that it does no longer.
func (o *Outputs) end(id plan.JobID) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.open[id]--; o.open[id] == 0 {
		delete(o.open, id)
	}
	select {
	case o.wake() <- struct{}{}:
	default:
	}
}

// wake is the channel that says that there may be more orphans. The lock is held.
func (o *Outputs) wake() chan struct{} {
	if o.released == nil {
		o.released = make(chan struct{}, 1)
	}
	return o.released
}

// ClearNoted clears, until ctx ends, what is left of outputs that this process does not
// work on: of earlier starts of this node, and of jobs that another node drives now. Of a
// job that lives nothing is cleared before it has ended.
func (o *Outputs) ClearNoted(ctx context.Context) {
	o.mu.Lock()
	more := o.wake()
	o.mu.Unlock()
	failed := map[plan.JobID]bool{} // are for the next start
	for {
		var again <-chan time.Time
		if o.clear(ctx, o.orphans(failed), failed) {
			again = time.After(livePause)
		}
		select {
		case <-ctx.Done():
			return
		case <-again:
		case <-more:
		}
	}
}

// orphan is what a job staged for a target.
type orphan struct {
	job    plan.JobID
	target string
}

// orphans are the noted jobs on whose output this process does not work.
func (o *Outputs) orphans(failed map[plan.JobID]bool) (out []orphan) {
	entries, err := os.ReadDir(o.Dir)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		o.Log.Warn("looking for outputs that a death left", "err", err)
	}
	for _, e := range entries {
		id := plan.JobID(e.Name())
		o.mu.Lock()
		skip := o.open[id] > 0 || failed[id]
		o.mu.Unlock()
		if skip {
			continue
		}
		target, err := os.ReadFile(filepath.Join(o.Dir, e.Name()))
		switch {
		case errors.Is(err, fs.ErrNotExist): // it has ended
		case err != nil || len(target) > noteBytesMax:
			o.Log.Warn("the note of a job's output cannot be read", "job", id, "err", err)
			failed[id] = true
		default:
			out = append(out, orphan{id, string(target)})
		}
	}
	return out
}

// ClearBeside clears what others left beside a job's target.
func (o *Outputs) ClearBeside(ctx context.Context, id plan.JobID, w *plan.Write) {
	target := w.Path
	if o.isDataset(target) {
		return // a lease ends by itself, and with it what was uploaded
	}
	if plan.InStore(target) {
		o.clear(ctx, o.besideStore(ctx, id, w), map[plan.JobID]bool{})
		return
	}
	staged, err := pondfs.Staged(target)
	if err != nil {
		o.Log.Warn("looking for outputs that a death left", "target", target, "err", err)
		return
	}
	var others []orphan
	for _, job := range staged {
		if job != string(id) && len(others) < orphansPerClear {
			others = append(others, orphan{plan.JobID(job), target})
		}
	}
	o.clear(ctx, others, map[plan.JobID]bool{})
}

// clear removes those of the staging folders that nobody needs: no process holds their
// locks, every node of the view has answered, and none drives the job. It reports whether
// some are left that may have to go later, and adds to failed what cannot be removed.
func (o *Outputs) clear(ctx context.Context, staged []orphan, failed map[plan.JobID]bool) (left bool) {
	if len(staged) == 0 {
		return false
	}
	live, err := o.liveJobs(ctx)
	if err != nil {
		o.Log.Info("staging folders are left: not every node answers", "folders", len(staged), "err", err)
		return true
	}
	for _, s := range staged {
		if live[s.job] {
			left = true
			continue
		}
		bounded, cancel := context.WithTimeout(ctx, clearTimeout)
		cleared, err := o.clearOne(bounded, s)
		cancel()
		switch {
		case err != nil:
			o.Log.Warn("clearing a staging folder that no job owns", "target", s.target, "job", s.job, "err", err)
			failed[s.job] = true
		case cleared:
			o.Log.Info("cleared what a job left whose coordinator died", "target", s.target, "job", s.job)
			o.forget(s.job)
		default: // a process works on it
			left = true
		}
	}
	return left
}

// clearOne clears what a job staged, unless a process works on it.
func (o *Outputs) clearOne(ctx context.Context, s orphan) (cleared bool, err error) {
	if !plan.InStore(s.target) {
		return pondfs.Clear(ctx, s.target, string(s.job))
	}
	out, err := o.storeOf(s.job, &plan.Write{Path: s.target})
	if err == nil {
		err = out.Discard(ctx)
	}
	return err == nil, err
}

// liveJobs asks all nodes, more than once, for the jobs that have not ended.
func (o *Outputs) liveJobs(ctx context.Context) (live map[plan.JobID]bool, err error) {
	for range clearTriesMax {
		if live, err = o.Live(ctx); err == nil || delay.For(ctx, clearPause) != nil {
			break
		}
	}
	return live, err
}
