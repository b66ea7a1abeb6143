package sched

import (
	"iter"

	"github.com/pondmesh/pond/actors/plan"
)

// state of a task.
type state uint8

const (
	// waiting: the task cannot run, since its stage has not opened: some stage
	// that it reads is incomplete, or nothing that is needed reads this one.
	// It has no attempt and stands in no queue.
	waiting state = iota
	// ready: the task stands in its stage's queues until a node pulls it.
	// Its inputs are complete, and no attempt of it runs.
	ready
	// resting: the task failed and waits until its wake before it is ready again.
	// A timer holds it; no attempt of it runs.
	resting
	// running: one attempt runs, or two when a straggler has a second one.
	// The first that is done wins, and the other is stopped.
	running
	// done: one attempt has won, and a node holds its output, or shared storage does.
	// The output counts until its last holder is gone or it is found corrupt.
	done
)

// task is one partition of a stage.
//
//	waiting ─▶ ready ─▶ running ─▶ done
//	             ▲       │    │     │
//	             ├─resting◀───┘     │    failed, and not for the last time
//	             └──────────────────┘    segment lost, and wanted again
type task struct {
	stage     *stage
	partition int
	state     state
	live      []*attempt // running ones: 1 or 2 while state is running, else none
	last      int        // highest attempt number seen or given; every number in live and dead <= last
	dead      []int      // attempts that can no longer win: failed, stopped, found corrupt; none is in live; won is none of them, unless reused
	refused   string     // the segment that was found corrupt last
	prior     winnerID   // the last winner, also when it is lost
	wake      int64      // when resting ends; now < wake while state is resting
	weight    int64      // bytes it reads; heavier tasks start first
	prefer    *node      // holds most of its input
	since     int64      // when it became ready
	memory    int64      // bytes to grant; 0: the stage's usual; never falls
	reserved  *node      // is kept free for it
	failedOn  []*node    // avoided for a while: it failed there, or its output did not last
	spoiledOn NodeID     // where its output was last found gone or damaged

	// Counts against the bounds in config.go.
	attempts, failures, crashes, memoryFailures, nodeLosses, vanishings, fetchFailures, remakes, speculations, copyTries int

	// The winner, meaningful while state is done.
	won     int     // attempt; 0 < won, and won <= last unless it is reused
	seq     int64   // of the win: attempts that started before it (attempt.seq < seq) read an earlier output
	maker   NodeID  // told of it first
	holders []*node // all alive; at least one unless the stage is durable
	heldSeq int64   // since when inputs name the holders: attempts that started before may not have known of all; seq <= heldSeq
	unnamed bool    // there is a holder that inputs of the present version may not name
	lineage uint64
	reused  bool
	out     Output
}

func (t *task) id() plan.TaskID { return plan.TaskID{Stage: t.stage.plan.ID, Partition: t.partition} }

func (t *task) attemptID(n int) plan.AttemptID { return plan.AttemptID{Task: t.id(), Attempt: n} }

func (t *task) attempt(n int) *attempt {
	for _, a := range t.live {
		if a.number == n {
			return a
		}
	}
	return nil
}

// attempt is a running one. Attempts of a stage are linked in order of start.
type attempt struct {
	task         *task
	number       int
	node         *node
	memory       int64
	lineage      uint64
	attached     bool // not started by this Decider
	start        int64
	seq          int64 // of the start, against task.seq: which winners it may have read
	missing      int64 // since when its node does not know it; -1: it does; else start <= missing
	seen         int64 // d.seq of the last Alive that named it
	older, newer *attempt
}

// winnerID tells two outputs of a task apart: by name, and by the rows in them.
type winnerID struct {
	attempt int
	segment string
	sum     uint64 // [Output].Sum
}

func (w winnerID) named(o winnerID) bool { return w.attempt == o.attempt && w.segment == o.segment }

// changes reports whether readers of the task's last winner must not read this one
// beside it: it has, or may have, other rows.
func (t *task) changes(is winnerID) bool {
	return t.prior != (winnerID{}) && !t.prior.named(is) && (t.stage.unstable || t.prior.sum != is.sum)
}

// stage is a stage's tasks and queues.
type stage struct {
	index int
	plan  *plan.Stage // fitted, once it has opened
	deps  []*stage    // that it reads, each once
	uses  []*stage    // that read it
	needs []string    // Go functions that it calls, as nodes offer them
	may   []string    // other functions that its SQL calls: no node has been seen to offer them
	tasks []task      // nil: not shaped yet
	looks int         // times that all of tasks were looked at, which is not for every event

	durable  bool // outputs are staged files: they outlive their node
	unstable bool // run again it may differ, as the plan says: it, or a stage before it, is not deterministic
	// lineage is of what its tasks read and of how they are cut: see hashInputs. It is
	// known (not 0) once the stage has opened, or once a whole set of outputs of that
	// lineage was found; all done and running tasks have it. It is not known again when
	// what was read has changed. Always 0: it reads no stage.
	lineage uint64

	wanted, opened, open bool  // open implies wanted, opened and ripe; opened: has been open once
	changes              int64 // of winners and holders; never falls; readers see it as their version

	done, ready, running int      // tasks in that state; done+ready+running <= len(tasks)
	oldest, newest       *attempt // running ones, linked in order of start
	runtimes             histogram
	outdated             int   // times that its tasks were taken back, since what they read has changed
	unnamed              bool  // holders of some task's output are to be named
	namedAt              int64 // when that was last done

	queue     heap[*task]            // no preference
	local     map[*node]*heap[*task] // by preferred node
	elsewhere heap[*task]            // all with a preference
	large     heap[*task]            // want more memory than usual

	found  []finding // held segments whose lineage cannot be judged yet; none of a stage that reads none
	status StageStatus
}

// finding is a held segment of a stage that reads others.
type finding struct {
	node *node
	held HeldSegment
}

// all are the stage's tasks, in order of partition.
func (s *stage) all() iter.Seq[*task] {
	s.looks++
	return func(yield func(*task) bool) {
		for i := range s.tasks {
			if !yield(&s.tasks[i]) {
				return
			}
		}
	}
}

// leaf reports whether the stage reads no other.
func (s *stage) leaf() bool { return len(s.deps) == 0 }

func (s *stage) complete() bool { return s.shaped() && s.done == len(s.tasks) }

func (s *stage) ripe() bool {
	for _, p := range s.deps {
		if !p.complete() {
			return false
		}
	}
	return true
}

// version counts the changes of everything that the stage reads.
func (s *stage) version() int64 {
	v := int64(0)
	for _, p := range s.deps {
		v += p.changes
	}
	return v
}

// heavier orders queues: more input first, so that no long task starts last.
func heavier(a, b *task) bool {
	if a.weight != b.weight {
		return a.weight > b.weight
	}
	return a.partition < b.partition
}

func (s *stage) link(a *attempt) {
	a.older = s.newest
	if s.newest != nil {
		s.newest.newer = a
	} else {
		s.oldest = a
	}
	s.newest = a
}

func (s *stage) unlink(a *attempt) {
	if a.older != nil {
		a.older.newer = a.newer
	} else {
		s.oldest = a.newer
	}
	if a.newer != nil {
		a.newer.older = a.older
	} else {
		s.newest = a.older
	}
	a.older, a.newer = nil, nil
}

// histogram counts durations in buckets a quarter of a power of two wide.
type histogram struct {
	count   int
	buckets [256]int32
}

func bucketOf(v int64) int {
	if v < 4 {
		return int(max(v, 0))
	}
	shift := 0
	for v>>shift >= 8 {
		shift++
	}
	return 4*shift + int(v>>shift)
}

// bucketTop is the largest value of bucket b.
func bucketTop(b int) int64 {
	if b < 8 {
		return int64(b)
	}
	shift := b/4 - 1
	return int64(b%4+5)<<shift - 1
}

func (h *histogram) add(v int64) {
	h.count++
	h.buckets[bucketOf(v)]++
}

// median is an upper bound of the median, at most a quarter above it.
func (h *histogram) median() int64 {
	left := (h.count + 1) / 2
	for b, n := range h.buckets {
		if left -= int(n); left <= 0 {
			return bucketTop(b)
		}
	}
	return 0
}
