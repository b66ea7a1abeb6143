// Package distribute distributes a query: it turns the relational tree that DuckDB
// planned ([logical.Plan]) into the stages of a [plan.Job].
//
//	logical.Plan ── Plan(Facts, Options) ──▶ []plan.Stage
//
// It goes up from the scans and keeps, for each intermediate result, what is
// certain about it: in how many tasks its rows are, which columns' hash decides
// in which, whether their order means something. An operator that needs nothing
// else stays in the stage of its input; one that does gets an exchange: partial
// aggregates and top rows before it, sides of a join hashed alike or the smaller
// one sent to all. What cannot be proven right in pieces is gathered into one
// task, the smallest part of the tree that will do, and the stage says why. What
// cannot even be written in pieces runs as the user wrote it, in one task.
//
// Sizes are guesses. They decide how, never what. When stages have run, what they
// made is known: [Compiled.Replan] plans the query again with what is there taken as
// it is, and gives the stages that the job goes on with.
//
// It is pure: no clock, goroutine, socket, disk or DuckDB. Read plan.go, rel.go
// for the properties, cut.go for the exchanges, then any operator.
package distribute
