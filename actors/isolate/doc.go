// Package isolate has a node's work with DuckDB done in engine processes: a request
// of the node here, its answer by packages exec and prepare there.
//
//	node                                        engine process
//	Machine.Run ─── attempt, packet ──────────▶ exec.Machine
//	  session ◀──── schema, draft … ─────────── journal, packets, blocks, functions
//	          ◀──── outcome, sums ───────────── (then the node commits)
//	DuckDB.Plan ─── request ──────────────────▶ prepare.Local
//
// What an attempt needs of the node it asks for while it runs, and gets no more than
// that: its stage's packet, if that is too large to come with it; blocks of the segments
// that it reads, by way of the node, which has the connections and the keys; a file to
// write its segment to, which the node alone commits, when it hears that the attempt is
// done; and calls of Go functions, which run in the node's process, where their program
// keeps what they need. One that DuckDB binds for longer than planning may take says so,
// and is ended.
//
// It refuses to know how processes live and die (package process) and what they may
// reach (package sandbox).
//
// A planner's request may look at the files of its query, and at no others. Those that
// take long give way to the others (turns.go); one that DuckDB never ends is ended.
//
// Read machine.go and session.go, or duckdb.go and turns.go, for the node's side, then
// serve.go and remote.go for the other.
package isolate
