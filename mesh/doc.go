// Package mesh tracks which nodes are alive. It gossips with other nodes (Serf, on
// top of memberlist) and publishes its knowledge as a sequence of immutable [View]s.
//
// It decides nothing and fences nothing: two nodes' views may differ, an epoch
// counts one node's views only, and a node missing from a view may be running.
// Whoever needs authority asks a quorum. It stores nothing either: the caller
// keeps the node id that [Join] made up, and the addresses it may want again.
//
//	           ┌─ one boot of one node ─┐
//	Join ──▶   │ Serf ─events─▶ wake ───┼─▶ run: debounce 20 ms ─▶ rebuild ─▶ View
//	           └────────────────────────┘        (or a 1 s tick)
//
// A node id lasts, a boot id does not: every start has a new one, and so has a
// process that was paused long enough for the others to have buried it. A view
// holds the newest boot of a node only, so an old one is gone from it as soon as
// its successor is heard of.
//
// Read member.go and view.go for the nouns, mesh.go for the life of a node, boot.go
// for how Serf is set up and publish.go for how views are made from it,
// join.go for how nodes find one another and what goes wrong, watchdog.go for
// pauses.
package mesh
