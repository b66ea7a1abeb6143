package plan

import (
	"errors"
	"fmt"
	"time"
)

// Kind classifies why an attempt or a job failed. The kind, never the text, decides
// the reaction. Values are append-only: they cross the wire.
type Kind uint8

// Kinds of failure.
const (
	KindInternal    Kind = iota // a defect in Pond: retried elsewhere, then fails the job
	KindUser                    // the query or its data is wrong: fails the job at once
	KindMemory                  // DuckDB ran out of its budget: retried with more
	KindFetch                   // a producer's segment is gone or corrupt: the producer is run again
	KindResource                // disk full, too many files, a remote place that does not answer: retried elsewhere
	KindUnavailable             // a node could not be reached or died: retried elsewhere
	KindFenced                  // a newer term or attempt has taken over: dropped
	KindCancelled               // asked for
	KindDeadline                // the job's deadline passed, or the time that its statement may be planned for
	KindNotFound                // no such job, node, file
	KindExists                  // the output is already there
	KindDenied                  // not allowed
	KindCrash                   // DuckDB took its process with it: tried once more, then fails the job
	KindActor                   // a user's actor returned an error, or panicked
	KindBusy                    // a queue is full: nothing has happened, and later there may be room
	KindLost                    // every copy of stored data is gone or damaged: nothing that is tried again helps
	KindStorage                 // a disk or a mount fails, or holds what is damaged: retried elsewhere
)

var kindNames = [...]string{"internal", "user", "memory", "fetch", "resource", "unavailable", "fenced", "cancelled", "deadline", "not found", "exists", "denied", "crash", "actor", "busy", "lost", "storage"}

// Known reports whether k is a kind of this version.
func (k Kind) Known() bool { return int(k) < len(kindNames) }

func (k Kind) String() string {
	if k.Known() {
		return kindNames[k]
	}
	return fmt.Sprintf("kind(%d)", uint8(k))
}

// Sentinels, one a kind. errors.Is matches them on either side of the wire.
var (
	ErrInternal    = errors.New("internal error")
	ErrQuery       = errors.New("query error")
	ErrMemory      = errors.New("out of memory")
	ErrFetch       = errors.New("lost segment")
	ErrResource    = errors.New("a resource ran out, or does not answer")
	ErrUnavailable = errors.New("node unavailable")
	ErrFenced      = errors.New("fenced")
	ErrCancelled   = errors.New("cancelled")
	ErrDeadline    = errors.New("deadline exceeded")
	ErrNotFound    = errors.New("not found")
	ErrExists      = errors.New("already exists")
	ErrDenied      = errors.New("denied")
	ErrCrash       = errors.New("DuckDB crashed")
	ErrActor       = errors.New("the actor failed")
	ErrBusy        = errors.New("busy")
	ErrLost        = errors.New("stored data is lost")
	ErrStorage     = errors.New("storage failed")
)

var kindSentinels = [...]error{ErrInternal, ErrQuery, ErrMemory, ErrFetch, ErrResource, ErrUnavailable, ErrFenced, ErrCancelled, ErrDeadline, ErrNotFound, ErrExists, ErrDenied, ErrCrash, ErrActor, ErrBusy, ErrLost, ErrStorage}

// Error is the one error that crosses nodes.
type Error struct {
	Kind Kind
	Op   string // the failed operation: "run", "fetch", "publish"
	// Subject is the object of the operation: a task, a file, a job.
	Subject string
	Node    string // where, when known
	Text    string // for people: DuckDB's own message, or the cause's
	Hint    string // what to do next; may be empty
	Code    string // a word of the user's own, for programs; only KindActor has one
	// Lost names the tasks to run again: producers whose segments are gone or
	// corrupt. Only KindFetch has any.
	Lost []TaskID
}

func (e *Error) Error() string {
	s := e.Text
	if e.Subject != "" {
		s = e.Subject + ": " + s
	}
	if e.Op != "" {
		s = e.Op + " " + s
	}
	if e.Node != "" {
		s += " (on node " + e.Node + ")"
	}
	return s
}

// Unwrap is the kind's sentinel; nil: the kind is of a newer version.
func (e *Error) Unwrap() error {
	if e.Kind.Known() {
		return kindSentinels[e.Kind]
	}
	return nil
}

// KindOf is the kind of err: an Error's own, the kind whose sentinel err
// wraps, or KindInternal.
func KindOf(err error) Kind {
	var te *Error
	if errors.As(err, &te) {
		return te.Kind
	}
	for k, s := range kindSentinels {
		if errors.Is(err, s) {
			return Kind(k)
		}
	}
	return KindInternal
}

// OpConfigure is the Op of errors about a setting, which the Subject names as the
// command line's flag does.
const OpConfigure = "configure"

// ParseKind is the kind that k.String() names; KindInternal for others.
func ParseKind(name string) Kind {
	for k, n := range kindNames {
		if n == name {
			return Kind(k)
		}
	}
	return KindInternal
}

// AsError is err as an Error: itself when it is or wraps one (text that wraps it
// is dropped), else a new one of err's kind.
func AsError(err error) *Error {
	var te *Error
	if errors.As(err, &te) {
		return te
	}
	return &Error{Kind: KindOf(err), Text: err.Error()}
}

// TimeUp is the error of a job that has not ended in the milliseconds it was given.
func TimeUp(op string, millis int64) *Error {
	return &Error{Kind: KindDeadline, Op: op, Subject: "job", Text: fmt.Sprintf("it has not ended in the %v that it was given (deadline)", time.Duration(millis)*time.Millisecond)}
}
