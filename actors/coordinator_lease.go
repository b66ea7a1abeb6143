package actors

import (
	"fmt"
	"time"

	"github.com/asynkron/protoactor-go/actor"

	"github.com/pondmesh/pond/actors/jobs"
)

// lease counts how long nobody has renewed a job's lease. It adds up the time
// between looks, each at most lookMax: while this process did not run, no client
// could have been heard.
type lease struct {
	max    time.Duration // 0: the job needs none
	silent time.Duration
	looked time.Time // zero: never
	seen   int64     // renewals at that time
}

// lookMax is the longest time between two looks that counts: some ticks.
const lookMax = 4 * tickInterval

// ended reports at a look whether the lease has run out. renewals is how often it
// was renewed so far.
func (l *lease) ended(now time.Time, renewals int64) bool {
	if l.max <= 0 {
		return false
	}
	if renewals != l.seen || l.looked.IsZero() {
		l.seen, l.silent = renewals, 0
	} else {
		l.silent += min(now.Sub(l.looked), lookMax)
	}
	l.looked = now
	return l.silent > l.max
}

// holdLease ends a job that nobody waits for any more.
func (c *coordinator) holdLease(ctx actor.Context) {
	if c.lease.ended(time.Now(), c.hosted.Renewals()) {
		c.log.Info("nobody waits for the job any more", "silent", c.lease.silent)
		c.onCancel(ctx, &jobs.Cancel{Reason: fmt.Sprintf("its client is gone: it has not said for %v that it waits for the job", c.lease.max)})
	}
}
