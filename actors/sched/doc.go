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
// A stage is moving when a stage before it is not deterministic. Its tasks carry
// the lineage they read, a hash of the segments of the producers; when a
// producer was made anew the lineage differs, and finished tasks of the old
// lineage are made again.
//
// Read event.go and action.go (the contract), then decider.go, demand.go (demand,
// lineage), place.go (placement of tasks), and attempt.go (failures).
package sched
