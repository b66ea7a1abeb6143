package frame

import (
	"github.com/pondmesh/pond/actors/plan"
)

// Options are the inputs of a compilation besides the plan and its files.
type Options struct {
	JobID plan.JobID
	plan.Sizing
	// Functions are the registered Go functions, scalar ones too: name to
	// version. A version promises that the function gives the same rows for the
	// same rows, however they are batched, until the version changes; without
	// one ("" or not listed) results are neither reused nor taken as repeatable.
	Functions map[string]string
	// Elsewhere reports whether another node has a function of that name, in lower case:
	// one without a version. Nil: none has.
	Elsewhere func(name string) bool
	// Named is SQL that makes the column filename of the path of a file, if paths stand
	// for other names; "" if not. Nil: none do.
	Named func(path string) string
	// Salt is hashed into every stage id: the versions of DuckDB and of Pond's
	// hash and block format.
	Salt string
}
