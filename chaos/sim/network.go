package sim

import (
	"cmp"

	"github.com/pondmesh/pond/mesh"
)

// network is what messages meet. Rates are of a thousand.
type network struct {
	loss, twice, late int
	cut               map[link]bool
}

// link is one direction between two nodes.
type link struct{ from, to mesh.NodeID }

// carry brings a message to whichever process runs at a node when it arrives: soon, late,
// twice, or never.
func (w *world) carry(from *life, to mesh.NodeID, deliver func(*life)) {
	if from != nil && from.dead {
		return
	}
	l := link{to: to}
	if from != nil {
		l.from = from.n.id
	}
	copies := 1
	if w.now < w.calmAt && l.from != l.to {
		switch {
		case w.chance(w.net.loss):
			w.fired[Loss]++
			copies = 0
		case w.chance(w.net.twice):
			w.fired[Duplicate]++
			copies = 2
		}
	}
	for range copies {
		d := 1 + w.rng.Int64N(deliveryMax)
		if w.now < w.calmAt && w.chance(w.net.late) {
			w.fired[Late]++
			d += w.rng.Int64N(4000)
		}
		w.at(d, func() { w.arrive(l, deliver) })
	}
}

func (w *world) arrive(l link, deliver func(*life)) {
	n := w.node(l.to)
	if w.net.cut[l] || n == nil || n.life == nil {
		return
	}
	dst := n.life
	w.after(dst, 0, func() { deliver(dst) })
}

// back brings an answer to the process that asked.
func (w *world) back(from, to *life, deliver func()) {
	switch {
	case from.dead:
		return
	case to == nil:
		w.at(1+w.rng.Int64N(deliveryMax), deliver)
		return
	}
	w.carry(from, to.n.id, func(l *life) {
		if l == to {
			deliver()
		}
	})
}

// call asks a node and waits for its answer, for so long. serve runs there, and gives the
// answer to reply, at once or later.
func call[T any](p *proc, to mesh.NodeID, limit int64, serve func(l *life, reply func(T, error))) (T, error) {
	w := p.w
	var answer T
	if p.ended {
		return answer, errOver
	}
	var err error = errLate
	wake, answered := p.waker(), false
	w.carry(p.l, to, func(l *life) {
		serve(l, func(v T, e error) {
			w.back(l, p.l, func() {
				if !answered {
					answered, answer, err = true, v, e
					wake()
				}
			})
		})
	})
	w.after(p.l, limit, wake)
	e := p.park()
	answered = true
	return answer, cmp.Or(e, err)
}

// tell is a call whose answer says nothing.
func tell(p *proc, to mesh.NodeID, limit int64, serve func(l *life) error) error {
	_, err := call(p, to, limit, func(l *life, reply func(struct{}, error)) { reply(struct{}{}, serve(l)) })
	return err
}

// all runs several procs at once and waits for them.
func all(p *proc, n int, f func(p *proc, i int)) error {
	switch {
	case p.ended:
		return errOver
	case n == 0:
		return nil
	}
	wake, left := p.waker(), n
	for i := range n {
		p.w.spawn(p.l, func(q *proc) {
			f(q, i)
			if left--; left == 0 {
				wake()
			}
		})
	}
	return p.park()
}
