package chaos

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"syscall"
	"time"
)

// lockName is the file that clusters of one machine take turns by.
const lockName = "pond-chaos.lock"

// lockPoll is how often a lock that is held is tried again.
const lockPoll = 50 * time.Millisecond

// lockMachine waits until no other cluster runs on this machine. The lock ends
// with the process that holds it.
func lockMachine(ctx context.Context) (*os.File, error) {
	path := filepath.Join(os.TempDir(), lockName)
	f, err := os.OpenFile(path, os.O_CREATE|os.O_RDWR, 0o666)
	if err != nil {
		return nil, fmt.Errorf("chaos: the machine's lock: %w", err)
	}
	t := time.NewTicker(lockPoll)
	defer t.Stop()
	for {
		err := syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB)
		if err == nil {
			return f, nil
		}
		if !errors.Is(err, syscall.EWOULDBLOCK) && !errors.Is(err, syscall.EINTR) {
			f.Close()
			return nil, fmt.Errorf("chaos: lock %s: %w", path, err)
		}
		select {
		case <-t.C:
		case <-ctx.Done():
			f.Close()
			return nil, fmt.Errorf("chaos: another cluster runs (%s): %w", path, context.Cause(ctx))
		}
	}
}
