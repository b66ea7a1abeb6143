package replicas

import (
	"sync"
	"time"

	"github.com/pondmesh/pond/fs/disks"
	"github.com/pondmesh/pond/fs/layout"
	"github.com/pondmesh/pond/fs/replica"
)

// Status is how one node's copies stand.
type Status struct {
	Figures
	Disks   []disks.State
	Aside   int            // damaged copies that are kept for people
	Rounds  int64          // of comparing with others, since the node began
	Version uint64         // of the layout as the node knows it; 0: there is none
	Members int            // of that version
	Copies  int            // of each upload, by that version
	Older   int            // versions that are not carried out yet
	Ack     layout.Ack     // how far this node has come
	Braked  bool           // so many do not answer that nothing is moved
	Gone    []replica.Node // members that do not answer this node
	Stale   bool           // away for so long that what it holds is checked first
	Drained bool           // it is to be no place of copies
	Pass    Pass
}

// Pass is a reading of all copies that somebody asked for.
type Pass struct {
	Begun, Ended time.Time // zero: never; not yet
	Bytes, Of    int64     // read, of so many
	Damaged      int64     // copies that were put aside meanwhile
	Err          string    // why it ended early
}

// Status tells how this node stands.
func (r *Replicas) Status() (Status, error) {
	aside, err := r.store.Quarantined()
	if err != nil {
		return Status{}, err
	}
	l := r.Layout()
	s := Status{Figures: r.Figures(), Disks: r.store.States(), Aside: len(aside), Rounds: r.done.rounds.Load(), Ack: r.ack(), Drained: r.Drained(), Pass: r.asked.get()}
	if v := l.Current(); v != nil {
		s.Version, s.Members, s.Copies, s.Older = v.Number, len(v.Members), v.Copies, len(l.Versions)-1
		s.Braked, s.Gone = l.Braked(r.answers), r.gone(v)
	}
	s.Stale, err = r.doubt()
	return s, err
}

// Repair has a round begin soon, in which what is lacking is copied.
func (r *Replicas) Repair() { r.nudge() }

// pass is the last reading that was asked for.
type pass struct {
	mu sync.Mutex
	p  Pass
}

func (p *pass) get() Pass {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.p
}

// ScrubNow reads all copies, beside the scrub and without its patience, and tells of it in
// Status. One that is under way goes on.
func (r *Replicas) ScrubNow() {
	r.asked.mu.Lock()
	defer r.asked.mu.Unlock()
	if p := &r.asked.p; !p.Begun.IsZero() && p.Ended.IsZero() {
		return
	}
	before := r.done.quarantined.Load()
	r.asked.p = Pass{Begun: time.Now(), Of: r.copiesBytes()}
	begun := r.spawn(func() {
		err := r.readAll(r.ctx, 0, func(bytes int64) {
			r.asked.mu.Lock()
			defer r.asked.mu.Unlock()
			r.asked.p.Bytes += bytes
			r.asked.p.Damaged = r.done.quarantined.Load() - before
		})
		r.asked.mu.Lock()
		defer r.asked.mu.Unlock()
		r.asked.p.Ended, r.asked.p.Damaged = time.Now(), r.done.quarantined.Load()-before
		if err != nil {
			r.asked.p.Err = err.Error()
		}
	})
	if !begun {
		r.asked.p.Ended, r.asked.p.Err = time.Now(), "the node stops"
	}
}

func (r *Replicas) copiesBytes() (n int64) {
	for info, err := range r.Copies() {
		if err == nil {
			n += info.Size
		}
	}
	return n
}
