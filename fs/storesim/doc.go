// Package storesim proves the pond's own storage before its I/O is believed: its tests
// run whole simulated nodes in one goroutine, from one seed. The same seed is the same
// run, to the last message.
//
// What decides is the real code: replica's Push and Fetch, layout's Layout and Plan,
// repair's Decide, collect's Ledger, Watch and Orphans. What acts around it is written
// here, as briefly as it goes:
//
//	seed ──▶ world: queue of events, by simulated time
//	           ├── nodes: a life from boot to death, on a disk that keeps what was synced
//	           ├── rounds of each node: repair, scrub, sweep, plan
//	           ├── writers that put and publish, readers
//	           ├── faults: a random subset of all kinds a seed, within what was promised
//	           └── truth: what there is, checked whenever something is lost or deleted
//
// Registers are abstract ones: linearizable, refused to a minority, and with outcomes that
// nobody hears of. Package register proves that of the real ones in a simulator of its
// own; here each would cost a dozen messages where one event says as much.
//
// It has no code but its tests, and refuses to judge what it does not run: bytes on a
// wire, files of a disk (packages fs and actors/replicas do). Read world_test.go, then
// node_test.go, rounds_test.go, clients_test.go and truth_test.go.
package storesim
