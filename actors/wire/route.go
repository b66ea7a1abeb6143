package wire

import (
	"context"
	"errors"
	"fmt"
	"runtime/debug"
	"time"

	"github.com/asynkron/protoactor-go/actor"
	"google.golang.org/protobuf/proto"

	"github.com/pondmesh/pond/actors/plan"
)

// router is the process that other nodes' messages are addressed to. It runs on
// the goroutine of the stream that a message came on, so it never blocks.
type router struct{ wire *Wire }

func (r *router) SendUserMessage(_ *actor.PID, message any) {
	env, ok := actor.UnwrapEnvelopeMessage(message).(*Envelope)
	if !ok {
		return
	}
	if err := r.wire.receive(env); err != nil {
		r.wire.refuse(env, err)
	}
}

// SendSystemMessage and Stop do nothing: nobody stops or watches the router.
func (r *router) SendSystemMessage(*actor.PID, any) {}
func (r *router) Stop(*actor.PID)                   {}

// job is a message that waits for a handler.
type job struct {
	env      *Envelope
	deadline time.Time
	awaited  bool // until the deadline and no longer: it is the caller's own
}

// receive hands an answer to its caller and anything else to the pool.
func (w *Wire) receive(env *Envelope) error {
	if err := validateEnvelope(env); err != nil {
		return err
	}
	if env.Kind == Envelope_REPLY || env.Kind == Envelope_ERROR {
		if !w.links.finish(env.Id, answer{env: env}) {
			w.log.Debug("wire: an answer that nobody waits for", "from", env.FromNode)
		}
		return nil
	}
	j := job{env: env}
	timeout := w.conf.CallTimeout
	if patience := time.Duration(env.TimeoutMs) * time.Millisecond; env.Kind == Envelope_CALL && patience <= timeout {
		timeout, j.awaited = patience, true
	}
	j.deadline = time.Now().Add(timeout)
	w.running.Add(1)
	if w.closing.Load() {
		w.done()
		return ErrClosed
	}
	select {
	case w.jobs <- j:
		return nil
	default:
		w.done()
		return fmt.Errorf("%w: %d messages wait for a handler", errBusy, handlersQueueMax)
	}
}

// noteInvalid notes a message that no node of ours sends.
func (w *Wire) noteInvalid(env *Envelope, err error) {
	w.conf.Refused.Note("a node's message", "from", fmt.Sprintf("%.100q", env.FromAddr), "type", env.Type, "err", err)
}

// refuse answers a call that did not get into the pool.
func (w *Wire) refuse(env *Envelope, err error) {
	if errors.Is(err, ErrInvalid) {
		w.noteInvalid(env, err)
	}
	w.log.Debug("wire: refused a message", "from", env.FromNode, "type", env.Type, "err", err)
	if env.Kind == Envelope_SEND && errors.Is(err, errBusy) {
		if n := w.dropped.Add(1); n&(n-1) == 0 { // the 1st, 2nd, 4th, 8th …
			w.log.Warn("wire: too busy, one-way messages were dropped", "from", env.FromNode, "dropped", n)
		}
	}
	if env.Kind != Envelope_CALL || validateEnvelope(env) != nil {
		return
	}
	w.answer(env, nil, unavailable("call", w.addr, err.Error()))
}

func (w *Wire) done() {
	w.running.Add(-1)
	w.links.poke()
}

// work is one goroutine of the pool.
func (w *Wire) work() {
	for {
		select {
		case j := <-w.jobs:
			w.serve(j)
			w.done()
		case <-w.base.Done():
			return
		}
	}
}

func (w *Wire) serve(j job) {
	ctx, stop := context.WithDeadline(w.base, j.deadline)
	defer stop()
	late := func() bool { return j.awaited && ctx.Err() == context.DeadlineExceeded }
	if late() {
		return
	}
	reply, err := w.handle(ctx, j.env)
	if late() {
		return // nobody waits for the answer
	}
	if j.env.Kind == Envelope_SEND {
		if err != nil {
			w.log.Debug("wire: a one-way message failed", "from", j.env.FromNode, "type", j.env.Type, "err", err)
		}
		return
	}
	w.answer(j.env, reply, err)
}

// handle opens a message and calls the Handler, whose panic becomes an error.
func (w *Wire) handle(ctx context.Context, env *Envelope) (reply proto.Message, err error) {
	msg, err := w.open(env)
	if err != nil {
		return nil, err
	}
	defer func() {
		if p := recover(); p != nil {
			w.log.Error("wire: handler panicked", "type", env.Type, "panic", p, "stack", string(debug.Stack()))
			err = &plan.Error{Kind: plan.KindInternal, Op: "handle", Subject: env.Type.String(), Node: w.conf.Node, Text: fmt.Sprint("panic: ", p)}
		}
	}()
	return w.conf.Handle(ctx, Peer{Node: env.FromNode, Boot: env.FromBoot, Addr: env.FromAddr}, msg)
}

type hasHeader interface{ GetHeader() *Header }

// open decodes a message and refuses one for another boot or past its deadline.
func (w *Wire) open(env *Envelope) (proto.Message, error) {
	msg, err := decode(env.Type, env.Payload)
	if err != nil {
		w.noteInvalid(env, err)
		return nil, err
	}
	h, ok := msg.(hasHeader)
	if !ok {
		return msg, nil
	}
	refused := &plan.Error{Op: "handle", Subject: env.Type.String(), Node: w.conf.Node}
	if to := h.GetHeader().GetToBoot(); to != "" && to != w.conf.Boot {
		refused.Kind, refused.Text = plan.KindFenced, fmt.Sprintf("for boot %s, this is boot %s", to, w.conf.Boot)
		return nil, refused
	}
	if at := h.GetHeader().GetDeadlineUnixMs(); at != 0 && time.Now().UnixMilli() >= at {
		refused.Kind, refused.Text = plan.KindDeadline, "arrived after its deadline"
		return nil, refused
	}
	return msg, nil
}

// answer replies to a call. An answer that cannot be sent becomes an error that
// can.
func (w *Wire) answer(to *Envelope, reply proto.Message, err error) {
	if err == nil && reply == nil {
		reply = &Ack{}
	}
	var env *Envelope
	if err == nil {
		env, err = w.envelope(Envelope_REPLY, reply)
	}
	if err != nil {
		te := taskError(err, w.conf.Node)
		if env, err = w.envelope(Envelope_ERROR, ToProto(te)); err != nil {
			te = &plan.Error{Kind: te.Kind, Node: w.conf.Node, Text: te.Text}
			env, err = w.envelope(Envelope_ERROR, ToProto(te))
		}
	}
	if err == nil {
		env.Id = to.Id
		err = w.deliver(to.FromAddr, env)
	}
	if err != nil {
		w.log.Debug("wire: an answer was not sent", "to", to.FromNode, "err", err)
	}
}
