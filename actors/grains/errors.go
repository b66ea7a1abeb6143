package grains

import (
	"context"
	"errors"
	"fmt"

	"github.com/pondmesh/pond/actors/kinds"
	"github.com/pondmesh/pond/actors/plan"
)

func noKind(i id) error {
	return &plan.Error{Kind: plan.KindNotFound, Op: "call", Subject: i.String(), Text: "no node of this pond has actors of the kind " + i.kind,
		Hint: "register it with pond.WithActor where a program joins"}
}

// notHere is the error of a message that no actor has begun to receive.
func notHere(i id, why string) error {
	return &plan.Error{Kind: plan.KindUnavailable, Op: kinds.OpActivate, Subject: i.String(), Text: why}
}

// notBegun reports whether a message may be sent again.
func notBegun(err error) bool {
	var pe *plan.Error
	return errors.As(err, &pe) && pe.Kind == plan.KindUnavailable && pe.Op == kinds.OpActivate
}

func busy(i id, format string, args ...any) error {
	return &plan.Error{Kind: plan.KindBusy, Op: "call", Subject: i.String(), Text: fmt.Sprintf(format, args...), Hint: "call again later"}
}

// late is the error of a caller whose time is up, or who has left.
func late(ctx context.Context, i id, begun bool) error {
	cause := context.Cause(ctx)
	if !errors.Is(cause, context.DeadlineExceeded) {
		return cause
	}
	text := "the message still waits for the actor: it will not receive it"
	if begun {
		text = "the actor has not replied yet"
	}
	return &plan.Error{Kind: plan.KindDeadline, Op: "call", Subject: i.String(), Text: text}
}

// ofActor is a user's error as its caller gets it: the text, and the code if it has one.
// That it may be the error of another call, of whatever kind, is the user's affair.
func ofActor(i id, err error) error {
	out := &plan.Error{Kind: plan.KindActor, Op: "call", Subject: i.String(), Text: err.Error()}
	var pe *plan.Error
	if errors.As(err, &pe) && pe.Kind == plan.KindActor {
		out.Code, out.Text, out.Hint = pe.Code, pe.Text, pe.Hint
	}
	return out
}

func panicked(i id, what any) error {
	return &plan.Error{Kind: plan.KindActor, Op: "call", Subject: i.String(), Code: CodePanic, Text: fmt.Sprintf("the actor panicked: %v (the node's log has the stack)", what)}
}

// CodePanic is the Code of an actor's error that was a panic.
const CodePanic = "panic"
