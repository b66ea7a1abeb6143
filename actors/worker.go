package actors

import (
	"context"
	"errors"
	"log/slog"
	"time"

	"github.com/asynkron/protoactor-go/actor"
	"google.golang.org/protobuf/proto"

	"github.com/pondmesh/pond/actors/exec"
	"github.com/pondmesh/pond/actors/fair"
	"github.com/pondmesh/pond/actors/given"
	"github.com/pondmesh/pond/actors/plan"
	"github.com/pondmesh/pond/actors/report"
	"github.com/pondmesh/pond/actors/wire"
	"github.com/pondmesh/pond/mesh"
)

// Bounds of the worker's talk with coordinators.
const (
	reconcileInterval = time.Second     // how often a coordinator hears what runs here
	pullTimeout       = 5 * time.Second // one Pull
	jobsPerWorkerMax  = 4096
	orphanMax         = 30 * time.Second // attempts wait so long for a new coordinator of their job
)

// worker is the actor that owns a node's slots. It hears that a job has work,
// pulls tasks for the slots that the job's turn gives it, runs each in a partition
// actor, and reports what came of it. It never decides what to run.
type worker struct {
	n       *Node
	log     *slog.Logger
	slots   *fair.Slots
	courier *report.Courier
	start   time.Time                 // 0 of the clock of slots
	leaving bool                      // no task starts any more
	jobs    map[plan.JobID]*workerJob // at most jobsPerWorkerMax
	idle    []chan struct{}           // closed and dropped once no slot is taken
	ticker  *time.Ticker
	done    chan struct{} // ends the ticker's goroutine; nil once closed
}

func newWorker(n *Node) *worker {
	courier := &report.Courier{Call: n.wire.Call, Faults: n.cfg.Faults}
	return &worker{n: n, log: n.log, courier: courier, slots: fair.New(n.cfg.Slots, n.cfg.QuickMemory() > 0), start: time.Now(), jobs: map[plan.JobID]*workerJob{}}
}

// workerJob is a job as one worker knows it.
type workerJob struct {
	id       plan.JobID
	term     uint64 // the highest heard of: lower ones are refused
	node     string // of its coordinator
	addr     string // of that node's router
	boot     string // of that router
	deadline int64  // Unix milliseconds; 0: none
	user     string
	small    bool
	offered  bool // since it was last asked for tasks
	packets  *given.Packets
	running  map[attemptKey]*runningAttempt // granted and not yet ended
	orphaned time.Time                      // when its coordinator was seen to be gone; zero: it is there
	untold   []*report.Report               // ended and not reported: for the next coordinator; at most untoldMax
	copying  *copying                       // a segment of it, for others to have it too; nil: none
}

// untoldMax bounds the reports that wait for a coordinator. Those beyond it are
// forgotten: the coordinator will miss the attempts, and ask what is held.
const untoldMax = 1024

type runningAttempt struct {
	pid  *actor.PID
	task *wire.Task
}

// term is the highest of a job that was heard of; 0: none.
func (w *worker) term(id plan.JobID) uint64 {
	if j := w.jobs[id]; j != nil {
		return j.term
	}
	return 0
}

func (w *worker) now() int64 { return time.Since(w.start).Milliseconds() }

func (w *worker) Receive(c actor.Context) {
	switch m := c.Message().(type) {
	case *actor.Started:
		w.begins(c)
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
	case *termMsg:
		m.reply <- w.term(m.job)
	case *drainMsg:
		w.leaving = true
		w.idle = append(w.idle, m.idle)
		w.checkIdle()
	case *abandonMsg:
		for _, j := range w.jobs {
			w.dropJob(c, j)
		}
	case *copiedMsg:
		w.onCopied(c, m.job)
	case *copyMsg:
		w.onCopy(c, m.copy)
	case *sentMsg:
		w.onSent(m)
	case *tickMsg:
		w.reconcile(c)
	case *viewMsg:
		w.onView(c)
	}
}

func (w *worker) begins(c actor.Context) {
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
	case w.leaving && j == nil:
		return
	case id.Check() != nil:
		w.n.refused.Note("work of a job without a proper id", "from", m.from.Node)
		return
	case j == nil && len(w.jobs) >= jobsPerWorkerMax:
		w.n.refused.Note("work: too many jobs are open", "from", m.from.Node, "job", id)
		return
	case j == nil:
		j = w.newJob(id)
	case h.GetTerm() < j.term:
		return // an older coordinator, fenced off
	case h.GetTerm() == j.term && (j.node != m.from.Node || j.boot != m.from.Boot):
		if j.orphaned.IsZero() {
			return // another first driver, whose attempts have the same names
		}
		w.dropJob(c, j)
		j = w.newJob(id)
	}
	if j.addr != m.work.GetCoordinatorAddr() || j.term != h.GetTerm() {
		j.packets = w.n.packetsOf(id, h.GetTerm(), m.work.GetCoordinatorAddr())
	}
	j.term, j.node, j.addr, j.boot = h.GetTerm(), m.from.Node, m.work.GetCoordinatorAddr(), m.from.Boot
	j.deadline = h.GetDeadlineUnixMs()
	j.user, j.small, j.offered = m.work.GetUser(), m.work.GetSmall(), !w.leaving
	if j.orphaned = (time.Time{}); !w.leaving {
		w.want(j)
	}
	untold := j.untold
	j.untold = nil
	for _, out := range untold {
		w.report(c, j, out)
	}
	w.pull(c)
}

func (w *worker) newJob(id plan.JobID) *workerJob {
	j := &workerJob{id: id, running: map[attemptKey]*runningAttempt{}}
	w.jobs[id] = j
	w.n.segments.Claim(id)
	return j
}

func (w *worker) want(j *workerJob) { w.slots.Want(j.id, j.user, j.small, w.now()) }

// pull asks jobs with work for tasks, for each free slot the one whose turn it is. A
// job is asked once, so that one that does not answer holds no more than it was given.
func (w *worker) pull(c actor.Context) {
	if w.leaving {
		return
	}
	asks := map[plan.JobID][]*fair.Hold{}
	for h := w.slots.Next(w.now()); h != nil; h = w.slots.Next(w.now()) {
		id := h.Job()
		if asks[id] = append(asks[id], h); len(asks[id]) == wire.RunsMax {
			w.slots.Rest(id)
		}
	}
	for id, holds := range asks {
		j := w.jobs[id]
		j.offered = false
		w.slots.Rest(id) // until it answers
		msg := &wire.Pull{Header: w.header(j), Slots: int32(len(holds)), Running: j.tasks(), Small: holds[0].Quick()}
		w.ask(c, j, msg, &pulledMsg{job: id, term: j.term, holds: holds})
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
		answer.runs = w.courier.Granted(reply)
		root.Send(self, answer)
	})
}

func (w *worker) onPulled(c actor.Context, m *pulledMsg) {
	j := w.jobs[m.job]
	if j != nil && m.term == j.term {
		w.onRuns(c, j, m)
	}
	for _, h := range m.holds {
		w.slots.Give(h, w.now())
	}
	if j != nil && m.told != nil && m.err != nil {
		w.retell(c, j, m)
	}
	w.checkIdle()
	w.pull(c)
}

// onRuns begins the attempts that a job's coordinator granted, and takes the slots
// that they run on off m.
func (w *worker) onRuns(c actor.Context, j *workerJob, m *pulledMsg) {
	asked := len(m.holds)
	for _, r := range m.runs[:min(len(m.runs), asked)] {
		if w.begin(c, j, r, m.holds[0]) {
			m.holds = m.holds[1:]
		}
	}
	switch {
	case errors.Is(m.err, plan.ErrNotFound):
		w.dropJob(c, j)
	case errors.Is(m.err, plan.ErrFenced):
		w.orphan(j)
	case asked == 0:
	case len(m.runs) >= asked || j.offered:
		w.want(j)
	default:
		w.slots.Rest(j.id) // until its coordinator says otherwise
	}
}

// begin starts a partition actor for one attempt, unless it runs already.
func (w *worker) begin(c actor.Context, j *workerJob, r *wire.Run, h *fair.Hold) bool {
	key := keyOf(r.GetTask())
	if j.running[key] != nil {
		return false
	}
	a := &attempt{
		Attempt: exec.Attempt{
			Job: j.id, ID: r.GetTask().AttemptID(), Stage: key.stage, Version: uint64(r.GetSpecVersion()),
			Memory: r.GetMemory(), Threads: w.n.runner.Tasks.Threads(int(r.GetThreads())), Lineage: r.GetTask().GetLineage(),
		},
		deadline: j.deadline, packets: j.packets, hold: h,
	}
	if h.Quick() {
		a.Memory = min(a.Memory, w.n.cfg.QuickMemory())
	}
	w.n.segments.Pin(j.id, a.ID.Task.Stage)
	worker := c.Self()
	pid := c.Spawn(actor.PropsFromProducer(func() actor.Actor { return &partition{n: w.n, worker: worker, a: a} }))
	j.running[key] = &runningAttempt{pid: pid, task: r.GetTask()}
	w.n.running.Add(1)
	return true
}

func (w *worker) onEnded(c actor.Context, m *endedMsg) {
	w.slots.Give(m.hold, w.now())
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
		default:
			j.keep(m.out)
		}
	}
	w.checkIdle()
	w.pull(c)
}

// report tells the coordinator, which may answer with the next task: for the slot
// that has become free, if it is this job's turn again.
func (w *worker) report(c actor.Context, j *workerJob, out *report.Report) {
	root, self, addr := c.ActorSystem().Root, c.Self(), j.addr
	answer := &pulledMsg{job: j.id, term: j.term, told: out}
	if !w.leaving {
		w.want(j) // the report may be what its next stage has waited for
		if h := w.slots.Again(j.id, w.now()); h != nil {
			answer.holds, j.offered = []*fair.Hold{h}, false
		}
	}
	n, courier, h, log, slots := w.n, w.courier, w.header(j), w.log.With("job", j.id, "to", addr), int32(len(answer.holds))
	n.goes.Go(func() {
		deliver := func(m proto.Message) ([]*wire.Run, error) { return courier.Deliver(n.ctx, addr, m) }
		answer.runs, answer.err = out.Tell(deliver, h, slots, log)
		root.Send(self, answer)
	})
}

// retell keeps a report that its coordinator did not hear, for the next one.
func (w *worker) retell(c actor.Context, j *workerJob, m *pulledMsg) {
	switch {
	case w.jobs[j.id] != j: // dropped
	case m.term < j.term && j.orphaned.IsZero():
		w.report(c, j, m.told)
	case j.orphaned.IsZero():
	case errors.Is(m.err, plan.ErrUnavailable), errors.Is(m.err, plan.ErrFenced):
		j.keep(m.told)
	}
}

// keep holds a report back for the job's next coordinator.
func (j *workerJob) keep(out *report.Report) {
	if len(j.untold) < untoldMax {
		j.untold = append(j.untold, out)
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
	if j.copying != nil {
		j.copying.end()
	}
	delete(w.jobs, j.id)
	w.slots.Forget(j.id)
	if j.packets != nil {
		j.packets.Close()
	}
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
		w.ask(c, j, &wire.Pull{Header: w.header(j), Running: j.tasks()}, &pulledMsg{job: j.id, term: j.term})
	}
}

// onView has the tasks of jobs whose coordinator's node is gone wait for the next
// coordinator. A node that is back already at the same address refuses messages to
// its former router.
func (w *worker) onView(actor.Context) {
	view := w.n.mesh.View()
	for _, j := range w.jobs {
		if m, ok := view.Find(mesh.NodeID(j.node)); j.orphaned.IsZero() && (!ok || m.ActorsAddr() != j.addr) {
			w.orphan(j)
		}
	}
}

// orphan has a job's tasks go on, and its reports wait, for the next coordinator.
func (w *worker) orphan(j *workerJob) {
	if !j.orphaned.IsZero() {
		return
	}
	w.log.Info("a job's coordinator is gone", "job", j.id)
	j.orphaned, j.offered = time.Now(), false
	w.slots.Rest(j.id)
}

func (w *worker) checkIdle() {
	if len(w.idle) == 0 || !w.slots.Idle() {
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
	for _, r := range j.running {
		out = append(out, r.task)
	}
	return out
}

func keyOf(t *wire.Task) attemptKey {
	return attemptKey{int(t.GetStage()), int(t.GetPartition()), int(t.GetAttempt())}
}
