// Package fair decides which job a free slot of a node serves next. Nobody shares out
// the slots of a pond: each node shares out its own, so no master is needed.
//
//	Want ──▶ Slots.Next ──▶ Hold: ask the job's coordinator for a task ──▶ Give
//
// The user with the fewest slots is served first, then, of that user's jobs, the one
// with the fewest; the one that has used less slot time breaks a tie. So jobs with long
// tasks and jobs with short ones get the same time, many jobs of one user do not push
// aside the one job of another, and a job that begins waits for the next slot that falls
// free, at most behind those that began before it and hold none either. Small ones come
// first, until another has waited for [QuickMillis], or lacks that much; whoever begins
// later is not before it for ever, since it begins with what a job of its user's has used
// that always had work.
//
// Tasks are never taken off a slot. So that a small job (one short task, as far as its
// coordinator can tell) need not wait for the end of a long one, a node has one slot
// more, the quick one, with a little memory of its own: it serves small jobs while all
// others are taken. A task that stays there for longer than [QuickMillis] is no small
// one: it takes over the next ordinary slot that falls free, before any job does.
//
// [Queue] decides which jobs a node drives at all: so many at once, users in turn.
//
// It is pure: no clock, no goroutine, no socket, no disk. It refuses to know tasks,
// nodes, and what jobs do.
//
// Read slots.go, then queue.go.
package fair
