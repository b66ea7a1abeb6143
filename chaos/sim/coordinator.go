package sim

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/pondmesh/pond/actors/api"
	"github.com/pondmesh/pond/actors/plan"
	"github.com/pondmesh/pond/actors/sched"
	"github.com/pondmesh/pond/actors/terms"
	"github.com/pondmesh/pond/mesh"
)

// Times of a coordinator, in milliseconds.
const (
	planTime    = 200 // planning takes so long, at most
	callTime    = 5000
	recordTime  = 10_000
	publishTime = 1500 // between a seal and the files' appearance, at most
	silenceMax  = 5000
	decidePause = 1000
)

type driver = api.Driver

// driving is a coordinator: one term of a job on one node. What Decider it asks, and
// which messages it refuses, are as in package actors.
type driving struct {
	l    *life
	j    *job
	rec  *api.Record
	term *terms.Term
	d    *sched.Decider // nil until planned

	begun      int64
	nodes      map[mesh.NodeID]mesh.Member // as told to d
	met        map[mesh.NodeID]bool        // ever
	heard      map[mesh.NodeID]int64
	publishing bool
	finished   bool // no event reaches d any more
	stopped    bool // another drives the job
	status     *api.JobStatus
}

// drive starts a coordinator.
func (l *life) drive(rec *api.Record, term *terms.Term) {
	id := rec.Spec.ID
	if old := l.jobs[id]; old != nil {
		if old.term.Number() >= term.Number() {
			return
		}
		old.drop()
	}
	l.w.logf("%s drives %s in term %d", l.n.id, id, term.Number())
	l.w.checks.noteDriver(l.w, id, term.Number(), terms.DriverOf(l.me()))
	c := &driving{l: l, j: l.w.job(id), rec: rec, term: term, begun: l.w.now,
		nodes: map[mesh.NodeID]mesh.Member{}, met: map[mesh.NodeID]bool{}, heard: map[mesh.NodeID]int64{}}
	c.status = c.news(api.Queued)
	l.jobs[id] = c
	l.w.spawn(l, c.prepare)
}

// drop gives the job up without ending it.
func (c *driving) drop() {
	if !c.status.State.Ended() {
		c.stopped = true
		delete(c.l.jobs, c.rec.Spec.ID)
	}
}

// live reports whether the coordinator still drives.
func (c *driving) live() bool { return c.d != nil && !c.finished && !c.stopped && !c.l.dead }

func (c *driving) news(s api.State) *api.JobStatus {
	st := c.rec.Spec.Status()
	st.State, st.Coordinator, st.Term = s, string(c.l.n.id), c.term.Number()
	return st
}

// prepare plans the job, and asks every node what it holds of it.
func (c *driving) prepare(p *proc) {
	if p.sleep(1+c.l.w.rng.Int64N(planTime)) != nil {
		return
	}
	if c.j.folder != nil && c.term.Number() == 1 && c.l.w.bug != TwoFirsts && !c.claim(p) {
		return
	}
	inherited := c.term.Inherited().Decision
	if c.l.w.bug == Forget {
		inherited = terms.None
	}
	if f := c.j.folder; f != nil && c.term.Number() > 1 && f.shown && inherited == terms.Publish {
		c.publishing = true
		c.finish(&sched.Finish{Status: sched.Succeeded, Rows: c.term.Inherited().Rows})
		return
	}
	if f := c.j.folder; f != nil && c.l.w.bug == Unseal {
		f.sealed, f.shown = nil, false
	}
	members := c.l.view.Members
	held := make([][]api.Held, len(members))
	if all(p, len(members), func(p *proc, i int) { held[i] = c.askHeld(p, members[i].ID) }) != nil || c.stopped || c.finished {
		return
	}
	c.publishing = inherited == terms.Publish
	c.d = sched.New(c.j.plan, sched.Config{Term: int64(c.term.Number()), Near: sched.NodeID(c.l.n.id)})
	c.status = c.news(api.Running)
	c.see(true)
	for i, m := range members {
		c.held(m, held[i])
	}
	c.tick()
}

// claim claims the first term of a job that writes: another first driver would stage
// files of the same names.
func (c *driving) claim(p *proc) bool {
	for !c.stopped && !c.finished {
		err := c.term.Claim(context.Background())
		if err == nil {
			return true
		}
		if errors.Is(err, plan.ErrFenced) {
			c.finish(&sched.Finish{Status: sched.Fenced, Err: err})
			return false
		}
		if p.sleep(decidePause) != nil {
			return false
		}
	}
	return false
}

func (c *driving) stages() []plan.StageID {
	var ids []plan.StageID
	for _, s := range c.j.plan.Stages {
		ids = append(ids, s.ID)
	}
	return ids
}

func (c *driving) askHeld(p *proc, id mesh.NodeID) []api.Held {
	held, _ := call(p, id, callTime, func(o *life, reply func([]api.Held, error)) { reply(o.segments.Held(c.stages()), nil) })
	return held
}

// held tells the Decider what a node holds.
func (c *driving) held(m mesh.Member, held []api.Held) {
	var segs []sched.HeldSegment
	for _, h := range held {
		segs = append(segs, sched.HeldSegment{
			Task: plan.TaskID{Stage: h.Stage, Partition: h.Partition}, Attempt: h.Attempt, Tasks: h.Tasks, Reused: h.Job != c.rec.Spec.ID, Lineage: h.Lineage,
			Output: sched.Output{Segment: h.Segment, Rows: h.Rows, Bytes: h.Bytes, Sum: h.Sum, Parts: plan.SegmentInfo{Rows: h.PartitionRows, Bytes: h.PartitionBytes}},
		})
	}
	if len(segs) > 0 {
		c.step(sched.Held{Node: sched.NodeID(m.ID), Boot: sched.Boot(m.Boot), Segments: segs})
	}
}

func (c *driving) onView() { c.see(false) }

// see tells the Decider which nodes joined, are leaving and are gone. asked: those in
// view have been asked what they hold.
func (c *driving) see(asked bool) {
	if !c.live() {
		return
	}
	alive := map[mesh.NodeID]bool{}
	for _, m := range c.l.view.Members {
		alive[m.ID] = true
		old, known := c.nodes[m.ID]
		seen := c.met[m.ID]
		c.nodes[m.ID], c.met[m.ID] = m, true
		id := sched.NodeID(m.ID)
		if !known || old.Boot != m.Boot {
			c.step(sched.NodeUp{Node: id, Boot: sched.Boot(m.Boot), Slots: m.Slots, Memory: m.Memory})
			if seen && !known || known && old.Boot != m.Boot || c.term.Number() > 1 && !known && !asked {
				c.l.w.spawn(c.l, func(p *proc) { c.held(m, c.askHeld(p, m.ID)) })
			}
		}
		if m.State == mesh.Leaving && (!known || old.State != mesh.Leaving) {
			if c.step(sched.NodeLeaving{Node: id}); c.term.Number() > 1 && !known {
				c.offer(m.ID)
			}
		}
	}
	for _, id := range keys(c.nodes) {
		if m := c.nodes[id]; !alive[id] {
			delete(c.nodes, id)
			delete(c.heard, id)
			c.step(sched.NodeLost{Node: sched.NodeID(id), Boot: sched.Boot(m.Boot)})
		}
	}
}

func (c *driving) tick() {
	if !c.live() {
		return
	}
	c.step(sched.Tick{Now: c.l.w.now - c.begun})
	for _, id := range keys(c.nodes) {
		if c.live() && c.l.w.now-c.heard[id] >= silenceMax {
			c.heard[id] = c.l.w.now
			if c.d.Needed(sched.NodeID(id)) {
				c.offer(id)
			}
		}
	}
}

// step feeds one event and does what comes of it. Runs answer a pull.
func (c *driving) step(e sched.Event) (runs []sched.Run) {
	if !c.live() {
		return nil
	}
	for _, a := range slices.Clone(c.d.Step(e)) {
		switch a := a.(type) {
		case sched.Run:
			runs = append(runs, a)
		case sched.Offer:
			c.offer(mesh.NodeID(a.Node))
		case sched.Stop:
			term := c.term.Number()
			c.send(mesh.NodeID(a.Node), func(o *life) { o.onStop(c.rec.Spec.ID, term, &a.Attempt) })
		case sched.Release:
			c.release(a)
		case sched.Publish:
			c.l.w.spawn(c.l, func(p *proc) { c.publish(p, a) })
		case sched.Finish:
			c.finish(&a)
		}
	}
	return runs
}

func (c *driving) send(to mesh.NodeID, deliver func(*life)) { c.l.w.carry(c.l, to, deliver) }

func (c *driving) offer(to mesh.NodeID) {
	w := work{c.rec.Spec.ID, c.term.Number(), terms.DriverOf(c.l.me())}
	c.send(to, func(o *life) { o.onWork(w) })
}

func (c *driving) release(r sched.Release) {
	if f := c.j.folder; f != nil && r.Segment == "" {
		return
	}
	term := c.term.Number()
	c.send(mesh.NodeID(r.Node), func(o *life) {
		if wk := o.work[c.rec.Spec.ID]; wk == nil || term >= wk.term {
			o.segments.Drop(r.Attempt.Task.Stage, r.Segment)
		}
	})
}

// message is what a worker says.
type message struct {
	from    mesh.NodeID
	term    uint64
	boot    string // of the coordinator's process that it knows
	running []sched.Running
	slots   int
	report  sched.Event // Done or Failed; nil: a pull
}

// onNode answers a worker.
func (l *life) onNode(id plan.JobID, m message) ([]sched.Run, error) {
	c := l.jobs[id]
	switch {
	case m.boot != l.boot || c == nil:
		return nil, plan.ErrNotFound
	case !c.live():
		return nil, nil
	case m.term != c.term.Number() && l.w.bug != TermBlind:
		return nil, plan.ErrFenced
	}
	node, ok := c.nodes[m.from]
	if !ok {
		return nil, plan.ErrUnavailable
	}
	l.w.checks.noteReport(l.w, id, m.term, c.term.Number())
	c.heard[m.from] = l.w.now
	c.step(sched.Tick{Now: l.w.now - c.begun})
	n, b := sched.NodeID(node.ID), sched.Boot(node.Boot)
	switch r := m.report.(type) {
	case nil:
		c.step(sched.Alive{Node: n, Boot: b, Running: m.running})
	case sched.Done:
		r.Node, r.Boot = n, b
		c.step(r)
		l.w.progress()
	case sched.Failed:
		r.Node, r.Boot = n, b
		c.step(r)
	}
	if m.slots == 0 || !c.live() {
		return nil, nil
	}
	return c.step(sched.Pull{Node: n, Boot: b, Slots: m.slots}), nil
}

// packet is what nodes need to run tasks of a stage.
type packet struct {
	version int64
	lineage uint64
	tasks   int
	up      map[int][]plan.SegmentInfo
	where   map[int][]location
}

type location struct {
	node    mesh.NodeID
	segment string
	task    plan.TaskID
}

// packet tells what a stage's tasks read.
func (l *life) packet(id plan.JobID, term uint64, stage int) (*packet, error) {
	c := l.jobs[id]
	switch {
	case c == nil || !c.live():
		return nil, plan.ErrNotFound
	case term != c.term.Number():
		return nil, plan.ErrFenced
	}
	inputs, ok := c.d.Inputs(stage)
	if !ok {
		return nil, plan.ErrCancelled
	}
	p := &packet{version: c.d.Version(stage), lineage: c.d.Lineage(stage), tasks: c.d.TaskCount(stage), up: map[int][]plan.SegmentInfo{}, where: map[int][]location{}}
	for up, winners := range inputs {
		for _, win := range winners {
			at := location{segment: win.Output.Segment, task: win.Attempt.Task}
			if len(win.Holders) > 0 {
				at.node = mesh.NodeID(win.Holders[0])
			}
			p.up[up] = append(p.up[up], win.Output.Parts)
			p.where[up] = append(p.where[up], at)
		}
	}
	return p, nil
}

// decide puts a decision to the vote.
func (c *driving) decide(d terms.Decision, rows int64, why error) error {
	if c.l.w.bug == OldRead { // what it last read of the register says that the term is its own
		return nil
	}
	err := c.term.Decide(context.Background(), d, rows, why)
	c.l.w.logf("%s decides %s of %s in term %d: %v", c.l.n.id, d, c.rec.Spec.ID, c.term.Number(), err)
	return err
}

// publish makes the files of the winners visible, once it is decided that they may be.
func (c *driving) publish(p *proc, a sched.Publish) {
	if !c.live() {
		return
	}
	rows := c.d.Rows()
	c.publishing = true
	err := c.decide(terms.Publish, rows, nil)
	if err == nil {
		err = c.seal(a)
	}
	if err == nil {
		if p.sleep(1+c.l.w.rng.Int64N(publishTime)) != nil {
			return
		}
		c.j.folder.show()
		c.l.w.logf("%s has published %s", c.l.n.id, c.rec.Spec.ID)
	}
	if c.l.dead {
		return
	}
	c.step(sched.Published{Try: a.Try, Err: err})
}

func (c *driving) seal(a sched.Publish) error {
	var names []string
	var tasks []plan.TaskID
	for _, win := range a.Winners {
		names, tasks = append(names, win.Output.Manifest), append(tasks, win.Attempt.Task)
	}
	if lost := c.j.folder.seal(names, tasks); lost != nil {
		return &plan.Error{Kind: plan.KindFetch, Op: "publish", Text: "staged files are gone", Lost: lost}
	}
	return nil
}

// finish is the end of the job here. An end that another term may see otherwise is
// decided first.
func (c *driving) finish(f *sched.Finish) {
	if c.finished {
		return
	}
	c.finished = true
	d := c.voteOf(f)
	c.l.w.logf("%s ends %s in term %d: %v %v", c.l.n.id, c.rec.Spec.ID, c.term.Number(), f.Status, f.Err)
	switch {
	case f.Status == sched.Fenced:
		c.fenced()
	case d == terms.None:
		c.l.w.spawn(c.l, func(p *proc) { c.conclude(p, f, true) })
	default:
		c.l.w.spawn(c.l, func(p *proc) { c.vote(p, d, f) })
	}
}

// vote has an end decided.
func (c *driving) vote(p *proc, d terms.Decision, f *sched.Finish) {
	c.onDecided(p, d, f, c.decide(d, f.Rows, f.Err))
}

// voteOf is what has to be decided for a job to end so.
func (c *driving) voteOf(f *sched.Finish) terms.Decision {
	switch {
	case c.j.folder == nil:
		return terms.None
	case f.Status == sched.Succeeded:
		return terms.Succeeded
	case f.Status == sched.Cancelled:
		return terms.Cancelled
	}
	return terms.Failed
}

// onDecided ends the job as was decided.
func (c *driving) onDecided(p *proc, d terms.Decision, f *sched.Finish, err error) {
	switch {
	case c.l.dead:
	case err == nil, c.l.w.bug == FencedEnd && errors.Is(err, plan.ErrFenced):
		c.conclude(p, f, true)
	case errors.Is(err, plan.ErrFenced):
		c.fenced()
	case f.Status == sched.Succeeded: // the files are published, and too few keepers know
		c.conclude(p, f, false)
	default: // too few keepers answer: it is put to the vote until they do
		c.l.w.stats.Undecided++
		if p.sleep(decidePause) == nil && !c.stopped {
			c.vote(p, d, f)
		}
	}
}

func (c *driving) fenced() {
	c.l.w.logf("%s is fenced off from %s", c.l.n.id, c.rec.Spec.ID)
	c.stopped = true
	delete(c.l.jobs, c.rec.Spec.ID)
}

// conclude makes the end known. Unless that was decided, what was staged stays: a
// successor may look there.
func (c *driving) conclude(p *proc, f *sched.Finish, decided bool) {
	s := c.news(map[sched.Status]api.State{sched.Succeeded: api.Succeeded, sched.Cancelled: api.Cancelled, sched.Failure: api.Failed}[f.Status])
	s.Ended, s.Rows, s.Error = max(c.l.clock(), 1), f.Rows, api.FromError(f.Err)
	if s.State == api.Succeeded && c.j.folder == nil {
		s.Result = &api.ResultInfo{Job: c.rec.Spec.ID}
		for _, win := range c.d.Segments(len(c.j.plan.Stages) - 1) {
			s.Result.Parts = append(s.Result.Parts, api.ResultPart{Addr: string(win.Holders[0]), Segment: win.Output.Segment, Rows: win.Output.Rows})
		}
	}
	rec := *c.rec
	rec.Status = s
	if c.j.folder == nil {
		c.tell(s)
	}
	most := c.l.recordEnd(p, &rec)
	if c.l.dead {
		return
	}
	if c.j.folder != nil {
		if most && decided {
			c.j.folder.discard()
		}
		c.tell(s)
	}
	term := c.term.Number()
	for _, id := range keys(c.nodes) {
		c.send(id, func(o *life) { o.onStop(rec.Spec.ID, term, nil) })
	}
}

// tell makes the end known to those who ask this node.
func (c *driving) tell(s *api.JobStatus) {
	c.status = s
	c.l.w.checks.noteEnd(c.l.w, c.j, s)
}

// cancel ends the job, unless it publishes.
func (c *driving) cancel() {
	switch {
	case c.finished || c.stopped || c.term.Inherited().Decision == terms.Publish && c.l.w.bug != Forget:
	case c.d == nil:
		c.finish(&sched.Finish{Status: sched.Cancelled, Err: plan.ErrCancelled})
	default:
		c.step(sched.Cancel{Reason: "asked for"})
	}
}

// recordEnd keeps an end here and on the job's homes, and reports whether most know.
func (l *life) recordEnd(p *proc, rec *api.Record) (most bool) {
	l.put(rec)
	homes, _ := l.peers.Homes(rec.Spec.ID)
	have := 0
	if all(p, len(homes), func(p *proc, i int) {
		if l.putAt(p, homes[i].ID, rec) == nil {
			have++
		}
	}) != nil {
		return false
	}
	return 2*have > len(homes)
}

// put keeps a record here; a driver of an older term gives up.
func (l *life) put(rec *api.Record) error {
	err := l.records.Put(rec)
	id := rec.Spec.ID
	if c := l.jobs[id]; c != nil && c.term.Number() < rec.Term {
		c.drop()
	}
	if now := l.records.Get(id); now != nil {
		l.w.checks.noteRecord(l.w, l.n, now)
	}
	return err
}

func (l *life) putAt(p *proc, id mesh.NodeID, rec *api.Record) error {
	if id == l.n.id {
		return l.put(rec)
	}
	return tell(p, id, recordTime, func(o *life) error { return o.put(rec) })
}

func (d driving) String() string { return fmt.Sprintf("%s in term %d", d.rec.Spec.ID, d.term.Number()) }
