// Package chaos proves the promises of a pond: it starts real nodes, breaks them
// while jobs run, and compares every answer with one DuckDB's.
//
// A [Cluster] is pondnode processes on loopback, each with a data folder of its
// own. [Run] follows a job and fires [Fault]s when the job's status says so
// (events, not the clock), each as often as its budget allows. An [Oracle] reads
// the same input with one DuckDB and compares names, types, count, hash sum and
// xor of the rows, and their values.
//
//	        ┌───────── Cluster ─────────┐
//	job ──▶ │ pondnode pondnode pondnode│ ──▶ rows ──▶ Oracle ◀── SQL, same files
//	        └─────▲─────────────────────┘
//	              └── Fault: kill -9, SIGSTOP, SIGTERM … ◀── Trigger ◀── job status
//
// A [Site] is a cluster with data and an oracle, on which plans of package scenario are
// carried out; a [Campaign] is many of them, of seeds that follow one another. Each run
// is a [Record], whose verdict [Summary] counts; `pondnode chaos` is all of this on the
// command line. A program's own faults and invariants are [SiteOptions].
//
// A run whose fault never fired proves nothing, and is an error ([ErrNotFired]).
// With Options.Netns each node is in a network namespace of its own, and packets
// between them are lost, late or cut off as package netns is told: for root on Linux.
// Clusters take turns on a machine, by a lock file in the temporary folder: on
// few cores two of them would take each other for dead.
//
// The driver sim starts no process: package sim has whole nodes in one goroutine, around
// the code that decides, and replays a seed to the last message.
//
// The package refuses to look inside a node: it knows only the HTTP API, standard
// error and exit codes. Read cluster.go, then fault.go, then site.go.
package chaos
