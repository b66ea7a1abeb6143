package grains

import (
	"context"
	"crypto/rand"
	"fmt"
	"runtime/debug"
	"sync/atomic"
	"time"

	"github.com/asynkron/protoactor-go/actor"

	"github.com/pondmesh/pond/actors/kinds"
	"github.com/pondmesh/pond/actors/plan"
)

// activation is a key's presence on this node: an actor of protoactor's, in which one
// actor of the user's after another may live.
type activation struct {
	h    *Host
	id   id
	kind kinds.Kind
	name string // of this activation alone
	pid  *actor.PID
	ctx  context.Context // ends when what is received now is to break off
	cut  context.CancelFunc
	done chan struct{} // closed when nothing of it runs any more

	// Guarded by h.mu.
	waiting int                      // messages that wait or are received, at most mailboxMax
	timers  map[*message]*time.Timer // whose messages are not received yet, at most timersMax
	idle    *time.Timer              // runs while nothing waits and there are no timers
	leaving bool                     // it ends after the message that is received now
	refuse  error                    // it has ended, and is not to begin again for a while
}

// message is one for an actor: a call's, or a timer's, which nobody waits for.
type message struct {
	ctx     context.Context
	payload []byte
	f       func(kinds.Context) error // a timer's; nil: the actor receives payload
	reply   chan answer               // has room for the answer; nil: nobody waits
	begun   atomic.Bool
}

type answer struct {
	data []byte
	err  error
}

// take claims a message: whoever is first decides whether it is received.
func (m *message) take() bool { return m.begun.CompareAndSwap(false, true) }

func (m *message) answer(data []byte, err error) {
	if m.reply != nil {
		m.reply <- answer{data, err}
	}
}

// newActivation spawns one. The host's lock is held.
func newActivation(h *Host, i id, k kinds.Kind) *activation {
	a := &activation{h: h, id: i, kind: k, name: h.cfg.Self + "-" + rand.Text(), done: make(chan struct{}), timers: map[*message]*time.Timer{}}
	a.ctx, a.cut = context.WithCancel(h.ctx)
	a.idle = time.AfterFunc(h.cfg.Idle, a.onIdle)
	a.idle.Stop()
	props := actor.PropsFromProducer(func() actor.Actor { return &incarnation{a: a} }, actor.WithGuardian(h.super))
	a.pid = h.cfg.System.Root.Spawn(props)
	h.live[i] = a
	return a
}

// leave lets the activation end after the message that is received now; those behind it
// go to the next activation. The host's lock is held.
func (a *activation) leave() {
	if !a.leaving {
		a.leaving = true
		a.idle.Stop()
		a.h.cfg.System.Root.Stop(a.pid)
	}
}

func (a *activation) onIdle() {
	a.h.mu.Lock()
	defer a.h.mu.Unlock()
	if a.waiting == 0 && len(a.timers) == 0 {
		a.leave()
	}
}

// finished counts a message out.
func (a *activation) finished(m *message) {
	a.h.mu.Lock()
	defer a.h.mu.Unlock()
	if m.f != nil {
		delete(a.timers, m)
	} else {
		a.waiting--
	}
	if a.waiting == 0 && len(a.timers) == 0 && !a.leaving {
		a.idle.Reset(a.h.cfg.Idle)
	}
}

// ended is called when nothing of the activation runs any more.
func (a *activation) ended() {
	a.h.mu.Lock()
	defer a.h.mu.Unlock()
	a.leaving = true
	a.idle.Stop()
	for _, t := range a.timers {
		t.Stop()
	}
	a.cut()
	if a.refuse == nil {
		delete(a.h.live, a.id)
	}
	close(a.done)
}

// incarnation is one actor of the user's: protoactor makes another after a panic.
type incarnation struct {
	a     *activation
	user  kinds.Actor // made with the first message
	state *held       // nil: not loaded
}

// Receive implements protoactor's Actor.
func (i *incarnation) Receive(c actor.Context) {
	switch m := c.Message().(type) {
	case *message:
		i.serve(m)
	case *actor.Stopped:
		i.a.ended()
	}
}

// serve receives one message. A panic is answered, and then protoactor's.
func (i *incarnation) serve(m *message) {
	defer i.a.finished(m)
	if !m.take() || m.ctx.Err() != nil {
		return // whoever called has gone
	}
	ctx, cancel := context.WithCancelCause(m.ctx)
	defer cancel(nil)
	defer context.AfterFunc(i.a.ctx, func() { cancel(notHere(i.a.id, "its activation has to end")) })()
	t := &turn{Context: ctx, i: i}
	defer func() {
		if r := recover(); r != nil {
			i.a.h.cfg.Log.Error("an actor panicked", "actor", i.a.id, "panic", r, "stack", string(debug.Stack()))
			m.answer(nil, panicked(i.a.id, r))
			panic(failure{i.a}) // to be supervised
		}
	}()
	reply, err := i.receive(t, m)
	if m.reply == nil {
		if err != nil {
			i.a.h.cfg.Log.Warn("an actor's timer failed", "actor", i.a.id, "err", err)
		}
		return
	}
	m.answer(t.end(reply, err))
}

// receive calls the user's code.
func (i *incarnation) receive(t *turn, m *message) ([]byte, error) {
	if m.f != nil {
		return nil, m.f(t)
	}
	if i.user == nil {
		i.user = i.a.kind.New(i.a.id.key)
	}
	return i.user.Receive(t, m.payload)
}

// turn is the Context of one message.
type turn struct {
	context.Context
	i     *incarnation
	saved bool  // the register has this activation's word, of this turn
	lost  error // the activation is not to be believed any more
}

// Key implements kinds.Context.
func (t *turn) Key() string { return t.i.a.id.key }

// end is the answer to a message, once it is sure that the activation may give it.
func (t *turn) end(reply []byte, err error) ([]byte, error) {
	if t.lost == nil && t.i.state != nil && !t.saved {
		t.confirm()
	}
	switch {
	case t.lost != nil:
		return nil, t.lost
	case err != nil && t.i.a.ctx.Err() != nil:
		return nil, &plan.Error{Kind: plan.KindUnavailable, Op: "call", Subject: t.i.a.id.String(), Text: "the actor was ended while it received the message: " + err.Error()}
	case err != nil:
		return nil, ofActor(t.i.a.id, err)
	}
	if err := kinds.CheckMessage(reply); err != nil {
		return nil, ofActor(t.i.a.id, fmt.Errorf("its reply is too large: %w", err))
	}
	return reply, nil
}

// lose ends the activation with this turn.
func (t *turn) lose(err error) error {
	t.lost = err
	t.i.a.h.mu.Lock()
	defer t.i.a.h.mu.Unlock()
	t.i.a.leave()
	return err
}

// After implements kinds.Context.
func (t *turn) After(d time.Duration, f func(kinds.Context) error) (stop func(), err error) {
	a := t.i.a
	a.h.mu.Lock()
	defer a.h.mu.Unlock()
	if len(a.timers) >= timersMax {
		return nil, &plan.Error{Kind: plan.KindBusy, Op: "set a timer", Subject: a.id.String(), Text: fmt.Sprintf("%d timers of the actor are running", timersMax)}
	}
	m := &message{ctx: a.ctx, f: f}
	timer := time.AfterFunc(d, func() { a.h.cfg.System.Root.Send(a.pid, m) })
	a.timers[m] = timer
	return func() {
		if m.take() && timer.Stop() {
			a.finished(m)
		}
	}, nil
}
