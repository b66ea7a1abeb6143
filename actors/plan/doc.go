// Package plan holds the nouns of a job, which every package above shares, and the
// common work of both compilers: a user writes a [Plan] (a DataFrame or a job file),
// nodes run a [Job], a list of [Stage].
//
//	Plan ──────── frame ─────────┐
//	                             ├─▶ Builder ─▶ Job ─▶ Fitted, Assign(upstream sizes) ─▶ what a task reads
//	DuckDB's plan ─ distribute ──┘
//
// It decodes and validates plans, cuts files into tasks, names stages by the hash
// of everything their rows depend on, assigns each task its input once the sizes of
// earlier stages are known, and writes scans and plans as text. Equal stage ids
// mean equal rows, so a job can be resumed and a result reused.
//
// It is pure: no clock, no goroutine, no socket, no disk, no DuckDB. Facts of the
// world come in as a [Catalog]. It refuses plans beyond its limits (decode.go) with
// an error that names the step.
//
// Read stage.go for the nouns, node.go for what a DataFrame can say, then
// builder.go, split.go and assign.go. The compilers are actors/plan/frame and
// actors/plan/distribute.
package plan
