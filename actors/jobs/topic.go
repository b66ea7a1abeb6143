package jobs

import (
	"sync"

	"github.com/pondmesh/pond/actors/api"
)

// topic holds the latest status of a job and wakes whoever waits for the next.
// Watchers that are slow skip versions: nothing is queued.
type topic struct {
	mu      sync.Mutex
	status  *api.JobStatus
	changed chan struct{} // closed when status is replaced, and left so once the topic is over
	over    bool          // this node does not coordinate the job any more, and it has not ended
}

func newTopic(s *api.JobStatus) *topic {
	return &topic{status: s, changed: make(chan struct{})}
}

// set publishes s, which must not be changed afterwards. An ended status is
// final.
func (t *topic) set(s *api.JobStatus) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.over || t.status.State.Ended() {
		return
	}
	t.status = s
	close(t.changed)
	t.changed = make(chan struct{})
}

// close wakes those who wait, for the last time.
func (t *topic) close() {
	t.mu.Lock()
	defer t.mu.Unlock()
	if !t.over {
		t.over = true
		close(t.changed)
	}
}

// closed reports whether nothing will be heard any more.
func (t *topic) closed() bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.over
}

// get returns the latest status and a channel that closes when it is replaced.
func (t *topic) get() (*api.JobStatus, <-chan struct{}) {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.status, t.changed
}
