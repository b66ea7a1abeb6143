package actors

import (
	"context"
	"fmt"
	"sync"

	"github.com/apache/arrow-go/v18/arrow"
)

// BatchFunc maps one batch of rows to others. It must not keep in, and it owns
// nothing: the caller releases both in and what is yielded. It is called from
// one goroutine a task, from several tasks at once.
type BatchFunc func(ctx context.Context, in arrow.RecordBatch, yield func(arrow.RecordBatch) error) error

// ScalarFunc computes one value a row for a whole vector of rows. The result has
// as many rows as args; the caller releases it.
type ScalarFunc func(ctx context.Context, args arrow.RecordBatch) (arrow.Array, error)

// Funcs are the Go functions that a node offers to jobs, by name. Every node
// that is to run a job with them must have registered them.
type Funcs struct {
	mu     sync.RWMutex
	batch  map[string]batchEntry
	scalar map[string]ScalarEntry
}

type batchEntry struct {
	version string
	schema  func(in *arrow.Schema) (*arrow.Schema, error)
	call    BatchFunc
}

// ScalarEntry is a registered scalar function, in DuckDB's types.
type ScalarEntry struct {
	Name     string
	Args     []string
	Result   string
	Volatile bool
	Version  string // promises equal results for equal arguments until it changes; "": none
	Call     ScalarFunc
}

// NewFuncs returns an empty registry.
func NewFuncs() *Funcs {
	return &Funcs{batch: map[string]batchEntry{}, scalar: map[string]ScalarEntry{}}
}

// AddBatch registers f under name. schema gives the output's schema for an
// input's; nil means that they are the same. version, unless empty, promises
// the same rows for the same rows until it changes.
func (f *Funcs) AddBatch(name, version string, schema func(*arrow.Schema) (*arrow.Schema, error), call BatchFunc) error {
	if name == "" || call == nil {
		return fmt.Errorf("actors: register function %q: it needs a name and a function", name)
	}
	if schema == nil {
		schema = func(in *arrow.Schema) (*arrow.Schema, error) { return in, nil }
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	f.batch[name] = batchEntry{version: version, schema: schema, call: call}
	return nil
}

// AddScalar registers a function that SQL may call by e.Name.
func (f *Funcs) AddScalar(e ScalarEntry) error {
	if e.Name == "" || e.Call == nil || e.Result == "" {
		return fmt.Errorf("actors: register function %q: it needs a name, a result type and a function", e.Name)
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	f.scalar[e.Name] = e
	return nil
}

// versions maps each function to its version: "" when it has none, and its
// results are then never reused.
func (f *Funcs) versions() map[string]string {
	f.mu.RLock()
	defer f.mu.RUnlock()
	out := map[string]string{}
	for name, e := range f.batch {
		out[name] = e.version
	}
	for name, e := range f.scalar {
		if out[name] = e.Version; e.Volatile {
			out[name] = ""
		}
	}
	return out
}

func (f *Funcs) lookupBatch(name string) (batchEntry, bool) {
	f.mu.RLock()
	defer f.mu.RUnlock()
	e, ok := f.batch[name]
	return e, ok
}

func (f *Funcs) scalars() []ScalarEntry {
	f.mu.RLock()
	defer f.mu.RUnlock()
	out := make([]ScalarEntry, 0, len(f.scalar))
	for _, e := range f.scalar {
		out = append(out, e)
	}
	return out
}
