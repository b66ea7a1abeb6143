package api

import (
	"net/http"

	"github.com/pondmesh/pond/actors/plan"
)

// Error is a failure as JSON. It is a plan.Error on both sides.
type Error struct {
	Kind    string `json:"kind"`
	Op      string `json:"op,omitempty"`
	Subject string `json:"subject,omitempty"`
	Node    string `json:"node,omitempty"`
	Text    string `json:"error"`
	Hint    string `json:"hint,omitempty"`
	Code    string `json:"code,omitempty"` // an actor's own
}

// Bounds of an error's texts, in bytes. They keep one, however it is escaped, below
// errorBodyMax.
const (
	errorTextMax = 32 << 10
	subjectMax   = 4 << 10
)

// FromError is err for the wire, with the beginnings of texts that are too long; nil for
// nil.
func FromError(err error) *Error {
	if err == nil {
		return nil
	}
	te := plan.AsError(err)
	return &Error{Kind: te.Kind.String(), Op: te.Op, Subject: clip(te.Subject, subjectMax), Node: te.Node, Text: clip(te.Text, errorTextMax), Hint: clip(te.Hint, errorTextMax), Code: te.Code}
}

// Err is e as the error that errors.Is matches.
func (e *Error) Err() *plan.Error {
	if e == nil {
		return nil
	}
	return &plan.Error{Kind: plan.ParseKind(e.Kind), Op: e.Op, Subject: e.Subject, Node: e.Node, Text: e.Text, Hint: e.Hint, Code: e.Code}
}

var kindStatus = map[plan.Kind]int{
	plan.KindUser:        http.StatusUnprocessableEntity,
	plan.KindCrash:       http.StatusUnprocessableEntity,
	plan.KindUnavailable: http.StatusServiceUnavailable,
	plan.KindFenced:      http.StatusConflict,
	plan.KindExists:      http.StatusConflict,
	plan.KindNotFound:    http.StatusNotFound,
	plan.KindDenied:      http.StatusForbidden,
	plan.KindDeadline:    http.StatusGatewayTimeout,
	plan.KindResource:    http.StatusInsufficientStorage,
	plan.KindActor:       http.StatusUnprocessableEntity,
	plan.KindBusy:        http.StatusTooManyRequests,
}

// StatusOf is the HTTP status that carries an error of kind k.
func StatusOf(k plan.Kind) int {
	if s, ok := kindStatus[k]; ok {
		return s
	}
	return http.StatusInternalServerError
}
