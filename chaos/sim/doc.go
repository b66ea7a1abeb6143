// Package sim runs whole simulated nodes in one goroutine, from one seed: the same seed
// is the same run, to the last message. It is the driver "sim" of fault runs.
//
// What decides is the real code: sched's Decider, terms' votes and heirs, register's
// proposers and acceptors, the journal's records and segments, fair's slots, plan's
// Assign. What acts around it in a node needs sockets, disks and goroutines, and is
// written again here, as briefly as it goes: coordinator.go, worker.go, takeover.go.
// Network, disks and clocks are simulated, and lose what they may lose.
//
//	seed ──▶ world: queue of events, by simulated time
//	           ├── nodes: a life from boot to death, on a disk that stays
//	           ├── clients: hand jobs in, ask on, read rows
//	           ├── faults: a random subset of all kinds a seed
//	           └── invariants: checked at every decision, and at the end
//
// Glue that waits is a proc, a coroutine that the world resumes: never two at a time,
// and in an order that only the seed decides.
//
// It refuses to look at the real clock, to start goroutines that run beside it, and to
// judge what it does not run: rows of DuckDB, messages on a wire, files of a disk.
//
// Read world.go, then life.go, coordinator.go and check.go.
package sim
