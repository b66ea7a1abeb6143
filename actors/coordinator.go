package actors

import (
	"context"
	"errors"
	"log/slog"
	"math/rand/v2"
	"slices"
	"time"

	"github.com/asynkron/protoactor-go/actor"
	"google.golang.org/protobuf/proto"

	"github.com/pondmesh/pond/actors/api"
	"github.com/pondmesh/pond/actors/crew"
	"github.com/pondmesh/pond/actors/jobs"
	"github.com/pondmesh/pond/actors/peers"
	"github.com/pondmesh/pond/actors/plan"
	"github.com/pondmesh/pond/actors/prepare"
	"github.com/pondmesh/pond/actors/publish"
	"github.com/pondmesh/pond/actors/report"
	"github.com/pondmesh/pond/actors/sched"
	"github.com/pondmesh/pond/actors/tally"
	"github.com/pondmesh/pond/actors/terms"
	"github.com/pondmesh/pond/actors/wire"
	"github.com/pondmesh/pond/fs/dataset"
	"github.com/pondmesh/pond/mesh"
	"github.com/pondmesh/pond/mesh/delay"
)

// Times of a coordinator.
const (
	tickInterval  = 250 * time.Millisecond
	statusEvery   = 100 * time.Millisecond // watchers hear no more often, but for the end
	heldTimeout   = 5 * time.Second
	outputTimeout = time.Minute // opening the output, and asking for held segments
	recordTimeout = 10 * time.Second
	silenceMax    = 5 * time.Second // a node at work says so every second
)

// coordinator is the actor that drives one job. It turns messages into events for
// the Decider and carries out the Decider's actions. It keeps no log: the segments
// that nodes hold are the journal, and a coordinator begins by asking for them.
type coordinator struct {
	n      *Node
	log    *slog.Logger
	hosted *jobs.Job
	term   uint64 // messages of another one are refused

	d          *sched.Decider     // nil until the job is planned
	job        *plan.Job          // what d schedules; its stages are only ever added to
	crew       crew.Crew          // the nodes, as told to d
	output     *publish.Output    // nil: the job writes no files, or another has to end it
	files      []string           // published ones
	tally      tally.Tally        // of job's stages
	reviser    sched.Reviser      // says when to plan the rest again
	waited     bool               // for a place, and that is recorded
	unplan     context.CancelFunc // ends the planning; nil until the job is admitted
	planned    chan *planned      // holds the plan until it is taken, with the output that is open then
	ticker     *time.Ticker
	done       chan struct{} // ends the ticker's goroutine; nil once closed
	start      time.Time     // 0 of the Decider's clock
	shown      time.Time     // when status was last published
	dirty      bool          // something happened since
	publishing bool          // it is decided that the files are published, or about to be
	finished   bool          // the end is reported: no event reaches d any more
}

func (c *coordinator) Receive(ctx actor.Context) {
	switch m := ctx.Message().(type) {
	case *actor.Started:
		c.begin(ctx)
	case *actor.Stopping, *actor.Restarting:
		c.stop()
	case *jobs.Admitted:
		c.onAdmitted(ctx)
	case *plannedMsg:
		c.onPlanned(ctx, <-c.planned)
	case *nodeMsg:
		c.onNode(ctx, m)
	case *partsMsg:
		c.onParts(ctx, m)
	case *packetMsg:
		p, err := c.packet(m)
		m.reply <- packetReply{p, err}
	case *heldMsg:
		c.onHeld(ctx, m.held)
	case *membersMsg:
		c.onView(ctx, m.view, false)
	case *jobs.Cancel:
		c.onCancel(ctx, m)
	case *publishedMsg:
		if !c.finished {
			c.files = m.files
		}
		c.step(ctx, sched.Published{Try: m.try, Err: m.err})
	case *withdrawnMsg:
		c.onWithdrawn(ctx, m)
	case *decidedMsg:
		c.onDecided(ctx, m)
	case *tickMsg:
		c.tick(ctx)
	}
}

// begin plans the job, or has it wait.
func (c *coordinator) begin(ctx actor.Context) {
	c.start = time.Now()
	c.log = c.n.log.With("job", c.hosted.Spec.ID)
	root, self := ctx.ActorSystem().Root, ctx.Self()
	ticker, done := time.NewTicker(tickInterval), make(chan struct{})
	c.ticker, c.done = ticker, done // stopTicker may forget done before tick has begun
	c.n.goes.Go(func() { tick(root, self, ticker, done) })
	if c.n.jobs.Admitted(c.hosted) {
		c.plan(ctx)
		return
	}
	ticker.Reset(waitTick)
}

// plan plans the job beside the actor: reading footers takes a while.
func (c *coordinator) plan(ctx actor.Context) {
	root, self := ctx.ActorSystem().Root, ctx.Self()
	plans, quit := planningContext(c.n.ctx, c.hosted.Spec)
	c.unplan = quit
	done := make(chan *planned, 1)
	c.planned = done
	c.n.goes.Go(func() {
		defer quit()
		done <- c.n.prepare(plans, c.hosted)
		close(done)
		root.Send(self, &plannedMsg{})
	})
}

// planningContext returns the context in which a job is planned: only the job's
// deadline, and its end, bound it.
func planningContext(ctx context.Context, spec *api.JobSpec) (context.Context, context.CancelFunc) {
	if d := spec.Options.DeadlineMillis; d > 0 {
		return context.WithDeadline(ctx, time.UnixMilli(spec.Submitted+d))
	}
	return context.WithCancel(ctx)
}

// tick posts to an actor until done.
func tick(root *actor.RootContext, to *actor.PID, t *time.Ticker, done <-chan struct{}) {
	for {
		select {
		case <-t.C:
			root.Send(to, &tickMsg{})
		case <-done:
			return
		}
	}
}

// stop gives up the job without ending it, as the death of the node would.
func (c *coordinator) stop() {
	c.stopTicker()
	if c.unplan != nil {
		c.unplan()
	}
	c.handOver().Release() // also while the job's end is being voted on: a successor ends the job
	if c.planned != nil {
		c.n.goes.Go(func() {
			for m := range c.planned { // nobody has taken it
				m.out.Release()
			}
		})
	}
	c.n.jobs.Leave(c.hosted)
}

func (c *coordinator) stopTicker() {
	if c.done != nil {
		c.ticker.Stop()
		close(c.done)
		c.done = nil
	}
}

// prepare plans a job, opens its output, and asks every node for the segments of
// the job's stages that it already holds.
func (n *Node) prepare(ctx context.Context, r *jobs.Job) *planned {
	spec, term := r.Spec, r.Term.Number()
	m := new(planned)
	if p := spec.Plan; r.Term.MayPublish() && p != nil && p.Sink.Write != nil {
		// What the job reads may be gone since, or be what it has published.
		if m.err = n.openOutput(ctx, r, p.Sink.Write, m); m.err != nil || m.published {
			return m
		}
	}
	job, err := n.planner.Compile(prepare.WithProgress(ctx, r.Planning), spec, r.Record.Capacity)
	switch {
	case err == nil:
	case errors.Is(ctx.Err(), context.DeadlineExceeded):
		m.err = plan.TimeUp("plan", spec.Options.DeadlineMillis)
		return m
	default:
		m.err = err
		return m
	}
	w := job.Plan.Result.Write
	if w != nil && term == 1 { // another first driver would stage files of the same names
		if m.err = n.claim(ctx, r.Term); m.err != nil {
			return m
		}
	}
	if m.out == nil && w != nil {
		if m.err = n.openOutput(ctx, r, w, m); m.err != nil {
			return m
		}
	}
	ctx, cancel := context.WithTimeout(ctx, outputTimeout)
	defer cancel()
	m.job, m.size = job, n.planner.NamedBytes(ctx, job.Plan)
	if !spec.Options.NoReuse || term > 1 { // else nobody can hold any
		m.held = n.heldBy(ctx, job.Plan, n.mesh.View().Members)
	}
	return m
}

// openOutput opens a job's output, and looks whether a predecessor has published it. One
// that may have is asked for again: without it nothing is known of the job's end.
func (n *Node) openOutput(ctx context.Context, r *jobs.Job, w *plan.Write, m *planned) (err error) {
	tries := 1
	if r.Term.MayPublish() {
		tries = withdrawTries
	}
	for try := range tries {
		if try > 0 && delay.For(ctx, decidePause) != nil {
			break
		}
		if err = n.tryOutput(ctx, r, w, m); err == nil {
			n.goes.Go(func() { n.outputs.ClearBeside(n.ctx, r.Spec.ID, w) })
			break
		}
	}
	return err
}

func (n *Node) tryOutput(ctx context.Context, r *jobs.Job, w *plan.Write, m *planned) (err error) {
	ctx, cancel := context.WithTimeout(ctx, outputTimeout)
	defer cancel()
	if m.out == nil {
		if m.out, err = n.outputs.Open(ctx, r.Spec.ID, dataset.Writer{Name: r.Spec.Owner, Admin: r.Spec.Admin}, w); err != nil {
			return err
		}
	}
	if r.Term.Number() > 1 {
		m.files, m.published, err = m.out.Published(ctx)
	}
	return err
}

// claim claims a term, for as long as it takes until enough keepers answer.
func (n *Node) claim(ctx context.Context, t *terms.Term) error {
	for {
		bounded, stop := context.WithTimeout(ctx, decideTimeout)
		err := t.Claim(bounded)
		stop()
		if err == nil || errors.Is(err, plan.ErrFenced) || ctx.Err() != nil || delay.For(n.ctx, decidePause) != nil {
			return err
		}
	}
}

// heldBy asks nodes for the journal of a job's stages.
func (n *Node) heldBy(ctx context.Context, job *plan.Job, members []mesh.Member) []nodeHeld {
	ctx, cancel := context.WithTimeout(ctx, heldTimeout)
	defer cancel()
	ids := make([]plan.StageID, len(job.Stages))
	for i, s := range job.Stages {
		ids[i] = s.ID
	}
	answers := peers.Ask(ctx, n.peers, members, "held segments",
		func() []api.Held { return n.segments.Held(ids) },
		func(ctx context.Context, p *api.Peer) ([]api.Held, error) { return p.Held(ctx, ids) })
	return slices.DeleteFunc(answers, func(a nodeHeld) bool { return len(a.Said) == 0 })
}

func (c *coordinator) onPlanned(ctx actor.Context, m *planned) {
	if c.finished { // cancelled while it was planned
		m.out.Release()
		return
	}
	c.output = m.out
	if errors.Is(m.err, plan.ErrFenced) {
		c.finish(ctx, &sched.Finish{Status: sched.Fenced, Err: m.err})
		return
	}
	c.publishing = c.hosted.Term.MayPublish()
	if m.err != nil {
		c.finish(ctx, &sched.Finish{Status: sched.Failure, Err: m.err})
		return
	}
	if m.published { // by a predecessor, which told nobody
		c.files = m.files
		c.finish(ctx, &sched.Finish{Status: sched.Succeeded, Rows: c.hosted.Term.Inherited().Rows})
		return
	}
	c.hosted.Planned(m.job)
	c.job = m.job.Plan
	c.tally.Grow(c.job.Stages, m.size)
	c.d = sched.New(c.job, sched.Config{Term: int64(c.term), Near: c.near(), Copies: c.hosted.Spec.Options.Copies, RanMillis: c.ranBefore()})
	c.log.Info("job planned", "stages", len(c.job.Stages), "took", time.Since(c.start))
	c.onView(ctx, c.n.mesh.View(), true)
	c.onHeld(ctx, m.held)
	c.publishStatus(true)
	if !c.replanned() { // else nodes are being asked for segments of the new ones
		c.tick(ctx)
	}
}

// ranBefore is how long the job ran under earlier terms, at most.
func (c *coordinator) ranBefore() int64 {
	if c.term == 1 {
		return 0
	}
	return max(c.start.UnixMilli()-c.hosted.Spec.Submitted, 0)
}

// near is the node that hears of work first: this one, unless its slots are taken.
// Then it is a random one, so that not all jobs turn to the same.
func (c *coordinator) near() sched.NodeID {
	members := c.n.mesh.View().Members
	if c.n.slotFree(len(c.job.Stages) == 1) || len(members) == 0 {
		return sched.NodeID(c.n.id)
	}
	return sched.NodeID(members[rand.IntN(len(members))].ID)
}

// slotFree reports whether a task would begin here now. One of a job of one stage may have
// the quick slot.
func (n *Node) slotFree(quick bool) bool {
	slots := n.cfg.Slots
	if quick && n.cfg.QuickMemory() > 0 {
		slots++
	}
	return int(n.running.Load()) < slots
}

// onHeld tells the Decider what nodes hold.
func (c *coordinator) onHeld(ctx actor.Context, held []nodeHeld) {
	for _, h := range held {
		if segs := report.Held(h.Said, c.hosted.Spec, c.job); len(segs) > 0 {
			c.step(ctx, sched.Held{Node: sched.NodeID(h.Node.ID), Boot: sched.Boot(h.Node.Boot), Segments: segs})
		}
	}
	if c.d != nil {
		c.adapt(ctx)
	}
}

// askHeld asks a node that has come back, beside the actor.
func (c *coordinator) askHeld(ctx actor.Context, m mesh.Member) {
	root, self, job := ctx.ActorSystem().Root, ctx.Self(), c.job
	c.n.goes.Go(func() { root.Send(self, &heldMsg{c.n.heldBy(c.n.ctx, job, []mesh.Member{m})}) })
}

// release has a node drop a segment that nobody will read.
func (c *coordinator) release(r sched.Release) {
	addr := c.crew.API(r.Node)
	if r.Segment == "" || addr == "" {
		return
	}
	c.n.goes.Go(func() {
		ctx, cancel := context.WithTimeout(c.n.ctx, heldTimeout)
		defer cancel()
		if err := c.n.api.At(addr).DropSegment(ctx, c.hosted.Spec.ID, c.term, r.Attempt.Task.Stage, r.Segment); err != nil {
			c.log.Debug("releasing a segment", "node", r.Node, "err", err)
		}
	})
}

// onView tells the Decider which nodes joined, are leaving and are gone. asked: those
// that are in view have been asked what they hold.
func (c *coordinator) onView(ctx actor.Context, v *mesh.View, asked bool) {
	if c.d == nil || c.finished {
		return
	}
	for _, change := range c.crew.See(v) {
		c.step(ctx, change.Event)
		switch change.Event.(type) {
		case sched.NodeUp:
			if change.Back || c.term > 1 && change.New && !asked {
				c.askHeld(ctx, change.Node)
			}
		case sched.NodeLeaving:
			if c.term > 1 && change.New {
				c.send(change.Node.ID, c.offer()) // of no task: of whom to report to
			}
		case sched.NodeLost:
			c.log.Info("node lost", "node", change.Node.ID)
		}
	}
}

func (c *coordinator) onCancel(ctx actor.Context, m *jobs.Cancel) {
	switch {
	case c.finished:
	case c.hosted.Term.MayPublish():
		c.log.Info("the job is not cancelled: it publishes its files already")
	case c.d == nil:
		c.finish(ctx, &sched.Finish{Status: sched.Cancelled, Err: &plan.Error{Kind: plan.KindCancelled, Op: "job", Text: m.Reason}})
	default:
		c.step(ctx, sched.Cancel{Reason: m.Reason})
	}
}

// clockSlack is how far the clock of a node that ends an attempt at the job's deadline
// may be ahead of this one's.
const clockSlack = 5 * time.Second

// timeUp is how many milliseconds the job was given, and whether they are over, or will
// be so soon.
func (c *coordinator) timeUp(soon time.Duration) (given int64, up bool) {
	given = c.hosted.Spec.Options.DeadlineMillis
	return given, given > 0 && time.Now().Add(soon).UnixMilli() > c.hosted.Spec.Submitted+given
}

func (c *coordinator) tick(ctx actor.Context) {
	if c.unplan == nil && !c.finished {
		c.await(ctx)
	}
	if c.d == nil || c.finished {
		return
	}
	if given, up := c.timeUp(0); up {
		c.step(ctx, sched.Deadline{Millis: given})
		return
	}
	if c.holdLease(ctx); c.finished {
		return
	}
	c.step(ctx, sched.Tick{Now: c.now()})
	c.wakeSilent()
	c.publishStatus(false)
}

// wakeSilent offers work to nodes that have been silent: their answer lists the
// tasks they run. A node that lost sight of this one for a moment has forgotten the
// job, and no other message would show it.
func (c *coordinator) wakeSilent() {
	for _, id := range c.crew.Silent(time.Now(), silenceMax) {
		if c.d.Holds(sched.NodeID(id)) {
			c.send(id, c.offer())
		}
	}
}

// small reports whether the job is one short task, as far as can be told.
func (c *coordinator) small() bool { return c.d != nil && c.tally.Small(c.d) }

func (c *coordinator) offer() *wire.Work {
	return &wire.Work{Header: c.header(), CoordinatorAddr: c.n.wire.Addr(), User: c.hosted.Spec.Submitter(), Small: c.small()}
}

func (c *coordinator) now() int64 { return time.Since(c.start).Milliseconds() }

// step feeds one event and does what comes of it. Runs are returned: they
// answer a pull.
func (c *coordinator) step(ctx actor.Context, e sched.Event) []*wire.Run {
	var runs []*wire.Run
	if c.d == nil || c.finished {
		return nil
	}
	actions := c.d.Step(e)
	if err := c.tooLarge(); err != nil {
		c.finish(ctx, &sched.Finish{Status: sched.Failure, Err: err})
		return nil
	}
	for _, a := range actions {
		switch a := a.(type) {
		case sched.Run:
			runs = append(runs, c.grant(a))
		case sched.Offer:
			c.send(mesh.NodeID(a.Node), c.offer())
		case sched.Stop:
			c.send(mesh.NodeID(a.Node), &wire.Stop{Header: c.header(), Task: c.task(a.Attempt)})
		case sched.Release:
			c.release(a)
		case sched.Copy:
			c.send(mesh.NodeID(a.Node), report.Copy(c.header(), c.task(a.Attempt), a))
		case sched.Publish:
			c.publish(ctx, a)
		case sched.Finish:
			c.finish(ctx, &a)
		}
	}
	c.dirty = true
	return runs
}

func (c *coordinator) header() *wire.Header {
	h := &wire.Header{Job: string(c.hosted.Spec.ID), Term: c.term}
	if d := c.hosted.Spec.Options.DeadlineMillis; d > 0 {
		h.DeadlineUnixMs = c.hosted.Spec.Submitted + d
	}
	return h
}

// send sends a node a message that may get lost: offers are repeated, and a node
// that runs an attempt in vain is told to stop it when it reports.
func (c *coordinator) send(to mesh.NodeID, msg proto.Message) {
	m, ok := c.crew.Find(to)
	if !ok {
		return
	}
	addr := m.ActorsAddr()
	c.n.goes.Go(func() {
		if err := c.n.wire.Send(c.n.ctx, addr, msg); err != nil {
			c.log.Debug("sending", "node", to, "err", err)
		}
	})
}

// stageIndex is where a stage stands in the job.
func (c *coordinator) stageIndex(id plan.StageID) int {
	return slices.IndexFunc(c.job.Stages, func(s *plan.Stage) bool { return s.ID == id })
}

func (c *coordinator) task(a plan.AttemptID) *wire.Task {
	return wire.NewTask(a, c.stageIndex(a.Task.Stage), 0)
}
