package mesh

import (
	"errors"
	"time"
)

// Bounds of calling seeds while none answers.
const (
	callPause    = 250 * time.Millisecond // after the first round, doubled up to
	callPauseMax = 5 * time.Second
	tellPause    = time.Second // until it is told first, doubled up to
	tellPauseMax = time.Minute
	// refusalsMax is how often in a row seeds answer that this node is none of
	// theirs before that is believed: one that starts or stops hangs up too.
	refusalsMax = 3
)

// calling decides how long seeds are called of which none has answered. The zero
// value has called nobody.
type calling struct {
	rounds   int
	refusals int // rounds in a row that ended in one
	told     time.Duration
	toldNext time.Duration
}

// failed takes the end of a round, so long after the first began, and says how long
// to wait for the next one, if there is to be one. limit is Config.JoinFor.
func (c *calling) failed(err error, since, limit time.Duration) (pause time.Duration, again bool) {
	c.rounds++
	c.refusals++
	if !errors.Is(err, ErrWrongKey) && !errors.Is(err, ErrWrongLabel) {
		c.refusals = 0
	}
	switch {
	case limit == 0, limit > 0 && since >= limit, c.refusals == refusalsMax, errors.Is(err, ErrConfig):
		return 0, false
	}
	pause = callPauseMax
	if shift := c.rounds - 1; shift < 5 {
		pause = min(callPause<<shift, callPauseMax)
	}
	if limit > 0 {
		pause = min(pause, limit-since)
	}
	return pause, true
}

// tell reports whether somebody should be told now that nobody answers.
func (c *calling) tell(since time.Duration) bool {
	if c.toldNext == 0 {
		c.toldNext = tellPause
	}
	if since-c.told < c.toldNext {
		return false
	}
	c.told, c.toldNext = since, min(2*c.toldNext, tellPauseMax)
	return true
}
