package plan

import "errors"

// Options are what a compilation depends on besides the plan and its files.
type Options struct {
	JobID       JobID
	Parallelism int   // slots in the pond: tasks that can run at once; 0: 1
	TargetBytes int64 // compressed bytes a task is meant to read; 0: 128 MiB
	// Functions are the registered Go functions, scalar ones too: name to
	// version. A version promises that the function gives the same rows for the
	// same rows, however they are batched, until the version changes; without
	// one ("" or not listed) results are neither reused nor taken as repeatable.
	Functions map[string]string
	// Salt is hashed into every stage id: the versions of DuckDB and of Pond's
	// hash and block format.
	Salt string
}

// Compile turns a plan into a job. The same plan over the same files with the
// same options gives the same job. Errors are the user's (ErrQuery) and name
// the node at fault.
func Compile(p *Plan, cat Catalog, o Options) (*Job, error) {
	return nil, errors.New("plan: unwritten")
}
