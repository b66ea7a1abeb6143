package sim

import (
	"container/heap"
	"errors"
	"fmt"
	"iter"
	"math/rand/v2"
	"slices"

	"github.com/pondmesh/pond/mesh"
)

// Bounds of a run, in simulated milliseconds.
const (
	stormMax    = 60_000 // faults begin until then, at most
	recoverMax  = 60_000 // all jobs must have ended so long after the last fault
	eventsMax   = 2_000_000
	traceMax    = 200_000 // lines
	deliveryMax = 20      // of a message that is not late
)

// world is a simulated pond with its clients. It is used by one goroutine.
type world struct {
	rng     *rand.Rand
	bug     Bug
	now     int64
	seq     int64
	queue   queue
	nodes   []*node
	jobs    []*job
	clients []*client
	procs   []*proc // of clients
	current *proc
	net     network
	calmAt  int64  // the last fault has ended
	kinds   []Kind // of faults that this seed has
	fired   map[Kind]int
	strikes []Strike
	waiting int // strikes after which no job has gone on yet: the last so many
	stats   Stats
	checks  checks
	trace   []string
	tracing bool
	broken  error
}

// event is something that happens at a time.
type event struct {
	at, seq int64
	do      func()
}

type queue []event

func (q queue) Len() int { return len(q) }
func (q queue) Less(i, j int) bool {
	return q[i].at < q[j].at || q[i].at == q[j].at && q[i].seq < q[j].seq
}
func (q queue) Swap(i, j int) { q[i], q[j] = q[j], q[i] }
func (q *queue) Push(x any)   { *q = append(*q, x.(event)) }
func (q *queue) Pop() any {
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

// after has a life do something after a while: not once it is over, and late if its
// process is paused. A nil life is a client's.
func (w *world) after(l *life, delay int64, do func()) {
	if l == nil {
		w.at(delay, do)
		return
	}
	w.at(delay, func() {
		switch {
		case l.dead:
		case l.paused > w.now:
			w.after(l, l.paused-w.now, do)
		default:
			do()
		}
	})
}

// chance is true so many times of a thousand.
func (w *world) chance(perMille int) bool { return w.rng.IntN(1000) < perMille }

func (w *world) logf(format string, args ...any) {
	if w.tracing && len(w.trace) < traceMax {
		w.trace = append(w.trace, fmt.Sprintf("%8.3f ", float64(w.now)/1000)+fmt.Sprintf(format, args...))
	}
}

// breaks notes the first thing that must not be.
func (w *world) breaks(err error) {
	if w.broken == nil {
		w.broken = err
		w.logf("BROKEN: %v", err)
	}
}

// progress notes that a job has gone on.
func (w *world) progress() {
	for i := len(w.strikes) - w.waiting; i < len(w.strikes); i++ {
		w.strikes[i].Recovery = w.now - w.strikes[i].At
	}
	w.waiting = 0
}

func (w *world) node(id mesh.NodeID) *node {
	i := slices.IndexFunc(w.nodes, func(n *node) bool { return n.id == id })
	if i < 0 {
		return nil
	}
	return w.nodes[i]
}

// run lets events happen until all jobs have ended, and says what was broken.
func (w *world) run() error {
	defer w.stop()
	for n := 0; w.broken == nil && !w.over(); n++ {
		if w.queue.Len() == 0 || n == eventsMax {
			w.breaks(fmt.Errorf("nothing happens any more: %w", ErrHung))
			break
		}
		e := heap.Pop(&w.queue).(event)
		w.now = e.at
		if w.now > w.calmAt+recoverMax {
			w.breaks(fmt.Errorf("%s has not ended %d s after the last fault: %w", w.unfinished(), recoverMax/1000, ErrHung))
			break
		}
		e.do()
	}
	w.checkEnd()
	return w.broken
}

// over reports whether all clients have what they wanted, and all faults are over.
func (w *world) over() bool {
	return w.now >= w.calmAt && !slices.ContainsFunc(w.clients, func(c *client) bool { return !c.done })
}

func (w *world) unfinished() string {
	for _, c := range w.clients {
		if !c.done {
			return string(c.job.spec.ID)
		}
	}
	return "a job"
}

// stop ends all procs.
func (w *world) stop() {
	for _, n := range w.nodes {
		if n.life != nil {
			n.life.end()
		}
	}
	for _, p := range w.procs {
		p.kill()
	}
}

// errOver is what a proc is told whose life is over.
var errOver = errors.New("sim: the process has ended")

// errLate is what a proc is told that has waited long enough.
var errLate = errors.New("sim: no answer in time")

// proc is glue that waits. It runs until it waits, and goes on when the world resumes it.
type proc struct {
	w      *world
	l      *life // nil: a client's
	resume func() (struct{}, bool)
	stop   func()
	yield  func(struct{}) bool
	turn   int // counts waits: who wakes it for an earlier one is too late
	ended  bool
}

// spawn starts a proc of a life; nil: a client's.
func (w *world) spawn(l *life, f func(*proc)) {
	if l != nil && l.dead {
		return
	}
	p := &proc{w: w, l: l}
	p.resume, p.stop = iter.Pull(func(yield func(struct{}) bool) {
		p.yield = yield
		f(p)
	})
	if l == nil {
		w.procs = append(w.procs, p)
	} else {
		l.procs = append(slices.DeleteFunc(l.procs, func(p *proc) bool { return p.ended }), p)
	}
	w.after(l, 0, p.run)
}

func (p *proc) run() {
	if p.ended {
		return
	}
	p.w.current = p
	_, more := p.resume()
	p.w.current = nil
	p.ended = !more
}

func (p *proc) kill() {
	if !p.ended {
		p.ended = true
		p.stop()
	}
}

// park waits to be woken.
func (p *proc) park() error {
	if p.turn++; p.ended || !p.yield(struct{}{}) {
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

// sleep waits for a while.
func (p *proc) sleep(d int64) error {
	p.w.after(p.l, d, p.waker())
	return p.park()
}
