package mesh

import (
	"math"
	"time"
)

// watchdog notices that the process did not run for a while: it was stopped,
// its machine was suspended, or it was starved. It has no clock of its own.
type watchdog struct {
	last time.Time // when it was told, or made
}

// step is called often, with the time. It returns the time since the last call,
// and whether that is more than limit.
//
// The longer of the monotonic and the wall clock's gap counts: the first does
// not tick while some machines are suspended, the second may be set. Setting
// the wall clock forward therefore looks like a pause, which costs work but
// nothing else; a missed pause could let two nodes do the same work.
func (w *watchdog) step(now time.Time, limit time.Duration) (gap time.Duration, paused bool) {
	gap = max(now.Sub(w.last), now.Round(0).Sub(w.last.Round(0)))
	w.last = now
	return gap, gap > limit
}

// buriedAfter is the soonest that n nodes with this tuning can declare dead a
// node that stopped answering: a probe round, then the least suspicion.
func (t Tuning) buriedAfter(n int) time.Duration {
	scale := math.Max(1, math.Log10(math.Max(1, float64(n))))
	return t.ProbeInterval + time.Duration(float64(t.SuspicionMult)*scale*float64(t.ProbeInterval))
}
