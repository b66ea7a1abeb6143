package actors

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	"github.com/pondmesh/pond/actors/api"
	"github.com/pondmesh/pond/actors/plan"
	"github.com/pondmesh/pond/actors/setup"
	pondfs "github.com/pondmesh/pond/fs"
)

// Bounds of clearing up behind nodes that died.
const (
	clearTriesMax   = 10              // while not every node answers
	clearPause      = 3 * time.Second // between them
	orphansPerClear = 256             // staging folders; whoever publishes there next clears the others
	noteBytesMax    = 64 << 10
)

// orphans clears staging folders that no live job owns. A folder is an orphan when
// no process holds its lock, every node of the view has answered, and none of them
// coordinates the job.
type orphans struct {
	n   *Node
	dir string // of notes: a file a job that this node stages for, with its target
}

func newOrphans(n *Node) *orphans {
	return &orphans{n: n, dir: filepath.Join(n.cfg.Dir, setup.StagedDir)}
}

// note remembers a target until its job's staging folder is gone: the next start
// of a node that died clears the remains.
func (o *orphans) note(id plan.JobID, target string) error {
	if err := os.MkdirAll(o.dir, 0o700); err != nil {
		return fmt.Errorf("actors: note the output of job %s: %w", id, err)
	}
	if err := os.WriteFile(filepath.Join(o.dir, string(id)), []byte(target), 0o600); err != nil {
		return fmt.Errorf("actors: note the output of job %s: %w", id, err)
	}
	return nil
}

func (o *orphans) forget(id plan.JobID) {
	if err := os.Remove(filepath.Join(o.dir, string(id))); err != nil && !errors.Is(err, fs.ErrNotExist) {
		o.n.log.Warn("forgetting a job's output", "job", id, "err", err)
	}
}

// clearNoted clears the remains of earlier starts of this node, beside its work.
func (o *orphans) clearNoted() {
	entries, err := os.ReadDir(o.dir)
	if err != nil {
		if !errors.Is(err, fs.ErrNotExist) {
			o.n.log.Warn("looking for outputs that a death left", "err", err)
		}
		return
	}
	for _, e := range entries {
		target, err := os.ReadFile(filepath.Join(o.dir, e.Name()))
		if err != nil || len(target) > noteBytesMax {
			o.n.log.Warn("the note of a job's output cannot be read", "job", e.Name(), "err", err)
			continue
		}
		o.n.goes.Go(func() { o.clear(string(target), []string{e.Name()}) })
	}
}

// clearBeside clears what others left beside a job's target, beside the job.
func (o *orphans) clearBeside(id plan.JobID, target string) {
	staged, err := pondfs.Staged(target)
	if err != nil {
		o.n.log.Warn("looking for outputs that a death left", "target", target, "err", err)
		return
	}
	var others []string
	for _, job := range staged {
		if job != string(id) && len(others) < orphansPerClear {
			others = append(others, job)
		}
	}
	if len(others) > 0 {
		o.n.goes.Go(func() { o.clear(target, others) })
	}
}

// clear removes those of the staging folders that are orphans.
func (o *orphans) clear(target string, staged []string) {
	var live map[plan.JobID]bool
	for try := 1; ; try++ {
		var err error
		if live, err = o.n.jobs.find.live(o.n.ctx); err == nil {
			break
		}
		if try == clearTriesMax || !o.n.sleep(clearPause) {
			o.n.log.Info("staging folders are left: not every node answers", "target", target, "folders", len(staged), "err", err)
			return
		}
	}
	for _, job := range staged {
		if live[plan.JobID(job)] {
			continue
		}
		ctx, cancel := context.WithTimeout(o.n.ctx, recordTimeout)
		cleared, err := pondfs.Clear(ctx, target, job)
		cancel()
		switch {
		case err != nil:
			o.n.log.Warn("clearing a staging folder that no job owns", "target", target, "job", job, "err", err)
		case cleared:
			o.n.log.Info("cleared what a job left whose coordinator died", "target", target, "job", job)
			o.forget(plan.JobID(job))
		}
	}
}

// live are the jobs that some node of the view coordinates and that have not
// ended. It fails unless every node answers.
func (f *finder) live(ctx context.Context) (map[plan.JobID]bool, error) {
	ctx, cancel := context.WithTimeout(ctx, locateTimeout)
	defer cancel()
	members := f.view().Members
	lists := make([][]api.JobStatus, len(members))
	err := forEach(ctx, len(members), func(ctx context.Context, i int) (err error) {
		if members[i].ID == f.self {
			lists[i] = f.here()
			return nil
		}
		lists[i], err = f.peers.At(members[i].APIAddr()).Records(ctx)
		return err
	})
	live := map[plan.JobID]bool{}
	for _, list := range lists {
		for _, s := range list {
			if s.Coordinator != "" && !s.State.Ended() {
				live[s.ID] = true
			}
		}
	}
	return live, err
}
