package replicas

import (
	"sync/atomic"
	"time"
)

// Figures are how a node's copies stand, and what it has done about them since it began.
type Figures struct {
	Held, HeldBytes           int64 // copies; not what is cached
	Short                     int64 // groups of which an owner lacks something, as of the last round: see repair.Short
	Repaired, RepairedBytes   int64 // copies made here of what other nodes have
	Dropped                   int64 // copies that were too many
	Collected, CollectedBytes int64 // copies of what nothing refers to, deleted
	Quarantined               int64 // copies that were found damaged, and put aside
	ScrubbedBytes             int64 // read to see whether they are as they were written
}

// done counts what a node does.
type done struct {
	short                                  atomic.Int64
	repaired, repairedBytes, dropped       atomic.Int64
	collected, collectedBytes, quarantined atomic.Int64
	scrubbedBytes                          atomic.Int64
	rounds                                 atomic.Int64
}

// heldFor is how long a count of what is held is good enough: it looks at each upload.
const heldFor = 15 * time.Second

// holding is what was counted last.
type holding struct {
	at          time.Time
	held, bytes int64
}

// Figures counts. An error of the store leaves what is held as it was counted last.
func (r *Replicas) Figures() Figures {
	h := r.holds()
	return Figures{
		Held: h.held, HeldBytes: h.bytes, Short: r.done.short.Load(),
		Repaired: r.done.repaired.Load(), RepairedBytes: r.done.repairedBytes.Load(), Dropped: r.done.dropped.Load(),
		Collected: r.done.collected.Load(), CollectedBytes: r.done.collectedBytes.Load(),
		Quarantined: r.done.quarantined.Load(), ScrubbedBytes: r.done.scrubbedBytes.Load(),
	}
}

func (r *Replicas) holds() holding {
	r.counting.Lock()
	defer r.counting.Unlock()
	if now := time.Now(); now.Sub(r.holding.at) >= heldFor {
		next := holding{at: now}
		for info, err := range r.store.List(kindCopy) {
			if err != nil {
				return r.holding
			}
			next.held, next.bytes = next.held+1, next.bytes+info.Size
		}
		r.holding = next
	}
	return r.holding
}
