package pond

import (
	"context"
	"errors"
	"time"

	"github.com/pondmesh/pond/actors/kinds"
	"github.com/pondmesh/pond/actors/plan"
)

// Bounds of actors, in bytes.
const (
	ActorMessageMax = kinds.MessageMax // of a message, and of a reply
	ActorStateMax   = kinds.StateMax
)

// Actor is a user's actor: one activation of one key of a kind. Receive is called for one
// message at a time, so its fields need no locks; msg is the actor's to keep, the reply
// the caller's. Whatever bytes mean, such as protobuf, is between the two.
//
// An error goes to the caller as an [Error] that is ErrActor, with the error's text, and
// with its Code if it is an *Error that has one. A panic does too, with the code "panic":
// another Actor takes its place, after a pause that grows; after five in a minute the
// key is refused for ten seconds.
type Actor interface {
	Receive(ctx ActorContext, msg []byte) (reply []byte, err error)
}

// ActorContext is what an Actor has for the time of one message; it is used by the
// goroutine that has called Receive, and not kept. It ends when the caller no longer
// waits, and when the node ends.
type ActorContext interface {
	context.Context

	// Key is the actor's.
	Key() string

	// Load returns the state that was saved last for this kind and key, wherever; nil if
	// none was. With it the activation takes the key over, for good: from then on
	// whatever another one saves is refused, and so are its replies. So calls of an actor
	// that loads its state are linearizable, whichever nodes were paused or cut off.
	//
	// The state is in a register of the pond, which costs a round to most of its keepers
	// for each message, and about 2 KB on their disks for each key, for ever: it is for
	// thousands of keys, not for millions. Errors are ErrUnavailable.
	Load() ([]byte, error)

	// Save stores the state, at most ActorStateMax bytes, before it returns. ErrFenced:
	// another activation has taken over, and nothing is stored. ErrUnavailable: nothing is
	// stored, or it is not known; the text says which. After either error the activation
	// ends with this message, whose caller gets the error, and the next one begins from
	// what is stored.
	Save(state []byte) error

	// After calls f after d, between messages, unless stop is called before that, or the
	// activation ends. An actor with running timers, at most 64, is not idle. What f
	// returns is logged.
	After(d time.Duration, f func(ActorContext) error) (stop func(), err error)
}

// WithActor registers a kind of actors, for [Session.Actor]: 1 to 64 letters, digits,
// '-' and '_'. create is called for each activation, by several goroutines at once.
//
// Nobody starts an actor: a call does, on the node that the key belongs to, among those
// that have registered the kind. It ends when it has been idle (see [WithActorIdle]), and
// when the key belongs to another node, since one has joined, left or died. For a moment
// there may then be two: see [ActorContext].Load for actors that must not be.
func WithActor(kind string, create func(key string) Actor) Option {
	return nodeOption(func(c *nodeConfig) error {
		k := kinds.Kind{Name: kind}
		if create != nil {
			k.New = func(key string) kinds.Actor { return actorOf{create(key)} }
		}
		return c.kinds.Add(k)
	})
}

// WithActorIdle sets after how long without messages and timers actors end: ten minutes
// without it.
func WithActorIdle(d time.Duration) Option {
	return nodeOption(func(c *nodeConfig) error {
		if d <= 0 {
			return badOption("actor-idle", "write a length of time, such as 10m", "it is not positive")
		}
		c.actorIdle = d
		return nil
	})
}

// actorOf is an Actor as package grains runs it.
type actorOf struct{ Actor }

func (a actorOf) Receive(ctx kinds.Context, msg []byte) ([]byte, error) {
	reply, err := a.Actor.Receive(actorContext{ctx}, msg)
	return reply, coded(err)
}

// coded is an actor's own error, whose code travels.
func coded(err error) error {
	var e *Error
	if !errors.As(err, &e) || e.Code == "" {
		return err
	}
	return &plan.Error{Kind: plan.KindActor, Text: e.Text, Hint: e.Hint, Code: e.Code}
}

// actorContext is the context of package grains as users have it.
type actorContext struct{ kinds.Context }

func (c actorContext) Load() ([]byte, error) {
	state, err := c.Context.Load()
	return state, public(err)
}

func (c actorContext) Save(state []byte) error { return public(c.Context.Save(state)) }

func (c actorContext) After(d time.Duration, f func(ActorContext) error) (func(), error) {
	stop, err := c.Context.After(d, func(k kinds.Context) error { return f(actorContext{k}) })
	return stop, public(err)
}

// ActorRef names an actor, which need not be active, nor its kind be there.
type ActorRef struct {
	s         *Session
	kind, key string
}

// Actor names the actor of that kind (see [WithActor]) and key: 1 to 128 bytes of
// printable text, neither "." nor "..".
func (s *Session) Actor(kind, key string) *ActorRef { return &ActorRef{s, kind, key} }

// Call has the actor receive msg, at most ActorMessageMax bytes, and returns its reply.
// The message is received at most once: it is sent again, for some seconds, only while
// it is known that nobody has received it. Errors are, for errors.Is:
//
//	ErrActor        the actor's own: Error.Text, and Error.Code; or it panicked
//	ErrNotFound     no node of the pond has the kind
//	ErrBusy         too many messages wait for the actor, or for its node: it was not received
//	ErrFenced       another activation has taken over: nothing was saved; call again
//	ErrDeadline     there is no reply after 30 s, which is how long a ctx without a deadline lasts
//	ErrUnavailable  nobody could receive it; or the text says that this is not known
//	ErrQuery        a wrong kind or key, or a message that is too large
//
// or ctx's own.
func (a *ActorRef) Call(ctx context.Context, msg []byte) ([]byte, error) {
	if err := errors.Join(kinds.CheckKind(a.kind), kinds.CheckKey(a.key), kinds.CheckMessage(msg)); err != nil {
		return nil, public(err)
	}
	reply, err := a.s.api.Actor(ctx, a.kind, a.key, msg)
	return reply, public(err)
}
