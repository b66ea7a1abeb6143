// Package distribute distributes a query: it turns the relational tree that DuckDB
// planned ([logical.Plan]) into the stages of a [plan.Job].
//
//	logical.Plan ── Plan(Facts, Options) ──▶ []plan.Stage
//
// It goes up from the scans and keeps the properties of each intermediate result:
// the number of tasks that hold its rows, the columns whose hash decides which, and
// whether the order matters. An operator that needs nothing else stays in the stage
// of its input; any other gets an exchange: partial aggregates and top rows before
// it, both sides of a join hashed alike or the smaller one sent to all. If pieces
// cannot be proven right, the smallest sufficient part of the tree is gathered into
// one task, and the stage says why. If pieces cannot even be rendered, the query
// runs in one task as the user wrote it.
//
// Sizes are guesses. They decide how a query runs, never its result. The sizes of
// finished stages are known: [Compiled.Replan] plans the query again around their
// output, and returns the stages with which the job goes on.
//
// It is pure: no clock, goroutine, socket, disk or DuckDB. Read plan.go, rel.go
// for the properties, cut.go for the exchanges, then any operator.
package distribute
