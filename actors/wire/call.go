package wire

import (
	"context"
	"errors"
	"fmt"
	"time"

	"google.golang.org/protobuf/proto"

	"github.com/pondmesh/pond/actors/plan"
)

// Send gives msg to the node at addr, at most once, and does not wait. An error
// means that it was not sent: ErrTooLarge, ErrInvalid, or plan.ErrUnavailable
// for a peer that is known to be down or too many unsent messages; no error
// does not mean that it will arrive. The caller may reuse msg.
func (w *Wire) Send(ctx context.Context, addr string, msg proto.Message) error {
	env, err := w.envelope(Envelope_SEND, msg)
	if err == nil {
		err = ctx.Err()
	}
	if err != nil {
		return fmt.Errorf("wire: send to %s: %w", addr, err)
	}
	if w.closing.Load() {
		return fmt.Errorf("wire: send to %s: %w", addr, ErrClosed)
	}
	return explain("send to", addr, w.deliver(addr, env))
}

// Call gives msg to the node at addr and waits for the reply. It ends with
//
//   - the reply;
//   - a *plan.Error from the other side: errors.Is matches its kind's sentinel;
//   - plan.ErrUnavailable: no connection, the connection was lost, the peer is
//     busy or closing, or it said nothing for Config.CallTimeout. The peer may
//     have acted on msg all the same;
//   - ErrTooLarge or ErrInvalid: not sent;
//   - ctx's error.
//
// The caller may reuse msg.
func (w *Wire) Call(ctx context.Context, addr string, msg proto.Message) (proto.Message, error) {
	env, err := w.envelope(Envelope_CALL, msg)
	if err == nil {
		err = ctx.Err()
	}
	if err != nil {
		return nil, fmt.Errorf("wire: call %s: %w", addr, err)
	}
	if w.closing.Load() {
		return nil, fmt.Errorf("wire: call %s: %w", addr, ErrClosed)
	}
	wait, stop := context.WithTimeoutCause(ctx, w.conf.CallTimeout, errNoAnswer)
	defer stop()
	a := w.exchange(wait, addr, env)
	if a.err != nil {
		return nil, explain("call", addr, a.err)
	}
	return w.result(addr, a.env)
}

var errNoAnswer = errors.New("no answer in time")

// exchange sends a call and waits for what comes back.
func (w *Wire) exchange(ctx context.Context, addr string, env *Envelope) answer {
	remote := addr
	if addr == w.addr {
		remote = ""
	}
	c, err := w.links.begin(remote)
	if err != nil {
		return answer{err: err}
	}
	env.Id = c.id
	if t, ok := ctx.Deadline(); ok {
		env.TimeoutMs = uint32(max(time.Until(t).Milliseconds(), 1))
	}
	if err := w.deliver(addr, env); err != nil {
		w.links.finish(c.id, answer{err: err})
	}
	select {
	case a := <-c.done:
		return a
	case <-ctx.Done():
		w.links.finish(c.id, answer{})
		return answer{err: context.Cause(ctx)}
	}
}

// result returns the message or error of an answering envelope.
func (w *Wire) result(addr string, env *Envelope) (proto.Message, error) {
	msg, err := decode(env.Type, env.Payload)
	if err != nil {
		return nil, fmt.Errorf("wire: answer of %s: %w", addr, err)
	}
	if env.Kind == Envelope_REPLY {
		return msg, nil
	}
	if te, ok := msg.(*TaskError); ok {
		return nil, FromProto(te)
	}
	return nil, fmt.Errorf("wire: answer of %s: %w: an error of type %s", addr, ErrInvalid, env.Type)
}

// Lost says that the node at addr is dead: its calls fail now and its
// connection is cut. A message sent later tries to connect again.
func (w *Wire) Lost(addr string) {
	w.net.lost(addr, errors.New("the node has left the pond"))
}

// envelope wraps a message of this node's.
func (w *Wire) envelope(kind Envelope_Kind, msg proto.Message) (*Envelope, error) {
	t, payload, err := encode(msg)
	if err != nil { // a defect of this node's, which its peer will never hear of
		w.log.Error("wire: a message of this node's own cannot be sent", "type", typeOf(msg), "err", err)
		return nil, err
	}
	return &Envelope{
		Kind:     kind,
		FromNode: w.conf.Node,
		FromBoot: w.conf.Boot,
		FromAddr: w.addr,
		Type:     t,
		Payload:  payload,
	}, nil
}

// deliver takes an envelope to its router, this node's own included.
func (w *Wire) deliver(addr string, env *Envelope) error {
	if addr == w.addr {
		return w.receive(env)
	}
	return w.net.carry(addr, env)
}

// explain makes plan.ErrUnavailable of what stood between two routers.
func explain(op, addr string, err error) error {
	if err == nil {
		return nil
	}
	for _, own := range []error{ErrClosed, ErrInvalid, ErrTooLarge, context.Canceled, context.DeadlineExceeded} {
		if errors.Is(err, own) {
			return fmt.Errorf("wire: %s %s: %w", op, addr, err)
		}
	}
	return &plan.Error{Kind: plan.KindUnavailable, Op: op, Subject: addr, Text: err.Error()}
}
