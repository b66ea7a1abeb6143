package actors

import (
	"context"
	"errors"
	"log/slog"
	"time"

	"github.com/asynkron/protoactor-go/actor"
	"google.golang.org/protobuf/proto"

	"github.com/pondmesh/pond/actors/exec"
	"github.com/pondmesh/pond/actors/plan"
	"github.com/pondmesh/pond/actors/wire"
	"github.com/pondmesh/pond/mesh"
)

// Bounds of the worker's talk with coordinators.
const (
	reconcileInterval = time.Second      // how often a coordinator hears what runs here
	pullTimeout       = 5 * time.Second  // one Pull
	reportTimeout     = 10 * time.Second // one Done or Failed
	reportTriesMax    = 6
	reportPause       = 250 * time.Millisecond // doubled each try
	jobsPerWorkerMax  = 4096
	orphanMax         = 30 * time.Second // attempts wait so long for a new coordinator of their job
)

// worker is the actor that owns a node's slots. It hears that a job has work,
// pulls as many tasks as it has free slots, runs each in a partition actor, and
// reports what came of it. It never decides what to run.
type worker struct {
	n       *Node
	log     *slog.Logger
	free    int                       // slots neither running nor asked for: 0 <= free <= Config.Slots
	leaving bool                      // no task starts any more
	jobs    map[plan.JobID]*workerJob // at most jobsPerWorkerMax
	order   []plan.JobID              // the keys of jobs; the first is asked next
	pulling bool                      // one pull is under way
	idle    []chan struct{}           // closed and dropped once no slot is taken
	ticker  *time.Ticker
	done    chan struct{} // ends the ticker's goroutine; nil once closed
}

// workerJob is a job as one worker knows it.
type workerJob struct {
	id       plan.JobID
	term     uint64 // the highest heard of: lower ones are refused
	node     string // of its coordinator
	addr     string // of that node's router
	boot     string // of that router
	deadline int64  // Unix milliseconds; 0: none
	hasWork  bool   // until a pull comes back empty
	packets  *packetCache
	running  map[attemptKey]*runningAttempt // granted and not yet ended
	orphaned time.Time                      // when its coordinator was seen to be gone; zero: it is there
	untold   []*attemptOutcome              // ended and not reported: for the next coordinator; at most untoldMax
}

// untoldMax bounds the reports that wait for a coordinator. Those beyond it are
// forgotten: the coordinator will miss the attempts, and ask what is held.
const untoldMax = 1024

type runningAttempt struct {
	pid   *actor.PID
	stage plan.StageID
}

func (w *worker) Receive(c actor.Context) {
	switch m := c.Message().(type) {
	case *actor.Started:
		w.start(c)
	case *actor.Stopping, *actor.Restarting:
		w.stopAll()
	case *workMsg:
		w.onWork(c, m)
	case *stopMsg:
		w.onStop(c, m.stop)
	case *pulledMsg:
		w.onPulled(c, m)
	case *endedMsg:
		w.onEnded(c, m)
	case *drainMsg:
		w.leaving = true
		w.idle = append(w.idle, m.idle)
		w.checkIdle()
	case *abandonMsg:
		for _, j := range w.jobs {
			w.dropJob(c, j)
		}
	case *tickMsg:
		w.reconcile(c)
	case *viewMsg:
		w.onView(c)
	}
}

func (w *worker) start(c actor.Context) {
	w.ticker = time.NewTicker(reconcileInterval)
	w.done = make(chan struct{})
	root, self := c.ActorSystem().Root, c.Self()
	go func(t *time.Ticker, done chan struct{}) {
		for {
			select {
			case <-t.C:
				root.Send(self, &tickMsg{})
			case <-done:
				return
			}
		}
	}(w.ticker, w.done)
}

// stopAll ends the ticker and, by stopping the children, every attempt.
func (w *worker) stopAll() {
	if w.done != nil {
		w.ticker.Stop()
		close(w.done)
		w.done = nil
	}
}

func (w *worker) onWork(c actor.Context, m *workMsg) {
	h := m.work.GetHeader()
	id := plan.JobID(h.GetJob())
	j := w.jobs[id]
	switch {
	case w.leaving:
		return
	case id.Check() != nil:
		w.n.refused.Note("work of a job without a proper id", "from", m.from.Node)
		return
	case j == nil && len(w.jobs) >= jobsPerWorkerMax:
		w.n.refused.Note("work: too many jobs are open", "from", m.from.Node, "job", id)
		return
	case j == nil:
		j = &workerJob{id: id, running: map[attemptKey]*runningAttempt{}}
		w.jobs[id] = j
		w.order = append(w.order, id)
	case h.GetTerm() < j.term:
		return // an older coordinator, fenced off
	}
	if j.addr != m.work.GetCoordinatorAddr() || j.term != h.GetTerm() {
		j.packets = newPacketCache(w.n, id, h.GetTerm(), m.work.GetCoordinatorAddr())
	}
	j.term, j.node, j.addr, j.boot = h.GetTerm(), m.from.Node, m.work.GetCoordinatorAddr(), m.from.Boot
	j.deadline = h.GetDeadlineUnixMs()
	j.hasWork, j.orphaned = true, time.Time{}
	untold := j.untold
	j.untold = nil
	for _, out := range untold {
		w.report(c, j, out)
	}
	w.pull(c)
}

// pull asks the next job with work for as many tasks as there are free slots.
// One pull is under way at a time, so slots are never promised twice.
func (w *worker) pull(c actor.Context) {
	if w.pulling || w.leaving || w.free <= 0 {
		return
	}
	for range w.order {
		id := w.order[0]
		w.order = append(w.order[1:], id)
		j := w.jobs[id]
		if j == nil || !j.hasWork {
			continue
		}
		asked := min(w.free, wire.RunsMax)
		w.free, w.pulling = w.free-asked, true
		msg := &wire.Pull{Header: w.header(j), Slots: int32(asked), Running: j.tasks()}
		w.ask(c, j, msg, &pulledMsg{job: id, term: j.term, asked: asked, pull: true})
		return
	}
}

// ask sends msg to a job's coordinator and posts the answer to the worker.
func (w *worker) ask(c actor.Context, j *workerJob, msg *wire.Pull, answer *pulledMsg) {
	root, self, addr := c.ActorSystem().Root, c.Self(), j.addr
	w.n.goes.Go(func() {
		ctx, cancel := context.WithTimeout(w.n.ctx, pullTimeout)
		defer cancel()
		reply, err := w.n.wire.Call(ctx, addr, msg)
		answer.err = err
		if g, ok := reply.(*wire.Grant); ok {
			answer.runs = g.GetRuns()
		}
		root.Send(self, answer)
	})
}

func (w *worker) onPulled(c actor.Context, m *pulledMsg) {
	if m.pull {
		w.pulling = false
	}
	j := w.jobs[m.job]
	w.free += m.asked
	if j != nil && m.term == j.term {
		if len(m.runs) == 0 {
			j.hasWork = false // until its coordinator says otherwise
		}
		for _, r := range m.runs[:min(len(m.runs), m.asked)] {
			w.free--
			w.begin(c, j, r)
		}
		if fencedOff(m.err) {
			w.dropJob(c, j)
		}
	}
	if j != nil && m.told != nil && m.err != nil {
		w.retell(c, j, m)
	}
	w.checkIdle()
	w.pull(c)
}

// begin starts a partition actor for one attempt.
func (w *worker) begin(c actor.Context, j *workerJob, r *wire.Run) {
	key := keyOf(r.GetTask())
	if j.running[key] != nil {
		w.free++
		return
	}
	a := &attempt{
		Attempt: exec.Attempt{
			Job: j.id, ID: r.GetTask().AttemptID(), Stage: key.stage, Version: uint64(r.GetSpecVersion()),
			Memory: r.GetMemory(), Threads: w.n.tasks.Threads(int(r.GetThreads())), Lineage: r.GetLineage(),
		},
		deadline: j.deadline, packets: j.packets,
	}
	w.n.segments.Pin(j.id, a.ID.Task.Stage)
	worker := c.Self()
	pid := c.Spawn(actor.PropsFromProducer(func() actor.Actor { return &partition{n: w.n, worker: worker, a: a} }))
	j.running[key] = &runningAttempt{pid: pid, stage: a.ID.Task.Stage}
	w.n.running.Add(1)
}

func (w *worker) onEnded(c actor.Context, m *endedMsg) {
	w.free++
	w.n.running.Add(-1)
	if j := w.jobs[m.job]; j != nil {
		if r := j.running[m.key]; r != nil {
			delete(j.running, m.key)
			c.Stop(r.pid)
		}
		switch {
		case m.out == nil:
		case j.orphaned.IsZero():
			w.report(c, j, m.out)
		case len(j.untold) < untoldMax:
			j.untold = append(j.untold, m.out)
		}
	}
	w.checkIdle()
	w.pull(c)
}

// report tells the coordinator, which may answer with the next task for the
// slot that has become free.
func (w *worker) report(c actor.Context, j *workerJob, out *attemptOutcome) {
	root, self, addr := c.ActorSystem().Root, c.Self(), j.addr
	answer := &pulledMsg{job: j.id, term: j.term, told: out}
	if !w.leaving && w.free > 0 {
		w.free--
		answer.asked = 1
	}
	n, h, log := w.n, w.header(j), w.log.With("job", j.id, "to", addr)
	n.goes.Go(func() {
		deliver := func(m proto.Message) ([]*wire.Run, error) { return n.deliver(addr, m) }
		answer.runs, answer.err = out.tell(deliver, h, log)
		root.Send(self, answer)
	})
}

// retell keeps a report that its coordinator did not hear, for the next one.
func (w *worker) retell(c actor.Context, j *workerJob, m *pulledMsg) {
	switch {
	case w.jobs[j.id] != j: // dropped
	case m.term < j.term && j.orphaned.IsZero():
		w.report(c, j, m.told)
	case errors.Is(m.err, plan.ErrUnavailable) && !j.orphaned.IsZero() && len(j.untold) < untoldMax:
		j.untold = append(j.untold, m.told)
	}
}

// tell delivers the report. A report that is refused, here or there, would leave
// its attempt unheard of for ever: the attempt is reported as failed instead.
func (o *attemptOutcome) tell(deliver func(proto.Message) ([]*wire.Run, error), h *wire.Header, log *slog.Logger) ([]*wire.Run, error) {
	runs, err := deliver(o.message(h))
	switch {
	case err == nil, fencedOff(err):
		return runs, err
	case errors.Is(err, plan.ErrUnavailable): // the coordinator will miss the attempt, and run another
		log.Warn("a report was not delivered", "err", err)
		return runs, err
	}
	log.Error("a report was refused", "err", err)
	return deliver(o.refused(err).message(h))
}

// fencedOff reports whether a coordinator no longer takes reports of the job.
func fencedOff(err error) bool {
	return errors.Is(err, plan.ErrFenced) || errors.Is(err, plan.ErrNotFound)
}

// deliver hands a report to a coordinator, more than once if it cannot be reached.
func (n *Node) deliver(addr string, report proto.Message) ([]*wire.Run, error) {
	pause := reportPause
	for try := 1; ; try++ {
		ctx, cancel := context.WithTimeout(n.ctx, reportTimeout)
		reply, err := n.wire.Call(ctx, addr, report)
		cancel()
		if g, ok := reply.(*wire.Grant); ok {
			return g.GetRuns(), err
		}
		if err == nil || !errors.Is(err, plan.ErrUnavailable) || try == reportTriesMax || !n.sleep(pause) {
			return nil, err
		}
		pause *= 2
	}
}

func (w *worker) onStop(c actor.Context, s *wire.Stop) {
	j := w.jobs[plan.JobID(s.GetHeader().GetJob())]
	if j == nil || s.GetHeader().GetTerm() < j.term {
		return
	}
	if s.GetTask() == nil {
		w.dropJob(c, j)
		return
	}
	if r := j.running[keyOf(s.GetTask())]; r != nil {
		c.Send(r.pid, &cancelMsg{plan.ErrCancelled})
	}
}

// dropJob forgets a job: its attempts are cancelled, and their slots come back
// as they end.
func (w *worker) dropJob(c actor.Context, j *workerJob) {
	for _, r := range j.running {
		c.Stop(r.pid)
	}
	delete(w.jobs, j.id)
	for i, id := range w.order {
		if id == j.id {
			w.order = append(w.order[:i], w.order[i+1:]...)
			break
		}
	}
	j.packets.close()
	w.n.segments.Unpin(j.id)
}

// reconcile tells each coordinator what runs here, so that it learns of tasks
// that were granted but never arrived, and of nodes that forgot.
func (w *worker) reconcile(c actor.Context) {
	for _, j := range w.jobs {
		if !j.orphaned.IsZero() {
			if time.Since(j.orphaned) > orphanMax {
				w.log.Info("nobody took a job over: its tasks end", "job", j.id)
				w.dropJob(c, j)
			}
			continue
		}
		asked := 0
		if !w.leaving && !w.pulling && w.free > 0 && j.hasWork {
			asked = min(w.free, wire.RunsMax)
			w.free -= asked
		}
		msg := &wire.Pull{Header: w.header(j), Slots: int32(asked), Running: j.tasks()}
		w.ask(c, j, msg, &pulledMsg{job: j.id, term: j.term, asked: asked})
	}
}

// onView has the tasks of jobs whose coordinator's node is gone wait for the next
// coordinator. A node that is back already at the same address refuses messages to
// its former router.
func (w *worker) onView(actor.Context) {
	view := w.n.mesh.View()
	for _, j := range w.jobs {
		if m, ok := view.Find(mesh.NodeID(j.node)); j.orphaned.IsZero() && (!ok || m.ActorsAddr() != j.addr) {
			w.log.Info("a job's coordinator is gone", "job", j.id)
			j.orphaned, j.hasWork = time.Now(), false
		}
	}
}

func (w *worker) checkIdle() {
	if len(w.idle) == 0 || w.free < w.n.cfg.Slots {
		return
	}
	for _, ch := range w.idle {
		close(ch)
	}
	w.idle = nil
}

func (w *worker) header(j *workerJob) *wire.Header {
	return &wire.Header{Job: string(j.id), Term: j.term, ToBoot: j.boot}
}

func (j *workerJob) tasks() []*wire.Task {
	out := make([]*wire.Task, 0, len(j.running))
	for k, r := range j.running {
		out = append(out, k.task(r.stage))
	}
	return out
}

func keyOf(t *wire.Task) attemptKey {
	return attemptKey{int(t.GetStage()), int(t.GetPartition()), int(t.GetAttempt())}
}

func (k attemptKey) task(stage plan.StageID) *wire.Task {
	return &wire.Task{StageId: string(stage), Stage: int32(k.stage), Partition: int32(k.partition), Attempt: int32(k.attempt)}
}
