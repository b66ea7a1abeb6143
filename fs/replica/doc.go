// Package replica decides how an upload comes to its copies and how it is read from
// them: whom to send it to, when that is enough, whom to ask next, and what it means
// that nobody has it.
//
//	Push: candidates ─▶ Next ─▶ a chain of nodes ─▶ Heard(what each said) ─▶ … ─▶ holders
//	Fetch: holders   ─▶ Next ─▶ nodes to ask     ─▶ Heard(what one said)  ─▶ … ─▶ it is here
//
// It is pure: no clock, no goroutine, no socket, no disk. The caller carries the bytes,
// and tells what came of it. A copy is whole or it is none: uploads are written once,
// under an id that is never given again, so that any two copies are the same bytes, and
// one that fails its checksums is only to be thrown away.
//
// It refuses to know where an upload belongs (package layout does) and whether a node
// is alive: it takes candidates in the order in which they are to be tried.
//
// The design is that of 3FS (chains, acknowledged from the tail; reads of any replica)
// without what only rewriting needs. Read push.go, then fetch.go.
package replica
