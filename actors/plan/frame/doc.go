// Package frame compiles DataFrames: a tree of steps over files becomes the
// stages of a job.
//
//	plan.Plan ── Compile(Catalog, Options) ──▶ plan.Job
//
// Each step becomes a view. Views that need no exchange between them are one
// stage; what several stages need is a stage of its own. A stage that runs on one
// partition though it reads several says why (Stage.Gathered).
//
// SQL in steps is the user's and is never parsed as a grammar: its words tell
// whether it repeats itself and whether its order matters. In doubt they say no,
// which costs reuse of a result, never an answer.
//
// It is pure: no clock, no goroutine, no socket, no disk, no DuckDB. It refuses,
// with an error that names the step, inputs that are not partitioned alike and
// columns that files do not have.
//
// Read compile.go, then exchange.go, share.go and stages.go.
package frame
