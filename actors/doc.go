// Package actors runs decisions: it is where membership, messages, DuckDB,
// shuffle and storage meet, on one node.
//
// A [Node] has four actors. The worker owns the node's slots and pulls tasks
// for them; each task attempt is a partition actor, a child of the worker, that
// owns one DuckDB while it runs; a coordinator drives one job by feeding
// events to a sched.Decider and doing what it returns; the wire's router takes
// messages from other nodes to them. Bulk (job specs, stage packets, blocks)
// goes over HTTP on the node's API port.
//
//	submit ──▶ home replica: coordinator ──Work──▶ worker ──▶ partition actor
//	                 ▲   ▲                    │                  │ DuckDB
//	                 │   └────── Pull, Done ──┘                  ▼
//	                 └── packet (HTTP) ───────────────────▶ segment in fs store
//
// It refuses to plan or schedule (packages plan and sched do, purely), and it
// never runs DuckDB inside an actor's Receive: system messages would wait.
//
// Read node.go, then coordinator.go, worker.go and task.go.
package actors
