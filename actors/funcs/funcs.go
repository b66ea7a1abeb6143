// Package funcs keeps the Go functions that a node offers to jobs, by name, and
// calls them so that a panic costs one task: it becomes the user's error, as any
// error that a function returns does.
//
// It refuses to know DuckDB, tasks and nodes: package engines gives scalar
// functions to DuckDB, package exec feeds batches to batch functions.
package funcs

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"runtime/debug"
	"slices"
	"strings"
	"sync"

	"github.com/apache/arrow-go/v18/arrow"

	"github.com/pondmesh/pond/actors/plan"
)

// BatchFunc maps one batch of rows to others. It must not keep in, and it owns
// nothing: the caller releases both in and the yielded batches. It is called from
// one goroutine a task, from several tasks at once.
type BatchFunc func(ctx context.Context, in arrow.RecordBatch, yield func(arrow.RecordBatch) error) error

// ScalarFunc computes one value a row for a whole vector of rows. The result has
// as many rows as args; the caller releases it.
type ScalarFunc func(ctx context.Context, args arrow.RecordBatch) (arrow.Array, error)

// Batch is a registered batch function.
type Batch struct {
	Name string
	// Version promises the same rows for the same rows until it changes; "": none.
	Version string
	// Schema gives the output's schema for an input's; nil: they are the same.
	Schema func(in *arrow.Schema) (*arrow.Schema, error)
	Call   BatchFunc
}

// Scalar is a registered scalar function, in DuckDB's types.
type Scalar struct {
	Name     string
	Args     []string
	Result   string
	Volatile bool
	Version  string // promises equal results for equal arguments until it changes; "": none
	Call     ScalarFunc
}

// Registry holds functions by name. Every node that is to run a job with them
// must have registered them. The zero value is empty and ready; it is safe for
// concurrent use.
type Registry struct {
	mu     sync.RWMutex
	batch  map[string]Batch
	scalar map[string]Scalar
}

// AddBatch registers f, in place of another of its name.
func (r *Registry) AddBatch(f Batch) error {
	if f.Name == "" || f.Call == nil {
		return fmt.Errorf("funcs: register function %q: it needs a name and a function", f.Name)
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.batch == nil {
		r.batch = map[string]Batch{}
	}
	r.batch[f.Name] = f
	return nil
}

// AddScalar registers a function that SQL may call by f.Name, in place of another
// of that name.
func (r *Registry) AddScalar(f Scalar) error {
	if f.Name == "" || f.Call == nil || f.Result == "" {
		return fmt.Errorf("funcs: register function %q: it needs a name, a result type and a function", f.Name)
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.scalar == nil {
		r.scalar = map[string]Scalar{}
	}
	r.scalar[f.Name] = f
	return nil
}

// Versions maps each function to its version; "" means that its results are never
// reused, as are those of volatile functions.
func (r *Registry) Versions() map[string]string {
	r.mu.RLock()
	defer r.mu.RUnlock()
	out := map[string]string{}
	for name, f := range r.batch {
		out[name] = f.Version
	}
	for name, f := range r.scalar {
		if out[name] = f.Version; f.Volatile {
			out[name] = ""
		}
	}
	return out
}

// Batch is the batch function of that name; the user's error when there is none.
func (r *Registry) Batch(name string) (Batch, error) {
	r.mu.RLock()
	defer r.mu.RUnlock()
	f, ok := r.batch[name]
	if !ok {
		return f, &plan.Error{Kind: plan.KindUser, Op: "call", Subject: name, Text: "no such Go function on this node",
			Hint: "register it where a program joins (pond.WithBatchFunc and its like)"}
	}
	return f, nil
}

// Scalars are the scalar functions, by name.
func (r *Registry) Scalars() []Scalar {
	r.mu.RLock()
	defer r.mu.RUnlock()
	return slices.SortedFunc(maps.Values(r.scalar), func(a, b Scalar) int { return strings.Compare(a.Name, b.Name) })
}

// Scalar is the scalar function of that name.
func (r *Registry) Scalar(name string) (Scalar, bool) {
	r.mu.RLock()
	defer r.mu.RUnlock()
	f, ok := r.scalar[name]
	return f, ok
}

// Names are those of all functions.
func (r *Registry) Names() []string { return slices.Collect(maps.Keys(r.Versions())) }

// BatchNames are the names of the batch functions, sorted.
func (r *Registry) BatchNames() []string {
	r.mu.RLock()
	defer r.mu.RUnlock()
	return slices.Sorted(maps.Keys(r.batch))
}

// Output is the schema of what f makes of batches with schema in.
func (f *Batch) Output(log *slog.Logger, in *arrow.Schema) (out *arrow.Schema, err error) {
	if f.Schema == nil {
		return in, nil
	}
	err = guard(log, f.Name, func() error {
		if out, err = f.Schema(in); err == nil && out == nil {
			err = errors.New("the function gives no schema")
		}
		return err
	})
	return out, err
}

// Run calls f with one batch.
func (f *Batch) Run(ctx context.Context, log *slog.Logger, in arrow.RecordBatch, yield func(arrow.RecordBatch) error) error {
	return guard(log, f.Name, func() error { return f.Call(ctx, in, yield) })
}

// Run calls f with one vector of rows.
func (f *Scalar) Run(ctx context.Context, log *slog.Logger, args arrow.RecordBatch) (out arrow.Array, err error) {
	err = guard(log, f.Name, func() error {
		out, err = f.Call(ctx, args)
		if err == nil && (out == nil || int64(out.Len()) != args.NumRows()) {
			err = fmt.Errorf("the function did not return a value for each of %d rows", args.NumRows())
		}
		return err
	})
	return out, err
}

// guard turns a panic of a user's function, or an error without a kind, into
// the user's error.
func guard(log *slog.Logger, name string, f func() error) (err error) {
	defer func() {
		if r := recover(); r != nil {
			log.Error("a function panicked", "function", name, "panic", r, "stack", string(debug.Stack()))
			err = userError(name, fmt.Errorf("the function panicked: %v (the node's log has the stack)", r))
		}
	}()
	return userError(name, f())
}

func userError(name string, err error) error {
	var pe *plan.Error
	if err == nil || errors.As(err, &pe) || errors.Is(err, context.Canceled) || errors.Is(err, context.DeadlineExceeded) {
		return err
	}
	return &plan.Error{Kind: plan.KindUser, Op: "call", Subject: name, Text: err.Error()}
}
