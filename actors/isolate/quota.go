package isolate

import (
	"context"
	"time"

	"github.com/pondmesh/pond/actors/exec"
	"github.com/pondmesh/pond/actors/process"
)

// The node measures what a process has written, whatever that says of it.
const (
	quotaPause = 500 * time.Millisecond
	// quotaSlack is what a process may have above a limit for a moment: it keeps to the
	// limit by itself, and exactly, unless it has been taken over.
	quotaSlack = 64 << 20
)

// watched is ctx for an attempt in a process. It ends, with the reason, when the
// process says that it hears nothing, or puts more on disk than the limits allow.
func (s *session) watched(ctx context.Context, pr *process.Process) (context.Context, func()) {
	ctx, s.cancel = context.WithCancelCause(ctx)
	stop := func() {}
	if s.m.Limits != (exec.Limits{}) {
		stop = exec.Every(quotaPause, func() error { return s.measure(pr.Dir(), pr.Pid(), quotaSlack) }, s.cancel)
	}
	return ctx, func() {
		stop()
		s.cancel(nil)
	}
}

// measure looks at what the attempt has on disk: what it spills and spools to dir, or to
// files that have no name any more, its segment, and its files.
func (s *session) measure(dir string, pid int, slack int64) error {
	l := s.m.Limits
	if l.Spill > 0 && exec.FolderBytes(dir)+unlinkedBytes(pid) > 2*l.Spill+slack {
		return l.Spilled()
	}
	if l.Output > 0 && s.packet.Staging != "" {
		if err := l.CheckOutput(exec.FolderBytes(exec.AttemptDir(s.packet.Staging, s.a)) - slack); err != nil {
			return err
		}
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.checkDraft(slack)
}

// checkDraft compares the size of the segment that the process writes with what a
// result may have. The lock is held.
func (s *session) checkDraft(slack int64) error {
	if s.m.Limits.Result == 0 || s.draft == nil || !exec.IsResult(s.packet) {
		return nil
	}
	f, err := s.draft.File()
	if err != nil {
		return nil //nolint:nilerr // it has ended
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return err
	}
	return s.m.Limits.CheckResult(info.Size() - slack)
}
