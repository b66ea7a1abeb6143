package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"strconv"
	"strings"

	"github.com/pondmesh/pond"
	"github.com/pondmesh/pond/chaos/scenario"
	"github.com/pondmesh/pond/cmd/pondnode/internal/jobfile"
)

// Exit codes.
const (
	exitOK          = 0
	exitFailed      = 1
	exitUsage       = 2
	exitUnreachable = 3
	exitDenied      = 4
	exitTimeout     = 5
	exitInterrupted = 130
)

// errInterrupted is a signal's doing.
var errInterrupted = errors.New("interrupted")

// lateError is a signal that came when the job's files were there already.
type lateError struct{ st *pond.Status }

func (e *lateError) Error() string {
	return "interrupted, but the job had succeeded already: " + written(e.st)
}
func (e *lateError) Unwrap() error { return errInterrupted }

// usageError is a mistake in how the program was called.
type usageError struct {
	text string
	hint string
}

func (e usageError) Error() string { return e.text }

// jobError is a job that ended, but not well.
type jobError struct {
	id    string
	state string
	err   error
}

func (e *jobError) Error() string { return fmt.Sprintf("job %s %s: %v", e.id, e.state, e.err) }
func (e *jobError) Unwrap() error { return e.err }

func exitCode(err error) int {
	var usage usageError
	var file *jobfile.Error
	var job *jobError
	var run *scenario.Error
	switch {
	case err == nil:
		return exitOK
	case errors.Is(err, errInterrupted):
		return exitInterrupted
	case errors.As(err, &usage), errors.As(err, &file), errors.As(err, &run), setting(err) != nil:
		return exitUsage
	case errors.Is(err, pond.ErrDenied):
		return exitDenied
	case errors.Is(err, pond.ErrDeadline), errors.Is(err, context.DeadlineExceeded):
		return exitTimeout
	case errors.As(err, &job):
		return exitFailed
	case errors.Is(err, pond.ErrUnavailable):
		return exitUnreachable
	}
	return exitFailed
}

// report says what went wrong, why, and what to do next.
func (a *app) report(err error) {
	if err == nil {
		return
	}
	what, why, next := a.explain(err)
	label := "error:"
	if _, plain := a.env("NO_COLOR"); !plain && columns(a.stderr) > 0 {
		label = "\x1b[1;31merror:\x1b[0m"
	}
	fmt.Fprintln(a.stderr, label, what)
	for _, line := range []struct{ label, text string }{{"  why:  ", why}, {"  next: ", next}} {
		if line.text != "" {
			fmt.Fprintln(a.stderr, line.label+strings.ReplaceAll(strings.TrimSpace(line.text), "\n", "\n        "))
		}
	}
}

// setting is the error of a setting that no node can have, nil if err is another.
func setting(err error) *pond.Error {
	var te *pond.Error
	if errors.As(err, &te) && te.Op == "configure" {
		return te
	}
	return nil
}

func (a *app) explain(err error) (what, why, next string) {
	var usage usageError
	var file *jobfile.Error
	var te *pond.Error
	var late *lateError
	switch {
	case errors.As(err, &late):
		return late.Error(), "", ""
	case errors.Is(err, errInterrupted):
		return "interrupted", "", ""
	case errors.As(err, &usage):
		return usage.text, "", usage.hint
	case errors.As(err, &file):
		return file.Error(), "", file.Hint
	case setting(err) != nil:
		te = setting(err)
		return strings.TrimPrefix("--"+te.Subject+": ", "--: ") + te.Text, "", te.Hint
	case errors.As(err, &te):
		return a.explainTask(err, te)
	case errors.Is(err, context.DeadlineExceeded):
		return "the time is up", err.Error(), "give more with --deadline or --timeout"
	case errors.Is(err, fs.ErrPermission):
		return err.Error(), "", "check who may read and write there"
	}
	return err.Error(), "", ""
}

// hints are for errors that bring none.
var hints = map[error]string{
	pond.ErrMemory:      "use more partitions, or nodes with more --memory",
	pond.ErrExists:      "write elsewhere, or with mode: overwrite or append",
	pond.ErrDeadline:    "give more time with --deadline",
	pond.ErrResource:    "look at the disks and the limits of that node: pondnode du shows what it holds",
	pond.ErrStorage:     "look at the disks of that node, and at its log",
	pond.ErrDenied:      "ask as a user who may: who this command is to a node, its token or certificate says",
	pond.ErrCrash:       "find out which part of the query or which file it is, and report it to DuckDB",
	pond.ErrInternal:    "this is a defect in Pond: please report it with the node's log",
	pond.ErrLost:        "run it again: what is lost is made anew",
	pond.ErrDataLost:    "make or put it again; pondnode fs status shows what was kept of it",
	pond.ErrFenced:      "ask again: another has taken over",
	pond.ErrBusy:        "try again a little later",
	pond.ErrUnavailable: "look which nodes live: pondnode members; then run it again",
}

func (a *app) explainTask(err error, te *pond.Error) (what, why, next string) {
	next = te.Hint
	if errors.Is(te, pond.ErrUnavailable) && te.Op == "call" {
		if next == "" {
			next = "start a node (pondnode join, or pondnode dev), or name a running one with --peer, by its base port (the first of its three)"
		}
		return "no node reached at " + a.peer, te.Text, next
	}
	if te.Op == "start" { // of this node: the text says it all
		return strings.TrimPrefix(te.Subject+": ", ": ") + te.Text, "", next
	}
	kind := errors.Unwrap(te)
	if errors.Is(err, pond.ErrUnknown) {
		kind = pond.ErrUnknown
	}
	what = kind.Error()
	var where []string
	if at := strings.TrimSpace(te.Op + " " + te.Subject); at != "" {
		where = append(where, at)
	}
	if te.Node != "" {
		where = append(where, "node "+te.Node)
	}
	if len(where) > 0 {
		what += " (" + strings.Join(where, ", ") + ")"
	}
	var job *jobError
	if errors.As(err, &job) {
		what = "job " + job.id + " " + job.state + ": " + what
	}
	if next == "" {
		next = hints[kind]
	}
	return what, te.Text, next
}

func quote(s string) string { return strconv.Quote(s) }
