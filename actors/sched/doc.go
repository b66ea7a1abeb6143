// Package sched schedules the tasks of one job. A [Decider] takes an event and
// returns actions; the coordinator around it carries them out.
//
// It is pure: no clock, no goroutine, no socket, no disk. Time moves by [Tick]
// alone, and the same events give the same actions, so that thousands of
// failure schedules run in a unit test and replay from a seed. It refuses to
// know how work is carried, what SQL is, or where bytes lie: it knows tasks,
// attempts, nodes, and who holds which committed segment.
//
//	NodeUp, Held … ──┐                          ┌──▶ Offer, Run, Stop, Release
//	Tick, Pull ──────┼──▶ Decider.Step(event) ──┼──▶ Publish
//	Done, Failed … ──┘                          └──▶ Finish, once
//
// # How it decides
//
// Demand flows backwards: a stage is wanted while a wanted stage that reads it
// is incomplete, and only wanted stages run. So a segment found committed (in a
// successor's recovery, or of an equal plan) makes everything before it unnecessary,
// and a lost segment that nothing needs any more is not made again.
// A wanted stage is open, its tasks may run, while all stages it reads are
// complete. Open stages are served last stage first: finishing a branch frees
// more than starting one.
//
// A task carries the lineage of what it reads: a hash of the sums of its producers'
// rows. A producer that is made again and has other rows (whatever its plan says of
// it) has other sums: all that was made of the old rows, however indirectly, is taken
// back and made again, so that no two tasks have read different ones. A successor,
// or another job, takes a held segment only if its lineage is that of what is there,
// or if a whole set of one lineage is all that was made of it.
//
// Read event.go and action.go (the contract), then decider.go, demand.go (demand,
// lineage), place.go (placement of tasks), and attempt.go (failures).
package sched
