package jobs

import "time"

// lease counts how long nobody has renewed a job's lease. It adds up the time
// between looks, each at most lookMax: while this process did not run, no client
// could have been heard.
type lease struct {
	max    time.Duration // 0: the job needs none
	silent time.Duration
	looked time.Time // zero: never
	seen   int64     // renewals at that time
}

// lookMax is the longest time between two looks that counts: some ticks of a driver.
const lookMax = time.Second

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

// Deserted reports whether the client of a job that has a lease has not renewed it for
// too long. Whoever drives the job looks several times a second.
func (r *Job) Deserted() bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.lease.ended(time.Now(), r.Renewals())
}
