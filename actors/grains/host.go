package grains

import (
	"context"
	"errors"
	"log/slog"
	"sync"
	"time"

	"github.com/asynkron/protoactor-go/actor"

	"github.com/pondmesh/pond/actors/kinds"
	"github.com/pondmesh/pond/fs/register"
)

// Bounds of a node's actors.
const (
	mailboxMax     = 256       // messages of one activation that wait or are received
	activationsMax = 1 << 17   // of a node
	bytesMax       = 256 << 20 // of the messages that a node's actors have not answered
	timersMax      = 64        // of one activation
	idleTime       = 10 * time.Minute
	callTime       = 30 * time.Second // of a call whose context has no deadline
	moveTime       = 15 * time.Second // how long an owner is looked for that takes a message
	movePause      = 25 * time.Millisecond
	movePauseMax   = time.Second
	closeTime      = 5 * time.Second // how long actors get to return, at the end
)

// Registers keep states: package registers does.
type Registers interface {
	Get(ctx context.Context, key register.Key) (data []byte, version uint64, err error)
	CAS(ctx context.Context, key register.Key, id register.ChangeID, expect uint64, data []byte) (version uint64, current []byte, err error)
}

// Config is what a Host needs of its node.
type Config struct {
	Self   string // the node
	System *actor.ActorSystem
	Kinds  *kinds.Registry
	// View is who is alive, the node itself included, and when that has changed.
	View func() ([]Member, <-chan struct{})
	// Call has the node at addr Deliver a message. The error is of kinds.OpActivate if that is
	// known to have been in vain.
	Call      func(ctx context.Context, addr, kind, key string, msg []byte) ([]byte, error)
	Registers Registers
	Idle      time.Duration // an activation without messages and timers ends after it; 0: 10 min
	Log       *slog.Logger
}

// Host runs the actors of one node, and calls those of all. It is safe for concurrent
// use.
type Host struct {
	cfg   Config
	ctx   context.Context
	stop  context.CancelFunc
	goes  sync.WaitGroup
	super *supervisor

	mu     sync.Mutex
	live   map[id]*activation // at most activationsMax; each is there until it has ended
	bytes  int                // of messages, at most bytesMax
	closed bool
}

type id struct{ kind, key string }

func (i id) String() string { return i.kind + "/" + i.key }

// Open starts a Host, which ends with Close.
func Open(cfg Config) *Host {
	if cfg.Idle <= 0 {
		cfg.Idle = idleTime
	}
	h := &Host{cfg: cfg, super: newSupervisor(), live: map[id]*activation{}}
	h.ctx, h.stop = context.WithCancel(context.Background())
	h.goes.Go(h.follow)
	return h
}

// Close ends all activations at once, and waits for those whose actors return in time.
func (h *Host) Close() {
	h.mu.Lock()
	h.closed = true
	h.mu.Unlock()
	h.stop()
	ended := h.abandon()
	h.goes.Wait()
	late := time.NewTimer(closeTime)
	defer late.Stop()
	for _, a := range ended {
		select {
		case <-a.done:
		case <-late.C:
			h.cfg.Log.Warn("an actor does not return", "actor", a.id)
			return
		}
	}
}

// Abandon ends all activations at once, as the node's death would.
func (h *Host) Abandon() { h.abandon() }

func (h *Host) abandon() (ended []*activation) {
	h.mu.Lock()
	defer h.mu.Unlock()
	for _, a := range h.live {
		a.cut()
		a.leave()
		ended = append(ended, a)
	}
	return ended
}

// Active is how many activations there are.
func (h *Host) Active() int {
	h.mu.Lock()
	defer h.mu.Unlock()
	return len(h.live)
}

// follow ends activations whose keys other nodes own now.
func (h *Host) follow() {
	for {
		members, changed := h.cfg.View()
		h.mu.Lock()
		for _, a := range h.live {
			if !h.owns(members, a.id) {
				a.leave()
			}
		}
		h.mu.Unlock()
		select {
		case <-changed:
		case <-h.ctx.Done():
			return
		}
	}
}

func (h *Host) owns(members []Member, i id) bool {
	m, ok := Owner(members, i.kind, i.key)
	return ok && m.Node == h.cfg.Self
}

// Call has the actor of that kind and key receive a message, wherever in the pond it
// lives, and returns its reply. Errors are, for errors.Is:
//
//	plan.ErrActor        the actor's own error, or its panic
//	plan.ErrNotFound     no node of the pond offers the kind
//	plan.ErrBusy         there is no room for the message: nothing has happened
//	plan.ErrFenced       another activation has taken over meanwhile: nothing was saved
//	plan.ErrUnavailable  nobody took the message; or its fate is not known: the text says
//	plan.ErrQuery        a wrong name, or a message that is too large
//
// or ctx's own. A ctx without a deadline gets one of 30 s.
func (h *Host) Call(ctx context.Context, kind, key string, msg []byte) ([]byte, error) {
	if err := errors.Join(kinds.CheckKind(kind), kinds.CheckKey(key), kinds.CheckMessage(msg)); err != nil {
		return nil, err
	}
	if _, ok := ctx.Deadline(); !ok {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, callTime)
		defer cancel()
	}
	until := time.Now().Add(moveTime)
	for pause := movePause; ; pause = min(2*pause, movePauseMax) {
		members, changed := h.cfg.View()
		reply, err := h.once(ctx, members, id{kind, key}, msg)
		if !notBegun(err) || time.Now().After(until) {
			return reply, err
		}
		if !h.wait(ctx, changed, pause) {
			return nil, err
		}
	}
}

// once gives a message to the owner that a view names.
func (h *Host) once(ctx context.Context, members []Member, i id, msg []byte) ([]byte, error) {
	owner, ok := Owner(members, i.kind, i.key)
	switch {
	case !ok:
		return nil, noKind(i)
	case owner.Node == h.cfg.Self:
		return h.Deliver(ctx, i.kind, i.key, msg)
	}
	return h.cfg.Call(ctx, owner.Addr, i.kind, i.key, msg)
}

// wait waits for another view, or a pause; it is false when there is no more time.
func (h *Host) wait(ctx context.Context, changed <-chan struct{}, pause time.Duration) bool {
	t := time.NewTimer(pause)
	defer t.Stop()
	select {
	case <-changed:
	case <-t.C:
	case <-ctx.Done():
	case <-h.ctx.Done():
	}
	return ctx.Err() == nil && h.ctx.Err() == nil
}

// Deliver is Call for a node that has been chosen by another: the actor lives here, or
// the error is of kinds.OpActivate.
func (h *Host) Deliver(ctx context.Context, kind, key string, msg []byte) ([]byte, error) {
	m := &message{ctx: ctx, payload: msg, reply: make(chan answer, 1)}
	a, err := h.admit(id{kind, key}, len(msg))
	if err != nil {
		return nil, err
	}
	defer h.release(len(msg))
	h.cfg.System.Root.Send(a.pid, m)
	select {
	case r := <-m.reply:
		return r.data, r.err
	case <-a.done:
	case <-ctx.Done():
		return nil, late(ctx, a.id, !m.take())
	}
	select {
	case r := <-m.reply:
		return r.data, r.err
	default: // it ended, and every message that is begun is answered before that
		return nil, notHere(a.id, "its activation has just ended")
	}
}

// admit counts a message in for the activation of its key, which it makes if there is
// none.
func (h *Host) admit(i id, bytes int) (*activation, error) {
	k, ok := h.cfg.Kinds.Get(i.kind)
	if !ok {
		return nil, noKind(i)
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	members, _ := h.cfg.View() // under the lock, so that follow sees what is made by it
	a := h.live[i]
	switch {
	case h.closed:
		return nil, notHere(i, "the node is stopping")
	case a == nil && !h.owns(members, i):
		return nil, notHere(i, "another node owns it")
	case h.bytes+bytes > bytesMax:
		return nil, busy(i, "%d MiB of messages wait on this node", bytesMax>>20)
	case a == nil && len(h.live) >= activationsMax:
		return nil, busy(i, "%d actors are active on this node", activationsMax)
	case a == nil:
		a = newActivation(h, i, k)
	case a.refuse != nil:
		return nil, a.refuse
	case a.leaving: // two of a key do not run here at once
		return nil, notHere(i, "its former activation has not ended")
	case a.waiting >= mailboxMax:
		return nil, busy(i, "%d messages wait for it", mailboxMax)
	}
	a.waiting++
	h.bytes += bytes
	return a, nil
}

func (h *Host) release(bytes int) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.bytes -= bytes
}
