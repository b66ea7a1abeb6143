package sched

import (
	"fmt"
	"slices"

	"github.com/pondmesh/pond/actors/plan"
)

// Decider drives one job. It is not safe for concurrent use.
type Decider struct {
	cfg    Config
	job    *plan.Job
	stages []*stage
	byID   map[plan.StageID]*stage
	nodes  map[NodeID]*node // alive ones
	order  []*node          // the same, in order of arrival

	now   int64
	begun bool
	dirty bool  // a stage became complete or incomplete: demand must be recomputed
	seq   int64 // of starts, wins and Alives
	open  []*stage

	ready     int   // tasks of open stages that could start now; the sum of their ready
	readyAt   int64 // when there last came to be some
	arrivals  int64 // counts tasks becoming ready
	offered   int64 // arrivals that nodes were told of; offered <= arrivals
	lastRun   int64
	emptyFrom int64 // since when nobody could run anything; -1: somebody can

	attempts  int   // running on any node
	usable    int   // nodes that take tasks; usable <= len(nodes)
	slots     int   // of those nodes together
	running   int   // of those slots, how many are taken; running <= attempts
	largest   int64 // memory of any node that took tasks, ever
	hungry    []*node
	nextOffer int // index in order, where repeated offers go on
	timers    heap[timer]

	want    int     // nodes that are to hold a segment, sooner or later; 1: as they do
	began   int64   // when a task first ran; -1: none has
	copiers []*node // may have to copy something now

	publish publishing
	finish  *Finish
	out     []Action
}

// timer ends a task's rest.
type timer struct {
	at   int64
	seq  int64
	task *task
}

// New returns the Decider of job. It keeps job, which must not change: see [Extend].
func New(job *plan.Job, c Config) *Decider {
	d := &Decider{
		cfg: c.withDefaults(), job: job, emptyFrom: -1, want: 1, began: -1,
		byID: map[plan.StageID]*stage{}, nodes: map[NodeID]*node{},
		timers: heap[timer]{less: func(a, b timer) bool {
			return a.at < b.at || a.at == b.at && a.seq < b.seq
		}},
	}
	for i, p := range job.Stages {
		d.addStage(i, p)
	}
	if c.Copies == plan.LazyCopies || c.Copies == plan.EagerCopies {
		d.want = plan.SegmentCopies
	}
	return d
}

func (d *Decider) addStage(i int, p *plan.Stage) {
	s := &stage{
		index: i, plan: p, durable: p.Exchange.Kind == plan.Files, unstable: !p.Deterministic,
		queue: heap[*task]{less: heavier}, elsewhere: heap[*task]{less: heavier}, large: heap[*task]{less: heavier},
		local: map[*node]*heap[*task]{},
	}
	for _, k := range reads(p) {
		from := d.stages[k]
		if slices.Contains(s.deps, from) {
			continue
		}
		s.deps = append(s.deps, from)
		from.uses = append(from.uses, s)
		s.unstable = s.unstable || from.unstable
	}
	s.status = StageStatus{Index: i, Name: p.Name}
	if p.Tasks.Fit == nil {
		d.makeTasks(s, d.countTasks(p))
	}
	d.addNeeds(s)
	d.stages = append(d.stages, s)
	d.byID[p.ID] = s
}

// makeTasks gives a stage n new tasks.
func (d *Decider) makeTasks(s *stage, n int) {
	s.tasks = make([]task, n)
	for k := range s.tasks {
		t := &s.tasks[k]
		t.stage, t.partition, t.weight = s, k, scanBytes(s.plan, k)
		t.last = int(d.cfg.Term-1) * AttemptsPerTerm
	}
	s.status.Tasks = n
}

// reads lists the stages that p needs complete: those it reads and, to cut its
// output by range, the one that makes the bounds.
func reads(p *plan.Stage) []int {
	var out []int
	for _, in := range p.Inputs {
		if in.Read != nil {
			out = append(out, in.Read.Stages...)
		}
	}
	if p.Exchange.Kind == plan.Range {
		out = append(out, p.Exchange.Bounds)
	}
	return out
}

// countTasks is plan.TaskCount before anything has run: a producer leaves one
// segment a task, so that the number of segments is known.
func (d *Decider) countTasks(p *plan.Stage) int {
	if p.Tasks.N > 0 {
		return p.Tasks.N
	}
	n := 0
	for _, in := range p.Inputs {
		if in.Read == nil {
			continue
		}
		for _, k := range in.Read.Stages {
			n += len(d.stages[k].tasks)
		}
	}
	return n
}

// Step takes an event and returns the actions to carry out, in order. The slice is
// valid until the next Step.
func (d *Decider) Step(e Event) []Action {
	d.out = d.out[:0]
	if d.finish != nil {
		return nil
	}
	d.handle(e)
	if d.begun && d.dirty && d.finish == nil {
		d.updateDemand()
	}
	if d.begun && d.finish == nil {
		d.offer()
		d.copy()
	}
	return d.out
}

func (d *Decider) handle(e Event) {
	switch e := e.(type) {
	case Tick:
		d.onTick(e)
	case NodeUp:
		d.onNodeUp(e)
	case NodeLost:
		if n := d.node(e.Node, e.Boot); n != nil {
			d.drop(n)
		}
	case NodeLeaving:
		d.onLeaving(e)
	case Pull:
		d.onPull(e)
	case Alive:
		d.onAlive(e)
	case Done:
		d.onDone(e)
	case Copied:
		d.onCopied(e)
	case Failed:
		d.onFailed(e)
	case Held:
		d.onHeld(e)
	case Published:
		d.onPublished(e)
	case Extend:
		d.onExtend(e)
	case Cancel:
		d.interrupt(Cancelled, &plan.Error{Kind: plan.KindCancelled, Op: "run", Subject: "job", Text: e.Reason})
	case Deadline:
		d.interrupt(Failure, plan.TimeUp("run", e.Millis))
	}
}

func (d *Decider) onTick(e Tick) {
	d.now = max(d.now, e.Now)
	if !d.begun {
		d.begin()
	}
	for d.timers.len() > 0 && d.timers.items[0].at <= d.now {
		if w := d.timers.pop(); w.task.state == resting && w.task.wake == w.at {
			d.requeue(w.task)
		}
	}
	d.tickPublish()
	d.tickGrace()
	d.tickCopies()
	if d.finish == nil && !d.publish.active {
		d.tickOffers()
	}
}

// begin starts the job, with the segments found so far.
func (d *Decider) begin() {
	d.begun, d.dirty, d.lastRun = true, true, d.now
	if len(d.stages) == 0 || len(d.byID) != len(d.stages) {
		d.fail(&plan.Error{Kind: plan.KindInternal, Op: "run", Subject: "job", Text: "the plan has no stages, or two of one id"})
		return
	}
	if d.checkNeeds(); d.finish != nil {
		return
	}
	d.takeWholeSets()
	d.updateDemand()
}

// tickGrace fails a job that nobody has been able to run for too long.
func (d *Decider) tickGrace() {
	stuck := d.stuck()
	if d.usable > 0 && stuck == nil || d.attempts > 0 || d.publish.active {
		d.emptyFrom = -1
		return
	}
	if d.emptyFrom < 0 {
		d.emptyFrom = d.now
	}
	if d.now-d.emptyFrom >= d.cfg.NodesGraceMillis {
		what := "node"
		if d.usable > 0 {
			what = "node with the Go functions of " + stuck.plan.Name
		}
		d.fail(&plan.Error{Kind: plan.KindUnavailable, Op: "run", Subject: "job",
			Text: fmt.Sprintf("no %s took tasks for %d ms", what, d.now-d.emptyFrom),
			Hint: "start nodes and submit the job again: what they still hold is reused"})
	}
}

// onExtend adds stages. Demand does the rest.
func (d *Decider) onExtend(e Extend) {
	if d.publish.active {
		return
	}
	d.job = e.Job
	for i := len(d.stages); i < len(e.Job.Stages); i++ {
		d.addStage(i, e.Job.Stages[i])
	}
	if len(d.byID) != len(d.stages) {
		d.fail(&plan.Error{Kind: plan.KindInternal, Op: "run", Subject: "job", Text: "the plan has two stages of one id"})
		return
	}
	for i, s := range slices.Backward(d.stages) {
		s.status.Dropped = i < len(d.stages)-1 && !slices.ContainsFunc(s.uses, func(u *stage) bool { return !u.status.Dropped })
	}
	for _, s := range d.stages {
		if !s.leaf() && !s.opened && s.done > 0 && !d.enclosed(s) {
			d.doubt(s)
		}
	}
	d.dirty = true
}

// last is the stage that makes the result.
func (d *Decider) last() *stage { return d.stages[len(d.stages)-1] }

func (d *Decider) emit(a Action) { d.out = append(d.out, a) }

// node is the alive boot of a node; nil for any other.
func (d *Decider) node(id NodeID, boot Boot) *node {
	if n := d.nodes[id]; n != nil && n.boot == boot {
		return n
	}
	return nil
}

func (d *Decider) task(id plan.TaskID) *task {
	if s := d.byID[id.Stage]; s != nil && id.Partition >= 0 && id.Partition < len(s.tasks) {
		return &s.tasks[id.Partition]
	}
	return nil
}

// fail ends the job with an error.
func (d *Decider) fail(err *plan.Error) { d.end(Failure, err) }

// end ends the job: what runs is stopped, and nothing is decided any more.
func (d *Decider) end(status Status, err *plan.Error) {
	if d.finish != nil {
		return
	}
	for _, s := range d.stages {
		for s.oldest != nil && status != Fenced {
			t := s.oldest.task
			d.stop(s.oldest)
			if len(t.live) == 0 {
				d.set(t, waiting)
			}
		}
	}
	d.finish = &Finish{Status: status}
	if err != nil {
		d.finish.Err = err
	}
	if status == Succeeded {
		d.finish.Rows = d.stages[len(d.stages)-1].status.Rows
	}
	d.emit(*d.finish)
}
