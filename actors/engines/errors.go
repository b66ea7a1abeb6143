package engines

import (
	"errors"

	"github.com/pondmesh/pond/actors/plan"
	"github.com/pondmesh/pond/duck"
)

// kinds says what an engine's error means for the task.
var kinds = []struct {
	err  error
	kind plan.Kind
}{
	{duck.ErrMemory, plan.KindMemory},
	{duck.ErrInterrupted, plan.KindCancelled},
	{duck.ErrDiskFull, plan.KindResource},
	{duck.ErrIO, plan.KindResource},
	{duck.ErrDenied, plan.KindUser},
	{duck.ErrQuery, plan.KindUser},
	{duck.ErrBroken, plan.KindInternal},
}

// Error is err, of an engine that did op, as a plan.Error. Errors that passed
// through the engine (a lost segment, a Go function's) stay what they are.
func Error(op string, err error) error {
	var pe *plan.Error
	if err == nil || errors.As(err, &pe) {
		return err
	}
	for _, k := range kinds {
		if errors.Is(err, k.err) {
			return &plan.Error{Kind: k.kind, Op: op, Text: Text(err)}
		}
	}
	return err
}

// InputError is Error for what reads input files before anything has run: what
// DuckDB cannot read there is the user's.
func InputError(err error) error {
	if errors.Is(err, duck.ErrIO) || errors.Is(err, duck.ErrQuery) {
		return &plan.Error{Kind: plan.KindUser, Op: "read", Text: Text(err)}
	}
	return Error("read", err)
}

// Text is what DuckDB itself says, where it is DuckDB that says something.
func Text(err error) string {
	var e *duck.Error
	if errors.As(err, &e) {
		return e.Message
	}
	return err.Error()
}
