package replicas

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/pondmesh/pond/fs/layout"
	"github.com/pondmesh/pond/fs/register"
	"github.com/pondmesh/pond/fs/replica"
	"github.com/pondmesh/pond/mesh"
)

// layoutKey is the register of the layout.
const layoutKey register.Key = "layout"

// answerMax is how long a node counts as there after its last answer.
const answerMax = 3 * roundEvery

// Registers are the pond's.
type Registers interface {
	Get(ctx context.Context, key register.Key) (data []byte, version uint64, err error)
	CAS(ctx context.Context, key register.Key, id register.ChangeID, expect uint64, data []byte) (version uint64, current []byte, err error)
}

// known is what a node knows of the layout and of the others. Its goroutine's alone are
// the times; the rest is read by all.
type known struct {
	layout  layout.Layout
	version uint64 // of the register
	read    bool   // it was read once, if only to find nothing
	mine    layout.Ack
	told    map[replica.Node]time.Time // nodes that told what they hold
	drained map[replica.Node]bool      // nodes that are to be no place of copies, as they said last
	// As the rounds have seen the others.
	answered map[replica.Node]time.Time
	here     map[replica.Node]time.Time // since when without a pause
	acks     map[replica.Node]layout.Ack
	bytes    map[replica.Node]int64 // of their disks; those of some have failed, or others have come
	begun    time.Time
}

// Layout is the layout as this node knows it.
func (r *Replicas) Layout() layout.Layout {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.known.layout
}

func (r *Replicas) ack() layout.Ack {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.known.mine
}

// heardOf notes that a node told what it holds: it is asked in the next round, whether it
// is a place of anything or not.
func (r *Replicas) heardOf(n replica.Node, drained bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if _, ok := r.member(n); ok {
		r.known.told[n], r.known.drained[n] = time.Now(), drained
	}
}

// readLayout reads the register, which had that version then.
func (r *Replicas) readLayout(ctx context.Context) (l layout.Layout, version uint64, err error) {
	data, version, err := r.registers.Get(ctx, layoutKey)
	if err != nil {
		return layout.Layout{}, 0, err
	}
	return r.learn(data, version)
}

// learn is the layout of the register, or a newer one that another has read meanwhile, with
// the version of the register that it is of.
func (r *Replicas) learn(data []byte, version uint64) (l layout.Layout, of uint64, err error) {
	if len(data) > 0 {
		if err := json.Unmarshal(data, &l); err != nil {
			return l, 0, fmt.Errorf("the layout: %w", err)
		}
		l = l.WorkOut(r.Layout()) // not under the lock, for which reads and writes wait
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if !r.known.read || version >= r.known.version {
		r.known.layout, r.known.version, r.known.read = l, version, true
		if v := l.Current(); v != nil {
			r.known.mine.Seen = max(r.known.mine.Seen, v.Number)
		}
	}
	return r.known.layout, r.known.version, nil
}

// change puts another layout into the register, if that is of the version of which it was
// worked out; else the error is register.ErrConflict.
func (r *Replicas) change(ctx context.Context, next layout.Layout, expect uint64) error {
	data, err := json.Marshal(next)
	if err != nil {
		return err
	}
	version, current, err := r.registers.CAS(ctx, layoutKey, register.ChangeID(rand.Text()), expect, data)
	if err != nil && !errors.Is(err, register.ErrConflict) {
		return err
	}
	r.nudge() // there is more to do, here or by whoever was faster
	_, _, e := r.learn(current, version)
	return errors.Join(err, e)
}

// look has the layout be as it should, if it is this node's turn to see to that: the
// first member that answers. The register was of that version when l was read.
func (r *Replicas) look(ctx context.Context, l layout.Layout, version uint64) (failed error) {
	next := l
	if l.Current() != nil {
		next = next.Note(r.allAcks()).Settle()
	}
	if members := next.Plan(r.nodes(), layout.Waits()); members != nil {
		changed, err := next.Change(copiesDefault, members)
		if failed = err; err == nil { // else how far the nodes have come is noted
			r.log.Info("the layout of copies changes", "version", changed.Current().Number, "members", members)
			next = changed
		}
	}
	if same(l, next) {
		return failed
	}
	return errors.Join(failed, r.change(ctx, next, version))
}

func same(a, b layout.Layout) bool {
	if len(a.Versions) != len(b.Versions) || !maps.Equal(a.Acks, b.Acks) {
		return false
	}
	return len(a.Versions) == 0 || a.Current().Number == b.Current().Number
}

func (r *Replicas) allAcks() map[replica.Node]layout.Ack {
	r.mu.Lock()
	defer r.mu.Unlock()
	out := map[replica.Node]layout.Ack{}
	for n, a := range r.known.acks {
		if r.known.layout.Current().Has(n) {
			out[n] = a
		}
	}
	if r.known.layout.Current().Has(r.self()) {
		out[r.self()] = r.known.mine
	}
	return out
}

// first reports whether no member before this one answers.
func (r *Replicas) first(l *layout.Layout) bool {
	for _, m := range l.Current().Members {
		if r.answers(m.Node) {
			return m.Node == r.self()
		}
	}
	return false
}

func (r *Replicas) answers(n replica.Node) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	at, ok := r.known.answered[n]
	return n == r.self() || ok && time.Since(at) < answerMax
}

// age notes who has answered in a round, and how far they have come.
func (r *Replicas) age(heard map[replica.Node]*said) {
	r.mu.Lock()
	defer r.mu.Unlock()
	now := time.Now()
	for n, s := range heard {
		if at, ok := r.known.answered[n]; !ok || now.Sub(at) >= answerMax {
			r.known.here[n] = now
		}
		r.known.answered[n] = now
		r.known.acks[n], r.known.drained[n], r.known.bytes[n] = s.Ack, s.Drained, s.Bytes
	}
}

// nodes are all nodes that may be members, and all that are.
func (r *Replicas) nodes() (out []layout.Candidate) {
	mine := r.store.Size()
	r.mu.Lock()
	defer r.mu.Unlock()
	r.known.bytes[r.self()] = mine
	now, view := time.Now(), r.cfg.View()
	by := map[replica.Node]layout.Candidate{}
	if v := r.known.layout.Current(); v != nil {
		for _, m := range v.Members {
			by[m.Node] = layout.Candidate{Member: m, Gone: max(1, now.Sub(r.known.begun))}
		}
	}
	for _, m := range view.Members {
		n := replica.Node(m.ID)
		c := layout.Candidate{Member: layout.Member{Node: n, Zone: m.Zone, Weight: layout.WeightOf(r.known.bytes[n])}, Leaves: m.State != mesh.Alive || r.known.drained[n]}
		at, ok := r.known.answered[n]
		switch {
		case n == r.self():
			c.Here = now.Sub(r.known.begun)
		case ok && now.Sub(at) < answerMax:
			c.Here = now.Sub(r.known.here[n])
		case ok:
			c.Gone = now.Sub(at)
		default:
			c.Gone = max(1, now.Sub(r.known.begun))
		}
		by[n] = c
	}
	for n, c := range by { // dead, and out of the view
		if at, ok := r.known.answered[n]; ok && c.Gone > 0 {
			c.Gone = max(1, now.Sub(at))
			by[n] = c
		}
	}
	for _, n := range slices.Sorted(maps.Keys(by)) {
		out = append(out, by[n])
	}
	return out
}
