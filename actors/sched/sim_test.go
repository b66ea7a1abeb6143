package sched

import (
	"flag"
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/pondmesh/pond/actors/plan"
)

var (
	simSeed = flag.Uint64("seed", 0, "simulate only this seed, and print what happens")
	simRuns = flag.Int("runs", 2000, "how many seeds to simulate")
)

// misfortune injects one fault of a random kind, now and then.
func (w *world) misfortune() {
	n := w.nodes[w.rng.IntN(len(w.nodes))]
	switch w.rng.IntN(11) {
	case 0, 1:
		if n.up && w.fire("die") {
			w.die(n, w.rng.IntN(2) == 0 && w.fire("wipe"))
		}
	case 2:
		if n.up && !n.leaving && w.fire("leave") {
			n.leaving = true
			w.hear(50, NodeLeaving{n.id})
			w.at(w.rng.Int64N(20_000), func() {
				if n.leaving && n.up {
					w.die(n, true)
				}
			})
		}
	case 3:
		if n.up && w.fire("suspect") {
			w.hear(50, NodeLost{n.id, n.boot})
			w.hear(w.rng.Int64N(5000), NodeUp{Node: n.id, Boot: n.boot, Slots: n.slots, Memory: n.memory})
		}
	case 4:
		if names := slices.Sorted(maps.Keys(n.disk)); len(names) > 0 {
			name := names[w.rng.IntN(len(names))]
			switch {
			case w.rng.IntN(2) == 0 && w.fire("vanish"): // the node lives, and may have noticed or not
				delete(n.disk, name)
			case w.fire("corrupt"):
				n.disk[name].corrupt = true
			}
		}
	case 5:
		if w.fire("failover") {
			w.failover()
		}
	case 6:
		w.cancel()
	case 9, 10:
		w.extend()
	case 8:
		switch {
		case w.fire("join"):
			late := &simNode{id: NodeID('a' + rune(len(w.nodes))), slots: 2, memory: 2000, disk: map[string]*simSegment{}}
			w.nodes = append(w.nodes, late)
			w.boot(late)
		case w.fire("everyone"):
			for _, n := range w.nodes {
				if n.up {
					w.die(n, false)
				}
			}
		}
	}
	w.at(w.rng.Int64N(2000), w.misfortune)
}

// die kills a node; it comes back, with its disk or without.
func (w *world) die(n *simNode, wiped bool) {
	w.log("%s dies, disk wiped: %v", n.id, wiped)
	n.up = false
	n.running = map[plan.AttemptID]uint64{}
	w.hear(w.rng.Int64N(3000), NodeLost{n.id, n.boot})
	if wiped {
		n.disk = map[string]*simSegment{}
	}
	w.at(100+w.rng.Int64N(30_000), func() { w.boot(n) })
}

// failover replaces the coordinator.
func (w *world) failover() {
	if w.published != nil {
		return
	}
	w.term++
	w.log("failover to term %d", w.term)
	w.job = w.first
	w.newDecider()
}

func (w *world) cancel() {
	if w.fire("cancel") {
		w.cancelled = true
		w.step(Cancel{"asked for"})
	}
}

// checkStep verifies what must hold after every step.
func (w *world) checkStep(e Event, actions []Action) {
	granted := 0
	for _, a := range actions {
		switch a := a.(type) {
		case Run:
			granted++
			w.checkRun(e, a)
		case Release:
			if t := w.d.task(a.Attempt.Task); t != nil && t.state == done && t.out.Segment == a.Segment && !t.stage.durable {
				w.breaks("released the winner %s", a.Attempt)
			}
		case Copy:
			w.checkCopy(a)
		case Publish:
			if want := w.d.TaskCount(len(w.d.stages) - 1); len(a.Winners) != want {
				w.breaks("%d outputs of %d are to be published", len(a.Winners), want)
			}
		}
	}
	if p, ok := e.(Pull); ok && granted > p.Slots {
		w.breaks("%s asked for %d tasks and got %d", p.Node, p.Slots, granted)
	}
	if _, ok := e.(Tick); ok {
		for _, n := range w.d.order {
			if why := w.auditCopies(n); why != "" && w.d.finish == nil {
				w.breaks("%s\n%s", why, w.d)
			}
		}
	}
	if why := w.audit(); why != "" && w.d.finish == nil {
		w.breaks("after %s: %s\n%s", show(e), why, w.d)
	}
}

func (w *world) checkRun(e Event, a Run) {
	n := w.d.nodes[a.Node]
	p, ok := e.(Pull)
	s := w.d.stages[a.Stage]
	switch {
	case !ok || p.Node != a.Node || p.Boot != a.Boot:
		w.breaks("%s was not asked for", a.Attempt)
	case n == nil || n.boot != a.Boot:
		w.breaks("%s runs on a node that is not there", a.Attempt)
	case w.known(NodeLeaving{a.Node}):
		w.breaks("%s runs on a leaving node", a.Attempt)
	case a.Threads < 1 || a.Threads > n.slots && (a.Threads != plan.AllCores || len(w.job.Stages) > 1 || len(s.tasks) > 1):
		w.breaks("%s has %d threads on a node of %d slots", a.Attempt, a.Threads, n.slots)
	case !s.ripe():
		w.breaks("%s runs before its inputs are complete", a.Attempt)
	case w.used[a.Attempt]:
		w.breaks("%s runs twice", a.Attempt)
	case a.Attempt.Attempt-int(w.term-1)*AttemptsPerTerm > 60:
		w.breaks("%s is one attempt too many", a.Attempt)
	case a.Memory <= 0 || a.Memory > n.memory:
		w.breaks("%s has %d bytes", a.Attempt, a.Memory)
	}
	w.used[a.Attempt] = true
}

func (w *world) checkCopy(c Copy) {
	t, n := w.d.task(c.Attempt.Task), w.d.nodes[c.Node]
	if n == nil || t.state != done || t.out.Segment != c.Segment || !slices.Contains(t.holders, n) || len(t.holders) >= c.Want {
		w.breaks("%s is asked to copy %s, which has %d holders", c.Node, c.Segment, len(t.holders))
		return
	}
	w.asked[n.boot] = w.now
	switch w.mode {
	case plan.NoCopies:
		w.breaks("%s is asked to copy %s of a job that wants none", c.Node, c.Segment)
	case plan.AutoCopies:
		w.fired["copied by itself"]++
		if w.now < 5_000 {
			w.breaks("%s is asked to copy %s of a job that has just begun", c.Node, c.Segment)
		}
	}
}

// known reports whether the coordinator was told that a node is leaving.
func (w *world) known(e NodeLeaving) bool {
	n := w.node(e.Node)
	return n.leaving && w.told[n.boot]
}

// audit recomputes every count of the Decider from its tasks.
func (w *world) audit() string {
	d := w.d
	if d.publish.active && !d.last().complete() {
		return "a set is published, or will be, that is not whole"
	}
	type sums struct{ done, ready, running int }
	total, attempts := 0, 0
	for _, s := range d.stages {
		var c sums
		for i := range s.tasks {
			t := &s.tasks[i]
			if why := t.unsound(d); why != "" {
				return t.id().String() + " " + why
			}
			switch t.state {
			case done:
				c.done++
				if !s.durable && len(t.holders) == 0 {
					return fmt.Sprintf("%s is done but nobody holds it", t.id())
				}
				if slices.ContainsFunc(t.holders, func(n *node) bool { return d.nodes[n.id] != n }) {
					return fmt.Sprintf("%s is held by a node that is gone", t.id())
				}
			case ready:
				c.ready++
			case running:
				c.running++
			}
			if (t.state == running) != (len(t.live) > 0) || len(t.live) > 2 {
				return fmt.Sprintf("%s has %d attempts", t.id(), len(t.live))
			}
			attempts += len(t.live)
		}
		if c != (sums{s.done, s.ready, s.running}) {
			return fmt.Sprintf("stage %d counts %d %d %d, has %v", s.index, s.done, s.ready, s.running, c)
		}
		if s.open {
			total += c.ready
		}
		if s.open != slices.Contains(d.open, s) || s.open && d.finish == nil && (!s.ripe() || s.complete()) {
			return fmt.Sprintf("stage %d is open in vain", s.index)
		}
	}
	if total != d.ready || attempts != d.attempts {
		return fmt.Sprintf("counts %d ready and %d attempts, has %d and %d", d.ready, d.attempts, total, attempts)
	}
	return w.auditNodes()
}

func (w *world) auditNodes() string {
	d := w.d
	busy, slots, usable := 0, 0, 0
	for _, n := range d.order {
		memory := int64(0)
		for _, a := range n.running {
			memory += a.memory
		}
		if memory != n.used || memory > w.node(n.id).memory && !n.adopted() {
			return fmt.Sprintf("%s counts %d bytes, has %d of %d", n.id, n.used, memory, n.memory)
		}
		if len(n.running) > w.node(n.id).slots && !n.adopted() {
			return fmt.Sprintf("%s runs %d tasks in %d slots", n.id, len(n.running), n.slots)
		}
		if n.usable() {
			busy, slots, usable = busy+len(n.running), slots+n.slots, usable+1
		}
		if n.reserved != nil && (n.reserved.reserved != n || n.reserved.state != ready) {
			return fmt.Sprintf("%s is kept for %s in vain", n.id, n.reserved.id())
		}
	}
	if busy != d.running || slots != d.slots || usable != d.usable {
		return fmt.Sprintf("counts %d of %d slots on %d nodes, has %d of %d on %d", d.running, d.slots, d.usable, busy, slots, usable)
	}
	return ""
}

// adopted: the node runs something that it was not given by this Decider.
func (n *node) adopted() bool {
	return slices.ContainsFunc(n.running, func(a *attempt) bool { return a.attached })
}

// checkEnd verifies how the job ended.
func (w *world) checkEnd(f Finish) {
	w.log("end: %v %v", f.Status, f.Err)
	w.fired[f.Status.String()]++
	switch f.Status {
	case Succeeded:
		w.checkResult()
	case Cancelled:
		if !w.cancelled {
			w.breaks("cancelled by nobody")
		}
		if w.published != nil && f.Err.(*plan.Error).Hint == "" {
			w.breaks("cancelled, but its output is there")
		}
	case Failure:
		te := f.Err.(*plan.Error)
		tooLarge := te.Kind == plan.KindMemory && w.tooLarge(te.Subject)
		unheard := w.lossy > 0 && strings.Contains(te.Text, "its node did not know of it") // so many grants were lost in a row
		if !w.fatal && !tooLarge && !unheard {
			w.breaks("failed without need: %v", f.Err)
		}
	default:
		w.breaks("ended as %v", f.Status)
	}
}

// tooLarge: no node that this coordinator has seen is large enough, or the task has had
// its tries while the node that is was away, as some were.
func (w *world) tooLarge(subject string) bool {
	for t, b := range w.needs {
		away := w.fired["die"]+w.fired["leave"]+w.fired["suspect"]+w.fired["everyone"] > 0
		if t.String() == subject && (b > w.d.largest || away && w.d.task(t).memoryFailures >= memoryAttemptsMax) {
			return true
		}
	}
	return false
}

// checkResult: one output a task, and all of them made of the same rows.
func (w *world) checkResult() {
	last := len(w.d.stages) - 1
	set := w.published
	if w.job.Result.Write == nil {
		for _, win := range w.d.Segments(last) {
			if seg := w.find(win.Output.Segment); seg != nil {
				set = append(set, seg)
			} else if len(win.Holders) == 0 {
				w.breaks("nobody holds %s", win.Attempt)
			}
		}
	} else if len(set) != w.d.TaskCount(last) {
		w.breaks("%d outputs of %d are published", len(set), w.d.TaskCount(last))
	}
	if len(set) == w.d.TaskCount(last) {
		w.checkCuts(set)
	}
	from, tasks := map[plan.TaskID]uint64{}, map[plan.TaskID]bool{}
	for _, seg := range set {
		if tasks[seg.held.Task] {
			w.breaks("%s counts twice", seg.held.Task)
		}
		tasks[seg.held.Task] = true
		for task, c := range seg.from {
			if old, ok := from[task]; ok && old != c {
				w.breaks("the result was made of two versions of %s", task)
			}
			from[task] = c
		}
	}
}

func (w *world) find(name string) *simSegment {
	for _, n := range w.nodes {
		if s := n.disk[name]; s != nil {
			return s
		}
	}
	return nil
}

// safe lists the finished tasks that an event about nodes leaves a holder: those of which
// the coordinator was told that another node has a copy, too.
func (w *world) safe(e Event) (safe []*task) {
	switch e := e.(type) {
	case Copied:
		w.note(e)
	case Done:
		w.note(Copied{Attempt: e.Attempt, Segment: e.Output.Segment, Nodes: e.Copies})
	case NodeLost:
		for _, boots := range w.told2nd {
			delete(boots, e.Boot) // if it comes back, it is asked what it holds
		}
		for _, s := range w.d.stages {
			for i := range s.tasks {
				if t := &s.tasks[i]; t.state == done && !s.durable && w.heldElsewhere(t.out.Segment) {
					safe = append(safe, t)
				}
			}
		}
	}
	return safe
}

// note notes the holders that a coordinator is told of and knows.
func (w *world) note(e Copied) {
	t := w.d.task(e.Attempt.Task)
	for _, id := range e.Nodes {
		if n := w.d.nodes[id]; n != nil && t != nil {
			if w.told2nd[e.Segment] == nil {
				w.told2nd[e.Segment] = map[Boot]bool{}
			}
			w.told2nd[e.Segment][n.boot] = t.state == done && t.out.Segment == e.Segment
		}
	}
}

// heldElsewhere: a node that is there was told to have a copy of a segment.
func (w *world) heldElsewhere(segment string) bool {
	return slices.ContainsFunc(w.d.order, func(n *node) bool { return w.told2nd[segment][n.boot] })
}

// checkSafe: what has a holder left is not made again.
func (w *world) checkSafe(tasks []*task) {
	for _, t := range tasks {
		if t.state != done {
			w.breaks("%s is made again, though another node has a copy", t.id())
		}
	}
}

// auditCopies: what is to be copied is, or waits behind another of its node's, and nothing
// else is.
func (w *world) auditCopies(n *node) string {
	d := w.d
	switch c := n.copying.task; {
	case c != nil && d.want < 2:
		return fmt.Sprintf("%s copies %s of a job without copies", n.id, c.id())
	case c != nil && d.others(n) && w.now-w.asked[n.boot] > copyAskMillis+simTick:
		return fmt.Sprintf("%s was asked to copy %s at %d", n.id, c.id(), w.asked[n.boot])
	}
	if d.cfg.Copies == plan.AutoCopies || d.want < 2 || n.copying.task != nil || d.now < n.copyAfter || !d.others(n) {
		return ""
	}
	for _, s := range d.stages {
		for i := range s.tasks {
			if t := &s.tasks[i]; d.short(t) && t.holders[0] == n {
				return fmt.Sprintf("%s has nothing to copy, and %s has %d holders", n.id, t.id(), len(t.holders))
			}
		}
	}
	return ""
}

// TestSimulation runs thousands of random jobs under random faults.
func TestSimulation(t *testing.T) {
	if *simSeed != 0 {
		w := newWorld(*simSeed)
		why := w.run()
		t.Logf("%s\n%s", strings.Join(w.trace, "\n"), w.d)
		if why != "" {
			t.Fatal(why)
		}
		return
	}
	first := rand.Uint64() >> 1
	fired := map[string]int{}
	for i := range uint64(*simRuns) {
		w := newWorld(first + i)
		w.quiet = true
		if why := w.run(); why != "" {
			t.Fatalf("seed %d: %s\nreplay: go test -run Simulation -v -seed %d", first+i, why, first+i)
		}
		for k, n := range w.fired {
			fired[k] += n
		}
	}
	t.Logf("%d jobs from seed %d: %v", *simRuns, first, fired)
	for _, k := range []string{"die", "wipe", "leave", "suspect", "fail", "fail-for-good", "crash", "poison", "user", "corrupt", "vanish", "rot", "result lost", "failover", "cancel",
		"publish-fails", "publish-unanswered", "file-lost", "join", "everyone", "memory", "resubmit", "coalesced", "split", "extend", "copied later", "copied by itself", "copy-refused", "succeeded", "failed", "cancelled"} {
		if fired[k] == 0 && *simRuns >= 1000 {
			t.Errorf("never happened: %s", k)
		}
	}
}

// unsound says which invariant of its fields (task.go) a task breaks.
func (t *task) unsound(d *Decider) string {
	for _, a := range t.live {
		if a.number > t.last || slices.Contains(t.dead, a.number) {
			return fmt.Sprintf("runs attempt %d, but its last is %d and %v are dead", a.number, t.last, t.dead)
		}
	}
	switch s := t.stage; {
	case (t.state == running) != (len(t.live) > 0), len(t.live) > 2:
		return fmt.Sprintf("is in state %d with %d attempts", t.state, len(t.live))
	case t.state == resting && t.wake <= d.now:
		return fmt.Sprintf("rests at %d beyond its wake, %d", d.now, t.wake)
	case t.state == done && !t.reused && slices.Contains(t.dead, t.won):
		return fmt.Sprintf("was won by attempt %d, which is dead: %v", t.won, t.dead)
	case t.state == done && (t.won <= 0 || !t.reused && t.won > t.last):
		return fmt.Sprintf("was won by attempt %d, but its last is %d", t.won, t.last)
	case s.open && !(s.wanted && s.opened && s.ripe()):
		return fmt.Sprintf("is of an open stage: wanted %t, opened %t, ripe %t", s.wanted, s.opened, s.ripe())
	case d.offered > d.arrivals, d.running > d.attempts:
		return fmt.Sprintf("is of a job with %d of %d arrivals offered and %d of %d attempts in slots", d.offered, d.arrivals, d.running, d.attempts)
	}
	return ""
}
