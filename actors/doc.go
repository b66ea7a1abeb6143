// Package actors is one node: where membership, messages, storage, planning and
// executing meet.
//
// A [Node] has one worker actor, which owns its slots and pulls tasks for them; a
// partition actor for each task attempt, a child of the worker; and a coordinator
// actor for each job that it drives, which feeds events to a sched.Decider and
// does what the Decider returns. Other nodes' messages reach them through the
// router of package wire. Bulk (job specs, stage packets, blocks) goes over HTTP
// on the node's API port.
//
//	submit ──▶ home replica: coordinator ──Work──▶ worker ──▶ partition actor
//	                 ▲   ▲                    │                  │ exec.Machine
//	                 │   └────── Pull, Done ──┘                  ▼
//	                 └── packet (HTTP) ───────────────────▶ segment in the journal
//
// It refuses to say who drives a job (package jobs does), to plan (prepare), to schedule
// (sched, purely), to run SQL (exec), to keep anything on disk itself (journal) and to
// say how it stands (vitals). DuckDB never runs inside an actor's Receive: system
// messages would wait.
//
// Read start.go (the parts, from the bottom) and node.go, then coordinator.go, worker.go and partition.go, and ask.go for how they
// are reached; http.go for what people and other nodes ask.
package actors
