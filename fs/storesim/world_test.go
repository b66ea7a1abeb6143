package storesim

import (
	"container/heap"
	"errors"
	"fmt"
	"iter"
	"math/rand/v2"
	"slices"
	"time"

	"github.com/pondmesh/pond/fs/layout"
	"github.com/pondmesh/pond/fs/repair"
	"github.com/pondmesh/pond/fs/replica"
)

// Bounds of a run, in simulated milliseconds.
const (
	deliveryMax = 20 // of a message that is not late
	stormMin    = 40_000
	stormMax    = 150_000   // faults begin until then, at most
	settleMax   = 1_000_000 // all must have come right so long after the last fault
	eventsMax   = 3_000_000
)

// epoch is simulated time 0.
var epoch = time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)

// bug is a planted one, which a run must find.
type bug string

const (
	noBug         bug = ""
	ackEarly      bug = "a copy is acknowledged before it is synced"
	leaseBlind    bug = "uploads are collected although their lease is there"
	trustSource   bug = "repair copies bytes without looking at their checksums"
	dropUnseen    bug = "a surplus copy is dropped without evidence of the others"
	resurrect     bug = "repair copies what it knows to be deleted"
	staleBelieved bug = "a node that was away for long is believed"
	placesOnly    bug = "owners do not hear of copies that are at no place of theirs"
)

// world is one simulated run. It is used by one goroutine.
type world struct {
	rng     *rand.Rand
	bug     bug
	now     int64
	seq     int64
	queue   events
	nodes   []*node
	groups  []layout.Group // those of all uploads
	cut     map[link]bool
	loss    int // of a thousand messages
	twice   int
	late    int
	calm    bool // no more faults
	calmAt  int64
	kinds   []string // of faults that this seed has
	fired   map[string]int
	layouts register[layout.Layout]
	sets    map[string]*dataset
	truth   truth
	ids     uint64
	onRead  func(l *life, id repair.ID) // of a script: a node is asked for bytes
	fixed   bool                        // by a script: nobody changes the layout
	trace   func(format string, args ...any)
	broken  error
}

// link is one direction between two nodes.
type link struct{ from, to replica.Node }

type event struct {
	at, seq int64
	do      func()
}

type events []event

func (q events) Len() int { return len(q) }
func (q events) Less(i, j int) bool {
	return q[i].at < q[j].at || q[i].at == q[j].at && q[i].seq < q[j].seq
}
func (q events) Swap(i, j int) { q[i], q[j] = q[j], q[i] }
func (q *events) Push(x any)   { *q = append(*q, x.(event)) }
func (q *events) Pop() any {
	old := *q
	e := old[len(old)-1]
	*q = old[:len(old)-1]
	return e
}

// at has something happen after a while, whoever lives.
func (w *world) at(delay int64, do func()) {
	w.seq++
	heap.Push(&w.queue, event{w.now + delay, w.seq, do})
}

// after has a life do something after a while: not once it is over.
func (w *world) after(l *life, delay int64, do func()) {
	w.at(delay, func() {
		if !l.dead {
			do()
		}
	})
}

// chance is true so many times of a thousand.
func (w *world) chance(perMille int) bool { return w.rng.IntN(1000) < perMille }

// breaks notes the first thing that must not be.
func (w *world) breaks(format string, args ...any) {
	if w.broken == nil {
		w.broken = fmt.Errorf("at %d ms: "+format, append([]any{w.now}, args...)...)
		w.logf("BROKEN: %v", w.broken)
	}
}

func (w *world) logf(format string, args ...any) {
	if w.trace != nil {
		w.trace("%9.3f "+format, append([]any{float64(w.now) / 1000}, args...)...)
	}
}

// until lets events happen until done, or for so long; done is asked now and then.
func (w *world) until(limit int64, done func() bool) bool {
	end := w.now + limit
	for next := w.now; w.broken == nil && w.queue.Len() > 0; {
		if e := w.queue[0]; e.at > end {
			break
		}
		e := heap.Pop(&w.queue).(event)
		w.now = e.at
		e.do()
		if w.seq > eventsMax {
			w.breaks("too much happens")
		}
		if w.now >= next {
			if next = w.now + 1000; done() {
				return true
			}
		}
	}
	w.now = max(w.now, end)
	return done()
}

// stop ends all procs.
func (w *world) stop() {
	for _, n := range w.nodes {
		if n.life != nil {
			n.life.end()
		}
	}
}

var (
	// errOver is what a proc is told whose life is over.
	errOver = errors.New("the process has ended")
	// errLate is what a proc is told that has waited long enough.
	errLate = errors.New("no answer in time")
)

// proc is glue that waits. It runs until it waits, and goes on when the world resumes it.
type proc struct {
	w      *world
	l      *life
	resume func() (struct{}, bool)
	stop   func()
	yield  func(struct{}) bool
	turn   int // counts waits: who wakes it for an earlier one is too late
	ended  bool
}

func (w *world) spawn(l *life, f func(*proc)) {
	if l.dead {
		return
	}
	p := &proc{w: w, l: l}
	p.resume, p.stop = iter.Pull(func(yield func(struct{}) bool) {
		p.yield = yield
		f(p)
	})
	l.procs = append(slices.DeleteFunc(l.procs, func(p *proc) bool { return p.ended }), p)
	w.after(l, 0, p.run)
}

func (p *proc) run() {
	if p.ended {
		return
	}
	_, more := p.resume()
	p.ended = !more
}

// park waits to be woken.
func (p *proc) park() error {
	if p.turn++; p.ended || p.l.dead || !p.yield(struct{}{}) {
		return errOver
	}
	return nil
}

// waker resumes the next wait of a proc, and no later one.
func (p *proc) waker() func() {
	turn := p.turn + 1
	return func() {
		if p.turn == turn && !p.ended {
			p.turn++ // woken: nobody else does
			p.w.after(p.l, 0, p.run)
		}
	}
}

func (p *proc) sleep(d int64) error {
	p.w.after(p.l, d, p.waker())
	return p.park()
}

// all runs several procs at once and waits for them.
func all(p *proc, n int, f func(p *proc, i int)) error {
	if n == 0 {
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

// carry brings a message to whichever process runs at a node when it arrives: soon, late,
// twice, or never.
func (w *world) carry(from *life, to replica.Node, deliver func(*life)) {
	if from.dead {
		return
	}
	copies, l := 1, link{from.n.name, to}
	if !w.calm && l.from != l.to {
		switch {
		case w.chance(w.loss):
			w.fired["loss"]++
			copies = 0
		case w.chance(w.twice):
			w.fired["twice"]++
			copies = 2
		}
	}
	for range copies {
		d := 1 + w.rng.Int64N(deliveryMax)
		if !w.calm && w.chance(w.late) {
			w.fired["late"]++
			d += w.rng.Int64N(4000)
		}
		w.at(d, func() {
			switch n := w.node(to); {
			case w.cut[l]:
				w.fired["cut off"]++
			case n != nil && n.life != nil:
				deliver(n.life)
			}
		})
	}
}

// call asks a node and waits for its answer, for so long. serve runs there, and gives the
// answer to reply, at once or later.
func call[T any](p *proc, to replica.Node, limit int64, serve func(l *life, reply func(T))) (answer T, err error) {
	err = errLate
	wake, answered := p.waker(), false
	p.w.carry(p.l, to, func(l *life) {
		serve(l, func(v T) {
			p.w.carry(l, p.l.n.name, func(back *life) {
				if back == p.l && !answered {
					answered, answer, err = true, v, nil
					wake()
				}
			})
		})
	})
	p.w.after(p.l, limit, wake)
	if e := p.park(); e != nil {
		err = e
	}
	answered = true
	return answer, err
}

func (w *world) node(name replica.Node) *node {
	i := slices.IndexFunc(w.nodes, func(n *node) bool { return n.name == name })
	if i < 0 {
		return nil
	}
	return w.nodes[i]
}

// register is an abstract one: what package register promises, and no more.
type register[T any] struct {
	version uint64
	value   T
	applied func(T) // hears each value, when it becomes the register's
}

var (
	errConflict = errors.New("changed by another")
	errUnknown  = errors.New("the outcome is not known")
	errMinority = errors.New("no majority of the keepers")
)

// quorum reports whether a node reaches most of the keepers: the first three nodes.
func (w *world) quorum(n *node) bool {
	reached := 0
	for _, k := range w.nodes[:3] {
		if k.life != nil && !w.cut[link{n.name, k.name}] && !w.cut[link{k.name, n.name}] {
			reached++
		}
	}
	return reached >= 2
}

// get reads a register: what it is at some moment of the call.
func get[T any](p *proc, r *register[T]) (v T, version uint64, err error) {
	if err := p.sleep(2 + p.w.rng.Int64N(30)); err != nil {
		return v, 0, err
	}
	if !p.w.quorum(p.l.n) {
		p.w.fired["minority"]++
		return v, 0, errors.Join(p.sleep(1000), errMinority)
	}
	v, version = r.value, r.version
	return v, version, p.sleep(2 + p.w.rng.Int64N(30))
}

// cas changes a register. An unknown outcome happened, happens later, or never does.
func cas[T any](p *proc, r *register[T], expect uint64, v T) error {
	w := p.w
	if err := p.sleep(2 + w.rng.Int64N(30)); err != nil {
		return err
	}
	if !w.quorum(p.l.n) {
		w.fired["minority"]++
		return errors.Join(p.sleep(1000), errMinority)
	}
	apply := func() bool {
		if r.version != expect {
			return false
		}
		r.version, r.value = expect+1, v
		if r.applied != nil {
			r.applied(v)
		}
		return true
	}
	if !w.calm && w.chance(40) {
		switch w.rng.IntN(3) {
		case 0:
			w.fired["unheard"]++
			apply()
		case 1:
			w.fired["delayed"]++
			w.at(w.rng.Int64N(5000), func() { apply() })
		}
		return errors.Join(p.sleep(1000), errUnknown)
	}
	done := apply()
	if err := p.sleep(2 + w.rng.Int64N(30)); err != nil {
		return err
	}
	if !done {
		return errConflict
	}
	return nil
}
