// Package plan turns what a user asked for into what nodes run: a DataFrame (a
// tree of [Node]) into a [Job] (a list of [Stage]), and a stage into tasks.
//
// It is pure: no clock, no goroutine, no socket, no disk, no DuckDB. What it
// must know of the world (which files there are, how many rows they hold) comes
// in as a [Catalog]. The same tree over the same files compiles to the same
// stage ids, and that is what lets a job be resumed and a result be reused.
//
//	Node tree ── Compile(Catalog) ──▶ []Stage ── Assign(upstream sizes) ──▶ []Task
//
// A node becomes a view; views that need no exchange between them are one stage;
// what several stages need is a stage of its own. Where a stage runs on one
// partition though it reads several, it says why (Stage.Gathered).
//
// Read stage.go for the nouns that every other package shares, node.go for what
// a DataFrame can say, then compile.go.
package plan
