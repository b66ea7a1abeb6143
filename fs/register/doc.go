// Package register is the one thing in Pond that needs a quorum: small values with
// compare-and-set, linearizable, without a leader (CASPaxos, Rystsov 2018,
// arXiv:1802.07000).
//
// A register is a key with a [Value] on a [Roster] of keepers. A [Proposer] reads or
// changes it by messages to the keepers' [Acceptor]s; any node may, at any time, and
// a majority of keepers is enough. The roster is itself a register, and a [Change]
// replaces it by another:
//
//	Proposer.Get, CAS ─▶ Operation ── Request ──▶ Acceptor ─▶ Write, Reply
//	                        Step ◀──── Reply ─────────┘
//
// It is pure: no clock, no goroutine, no socket, no disk. The caller carries messages,
// makes writes durable before it sends the reply that came with them, and waits before
// it retries. So a simulator can drive all of it from a seed.
//
// # What others got wrong, and the rules here
//
//   - Every request carries the version of the roster that it counts on, and acceptors
//     refuse others. A quorum is never taken from a view of who is alive.
//   - A change of the roster goes through a joint one, in which both the old and the
//     new keepers must agree. Every key, of the union of a majority's keys, is written
//     again under it before the old keepers are let go. One change at a time.
//   - A keeper's id is drawn by its own store: one whose disk was lost is another
//     keeper, which the roster does not know.
//   - Ballots include the boot of their proposer: one that restarts uses none again.
//   - A change that was not heard of may have happened. Values keep the ids of the last
//     changes, so that a retry sees its own success.
//   - Keys are overwritten, never deleted.
//   - When most keepers are gone for good, nothing here guesses: an operator asks for a
//     [Recovery], which carries over what the living hold.
//
// Read register.go, then acceptor.go, operation.go, change.go and recover.go.
package register
