package sim

import (
	"errors"
	"fmt"
	"maps"
	"slices"

	"github.com/pondmesh/pond/actors/api"
	"github.com/pondmesh/pond/actors/fair"
	"github.com/pondmesh/pond/actors/plan"
	"github.com/pondmesh/pond/actors/sched"
	"github.com/pondmesh/pond/mesh"
)

// Times of a worker, in milliseconds, as the real one has them.
const (
	reportTime  = 10_000
	reportTries = 6
	reportPause = 250
	orphanMax   = 30_000
	readTime    = 1500
	taskTime    = 2000 // of a task's work, at most
)

// work is an offer of a coordinator.
type work struct {
	job    plan.JobID
	term   uint64
	driver driver
}

// worked is a job as one worker knows it.
type worked struct {
	id       plan.JobID
	term     uint64 // the highest heard of
	driver   driver
	hungry   bool // it may have tasks for free slots
	pulling  int  // slots for which tasks are asked
	packets  map[int]*packet
	running  map[plan.AttemptID]*attempt
	orphaned int64 // when its coordinator was seen to be gone; 0: it is there
	untold   []sched.Event
}

type attempt struct {
	run     sched.Run
	hold    *fair.Hold
	term    uint64
	from    driver // whom its packets come from
	packets map[int]*packet
	stopped bool
}

func (l *life) onWork(o work) {
	j := l.work[o.job]
	switch {
	case l.leaving && j == nil:
		return
	case j == nil:
		j = l.newWork(o.job)
	case o.term < j.term && l.w.bug != TermBlind:
		return
	case o.term == j.term && o.driver != j.driver && l.w.bug != TwoFirsts:
		if j.orphaned == 0 {
			return // another first driver, whose attempts have the same names
		}
		l.dropWork(j)
		j = l.newWork(o.job)
	}
	l.w.checks.noteObeyed(l.w, l, j.id, o.term)
	if j.term != o.term || j.driver != o.driver {
		j.packets = map[int]*packet{}
	}
	j.term, j.driver, j.orphaned = o.term, o.driver, 0
	l.want(j)
	untold := j.untold
	j.untold = nil
	for _, e := range untold {
		l.report(j, e)
	}
	l.pull()
}

func (l *life) newWork(id plan.JobID) *worked {
	j := &worked{id: id, running: map[plan.AttemptID]*attempt{}, packets: map[int]*packet{}}
	l.work[id] = j
	return j
}

func (l *life) onStop(id plan.JobID, term uint64, a *plan.AttemptID) {
	j := l.work[id]
	switch {
	case j == nil || term < j.term:
	case a == nil:
		l.dropWork(j)
	case j.running[*a] != nil:
		l.halt(j.running[*a])
		delete(j.running, *a)
		l.pull()
	}
}

func (l *life) dropWork(j *worked) {
	for _, id := range slices.SortedFunc(maps.Keys(j.running), byAttempt) {
		l.halt(j.running[id])
	}
	delete(l.work, j.id)
	l.slots.Forget(j.id)
	l.w.checks.noteObeyed(l.w, l, j.id, 0)
	l.segments.Unpin(j.id)
}

// halt ends an attempt before its time.
func (l *life) halt(a *attempt) {
	a.stopped = true
	l.slots.Give(a.hold, l.w.now)
}

// want notes that a job may have tasks, and rest that it has none for now.
func (l *life) want(j *worked) {
	j.hungry = true
	l.slots.Want(j.id, l.w.job(j.id).user, l.w.job(j.id).small(), l.w.now)
}

func (l *life) rest(j *worked) {
	j.hungry = false
	l.slots.Rest(j.id)
}

func (l *life) busy() bool { return !l.slots.Idle() }

// pull asks jobs that may have some for tasks, for each free slot the one whose turn it
// is.
func (l *life) pull() {
	if l.leaving {
		return
	}
	asks := map[plan.JobID][]*fair.Hold{}
	for h := l.next(); h != nil; h = l.next() {
		l.w.checks.noteSlot(l, h)
		asks[h.Job()] = append(asks[h.Job()], h)
		l.work[h.Job()].pulling++
		l.pulled[l.w.job(h.Job()).user]++
	}
	for _, id := range keys(asks) {
		j := l.work[id]
		l.rest(j)
		l.w.spawn(l, func(p *proc) { l.talk(p, j, nil, asks[id], 1) })
	}
}

// next holds a slot for the job whose turn it is.
func (l *life) next() *fair.Hold {
	if l.w.bug != Greedy {
		return l.slots.Next(l.w.now)
	}
	var rest []*worked
	for _, j := range sorted(l.work) { // the first that has work, whatever it holds
		if j.hungry && len(rest) > 0 {
			l.slots.Rest(j.id)
		}
		if j.hungry {
			rest = append(rest, j)
		}
	}
	h := l.slots.Next(l.w.now)
	for _, j := range rest {
		l.want(j)
	}
	return h
}

// reconcile tells each coordinator what runs here.
func (l *life) reconcile() {
	for _, j := range sorted(l.work) {
		switch {
		case j.orphaned == 0:
			l.w.spawn(l, func(p *proc) { l.talk(p, j, nil, nil, 1) })
		case l.w.now-j.orphaned > orphanMax:
			l.dropWork(j)
		}
	}
}

func (l *life) report(j *worked, e sched.Event) {
	l.w.spawn(l, func(p *proc) { l.talk(p, j, e, nil, reportTries) })
}

// talk says something to a job's coordinator, and starts what it grants.
func (l *life) talk(p *proc, j *worked, report sched.Event, holds []*fair.Hold, tries int) {
	term, to, slots := j.term, j.driver, len(holds)
	var runs []sched.Run
	var err error
	for try, pause := 1, int64(reportPause); ; try++ {
		m := message{from: l.n.id, term: term, boot: to.Boot, running: j.attempts(), slots: slots, report: report}
		limit := int64(callTime)
		if report != nil {
			limit = reportTime / 2
		}
		runs, err = call(p, mesh.NodeID(to.Node), limit, func(o *life, reply func([]sched.Run, error)) { reply(o.onNode(j.id, m)) })
		if err == nil || report == nil || try == tries || !errors.Is(err, errLate) && !errors.Is(err, plan.ErrUnavailable) || p.sleep(pause) != nil {
			break
		}
		pause *= 2
	}
	if l.dead {
		return
	}
	j.pulling -= slots
	l.pulled[l.w.job(j.id).user] -= slots
	switch {
	case l.work[j.id] != j:
	case term != j.term && report != nil && j.orphaned == 0 && err != nil:
		l.report(j, report)
	case term != j.term:
		if report != nil && err != nil {
			j.untold = append(j.untold, report)
		}
	case errors.Is(err, plan.ErrNotFound) && report == nil:
		l.dropWork(j)
	case err != nil && report != nil:
		j.untold = append(j.untold, report)
	case errors.Is(err, plan.ErrFenced):
		l.orphan(j)
	default:
		for i, r := range runs[:min(len(runs), slots)] {
			if l.begin(j, r, holds[i]) {
				holds[i] = nil
			}
		}
		if slots > 0 && len(runs) == slots {
			l.want(j)
		}
	}
	for _, h := range holds {
		if h != nil {
			l.slots.Give(h, l.w.now)
		}
	}
	if report != nil && l.work[j.id] == j {
		l.want(j)
	}
	l.pull()
}

// holds are the slots that the job has here.
func (j *worked) holds() int { return len(j.running) + j.pulling }

// attempts are those that run.
func (j *worked) attempts() []sched.Running {
	var out []sched.Running
	for _, id := range slices.SortedFunc(maps.Keys(j.running), byAttempt) {
		out = append(out, sched.Running{Attempt: id, Lineage: j.running[id].run.Lineage})
	}
	return out
}

// begin runs an attempt on a slot, unless it runs already.
func (l *life) begin(j *worked, r sched.Run, h *fair.Hold) bool {
	if j.running[r.Attempt] != nil {
		return false
	}
	a := &attempt{run: r, hold: h, term: j.term, from: j.driver, packets: j.packets}
	j.running[r.Attempt] = a
	l.segments.Pin(j.id, r.Attempt.Task.Stage)
	l.w.spawn(l, func(p *proc) {
		e := l.execute(p, j, a)
		if l.dead || a.stopped {
			return
		}
		delete(j.running, r.Attempt)
		l.slots.Give(a.hold, l.w.now)
		if j.orphaned == 0 {
			l.report(j, e)
		} else {
			j.untold = append(j.untold, e)
		}
		l.pull()
	})
	return true
}

// execute is one attempt: it reads its inputs, makes rows of them, and commits those.
func (l *life) execute(p *proc, j *worked, a *attempt) sched.Event {
	r := a.run
	fail := func(err error) sched.Event { return sched.Failed{Attempt: r.Attempt, Err: plan.AsError(err)} }
	pk, err := l.packetOf(p, j.id, a)
	if err != nil {
		return fail(err)
	}
	jb := l.w.job(j.id)
	in, err := plan.Assign(jb.plan, r.Stage, r.Partition, pk.up)
	if err != nil {
		l.w.breaks(err)
		return fail(err)
	}
	var rows []row
	for k, part := range in.Parts {
		for id := part.First; id < part.First+part.Count; id++ {
			rows = append(rows, mixed(row(id), r.Stage, k))
		}
		for _, b := range part.Blocks {
			got, err := l.fetch(p, pk.where[b.Stage][b.Segment], b)
			if err != nil {
				return fail(err)
			}
			for _, v := range got {
				rows = append(rows, mixed(v, r.Stage, k))
			}
		}
	}
	if p.sleep(1+l.w.rng.Int64N(taskTime)) != nil || a.stopped {
		return fail(plan.ErrCancelled)
	}
	l.w.stats.Tasks++
	out, err := l.commit(jb, a, pk, rows)
	if err != nil {
		return fail(err)
	}
	return sched.Done{Attempt: r.Attempt, Lineage: r.Lineage, Output: out}
}

// commit makes the rows a segment of this node, or a staged file.
func (l *life) commit(jb *job, a *attempt, pk *packet, rows []row) (sched.Output, error) {
	r := a.run
	s := jb.plan.Stages[r.Stage]
	if s.Exchange.Kind == plan.Files {
		name := r.Attempt.String()
		jb.folder.stage(name, staged{r.Attempt.Task, rows})
		return sched.Output{Manifest: name, Rows: int64(len(rows)), Bytes: 1}, nil
	}
	salt := fmt.Sprint(s.ID)
	if !s.Deterministic || jb.fickle[r.Stage] {
		salt = fmt.Sprint(r.Attempt, l.n.id, l.boot, l.w.now)
	}
	parts := cut(rows, partitions, salt)
	d, err := l.segments.Create()
	if err != nil {
		return sched.Output{}, err
	}
	if _, err := d.Write(encode(parts)); err != nil {
		return sched.Output{}, err
	}
	h := api.Held{Stage: s.ID, Index: r.Stage, Partition: r.Partition, Tasks: pk.tasks, Attempt: r.Attempt.Attempt, Job: jb.spec.ID, Rows: int64(len(rows)), Created: l.clock(), Lineage: r.Lineage, Sum: sumOf(parts), Partitions: partitions}
	for _, p := range parts {
		h.PartitionRows, h.PartitionBytes = append(h.PartitionRows, int64(len(p))), append(h.PartitionBytes, int64(8*len(p)))
	}
	h, err = d.Commit(h)
	l.w.stats.Segments++
	return sched.Output{Segment: h.Segment, Rows: h.Rows, Bytes: h.Bytes, Sum: h.Sum, Parts: plan.SegmentInfo{Rows: h.PartitionRows, Bytes: h.PartitionBytes}}, err
}

// packetOf is the packet of an attempt's stage, of its version or a newer one.
func (l *life) packetOf(p *proc, id plan.JobID, a *attempt) (*packet, error) {
	stage := a.run.Stage
	if pk := a.packets[stage]; pk != nil && (pk.version >= a.run.Version && pk.lineage == a.run.Lineage || l.w.bug == StalePacket) {
		return pk, nil
	}
	pk, err := callAgain(p, mesh.NodeID(a.from.Node), callTime, func(o *life, reply func(*packet, error)) {
		if o.boot != a.from.Boot {
			reply(nil, plan.ErrNotFound)
			return
		}
		reply(o.packet(id, a.term, stage))
	})
	switch {
	case err != nil:
		return nil, &plan.Error{Kind: plan.KindUnavailable, Op: "run", Text: err.Error()}
	case a.stopped, pk.lineage != a.run.Lineage:
		return nil, plan.ErrCancelled
	}
	a.packets[stage] = pk
	return pk, nil
}

// fetch reads the rows of a share of a segment from its holder.
func (l *life) fetch(p *proc, at location, b plan.Blocks) ([]row, error) {
	lost := &plan.Error{Kind: plan.KindFetch, Op: "read", Text: at.segment + " is gone", Lost: []plan.TaskID{at.task}}
	if at.node == "" {
		return nil, lost
	}
	parts, err := callAgain(p, at.node, readTime, func(o *life, reply func([][]row, error)) { reply(o.read(at.task.Stage, at.segment)) })
	if err != nil {
		return nil, lost
	}
	var rows []row
	for _, part := range parts[b.Partition : b.Partition+b.Count] {
		rows = append(rows, part...)
	}
	return rows, nil
}

// callAgain is call, tried again when no answer comes: a connection sends again what the
// network has lost.
func callAgain[T any](p *proc, to mesh.NodeID, limit int64, serve func(l *life, reply func(T, error))) (T, error) {
	out, err := call(p, to, limit, serve)
	if errors.Is(err, errLate) {
		out, err = call(p, to, limit, serve)
	}
	return out, err
}

// read is a segment of this node. One that is damaged is dropped.
func (l *life) read(stage plan.StageID, segment string) ([][]row, error) {
	b, err := l.n.disk.bytesOf(segment)
	if err != nil {
		l.segments.Drop(stage, segment)
		return nil, err
	}
	return decode(b)
}

// workersView has the tasks of jobs whose coordinator is gone wait for the next one.
func (l *life) workersView() {
	for _, j := range sorted(l.work) {
		if m, ok := l.view.Find(mesh.NodeID(j.driver.Node)); j.orphaned == 0 && (!ok || string(m.Boot) != j.driver.Boot) {
			l.orphan(j)
		}
	}
}

func (l *life) orphan(j *worked) {
	if j.orphaned == 0 {
		j.orphaned = l.w.now
		l.rest(j)
	}
}
