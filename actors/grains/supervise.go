package grains

import (
	"time"

	"github.com/asynkron/protoactor-go/actor"

	"github.com/pondmesh/pond/actors/plan"
)

// Bounds of beginning again after panics.
const (
	restartsMax   = 5 // within restartWindow; then the actor rests
	restartWindow = time.Minute
	restartFirst  = 10 * time.Millisecond
	restTime      = 10 * time.Second
)

// failure is what an activation panics with, once its user's panic is answered.
type failure struct{ a *activation }

// supervisor is protoactor's strategy for activations: a new actor in the place of the
// old, after a pause that doubles, and none for a while when that does not help. The
// mailbox is kept, and waits.
type supervisor struct {
	max   int
	first time.Duration // pause
	rest  time.Duration
}

func newSupervisor() *supervisor {
	return &supervisor{max: restartsMax, first: restartFirst, rest: restTime}
}

// HandleFailure implements actor.SupervisorStrategy.
func (s *supervisor) HandleFailure(_ *actor.ActorSystem, super actor.Supervisor, child *actor.PID, stats *actor.RestartStatistics, reason, _ any) {
	before := stats.NumberOfFailures(restartWindow)
	if before == 0 {
		stats.Reset() // forgets the older ones
	}
	stats.Fail()
	f, ok := reason.(failure)
	if before >= s.max || !ok {
		if ok {
			f.a.retire(s.rest, before+1)
		}
		super.StopChildren(child)
		return
	}
	time.AfterFunc(s.first<<before, func() { super.RestartChildren(child) })
}

// retire has the activation end, and its key refused for a while.
func (a *activation) retire(rest time.Duration, panics int) {
	a.h.mu.Lock()
	defer a.h.mu.Unlock()
	a.leaving = true
	a.refuse = &plan.Error{Kind: plan.KindActor, Op: "call", Subject: a.id.String(), Code: CodePanic, Text: "the actor rests: it panicked again and again", Hint: "the node's log has the stacks; call again later"}
	a.h.cfg.Log.Error("an actor panics again and again: its key is refused for a while", "actor", a.id, "panics", panics, "for", rest)
	time.AfterFunc(rest, func() {
		a.h.mu.Lock()
		defer a.h.mu.Unlock()
		if a.h.live[a.id] == a {
			delete(a.h.live, a.id)
		}
	})
}
