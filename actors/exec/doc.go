// Package exec runs task attempts: it opens what a task reads as views of one
// DuckDB, runs its steps, and commits the rows as a segment or as staged files.
//
//	Packet ─ plan.Assign ─▶ pieces of files, ranges of blocks, literal rows
//	                             └─▶ views ─▶ steps ─▶ query ─▶ segment │ files
//
// An attempt is named by what it commits, and whoever commits first wins: two
// attempts at one task never disturb one another. It refuses to know nodes,
// messages and jobs: what it is told ([Attempt], [Packets]) and what it tells
// ([Outcome], a plan.Error) are plain values.
//
// Read machine.go, then inputs.go for what is read, segment.go and files.go for
// what is written, funcstep.go for Go functions.
package exec
