// Package plan holds the nouns of a job, which every package above shares, and
// what both compilers do alike: a [Plan] is what a user wrote (a DataFrame or a
// job file), a [Job] is what nodes run, a list of [Stage].
//
//	Plan ──────── frame ─────────┐
//	                             ├─▶ Builder ─▶ Job ─▶ Fitted, Assign(upstream sizes) ─▶ what a task reads
//	DuckDB's plan ─ distribute ──┘
//
// It decodes and validates plans, cuts files into tasks, names stages by the hash
// of all that their rows depend on, says what each task reads once the sizes of
// earlier stages are known, and writes scans and plans as text. Equal stage ids
// mean equal rows; that lets a job be resumed and a result be reused.
//
// It is pure: no clock, no goroutine, no socket, no disk, no DuckDB. What it must
// know of the world comes in as a [Catalog]. It refuses plans beyond its limits
// (decode.go) with an error that names the step.
//
// Read stage.go for the nouns, node.go for what a DataFrame can say, then
// builder.go, split.go and assign.go. The compilers are actors/plan/frame and
// actors/plan/distribute.
package plan
