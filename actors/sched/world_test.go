package sched

import (
	"fmt"
	"hash/fnv"
	"maps"
	"math/rand/v2"
	"slices"
	"strings"

	"github.com/pondmesh/pond/actors/plan"
)

// world is a simulated pond that runs one job under a Decider: nodes that run
// tasks, keep segments, die, come back and leave; messages that are late, lost,
// doubled and overtake one another; a coordinator that is replaced; storage that
// publishes or does not. Everything is drawn from one seed.
type world struct {
	rng    *rand.Rand
	seed   uint64
	now    int64
	seq    int64
	queue  heap[happening]
	job    *plan.Job
	first  *plan.Job     // as it was planned
	extra  []*plan.Stage // what it may be extended by
	d      *Decider
	term   int64
	runs   int // jobs of this plan before; messages of an earlier one are dropped
	nodes  []*simNode
	sabote func(w *world, e Event) // a planted bug, applied before each Step

	heardAt   int64 // of the last membership event: they come in order
	calmAt    int64 // no faults from then on
	lossy     int   // of a thousand messages are lost, as many come twice
	budget    map[string]int
	needs     map[plan.TaskID]int64 // bytes below which a task runs out of memory
	failed    map[plan.TaskID]int   // failures that count, by task
	fickle    map[plan.StageID]bool // makes other rows each time, though the plan does not say so
	poison    map[plan.TaskID]bool
	crashed   map[plan.TaskID]int // engine processes that a task took with it, for one coordinator
	used      map[plan.AttemptID]bool
	told      map[Boot]bool          // the coordinator knows that it is leaving
	staged    map[string]*simSegment // files of the last stage, by segment name
	published []*simSegment
	fatal     bool // a fault was injected that may fail the job
	cancelled bool
	segments  int
	reads     int  // of a result that was lost
	eager     bool // all copies are there when the segment is done
	copies    int  // nodes that hold a segment, its maker among them, when it is done
	mode      plan.Copies
	asked     map[Boot]int64           // when a node was last asked for a copy
	told2nd   map[string]map[Boot]bool // nodes that the coordinator was told of as holders of a segment too, while it knew them
	hoard     bool                     // a planted bug: nodes keep what they cannot read
	blind     bool                     // a planted bug: all outputs have one sum
	fired     map[string]int
	trace     []string
	broken    string
	quiet     bool
}

type happening struct {
	at, seq int64
	do      func()
}

type simNode struct {
	id      NodeID
	boot    Boot
	boots   int
	slots   int
	memory  int64
	up      bool
	leaving bool
	slow    bool
	disk    map[string]*simSegment
	running map[plan.AttemptID]uint64 // its lineage
	seen    map[plan.AttemptID]bool
}

// simSegment is what an attempt wrote. content is what its rows are: two
// segments of one content are interchangeable. from is the content of everything
// that it was made of, by task, however far up.
type simSegment struct {
	name    string
	held    HeldSegment
	content uint64
	from    map[plan.TaskID]uint64
	corrupt bool
	run     int // of world.runs
	cut     simCut
	whole   uint64 // what the inputs of all of its stage's tasks are
}

// simCut is how a stage's tasks were cut, and into how many.
type simCut struct {
	how   string
	tasks int
	plan  *plan.Stage // unfitted
}

func (w *world) at(delay int64, do func()) {
	w.seq++
	w.queue.push(happening{w.now + delay, w.seq, do})
}

func (w *world) log(format string, args ...any) {
	if !w.quiet {
		w.trace = append(w.trace, fmt.Sprintf("%6d ", w.now)+fmt.Sprintf(format, args...))
	}
}

func (w *world) breaks(format string, args ...any) {
	if w.broken == "" {
		w.broken = fmt.Sprintf(format, args...)
		w.log("BROKEN: %s", w.broken)
	}
}

// fire spends one of a kind of fault.
func (w *world) fire(kind string) bool {
	if w.budget[kind] <= 0 || w.now >= w.calmAt {
		return false
	}
	w.budget[kind]--
	w.fired[kind]++
	return true
}

// run runs the job to its end; "" means that nothing was violated.
func (w *world) run() string {
	w.d = New(w.job, w.config())
	for _, n := range w.nodes {
		w.boot(n)
	}
	w.tick()
	w.at(w.rng.Int64N(2000), w.misfortune)
	for events := 0; w.broken == "" && w.queue.len() > 0; events++ {
		if f := w.d.finish; f != nil {
			w.checkEnd(*f)
			if !w.readResult(*f) && !w.submitAgain(*f) {
				break
			}
		}
		if w.now > 3_600_000 || events > 500_000 {
			w.breaks("the job does not end")
		}
		h := w.queue.pop()
		w.now = h.at
		h.do()
	}
	return w.broken
}

func (w *world) config() Config {
	return Config{Term: w.term, PublishMillis: 10_000, NodesGraceMillis: 300_000, Copies: w.mode, CopyAfterMillis: 5_000, CopyNodes: 3}
}

// submitAgain sometimes submits the plan as another job, when the first has
// succeeded: what is still held of it is offered for reuse.
func (w *world) submitAgain(f Finish) bool {
	if w.runs > 0 || f.Status != Succeeded || w.rng.IntN(3) > 0 {
		return false
	}
	w.fired["resubmit"]++
	w.submit()
	return true
}

// readsMax is how often a result may be lost to its reader: more often than the
// budget has faults for it.
const readsMax = 6

// readResult has the client read the rows of a job that succeeded. Those that are
// lost on a live node are dropped there, and the plan is submitted again: it must
// not be given them once more.
func (w *world) readResult(f Finish) bool {
	if f.Status != Succeeded || w.job.Result.Write != nil {
		return false
	}
	lost := 0
	for _, win := range w.d.Segments(len(w.d.stages) - 1) {
		for _, h := range win.Holders {
			n := w.node(h)
			if seg := n.disk[win.Output.Segment]; n.up && seg != nil && w.fire("rot") {
				seg.corrupt = true
			}
			if n.up && !n.reads(win.Output.Segment) {
				lost++
				w.drop(n, win.Output.Segment)
			}
		}
	}
	if lost == 0 {
		return false
	}
	w.fired["result lost"]++
	if w.reads++; w.reads > readsMax {
		w.breaks("the result is lost whenever it is read")
	}
	w.submit()
	return true
}

// reads reports whether the node can read a segment.
func (n *simNode) reads(segment string) bool {
	s := n.disk[segment]
	return s != nil && !s.corrupt
}

func (n *simNode) runs(a plan.AttemptID) bool {
	_, ok := n.running[a]
	return ok
}

// drop has a node let go of a segment that it has found damaged.
func (w *world) drop(n *simNode, segment string) {
	if !w.hoard {
		delete(n.disk, segment)
	}
}

// submit submits the plan as another job.
func (w *world) submit() {
	w.log("submitted again")
	w.job = w.first
	w.runs++
	w.term, w.published = 1, nil
	clear(w.used)
	clear(w.staged)
	for _, n := range w.nodes {
		n.running, n.seen = map[plan.AttemptID]uint64{}, map[plan.AttemptID]bool{}
	}
	w.newDecider()
}

// newDecider starts a coordinator: it knows the nodes, asks what they hold, and
// begins with the next tick, whether it has heard of all by then or not.
func (w *world) newDecider() {
	clear(w.crashed)
	clear(w.told2nd)
	w.d = New(w.job, w.config())
	for _, n := range w.nodes {
		if !n.up {
			continue
		}
		w.step(NodeUp{Node: n.id, Boot: n.boot, Slots: n.slots, Memory: n.memory})
		if n.leaving {
			w.step(NodeLeaving{n.id})
		}
		w.askHeld(n)
	}
}

// simTick is how often a coordinator ticks.
const simTick = 200

func (w *world) tick() {
	w.step(Tick{w.now})
	w.at(simTick, w.tick)
}

// step hands an event to the Decider and carries out what it returns.
func (w *world) step(e Event) {
	safe := w.safe(e)
	if w.sabote != nil {
		w.sabote(w, e)
	}
	switch e.(type) {
	case Tick:
	case Extend:
		w.log("event Extend")
	default:
		w.log("event %s", show(e))
	}
	switch e := e.(type) {
	case NodeUp:
		delete(w.told, e.Boot)
	case NodeLeaving:
		w.told[w.node(e.Node).boot] = true
	case Failed:
		if t := w.d.task(e.Attempt.Task); plan.KindOf(e.Err) == plan.KindCrash && t != nil && t.attempt(e.Attempt.Attempt) != nil {
			w.crashed[e.Attempt.Task]++
		}
	}
	actions := slices.Clone(w.d.Step(e))
	w.checkStep(e, actions)
	w.checkSafe(safe)
	for _, a := range actions {
		w.log("  %s", show(a))
		w.carryOut(a)
	}
}

func show(v any) string {
	return strings.TrimPrefix(fmt.Sprintf("%T%+v", v, v), "sched.")
}

// tell sends an event to the coordinator over the network.
func (w *world) tell(e Event) { w.message(func() { w.step(e) }) }

// message delivers something late, never, or twice.
func (w *world) message(deliver func()) {
	if w.rng.IntN(1000) < w.lossy {
		return
	}
	run := w.runs
	do := func() {
		if run == w.runs {
			deliver()
		}
	}
	delay := func() int64 {
		if w.rng.IntN(20) == 0 {
			return w.rng.Int64N(4000)
		}
		return 1 + w.rng.Int64N(30)
	}
	w.at(delay(), do)
	if w.rng.IntN(1000) < w.lossy {
		w.at(delay(), do)
	}
}

// hear delivers a membership event: late, but in order.
func (w *world) hear(delay int64, e Event) {
	w.heardAt = max(w.heardAt, w.now+delay)
	w.at(w.heardAt-w.now, func() {
		w.step(e)
		if up, ok := e.(NodeUp); ok {
			if n := w.node(up.Node); n.leaving && n.boot == up.Boot {
				w.step(NodeLeaving{n.id})
			}
			w.askHeld(w.node(up.Node))
		}
	})
}

func (w *world) node(id NodeID) *simNode {
	i := slices.IndexFunc(w.nodes, func(n *simNode) bool { return n.id == id })
	return w.nodes[i]
}

func (w *world) boot(n *simNode) {
	n.boots++
	n.boot, n.up, n.leaving = Boot(fmt.Sprintf("%s%d", n.id, n.boots)), true, false
	n.running, n.seen = map[plan.AttemptID]uint64{}, map[plan.AttemptID]bool{}
	if w.rng.IntN(8) == 0 { // what it offers is learned later
		w.hear(0, NodeUp{Node: n.id, Boot: n.boot})
	}
	w.hear(w.rng.Int64N(100), NodeUp{Node: n.id, Boot: n.boot, Slots: n.slots, Memory: n.memory})
	w.heartbeat(n, n.boot)
}

func (w *world) heartbeat(n *simNode, boot Boot) {
	if !n.up || n.boot != boot {
		return
	}
	e := Alive{Node: n.id, Boot: n.boot}
	for _, a := range slices.SortedFunc(maps.Keys(n.running), byAttempt) {
		e.Running = append(e.Running, Running{a, n.running[a]})
	}
	w.tell(e)
	w.at(1000, func() { w.heartbeat(n, boot) })
}

func byAttempt(a, b plan.AttemptID) int { return strings.Compare(a.String(), b.String()) }

func (w *world) askHeld(n *simNode) {
	if !n.up {
		return
	}
	e := Held{Node: n.id, Boot: n.boot}
	for _, name := range slices.Sorted(maps.Keys(n.disk)) {
		h := n.disk[name].held
		h.Reused = n.disk[name].run < w.runs
		e.Segments = append(e.Segments, h)
	}
	w.tell(e)
}

// carryOut does what the Decider asked for.
func (w *world) carryOut(a Action) {
	term, run := w.term, w.runs
	switch a := a.(type) {
	case Run:
		if c := w.crashed[a.Attempt.Task]; c >= crashesMax {
			w.breaks("%s took %d engine processes, and is tried again", a.Attempt.Task, c)
		}
		n := w.node(a.Node)
		inputs, cut := w.inputsOf(a), simCut{fmt.Sprint(w.d.Stage(a.Stage).Tasks.Specs), w.d.TaskCount(a.Stage), w.job.Stages[a.Stage]}
		w.message(func() {
			if term == w.term && n.up && n.boot == a.Boot && !n.seen[a.Attempt] {
				w.start(n, a, inputs, cut)
			}
		})
	case Stop:
		n := w.node(a.Node)
		w.message(func() {
			if term == w.term && n.runs(a.Attempt) {
				delete(n.running, a.Attempt)
				w.pull(n)
			}
		})
	case Offer:
		n := w.node(a.Node)
		w.message(func() { w.pull(n) })
	case Release:
		delete(w.staged, a.Segment)
		if a.Node != "" {
			n := w.node(a.Node)
			w.message(func() { delete(n.disk, a.Segment) })
		}
	case Copy:
		n := w.node(a.Node)
		w.message(func() { w.copyLater(n, n.boot, a) })
	case Publish:
		w.at(1+w.rng.Int64N(3000), func() { w.publish(a, term, run) })
	}
}

func (w *world) pull(n *simNode) {
	if n.up && !n.leaving && len(n.running) < n.slots {
		w.tell(Pull{n.id, n.boot, n.slots - len(n.running)})
	}
}

// inputsOf are the winning segments of all stages that a Run reads.
func (w *world) inputsOf(r Run) []Winner {
	var out []Winner
	for _, p := range w.d.stages[r.Stage].deps {
		out = append(out, w.d.Segments(p.index)...)
	}
	return out
}

func (w *world) start(n *simNode, r Run, inputs []Winner, cut simCut) {
	n.running[r.Attempt], n.seen[r.Attempt] = r.Lineage, true
	length := 200 + w.rng.Int64N(3000)
	if n.slow && w.rng.IntN(3) == 0 {
		length *= 20
	}
	boot, run := n.boot, w.runs
	runs := func() bool { return n.up && n.boot == boot && w.runs == run && n.runs(r.Attempt) }
	w.at(w.rng.Int64N(length), func() {
		if !runs() {
			return
		}
		read, lost := w.fetch(inputs)
		if len(lost) > 0 {
			w.finishAttempt(n, Failed{r.Attempt, n.id, n.boot, &plan.Error{Kind: plan.KindFetch, Text: "gone", Lost: lost}}, r.Attempt)
			return
		}
		w.at(length/2, func() {
			if runs() {
				w.finishAttempt(n, w.outcome(n, r, read, cut), r.Attempt)
			}
		})
	})
}

func (w *world) finishAttempt(n *simNode, e Event, a plan.AttemptID) {
	delete(n.running, a)
	w.tell(e)
	w.pull(n)
}

// fetch reads every input from a holder that has it, and names those lost.
func (w *world) fetch(inputs []Winner) (read []*simSegment, lost []plan.TaskID) {
	for _, in := range inputs {
		var found *simSegment
		for _, h := range in.Holders {
			n := w.node(h)
			switch {
			case n.up && n.reads(in.Output.Segment):
				found = n.disk[in.Output.Segment]
			case n.up && w.rng.IntN(2) == 0: // else only the reader has noticed
				w.drop(n, in.Output.Segment)
			}
		}
		if found == nil {
			lost = append(lost, in.Attempt.Task)
		} else {
			read = append(read, found)
		}
	}
	return read, lost
}

// outcome ends an attempt: with a fault that is due, or with a commit.
func (w *world) outcome(n *simNode, r Run, read []*simSegment, cut simCut) Event {
	t := r.Attempt.Task
	fail := func(k plan.Kind) Event {
		return Failed{r.Attempt, n.id, n.boot, &plan.Error{Kind: k, Op: "run", Subject: t.String(), Text: "injected"}}
	}
	switch {
	case r.Memory < w.needs[t]:
		w.fired["memory"]++
		return fail(plan.KindMemory)
	case w.failed[t] >= 100 || w.failed[t] == 0 && w.fire("fail-for-good"):
		w.failed[t], w.fatal = 100, true
		return fail(plan.KindInternal)
	case w.poison[t] || w.rng.IntN(8) == 0 && w.fire("poison"):
		w.poison[t], w.fatal = true, true
		return fail(plan.KindCrash)
	case w.rng.IntN(4) == 0 && w.failed[t] == 0 && w.fire("crash"): // the only one of that task
		w.failed[t]++
		return fail(plan.KindCrash)
	case w.rng.IntN(4) == 0 && w.failed[t] < attemptsMax-1 && w.fire("fail"):
		w.failed[t]++
		return fail([]plan.Kind{plan.KindInternal, plan.KindResource, plan.KindUnavailable, plan.KindCancelled}[w.rng.IntN(4)])
	case w.rng.IntN(10) == 0 && w.fire("user"):
		w.fatal = true
		return fail(plan.KindUser)
	}
	w.segments++
	seg := &simSegment{name: fmt.Sprintf("seg%d", w.segments), run: w.runs, from: map[plan.TaskID]uint64{}, cut: cut}
	h := fnv.New64a()
	w.checkCuts(read)
	cuts := map[uint64]bool{}
	for _, in := range read {
		for task, c := range in.from {
			if old, ok := seg.from[task]; ok && old != c {
				w.breaks("%s read %s in two versions", r.Attempt, task)
			}
			seg.from[task] = c
		}
		if in.cut.plan.Tasks.Fit == nil || w.varies(in.cut.plan) {
			fmt.Fprint(h, in.held.Task, in.content)
		} else if !cuts[in.whole] { // all its tasks together are the same however it is cut
			cuts[in.whole] = true
			fmt.Fprint(h, in.held.Task.Stage, in.whole)
		}
	}
	seg.whole = h.Sum64()
	fmt.Fprint(h, t)
	if w.varies(cut.plan) {
		fmt.Fprint(h, w.segments)
	}
	seg.content = h.Sum64()
	fmt.Fprint(h, cut.how)
	seg.from[t] = seg.content
	out := Output{Segment: seg.name, Rows: 1, Bytes: 1 << 20, Parts: w.drawParts(), Sum: h.Sum64()}
	if w.blind {
		out.Sum = 7
	}
	seg.held = HeldSegment{Task: t, Attempt: r.Attempt.Attempt, Tasks: cut.tasks, Lineage: r.Lineage, Output: out}
	if cut.plan.Exchange.Kind == plan.Files {
		w.staged[seg.name] = seg
	}
	n.disk[seg.name] = seg
	if w.rng.IntN(8) == 0 {
		r.Lineage = 0 // Held tells it all the same
	}
	copies := w.copy(n, seg, w.copies)
	if !w.eager && w.rng.IntN(2) == 0 { // some are made later
		w.message(func() { w.step(Copied{r.Attempt, seg.name, copies, ""}) })
		copies = nil
	}
	return Done{r.Attempt, n.id, n.boot, r.Lineage, out, copies}
}

// copyLater has a node do what a Copy asks for, after a while. Sometimes nobody takes it.
func (w *world) copyLater(n *simNode, boot Boot, c Copy) {
	w.at(w.rng.Int64N(2000), func() {
		seg := n.disk[c.Segment]
		if !n.up || n.boot != boot {
			return
		}
		e := Copied{Attempt: c.Attempt, Segment: c.Segment, From: n.id}
		switch {
		case seg == nil || seg.corrupt:
		case w.fire("copy-refused"):
		default:
			e.Nodes = w.copy(n, seg, c.Want)
			w.fired["copied later"] += min(len(e.Nodes), 1)
		}
		w.tell(e)
	})
}

// copy has other nodes hold a segment too, as many as are wanted together with n.
func (w *world) copy(n *simNode, seg *simSegment, want int) (holders []NodeID) {
	for _, i := range w.rng.Perm(len(w.nodes)) {
		if o := w.nodes[i]; o != n && o.up && !o.leaving && len(holders)+1 < want && seg.cut.plan.Exchange.Kind != plan.Files {
			its := *seg // which may rot alone
			o.disk[seg.name] = &its
			holders = append(holders, o.id)
		}
	}
	return holders
}

// varies reports whether another attempt makes other rows of the same input.
func (w *world) varies(s *plan.Stage) bool { return !s.Deterministic || w.fickle[s.ID] }

// publish is the storage's side of it.
func (w *world) publish(p Publish, term int64, run int) {
	answer := func(err error) {
		w.at(1+w.rng.Int64N(100), func() {
			if term == w.term && run == w.runs {
				w.step(Published{p.Try, err})
			}
		})
	}
	if term != w.term || run != w.runs {
		return
	}
	if w.rng.IntN(2) == 0 {
		w.cancel()
	}
	if w.published == nil {
		if w.fire("publish-fails") {
			answer(&plan.Error{Kind: plan.KindUnavailable, Text: "injected"})
			return
		}
		var set []*simSegment
		for _, win := range p.Winners {
			seg := w.staged[win.Output.Segment]
			if seg != nil && w.fire("file-lost") {
				delete(w.staged, seg.name)
				seg = nil
			}
			if seg == nil {
				answer(&plan.Error{Kind: plan.KindFetch, Text: "gone", Lost: []plan.TaskID{win.Attempt.Task}})
				return
			}
			set = append(set, seg)
		}
		w.published = set
	}
	if w.fire("publish-unanswered") {
		return
	}
	answer(nil)
}
