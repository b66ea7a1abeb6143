// Package journal is the durable memory of one node: the segments that its task
// attempts committed, and the records of the jobs for which it is a home replica.
//
// A coordinator keeps no log. It asks every node for its segments of a job's stages
// ([Segments.Held]) and carries on from there, so these facts are the job's
// journal. A segment's facts are committed in one step with its bytes; [Segments]
// keeps an index of them in memory, rebuilt at start. [Records] keeps each job's
// spec from before the submitter is told that the job is taken, and later how
// the job ended.
//
//	Create ─▶ Draft.Write … ─▶ Draft.Commit(facts) ─▶ Held, Open, Parts, Schema
//	                                              └─▶ Drop, or evicted once unpinned
//
// Segments can be computed again, so they are not fsynced and old ones give way
// when the cache is full. Records are fsynced.
//
// It refuses to know nodes, messages and the meaning of rows: the caller decides
// which to read, keep or drop. The bytes lie in a [Store]: package fs on a node
// ([OnDisk]), [Memory] in tests.
//
// Read store.go, then segments.go (what is kept), opened.go (how it is read) and records.go.
package journal
