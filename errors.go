package pond

import (
	"errors"
	"fmt"

	"github.com/pondmesh/pond/actors/api"
	"github.com/pondmesh/pond/actors/plan"
)

// Sentinels for errors.Is. They match wherever in the pond an error came from;
// Error carries the details.
var (
	ErrQuery       = plan.ErrQuery       // the SQL, the plan or the data is wrong: DuckDB's own words
	ErrMemory      = plan.ErrMemory      // a task needed more than a whole node's memory
	ErrResource    = plan.ErrResource    // a disk is full, too many files are open, a remote place does not answer
	ErrStorage     = plan.ErrStorage     // a disk or a mount fails
	ErrUnavailable = plan.ErrUnavailable // a node, or all of them, cannot be reached
	ErrLost        = plan.ErrFetch       // rows that were made are gone, or damaged: the job makes them again
	ErrDataLost    = plan.ErrLost        // every copy of stored data is gone or damaged
	ErrCancelled   = plan.ErrCancelled
	ErrDeadline    = plan.ErrDeadline
	ErrNotFound    = plan.ErrNotFound // a file, a job
	ErrExists      = plan.ErrExists   // the output is there already
	ErrDenied      = plan.ErrDenied   // the caller may not: a role, another user's job, a path; or a certificate or token is not trusted
	ErrInternal    = plan.ErrInternal // a defect in Pond
	ErrCrash       = plan.ErrCrash    // DuckDB crashed on the query or its files, twice
	ErrActor       = plan.ErrActor    // an actor returned an error, of which Error.Code is its own, or panicked
	ErrBusy        = plan.ErrBusy     // an actor's mailbox, or a node's queue of jobs, is full: nothing has happened
	ErrFenced      = plan.ErrFenced   // another activation of the actor has taken over: nothing was saved
)

// ErrUnknown is a job of which no node can say whether it has ended, nor how: all that
// have its record are gone. It may be running, its files may be there or come yet. The
// same job may be asked for again by its id, of any node; handed in anew it would be
// another.
var ErrUnknown = errors.New("it is not known what became of the job")

// Error is a failure, its place, and advice. errors.As finds it in every error that
// comes from a pond.
type Error struct {
	Kind    string // in a word; errors.Is with a sentinel asks for it
	Op      string // the failed operation: "run", "fetch", "publish"
	Subject string // to what: a file, a job, a stage
	Node    string // where, when known
	Text    string // for people: DuckDB's own message, or the cause's
	Hint    string // what to do next; may be empty
	Code    string // a word of an actor's own, for programs
}

func (e *Error) Error() string {
	s := e.internal().Error()
	if e.Hint != "" {
		s += "; " + e.Hint
	}
	return s
}

// Unwrap is the sentinel of e's kind.
func (e *Error) Unwrap() error { return e.internal().Unwrap() }

func (e *Error) internal() *plan.Error { return (*api.Error)(e).Err() }

// public is err as users see it.
func public(err error) error {
	var pe *plan.Error
	if !errors.As(err, &pe) {
		return err
	}
	return (*Error)(api.FromError(pe))
}

// mistake is an error of the user's.
func mistake(op, subject, hint, format string, args ...any) error {
	return failure(plan.KindUser, op, subject, hint, format, args...)
}

// badOption is a mistake in a setting, which name names as the command line does.
func badOption(name, hint, format string, args ...any) error {
	return mistake(plan.OpConfigure, name, hint, format, args...)
}

func failure(kind plan.Kind, op, subject, hint, format string, args ...any) error {
	return &Error{Kind: kind.String(), Op: op, Subject: subject, Text: fmt.Sprintf(format, args...), Hint: hint}
}
